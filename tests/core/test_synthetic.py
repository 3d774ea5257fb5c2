"""The maker of test data is held to what it says it makes."""

import gemmi
import numpy as np
from scipy.spatial import cKDTree

from locscale_hybrid.fourier.fsc import fourier_shell_correlation
from locscale_hybrid.fourier.space import FourierSpace
from tests.synthetic import box_centre, density, half_maps, small_model


def test_model_has_protein_density_and_no_clash():
    structure = small_model(90)
    xyz = np.array([site.atom.pos.tolist() for site in structure[0].all()])
    assert len(xyz) == 720
    nearest = cKDTree(xyz).query(xyz, k=2)[0][:, 1]
    assert nearest.min() > 1.1
    assert nearest.max() < 1.8
    inside = cKDTree(xyz).query_ball_point(xyz.mean(axis=0), 10.0)
    assert 0.045 < len(inside) / (4 / 3 * np.pi * 10**3) < 0.075


def test_half_map_fsc_crosses_0143_near_the_resolution_asked_for():
    shape, voxel = (56, 60, 64), 1.1
    structure = small_model(72, centre=box_centre(shape, voxel))
    half_1, half_2, _ = half_maps(structure, shape, voxel, 3.5, seed=3)
    space = FourierSpace(half_1.grid)
    envelope = density(structure, half_1.grid, blur=900)
    mask = np.clip(4 * envelope / envelope.max(), 0, 1).astype(np.float32)
    curve = fourier_shell_correlation(
        space, space.forward(half_1.values * mask), space.forward(half_2.values * mask)
    )
    assert 3.0 < curve.resolution() < 4.2


def test_same_seed_gives_the_same_maps_and_another_seed_other_noise():
    shape = (40, 40, 40)
    structure = small_model(18, centre=box_centre(shape, 1.2))
    first = half_maps(structure, shape, 1.2, 4.0, seed=1)
    again = half_maps(structure, shape, 1.2, 4.0, seed=1)
    other = half_maps(structure, shape, 1.2, 4.0, seed=2)
    assert np.array_equal(first[0].values, again[0].values)
    assert not np.array_equal(first[0].values, other[0].values)
    assert np.array_equal(first[2].values, other[2].values)


def test_density_moves_with_the_origin_of_the_grid():
    shape, voxel, origin = (40, 44, 42), 1.0, (7.0, -5.0, 3.0)
    here = small_model(18, centre=box_centre(shape, voxel))
    there = small_model(18, centre=box_centre(shape, voxel, origin))
    a = half_maps(here, shape, voxel, 4.0, seed=1)[2]
    b = half_maps(there, shape, voxel, 4.0, seed=1, origin=origin)[2]
    assert b.grid.origin == origin
    assert np.abs(a.values - b.values).max() < 1e-4 * a.values.max()


def test_model_is_written_and_read_back_by_gemmi():
    text = small_model(18).make_pdb_string()
    assert gemmi.read_pdb_string(text)[0].count_atom_sites() == 144
