"""`update #n` after edits of the model, with the real core behind it."""

import pytest
from real_case import make_case


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    return make_case(tmp_path_factory.mktemp("case"))


@pytest.fixture
def result(run, case):
    for path in case.values():
        run(f'open "{path}"')
    return run("locscale hybrid #1 #2 model #3 sym D2 processes 1")


def test_update_starts_from_the_hybrid_model_and_says_what_is_not_validated(session, run, result):
    run("delete #3/A:10-16")
    run("locscale hybrid update #4 processes 1")
    record = run("locscale info #4")
    number = record["update"]["pseudo_atoms"]
    assert number["kept"] > 0 and number["added"] > 0
    assert record["adp"]["refined_on_half_map_1"] is None
    said = " ".join(session.log.text("info").split())
    assert "mask: taken from the earlier run, because nothing" in said
    assert "an update: of the earlier pseudo-atoms" in said
    assert (
        "In a shell, as a full run, for only this session holds what the update started from, "
        "and once the edited model is saved: "
    ) in said
    assert "was not cross-validated against half map 2" in said
    assert "Use validate true to validate it." in said
    assert "not validated again; of the earlier hybrid model" in said

    run("delete #3/A:1")
    run("locscale hybrid update #4 processes 1 validate true")
    record = run("locscale info #4")
    assert record["update"]["updates_since_full_run"] == 2
    assert record["adp"]["refined_on_half_map_1"]["fsc_free"] > 0
    assert "--validate" not in session.log.text("info").split("In a shell")[-1], "a full run has it"
    judged = values_of(result)
    run("locscale hybrid update #4 outputs mask")
    assert run("locscale info #4")["adp"] == record["adp"] and (values_of(result) == judged).all()

    run("locscale hybrid update #4 processes 1 seed 2")
    record = run("locscale info #4")
    assert record["update"] is None and record["parameters"]["validate"] is False
    assert (", because the seed was 1 and is 2") in session.log.text("info")


def values_of(volume):
    return volume.full_matrix().copy()


def test_update_without_a_change_says_so_and_does_nothing(session, run, result, tmp_path):
    said = (
        "Nothing has changed since #4 half1.mrc LocScale was made: maps, model and options are "
        "the same, so it stays as it is. Edit the model or change an option; locscale hybrid "
        "without update makes a full run"
    )
    before = values_of(result)
    assert run("locscale hybrid update #4") is result
    run("delete #3/A:10-16")
    run("locscale hybrid update #4")
    edited = values_of(result)
    assert (edited != before).any()
    session.log.messages.clear()
    assert run("locscale hybrid update #4 seed 1") is result
    assert said in session.log.text("info") and (values_of(result) == edited).all()

    # another output changes no value, again and again
    run("locscale hybrid update #4 outputs linear")
    run("locscale hybrid update #4 outputs localB")
    assert (values_of(result) == edited).all()
    (local_b,) = (number for number, name in open_ids(session).items() if name == "localB")
    run(f"close #{local_b}")
    run("locscale hybrid update #4")
    assert "localB" in open_ids(session).values(), "one that was closed is opened again"
    assert "B factors: taken from the earlier run" in " ".join(session.log.text("info").split())
    run(f'locscale hybrid update #4 saveTo "{tmp_path / "out"}"')
    assert (values_of(result) == edited).all() and len(list((tmp_path / "out").iterdir())) == 6


def test_the_same_model_opened_again_is_no_change_and_is_followed_from_then_on(
    session, run, case, result
):
    run(f'open "{case["model.cif"]}"')
    run("locscale hybrid update #4 model #5; close #3; locscale hybrid update #4")
    assert session.log.text("info").count("Nothing has changed since #4") == 2
    run("locscale info #4")
    assert "model #5" in " ".join(session.log.text("info").split())


def test_change_of_the_scaling_alone_is_no_full_run(session, run, result):
    run("locscale hybrid update #4 window 30")
    said = session.log.text("info")
    assert "an update with the same model: the hybrid model of the earlier run is used" in said
    assert "full run" not in said and "built from the start" not in said and "adp:" not in said
    run("locscale hybrid update #4 resolution 5")
    assert (
        ", because the resolution was the one found in the maps and is 5 Å"
    ) in session.log.text("info")


def test_update_of_a_result_on_disk_is_one_in_a_shell_too(session, run, case, tmp_path):
    """The model is saved, the line is run, and it starts from the record that is there."""
    import json
    import shlex

    from chimerax.locscale.results.manager import results

    from locscale_hybrid.cli.main import main
    from locscale_hybrid.maps.mrc import read_map

    for path in case.values():
        run(f'open "{path}"')
    run(
        "locscale hybrid #1 #2 model #3 sym D2 processes 1 refiner none name first "
        f'outputs model saveTo "{tmp_path / "out"}"'
    )
    first = tmp_path / "out" / "first.json"
    inputs = json.loads(first.read_text())["inputs"]
    assert inputs["half_map_1"]["path"] == str(case["half1.mrc"])
    assert inputs["model"]["path"] != str(case["model.cif"]), "it may have been edited"
    run("delete #3/A:10-16")
    result = run(f'locscale hybrid update #4 name second saveTo "{tmp_path / "out"}"')
    kept = results(session).of(result)
    assert kept.shell_needs == "once the edited model is saved"
    assert f"--warm_start {first}" in kept.shell_line
    edited, output = tmp_path / "edited.cif", tmp_path / "third.mrc"
    run(f"save {edited} models #3")
    line = kept.shell_line.replace(str(case["model.cif"]), str(edited)).replace(
        str(tmp_path / "out" / "second.mrc"), str(output)
    )
    assert main(shlex.split(line)[1:]) == 0
    record = json.loads(output.with_suffix(".json").read_text())
    assert record["update"]["pseudo_atoms"] == kept.record["update"]["pseudo_atoms"]
    values = values_of(result)
    assert abs(read_map(output).values - values).max() < 2e-3 * values.std(), "but for rounding"

    run("delete #3/A:1; locscale hybrid update #4")
    assert (
        f"--warm_start {tmp_path / 'out' / 'second.json'}" in results(session).of(result).shell_line
    )
    run("delete #3/A:2; locscale hybrid update #4")
    assert "as a full run, for only this session holds" in results(session).of(result).shell_needs


def open_ids(session):
    """Name by number of what goes with the result."""
    return {
        model.id_string: model.name.partition(", ")[2]
        for model in session.models.list()
        if ", " in model.name
    }


def test_update_brings_what_it_makes_again_up_to_date_and_closes_the_rest(session, run, result):
    run("close #4")
    result = run(
        "locscale hybrid #1 #2 model #3 sym D2 processes 1 outputs linear,localB,model,"
        "halves refiner none"
    )
    by_name = {name: number for number, name in open_ids(session).items()}
    assert {
        "linear",
        "localB",
        "sharpened half 1",
        "sharpened half 2",
        "pseudo-atoms",
        "model with symmetry copies",
    } < set(by_name)
    shown = [by_name[kind] for kind in ("linear", "pseudo-atoms", "model with symmetry copies")]
    run(f"show #{'#'.join(shown)} models; color #{by_name['pseudo-atoms']} red")
    run("delete #3/A:10-16; rename #4 sharp")
    linear = next(model for model in session.models.list() if model.id_string == shown[0])
    before = linear.full_matrix().copy()
    pseudo = next(model for model in session.models.list() if model.id_string == shown[1])
    number = pseudo.num_atoms
    run("locscale hybrid update #4")
    assert not (linear.full_matrix() == before).all()
    now = {model.id_string: model for model in session.models.list()}
    assert [now[number].display for number in shown] == [True, True, True]
    assert {name for name in by_name} == set(open_ids(session).values())
    assert now[shown[1]].num_atoms > number
    assert (now[shown[1]].atoms.colors == (255, 0, 0, 255)).all()
    assert not session.log.text("error", "bug")

    session.log.messages.clear()
    run(f'rename #{by_name["linear"]} "my linear"')
    run("locscale hybrid update #4 outputs gain fdr 0.02")
    names = set(open_ids(session).values())
    assert names and all(name == "more" or name.startswith("gain_") for name in names)
    said = session.log.text("info")
    assert "Closed, because the update of #4 sharp did not make them again: #" in said
    assert f"#{by_name['localB']} localB" in said and "show linear" not in said
    assert not linear.deleted
    gains = names
    run("locscale hybrid update #4 resolution 5")
    names = set(open_ids(session).values())
    assert any(name.startswith("gain_") for name in names) and "gain_3.6A" not in names
    assert gains != names, "bands follow the resolution"
    run("locscale hybrid update #4 outputs gain window 30")
    assert result.name == "sharp"


def restored(session, run, folder):
    """Save and open the session."""
    run(f"save {folder / 'state.cxs'}")
    run(f"open {folder / 'state.cxs'}")
    session.log.messages.clear()
    return run("locscale info #4")


def test_update_after_restoring_starts_from_what_the_session_file_holds(
    session, run, result, tmp_path
):
    before = restored(session, run, tmp_path)
    run("locscale hybrid update #4")
    assert "Nothing has changed since #4" in session.log.text("info"), "coordinates were rounded"
    run("delete #3/A:10-16")
    run("locscale hybrid update #4 processes 1")
    record = run("locscale info #4")
    assert record["update"]["pseudo_atoms"]["kept"] > 0
    assert (
        record["update"]["earlier_validation"]["fsc_free"]
        == before["adp"]["refined_on_half_map_1"]["fsc_free"]
    )
    assert "made anew" not in session.log.text("info")
    # again, of the update, which is one by then
    restored(session, run, tmp_path)
    run("delete #3/A:1")
    run("locscale hybrid update #4 processes 1")
    assert run("locscale info #4")["update"]["updates_since_full_run"] == 2


def test_model_that_is_too_large_for_a_session_file_makes_a_full_run(
    session, run, case, tmp_path, monkeypatch
):
    from chimerax.locscale.job import run_folder
    from chimerax.locscale.results.manager import results

    monkeypatch.setattr(run_folder, "LARGEST_PACKED", 100)
    for path in case.values():
        run(f'open "{path}"')
    run("locscale hybrid #1 #2 model #3 sym D2 processes 1 refiner none")
    restored(session, run, tmp_path)
    assert results(session).newest.packed == {}
    run("locscale hybrid update #4 processes 1")
    assert (
        "This update is a full run: the session file does not hold the hybrid model of the "
        "earlier one, to start from, because it is larger than 8 MB"
    ) in session.log.text()
    assert run("locscale info #4")["update"] is None


@pytest.mark.parametrize(
    "spoil", [lambda content: content[:-9], lambda content: b"nonsense", lambda content: None]
)
def test_damage_of_what_a_session_file_holds_is_as_if_it_held_nothing(chimerax_session, spoil):
    import zlib

    from chimerax.locscale.job.run_folder import RunFolder

    folder = RunFolder()
    try:
        folder.unpack({"../run.json": zlib.compress(b"{}")})
        assert [path.name for path in folder.previous.glob("*/*")] == ["run.json"]
        assert folder.previous_record.read_bytes() == b"{}"
        folder.unpack({"other.json": spoil(zlib.compress(b"{}"))})
        assert [path.name for path in folder.previous.glob("*/*")] == ["run.json"]
    finally:
        folder.remove()
