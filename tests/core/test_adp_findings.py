"""What is said of refined B, and when; the data are simulated."""

from dataclasses import replace

import numpy as np
import pytest

from locscale_hybrid.fourier.resolution_range import Band
from locscale_hybrid.maps.grid import Grid
from locscale_hybrid.refinement.adp_findings import (
    FreeGain,
    free_gain,
    not_converged,
    preferred_direction,
    shifts_one_way,
    worse_than_one_b,
)
from locscale_hybrid.refinement.b_steps import BFit
from locscale_hybrid.refinement.likelihood import Target, evaluate
from locscale_hybrid.scattering.scatterers import Scatterers

GRID = Grid((30, 32, 34), (1.3, 1.3, 1.3))
BAND = Band(GRID, 3.6)
RNG = np.random.default_rng(1)
ATOMS = Scatterers(GRID, RNG.uniform(8, 32, (200, 3)), np.full(200, "C"))
TRUE = RNG.uniform(40, 160, 200)


def half_map_2(seed, noise=1.0):
    """The true atoms with noise of its own."""
    rng = np.random.default_rng(seed)
    signal = ATOMS.coefficients(TRUE, BAND)
    size = noise * np.sqrt(np.mean(np.abs(signal) ** 2) / 2)
    with_noise = signal + rng.normal(0, size, (2, len(signal))).T @ np.array([1, 1j])
    return Target(BAND, with_noise.astype(np.complex64), np.full(BAND.n_shells, 2 * size**2))


def fitted(b, values=(10.0, 5.0), last_step=0.1):
    model = ATOMS.coefficients(b, BAND)
    return BFit(b, evaluate(half_map_2(0), model), model, values, last_step)


def test_the_error_of_a_gain_is_its_scatter_over_half_maps():
    one, other = ATOMS.coefficients(TRUE, BAND), ATOMS.coefficients(TRUE[::-1].copy(), BAND)
    gains = [free_gain(half_map_2(seed), one, other) for seed in range(60)]
    scatter = np.std([gain.after - gain.before for gain in gains])
    assert np.mean([gain.error for gain in gains]) == pytest.approx(scatter, rel=0.3)


def test_equal_models_neither_gain_nor_lose():
    model = ATOMS.coefficients(TRUE, BAND)
    gain = free_gain(half_map_2(1), model, 2 * model)
    assert gain.after == pytest.approx(gain.before) and gain.error < 1e-4
    assert not FreeGain(0.5, 0.5, 0.0).is_real and not FreeGain(0.5, 0.5, 0.0).is_loss


@pytest.mark.parametrize(
    "after, real, loss",
    [(0.504, False, False), (0.506, True, False), (0.496, False, False), (0.494, False, True)],
)
def test_gains_and_losses_within_the_error_are_none(after, real, loss):
    gain = FreeGain(0.5, after, 0.001)
    assert (gain.is_real, gain.is_loss) == (real, loss)


def test_shifts_along_one_axis_have_a_preferred_direction():
    places = RNG.uniform(0, 40, (2000, 3))
    shift = RNG.normal(0, 0.1, (2000, 3))
    assert preferred_direction(places, shift) < 1.15
    turn = np.linalg.qr(RNG.normal(size=(3, 3)))[0]
    assert preferred_direction(places, shift * [1, 2, 1] @ turn) == pytest.approx(2, abs=0.15)


def test_shifts_along_one_axis_are_not_called_errors_of_coordinates():
    finding = shifts_one_way(0.28, FreeGain(0.765, 0.78, 0.0002))
    assert finding.code == "shifts-one-way" and finding.level == "note"
    assert "(0.28 Å rms), because these raised the mean FSC with half map 2" in finding.message
    assert "from 0.7650 to 0.7800. The shifts" in finding.message
    assert "along one axis, as where views of the particle are missing" in finding.message


def test_a_domain_beside_its_density_has_no_preferred_direction():
    places = RNG.uniform(0, 40, (2000, 3))
    shift = RNG.normal(0, 0.1, (2000, 3))
    shift[places[:, 0] > 25] += [0.0, 0.5, 0.0]
    assert preferred_direction(places, shift) < 1.2


def test_too_few_or_unmoved_atoms_have_no_preferred_direction():
    assert preferred_direction(np.zeros((1, 3)), np.ones((1, 3))) == 1
    assert preferred_direction(RNG.uniform(0, 9, (9, 3)), np.zeros((9, 3))) == 1


def test_wrong_b_are_worse_than_one_b():
    wrong = np.clip(200 - 1.0 * TRUE + 60 * np.sign(100 - TRUE), 5, 400)
    (finding,) = worse_than_one_b(half_map_2(2), ATOMS, fitted(wrong))
    assert finding.level == "warning" and finding.code == "b-against-half-2"
    assert finding.message.startswith(
        "B factors refined on half map 1 fit half map 2 worse than one B for all atoms: mean FSC "
    )
    assert "or set `refiner` to none to keep the B factors of the model." in finding.message
    assert finding.values["fsc_free"] < finding.values["fsc_free_one_b"]


def test_true_b_are_not_worse_than_one_b():
    assert worse_than_one_b(half_map_2(2), ATOMS, fitted(TRUE)) == []
    none = Scatterers(GRID, np.empty((0, 3)), np.empty(0, dtype=str))
    assert worse_than_one_b(half_map_2(2), none, fitted(TRUE)) == []


def test_a_long_last_step_is_said():
    fit = fitted(TRUE, (900.0, 700.0, 600.0), 14.2)
    (finding,) = not_converged(fit)
    assert finding.code == "b-not-converged" and finding.level == "warning"
    assert finding.message == (
        "B factors have not converged: the last of 2 steps changed them by 14 Å² rms and lowered "
        "the target by 100. Give more steps (`b_steps`)."
    )
    assert not_converged(replace(fit, last_step=3.0)) == []
