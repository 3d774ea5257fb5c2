"""Shifts of a model's atoms towards the data, under a narrow prior; all maps are simulated."""

from dataclasses import replace

import numpy as np
import pytest

from locscale_hybrid.inputs.half_maps import ObservedMaps
from locscale_hybrid.maps.grid import Grid, Map
from locscale_hybrid.refinement import coordinate_errors
from locscale_hybrid.refinement.coordinate_errors import SPREAD, displaced, rms_shift
from locscale_hybrid.refinement.likelihood import evaluate
from locscale_hybrid.refinement.setup import refinement_data
from locscale_hybrid.scattering.scatterers import Scatterers
from tests.synthetic import box_centre, density, small_model

SHAPE, VOXEL, D_MIN = (40, 42, 44), 1.1, 3.0
GRID = Grid(SHAPE, (VOXEL,) * 3)
EVERY = np.arange(8 * 18)


@pytest.fixture(scope="module")
def case():
    """A map without noise, and its atoms where they are and 0.3 Å beside."""
    structure = small_model(18, centre=box_centre(SHAPE, VOXEL), b_iso=(80, 80))
    sites = [site.atom for site in structure[0].all()]
    true = np.array([atom.pos.tolist() for atom in sites])
    species = [atom.element.name for atom in sites]
    values = density(structure, GRID).astype(np.float32)
    data = refinement_data(ObservedMaps(Map(values, GRID), None, None, "single"), D_MIN)
    noise = np.random.default_rng(2).normal(0, 0.3 / 3**0.5, true.shape)
    return data.average, Scatterers(GRID, true, species), Scatterers(GRID, true + noise, species)


def b_of(atoms):
    return np.full(len(atoms), 80.0)


def test_atoms_beside_their_places_come_nearer(case):
    target, true, beside = case
    moved = displaced(target, beside, b_of(true), EVERY).atoms
    assert rms_shift(true, moved, EVERY) < 0.75 * rms_shift(true, beside, EVERY)
    assert rms_shift(beside, moved, EVERY) > 0.05


def test_many_steps_settle(case):
    target, true, beside = case
    few, many, more = (
        displaced(target, beside, b_of(true), EVERY, n_steps=n).atoms for n in (8, 60, 80)
    )
    assert rms_shift(true, many, EVERY) <= rms_shift(true, few, EVERY)
    assert rms_shift(many, more, EVERY) < 0.01


def test_atoms_in_their_places_stay(case):
    target, true, _ = case
    assert rms_shift(true, displaced(target, true, b_of(true), EVERY).atoms, EVERY) < 0.01


def test_only_the_atoms_that_may_shift_do(case):
    target, _, beside = case
    before = beside.positions.copy()
    moved = displaced(target, beside, b_of(beside), EVERY[:50]).atoms
    assert np.array_equal(moved.positions[50:], before[50:])
    assert np.array_equal(beside.positions, before)
    nothing = displaced(target, beside, b_of(beside), EVERY[:0]).atoms
    assert np.array_equal(nothing.positions, before)
    assert rms_shift(beside, nothing, EVERY[:0]) == 0


def test_where_all_is_noise_the_prior_takes_atoms_back(case):
    target, _, beside = case
    noise = replace(target, noise=np.full(target.band.n_shells, 1e9 * target.power.max()))
    away = beside.positions + SPREAD
    moved = displaced(noise, beside, b_of(beside), EVERY, start=away, n_steps=20).atoms
    assert rms_shift(beside, moved, EVERY) < 1e-3


def test_no_step_raises_the_target_and_its_prior(case):
    target, true, beside = case
    found = displaced(target, beside, b_of(true), EVERY, n_steps=20)
    shift = found.atoms.positions - beside.positions
    prior = np.square(shift).sum() / (2 * SPREAD**2)
    assert (np.diff(found.values) < 0).all()
    model = found.atoms.coefficients(b_of(true), target.band)
    assert found.values[-1] == pytest.approx(evaluate(target, model).value + prior, abs=0.05)
    np.testing.assert_allclose(found.model, model, atol=1e-4 * np.abs(model).max())
    assert found.values[0] == pytest.approx(
        evaluate(target, beside.coefficients(b_of(true), target.band)).value, abs=0.05
    )


def test_a_step_that_overshoots_is_shortened(case, monkeypatch):
    # sixteen times the usual step raises the target where neighbours share their density
    target, true, beside = case
    monkeypatch.setattr(coordinate_errors, "_RELAXATION", 4.0)
    monkeypatch.setattr(coordinate_errors, "_LONGEST_STEP", 5.0)
    found = displaced(target, beside, b_of(true), EVERY, n_steps=6)
    assert len(found.values) > 1
    assert (np.diff(found.values) < 0).all()
