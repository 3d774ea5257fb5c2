"""Pseudo-atoms move to where the data want them, keep their distance, stay in their region."""

import numpy as np
import pytest
from numpy.random import default_rng
from scipy.spatial import cKDTree

from locscale_hybrid.completion.region import Region
from locscale_hybrid.completion.settling import _Crowd, settle_pseudo_atoms
from locscale_hybrid.fourier.resolution_range import Band
from locscale_hybrid.maps.grid import Grid
from locscale_hybrid.refinement.likelihood import Target
from locscale_hybrid.scattering.scatterers import PSEUDO, Scatterers
from locscale_hybrid.symmetry.operators import symmetry_of

GRID = Grid((40, 40, 40), (1.0, 1.0, 1.0), (5.0, -3.0, 11.0))
D_MIN, B = 3.0, 40.0


def scattered(n, seed, least=1.8, half_width=8.0, centre=20.0):
    """Positions in a cube at least `least` Å from each other, in the frame of the grid."""
    rng, chosen = default_rng(seed), []
    while len(chosen) < n:
        point = centre + rng.uniform(-half_width, half_width, 3)
        if all(np.linalg.norm(point - other) > least for other in chosen):
            chosen.append(point)
    return np.array(chosen) + GRID.origin


def noise_free(positions, species, d_min=D_MIN):
    band = Band(GRID, d_min)
    n = len(positions)
    observed = Scatterers(GRID, positions, species).coefficients(np.full(n, B), band)
    noise = np.full(band.n_shells, 1e-3 * float(np.mean(np.abs(observed) ** 2)))
    return Target(band, observed, noise)


def everywhere():
    return Region(GRID, np.ones(GRID.shape, bool), 0.0, 0.0585, 0.0)


@pytest.fixture(scope="module")
def displaced():
    """60 atoms, the last 20 of them pseudo-atoms that start 0.6 Å away."""
    true = scattered(60, 0)
    species = np.array(["C"] * 40 + [PSEUDO] * 20)
    start = true.copy()
    step = default_rng(1).normal(size=(20, 3))
    start[40:] += 0.6 * step / np.linalg.norm(step, axis=1, keepdims=True)
    target = noise_free(true, species)
    atoms, before = Scatterers(GRID, start, species), start.copy()
    settled = settle_pseudo_atoms(target, atoms, np.full(60, 60.0), species == PSEUDO, everywhere())
    return true, before, atoms, settled


def test_atoms_displaced_by_0_6_angstrom_come_back(displaced):
    true, _, _, settled = displaced
    error = np.linalg.norm(settled.positions - true[40:], axis=1)
    assert np.median(error) < 0.08
    assert settled.correlation.min() > 0.98


def test_b_of_all_atoms_comes_out_with_them(displaced):
    assert np.median(displaced[3].b_iso) == pytest.approx(B, abs=4)


def test_the_scatterers_given_are_left_as_they_are(displaced):
    _, before, atoms, _ = displaced
    assert np.array_equal(atoms.positions, before)
    assert np.array_equal(atoms.occupancies, np.ones(60))


def test_no_step_in_coordinates_raises_the_target(displaced):
    values = displaced[3].values
    assert len(values) == 3
    assert all(np.diff(of_round).max(initial=0.0) <= 0 for of_round in values)
    assert values[0][-1] < values[0][0]


def test_crowded_atoms_that_share_their_density_go_down_only():
    # 1.3 Å apart at 4 Å resolution: steps that take atoms for independent overshoot
    true = scattered(150, 8, least=1.3, half_width=5.5)
    species = np.full(150, PSEUDO)
    start = true + default_rng(9).normal(0, 0.5, true.shape)
    settled = settle_pseudo_atoms(
        noise_free(true, species, 4.0),
        Scatterers(GRID, start, species),
        np.full(150, B),
        species == PSEUDO,
        everywhere(),
    )
    for of_round in settled.values:
        assert np.diff(of_round).max(initial=0.0) <= 0
    assert settled.values[-1][-1] < settled.values[0][0]


def test_no_rounds_change_nothing():
    positions = scattered(10, 3)
    species = np.full(10, PSEUDO)
    target = noise_free(positions, species)
    settled = settle_pseudo_atoms(
        target,
        Scatterers(GRID, positions, species),
        np.full(10, B),
        species == PSEUDO,
        everywhere(),
        n_rounds=0,
    )
    assert np.array_equal(settled.positions, positions)
    assert settled.correlation == pytest.approx(1.0, abs=1e-4)


def test_atoms_stay_in_their_region():
    true = scattered(30, 4)
    species = np.full(30, PSEUDO)
    inside = np.zeros(GRID.shape, bool)
    inside[:, :, :18] = True
    region = Region(GRID, inside, 0.0, 0.0585, 0.0)
    start = region.confined(true - np.array([4.0, 0, 0]))
    settled = settle_pseudo_atoms(
        noise_free(true, species),
        Scatterers(GRID, start, species),
        np.full(30, B),
        species == PSEUDO,
        region,
    )
    assert region.holds(settled.positions).all()


def test_progress_rises_to_1():
    positions = scattered(10, 3)
    species, told = np.full(10, PSEUDO), []
    settle_pseudo_atoms(
        noise_free(positions, species),
        Scatterers(GRID, positions, species),
        np.full(10, B),
        species == PSEUDO,
        everywhere(),
        progress=told.append,
    )
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_coarse_data_give_one_b_to_model_and_one_to_pseudo_atoms():
    positions = scattered(40, 5, half_width=9.0)
    species = np.array(["C"] * 20 + [PSEUDO] * 20)
    target = noise_free(positions, species, 7.0)
    settled = settle_pseudo_atoms(
        target,
        Scatterers(GRID, positions, species),
        np.linspace(35, 45, 40),
        species == PSEUDO,
        everywhere(),
    )
    shift = settled.b_iso - np.linspace(35, 45, 40)
    assert np.ptp(shift[:20]) < 1e-6
    assert np.ptp(shift[20:]) < 1e-6


def test_close_atoms_are_pushed_apart_and_off_the_model():
    rng = default_rng(6)
    crowd = _Crowd(rng.uniform(15, 22, (30, 3)), np.array([[18.0, 18.0, 18.0]]), everywhere(), None)
    for _ in range(40):
        crowd.move(np.zeros((30, 3)))
    nearest = cKDTree(crowd.unit).query(crowd.unit, 2)[0][:, 1]
    assert nearest.min() > 1.15
    assert np.linalg.norm(crowd.unit - 18.0, axis=1).min() > 1.15


def test_images_push_each_other_too():
    symmetry = symmetry_of(GRID, "C6")
    centre = np.array(symmetry.centre)
    crowd = _Crowd(centre + [[1.05, 0.0, 2.0]], np.empty((0, 3)), everywhere(), symmetry)
    crowd.settle_on_axes()
    for _ in range(40):
        crowd.move(np.zeros((6, 3)))
    assert np.linalg.norm((crowd.unit - centre)[0, :2]) > 1.2  # the edge of a hexagon is its radius


def test_a_step_is_averaged_over_the_images():
    symmetry = symmetry_of(GRID, "C2")
    centre = np.array(symmetry.centre)
    crowd = _Crowd(centre + [[5.0, 1.0, 2.0]], np.empty((0, 3)), everywhere(), symmetry)
    # the image asks for (-1, 0, 1), that is (1, 0, 1) for the unit
    crowd.move(np.array([[0.2, 0.0, 0.0], [-0.1, 0.0, 0.1]]))
    assert crowd.unit - centre == pytest.approx(np.array([[5.15, 1.0, 2.05]]))


@pytest.mark.parametrize(
    "symbol, offset, on_axis, multiplicity",
    [
        ("C4", [0.6, 0.5, 3.0], [0, 0, 3.0], 4),
        ("C4", [0.9, 0.8, 3.0], [0.9, 0.8, 3.0], 1),
        ("D2", [4.0, 0.5, 0.2], [4.0, 0, 0], 2),
        ("D2", [0.4, 0.3, 0.2], [0, 0, 0], 4),
        ("O", [3.0, 3.1, 2.8], [2.9667, 2.9667, 2.9667], 3),
    ],
)
def test_atoms_within_1_angstrom_of_an_axis_are_moved_onto_it(
    symbol, offset, on_axis, multiplicity
):
    symmetry = symmetry_of(GRID, symbol)
    centre = np.array(symmetry.centre)
    crowd = _Crowd(centre + [offset], np.empty((0, 3)), everywhere(), symmetry)
    crowd.settle_on_axes()
    assert crowd.unit[0] - centre == pytest.approx(np.array(on_axis), abs=1e-3)
    assert crowd.multiplicity.tolist() == [multiplicity]


def test_an_atom_on_an_axis_stays_on_it_and_counts_once():
    symmetry = symmetry_of(GRID, "C2")
    centre = np.array(symmetry.centre)
    unit = centre + [[0.0, 0.0, 3.0], [5.0, 2.0, 0.0], [-3.0, 4.0, 2.0]]
    images = symmetry.copies(unit).reshape(-1, 3)
    species = np.full(6, PSEUDO)
    # one atom on the axis: its two images share it
    whole = noise_free(images[[0, 1, 2, 4, 5]], species[:5])
    start = unit + [[0.3, -0.2, 0.3], [0.3, 0, 0], [0, 0.3, 0]]
    atoms = Scatterers(GRID, symmetry.copies(start).reshape(-1, 3), species)
    settled = settle_pseudo_atoms(
        whole, atoms, np.full(6, B), species == PSEUDO, everywhere(), symmetry=symmetry
    )
    assert settled.positions == pytest.approx(unit, abs=0.05)
    assert (settled.positions - centre)[0, :2] == pytest.approx([0, 0], abs=1e-9)
    assert settled.correlation.min() > 0.99
