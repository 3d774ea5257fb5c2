"""The unmodelled region, the number of pseudo-atoms in it, and where they start."""

from dataclasses import replace
from pathlib import Path

import gemmi
import numpy as np
import pytest
from numpy.random import default_rng
from scipy.spatial import cKDTree

from locscale_hybrid.completion.placement import Region, relaxed, starting_places
from locscale_hybrid.completion.region import unmodelled_region
from locscale_hybrid.inputs.half_maps import ObservedMaps
from locscale_hybrid.maps.grid import Grid, Map
from locscale_hybrid.symmetry.operators import symmetry_of
from tests.synthetic import box_centre, half_maps

SHAPE, VOXEL, RESOLUTION = (80, 76, 84), 1.2, 3.5
ENOLASE = Path(__file__).parents[1] / "data/3enl.pdb.gz"


def simulated(shape=SHAPE, voxel=VOXEL, resolution=RESOLUTION):
    """Half maps of yeast enolase, its atoms, and a mask of all within 6 Å of them."""
    structure = gemmi.read_structure(str(ENOLASE))
    structure.remove_ligands_and_waters()
    structure.remove_hydrogens()
    sites = [site.atom for site in structure[0].all()]
    positions = np.array([atom.pos.tolist() for atom in sites])
    positions += box_centre(shape, voxel) - (positions.min(axis=0) + positions.max(axis=0)) / 2
    for atom, position in zip(sites, positions, strict=True):
        atom.pos = gemmi.Position(*position)
    half_1, half_2, _ = half_maps(structure, shape, voxel, resolution, seed=3, blur=80, solvent=0.3)
    average = half_1.with_values((half_1.values + half_2.values) / 2)
    voxels = average.grid.position_of(np.argwhere(np.ones(shape, bool)))
    solid = (cKDTree(positions).query(voxels)[0] < 6).reshape(shape)
    level = average.values[~solid].mean()
    halves = [half.with_values(half.values - level) for half in (half_1, half_2)]
    observed = ObservedMaps(average.with_values(average.values - level), *halves, "halves")
    return observed, positions, solid


@pytest.fixture(scope="module")
def case():
    return simulated()


@pytest.mark.parametrize("share", [0.6, 0.3, 0.0])
def test_number_is_within_15_percent_of_the_atoms_left_out(case, share):
    observed, positions, solid = case
    kept = int(share * len(positions))
    region = unmodelled_region(observed, solid, positions[:kept])
    assert region.n_atoms == pytest.approx(len(positions) - kept, rel=0.15)
    assert region.coverage == pytest.approx(share, abs=0.08)


def test_the_region_holds_the_missing_atoms_and_none_of_the_model(case):
    observed, positions, solid = case
    kept = int(0.6 * len(positions))
    region = unmodelled_region(observed, solid, positions[:kept])
    assert not region.holds(positions[:kept]).any()
    far = cKDTree(positions[:kept]).query(positions[kept:])[0] > 3.5
    assert region.holds(positions[kept:][far]).mean() > 0.9
    assert cKDTree(positions[:kept]).query(region.voxels())[0].min() > 2.5


def test_the_region_stays_inside_the_mask(case):
    observed, positions, solid = case
    half = solid & (np.arange(SHAPE[2]) < SHAPE[2] // 2)
    region = unmodelled_region(observed, half, positions[:0])
    assert half[observed.average.grid.nearest_voxels(region.voxels())].all()


def test_a_full_model_leaves_nothing_and_that_is_said(case):
    observed, positions, solid = case
    region = unmodelled_region(observed, solid, positions)
    assert region.n_atoms == 0
    (finding,) = region.findings
    assert finding.code == "nothing-to-add"
    assert finding.level == "note"
    assert "no pseudo-atoms are added" in finding.message
    assert starting_places(region, observed.average, d_min=3.5, rng=default_rng(0)).shape == (0, 3)


def test_2_percent_of_a_model_calibrate_nothing(case):
    observed, positions, solid = case
    region = unmodelled_region(observed, solid, positions[:60])
    assert region.number_density == 0.0585
    assert region.coverage < 0.05


def test_pieces_below_60_cubic_angstrom_are_dropped():
    grid = Grid((40, 40, 40), (1.0, 1.0, 1.0))
    values = np.zeros(grid.shape, np.float32)
    values[5:25, 5:25, 5:25] = 1
    values[30:34, 30:34, 30:34] = 3
    solid = np.zeros(grid.shape, bool)
    solid[:28] = True
    solid[30:34, 30:34, 30:33] = True  # 48 Å^3 of a blob that the low-pass makes wider
    observed = ObservedMaps(Map(values, grid), None, None, "single")
    region = unmodelled_region(observed, solid, np.empty((0, 3)))
    assert region.volume > 5000
    assert (region.voxels() < 28).all()
    solid[30:34, 30:34, 29:34] = True  # 80 Å^3
    region = unmodelled_region(observed, solid, np.empty((0, 3)))
    assert (region.voxels()[:, 2] > 29).sum() > 60


def test_a_coarse_map_is_looked_at_on_a_grid_of_at_most_1_5_angstrom():
    observed, positions, solid = simulated((44, 42, 46), 2.2, 5.5)
    kept = int(0.5 * len(positions))
    region = unmodelled_region(observed, solid, positions[:kept])
    assert max(region.grid.voxel_size) <= 1.5
    assert region.n_atoms == pytest.approx(len(positions) - kept, rel=0.15)
    missing = positions[kept:]
    far = cKDTree(positions[:kept]).query(missing)[0] > 4
    assert region.holds(missing[far]).mean() > 0.8
    places = starting_places(region, observed.average, d_min=5.5, rng=default_rng(0))
    assert len(places) == region.n_atoms
    assert region.holds(places).mean() > 0.95


def test_the_origin_moves_everything_along(case):
    observed, positions, solid = case
    kept, shift = int(0.6 * len(positions)), np.array([-17.3, 40.0, 5.0])
    average = observed.average
    moved = Map(average.values, replace(average.grid, origin=tuple(shift)))
    here = unmodelled_region(observed, solid, positions[:kept])
    there = unmodelled_region(replace(observed, average=moved), solid, positions[:kept] + shift)
    a, b = (
        starting_places(region, volume, d_min=3.5, rng=default_rng(1))
        for region, volume in ((here, average), (there, moved))
    )
    assert b == pytest.approx(a + shift, abs=1e-6)


@pytest.fixture(scope="module")
def region(case):
    observed, positions, solid = case
    return unmodelled_region(observed, solid, positions[: int(0.6 * len(positions))])


def test_places_are_even_and_cover_the_region(case, region):
    places = starting_places(region, case[0].average, d_min=RESOLUTION, rng=default_rng(0))
    assert len(places) == region.n_atoms
    nearest = cKDTree(places).query(places, 2)[0][:, 1]
    assert nearest.std() < 0.25 * nearest.mean()
    assert cKDTree(places).query(region.voxels())[0].max() < 4.0


def test_the_seed_decides_the_places(case, region):
    a, b, c = (
        starting_places(region, case[0].average, d_min=RESOLUTION, rng=default_rng(seed))
        for seed in (1, 1, 2)
    )
    assert np.array_equal(a, b)
    assert not np.allclose(a, c, atol=0.05)


def test_places_of_a_point_group_are_those_of_one_unit(case, region):
    symmetry = symmetry_of(case[0].average.grid, "C4")
    whole = unmodelled_region(case[0], case[2], np.empty((0, 3)))
    unit = starting_places(
        whole, case[0].average, d_min=RESOLUTION, rng=default_rng(0), symmetry=symmetry
    )
    assert len(unit) == round(whole.n_atoms / 4)
    assert symmetry.asymmetric_unit(unit).mean() > 0.95


def test_relaxation_shares_a_uniform_line_evenly():
    points = np.column_stack([np.arange(1000) / 100, np.zeros((1000, 2))])
    centres = relaxed(points, np.ones(1000), 5, np.zeros(3), default_rng(0), n_steps=50)
    assert np.sort(centres[:, 0]) == pytest.approx([0.995, 2.995, 4.995, 6.995, 8.995], abs=0.02)
    assert centres[:, 1:] == pytest.approx(0)


def test_relaxation_puts_more_centres_where_the_weight_is():
    points = default_rng(0).random((4000, 3))
    weights = np.where(points[:, 0] < 0.5, 4.0, 1.0)
    centres = relaxed(points, weights, 100, np.zeros(3), default_rng(1))
    assert (centres[:, 0] < 0.5).mean() > 0.6


def test_confined_positions_are_inside_and_those_inside_stay():
    inside = np.zeros((20, 20, 20), bool)
    inside[5:10, 5:10, 5:10] = True
    region = Region(Grid(inside.shape, (1.0, 1.2, 0.9), (3.0, -4.0, 8.0)), inside, 0.0, 0.05, 0.0)
    positions = region.grid.position_of(default_rng(0).uniform(-5, 25, (200, 3)))
    held = region.holds(positions)
    confined = region.confined(positions)
    assert region.holds(confined).all()
    assert np.array_equal(confined[held], positions[held])
    moved = np.linalg.norm(confined - positions, axis=1)
    shortest = cKDTree(region.voxels()).query(positions)[0]
    assert (moved <= shortest + 1e-9).all()


def test_an_empty_region_moves_nothing():
    empty = Region(Grid((4, 4, 4), (1.0,) * 3), np.zeros((4, 4, 4), bool), 0.0, 0.05, 1.0)
    assert np.array_equal(empty.confined(np.ones((3, 3))), np.ones((3, 3)))
