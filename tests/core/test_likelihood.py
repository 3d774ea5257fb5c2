"""Target and gradients against difference quotients and against what was put in."""

from dataclasses import replace

import numpy as np
import pytest

from locscale_hybrid.fourier.space import FourierSpace
from locscale_hybrid.inputs.half_maps import ObservedMaps
from locscale_hybrid.maps.grid import Grid, Map
from locscale_hybrid.refinement.likelihood import (
    b_gradient,
    b_information,
    coordinate_gradient,
    evaluate,
    weighted_correlation,
)
from locscale_hybrid.refinement.setup import refinement_data
from locscale_hybrid.scattering.scatterers import PSEUDO, Scatterers

GRID = Grid((36, 40, 42), (1.0, 1.003, 0.998), (-17.3, 40.0, 5.0))
N = 70
SIGMA = 0.03


@pytest.fixture(scope="module")
def case():
    """Half maps of atoms and the same atoms a little wrong; simulated."""
    rng = np.random.default_rng(7)
    positions = np.array(GRID.origin) + rng.uniform(10, 28, (N, 3))
    species = rng.choice(["C", "N", "O", "S", PSEUDO], N)
    occupancies, b = rng.uniform(0.4, 1, N), rng.uniform(60, 130, N)
    true = Scatterers(GRID, positions + rng.normal(0, 0.2, (N, 3)), species, occupancies)
    space = FourierSpace(GRID)
    signal = 2.5 * space.backward(true.structure_factors(b + rng.normal(0, 15, N), space))
    halves = [
        Map((signal + rng.normal(0, SIGMA, GRID.shape)).astype(np.float32), GRID) for _ in range(2)
    ]
    average = Map((halves[0].values + halves[1].values) / 2, GRID)
    data = refinement_data(ObservedMaps(average, *halves, "halves"), 3.0)
    return data, Scatterers(GRID, positions, species, occupancies), b


def value_at(target, atoms, b):
    return evaluate(target, atoms.coefficients(b, target.band)).value


def test_gradient_in_b_is_the_difference_quotient_of_the_target(case):
    data, atoms, b = case
    target = data.average
    fit = evaluate(target, atoms.coefficients(b, target.band))
    made = b_gradient(target, fit, atoms, b)
    scale = np.sqrt(np.mean(made**2))
    for number in range(0, N, 9):
        step = np.zeros(N)
        step[number] = 2.0
        quotient = (value_at(target, atoms, b + step) - value_at(target, atoms, b - step)) / 4
        assert made[number] == pytest.approx(quotient, rel=0.02, abs=0.02 * scale)


def test_gradient_in_coordinates_is_the_difference_quotient_of_the_target(case):
    data, atoms, b = case
    target, which = data.with_half(1), np.array([3, 20, 41, 69])
    fit = evaluate(target, atoms.coefficients(b, target.band))
    made, information = coordinate_gradient(target, fit, atoms, b, which)
    assert made.shape == (4, 3) and (information > 0).all()
    for row, number in enumerate(which):
        for axis in range(3):
            values = []
            for sign in (1, -1):
                moved = Scatterers(GRID, atoms.positions, atoms.species, atoms.occupancies)
                there = atoms.positions[number] + sign * 0.05 * np.eye(3)[axis]
                moved.set_positions(np.array([number]), there)
                values.append(value_at(target, moved, b))
            quotient = (values[0] - values[1]) / 0.1
            assert made[row, axis] == pytest.approx(
                quotient, rel=0.02, abs=0.02 * np.abs(made).max()
            )


def test_information_is_the_weighted_power_of_the_derivative_of_the_model(case):
    data, atoms, b = case
    target, band = data.average, data.band
    fit = evaluate(target, atoms.coefficients(b, band))
    in_b = b_information(target, fit, atoms, b)
    which = np.array([0, 17, 33, 50])
    _, in_x = coordinate_gradient(target, fit, atoms, b, which)

    def power(derivative):
        squared = np.abs(derivative).astype(np.float64) ** 2
        return (2 * fit.weight * fit.scale**2 * band.shell_sum(squared)).sum()

    for row, number in enumerate(which):
        one = np.array([number])
        up, down = (atoms.coefficients(b + shift, band, one) for shift in (2, -2))
        assert in_b[number] == pytest.approx(power((up - down) / 4), rel=0.05)
        moved = []
        for axis in range(3):
            sides = []
            for sign in (1, -1):
                there = Scatterers(GRID, atoms.positions, atoms.species, atoms.occupancies)
                there.set_positions(one, atoms.positions[one] + sign * 0.1 * np.eye(3)[axis])
                sides.append(there.coefficients(b, band, one))
            moved.append(power((sides[0] - sides[1]) / 0.2))
        assert in_x[row] == pytest.approx(np.mean(moved), rel=0.05)


def test_noise_of_the_halves_is_what_was_added(case):
    data, _, _ = case
    expected = SIGMA**2 * GRID.size * (data.band.grid.size / GRID.size) ** 2
    np.testing.assert_allclose(data.with_half(1).noise, expected, rtol=0.15)
    np.testing.assert_allclose(data.average.noise, expected / 2, rtol=0.15)


def test_scale_of_the_true_model_is_the_factor_it_was_given(case):
    data, _, _ = case
    rng = np.random.default_rng(9)
    positions = np.array(GRID.origin) + rng.uniform(10, 28, (N, 3))
    atoms, b = Scatterers(GRID, positions, np.full(N, "C")), np.full(N, 80.0)
    model = atoms.coefficients(b, data.band)
    fit = evaluate(replace(data.average, observed=2.5 * model), model)
    np.testing.assert_allclose(fit.scale, 2.5, rtol=1e-5)
    np.testing.assert_allclose(fit.correlation, 1.0, atol=1e-5)
    # nothing is left over, so that the noise alone is the variance
    np.testing.assert_allclose(1 / (2 * fit.weight), data.average.noise, rtol=1e-5)
    assert weighted_correlation(data.band, fit.correlation) == pytest.approx(1.0, abs=1e-5)


def test_a_model_against_the_inverse_of_its_map_has_scale_zero(case):
    data, atoms, b = case
    model = atoms.coefficients(b, data.band)
    fit = evaluate(replace(data.average, observed=-model), model)
    assert not fit.scale.any()
    assert (fit.correlation < -0.999).all()


def test_a_constant_added_to_the_maps_changes_nothing(case):
    data, atoms, b = case
    maps = data.observed
    raised = [
        volume.with_values(volume.values + np.float32(0.7))
        for volume in (maps.average, maps.half_1, maps.half_2)
    ]
    again = refinement_data(ObservedMaps(*raised, "halves"), 3.0)
    plain, other = value_at(data.average, atoms, b), value_at(again.average, atoms, b)
    assert other == pytest.approx(plain, rel=1e-5)


def test_data_of_one_map_have_no_halves(case):
    data, atoms, b = case
    single = refinement_data(ObservedMaps(data.observed.average, None, None, "single"), 3.0)
    assert np.isfinite(value_at(single.average, atoms, b))
    with pytest.raises(ValueError, match="no half maps"):
        single.with_half(1)
