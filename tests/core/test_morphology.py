"""Shapes on a grid, against scipy's full transforms and counts by hand."""

import numpy as np
import pytest
from numpy.random import default_rng
from scipy import ndimage
from scipy.spatial import cKDTree

from locscale_hybrid.maps.grid import Grid
from locscale_hybrid.maps.morphology import (
    bounding_box,
    distance_within,
    margin_for,
    opened,
    part_of,
    voxels_near,
    without_holes,
    without_small_pieces,
)

VOXEL = (1.0, 1.1, 1.3)


def test_distances_are_those_of_the_full_transform_up_to_the_reach():
    inside = default_rng(0).random((30, 27, 35)) > 0.995
    ours = distance_within(inside, VOXEL, 4.0)
    full = ndimage.distance_transform_edt(~inside, VOXEL[::-1])
    near = full <= 4.0
    assert ours[near] == pytest.approx(full[near], abs=1e-5)
    assert np.isinf(ours[~near]).all()


def test_distance_to_nothing_is_infinite():
    assert np.isinf(distance_within(np.zeros((4, 5, 6), bool), VOXEL, 3.0)).all()


def test_distance_passes_in_slabs_as_in_one_piece(monkeypatch):
    inside = default_rng(1).random((20, 21, 22)) > 0.99
    whole = distance_within(inside, VOXEL, 5.0)
    monkeypatch.setattr("locscale_hybrid.maps.morphology._SLAB_VOXELS", 1)
    assert np.array_equal(distance_within(inside, VOXEL, 5.0), whole)


def test_voxels_near_are_those_a_search_tree_finds():
    grid = Grid((20, 18, 22), VOXEL, (3.0, -2.0, 7.0))
    positions = grid.position_of(default_rng(2).random((40, 3)) * grid.shape)
    voxels = grid.position_of(np.argwhere(np.ones(grid.shape, bool)))
    distance = cKDTree(positions).query(voxels)[0].reshape(grid.shape)
    assert np.array_equal(voxels_near(grid, positions, 2.5), distance <= 2.5)


def test_positions_outside_the_box_reach_into_it_and_do_not_wrap():
    near = voxels_near(Grid((8, 8, 8), (1.0, 1.0, 1.0)), np.array([[-1.0, 3.0, 3.0]]), 1.0)
    assert np.argwhere(near).tolist() == [[3, 3, 0]]


def test_no_positions_are_near_nothing():
    assert not voxels_near(Grid((4, 4, 4), VOXEL), np.empty((0, 3)), 2.0).any()


def test_opening_keeps_a_block_and_drops_a_wire():
    inside = np.zeros((20, 20, 20), bool)
    inside[5:12, 5:12, 5:12] = True
    inside[8, 8, 12:18] = True
    result = opened(inside, (1.0, 1.0, 1.0), 1.5)
    assert result[6:11, 6:11, 6:11].all()
    assert not result[:, :, 12:].any()


def test_pieces_below_the_smallest_and_below_a_share_go():
    inside = np.zeros((10, 10, 30), bool)
    inside[1:6, 1:6, 1:6] = True  # 125 voxels
    inside[1:3, 1:3, 10:13] = True  # 12
    inside[8, 8, 20:23] = True  # 3
    kept, sizes = without_small_pieces(inside, 10)
    assert sizes.tolist() == [125, 12, 3]
    assert np.count_nonzero(kept) == 137
    kept, _ = without_small_pieces(inside, 1, 0.2)
    assert np.count_nonzero(kept) == 125


def test_nothing_has_no_pieces():
    kept, sizes = without_small_pieces(np.zeros((3, 3, 3), bool), 1)
    assert not kept.any()
    assert sizes.size == 0


def test_holes_are_filled_and_bays_are_not():
    inside = np.zeros((9, 9, 9), bool)
    inside[2:7, 2:7, 2:7] = True
    closed = inside.copy()
    closed[4, 4, 4] = False
    assert np.array_equal(without_holes(closed), inside)
    open_to_outside = inside.copy()
    open_to_outside[4, 4, 4:7] = False
    assert np.array_equal(without_holes(open_to_outside), open_to_outside)


def test_bounding_box_holds_all_and_its_grid_stands_in_the_same_frame():
    inside = np.zeros((10, 11, 12), bool)
    inside[3, 4, 5] = inside[6, 8, 9] = True
    box = bounding_box(inside, (1, 0, 5))
    assert box == (slice(2, 8), slice(4, 9), slice(0, 12))
    grid = Grid(inside.shape, VOXEL, (1.0, 2.0, 3.0))
    part = part_of(grid, box)
    assert part.shape == (6, 5, 12)
    assert part.position_of(np.array([1, 0, 5])) == pytest.approx(
        grid.position_of(np.array([3, 4, 5]))
    )


def test_bounding_box_of_nothing_is_the_whole():
    assert bounding_box(np.zeros((2, 3, 4), bool)) == (slice(0, 2), slice(0, 3), slice(0, 4))


def test_margin_covers_the_distance_along_every_axis():
    assert margin_for(Grid((9, 9, 9), (1.0, 1.5, 2.0)), 3.0) == (3, 3, 4)
