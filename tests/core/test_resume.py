"""Resuming: the bytes of an undisturbed run, nothing done twice, nothing stale or damaged used."""

import dataclasses
import hashlib
import json
import os
import signal
import stat

import numpy as np
import pytest

from locscale_hybrid import HybridParameters, Progress, output_paths, run_hybrid
from locscale_hybrid.parallel.job_folder import job_folder
from locscale_hybrid.progress import STAGES, Silent
from tests.program import RESOLUTION, Program, make_case

KEPT = ["mask", "pseudo-atoms", "adp", "validation", "scaling"]
PARAMETERS = HybridParameters(resolution=RESOLUTION)


def long(*values):
    """Parameters for the long run alone."""
    return [pytest.param(value, marks=pytest.mark.long) for value in values]


class Stop(Silent):
    """Ends the run when a stage begins."""

    def __init__(self, name):
        self.name = name

    def stage(self, name, index, of):
        if name == self.name:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    return make_case(tmp_path_factory.mktemp("case"))


@pytest.fixture(scope="module")
def undisturbed(case, tmp_path_factory):
    return run_hybrid(
        case.inputs, PARAMETERS, output_paths(tmp_path_factory.mktemp("undisturbed") / "out.mrc")
    )


def resumed(result):
    return [
        finding.code.removeprefix("stage-resumed-")
        for finding in result.findings
        if finding.code.startswith("stage-resumed-")
    ]


def damaged(result):
    return [
        finding.code.removeprefix("stage-damaged-")
        for finding in result.findings
        if finding.code.startswith("stage-damaged-")
    ]


def same_bytes(result, other):
    return (
        result.output.read_bytes() == other.output.read_bytes()
        and result.linear.read_bytes() == other.linear.read_bytes()
    )


def paths(folder, **options):
    return output_paths(folder / "out.mrc", processing_folder=folder / "job", **options)


@pytest.fixture(scope="module")
def finished(case, undisturbed, tmp_path_factory):
    """A job folder that holds all stages."""
    folder = tmp_path_factory.mktemp("finished")
    assert same_bytes(run_hybrid(case.inputs, PARAMETERS, paths(folder)), undisturbed)
    return folder


@pytest.mark.parametrize("stage", STAGES[1:])
def test_run_stopped_before_any_stage_is_resumed_with_the_same_bytes(
    case, undisturbed, tmp_path, stage
):
    with pytest.raises(KeyboardInterrupt):
        run_hybrid(
            case.inputs, PARAMETERS, paths(tmp_path, resume=True), progress=Progress(Stop(stage))
        )
    assert not (tmp_path / "out.mrc").exists()
    assert sorted(p.name for p in (tmp_path / "job").glob("run-*")) == []
    result = run_hybrid(case.inputs, PARAMETERS, paths(tmp_path, resume=True))
    assert same_bytes(result, undisturbed)
    done = {
        "mask": 0,
        "hybrid model": 1,
        "pseudo-atoms": 1,
        "adp": 2,
        "reference": 4,
        "scaling": 4,
        "output": 5,
    }
    assert resumed(result) == KEPT[: done[stage]]


def test_second_run_takes_every_stage(case, undisturbed, finished):
    result = run_hybrid(case.inputs, PARAMETERS, paths(finished, resume=True))
    assert resumed(result) == KEPT
    assert same_bytes(result, undisturbed)


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ({"b_floor": 20.0}, 4),
        ({"b_steps": 2}, 2),
        pytest.param({"weight": "soft"}, 4, marks=pytest.mark.long),
        pytest.param({"seed": 3}, 1, marks=pytest.mark.long),
        pytest.param({"fdr": 0.02}, 0, marks=pytest.mark.long),
    ],
)
def test_changed_parameter_takes_what_does_not_depend_on_it(case, finished, tmp_path, change, kept):
    job = tmp_path / "job"
    copy(finished / "job", job)
    result = run_hybrid(
        case.inputs, dataclasses.replace(PARAMETERS, **change), paths(tmp_path, resume=True)
    )
    assert resumed(result) == KEPT[:kept]
    fresh = run_hybrid(
        case.inputs, dataclasses.replace(PARAMETERS, **change), output_paths(tmp_path / "fresh.mrc")
    )
    assert same_bytes(result, fresh)


def copy(source, target):
    target.mkdir(exist_ok=True)
    for path in source.iterdir():
        if path.is_dir():
            copy(path, target / path.name)
        else:
            (target / path.name).write_bytes(path.read_bytes())


def test_without_resume_nothing_kept_is_used(case, finished, tmp_path):
    copy(finished / "job", tmp_path / "job")
    assert resumed(run_hybrid(case.inputs, PARAMETERS, paths(tmp_path))) == []


@pytest.mark.parametrize("stage", KEPT)
@pytest.mark.parametrize("damage", ["truncated", *long("bit")])
def test_damaged_stage_is_made_anew_and_said(case, undisturbed, finished, tmp_path, stage, damage):
    copy(finished / "job", tmp_path / "job")
    (path,) = (tmp_path / "job/stages").glob(f"{stage}-*.npz")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content if damage == "bit" else content[: len(content) // 2])
    result = run_hybrid(case.inputs, PARAMETERS, paths(tmp_path, resume=True))
    assert damaged(result) == [stage]
    assert resumed(result) == [name for name in KEPT if name != stage]
    assert same_bytes(result, undisturbed)


def forge(path, change):
    """Change the arrays of a kept result and make its checksums sound again."""
    with np.load(path.with_suffix(".npz")) as stored:
        arrays = change({name: stored[name] for name in stored.files})
    np.savez(path.with_suffix(".npz"), **arrays)
    values = json.loads(path.read_text().partition("\n")[2])
    values["arrays"] = hashlib.sha256(path.with_suffix(".npz").read_bytes()).hexdigest()
    text = json.dumps(values, sort_keys=True)
    path.write_text(f"{hashlib.sha256(text.encode()).hexdigest()}\n{text}\n")


def with_nan(arrays):
    return {
        name: np.full_like(array, np.nan) if array.dtype.kind == "f" else array
        for name, array in arrays.items()
    }


def cut_short(arrays):
    return {**arrays, "array0": arrays["array0"][:-1]}


def of_another_kind(arrays):
    return {
        name: array.astype(np.int64) if array.dtype.kind == "f" else array
        for name, array in arrays.items()
    }


FORGERIES = [with_nan, cut_short, of_another_kind]


@pytest.mark.parametrize("change", FORGERIES)
def test_stages_with_sound_checksums_and_unsound_values_are_made_anew(
    case, undisturbed, finished, tmp_path, change
):
    copy(finished / "job", tmp_path / "job")
    for path in (tmp_path / "job/stages").glob("*.json"):
        forge(path, change)
    result = run_hybrid(case.inputs, PARAMETERS, paths(tmp_path, resume=True))
    assert damaged(result) == KEPT
    assert same_bytes(result, undisturbed)


def test_pipe_in_place_of_a_kept_stage_is_not_waited_for(case, undisturbed, finished, tmp_path):
    copy(finished / "job", tmp_path / "job")
    stages = sorted((tmp_path / "job/stages").iterdir())
    for path in stages[::2]:
        path.unlink()
        os.mkfifo(path)
    result = run_hybrid(case.inputs, PARAMETERS, paths(tmp_path, resume=True))
    assert damaged(result) == KEPT
    assert same_bytes(result, undisturbed)
    assert all(path.is_file() for path in stages)


def test_processing_folder_keeps_what_a_person_looks_at(finished):
    names = sorted(path.name for path in (finished / "job").iterdir())
    assert names == ["hybrid_model.cif", "mask.mrc", "reference.mrc", "stages"]
    assert stat.S_IMODE((finished / "job").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "options",
    [
        {"complete_model": False},
        {"point_group": "C2"},
        *long({"refiner": "none"}, {"reseed_check": True}),
        {"outputs": frozenset({"gain", "resolution", "halves", "localB", "provenance", "model"})},
    ],
)
def test_every_kind_of_run_can_be_resumed(case, tmp_path, options):
    parameters = dataclasses.replace(PARAMETERS, **options)
    first = run_hybrid(case.inputs, parameters, paths(tmp_path, resume=True))
    fresh = {name: path.read_bytes() for name, path in first.files.items()}
    before = first.output.read_bytes()
    second = run_hybrid(case.inputs, parameters, paths(tmp_path, resume=True))
    assert "scaling" in resumed(second)
    assert second.output.read_bytes() == before
    assert {name: path.read_bytes() for name, path in second.files.items()} == fresh


def test_one_map_and_no_model_can_be_resumed(case, tmp_path):
    inputs = dataclasses.replace(
        case.inputs, half_map_1=None, half_map_2=None, model=None, full_map=case.inputs.half_map_1
    )
    first = run_hybrid(inputs, PARAMETERS, paths(tmp_path, resume=True)).output.read_bytes()
    second = run_hybrid(inputs, PARAMETERS, paths(tmp_path, resume=True))
    assert resumed(second) == ["mask", "pseudo-atoms", "adp", "scaling"]
    assert second.output.read_bytes() == first


def test_folder_of_a_killed_run_goes_and_that_of_a_living_one_stays(tmp_path):
    outputs = output_paths(tmp_path / "out.mrc", processing_folder=tmp_path / "job")
    for name in ("run-dead", "run-dead-at-once"):
        (tmp_path / "job" / name).mkdir(parents=True)
    for name in ("in_use", "powers.npy"):
        (tmp_path / "job/run-dead" / name).touch()
    with job_folder(outputs) as living:
        assert list((tmp_path / "job").iterdir()) == [living]
        with job_folder(outputs) as other:
            assert living.is_dir()
            assert other != living
            assert stat.S_IMODE(other.stat().st_mode) == 0o700
    assert list((tmp_path / "job").iterdir()) == []


@pytest.mark.parametrize("stage", ["scaling", *long(*STAGES[:6], STAGES[7])])
def test_killed_program_is_resumed_with_the_same_bytes(case, undisturbed, tmp_path, stage):
    words = [*case.words, "-o", tmp_path / "out.mrc", "--resume", "-np", 1]
    with Program(*words) as program:
        program.until(stage)
        program.process.send_signal(signal.SIGKILL)
        assert program.end() == -signal.SIGKILL
    with Program(*words) as program:
        assert program.end() == 0
    assert (tmp_path / "out.mrc").read_bytes() == undisturbed.output.read_bytes()
    assert sorted(path.name for path in (tmp_path / "out_locscale").iterdir()) == [
        "hybrid_model.cif",
        "mask.mrc",
        "reference.mrc",
        "stages",
    ]
