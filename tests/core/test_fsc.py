"""Fourier shell correlation and its crossings."""

import numpy as np
import pytest

from locscale_hybrid.fourier.fsc import (
    FscCurve,
    corrected_fsc,
    fourier_shell_correlation,
    masked_coefficients,
    randomised_fsc,
)
from locscale_hybrid.fourier.space import FourierSpace
from locscale_hybrid.maps.grid import Grid

SPACE = FourierSpace(Grid((24, 25, 26), (1.0, 1.0, 1.0)))


def white(seed):
    return np.random.default_rng(seed).standard_normal(SPACE.shape).astype(np.float32)


def curve(values, width=0.01):
    return FscCurve(np.arange(len(values)) * width, np.array(values, dtype=float))


def test_fsc_of_a_map_with_itself_is_one():
    coefficients = SPACE.forward(white(0))
    assert fourier_shell_correlation(
        SPACE, coefficients, coefficients
    ).correlation == pytest.approx(1.0, abs=1e-6)


def test_fsc_of_a_map_with_its_negative_is_minus_one():
    coefficients = SPACE.forward(white(0))
    correlation = fourier_shell_correlation(SPACE, coefficients, -coefficients).correlation
    assert correlation == pytest.approx(-1.0, abs=1e-6)


def test_fsc_of_signal_plus_equal_noise_is_a_half():
    # signal and two noises of the same power: expected FSC = S / (S + N) = 0.5
    signal = white(1)
    a, b = (SPACE.forward(signal + white(i)) for i in (2, 3))
    correlation = fourier_shell_correlation(SPACE, a, b).correlation
    assert np.average(correlation, weights=SPACE.count) == pytest.approx(0.5, abs=0.02)


def test_empty_map_has_fsc_zero_and_raises_no_warning():
    empty = SPACE.forward(np.zeros(SPACE.shape, np.float32))
    assert not fourier_shell_correlation(SPACE, empty, SPACE.forward(white(0))).correlation.any()


def test_crossing_is_interpolated_between_shells():
    # 0.343 at 0.03, -0.057 at 0.04: 0.143 is half-way, at 0.035
    assert curve([1, 1, 1, 0.343, -0.057, 0, 0, 0]).resolution() == pytest.approx(1 / 0.035)


def test_a_dip_of_two_shells_is_not_a_crossing():
    values = [1, 1, 0.1, 0.1, 0.9, 0.9, 0.143, 0, 0, 0]
    assert curve(values).resolution() == pytest.approx(1 / 0.06)


def test_a_curve_that_never_falls_ends_at_its_last_shell():
    assert curve([1] * 8).resolution() == pytest.approx(1 / 0.07)


def test_a_fall_in_the_last_shell_counts():
    assert curve([1, 1, 1, 0.0]).resolution() == pytest.approx(1 / 0.02857, rel=1e-4)


def test_a_curve_that_is_never_above_gives_infinity():
    assert curve([1, 0, 0, 0, 0]).resolution() == float("inf")


def test_the_finest_crossing_looks_past_a_coarse_fall():
    values = [1, 0, 0, 0.9, 0.9, 0.9, 0.243, 0.043, 0, 0, 0]
    assert curve(values).finest() == pytest.approx(1 / 0.065)


def test_a_curve_that_ends_above_has_no_finest_crossing():
    assert curve([1, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.1]).finest() is None
    assert curve([1, 0, 0, 0, 0, 0, 0, 0]).finest() is None


def test_masked_coefficients_subtract_the_mean_inside_the_mask():
    mask = np.zeros(SPACE.shape, np.float32)
    mask[5:15, 5:15, 5:15] = 1
    assert abs(masked_coefficients(SPACE, white(0) + 7, mask)[0, 0, 0]) < 1e-2


def with_random_phases(space, coefficients, beyond, rng):
    """One draw: the phases of white noise beyond a frequency, the amplitudes of the map."""
    noise = space.forward(rng.standard_normal(space.shape).astype(np.float32))
    far = space.s_squared > beyond**2
    return np.where(far, np.abs(coefficients) * noise / np.abs(noise), coefficients)


def test_randomised_fsc_is_the_mean_of_many_draws():
    space = FourierSpace(Grid((32, 36, 30), (1.0, 1.0, 1.0)))
    rng = np.random.default_rng(3)
    draw = lambda: rng.standard_normal(space.shape).astype(np.float32)  # noqa: E731
    ball = np.zeros(space.shape, np.float32)
    ball[9:22, 10:26, 8:21] = 1
    mask = space.backward(space.forward(ball) * space.low_pass_gaussian(1.5))
    common = space.backward(space.forward(draw()) * (space.s_squared < 0.2**2)) * 10
    halves = [space.forward(common + draw()) for _ in range(2)]
    expected = randomised_fsc(space, list(halves), mask, 0.17).correlation
    cross, powers = 0, [0, 0]
    for _ in range(40):
        drawn = [
            masked_coefficients(
                space, space.backward(with_random_phases(space, half, 0.17, rng)), mask
            )
            for half in halves
        ]
        cross = cross + space.cross_power(*drawn)
        powers = [sum_ + space.power(half) for sum_, half in zip(powers, drawn, strict=True)]
    mean = cross / np.sqrt(powers[0] * powers[1])
    assert expected[1:] == pytest.approx(mean[1:], abs=0.03)
    assert expected[8:10].max() > 0.1  # what the mask carries there


def test_correction_takes_away_what_a_mask_adds():
    # signal below 0.15 / Å only, noise everywhere: beyond it the true FSC is 0, but a mask of
    # 4 Å edges mixes neighbouring shells, lifts the masked FSC there, and must be taken out
    space = FourierSpace(Grid((48, 48, 48), (1.0, 1.0, 1.0)))
    rng = np.random.default_rng(5)
    draw = lambda: rng.standard_normal(space.shape).astype(np.float32)  # noqa: E731
    box = np.zeros(space.shape, np.float32)
    box[14:34, 14:34, 14:34] = 1
    mask = space.backward(space.forward(box) * space.low_pass_gaussian(1.5))
    signal = space.backward(space.forward(draw()) * (space.s_squared < 0.15**2)) * 10
    result = corrected_fsc(space, signal + draw(), signal + draw(), mask)
    lifted = (space.frequency > 0.22) & (space.frequency < 0.26)
    assert result.masked.correlation[lifted].mean() > 0.2
    assert abs(result.corrected.correlation[lifted].mean()) < 0.15
