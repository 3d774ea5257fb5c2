"""Local B and provenance maps of arrangements whose answer is known."""

import numpy as np
import pytest

from locscale_hybrid.maps.grid import Grid
from locscale_hybrid.results.local_maps import MODEL, NONE, PSEUDO, local_b_factors, provenance

GRID = Grid((36, 40, 44), (1.5, 1.5, 1.5), (-10.0, 4.0, 7.0))


def everywhere():
    return np.ones(GRID.shape, dtype=bool)


def lattice(spacing=3.0):
    """Atoms throughout the box."""
    axes = [
        np.arange(start, start + side, spacing)
        for start, side in zip(GRID.origin, GRID.cell, strict=True)
    ]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)


def test_one_b_everywhere_is_no_difference():
    atoms = lattice()
    assert (
        np.abs(local_b_factors(GRID, atoms, np.full(len(atoms), 80.0), everywhere())).max() < 1e-3
    )


def test_a_step_of_b_is_found_on_both_sides_of_it():
    atoms = lattice()
    middle = GRID.origin[0] + GRID.cell[0] / 2
    b = np.where(atoms[:, 0] < middle, 40.0, 100.0)
    local = local_b_factors(GRID, atoms, b, everywhere())
    assert local[:, :, 2].max() < 0.1
    assert local[:, :, -3] == pytest.approx(60.0, abs=0.1)
    assert np.median(local[:, :, 22]) == pytest.approx(30.0, abs=10)


def test_local_b_is_the_gaussian_mean_of_the_atoms_around():
    rng = np.random.default_rng(3)
    atoms = np.array([7.0, 30.0, 32.0]) + rng.uniform(-12, 12, (60, 3))
    atoms = GRID.position_of(np.rint(GRID.index_of(atoms)))  # on voxels
    b = rng.uniform(20, 120, 60)

    def mean_at(places):
        distance = np.linalg.norm(places[:, None] - atoms, axis=-1)
        weight = np.where(distance < 13, np.exp(-(distance**2) / 32), 0)
        return weight @ b / weight.sum(axis=1)

    local = local_b_factors(GRID, atoms, b, everywhere())
    voxels = np.rint(GRID.index_of(atoms)).astype(int)
    expected = mean_at(atoms) - np.quantile(mean_at(atoms), 0.01)
    assert local[tuple(voxels.T)] == pytest.approx(np.maximum(expected, 0), abs=0.5)


def test_values_end_with_the_region_and_are_never_negative():
    atoms, inside = lattice(), np.zeros(GRID.shape, dtype=bool)
    inside[10:20, 12:22, 14:30] = True
    local = local_b_factors(GRID, atoms, np.linspace(20, 90, len(atoms)), inside)
    assert not local[~inside].any()
    assert local.min() == 0 and local[inside].max() > 0


def test_far_from_all_atoms_the_nearest_ones_speak():
    atoms = np.array([[-8.0, 8.0, 10.0], [-7.0, 8.0, 10.0], [-8.0, 9.0, 10.0]])
    local = local_b_factors(GRID, atoms, np.array([30.0, 30.0, 30.0]), everywhere())
    assert np.isfinite(local).all() and np.abs(local).max() < 1e-3


def test_provenance_is_that_of_the_nearest_atom_within_5_angstrom():
    atoms = np.array([[5.0, 30.0, 30.0], [17.0, 30.0, 30.0]])
    kinds = provenance(GRID, atoms, np.array([False, True]), everywhere())
    places = GRID.position_of(np.argwhere(everywhere())).reshape(*GRID.shape, 3)
    first, second = (np.linalg.norm(places - atom, axis=-1) for atom in atoms)
    assert (kinds[first < 4.999] == MODEL).all()
    assert (kinds[second < 4.999] == PSEUDO).all()
    assert (kinds[(first > 5.001) & (second > 5.001)] == NONE).all()


@pytest.mark.parametrize("inside", [everywhere(), ~everywhere()])
def test_nothing_is_said_without_atoms_or_region(inside):
    none = np.empty((0, 3))
    assert not local_b_factors(GRID, none, np.empty(0), inside).any()
    assert not provenance(GRID, none, np.empty(0, dtype=bool), inside).any()
