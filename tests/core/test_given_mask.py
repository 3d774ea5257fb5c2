"""Masks that a user gives: threshold, overshoot, inverted, misplaced; simulated data."""

import numpy as np
import pytest
from scipy import ndimage

from locscale_hybrid.errors import InputError
from locscale_hybrid.inputs.half_maps import solvent_region
from locscale_hybrid.maps.given_mask import checked_mask, inside
from locscale_hybrid.maps.grid import Map
from tests.synthetic import box_centre, half_maps, small_model

SHAPE, VOXEL = (40, 42, 44), 1.3
CORNERS = solvent_region(SHAPE)


@pytest.fixture(scope="module")
def case():
    """A half map, and a mask of its particle with a soft edge."""
    half, _, truth = half_maps(
        small_model(30, centre=box_centre(SHAPE, VOXEL)), SHAPE, VOXEL, 3.4, 3
    )
    low = ndimage.gaussian_filter(truth.values, 2, mode="wrap")
    solid = ndimage.binary_dilation(low > 0.1 * low.max(), iterations=3)
    # gaussian_filter leaves sums of 1 + 1e-7
    soft = np.clip(ndimage.gaussian_filter(solid.astype(np.float32), 1.5), 0, 1)
    return half, soft


def checked(case, values):
    given = Map(values.astype(np.float32), case[0].grid, "mine.mrc")
    return checked_mask(given, case[0], CORNERS)


def test_mask_of_the_particle_is_taken_as_it_is(case):
    values, findings = checked(case, case[1])
    assert findings == []
    assert values == pytest.approx(case[1], abs=1e-6)


def test_half_is_inside():
    assert inside(np.array([0.0, 0.49999, 0.5, 1.0], np.float32)).tolist() == [
        False,
        False,
        True,
        True,
    ]


@pytest.mark.parametrize("highest", [0.5, 0.7, 0.95])
def test_mask_that_does_not_reach_1_is_that_which_does(case, highest):
    values, (note,) = checked(case, case[1] * highest)
    assert values == pytest.approx(case[1], abs=1e-6)
    assert (note.code, note.level) == ("mask-raised", "note")
    assert f"mask mine.mrc reaches {highest:g} and not 1. It was divided by that" in note.message


def test_mask_below_a_half_is_empty(case):
    with pytest.raises(InputError, match=r"mine.mrc is empty: no voxel reaches 0\.5"):
        checked(case, np.minimum(case[1], 0.4999))


@pytest.mark.parametrize("overshoot", [0.02, 0.2])
def test_overshoot_of_interpolation_is_cut_off_and_said(case, overshoot):
    ripple = np.where((np.indices(SHAPE).sum(axis=0) % 2) == 0, overshoot, -overshoot)
    values, (note,) = checked(case, case[1] + ripple * (np.abs(case[1] - 0.5) > 0.49))
    assert (note.code, note.level) == ("mask-clipped", "note")
    assert f"runs from -{overshoot:g} to {1 + overshoot:g}, as interpolation leaves it" in (
        note.message
    )
    assert (values.min(), values.max()) == (0, 1)
    assert np.array_equal(inside(values), inside(case[1]))


def test_rounding_is_not_worth_a_word(case):
    assert checked(case, case[1] * 1.005 - 0.004)[1] == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda mask: 255 * mask, "runs from 0 to 255; a mask runs from 0 to 1. Divide it by 255"),
        (lambda mask: 3 * mask - 1, "runs from -1 to 2; .*Give another mask"),
        (lambda mask: np.where(mask > 0.5, np.nan, 0), "runs from nan to nan"),
    ],
)
def test_what_does_not_run_from_0_to_1_is_refused(case, change, words):
    with pytest.raises(InputError, match=words):
        checked(case, change(case[1]))


def test_density_of_about_that_range_is_no_mask(case):
    density = case[0].values / case[0].values.max() * 1.2
    with pytest.raises(InputError, match="without a plateau at 1, so it looks like a density map"):
        checked(case, np.maximum(density, -0.2))


@pytest.mark.parametrize("soft", [True, False])
def test_inverted_mask_is_refused_as_such(case, soft):
    mask = case[1] if soft else inside(case[1]).astype(float)
    with pytest.raises(
        InputError,
        match=r"mine.mrc looks inverted: it takes \d+% of the corners "
        r"of the box and 0% of the strongest density. Give 1 minus the mask",
    ):
        checked(case, 1 - mask)


@pytest.mark.parametrize("shift", [(20, 21, 22), (20, 21, 0), (0, 21, 22)])
def test_mask_of_another_place_is_said(case, shift):
    _, (finding,) = checked(case, np.roll(case[1], shift, (0, 1, 2)))
    assert (finding.code, finding.level) == ("mask-misses-density", "warning")
    assert "mask mine.mrc leaves out the density: " in finding.message
    assert finding.message.endswith("Give the mask of this map (`mask`).")


def test_mask_of_a_part_of_the_particle_is_not_worth_a_word(case):
    part = case[1].copy()
    part[:, :, : SHAPE[2] // 2] = 0
    assert checked(case, part)[1] == []
    assert checked(case, case[1] - part)[1] == []


@pytest.mark.parametrize("value", [1.0, 0.5, 0.8])
def test_mask_of_ones_is_the_whole_box(case, value):
    values, findings = checked(case, np.full(SHAPE, value))
    assert (values == 1).all()
    assert findings[-1].code == "mask-whole-box"
    assert "is 1 everywhere, so the whole box is used" in findings[-1].message
