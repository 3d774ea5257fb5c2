"""The resolution of a run and the text that says how it was found."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.random import default_rng

from locscale_hybrid.errors import InputError
from locscale_hybrid.fourier.space import FourierSpace
from locscale_hybrid.inputs.half_maps import ObservedMaps, observe_one
from locscale_hybrid.maps.grid import Grid, Map
from locscale_hybrid.maps.mrc import read_map
from locscale_hybrid.masking.mask import confidence_mask
from locscale_hybrid.masking.resolution import find_resolution, model_map_fsc, solvent_fsc
from locscale_hybrid.model.structure import model_of, read_model
from locscale_hybrid.remedies import give
from tests.synthetic import box_centre, half_maps, small_model

DATA = Path(__file__).parents[1] / "data"
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
    assert finding.remedies == (give("resolution", when="if you know it"),)


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
    assert (
        "the resolution of average is unknown: 2.64 Å is used, 2.2 voxels of 1.2 Å"
        in finding.message
    )
    assert finding.remedies == (give("resolution"),)


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


def with_a_mask(observed):
    return confidence_mask(observed, fdr=0.01, resolution=RESOLUTION).soft


@pytest.fixture(scope="module")
def tenth():
    """Simulated: one map in fine voxels, as EMD-11007; a model of a tenth that is elsewhere."""
    shape, voxel = (100, 100, 100), 0.8
    structure = small_model(90, centre=box_centre(shape, voxel), b_iso=(30, 60))
    first, second, _ = half_maps(structure, shape, voxel, RESOLUTION, seed=5, blur=60)
    full = first.with_values((first.values + second.values) / 2, "full.mrc")
    part = structure.clone()
    while len(part[0][0]) > 9:
        del part[0][0][len(part[0][0]) - 1]
    for site in part[0].all():
        site.atom.pos.x += 3.0
    return full, model_of(part, "tenth.cif")


def test_one_map_whose_model_tells_nothing_is_as_fine_as_its_signal_over_the_noise(tenth):
    full, model = tenth
    observed = observe_one(full, default_rng(1))
    assert not np.isfinite(model_map_fsc(full, model).resolution(0.5))
    found = find_resolution(observed, mask=with_a_mask(observed), model=model)
    assert found.d_min == pytest.approx(RESOLUTION, abs=0.2)
    assert found.origin == "estimated: signal of full.mrc over the noise of its solvent"
    (finding,) = found.findings
    assert finding.code == "resolution-estimated"
    assert "signal of full.mrc falls below a third of the noise in its solvent" in finding.message


def test_the_fsc_by_solvent_noise_is_that_of_the_halves(case):
    halves = case[0]
    one = observe_one(halves.average, default_rng(1))
    mask = with_a_mask(one)
    told = find_resolution(halves, mask=mask).curves
    curve = solvent_fsc(one, mask)
    used = curve.frequency > 0.08  # coarser shells are few
    assert curve.correlation[used] == pytest.approx(told.corrected.correlation[used], abs=0.12)


@pytest.mark.parametrize("left", [0.3, 0.6])
def test_flattened_solvent_says_nothing_and_the_model_is_asked(case, left):
    volume, model = case[0].average, case[1]
    far = find_resolution(case[0]).d_min
    near = with_a_mask(observe_one(volume, default_rng(1))) > 0.5
    flat = volume.with_values(np.where(near, volume.values, left * volume.values), "flat")
    observed = observe_one(flat, default_rng(1))
    found = find_resolution(observed, mask=near.astype(np.float32), model=model)
    assert found.origin.startswith("estimated: FSC 0.5")
    assert found.d_min < far + 0.5


def test_a_model_that_fits_to_the_last_shell_is_not_said_to_fall_below():
    structure = small_model(45, centre=box_centre((48, 48, 48), 1.5), b_iso=(50, 50.1))
    _, _, truth = half_maps(structure, (48, 48, 48), 1.5, 4.0, seed=1)
    found = find_resolution(one_map(truth), model=model_of(structure, "model"))
    assert found.d_min == pytest.approx(3.0, abs=0.05)
    finding = found.findings[0]
    assert "falls below" not in finding.message
    assert (
        "the finest that its voxels show: the FSC of the map with model is still 0.9"
        in finding.message
    )


def test_real_apoferritin_is_found_sharpened_at_the_resolution_that_its_model_tells():
    # EMD-20026, sharpened by its authors; no solvent
    observed = observe_one(read_map(DATA / "emd20026_O_1.3A.mrc.gz"), default_rng(1))
    found = find_resolution(
        observed,
        mask=np.ones(observed.average.grid.shape, np.float32),
        model=read_model(DATA / "3ajo_chainA.pdb.gz"),
    )
    warning = next(f for f in found.findings if f.code == "sharpened-input")
    assert warning.values["wilson_b"] < 10
    assert "looks sharpened: its Wilson B is" in warning.message


def test_one_sharpened_map_is_found_by_what_its_solvent_tells():
    structure = small_model(90, centre=box_centre(SHAPE, VOXEL), b_iso=(30, 60))
    pair = half_maps(structure, SHAPE, VOXEL, RESOLUTION, seed=5, blur=15)[:2]
    volume = pair[0].with_values((pair[0].values + pair[1].values) / 2)
    mask, space = with_a_mask(observe_one(volume, default_rng(1))), FourierSpace(volume.grid)
    for b, expected in ((0.0, []), (57.0, ["sharpened-input"])):
        sharp = space.backward(
            space.forward(volume.values) * np.exp(b / 4 * space.s_squared).astype(np.float32)
        )
        observed = observe_one(volume.with_values(sharp, "sharp"), default_rng(1))
        found = find_resolution(observed, mask=mask)
        assert found.d_min == pytest.approx(RESOLUTION, abs=0.3)
        assert [f.code for f in found.findings if f.level == "warning"] == expected


def test_halves_whose_fsc_never_falls_are_not_said_to_cross():
    structure = small_model(90, centre=box_centre(SHAPE, 1.8), b_iso=(30, 60))
    pair = half_maps(structure, SHAPE, 1.8, 3.2, seed=5, blur=20)[:2]
    found = find_resolution(ObservedMaps(pair[0], *pair, "halves"), mask=np.ones(SHAPE, np.float32))
    assert found.d_min == pytest.approx(3.6, abs=0.05)
    assert "the finest that the voxels show" in found.origin
    assert "stays above 0.143" in found.origin
