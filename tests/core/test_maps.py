"""Grid and Map: where voxels stand."""

import numpy as np
import pytest

from locscale_hybrid.maps.grid import Grid, Map

GRID = Grid((4, 5, 6), (1.0, 1.1, 1.2), (-17.3, 40.0, 5.0))


def test_position_of_first_voxel_is_the_origin():
    assert GRID.position_of(np.zeros(3)) == pytest.approx([-17.3, 40.0, 5.0])


def test_index_is_zyx_and_position_is_xyz():
    assert GRID.position_of(np.array([1, 2, 3])) == pytest.approx([-14.3, 42.2, 6.2])


def test_index_of_inverts_position_of():
    index = np.random.default_rng(0).uniform(-3, 9, (50, 3))
    assert GRID.index_of(GRID.position_of(index)) == pytest.approx(index)


def test_voxels_wrap_into_the_box():
    z, y, x = GRID.nearest_voxels(GRID.position_of(np.array([[-1, 5, 6]])))
    assert (z[0], y[0], x[0]) == (3, 0, 0)


def test_cell_is_in_xyz_order():
    assert GRID.cell == pytest.approx((6.0, 5.5, 4.8))


def test_resampled_grid_keeps_box_and_first_voxel():
    fine = GRID.resampled((8, 10, 12))
    assert fine.cell == pytest.approx(GRID.cell)
    assert fine.origin == GRID.origin


@pytest.mark.parametrize(
    ("origin", "same"), [((-17.3, 40.0005, 5.0), True), ((-17.3, 40.01, 5.0), False)]
)
def test_grids_are_the_same_to_a_thousandth_of_a_voxel(origin, same):
    assert GRID.same_as(Grid(GRID.shape, GRID.voxel_size, origin)) is same


def test_voxel_size_off_by_two_thousandths_is_another_grid():
    assert not GRID.same_as(Grid(GRID.shape, (1.002, 1.1, 1.2), GRID.origin))


def test_map_refuses_values_of_another_shape():
    with pytest.raises(ValueError, match="do not fit"):
        Map(np.zeros((2, 2, 2), np.float32), GRID)
