"""Shifts of a model's atoms towards the data, under a narrow prior; all maps are simulated."""

from dataclasses import replace

import numpy as np
import pytest

from locscale_hybrid.density import Scatterers
from locscale_hybrid.displacements import SPREAD, displaced, rms_shift
from locscale_hybrid.maps import Grid, Map
from locscale_hybrid.observed import ObservedMaps
from locscale_hybrid.refinement_grid import refinement_data
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
    moved = displaced(target, beside, b_of(true), EVERY)
    assert rms_shift(true, moved, EVERY) < 0.75 * rms_shift(true, beside, EVERY)
    assert rms_shift(beside, moved, EVERY) > 0.05


def test_many_steps_settle(case):
    target, true, beside = case
    few, many, more = (displaced(target, beside, b_of(true), EVERY, n_steps=n) for n in (8, 60, 80))
    assert rms_shift(true, many, EVERY) <= rms_shift(true, few, EVERY)
    assert rms_shift(many, more, EVERY) < 0.01


def test_atoms_in_their_places_stay(case):
    target, true, _ = case
    assert rms_shift(true, displaced(target, true, b_of(true), EVERY), EVERY) < 0.01


def test_only_the_atoms_that_may_shift_do(case):
    target, _, beside = case
    before = beside.positions.copy()
    moved = displaced(target, beside, b_of(beside), EVERY[:50])
    assert np.array_equal(moved.positions[50:], before[50:])
    assert np.array_equal(beside.positions, before)
    nothing = displaced(target, beside, b_of(beside), EVERY[:0])
    assert np.array_equal(nothing.positions, before)
    assert rms_shift(beside, nothing, EVERY[:0]) == 0


def test_where_all_is_noise_the_prior_takes_atoms_back(case):
    target, _, beside = case
    noise = replace(target, noise=np.full(target.band.n_shells, 1e9 * target.power.max()))
    away = beside.positions + SPREAD
    moved = displaced(noise, beside, b_of(beside), EVERY, start=away, n_steps=20)
    assert rms_shift(beside, moved, EVERY) < 1e-3
