"""The level that encloses a given volume."""

import numpy as np

from locscale_hybrid.maps.contour import level_enclosing, voxels_enclosed


def test_level_encloses_exactly_the_number_of_voxels() -> None:
    values = np.random.default_rng(1).normal(size=(20, 21, 22)).astype(np.float32)
    for count in (1, 7, 500, 3000):
        level = level_enclosing(values, count)
        assert level is not None
        assert voxels_enclosed(values, level) == count


def test_level_is_midway_between_neighbours() -> None:
    values = np.arange(1, 9, dtype=np.float32).reshape(2, 2, 2)
    assert level_enclosing(values, 3) == 5.5


def test_scaling_a_map_scales_its_level() -> None:
    values = np.random.default_rng(2).normal(size=(9, 9, 9)).astype(np.float32)
    one, thousand = level_enclosing(values, 50), level_enclosing(values * 1000, 50)
    assert one is not None and thousand is not None
    assert np.isclose(thousand, 1000 * one)


def test_level_never_shows_the_masked_solvent() -> None:
    values = np.zeros((4, 4, 4), dtype=np.float32)
    values[1, 1, :3] = 0.5, 1.0, 2.0
    assert level_enclosing(values, 10) == 0.5


def test_no_level_where_nothing_or_everything_is_enclosed() -> None:
    values = np.ones((2, 2, 2), dtype=np.float32)
    assert level_enclosing(values, 0) is None
    assert level_enclosing(values, 8) is None
    assert level_enclosing(-values, 3) is None
