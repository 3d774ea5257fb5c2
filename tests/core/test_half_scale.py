"""Half maps on two scales, and one masked alone; simulated data."""

import numpy as np
import pytest
from scipy import ndimage

from locscale_hybrid.errors import InputError
from locscale_hybrid.inputs.half_scale import (
    bring_to_one_scale,
    exact_factor,
    half_scale,
    one_half_masked,
)
from locscale_hybrid.maps.grid import Grid, Map
from tests.synthetic import box_centre, half_maps, small_model

SHAPE, VOXEL = (64, 60, 66), 1.2


@pytest.fixture(scope="module")
def halves():
    return half_maps(small_model(centre=box_centre(SHAPE, VOXEL)), SHAPE, VOXEL, 3.4, 3)[:2]


def times(volume, factor, name="scaled"):
    return Map((volume.values * factor).astype(np.float32), volume.grid, name)


def sd_of_noise(halves):
    return float((halves[0].values - halves[1].values).std()) / 2**0.5


def noisier(halves, factor, seed=5):
    """Half map 2 with noise of `factor` times the sd of that of half map 1."""
    rng = np.random.default_rng(seed)
    more = rng.normal(0, sd_of_noise(halves) * np.sqrt(factor**2 - 1), SHAPE)
    return Map((halves[1].values + more).astype(np.float32), halves[1].grid, "noisy")


def mask_of(halves, threshold=0.02):
    """A soft mask around the particle."""
    low = ndimage.gaussian_filter(halves[0].values + halves[1].values, 3, mode="wrap")
    solid = ndimage.binary_dilation(low > threshold * low.max() * 10, iterations=4)
    return np.clip(ndimage.gaussian_filter(solid.astype(np.float32), 2), 0, 1)


@pytest.mark.parametrize("factor", [1.15, 1.5, 2.9, 1 / 1.5])
def test_small_factor_is_taken_out_and_said(halves, factor):
    scaled = times(halves[1], factor)
    (finding,) = bring_to_one_scale(halves[0], scaled, 0)
    assert finding.code == "half-scale"
    assert "the scale of" in finding.message
    assert "Both were brought to one scale for the run" in finding.message
    assert finding.values["factor"] == pytest.approx(factor, rel=0.01)
    assert scaled.values == pytest.approx(halves[1].values, rel=0.01)


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        (10, r"scaled has 9\.9\d* times the scale of half 1, .* divide the first by 9\.9"),
        (1000, r"scaled has 99\d\.?\d* times the scale of half 1"),
        (1e-3, r"half 1 has 1\d\d\d times the scale of scaled"),
        (3.5, r"scaled has 3\.4\d* times the scale of half 1"),
    ],
)
def test_large_factor_is_refused_with_its_value(halves, factor, words):
    with pytest.raises(InputError, match=words):
        bring_to_one_scale(halves[0], times(halves[1], factor), 0)


def test_power_of_two_that_brought_it_into_range_counts_for_the_factor(halves):
    with pytest.raises(InputError, match=r"scaled has 102\d times the scale"):
        bring_to_one_scale(halves[0], times(halves[1], 1.0), 10)
    same = times(halves[1], 2.0**-60)
    assert bring_to_one_scale(halves[0], same, 60) == []
    assert np.array_equal(same.values, halves[1].values)


@pytest.mark.parametrize("factor", [1.0, 1.2, 1.5, 2.0])
def test_noise_of_another_strength_is_not_another_scale(halves, factor):
    second = noisier(halves, factor) if factor > 1 else halves[1]
    before = second.values.copy()
    assert bring_to_one_scale(halves[0], second, 0) == []
    assert np.array_equal(second.values, before)


def test_scale_of_halves_of_unequal_noise_is_that_of_their_signal(halves):
    second = times(noisier(halves, 1.6), 2.0)
    assert exact_factor(halves[0].values, second.values, halves[0].grid) == (
        pytest.approx(2.0, rel=0.04)
    )


def test_halves_that_share_nothing_have_no_scale(halves):
    noise = np.random.default_rng(1).normal(size=(2, *SHAPE)).astype(np.float32)
    assert half_scale(noise[0], noise[1], halves[0].grid) is None
    assert half_scale(halves[0].values, -halves[1].values, halves[0].grid) is None


def test_filter_on_one_half_is_not_a_scale(halves):
    blurred = ndimage.gaussian_filter(halves[1].values, 1.5, mode="wrap")
    found = half_scale(halves[0].values, blurred, halves[0].grid)
    assert not found.differs()


def test_tiny_and_long_boxes_have_a_scale_too():
    rng = np.random.default_rng(2)
    for shape in ((8, 8, 8), (9, 40, 12)):
        values = rng.normal(size=shape).astype(np.float32)
        found = half_scale(values, 2 * values, Grid(shape, (4.0, 4.0, 4.0)))
        assert found is None or found.factor == pytest.approx(2.0)


def test_soft_mask_on_one_half_alone_is_said(halves):
    mask = mask_of(halves)
    masked = Map(halves[0].values * mask, halves[0].grid, "masked")
    (finding,) = one_half_masked(masked, halves[1])
    assert finding.code == "one-half-masked"
    assert finding.message.startswith("masked is masked and half 2 is not, or not alike: ")
    assert finding.message.endswith("without a mask (`half_map_1`, `half_map_2`).")
    assert finding.values["share"] == pytest.approx((mask < 0.14).mean(), abs=0.15)
    (swapped,) = one_half_masked(halves[1], masked)
    assert swapped.message == finding.message


def test_halves_in_masks_that_differ_are_said(halves):
    mask = mask_of(halves)
    other = np.roll(mask, 14, axis=2)
    pair = [
        Map(half.values * soft, half.grid, half.name)
        for half, soft in zip(halves, (mask, other), strict=True)
    ]
    assert [finding.code for finding in one_half_masked(*pair)] == ["one-half-masked"]


def test_halves_in_one_mask_or_of_unequal_noise_are_not_said(halves):
    mask = mask_of(halves)
    assert one_half_masked(*halves) == []
    assert one_half_masked(*(Map(half.values * mask, half.grid) for half in halves)) == []
    assert one_half_masked(halves[0], noisier(halves, 3.0)) == []


def test_halves_that_were_smoothed_are_not_said(halves):
    smooth = [
        Map(ndimage.gaussian_filter(half.values, 3, mode="wrap"), half.grid) for half in halves
    ]
    assert one_half_masked(*smooth) == []
