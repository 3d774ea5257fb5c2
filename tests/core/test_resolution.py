"""The resolution of a run and the text that says how it was found."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.random import default_rng

from locscale_hybrid.errors import InputError
from locscale_hybrid.maps import Grid, Map
from locscale_hybrid.observed import ObservedMaps
from locscale_hybrid.resolution import find_resolution, model_map_fsc
from locscale_hybrid.structure import model_of
from tests.synthetic import box_centre, half_maps, small_model

SHAPE, VOXEL, RESOLUTION = (64, 64, 64), 1.2, 3.6


@pytest.fixture(scope="module")
def case():
    structure = small_model(90, centre=box_centre(SHAPE, VOXEL), b_iso=(30, 60))
    half_1, half_2, _ = half_maps(structure, SHAPE, VOXEL, RESOLUTION, seed=5, blur=60)
    average = half_1.with_values((half_1.values + half_2.values) / 2, "average")
    return ObservedMaps(average, half_1, half_2, "halves"), model_of(structure, "model.cif")


@pytest.fixture(scope="module")
def sphere():
    z, y, x = np.indices(SHAPE) - np.array(SHAPE)[:, None, None, None] // 2
    radius = np.sqrt(z**2 + y**2 + x**2) * VOXEL
    return np.clip((28 - radius) / 8, 0, 1).astype(np.float32)


def one_map(volume, kind="single"):
    return ObservedMaps(volume, None, None, kind)


def test_halves_in_a_mask_give_the_resolution_they_were_made_for(case, sphere):
    found = find_resolution(case[0], mask=sphere)
    assert found.d_min == pytest.approx(RESOLUTION, abs=0.3)
    assert "inside the mask, corrected for it by phase randomisation" in found.origin
    assert found.curves is not None
    assert found.findings == ()


def test_without_a_mask_the_estimate_is_coarser(case, sphere):
    plain = find_resolution(case[0])
    assert plain.d_min > find_resolution(case[0], mask=sphere).d_min + 0.1
    assert plain.origin == "unmasked half-map FSC 0.143"
    assert plain.curves is None


def test_the_result_is_the_same_in_every_run(case, sphere):
    a, b = (find_resolution(case[0], mask=sphere).d_min for _ in range(2))
    assert a == b


def test_what_was_asked_is_taken_and_the_curves_are_still_there(case, sphere):
    found = find_resolution(case[0], asked=4.2, mask=sphere)
    assert (found.d_min, found.origin) == (4.2, "given")
    assert found.curves is not None
    assert find_resolution(case[0], asked=4.2).d_min == 4.2
    assert find_resolution(one_map(case[0].average), asked=5.0, model=case[1]).d_min == 5.0


def test_one_map_is_judged_by_its_model_and_says_that_it_is_an_estimate(case):
    found = find_resolution(one_map(case[0].average), model=case[1])
    assert found.d_min == pytest.approx(RESOLUTION, abs=0.5)
    assert found.origin == "estimated: FSC 0.5 of average with model.cif"
    (finding,) = found.findings
    assert finding.code == "resolution-estimated"
    assert "is an estimate" in finding.message
    assert "-res" in finding.message


def test_pseudo_halves_are_one_map(case):
    pseudo = ObservedMaps(case[0].average, case[0].half_1, case[0].half_2, "pseudo-halves")
    assert find_resolution(pseudo, model=case[1]).origin.startswith("estimated")


def test_part_of_a_model_will_do(case):
    structure = small_model(45, centre=box_centre(SHAPE, VOXEL), b_iso=(30, 60))
    whole, part = case[1], model_of(structure, "part")
    shift = whole.positions[:8] - part.positions[:8]
    moved = replace(part, positions=part.positions + shift.mean(axis=0))
    found = find_resolution(one_map(case[0].average), model=moved)
    assert found.d_min == pytest.approx(RESOLUTION, abs=0.6)


def test_without_a_model_it_is_2_2_voxels_and_a_warning(case):
    found = find_resolution(one_map(case[0].average))
    assert found.d_min == pytest.approx(2.2 * VOXEL)
    (finding,) = found.findings
    assert finding.code == "resolution-unknown"
    assert finding.level == "warning"
    assert "nothing tells the resolution of average" in finding.message
    assert "give it with -res" in finding.message


def noise(seed, name="noise"):
    grid = Grid((48, 48, 48), (1.5, 1.5, 1.5))
    return Map(default_rng(seed).standard_normal(grid.shape).astype(np.float32), grid, name)


def test_a_model_that_does_not_fit_tells_nothing(case):
    volume = Map(noise(1).values, Grid((48, 48, 48), (1.5,) * 3), "noise")
    found = find_resolution(one_map(volume), model=case[1])
    assert found.origin == "2.2 voxels"


def test_halves_of_noise_are_refused_in_a_mask_and_make_one_at_12_angstrom():
    a, b = noise(1, "a.mrc"), noise(2, "b.mrc")
    observed = ObservedMaps(a, a, b, "halves")
    assert find_resolution(observed).d_min == pytest.approx(12.0)
    whole = np.ones(a.grid.shape, np.float32)
    with pytest.raises(InputError, match=r"a.mrc and b.mrc do not correlate.*give the resolution"):
        find_resolution(observed, mask=whole)


def test_a_perfect_model_correlates_up_to_nyquist():
    structure = small_model(45, centre=box_centre((48, 48, 48), 1.5), b_iso=(50, 50.1))
    model = model_of(structure, "model")
    _, _, truth = half_maps(structure, (48, 48, 48), 1.5, 4.0, seed=1)
    curve = model_map_fsc(truth, model)
    assert curve.correlation[1:-1].min() > 0.95
