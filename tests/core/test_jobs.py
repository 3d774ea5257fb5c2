"""Job files and records: what is written is read, everything else is one sentence."""

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from locscale_hybrid.cli.job_file import Job, read_job, read_record, write_job
from locscale_hybrid.errors import InputError
from locscale_hybrid.outputs import output_paths
from locscale_hybrid.parameters import HybridInputs, HybridParameters
from locscale_hybrid.resume.changes import require_change
from locscale_hybrid.resume.previous_run import find_previous, require_repeatable

GOOD = {
    "inputs": {"full_map": "/data/full.mrc"},
    "parameters": {"point_group": "D2"},
    "outputs": {"map": "/data/out.mrc"},
}


def refused(tmp_path, values, sentence):
    path = tmp_path / "job.json"
    path.write_text(values if isinstance(values, str) else json.dumps(values))
    with pytest.raises(InputError, match=sentence):
        read_job(path)


def test_job_is_read_as_written(tmp_path):
    job = Job(
        HybridInputs(half_map_1=tmp_path / "é 1.mrc", half_map_2=tmp_path / "2.mrc"),
        HybridParameters(
            point_group="O",
            symmetry_centre=(1.0, 2.0, 3.5),
            outputs=frozenset({"mask", "gain"}),
            window=30.0,
        ),
        output_paths(tmp_path / "out.mrc", report=True, resume=True),
        3,
        tmp_path / "mpiexec",
        "check",
    )
    write_job(tmp_path / "job.json", job)
    assert read_job(tmp_path / "job.json") == job


def test_short_job_has_the_defaults(tmp_path):
    (tmp_path / "job.json").write_text(json.dumps(GOOD))
    job = read_job(tmp_path / "job.json")
    assert job.parameters == HybridParameters(point_group="D2")
    assert job.processes is None
    assert job.action == "run"


def test_relative_paths_count_from_the_file(tmp_path):
    (tmp_path / "job.json").write_text(json.dumps({**GOOD, "inputs": {"full_map": "full.mrc"}}))
    assert read_job(tmp_path / "job.json").inputs.full_map == tmp_path / "full.mrc"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"action": "dance"}, 'action "dance" is unknown: give one of run, check'),
        ({"extra": 1}, "unknown name extra; known are action, inputs"),
        ({"inputs": {"full_map": 3}}, "full_map must be str, not 3"),
        ({"inputs": {"full_map": ""}}, 'full_map is no path: ""'),
        ({"inputs": {"full_map": "\ud800.mrc"}}, r'full_map is no path: "\\ud800.mrc"'),
        ({"inputs": {"full_map": "/data/" + "b" * 300}}, 'full_map is no path: "/data/bbb'),
        ({"parameters": {"window": 10**400}}, "parameter window cannot be 1000"),
        ({"parameters": {"b_steps": 10**400}}, "B steps beyond 1e\\+100 is out of range"),
        ({"parameters": {"seed": -1}}, "seed -1 is out of range. Give 0 to 1000000000"),
        ({"action": "da\nce"}, 'action "da ce" is unknown'),
        ({"action": "a" * 5000}, "aaa … aaa"),
        ({"inputs": {"fullmap": "a"}}, "unknown name fullmap"),
        ({"inputs": {}}, "no map given"),
        ({"inputs": []}, r"inputs must be an object, not \[\]"),
        ({"outputs": {"report": 1}}, "report must be bool, not 1"),
        ({"outputs": {"map": "results/"}}, "output results/ is the name of a folder"),
        ({"processes": True}, "processes must be int, not true"),
        ({"processes": 0}, "0 processes: give 1 or more"),
        ({"parameters": {"seed": "one"}}, 'parameter seed cannot be "one"'),
        ({"parameters": {"complete_model": 1}}, "parameter complete_model cannot be 1"),
        ({"parameters": {"symmetry_centre": [1, 2]}}, r"symmetry_centre cannot be \[1, 2\]"),
        ({"parameters": {"outputs": [1]}}, r"outputs cannot be \[1\]"),
        ({"parameters": {"scaling": "both"}}, 'scaling cannot be "both"'),
        ({"parameters": {"resolution": float("nan")}}, "resolution cannot be NaN"),
        ({"parameters": {"resolution": 0.1}}, "resolution 0.1 Å is out of range"),
        ({"parameters": {"speed": 1}}, "unknown parameter speed"),
    ],
)
def test_what_no_run_can_do_is_refused(tmp_path, change, sentence):
    refused(tmp_path, {**GOOD, **change}, sentence)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is no JSON"),
        ("{", "is no JSON"),
        ("[]", "holds list, not an object: give a job, or the record of a run"),
        ("[" * 100000, "is no JSON"),
    ],
)
def test_what_is_no_job_is_refused(tmp_path, text, sentence):
    refused(tmp_path, text, sentence)


def test_missing_job_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"none.json cannot be read: No such file"):
        read_job(tmp_path / "none.json")


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "job.json").write_bytes(b"\xff\xfe\x00{")
    with pytest.raises(InputError, match="is no JSON"):
        read_job(tmp_path / "job.json")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["map", "full_map", "seed", "outputs", "symmetry_centre", "x"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(inputs=JSON, parameters=JSON, outputs=JSON, processes=JSON)
def test_any_json_is_a_job_or_one_sentence(tmp_path, inputs, parameters, outputs, processes):
    path = tmp_path / "job.json"
    path.write_text(
        json.dumps(
            {"inputs": inputs, "parameters": parameters, "outputs": outputs, "processes": processes}
        )
    )
    try:
        read_job(path)
    except InputError as error:
        assert "\n" not in str(error)


def record_of(tmp_path, **parameters):
    model = tmp_path / "model.pdb"
    model.write_bytes(b"atoms")
    (tmp_path / "full.mrc").write_bytes(b"density")
    values = {
        "schema": "locscale-hybrid-record/1",
        "inputs": {
            "full_map": {
                "path": str(tmp_path / "full.mrc"),
                "sha256": hashlib.sha256(b"density").hexdigest(),
            },
            "model": {"path": str(model), "sha256": hashlib.sha256(b"atoms").hexdigest()},
        },
        "parameters": HybridParameters(**parameters).as_dict(),
        "timings": {},
    }
    path = tmp_path / "out.json"
    path.write_text(json.dumps(values))
    return path


def test_record_gives_inputs_and_parameters(tmp_path):
    recorded = read_record(record_of(tmp_path, point_group="D7", seed=5))
    assert recorded.files == {"full_map": tmp_path / "full.mrc", "model": tmp_path / "model.pdb"}
    assert recorded.parameters["point_group"] == "D7"
    recorded.check("model")
    recorded.check("full_map")


def test_changed_input_of_a_record_is_named(tmp_path):
    recorded = read_record(record_of(tmp_path))
    Path(tmp_path / "model.pdb").write_bytes(b"other atoms")
    recorded.check("full_map")
    with pytest.raises(InputError, match=r"the record's model .*model.pdb has changed: SHA-256"):
        recorded.check("model")


def test_lost_input_of_a_record_is_named(tmp_path):
    recorded = read_record(record_of(tmp_path))
    (tmp_path / "full.mrc").unlink()
    with pytest.raises(InputError, match=r"the record's full map .* cannot be read"):
        recorded.check("full_map")


def test_record_without_paths_is_refused(tmp_path):
    (tmp_path / "out.json").write_text(
        '{"schema": "locscale-hybrid-record/1", "inputs": {"model": {}}, "parameters": {}}'
    )
    with pytest.raises(InputError, match="input model has no path: this is no record"):
        read_record(tmp_path / "out.json")


def changed_record(tmp_path, **change):
    path = record_of(tmp_path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    return path


READERS = pytest.mark.parametrize(
    "read",
    ids=["from", "repeat", "start", "update"],
    argvalues=[
        read_record,
        require_repeatable,
        lambda path: find_previous(
            HybridInputs(full_map=path, previous_record=path), HybridParameters(), None
        ),
        lambda path: require_change(
            HybridInputs(full_map=path, previous_record=path), HybridParameters()
        ),
    ],
)


@READERS
@pytest.mark.parametrize(
    "change",
    [
        {"schema": "another-program/1"},
        {"schema": "other-locscale-hybrid-record/1"},
        {"schema": 1},
        {"schema": None},
        {"schema": "locscale-hybrid-record"},
        {"program": {"name": "relion"}},
    ],
)
def test_record_of_another_program_is_refused(tmp_path, read, change):
    with pytest.raises(
        InputError,
        match=r"out.json is not the record of a run of locscale-hybrid; "
        r"give the .json file that a run wrote with its map",
    ):
        read(changed_record(tmp_path, **change))


@READERS
def test_record_of_another_kind_is_refused_with_both(tmp_path, read):
    with pytest.raises(
        InputError,
        match=r"out.json is a record of kind 99, and this version of "
        "locscale-hybrid reads kind 1; use the version that",
    ):
        read(changed_record(tmp_path, schema="locscale-hybrid-record/99"))
