"""Radial amplitudes of maps with a known fall-off."""

import numpy as np
import pytest

from locscale_hybrid.fourier.space import FourierSpace
from locscale_hybrid.maps.grid import Grid, Map
from locscale_hybrid.results.amplitudes import amplitude_curves, slope_as_b

GRID = Grid((48, 48, 48), (1.2, 1.2, 1.2))


def blurred_noise(b, seed=1):
    space = FourierSpace(GRID)
    noise = np.random.default_rng(seed).standard_normal(GRID.shape).astype(np.float32)
    values = space.backward(space.forward(noise) * np.exp(-b * space.s_squared / 4))
    return Map(values, GRID)


def test_slope_of_an_exponential_is_its_b():
    s = np.linspace(0, 0.5, 60)
    assert slope_as_b(s, 7 * np.exp(-83.0 * s**2 / 4), 3.0) == pytest.approx(83.0)


def test_slope_needs_three_shells_between_10_angstrom_and_the_limit():
    s = np.linspace(0, 0.5, 60)
    assert slope_as_b(s, np.exp(-s), 9.9) is None
    assert slope_as_b(s, 0 * s, 3.0) is None


def test_maps_blurred_by_b_fall_off_as_b():
    curves = amplitude_curves(
        blurred_noise(120),
        blurred_noise(40, 2),
        blurred_noise(60, 3),
        np.ones(GRID.shape, dtype=np.float32),
        d_min=3.0,
    )
    assert curves.falloff_b["input"] == pytest.approx(120, abs=5)
    assert curves.falloff_b["reference"] == pytest.approx(40, abs=5)
    assert curves.falloff_b["output"] == pytest.approx(60, abs=5)


def test_amplitudes_are_those_of_the_masked_map():
    volume, mask = blurred_noise(0), np.zeros(GRID.shape, dtype=np.float32)
    mask[12:36, 12:36, 12:36] = 1
    curves = amplitude_curves(volume, volume, volume, mask, d_min=3.0)
    inside = (volume.values - volume.values[mask > 0].mean()) * mask
    power = np.abs(np.fft.fftn(inside)) ** 2
    s = np.fft.fftfreq(48, 1.2)
    index = np.rint(48 * 1.2 * np.sqrt(s[:, None, None] ** 2 + s[:, None] ** 2 + s**2))
    for shell in (1, 7, 20):
        assert curves.observed[shell] == pytest.approx(
            np.sqrt(power[index == shell].mean()), rel=1e-3
        )
