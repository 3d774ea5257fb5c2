"""Sums of Gaussians on a periodic grid against the same sums voxel by voxel, in float64."""

from dataclasses import replace

import numpy as np
import pytest

from locscale_hybrid.scattering.gaussians import Sources, gather, gather_gradient, spread

SHAPE, VOXEL = (20, 23, 26), (1.1, 1.0, 0.9)
EDGES = np.multiply(VOXEL, SHAPE[::-1])


def scattered(n, low, high, terms=2, seed=0):
    rng = np.random.default_rng(seed)
    return Sources(
        rng.uniform(low, high, (n, 3)) * EDGES,
        rng.uniform(0.5, 2, (n, terms)),
        rng.uniform(60, 110, (n, terms)),
        reach=4.7,
    )


def along(size, step, centre, width):
    """A Gaussian of peak 1 and its periodic images along an axis."""
    place = np.arange(-3 * size, 4 * size) * step - centre
    return np.exp(-4 * np.pi**2 * place**2 / width).reshape(7, size).sum(axis=0)


def drawn(sources, shift=(0.0, 0.0, 0.0)):
    """Each source on the grid by the formula, summed over periodic images; shape (n, *SHAPE)."""
    result = np.zeros((len(sources), *SHAPE))
    for n, centre in enumerate(sources.positions + np.array(shift)):
        for a, b in zip(sources.amplitudes[n], sources.widths[n], strict=True):
            x, y, z = (
                along(size, step, c, b)
                for size, step, c in zip(SHAPE[::-1], VOXEL, centre, strict=True)
            )
            peak = a * (4 * np.pi / b) ** 1.5
            result[n] += peak * z[:, None, None] * y[:, None] * x
    return result


@pytest.mark.parametrize(
    ("low", "high"),
    [(0.3, 0.6), (0.0, 1.0), (-0.8, 1.7)],
    ids=["inside", "over the ends", "outside"],
)
def test_spread_is_the_sum_of_the_gaussians(low, high):
    sources, values = scattered(30, low, high), np.zeros(SHAPE, dtype=np.float32)
    spread(sources, values, VOXEL)
    expected = drawn(sources).sum(axis=0)
    assert np.abs(values - expected).max() < 1e-4 * expected.max()


def test_what_lies_on_the_grid_stays_there():
    sources, values = scattered(3, 0.3, 0.6), np.ones(SHAPE, dtype=np.float32)
    spread(sources, values, VOXEL)
    assert np.abs(values - 1 - drawn(sources).sum(axis=0)).max() < 1e-4


def test_part_of_a_box_holds_what_the_box_holds_there():
    sources = scattered(30, 0.45, 0.55)
    whole, part = np.zeros(SHAPE, dtype=np.float32), np.zeros((16, 18, 20), dtype=np.float32)
    spread(sources, whole, VOXEL)
    beginning = replace(sources, first=(3, 2, 1))  # x, y, z
    spread(beginning, part, VOXEL)
    inside = whole[1:17, 2:20, 3:23]
    assert inside.sum() == pytest.approx(whole.sum(), rel=1e-3)
    np.testing.assert_array_equal(part, inside)
    field = np.random.default_rng(4).normal(size=SHAPE).astype(np.float32)
    for sums in (gather, gather_gradient):
        np.testing.assert_array_equal(
            sums(beginning, field[1:17, 2:20, 3:23], VOXEL), sums(sources, field, VOXEL)
        )


@pytest.mark.parametrize(("low", "high"), [(0.3, 0.6), (-0.8, 1.7)], ids=["inside", "outside"])
def test_gather_is_the_sum_of_field_times_gaussian(low, high):
    sources = scattered(12, low, high)
    field = np.random.default_rng(1).normal(size=SHAPE).astype(np.float32)
    expected = (drawn(sources) * field).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(
        gather(sources, field, VOXEL), expected, atol=2e-4 * np.abs(expected).max()
    )


def test_gradient_is_that_of_the_sum_by_finite_differences():
    sources = scattered(6, 0.2, 0.8)
    field = np.random.default_rng(2).normal(size=SHAPE).astype(np.float32)
    step = 1e-3
    expected = np.stack(
        [
            ((drawn(sources, step * axis) - drawn(sources, -step * axis)) * field).sum(
                axis=(1, 2, 3)
            )
            for axis in np.eye(3)
        ],
        axis=1,
    ) / (2 * step)
    np.testing.assert_allclose(
        gather_gradient(sources, field, VOXEL), expected, atol=5e-4 * np.abs(expected).max()
    )


def test_thousands_of_sources_are_the_sum_of_their_parts():
    sources = scattered(2000, 0.0, 1.0, terms=1)
    whole, parts = np.zeros(SHAPE, dtype=np.float32), np.zeros(SHAPE, dtype=np.float32)
    spread(sources, whole, VOXEL)
    for begin in range(0, 2000, 137):
        some = [
            array[begin : begin + 137]
            for array in (sources.positions, sources.amplitudes, sources.widths)
        ]
        spread(Sources(*some, reach=4.7), parts, VOXEL)
    assert np.abs(whole - parts).max() < 1e-4 * whole.max()


def test_many_sources_at_one_place_are_one_strong_source():
    place = np.tile([[9.3, 8.1, 7.7]], (700, 1))
    many = Sources(place, np.ones((700, 1)), np.full((700, 1), 80.0), reach=4.7)
    one = Sources(place[:1], np.full((1, 1), 700.0), np.full((1, 1), 80.0), reach=4.7)
    values, expected = np.zeros(SHAPE, dtype=np.float32), np.zeros(SHAPE, dtype=np.float32)
    spread(many, values, VOXEL)
    spread(one, expected, VOXEL)
    np.testing.assert_allclose(values, expected, atol=1e-5 * expected.max())


def test_sources_far_apart_are_not_drawn_on_one_box(monkeypatch):
    """A box about distant atoms would take memory by their distance."""
    sources = Sources(
        np.random.default_rng(3).uniform(0, 2000, (50, 3)),
        np.ones((50, 1)),
        np.full((50, 1), 80.0),
        reach=4.7,
    )
    voxels = []

    def cut(field, box):
        voxels.append(np.prod([len(axis) for axis in box]))
        return np.zeros([len(axis) for axis in box], dtype=np.float32)

    monkeypatch.setattr("locscale_hybrid.scattering.gaussians._cut", cut)
    gather(sources, np.zeros(SHAPE, dtype=np.float32), VOXEL)
    assert len(voxels) > 40
    assert max(voxels) < 150_000


def test_no_sources_change_nothing():
    none = Sources(np.empty((0, 3)), np.empty((0, 1)), np.empty((0, 1)), reach=4.7)
    values = np.ones(SHAPE, dtype=np.float32)
    spread(none, values, VOXEL)
    assert (values == 1).all()
    assert gather(none, values, VOXEL).shape == (0,)
    assert gather_gradient(none, values, VOXEL).shape == (0, 3)
