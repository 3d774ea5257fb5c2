"""The search for shift, hand and magnification, on simulated density with a known answer."""

import numpy as np
import pytest

from locscale_hybrid.fourier.space import FourierSpace
from locscale_hybrid.inputs.model_fit import (
    CoarseMap,
    best_magnification,
    coarse_shape,
    fit_model,
    highest_point,
    splat,
)
from locscale_hybrid.maps.grid import Grid
from locscale_hybrid.scattering.fringe import in_box
from tests.synthetic import box_centre, density, small_model

SHAPE, VOXEL, ORIGIN = (56, 60, 64), 1.2, (-17.0, 40.0, 5.0)


@pytest.fixture(scope="module")
def case():
    structure = small_model(72, centre=box_centre(SHAPE, VOXEL, ORIGIN))
    grid = Grid(SHAPE, (VOXEL,) * 3, ORIGIN)
    values = density(structure, grid, blur=60)
    coarse = CoarseMap(grid, FourierSpace(grid).forward(values.astype(np.float32)), 5.0)
    positions = np.array([site.atom.pos.tolist() for site in structure[0].all()])
    return coarse, positions


def test_model_in_place_has_the_best_correlation_and_no_shift(case):
    fit = fit_model(*case)
    assert fit.correlation > 0.9
    assert fit.correlation > 2 * fit.mirrored
    assert fit.is_found
    assert np.abs(fit.shift).max() < 0.3
    assert fit.inside == 1.0


@pytest.mark.parametrize("shift", [(2.5, 0.0, 0.0), (-14.7, -14.7, -14.7), (90.0, -400.0, 33.3)])
def test_shift_that_puts_the_model_right_is_found_also_from_outside_the_box(case, shift):
    coarse, positions = case
    fit = fit_model(coarse, positions + shift)
    assert fit.shift == pytest.approx(-np.array(shift), abs=0.3)
    assert fit.best > 0.85


@pytest.mark.parametrize("axes", [(0,), (1,), (2,), (0, 1, 2)])
def test_mirrored_map_is_recognised(case, axes):
    coarse, positions = case
    turned = CoarseMap(coarse.grid, coarse.mirrored(axes), 5.0)
    fit = fit_model(turned, positions)
    assert not fit.is_found
    assert fit.mirrored > 1.5 * fit.best
    assert fit.mirrored > 0.8


def test_negative_map_is_recognised(case):
    coarse, positions = case
    fit = fit_model(CoarseMap(coarse.grid, -coarse.coefficients, 5.0), positions)
    assert fit.negative > 1.5 * max(fit.best, fit.mirrored)


@pytest.mark.parametrize("factor", [0.9, 0.95, 1.0, 1.03, 1.1])
@pytest.mark.parametrize("everywhere", [True, False])
def test_magnification_is_found_to_a_fraction_of_a_per_cent(case, factor, everywhere):
    coarse, positions = case
    scaled = (positions - positions.mean(axis=0)) / factor + positions.mean(axis=0) + 3.0
    found = best_magnification(coarse, scaled, everywhere=everywhere)
    assert found.unchanged <= found.correlation
    assert found.factor == pytest.approx(factor, abs=0.008)
    assert found.correlation > 0.85
    assert found.gain > 5 or factor == 1.0


def test_splat_keeps_number_and_centre_of_the_points():
    grid = Grid((20, 22, 24), (1.0, 1.1, 1.2), (3.0, -4.0, 5.0))
    positions = np.random.default_rng(1).uniform(5, 15, (50, 3)) + grid.origin
    values = splat(grid, positions)
    assert values.sum() == pytest.approx(50, rel=1e-5)
    index = np.argwhere(values > 0)
    centre = (grid.position_of(index) * values[tuple(index.T)][:, None]).sum(axis=0) / 50
    assert centre == pytest.approx(positions.mean(axis=0), abs=1e-3)


def test_box_holds_positions_up_to_half_a_voxel_beyond_the_last_centre():
    grid = Grid((10, 10, 10), (2.0, 2.0, 2.0), (1.0, 1.0, 1.0))
    x = np.array([-0.1, 0.1, 19.9, 20.1])
    assert in_box(grid, np.column_stack([x, x * 0 + 5, x * 0 + 5])).tolist() == [
        False,
        True,
        True,
        False,
    ]


def test_coarse_grid_is_never_finer_than_the_map():
    assert coarse_shape(Grid((30, 40, 50), (3.0, 3.0, 3.0)), 1.0) == (30, 40, 50)
    assert coarse_shape(Grid((120, 120, 120), (1.0, 1.0, 1.0)), 3.0) == (40, 40, 40)


def test_highest_point_of_a_wrapped_gaussian_is_its_centre():
    z, y, x = np.meshgrid(*(np.arange(n) for n in (16, 18, 20)), indexing="ij")
    at = np.array([15.3, 4.6, 0.2])
    parts = [
        np.minimum(abs(v - c), n - abs(v - c))
        for v, c, n in zip((z, y, x), at, (16, 18, 20), strict=True)
    ]
    values = np.exp(-sum(part**2 for part in parts) / 8).astype(np.float32)
    place, height = highest_point(values)
    assert place == pytest.approx([-0.7, 4.6, 0.2], abs=0.03)
    assert height == pytest.approx(1.0, abs=0.01)
