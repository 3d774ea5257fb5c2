"""Keys of stages: a change reaches the stage that uses it and all after, and none before."""

import dataclasses

import pytest

from locscale_hybrid.parameters import HybridInputs, HybridParameters
from locscale_hybrid.resume import keys as keys_module
from locscale_hybrid.resume.keys import KEPT_STAGES, stage_keys

CHANGES = {
    "voxel_size": 1.1,
    "resolution": 3.0,
    "fdr": 0.02,
    "complete_model": False,
    "point_group": "C2",
    "symmetry_centre": (1.0, 2.0, 3.0),
    "seed": 2,
    "refiner": "none",
    "b_steps": 4,
    "neighbour_tau": 8.0,
    "b_floor": 20.0,
    "model_resolution": 5.0,
    "scaling": "windows",
    "window": 30.0,
    "window_voxels": 21,
    "stride": 2,
    "taper": "hann",
    "weight": "soft",
    "noise_weight": False,
    "region": (0.0, 0.0, 0.0, 9.0, 9.0, 9.0),
}
FIRST = {
    "mask": ["voxel_size", "resolution", "fdr"],
    "pseudo-atoms": ["complete_model", "point_group", "symmetry_centre", "seed"],
    "adp": ["refiner", "b_steps", "neighbour_tau"],
    "scaling": [
        "b_floor",
        "model_resolution",
        "scaling",
        "window",
        "window_voxels",
        "stride",
        "taper",
        "weight",
        "noise_weight",
        "region",
    ],
}


@pytest.fixture
def inputs(tmp_path):
    paths = {
        name: tmp_path / name
        for name in ("half_map_1", "half_map_2", "model", "mask", "weight_map")
    }
    for name, path in paths.items():
        path.write_text(name)
    return HybridInputs(**paths)


def changed(before, after):
    return [stage for stage in KEPT_STAGES if before[stage] != after[stage]]


def from_stage(stage):
    return list(KEPT_STAGES[KEPT_STAGES.index(stage) :])


def keys(inputs, kind="halves", **values):
    return stage_keys(inputs, HybridParameters(**values), kind)


def test_every_parameter_has_its_place():
    names = {field.name for field in dataclasses.fields(HybridParameters)}
    assert names == set(keys_module._FIRST_USED) - {"scaling outputs"} | set(keys_module._ELSEWHERE)
    assert names - {"outputs", "reseed_check", "validate"} == set(CHANGES)


def test_equal_runs_have_equal_keys_whatever_their_files_are_called(inputs, tmp_path):
    moved = tmp_path / "moved"
    inputs.half_map_1.rename(moved)
    assert keys(dataclasses.replace(inputs, half_map_1=moved)) == keys(
        dataclasses.replace(inputs, half_map_1=moved)
    )
    before = keys(dataclasses.replace(inputs, half_map_1=moved))
    moved.rename(inputs.half_map_1)
    assert keys(inputs) == before


@pytest.mark.parametrize(
    ("stage", "name"), [(stage, name) for stage, names in FIRST.items() for name in names]
)
def test_changed_parameter_reaches_exactly_what_depends_on_it(inputs, stage, name):
    assert changed(keys(inputs), keys(inputs, **{name: CHANGES[name]})) == from_stage(stage)


@pytest.mark.parametrize(
    ("stage", "name"),
    [
        ("mask", "half_map_1"),
        ("mask", "half_map_2"),
        ("mask", "mask"),
        ("pseudo-atoms", "model"),
        ("scaling", "weight_map"),
    ],
)
def test_changed_file_reaches_exactly_what_depends_on_it(inputs, stage, name):
    before = keys(inputs)
    inputs.files[name].write_text("other")
    assert changed(before, keys(inputs)) == from_stage(stage)


def test_model_and_seed_reach_the_mask_where_there_is_one_map(inputs):
    one = dataclasses.replace(inputs, half_map_1=None, half_map_2=None, full_map=inputs.half_map_1)
    before = keys(one, "pseudo-halves")
    assert changed(before, keys(one, "pseudo-halves", seed=2)) == list(KEPT_STAGES)
    inputs.model.write_text("other")
    assert changed(before, keys(one, "pseudo-halves")) == list(KEPT_STAGES)


def test_files_that_are_only_written_change_nothing(inputs):
    assert keys(inputs) == keys(inputs, outputs=frozenset({"halves", "mask", "model"}))
    assert keys(inputs) == keys(inputs, reseed_check=True)


def test_maps_that_scaling_makes_reach_scaling(inputs):
    assert changed(keys(inputs), keys(inputs, outputs=frozenset({"gain"}))) == from_stage("scaling")


def test_seed_changes_nothing_where_no_pseudo_atom_is_placed(inputs):
    assert keys(inputs, complete_model=False) == keys(inputs, complete_model=False, seed=9)


def test_earlier_run_reaches_the_pseudo_atoms_and_validation_the_refinement(inputs, tmp_path):
    record = tmp_path / "first.json"
    record.write_text("first")
    update = dataclasses.replace(inputs, previous_record=record)
    before = keys(update)
    assert changed(keys(inputs), before) == from_stage("pseudo-atoms")
    assert changed(before, keys(update, validate=True)) == from_stage("adp")
    assert keys(inputs) == keys(inputs, validate=True)  # a full run is always validated
    record.write_text("second")
    assert changed(before, keys(update)) == from_stage("pseudo-atoms")


def test_window_in_angstrom_is_idle_beside_one_in_voxels(inputs):
    assert keys(inputs, window_voxels=21) == keys(inputs, window_voxels=21, window=40.0)


def test_other_version_of_the_program_uses_nothing(inputs, monkeypatch):
    before = keys(inputs)
    monkeypatch.setattr(keys_module, "__version__", "99")
    assert changed(before, keys(inputs)) == list(KEPT_STAGES)
