"""Transforms between a part of a box and a band: what numpy's transform of the whole box gives."""

import numpy as np
import pytest

from locscale_hybrid.fourier.resolution_range import Band
from locscale_hybrid.maps.grid import Grid
from locscale_hybrid.scattering.gaussians import Sources, extent

GRID = Grid((40, 45, 54), (1.0, 1.2, 1.1))
PARTS = {
    "a part": (slice(3, 20), slice(11, 40), slice(5, 50)),
    "one voxel": (slice(0, 1), slice(44, 45), slice(53, 54)),
    "the whole box": (slice(0, 40), slice(0, 45), slice(0, 54)),
}


@pytest.fixture(scope="module")
def band():
    """12 to 3.4 Å."""
    return Band(GRID, 3.4, 12.0)


def part_in(shape, name):
    """The part on a grid of another shape."""
    return tuple(
        slice(s.start * n // m, max(s.stop * n // m, s.start * n // m + 1))
        for s, n, m in zip(PARTS[name], shape, GRID.shape, strict=True)
    )


@pytest.mark.parametrize("name", PARTS)
def test_coefficients_of_a_part_are_those_of_the_whole_box(band, name):
    shape = band.space.shape
    part = part_in(shape, name)
    values = (
        np.random.default_rng(1)
        .standard_normal([s.stop - s.start for s in part])
        .astype(np.float32)
    )
    whole = np.zeros(shape)
    whole[part] = values
    expected = np.fft.rfftn(whole).reshape(-1)[band.index]
    np.testing.assert_allclose(
        band.transform.forward(values, part), expected, atol=1e-5 * np.abs(expected).max()
    )


@pytest.mark.parametrize("name", PARTS)
def test_a_part_of_the_map_of_a_band_is_that_of_the_whole_map(band, name):
    part = part_in(band.space.shape, name)
    noise = np.random.default_rng(2).standard_normal(band.space.shape).astype(np.float32)
    packed = band.space.forward(noise).reshape(-1)[band.index]
    expected = np.fft.irfftn(band.unpack(packed), band.space.shape, axes=(0, 1, 2))
    np.testing.assert_allclose(
        band.transform.backward(packed, part), expected[part], atol=1e-5 * np.abs(expected).max()
    )


def blocks_of(positions):
    n = len(positions)
    return Sources(np.array(positions, dtype=float), np.ones((n, 1)), np.full((n, 1), 100.0), 3.0)


def test_blocks_lie_in_their_extent():
    z, y, x = extent(
        blocks_of([(30.0, 20.0, 15.0), (28.0, 24.0, 16.0)]), (40, 45, 54), (1.0, 1.0, 1.0)
    )
    reach = 3.0 * np.sqrt(100 / (8 * np.pi**2))
    for axis, low, high in ((x, 28, 30), (y, 20, 24), (z, 15, 16)):
        assert low - reach - 3 < axis.start <= low - reach + 1
        assert high + reach < axis.stop < high + reach + 5


def test_a_block_over_the_end_of_an_axis_takes_the_whole_axis():
    z, y, x = extent(
        blocks_of([(30.0, 20.0, 1.0), (53.0, 21.0, 9.0)]), (40, 45, 54), (1.0, 1.0, 1.0)
    )
    assert z == slice(0, 40) and x == slice(0, 54)
    assert y.stop - y.start < 20


def test_no_blocks_take_one_voxel():
    assert extent(blocks_of(np.empty((0, 3))), (40, 45, 54), (1.0, 1.0, 1.0)) == (slice(0, 1),) * 3
