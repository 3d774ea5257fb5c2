"""Solvent of a map, found without half maps; all values are drawn."""

import numpy as np
import pytest
from numpy.random import default_rng

from locscale_hybrid.maps.grid import Grid
from locscale_hybrid.maps.solvent import present_part, quiet_part, smoothed

GRID = Grid((40, 44, 48), (1.0, 1.0, 1.0))


def noise(seed=1):
    return default_rng(seed).normal(0, 1, GRID.shape).astype(np.float32)


def inside(radius):
    z, y, x = np.indices(GRID.shape) - np.array(GRID.shape)[:, None, None, None] // 2
    return z**2 + y**2 + x**2 < radius**2


def test_quiet_part_is_what_is_farther_from_the_loud_than_half_a_cube():
    values = noise() * np.where(inside(8), 30, 1).astype(np.float32)
    part = quiet_part(values, GRID, 9.0)
    assert not (part.region & inside(8)).any()
    assert part.region[~inside(16)].all()
    assert part.noise == pytest.approx(1.0, rel=0.05)


def test_what_is_as_loud_everywhere_has_no_quiet_part():
    assert quiet_part(noise(), GRID, 9.0) is None
    assert quiet_part(np.zeros(GRID.shape, np.float32), GRID, 9.0) is None


def test_a_quiet_part_below_5_percent_is_none():
    values = 30 * noise()
    values[:, :, :6] = noise()[:, :, :6]
    assert quiet_part(values, GRID, 9.0) is None
    values[:, :, :9] = noise()[:, :, :9]
    assert quiet_part(values, GRID, 9.0) is not None


def test_cubes_that_reach_beyond_the_data_do_not_count():
    values = noise() * np.where(inside(6), 30, 1) * inside(16)
    present = present_part(values.astype(np.float32))
    part = quiet_part(values.astype(np.float32), GRID, 7.0, present)
    assert not part.region[~inside(14)].any()
    assert part.noise == pytest.approx(1.0, rel=0.05)
    assert quiet_part(values.astype(np.float32), GRID, 7.0, np.zeros(GRID.shape, bool)) is None


def test_the_present_part_ends_where_the_map_is_constant():
    present = present_part((noise() * inside(17)).astype(np.float32))
    assert present[inside(15)].all()
    assert not present[~inside(18)].any()
    assert present_part(noise()) is None


def test_smoothing_by_a_gaussian_is_in_angstrom_on_every_axis():
    grid = Grid((24, 32, 48), (1.0, 1.5, 2.0))
    values = np.zeros(grid.shape, np.float32)
    values[12, 16, 24] = 1.0
    blurred = smoothed(values, grid, 2.0).astype(np.float64)
    for axis, edge in enumerate((2.0, 1.5, 1.0)):
        profile = blurred.sum(axis=tuple({0, 1, 2} - {axis}))
        arm = (np.arange(grid.shape[axis]) - grid.shape[axis] // 2) * edge
        assert np.sqrt((profile * arm**2).sum()) == pytest.approx(2.0, rel=0.02)
