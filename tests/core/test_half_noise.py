"""Half maps that are none: made on purpose from white noise and a simulated structure."""

import numpy as np
import pytest
from scipy import ndimage

from locscale_hybrid.fourier.space import FourierSpace
from locscale_hybrid.inputs.half_maps import solvent_region
from locscale_hybrid.inputs.half_noise import noise_findings, noise_of_halves
from locscale_hybrid.maps.grid import Grid, Map
from tests.synthetic import box_centre, half_maps, small_model

SHAPE, VOXEL = (64, 64, 64), 1.0


@pytest.fixture(scope="module")
def halves():
    structure = small_model(72, centre=box_centre(SHAPE, VOXEL))
    return half_maps(structure, SHAPE, VOXEL, 3.5, 1, blur=60.0)[:2]


def findings(first, second):
    space = FourierSpace(first.grid)
    pair = space.forward(first.values), space.forward(second.values)
    powers = space.power(pair[0]), space.power(pair[1])
    fsc = space.cross_power(*pair) / np.sqrt(powers[0] * powers[1])
    return {
        finding.code: finding
        for finding in noise_findings(
            ("a.mrc", "b.mrc"),
            noise_of_halves(space, pair, powers, fsc, solvent_region(space.shape)),
        )
    }


def blurred(volume, sigma):
    return volume.with_values(ndimage.gaussian_filter(volume.values, sigma, mode="wrap"))


def test_halves_have_noise_of_their_own(halves):
    assert findings(*halves) == {}


def test_full_map_given_as_a_half_shares_its_noise(halves):
    mean = halves[0].with_values((halves[0].values + halves[1].values) / 2)
    found = findings(halves[0], mean)
    assert set(found) == {"halves-dependent"}
    # the mean of two has half the noise power: n1 (n1 + n2) / 2 over |n1| |(n1 + n2) / 2|
    assert found["halves-dependent"].values["correlation"] == pytest.approx(np.sqrt(0.5), abs=0.02)
    assert "give the two half maps" in found["halves-dependent"].message


@pytest.mark.parametrize(
    "changed",
    [
        lambda volume: blurred(volume, 1.0),
        lambda volume: volume.with_values(3 * volume.values - 2 * blurred(volume, 1.0).values),
    ],
    ids=["filtered", "sharpened"],
)
def test_half_that_was_treated_alone_is_found(halves, changed):
    assert "halves-unlike" in findings(halves[0], changed(halves[1]))


def test_another_scale_is_no_other_treatment(halves):
    assert findings(halves[0], halves[1].with_values(5 * halves[1].values)) == {}


@pytest.mark.parametrize("sigma", [1.0, 1.5, 2.0])
def test_gaussian_filter_of_both_halves_is_found_and_measured(halves, sigma):
    found = findings(*(blurred(half, sigma / VOXEL) for half in halves))
    assert set(found) == {"filtered-input"}
    assert found["filtered-input"].values["sigma_angstrom"] == pytest.approx(sigma, rel=0.15)


def test_binned_halves_are_told_that_the_data_go_further():
    rng = np.random.default_rng(3)
    grid = Grid((48, 48, 48), (2.5, 2.5, 2.5))
    ball = np.linalg.norm(np.indices(grid.shape) - 24, axis=0) < 14
    signal = 3 * rng.standard_normal(grid.shape) * ball
    found = findings(
        *(
            Map((signal + rng.standard_normal(grid.shape)).astype(np.float32), grid)
            for _ in range(2)
        )
    )
    assert set(found) == {"fsc-at-nyquist"} and found["fsc-at-nyquist"].level == "note"
    assert (
        "at 5.00 Å, the finest that their voxels show, so the data may go further"
        in found["fsc-at-nyquist"].message
    )


def test_corners_that_a_mask_has_blanked_tell_nothing():
    rng = np.random.default_rng(4)
    grid = Grid((48, 48, 48), (2.5, 2.5, 2.5))
    distance = np.linalg.norm(np.indices(grid.shape) - 24, axis=0)
    signal, mask = 3 * rng.standard_normal(grid.shape) * (distance < 14), distance < 22
    found = findings(
        *(
            Map(((signal + rng.standard_normal(grid.shape)) * mask).astype(np.float32), grid)
            for _ in range(2)
        )
    )
    assert set(found) == {"fsc-at-nyquist"}
