"""B steps: what goes in comes out, whatever the start; the prior; the solver; coarse data."""

from dataclasses import replace

import gemmi
import numpy as np
import pytest
from numpy.random import default_rng

from locscale_hybrid.fourier.space import FourierSpace
from locscale_hybrid.inputs.half_maps import ObservedMaps
from locscale_hybrid.maps.grid import Grid, Map
from locscale_hybrid.model.structure import model_of
from locscale_hybrid.refinement.b_steps import B_BOUNDS, _levelled, at_bounds, b_steps, group_levels
from locscale_hybrid.refinement.likelihood import evaluate
from locscale_hybrid.refinement.neighbours import neighbours_of
from locscale_hybrid.refinement.setup import refinement_data
from locscale_hybrid.scattering.scatterers import Scatterers
from tests.synthetic import box_centre, half_maps, small_model

SHAPE, VOXEL, BLUR = (52, 50, 60), 1.1, 80.0


def observed(structure, shape, voxel, resolution, blur):
    half_1, half_2, _ = half_maps(
        structure, shape, voxel, resolution, seed=4, blur=blur, solvent=0.3
    )
    average = half_1.with_values((half_1.values + half_2.values) / 2)
    return ObservedMaps(average, half_1, half_2, "halves")


def atoms_of(structure, grid):
    sites = [site.atom for site in structure[0].all()]
    atoms = Scatterers(
        grid, [atom.pos.tolist() for atom in sites], [atom.element.name for atom in sites]
    )
    return atoms, np.array([atom.b_iso for atom in sites])


@pytest.fixture(scope="module")
def case():
    """A small bundle of helices at 3.2 Å; simulated."""
    structure = small_model(72, centre=box_centre(SHAPE, VOXEL), b_iso=(20, 110))
    maps = observed(structure, SHAPE, VOXEL, 3.2, BLUR)
    atoms, b = atoms_of(structure, maps.average.grid)
    return refinement_data(maps, 3.2), atoms, b


def test_refined_b_are_the_true_ones_up_to_a_level(case):
    data, atoms, b = case
    fit = b_steps(
        data.average,
        atoms,
        np.full(len(b), 100.0),
        neighbours_of(atoms.positions),
        tau=8.0,
        n_steps=5,
    )
    assert np.corrcoef(fit.b_iso, b)[0, 1] > 0.95
    assert np.std(fit.b_iso - b) < 9.0
    assert abs(np.mean(fit.b_iso - b) - BLUR) < 15.0
    assert at_bounds(fit.b_iso) == (0, 0)


def test_refined_b_do_not_depend_on_the_start(case):
    data, atoms, b = case
    neighbours = neighbours_of(atoms.positions)
    low, high, odd = (
        b_steps(data.average, atoms, start, neighbours, tau=8.0, n_steps=5).b_iso
        for start in (
            np.full(len(b), 40.0),
            np.full(len(b), 100.0),
            default_rng(0).uniform(60, 200, len(b)),
        )
    )
    assert np.corrcoef(low, high)[0, 1] > 0.999
    assert np.abs(low - high).max() < 1.0
    assert np.corrcoef(low, odd)[0, 1] > 0.999


def test_a_sharpened_map_gives_the_same_differences_of_b(case):
    data, atoms, b = case
    neighbours, start = neighbours_of(atoms.positions), np.full(len(b), 100.0)
    plain = b_steps(data.average, atoms, start, neighbours, tau=8.0, n_steps=6).b_iso
    # B of the sharpest atoms would be -80
    sharpening = np.exp(np.float32(180 / 4) * data.band.s_squared)
    shells = np.exp(180 / 4 * data.band.frequency**2) ** 2
    sharp = replace(
        data.average, observed=data.average.observed * sharpening, noise=data.average.noise * shells
    )
    made = b_steps(sharp, atoms, start, neighbours, tau=8.0, n_steps=6).b_iso
    assert at_bounds(made) == (0, 0)
    assert np.corrcoef(made, plain)[0, 1] > 0.995
    assert np.std(made - plain) < 3.0


def test_a_step_never_raises_the_target_and_its_prior(case):
    data, atoms, b = case
    neighbours, tau = neighbours_of(atoms.positions), 5.0
    values, start, model = [], np.full(len(b), 150.0), None
    for _ in range(4):
        fit = b_steps(data.average, atoms, start, neighbours, tau=tau, n_steps=1, model=model)
        start, model = fit.b_iso, fit.model
        prior = float(start @ neighbours.strain(start)) / (2 * tau**2)
        values.append(fit.fit.value + prior)
    assert (np.diff(values) <= 0).all()


def test_a_strong_prior_makes_b_smoother(case):
    data, atoms, b = case
    neighbours = neighbours_of(atoms.positions)
    strains = []
    for tau in (2.0, 8.0, 27.0):
        fit = b_steps(data.average, atoms, np.full(len(b), 150.0), neighbours, tau=tau, n_steps=5)
        strains.append(fit.b_iso @ neighbours.strain(fit.b_iso))
    assert strains[0] < strains[1] < strains[2]


def test_b_of_symmetry_copies_are_equal():
    centre = box_centre((48, 48, 48), 1.2)
    structure = small_model(18, centre=(centre[0] + 9.0, centre[1], centre[2]))
    grid = Grid((48, 48, 48), (1.2, 1.2, 1.2))
    one, b = atoms_of(structure, grid)
    turned = (one.positions - centre) * [-1, -1, 1] + centre
    pair = np.concatenate([one.positions, turned])
    atoms = Scatterers(grid, pair, np.concatenate([one.species, one.species]))
    maps = observed(structure, grid.shape, 1.2, 3.6, 60.0)
    data, n = refinement_data(maps, 3.6), len(b)
    mates = np.stack([np.arange(2 * n), np.r_[np.arange(n, 2 * n), np.arange(n)]])
    fit = b_steps(
        data.average,
        atoms,
        np.full(2 * n, 90.0),
        neighbours_of(pair),
        tau=8.0,
        n_steps=3,
        mates=mates,
    )
    np.testing.assert_allclose(fit.b_iso[:n], fit.b_iso[n:])


def test_an_atom_without_density_runs_to_the_upper_bound_and_is_counted(case):
    data, atoms, b = case
    stray = Scatterers(
        atoms.grid, np.vstack([atoms.positions, [[6.0, 6.0, 6.0]]]), np.append(atoms.species, "U")
    )
    fit = b_steps(
        data.average,
        stray,
        np.full(len(b) + 1, 100.0),
        neighbours_of(stray.positions),
        tau=8.0,
        n_steps=8,
    )
    assert fit.b_iso[-1] == B_BOUNDS[1]
    assert at_bounds(fit.b_iso)[1] == 1


def test_a_new_level_with_atoms_at_a_bound_gives_the_model_of_the_new_b(case):
    data, atoms, b = case
    start = np.where(np.arange(len(b)) < 3, 390.0, b)  # the level of the data is 80 higher
    model = atoms.coefficients(start, data.band)
    levelled, moved, _ = _levelled(data.average, atoms, start, model, evaluate(data.average, model))
    assert (levelled[:3] == B_BOUNDS[1]).all() and levelled[3:].max() < B_BOUNDS[1]
    expected = atoms.coefficients(levelled, data.band)
    assert np.abs(moved - expected).sum() < 1e-3 * np.abs(expected).sum()


def test_the_prior_costs_nothing_for_equal_b_and_little_for_a_slope():
    places = default_rng(1).uniform(0, 30, (1500, 3))
    neighbours = neighbours_of(places)
    assert np.abs(neighbours.strain(np.full(1500, 80.0))).max() < 1e-9
    slope = places[:, 0] - places[:, 0].mean()
    rough = default_rng(2).permutation(slope)
    cost = slope @ neighbours.strain(slope) / (rough @ neighbours.strain(rough))
    assert 0 < cost < 0.01


def test_the_matrix_of_the_prior_is_symmetric_positive_and_has_its_diagonal():
    places = default_rng(3).uniform(0, 12, (60, 3))
    neighbours = neighbours_of(places)
    matrix = np.stack([neighbours.strain(row) for row in np.eye(60)])
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-12)
    assert np.linalg.eigvalsh(matrix).min() > -1e-12
    np.testing.assert_allclose(np.diag(matrix), neighbours.stiffness)


def test_strength_of_the_prior_does_not_depend_on_how_crowded_the_atoms_are():
    lattice = np.stack(np.meshgrid(*[np.arange(12.0)] * 3), axis=-1).reshape(-1, 3)
    loose, dense = (neighbours_of(lattice * step) for step in (2.0, 1.4))
    assert np.median(loose.own) == pytest.approx(np.median(dense.own), rel=0.05)


def test_one_atom_alone_and_none_have_no_prior():
    assert neighbours_of(np.zeros((1, 3))).strain(np.array([50.0])) == pytest.approx([0.0])
    assert not len(neighbours_of(np.empty((0, 3))).strain(np.empty(0)))


def test_altlocs_metals_and_partial_occupancies_get_their_b():
    structure = small_model(72, centre=box_centre(SHAPE, VOXEL), b_iso=(20, 110))
    chain = structure[0][0]
    for residue in (chain[8], chain[30], chain[50]):  # a side chain in two places
        for number in range(4, 8):
            other = residue[number].clone()
            residue[number].altloc, other.altloc = "A", "B"
            residue[number].occ, other.occ = 0.6, 0.4
            other.pos = other.pos + gemmi.Position(0.9, -0.4, 0.5)
            residue.add_atom(other)
    for residue, element in ((chain[0], "Fe"), (chain[40], "Zn")):
        residue.name, residue[5].element = "UNL", gemmi.Element(element)  # no amino acid
    maps = observed(structure, SHAPE, VOXEL, 3.0, BLUR)
    model = model_of(structure, "model")
    assert len(model) == 72 * 8 + 3 * 4 and {"Fe", "Zn"} < set(model.elements)
    atoms = Scatterers(maps.average.grid, model.positions, model.elements, model.occupancies)
    fit = b_steps(
        refinement_data(maps, 3.0).average,
        atoms,
        np.full(len(model), 100.0),
        neighbours_of(atoms.positions),
        tau=8.0,
        n_steps=5,
    )
    off = fit.b_iso - model.b_iso - np.median(fit.b_iso - model.b_iso)
    assert np.corrcoef(fit.b_iso, model.b_iso)[0, 1] > 0.95
    odd = (model.occupancies < 1) | (model.elements == "Fe") | (model.elements == "Zn")
    assert odd.sum() == 26 and np.abs(off[odd]).max() < 25


def test_coarse_data_give_one_b_to_each_of_two_groups():
    grid = Grid((40, 42, 44), (2.0, 2.0, 2.0))
    structure = small_model(90, centre=box_centre(grid.shape, 2.0), b_iso=(50, 50))
    atoms, _ = atoms_of(structure, grid)
    outer = atoms.positions[:, 0] > np.median(atoms.positions[:, 0])
    true = np.where(outer, 260.0, 120.0)
    space = FourierSpace(grid)
    signal = space.backward(atoms.structure_factors(true, space))
    rng = default_rng(6)
    halves = [
        Map(signal + rng.normal(0, 0.02 * signal.std(), grid.shape).astype(np.float32), grid)
        for _ in range(2)
    ]
    average = Map((halves[0].values + halves[1].values) / 2, grid)
    data = refinement_data(ObservedMaps(average, *halves, "halves"), 7.0)
    made = group_levels(data.average, atoms, np.full(len(true), 80.0), (outer, ~outer))
    np.testing.assert_allclose(made, true, atol=12.0)
    empty = np.zeros(len(true), dtype=bool)
    common = group_levels(data.average, atoms, np.full(len(true), 80.0), (~empty, empty))
    assert np.ptp(common) == 0 and 120 < common[0] < 260
