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
    said = session.log.text("info")
    assert "half map 2 has not judged this hybrid model" in said
    assert "not validated again; of the earlier hybrid model" in said

    run("delete #3/A:1")
    run("locscale hybrid update #4 processes 1 validate true")
    record = run("locscale info #4")
    assert record["update"]["updates_since_full_run"] == 2
    assert record["adp"]["refined_on_half_map_1"]["fsc_free"] > 0

    run("locscale hybrid update #4 processes 1 seed 2")
    record = run("locscale info #4")
    assert record["update"] is None and record["parameters"]["validate"] is False
    assert "seed was 1 and is 2" in session.log.text("info")


def test_first_update_after_restoring_is_a_full_run(session, run, result, tmp_path):
    run(f"save {tmp_path / 'state.cxs'}")
    run(f"open {tmp_path / 'state.cxs'}")
    run("locscale hybrid update #4 bFloor 20")
    assert "This update is a full run" in session.log.text("info")
    assert run("locscale info #4")["update"] is None
