"""Updates: an edited model starts from the hybrid model of an earlier run, or says why not.

All data are simulated.
"""

import dataclasses
import json
import shutil
from importlib.resources import files

import gemmi
import jsonschema
import mrcfile
import numpy as np
import pytest
from scipy.spatial import cKDTree

from locscale_hybrid import HybridParameters, InputError, output_paths, run_hybrid
from locscale_hybrid.cli.main import main
from locscale_hybrid.cli.request import given_options, request_of
from locscale_hybrid.model.structure import read_model
from locscale_hybrid.parallel.pool import ProcessExecutor
from locscale_hybrid.results.report.text import caveats, deeds, table_rows
from locscale_hybrid.resume.changes import is_unchanged
from locscale_hybrid.resume.previous_run import PreviousRun, find_previous, require_repeatable
from tests.program import RESOLUTION, make_case

PARAMETERS = HybridParameters(resolution=RESOLUTION, outputs=frozenset({"model", "mask"}))
TAKEN_OUT = range(8, 12)  # residues


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    return make_case(tmp_path_factory.mktemp("case"))


@pytest.fixture(scope="module")
def edited(case):
    """The inputs with a model that lacks four residues."""
    structure = gemmi.read_structure(str(case.inputs.model))
    chain = structure[0][0]
    for place in reversed(TAKEN_OUT):
        del chain[place]
    path = case.folder / "edited.cif"
    structure.make_mmcif_document().write_file(str(path))
    return dataclasses.replace(case.inputs, model=path)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Runs the pipeline in a folder of its own; called with a name, inputs and changes."""

    def run(name, inputs, executor=None, report=False, **changes):
        folder = tmp_path_factory.mktemp(name)
        return run_hybrid(
            inputs,
            dataclasses.replace(PARAMETERS, **changes),
            output_paths(folder / f"{name}.mrc", report=report),
            executor=executor,
        )

    return run


@pytest.fixture(scope="module")
def first(case, made):
    return made("first", case.inputs)


@pytest.fixture(scope="module")
def again(edited, first):
    return dataclasses.replace(edited, previous_record=first.record)


@pytest.fixture(scope="module")
def update(again, made):
    return made("update", again, report=True)


def record_of(result):
    return json.loads(result.record.read_text())


def values(result):
    with mrcfile.open(result.linear) as opened:
        return opened.data.astype(np.float64)


def codes(result):
    return [finding.code for finding in result.findings]


def message(result, code):
    return next(finding.message for finding in result.findings if finding.code == code)


def atoms(result):
    return read_model(result.files["model"], keep_pseudo_atoms=True)


def test_update_differs_from_a_full_run_no_more_than_two_seeds_do(edited, made, update):
    full, other = made("full", edited), made("other", edited, seed=2)
    with mrcfile.open(full.files["mask"]) as opened:
        inside = opened.data > 0.5
    expected = values(full)[inside]
    of_seed, of_update = (
        np.sqrt(np.mean((values(result)[inside] - expected) ** 2)) for result in (other, update)
    )
    # the pseudo-atoms of an update have had one more round of steps than those of a full run
    assert of_update < 2 * of_seed
    assert of_update < 0.1 * expected.std()


def test_pseudo_atoms_stay_where_they_were_and_fill_what_the_model_gave_up(case, first, update):
    before, now = atoms(first), atoms(update)
    moved = cKDTree(now.positions[now.is_pseudo]).query(before.positions[before.is_pseudo])[0]
    assert np.median(moved) < 0.5
    number = record_of(update)["update"]["pseudo_atoms"]
    assert number["kept"] + number["added"] == now.is_pseudo.sum()
    assert number["kept"] + number["dropped"] == before.is_pseudo.sum()
    gone = [
        atom.pos.tolist()
        for place in TAKEN_OUT
        for atom in gemmi.read_structure(str(case.inputs.model))[0][0][place]
    ]
    assert number["added"] == pytest.approx(len(gone), rel=0.5)
    assert np.median(cKDTree(now.positions[now.is_pseudo]).query(gone)[0]) < 1.5


def test_grown_model_takes_the_place_of_pseudo_atoms(case, again, update, made):
    """The residues are put back, in an update of the update."""
    back = made("back", dataclasses.replace(case.inputs, previous_record=update.record))
    now, number = atoms(back), record_of(back)["update"]["pseudo_atoms"]
    assert number["dropped"] > 0.5 * record_of(update)["update"]["pseudo_atoms"]["added"]
    model = now.positions[~now.is_pseudo]
    assert cKDTree(model).query(now.positions[now.is_pseudo])[0].min() > 1.2
    assert record_of(back)["update"]["updates_since_full_run"] == 2


def test_validation_of_the_earlier_run_is_told_as_such(first, update):
    before, now = record_of(first), record_of(update)
    free = before["adp"]["refined_on_half_map_1"]["fsc_free"]
    assert now["adp"]["refined_on_half_map_1"] is None and not now["adp"]["validated"]
    assert now["adp"]["tau_square_angstrom"] == before["adp"]["tau_square_angstrom"]
    assert now["update"]["earlier_validation"]["fsc_free"] == free
    assert (
        now["update"]["earlier_validation"]["record_sha256"]
        == now["inputs"]["previous_record"]["sha256"]
    )
    said = message(update, "update")
    assert "was not cross-validated against half map 2" in said
    assert f"free FSC of {free:.3f} is that of the earlier one" in said
    assert "adp-not-validated" not in codes(update)
    assert said.startswith(dict(update.summary)["update"]) and "FSC of the model" not in dict(
        update.summary
    )
    with mrcfile.open(update.output) as opened:
        labels = opened.get_labels()
    assert any("NOT VALIDATED" in label for label in labels)
    assert "update of an earlier run" in labels


def test_report_says_what_is_stale(update):
    record = record_of(update)
    assert any("was not cross-validated" in text for text in caveats(record))
    assert not any("work and free curves" in text for text in caveats(record))
    assert any("of the earlier run that this one updates" in text for text in deeds(record))
    assert "of its pseudo-atoms stay" in dict(table_rows(record))["update"]
    assert "was not cross-validated" in update.files["report"].read_text()


def test_validation_is_repeated_where_asked(again, made, update):
    result = made("validated", again, validate=True)
    adp = record_of(result)["adp"]
    assert adp["validated"] and adp["refined_on_half_map_1"]["fsc_free"] > 0
    assert "it was cross-validated against half map 2" in message(result, "update")


def test_record_of_an_update_keeps_to_the_schema(update, first):
    schema = json.loads(files("locscale_hybrid").joinpath("record_schema.json").read_text("utf-8"))
    for result in (first, update):
        jsonschema.Draft202012Validator(schema).validate(record_of(result))


def test_same_bytes_again_and_for_two_processes(again, made, update, tmp_path):
    with ProcessExecutor(2) as executor:
        result = made("update", again, executor)
    for name in ("output", "linear"):
        assert getattr(result, name).read_bytes() == getattr(update, name).read_bytes()
    assert result.files["model"].read_bytes() == update.files["model"].read_bytes()


def job(*words):
    return request_of(*given_options([str(word) for word in words])).job


def test_option_takes_over_what_the_earlier_run_was_asked_for(first, edited, again):
    asked = job("--update", first.record, "-mc", edited.model, "-o", "second.mrc")
    assert asked.inputs == again
    assert asked.parameters == PARAMETERS


def test_record_of_an_update_repeats_it(update, again):
    repeated = job("--from", update.record, "-o", "third.mrc")
    assert (repeated.inputs, repeated.parameters) == (again, PARAMETERS)


def test_update_cannot_be_repeated_without_what_it_started_from(first, update, tmp_path):
    copy = tmp_path / "first.json"
    shutil.copyfile(first.record, copy)
    record = record_of(first)
    require_repeatable(copy)
    record["hybrid_model"]["file"]["path"] = str(tmp_path / "lost.cif")
    copy.write_text(json.dumps(record))
    with pytest.raises(
        InputError,
        match=r"cannot be repeated .*lost\.cif is missing or has "
        "changed",
    ):
        require_repeatable(copy)
    later = record_of(update)
    later["inputs"]["previous_record"]["path"] = str(copy)
    (tmp_path / "later.json").write_text(json.dumps(later))
    with pytest.raises(InputError, match=r"record's previous record .* has changed"):
        job("--from", tmp_path / "later.json")


def test_two_records_to_begin_with_are_refused(first):
    with pytest.raises(InputError, match="leave --from and --warm_start out"):
        job("--update", first.record, "--from", first.record)


def test_record_of_the_earlier_run_is_not_written_over(first, again, edited):
    with pytest.raises(InputError, match=r"is also the input previous record\. Give another name"):
        run_hybrid(again, PARAMETERS, output_paths(first.output))


def test_hybrid_model_is_found_beside_a_record_that_was_moved(first, again, tmp_path):
    record = record_of(first)
    record["hybrid_model"]["file"]["path"] = "/nowhere/first_model.cif"
    (tmp_path / "first.json").write_text(json.dumps(record))
    shutil.copyfile(first.files["model"], tmp_path / "first_model.cif")
    moved = dataclasses.replace(again, previous_record=tmp_path / "first.json")
    found = find_previous(moved, PARAMETERS, read_model(moved.model))
    assert isinstance(found, PreviousRun) and found.is_pseudo.sum() == atoms(first).is_pseudo.sum()


def without(result, tmp_path, *names):
    """A copy of the record without a value deep in it."""
    record = record_of(result)
    inner = record
    for name in names[:-1]:
        inner = inner[name]
    inner[names[-1]] = None
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(record))
    return path


def test_run_that_kept_no_hybrid_model_is_no_start(first, again, tmp_path):
    inputs = dataclasses.replace(
        again, previous_record=without(first, tmp_path, "hybrid_model", "file")
    )
    found = find_previous(inputs, PARAMETERS, read_model(inputs.model))
    assert found.message == (
        "the hybrid model is built from the start and not as an update of changed.json, because "
        "that run kept no hybrid model. Set `outputs` to model in full runs, to make updates quick."
    )


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"point_group": "C2"}, "point group was C1 and is C2"),
        ({"seed": 3}, "seed was 1 and is 3"),
        ({"resolution": 4.0}, "the resolution was 3.4 Å and is 4 Å"),
        (
            {"resolution": None, "seed": 3},
            "the resolution was 3.4 Å and is the one found in the maps, the seed was 1 and is 3",
        ),
        (
            {"symmetry_centre": (1.0, 2.0, 3.5)},
            "symmetry was the middle of the box and is 1, 2, 3.5",
        ),
        ({"complete_model": False}, "the completion by pseudo-atoms was on and is off"),
        ({"refiner": "none"}, "refiner was own and is none"),
    ],
)
def test_other_parameters_of_the_hybrid_model_are_no_start(again, changes, text):
    parameters = dataclasses.replace(PARAMETERS, **changes)
    found = find_previous(again, parameters, read_model(again.model))
    assert found.code == "full-run" and text in found.message


@pytest.mark.parametrize("changes", [{"weight": "soft"}, {"b_floor": 30.0}, {"window": 30.0}])
def test_other_scaling_is_no_hindrance(again, changes):
    parameters = dataclasses.replace(PARAMETERS, **changes)
    assert isinstance(find_previous(again, parameters, read_model(again.model)), PreviousRun)


@pytest.mark.parametrize("taken", ["coordinate-errors", "shifts-one-way", ""])
def test_shifts_that_half_map_2_gained_from_are_taken_over(first, again, tmp_path, taken):
    record = record_of(first)
    record["findings"] = [{"code": taken}] if taken else []
    (tmp_path / "first.json").write_text(json.dumps(record))
    inputs = dataclasses.replace(again, previous_record=tmp_path / "first.json")
    assert find_previous(inputs, PARAMETERS, read_model(inputs.model)).shifted is bool(taken)


def test_other_map_is_no_start(again, tmp_path):
    other = tmp_path / "half1.mrc"
    other.write_bytes(again.half_map_2.read_bytes())
    found = find_previous(
        dataclasses.replace(again, half_map_1=other), PARAMETERS, read_model(again.model)
    )
    assert "half map 1 is another file now" in found.message


def test_mask_for_one_run_alone_is_no_start(again):
    found = find_previous(
        dataclasses.replace(again, mask=again.half_map_1), PARAMETERS, read_model(again.model)
    )
    assert "mask was given for this run alone" in found.message


def test_hybrid_model_of_the_same_model_is_that_of_the_earlier_run(case, again):
    inputs = dataclasses.replace(again, model=case.inputs.model)
    found = find_previous(inputs, PARAMETERS, read_model(inputs.model))
    assert found.code == "same-model" and found.message == (
        "an update with the same model: the hybrid model of the earlier run is used, and what was "
        "kept of it is not computed again"
    )
    other = dataclasses.replace(PARAMETERS, seed=2)
    assert "the seed was 1 and is 2" in find_previous(inputs, other, None).message


def test_update_with_the_same_model_starts_where_the_update_before_it_did(again, update, made):
    """Else its map would drift, though only another output was asked for."""
    inputs = dataclasses.replace(again, previous_record=update.record)
    result = made("more", inputs, outputs=frozenset({"model", "mask", "linear"}))
    assert result.linear.read_bytes() == update.linear.read_bytes()
    record = record_of(result)
    assert record["inputs"]["previous_record"]["path"] == str(again.previous_record)
    assert record["update"] == record_of(update)["update"]


def test_validated_update_stays_validated_where_the_model_is_the_same(again, made):
    validated = made("validated", again, validate=True)
    result = made("more", dataclasses.replace(again, previous_record=validated.record))
    assert result.linear.read_bytes() == validated.linear.read_bytes()
    assert record_of(result)["adp"] == record_of(validated)["adp"]
    assert record_of(result)["parameters"]["validate"]


def test_update_with_the_same_model_starts_from_the_update_where_its_start_is_gone(
    again, update, tmp_path
):
    record = record_of(update)
    record["inputs"]["previous_record"]["path"] = str(tmp_path / "gone.json")
    path = tmp_path / "update.json"
    path.write_text(json.dumps(record))
    found = find_previous(
        dataclasses.replace(again, previous_record=path), PARAMETERS, read_model(again.model)
    )
    assert isinstance(found, PreviousRun) and found.path == path


def unchanged(inputs, **changes):
    return is_unchanged(inputs, dataclasses.replace(PARAMETERS, **changes))


def test_what_is_asked_for_again_is_no_change(case, again, update, first):
    same = dataclasses.replace(again, model=case.inputs.model)
    assert unchanged(same) and not unchanged(again)
    assert unchanged(same, validate=True), "a full run is always validated"
    for changes in (
        {"seed": 2},
        {"resolution": 4.0},
        {"window": 30.0},
        {"reseed_check": True},
        {"outputs": frozenset({"model"})},
    ):
        assert not unchanged(same, **changes), changes
    assert not unchanged(dataclasses.replace(same, model=None))
    assert not unchanged(dataclasses.replace(same, mask=case.inputs.half_map_1))
    later = dataclasses.replace(again, previous_record=update.record)
    assert unchanged(later) and not unchanged(later, validate=True)


def test_result_of_another_version_is_made_again(case, again, first, tmp_path):
    record = record_of(first)
    record["program"]["version"] = "0.0.1"
    (tmp_path / "first.json").write_text(json.dumps(record))
    assert not unchanged(
        dataclasses.replace(again, model=case.inputs.model, previous_record=tmp_path / "first.json")
    )


def test_option_without_a_change_writes_nothing_and_says_so(first, update, tmp_path, capsys):
    for record, map_ in ((first.record, first.output), (update.record, update.output)):
        assert main(["--update", str(record), "-o", str(tmp_path / "x.mrc")]) == 2
        said = " ".join(capsys.readouterr().err.split())
        assert (
            f"nothing has changed since {record.name}: maps, model and options are those of "
            f"that run, so there is nothing to update in {map_}. Edit the model, change an "
            "option, or give the same record (--from) to run it in full."
        ) in said
    assert not list(tmp_path.iterdir())
    missing = tmp_path / "missing.cif"
    assert (
        main(["--update", str(first.record), "-mc", str(missing), "-o", str(tmp_path / "x.mrc")])
        == 2
    )
    assert str(missing) in capsys.readouterr().err


def test_mostly_changed_model_is_no_start(again):
    model = read_model(again.model)
    far = dataclasses.replace(model, positions=model.positions + 30.0)
    found = find_previous(again, PARAMETERS, far)
    assert "100% of the model has changed since the last full run (limit 50%)" in found.message


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schema": None}, "x.json is not the record of a run of locscale-hybrid"),
        ({"inputs": {}}, "names no input: this is no record of a run"),
    ],
)
def test_file_that_is_no_record_is_refused(first, again, tmp_path, changes, words):
    record = {**json.loads(first.record.read_text()), **changes}
    (tmp_path / "x.json").write_text(json.dumps(record))
    inputs = dataclasses.replace(again, previous_record=tmp_path / "x.json")
    with pytest.raises(InputError, match=words):
        find_previous(inputs, PARAMETERS, read_model(again.model))


def test_run_that_cannot_be_an_update_is_a_full_run(case, again, first, made):
    result = made("first", dataclasses.replace(case.inputs, previous_record=first.record))
    assert "an update with the same model" in message(result, "same-model")
    assert result.linear.read_bytes() == first.linear.read_bytes()
    record = record_of(result)
    assert record["update"] is None and "previous_record" not in record["inputs"]
    assert record["adp"]["validated"] and "--warm_start" not in record["command"]
