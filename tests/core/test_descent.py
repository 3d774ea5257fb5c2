"""B of a model in a belt without detail, as detergent makes: no step raises the target; simulated.

The belt's density is shared by so many pseudo-atoms that coarse shells of high weight decide.
"""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import ndimage

from locscale_hybrid.inputs.half_maps import ObservedMaps
from locscale_hybrid.maps.grid import Grid, Map
from locscale_hybrid.refinement import b_steps as b_steps_module
from locscale_hybrid.refinement.b_directions import conjugate_gradients
from locscale_hybrid.refinement.b_steps import B_BOUNDS, b_steps
from locscale_hybrid.refinement.likelihood import b_gradient, b_information, evaluate
from locscale_hybrid.refinement.neighbours import neighbours_of
from locscale_hybrid.refinement.setup import refinement_data
from locscale_hybrid.scattering.scatterers import PSEUDO, Scatterers
from tests.synthetic import box_centre, density, small_model

SHAPE, VOXEL, D_MIN, TAU = (56, 60, 60), 1.2, 3.4, 8.0
LOW, HIGH = 9.0, 26.0  # Å from the axis, the belt


@pytest.fixture(scope="module")
def belt():
    """72 residues in a smooth belt full of pseudo-atoms, and two half maps."""
    grid = Grid(SHAPE, (VOXEL,) * 3)
    centre = np.array(box_centre(SHAPE, VOXEL))
    structure = small_model(72, centre=tuple(centre), b_iso=(60, 150))
    sites = [site.atom for site in structure[0].all()]
    places = np.array([atom.pos.tolist() for atom in sites])
    protein = density(structure, grid)
    z, y, x = np.meshgrid(*[np.arange(n) * VOXEL for n in SHAPE], indexing="ij")
    radius = np.hypot(x - centre[0], y - centre[1])
    flat = (radius < HIGH) & (np.abs(z - centre[2]) < 12)
    free = np.ones(SHAPE, bool)
    free[grid.nearest_voxels(places)] = False
    flat &= ndimage.distance_transform_edt(free, VOXEL) > 3
    smooth = ndimage.gaussian_filter(flat.astype(float), 4.0 / VOXEL)
    signal = protein + 0.9 * protein[~free].mean() / 4 * smooth
    rng = np.random.default_rng(7)
    halves = [
        Map((signal + rng.normal(0, 0.06 * protein.std(), SHAPE)).astype(np.float32), grid)
        for _ in range(2)
    ]
    average = Map((halves[0].values + halves[1].values) / 2, grid)
    data = refinement_data(ObservedMaps(average, *halves, "halves"), D_MIN)
    inside = np.argwhere(flat)[:, ::-1] * VOXEL
    chosen = rng.permutation(inside)[: round(0.05 * len(inside) * VOXEL**3)]
    species = np.array([atom.element.name for atom in sites] + [PSEUDO] * len(chosen))
    atoms = Scatterers(grid, np.vstack([places, chosen]), species)
    true = np.array([atom.b_iso for atom in sites])
    return SimpleNamespace(
        data=data,
        atoms=atoms,
        true=true,
        start=np.full(len(atoms), 100.0),
        neighbours=neighbours_of(atoms.positions),
    )


def value_of(belt, b):
    fit = evaluate(belt.data.average, belt.atoms.coefficients(b, belt.data.band))
    return fit.value + float(b @ belt.neighbours.strain(b)) / (2 * TAU**2)


def test_the_belt_is_one_in_which_a_newton_step_raises_the_target(belt):
    # a Fisher matrix that simply ends at 5 Å is not positive definite: its step has no bound
    target, band, near = belt.data.average, belt.data.band, belt.neighbours
    b, raised = belt.start, []
    for _ in range(4):
        fit = evaluate(target, belt.atoms.coefficients(b, band))
        information = b_information(target, fit, belt.atoms, b)
        gradient = b_gradient(target, fit, belt.atoms, b) + near.strain(b) / TAU**2
        s = band.frequency
        shells = band.count * fit.weight * fit.scale**2 * s**4 * np.exp(-np.median(b) * s**2 / 2)
        overlap = np.sinc(2 * np.outer(near.distance, s)) @ shells / shells.sum()
        overlap *= np.clip((5.0 - near.distance) / 1.5, 0, 1)
        root = np.sqrt(information)
        matrix = near.matrix(overlap * root[near.row] * root[near.column])
        diagonal = 1.05 * information + near.stiffness / TAU**2
        step = conjugate_gradients(
            lambda x, matrix=matrix, information=information: (
                matrix @ x + 1.05 * information * x + near.strain(x) / TAU**2
            ),
            diagonal,
            -gradient,
        )
        step = np.clip(step, -b / 2, np.maximum(b / 2, 30))
        after = np.clip(b + step, *B_BOUNDS)
        raised.append(value_of(belt, after) > value_of(belt, b))
        b = after
    assert any(raised)


@pytest.mark.parametrize("tau", [2.0, TAU, 27.0])
def test_no_step_raises_the_target_in_a_belt(belt, tau):
    fit = b_steps(belt.data.average, belt.atoms, belt.start, belt.neighbours, tau=tau, n_steps=6)
    assert len(fit.values) == 7
    assert (np.diff(fit.values) <= 0).all()
    prior = float(fit.b_iso @ belt.neighbours.strain(fit.b_iso)) / (2 * tau**2)
    assert fit.values[-1] == pytest.approx(fit.fit.value + prior, rel=1e-9)


def test_a_belt_does_not_spoil_the_b_of_the_model(belt):
    fit = b_steps(belt.data.average, belt.atoms, belt.start, belt.neighbours, tau=TAU, n_steps=8)
    n = len(belt.true)
    assert np.corrcoef(fit.b_iso[:n], belt.true)[0, 1] > 0.9
    assert np.median(fit.b_iso[n:]) > np.median(fit.b_iso[:n]) + 50


def test_an_evil_direction_leaves_b_as_they_are(belt, monkeypatch):
    # nothing that either solver offers lowers the target
    monkeypatch.setattr(
        b_steps_module, "sparse_solver", lambda *_: lambda right: -20 * np.sign(right)
    )
    monkeypatch.setattr(
        b_steps_module,
        "exact_step",
        lambda curvature, solver, gradient, first: 20 * np.sign(gradient),
    )
    before = b_steps(belt.data.average, belt.atoms, belt.start, belt.neighbours, tau=TAU, n_steps=0)
    fit = b_steps(belt.data.average, belt.atoms, belt.start, belt.neighbours, tau=TAU, n_steps=3)
    assert np.array_equal(fit.b_iso, before.b_iso)
    assert fit.values == (before.values[0],) * 2
    assert fit.last_step == 0


def test_a_direction_that_goes_too_far_is_mended(belt, monkeypatch):
    solver_of = b_steps_module.sparse_solver
    monkeypatch.setattr(b_steps_module, "_LONGEST", (0.9, 300.0))
    monkeypatch.setattr(
        b_steps_module, "sparse_solver", lambda *given: lambda right: 30 * solver_of(*given)(right)
    )
    fit = b_steps(belt.data.average, belt.atoms, belt.start, belt.neighbours, tau=TAU, n_steps=3)
    assert (np.diff(fit.values) <= 0).all()
    assert fit.values[-1] < fit.values[0]
