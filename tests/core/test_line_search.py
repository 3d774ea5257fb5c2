"""The length of a step against a direct minimisation of the target; coefficients are random."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from locscale_hybrid.fourier.resolution_range import Band
from locscale_hybrid.maps.grid import Grid
from locscale_hybrid.refinement.likelihood import Target, best_length, evaluate

BAND = Band(Grid((24, 26, 28), (1.5, 1.5, 1.5)), 4.0)


def coefficients(rng):
    n = len(BAND.index)
    return (rng.normal(size=n) + 1j * rng.normal(size=n)).astype(np.complex64)


@pytest.mark.parametrize("overshoot", [1.3, 2.0, 5.0])
@pytest.mark.parametrize("noise", [0.0, 0.5])
@pytest.mark.parametrize("slope, curvature", [(0.0, 0.0), (300.0, 4000.0)])
def test_the_length_is_where_the_target_is_least(overshoot, noise, slope, curvature):
    rng = np.random.default_rng(3)
    true, other = coefficients(rng), coefficients(rng)
    target = Target(BAND, true + 0.2 * coefficients(rng), np.full(BAND.n_shells, noise))
    before = true + 0.5 * other
    after = before - overshoot * 0.5 * other  # the best is near 1 / overshoot
    direct = minimize_scalar(
        lambda a: (
            evaluate(target, (before + a * (after - before)).astype(np.complex64)).value
            + slope * a
            + curvature * a**2 / 2
        ),
        bounds=(0, 1),
        method="bounded",
    )
    made = best_length(target, before, after, prior_slope=slope, prior_curvature=curvature)
    assert made == pytest.approx(direct.x, abs=0.005)
    if not slope:
        assert made == pytest.approx(1 / overshoot, abs=0.05)


def test_a_step_uphill_has_no_length():
    rng = np.random.default_rng(4)
    true = coefficients(rng)
    target = Target(BAND, true, np.full(BAND.n_shells, 0.1))
    assert best_length(target, true, true + coefficients(rng)) == pytest.approx(0.0, abs=0.01)


def test_a_step_that_could_be_longer_is_taken_whole():
    rng = np.random.default_rng(5)
    true, other = coefficients(rng), coefficients(rng)
    target = Target(BAND, true, np.full(BAND.n_shells, 0.1))
    assert best_length(target, true + other, true + 0.5 * other) == 1.0
