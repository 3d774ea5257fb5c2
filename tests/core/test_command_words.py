"""The command of the record, read by the command line itself, asks for the same run."""

import dataclasses
from pathlib import Path

import pytest

from locscale_hybrid.cli.request import given_options, request_of
from locscale_hybrid.outputs import output_paths
from locscale_hybrid.parameters import HybridInputs, HybridParameters
from locscale_hybrid.results.command_line import command_words

HALVES = HybridInputs(
    half_map_1=Path("/a b/half 1.mrc"),
    half_map_2=Path("/c/half'2.mrc"),
    model=Path("/d/modèle.cif"),
)


def read_back(words):
    assert words[0] == "locscale"
    options, remarks = given_options(words[1:])
    assert not remarks
    return request_of(options, remarks).job


def test_defaults_need_no_option():
    words = command_words(HALVES, HybridParameters(), output_paths(Path("/out/x.mrc")))
    assert words == [
        "locscale",
        "-hm",
        "/a b/half 1.mrc",
        "/c/half'2.mrc",
        "-mc",
        "/d/modèle.cif",
        "--complete_model",
        "-o",
        "/out/x.mrc",
    ]


EVERYTHING = {
    "complete_model": False,
    "point_group": "D2",
    "symmetry_centre": (31.5, 32.0, 30.25),
    "resolution": 3.3333333333,
    "voxel_size": 1.0499999,
    "model_resolution": 4.5,
    "fdr": 0.001,
    "scaling": "windows",
    "window": 30.1,
    "window_voxels": 23,
    "stride": 3,
    "taper": "hann",
    "weight": "soft",
    "noise_weight": False,
    "refiner": "none",
    "b_steps": 7,
    "b_floor": 15.5,
    "neighbour_tau": 4.2,
    "seed": 12,
    "outputs": frozenset({"localB", "gain", "linear"}),
    "reseed_check": True,
    "validate": True,
    "region": (-17.25, 0.0, 3.125, 20.0, 41.0, 60.5),
}


def test_every_parameter_is_tried():
    assert set(EVERYTHING) == {field.name for field in dataclasses.fields(HybridParameters)}


@pytest.mark.parametrize("name", EVERYTHING)
def test_each_parameter_comes_back(name):
    parameters = HybridParameters(**{name: EVERYTHING[name]})
    outputs = output_paths(Path("/out/x.mrc.gz"), report=True)
    job = read_back(command_words(HALVES, parameters, outputs))
    assert job.inputs == HALVES
    assert job.outputs == outputs
    again = dict(job.parameters.as_dict())
    assert again == parameters.as_dict() or name == "refiner"
    assert job.parameters.refiner == parameters.refiner


def test_record_that_a_run_started_from_comes_back():
    inputs = dataclasses.replace(HALVES, previous_record=Path("/e/first.json"))
    outputs = output_paths(Path("/out/x.mrc"))
    words = command_words(inputs, HybridParameters(), outputs)
    assert words[words.index("--warm_start") + 1] == "/e/first.json"
    assert read_back(words).inputs == inputs


def test_one_map_with_mask_and_weight_comes_back(tmp_path):
    weight = tmp_path / "weight.mrc"
    weight.touch()
    inputs = HybridInputs(full_map=Path("/m.mrc"), mask=Path("/mask.mrc"), weight_map=weight)
    outputs = output_paths(tmp_path / "x.mrc", processing_folder=tmp_path / "work")
    job = read_back(command_words(inputs, HybridParameters(weight="file"), outputs))
    assert (job.inputs, job.outputs, job.parameters.weight) == (inputs, outputs, "file")


def test_paths_mean_the_same_in_every_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = command_words(
        HybridInputs(full_map=Path("m.mrc")), HybridParameters(), output_paths(Path("x.mrc"))
    )
    assert str(tmp_path / "m.mrc") in words
