"""Point groups on maps: averaging, correlation, and which setting fits."""

from itertools import pairwise
from pathlib import Path

import mrcfile
import numpy as np
import pytest

from locscale_hybrid.maps.grid import Grid, Map
from locscale_hybrid.remedies import use
from locscale_hybrid.symmetry.detection import fitting_settings
from locscale_hybrid.symmetry.operators import (
    Symmetry,
    average_map,
    map_correlations,
    preserves_grid,
    symmetry_of,
    voxel_turns,
)
from locscale_hybrid.symmetry.point_groups import parse_point_group

DATA = Path(__file__).parents[1] / "data"


def noise(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def blobs(grid, centres, width=3.0, weights=None):
    """Gaussians at positions in Å, in a box that is not periodic."""
    total = np.zeros(grid.shape)
    for i, centre in enumerate(centres):
        axes = [
            np.exp(-((np.arange(n) * step + start - at) ** 2) / (2 * width**2))
            for n, step, start, at in zip(
                grid.shape[::-1], grid.voxel_size, grid.origin, centre, strict=True
            )
        ]
        weight = 1.0 if weights is None else weights[i]
        total += weight * np.einsum("x,y,z->zyx", *axes)
    return Map(total.astype(np.float32), grid)


def symmetric_blobs(grid, symmetry, n=5, spread=None, seed=3):
    """Gaussians of n heights, each with all its images."""
    reach = spread or min(grid.cell) / 2 - 10
    unit = np.random.default_rng(seed).uniform(-reach, reach, (n, 3)) / 3**0.5 + symmetry.centre
    weights = np.tile(1 + 0.5 * np.arange(n), symmetry.order)
    return blobs(grid, symmetry.copies(unit).reshape(-1, 3), weights=weights)


def read(name):
    with mrcfile.open(DATA / name) as file:
        step = float(file.voxel_size.x)
        return Map(file.data.copy(), Grid(file.data.shape, (step, step, step)))


def full_turn(values, turn):
    """An exact turn of a whole array, by explicit indices (independent of Turn.permuted)."""
    index = np.indices(values.shape).reshape(3, -1)
    centre = np.array(turn.centre)[:, None]
    source = np.rint(turn.matrix @ (index - centre) + centre).astype(int)
    source %= np.array(values.shape)[:, None]
    return values[tuple(source)].reshape(values.shape)


def asymmetry(values, symmetry, grid):
    """Largest difference to an image, relative to the largest value."""
    turned = [full_turn(values, turn) for turn in voxel_turns(symmetry, grid)]
    return max(np.abs(image - values).max() for image in turned) / np.abs(values).max()


CUBE = Grid((12, 12, 12), (1.1, 1.1, 1.1), (3.0, -8.0, 0.5))
ODD = Grid((13, 13, 13), (1.1, 1.1, 1.1))


@pytest.mark.parametrize("symbol", ["C2", "C4", "D2", "D4", "T222", "O"])
@pytest.mark.parametrize("grid", [CUBE, ODD], ids=["even", "odd"])
def test_average_over_a_grid_group_is_symmetric_to_the_last_bit(symbol, grid):
    symmetry = symmetry_of(grid, symbol)
    assert preserves_grid(symmetry, grid)
    result = average_map(Map(noise(grid.shape), grid), symmetry).values
    assert result.dtype == np.float32
    assert asymmetry(result, symmetry, grid) == 0


@pytest.mark.parametrize("symbol", ["C4", "D2", "O"])
def test_average_is_the_mean_of_the_images(symbol):
    values, symmetry = noise(CUBE.shape), symmetry_of(CUBE, symbol)
    images = [full_turn(values, turn).astype(float) for turn in voxel_turns(symmetry, CUBE)]
    result = average_map(Map(values, CUBE), symmetry).values
    assert result == pytest.approx(np.mean(images, axis=0), abs=1e-6)


def test_average_of_c2_is_the_map_and_its_half_turn():
    values = noise(CUBE.shape)
    half_turn = np.roll(values[:, ::-1, ::-1], (1, 1), (1, 2))  # about voxel n // 2
    result = average_map(Map(values, CUBE), symmetry_of(CUBE, "C2")).values
    assert result == pytest.approx((values + half_turn) / 2, abs=1e-6)


def test_a_centre_between_voxels_is_exact_too():
    symmetry = symmetry_of(CUBE, "D2", (5.5, 5.5, 5.5))
    values = noise(CUBE.shape)
    assert preserves_grid(symmetry, CUBE)
    result = average_map(Map(values, CUBE), symmetry).values
    assert result == pytest.approx(
        sum(
            values[flip]
            for flip in (np.s_[:], np.s_[:, ::-1, ::-1], np.s_[::-1, :, ::-1], np.s_[::-1, ::-1])
        )
        / 4,
        abs=1e-6,
    )


def test_a_centre_off_the_half_voxels_is_not_exact():
    assert not preserves_grid(symmetry_of(CUBE, "C2", (5.3, 5.5, 5.5)), CUBE)


@pytest.mark.parametrize("symbol", ["C3", "C5", "D3", "T", "I", "I1", "I3"])
def test_groups_off_the_grid_are_known(symbol):
    assert not preserves_grid(symmetry_of(CUBE, symbol), CUBE)


@pytest.mark.parametrize(
    ("shape", "symbol", "exact"),
    [
        ((10, 12, 12), "C4", True),
        ((12, 10, 12), "C4", False),
        ((10, 11, 12), "D2", True),
        ((12, 12, 13), "O", False),
    ],
)
def test_boxes_that_are_not_cubic_need_equal_edges_only_where_they_are_exchanged(
    shape, symbol, exact
):
    grid = Grid(shape, (1.0, 1.0, 1.0))
    assert preserves_grid(symmetry_of(grid, symbol), grid) is exact


def test_voxels_that_differ_by_half_a_percent_are_not_exchanged():
    grid = Grid((40, 40, 40), (1.0, 1.004, 1.0))
    assert preserves_grid(symmetry_of(grid, "D2"), grid)
    assert not preserves_grid(symmetry_of(grid, "C4"), grid)
    nearly = Grid((40, 40, 40), (1.0, 1.0002, 1.0))
    assert preserves_grid(symmetry_of(nearly, "C4"), nearly)


@pytest.mark.parametrize("symbol", ["C3", "C7", "D3", "D5", "T", "TXZ", "I1", "I2", "I3", "I4"])
def test_spline_average_leaves_a_symmetric_map_as_it_is(symbol):
    grid = Grid((40, 40, 40), (1.5, 1.5, 1.5), (-10.0, 4.0, 0.0))
    symmetry = symmetry_of(grid, symbol)
    given = symmetric_blobs(grid, symmetry, n=2)
    result = average_map(given, symmetry).values
    assert np.abs(result - given.values).max() < 0.003 * given.values.max()


@pytest.mark.parametrize("symbol", ["C3", "D3", "I2"])
def test_spline_average_makes_an_asymmetric_map_symmetric(symbol):
    grid = Grid((37, 40, 44), (1.5, 1.5, 1.5))
    symmetry = symmetry_of(grid, symbol)
    at = np.array(symmetry.centre) + [[6.0, 2.0, 9.0], [-4.0, 7.0, 1.0]]
    result = average_map(blobs(grid, at), symmetry)
    expected = sum(blobs(grid, copy).values for copy in symmetry.copies(at)) / symmetry.order
    assert np.abs(result.values - expected).max() < 0.003 * expected.max()
    assert map_correlations(result, symmetry, expected > 0.01).min() > 0.9999


def test_spline_average_with_unequal_voxels_turns_in_angstroms():
    grid = Grid((40, 40, 40), (1.5, 1.506, 1.497))
    symmetry = symmetry_of(grid, "C4")
    at = np.array(symmetry.centre) + [[9.0, 2.0, 9.0]]
    result = average_map(blobs(grid, at), symmetry).values
    expected = sum(blobs(grid, copy).values for copy in symmetry.copies(at)) / 4
    assert np.abs(result - expected).max() < 0.003 * expected.max()


def test_nothing_comes_in_from_outside_the_box():
    grid = Grid((16, 40, 40), (1.0, 1.0, 1.0))
    symmetry = symmetry_of(grid, "C8")
    result = average_map(blobs(grid, [(36.0, 20.0, 8.0)], width=1.5), symmetry).values
    corners = result[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert np.abs(corners).max() < 1e-6 * result.max()
    assert average_map(Map(np.ones_like(result), grid), symmetry).values == pytest.approx(1.0)


def test_c1_leaves_a_map_alone():
    given = Map(noise(CUBE.shape), CUBE)
    assert average_map(given, symmetry_of(CUBE, "C1")) is given


@pytest.mark.parametrize("factor", [1e-20, 1.0, 1e20])
def test_averaging_does_not_depend_on_the_unit_of_density(factor):
    symmetry, values = symmetry_of(CUBE, "O"), noise(CUBE.shape)
    result = average_map(Map(values * np.float32(factor), CUBE), symmetry).values
    expected = average_map(Map(values, CUBE), symmetry).values
    assert result / factor == pytest.approx(expected, rel=1e-5)


def test_correlations_of_a_half_symmetric_map():
    # D2 noise plus as much noise without symmetry correlates by one half with its images
    grid = Grid((32, 32, 32), (1.0, 1.0, 1.0))
    symmetry = symmetry_of(grid, "D2")
    symmetric = average_map(Map(noise(grid.shape), grid), symmetry).values * 2
    both = Map(symmetric + noise(grid.shape, seed=9), grid)
    found = map_correlations(both, symmetry)
    assert found[0] == pytest.approx(1.0, abs=1e-6)
    assert found[1:] == pytest.approx(0.5, abs=0.02)


def test_correlation_looks_only_into_the_mask():
    grid = Grid((24, 24, 24), (1.0, 1.0, 1.0))
    symmetry, values = symmetry_of(grid, "C2"), noise(grid.shape)
    inside = np.zeros(grid.shape, dtype=bool)
    inside[4:20, 6:19, 6:19] = True  # 6..18 about voxel 12
    symmetric = average_map(Map(values, grid), symmetry).values
    mixed = Map(np.where(inside, symmetric, values), grid)
    assert map_correlations(mixed, symmetry, inside).min() > 0.9999
    assert map_correlations(mixed, symmetry)[1] < 0.7


def test_a_constant_map_correlates_with_nothing():
    flat = Map(np.ones(CUBE.shape, dtype=np.float32), CUBE)
    assert map_correlations(flat, symmetry_of(CUBE, "C2")).tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("name", "symbol"),
    [("betaGal.mrc.gz", "D2"), ("emd20026_O_1.3A.mrc.gz", "O"), ("emd_6824.mrc.gz", "C4")],
)
def test_real_maps_have_their_symmetry_about_voxel_n_half(name, symbol):
    density = read(name)
    symmetry = symmetry_of(density.grid, symbol)
    mask = np.abs(density.values) > density.values.std()
    assert preserves_grid(symmetry, density.grid)
    assert map_correlations(density, symmetry, mask).min() > 0.999
    assert asymmetry(average_map(density, symmetry).values, symmetry, density.grid) == 0


def first(density, symbol, mask=None):
    found = fitting_settings(density, symmetry_of(density.grid, symbol), mask)
    assert all(a.order >= b.order for a, b in pairwise(found))
    return found[0] if found else None


@pytest.mark.parametrize(
    ("asked", "fits"), [("D4", "D2"), ("C4", "C2"), ("O", "D2"), ("I1", "D2"), ("C2", "C2")]
)
def test_the_d2_of_real_beta_galactosidase_is_named_when_more_is_asked_for(asked, fits):
    density = read("betaGal.mrc.gz")
    found = first(density, asked, density.values > 2 * density.values.std())
    assert found.symbol == fits
    assert found.fact == f"{fits} fits (correlation 1.00)"
    assert found.remedy == use("point_group", fits)


def test_nothing_is_named_when_nothing_fits():
    density = read("betaGal.mrc.gz")
    assert first(density, "C3", density.values > 2 * density.values.std()) is None


def test_c4_along_x_is_named_with_what_to_do():
    density = read("emd_6824.mrc.gz")
    turned = Map(np.ascontiguousarray(density.values.transpose(1, 2, 0)), density.grid)
    found = first(turned, "C4", turned.values > 2 * turned.values.std())
    assert found.name == "C4 about x"
    assert found.remedy == use(
        "point_group", "C4", when="after you turn the map so that this axis is along z"
    )


def test_another_centre_is_found():
    density = read("betaGal.mrc.gz")
    shifted = Map(np.roll(density.values, (4, -3, 2), (0, 1, 2)), density.grid)
    found = first(shifted, "D2", shifted.values > 2 * shifted.values.std())
    assert found.centre_voxels == (52, 47, 54)
    assert found.remedy.value == "D2"
    assert found.remedy.when == "with the symmetry center 52 47 54 in voxels"


SETTINGS = [
    ("T", "T222"),
    ("T222", "T"),
    ("T", "TXZ"),
    ("O", "T222"),
    ("I1", "I2"),
    ("I2", "I1"),
    ("I", "I3"),
    ("I3", "I4"),
]


@pytest.mark.parametrize(("asked", "true"), SETTINGS)
def test_the_other_setting_of_a_cubic_group_is_named(asked, true):
    grid = Grid((48, 48, 48), (3.0, 3.0, 3.0))
    density = symmetric_blobs(grid, symmetry_of(grid, true), n=4, spread=55.0)
    assert first(density, asked).symbol == true


def test_a_twofold_along_y_is_named_for_d3():
    grid = Grid((48, 48, 48), (3.0, 3.0, 3.0))
    turned = parse_point_group("D3").turned(np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]), "")
    symmetry = Symmetry(turned, symmetry_of(grid, "D3").centre)
    found = first(symmetric_blobs(grid, symmetry, n=6, spread=55.0), "D3")
    assert found.name == "D3 with a 2-fold along y"
    assert found.remedy.when == "after you turn the map by 90° about z"


def test_no_symmetry_needs_no_setting():
    assert fitting_settings(Map(noise(CUBE.shape), CUBE), symmetry_of(CUBE, "C1")) == []
