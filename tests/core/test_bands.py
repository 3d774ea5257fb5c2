"""Frequency bands, the box that is worked on, and local power."""

import numpy as np
import pytest
from scipy import ndimage

from locscale_hybrid.maps.grid import Grid
from locscale_hybrid.parallel.shared_arrays import load_value, save_value
from locscale_hybrid.scaling.band_filter import (
    BandFilter,
    fade_out,
    flatten,
    grid_of_box,
    number_of_bands,
    relative_slope,
    work_box,
)
from locscale_hybrid.scaling.local_power import LocalAverage

GRID = Grid((24, 27, 30), (1.0, 1.0, 1.0))


def noise(shape=GRID.shape, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("voxel", [(1.0, 1.0, 1.0), (1.204, 1.2, 1.2), (3.54, 3.54, 3.54)])
def test_the_bands_of_a_map_add_up_to_it(voxel):
    bands = BandFilter.of_grid(Grid(GRID.shape, voxel), 12.0)
    values = noise()
    sorted_ = bands.gather(values)
    total = sum(bands.component(sorted_, band) for band in range(bands.n_bands))
    assert np.abs(total - values).max() < 2e-6 * np.abs(values).max()


def test_a_wave_of_t_3_25_is_three_quarters_in_band_3_and_one_quarter_in_band_4():
    grid = Grid((8, 8, 96), (1.0, 1.0, 1.0))
    wave = np.broadcast_to(np.cos(2 * np.pi * 13 / 96 * np.arange(96)), grid.shape)
    bands = BandFilter.of_grid(grid, 24.0)  # 13 / 96 * 24 = 3.25
    sorted_ = bands.gather(wave.astype(np.float32))
    for band, share in ((2, 0.0), (3, 0.75), (4, 0.25), (5, 0.0)):
        np.testing.assert_allclose(bands.component(sorted_, band), share * wave, atol=1e-6)


def test_a_window_of_25_angstrom_on_voxels_of_1_angstrom_has_14_bands():
    assert number_of_bands(Grid((64, 64, 64), (1.0, 1.0, 1.0)), 25.0) == 14
    assert number_of_bands(Grid((64, 64, 64), (1.25, 1.25, 1.25)), 25.0) == 11


def test_the_coarsest_bands_together_are_the_sum_of_their_hats():
    bands = BandFilter.of_grid(GRID, 12.0)
    sorted_ = bands.gather(noise())
    together = bands.low_component(sorted_, 3, np.ones(1, dtype=np.float32))
    single = sum(bands.component(sorted_, band) for band in range(3))
    np.testing.assert_allclose(together, single, atol=1e-6)


def test_a_root_component_is_finished_into_the_band():
    bands = BandFilter.of_grid(GRID, 12.0)
    sorted_ = bands.gather(noise())
    for band in (0, 3, bands.n_bands - 1):
        np.testing.assert_allclose(
            bands.finish(bands.root_component(sorted_, band), band),
            bands.component(sorted_, band),
            atol=1e-6,
        )


def test_a_finished_band_has_nothing_outside_its_frequencies():
    bands = BandFilter.of_grid(GRID, 12.0)
    sharp = bands.root_component(bands.gather(noise()), 3) * (noise(seed=1) > 0)
    again = bands.gather(bands.finish(sharp, 3))
    outside = np.abs(bands.position - 3) > 1
    assert np.abs(again[outside]).max() < 1e-5 * np.abs(again).max()


def test_local_power_of_white_noise_varies_as_its_number_of_modes_says():
    grid = Grid((72, 72, 72), (1.0, 1.0, 1.0))
    window, band = 15.0, 5
    sigma = window / np.sqrt(12)
    bands = BandFilter.of_grid(grid, window)
    local = LocalAverage(grid.shape, grid.voxel_size, sigma)
    ratios = []
    for seed in range(3):
        power = local.power(bands.component(bands.gather(noise(grid.shape, seed)), band))
        ratios.append(float(power.var() / power.mean() ** 2))
    assert np.mean(ratios) == pytest.approx(2 / bands.modes_within(band, sigma), rel=0.1)


def test_a_wide_gaussian_averages_its_volume_times_the_modes_per_volume():
    bands = BandFilter.of_grid(Grid((72, 72, 72), (1.0, 1.0, 1.0)), 15.0)
    modes = bands.modes_per_volume(5) * (4 * np.pi * 40**2) ** 1.5
    assert bands.modes_within(5, 40.0) == pytest.approx(modes, rel=0.03)


def test_a_saved_filter_comes_back_as_it_was(tmp_path):
    bands = BandFilter.of_grid(GRID, 12.0)
    save_value(tmp_path, "bands", bands)
    again = load_value(BandFilter, tmp_path, "bands")
    sorted_ = bands.gather(noise())
    for band in (0, 3, bands.n_bands - 1):
        assert np.array_equal(again.component(sorted_, band), bands.component(sorted_, band))


def test_the_work_box_holds_the_region_and_its_margin():
    region = np.zeros((100, 100, 100), dtype=bool)
    region[40:51, 30:33, 0:5] = True
    box = work_box(region, 8)
    for part, low, high in zip(box, (40, 30, 0), (51, 33, 5), strict=True):
        assert part.start <= max(low - 8, 0) and part.stop >= high + 8
        assert (part.stop - part.start) % 4 == 0 and part.stop <= 100


def test_the_work_box_is_the_whole_axis_where_the_region_nearly_fills_it():
    region = np.zeros((97, 40, 40), dtype=bool)
    region[5:95, 18:20, 18:20] = True
    assert work_box(region, 8)[0] == slice(0, 97)


def test_the_grid_of_a_box_keeps_its_voxels_in_place():
    grid = Grid((30, 40, 50), (1.0, 1.1, 1.2), (-5.0, 7.0, 9.0))
    box = (slice(4, 14), slice(6, 26), slice(10, 30))
    part = grid_of_box(grid, box)
    assert part.shape == (10, 20, 20)
    np.testing.assert_allclose(
        part.position_of(np.zeros(3)), grid.position_of(np.array([4, 6, 10]))
    )


def test_a_box_fades_out_at_inner_faces_only():
    maps = np.ones((1, 20, 20, 20), dtype=np.float32)
    fade_out(maps, (slice(0, 20), slice(5, 25), slice(0, 20)), (20, 60, 40), 6)
    assert maps[0, 0, 10, 0] == 1
    assert maps[0, 10, 0, 10] < 0.05 and maps[0, 10, -1, 10] < 0.05
    assert maps[0, 10, 10, -1] < 0.05 and maps[0, 10, 10, 0] == 1
    assert (maps[0, 8, 6:14, 4:14] == 1).all()


def test_power_on_blocks_of_4_voxels_differs_from_the_full_grid_by_less_than_0_6_percent():
    grid = Grid((64, 60, 57), (1.0, 1.0, 1.0))
    bands = BandFilter.of_grid(grid, 25.0)
    values = bands.component(bands.gather(noise(grid.shape)), 6)
    values *= (1.1 + np.sin(2 * np.pi / 64 * np.arange(64, dtype=np.float32)))[:, None, None]
    sigma = 25 / np.sqrt(12)
    coarse = LocalAverage(grid.shape, grid.voxel_size, sigma)
    full = LocalAverage(grid.shape, grid.voxel_size, sigma, block=1)
    expected = full.power(values)
    difference = coarse.spread(coarse.power(values)) - expected
    assert np.sqrt(np.square(difference).mean()) < 6e-3 * expected.mean()


def test_power_on_the_full_grid_is_the_gaussian_average_of_the_square():
    values = noise()
    local = LocalAverage(GRID.shape, (1.2, 1.1, 1.0), 4.0, block=1)
    expected = ndimage.gaussian_filter(
        values.astype(np.float64) ** 2, (4.0, 4 / 1.1, 4 / 1.2), mode="wrap", truncate=4
    )
    np.testing.assert_allclose(local.power(values), expected, rtol=1e-5)


def test_block_means_of_uneven_blocks_are_means():
    values = noise((13, 10, 9))
    local = LocalAverage(values.shape, (1.0, 1.0, 1.0), 3.0)
    means = local.block_mean(values)
    assert means.shape == (3, 2, 2)
    np.testing.assert_allclose(means.mean(), values.mean(), rtol=1e-5)
    third = (values[:4].sum(axis=0) + values[4] / 3) * 3 / 13
    np.testing.assert_allclose(
        means[0, 1, 1], (third[5:, 5:].sum() + third[5:, 4].sum() / 2) / 5 / 4.5, rtol=1e-5
    )


def test_a_constant_stays_a_constant_when_it_is_spread():
    local = LocalAverage((41, 47, 30), (1.0, 1.0, 1.0), 5.0)
    spread = local.spread(np.full(local.coarse_shape, 2.5, dtype=np.float32))
    np.testing.assert_allclose(spread, 2.5, rtol=1e-6)


def test_planes_of_a_large_box_are_those_of_the_whole(monkeypatch):
    local = LocalAverage((24, 28, 32), (1.0, 1.0, 1.0), 7.0)
    coarse = noise(local.coarse_shape)
    whole = np.maximum(local.spread(coarse), 0.25)
    for small in (0, 1 << 21):
        monkeypatch.setattr("locscale_hybrid.scaling.local_power._SMALL_VOXELS", small)
        planes = local.planes(coarse, 0.25)
        np.testing.assert_allclose(planes.part(slice(5, 12)), whole[5:12], atol=1e-6)
        np.testing.assert_allclose(planes.sparse(2), whole[::2, ::2, ::2], atol=1e-6)


def test_the_relative_slope_is_the_difference_in_b():
    grid = Grid((48, 48, 48), (1.0, 1.0, 1.0))
    bands = BandFilter.of_grid(grid, 20.0)
    reference = bands.gather(noise(grid.shape))
    s2 = np.square(bands.position / 20.0)
    observed = (reference * np.exp(-80.0 / 4 * s2)).astype(np.complex64)
    slope = relative_slope(bands, {"average": observed, "reference": reference}, 2)
    assert slope * 4 * 20.0**2 == pytest.approx(80.0, rel=0.05)


def test_noise_does_not_change_the_relative_slope():
    grid = Grid((48, 48, 48), (1.0, 1.0, 1.0))
    bands = BandFilter.of_grid(grid, 20.0)
    reference = bands.gather(noise(grid.shape))
    signal = reference * np.exp(-80.0 / 4 * np.square(bands.position / 20.0))
    one, two = (0.05 * bands.gather(noise(grid.shape, seed)) for seed in (1, 2))
    slope = relative_slope(
        bands, {"average": signal + one, "difference": two, "reference": reference}, 2
    )
    assert slope * 4 * 20.0**2 == pytest.approx(80.0, rel=0.1)


def test_flattening_undoes_the_slope_and_leaves_the_reference():
    bands = BandFilter.of_grid(GRID, 12.0)
    reference = bands.gather(noise())
    reach = np.minimum(bands.position, bands.n_bands)
    curve = np.exp(-0.02 * np.square(reach)).astype(np.float32)
    coefficients = {"average": reference * curve, "reference": reference.copy()}
    flatten(bands, coefficients, 0.02)
    np.testing.assert_allclose(coefficients["average"], reference, rtol=1e-4, atol=1e-3)
    assert np.array_equal(coefficients["reference"], reference)
