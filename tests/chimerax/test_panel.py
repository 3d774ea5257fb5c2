"""The panel's logic: what it says about the choices, and what it runs.  Maps and core are stand-ins."""

import re

import pytest
from chimerax_core import process_events
from helpers import model_of, write_map


@pytest.fixture
def logic(session, opened):
    from chimerax.locscale.panel.logic import Choices, PanelLogic

    first, second, model = (model_of(session, spec) for spec in "123")
    return PanelLogic(session, Choices(map_1=first, map_2=second, model=model))


def texts(logic, level=None):
    return " | ".join(
        notice.text for notice in logic.notices() if level is None or notice.level == level
    )


def test_command_leaves_defaults_out(logic):
    assert logic.command() == "locscale hybrid #1 #2 model #3"


def test_command_holds_what_was_changed(logic):
    logic.choices.symmetry = "d2"
    logic.choices.options = {
        "window": 30.0,
        "scaling": "bands",
        "completeModel": False,
        "outputs": ("localB", "model"),
        "processes": 2,
        "saveTo": "/tmp/my folder",
    }
    assert logic.command() == (
        "locscale hybrid #1 #2 model #3 sym d2 window 30 completeModel false "
        'outputs localB,model saveTo "/tmp/my folder" processes 2'
    )


def test_command_of_the_panel_is_understood(logic, run, tmp_path):
    logic.choices.symmetry = "C2"
    logic.choices.options = {
        "window": 30.0,
        "fdr": 0.05,
        "resolution": 3.5,
        "report": False,
        "outputs": ("linear",),
        "saveTo": str(tmp_path / "my folder"),
        "seed": 7,
        "weight": "soft",
        "bFloor": 20.0,
    }
    volume = run(logic.command())
    parameters = run(f"locscale info #{volume.id_string}")["parameters"]
    assert (parameters["window"], parameters["fdr"], parameters["seed"]) == (30, 0.05, 7)
    assert (parameters["resolution"], parameters["weight"]) == (3.5, "soft")


def test_every_option_is_a_keyword_with_the_default_of_the_core(chimerax_session):
    from chimerax.locscale.commands.commands import hybrid_description
    from chimerax.locscale.keywords import KEYWORDS
    from chimerax.locscale.panel.options import OPTIONS

    from locscale_hybrid.parameters import HybridParameters

    typed = hybrid_description()._keyword_map
    assert all(option.keyword in typed for option in OPTIONS)
    core = HybridParameters().as_dict()
    parameters = {keyword.name: keyword.parameter for keyword in KEYWORDS}
    for option in OPTIONS:
        if option.keyword in parameters:
            assert option.default == core[parameters[option.keyword]], option.keyword


def test_every_number_has_the_range_of_the_core(chimerax_session):
    from chimerax.locscale.commands.commands import hybrid_description
    from chimerax.locscale.keywords import KEYWORDS
    from chimerax.locscale.panel.options import OPTIONS

    from locscale_hybrid.cli.job_file import most_processes
    from locscale_hybrid.parameters import RANGES

    parameters = {keyword.name: keyword.parameter for keyword in KEYWORDS}
    panel = {option.keyword: (option.low, option.high) for option in OPTIONS if option.high}
    assert panel.pop("processes") == (0, most_processes())
    assert panel == {name: RANGES[parameters[name]][1:3] for name in panel} and len(panel) == 5
    typed = hybrid_description()._keyword
    for keyword in KEYWORDS:
        if keyword.parameter in RANGES:
            number = typed[keyword.python_name]
            assert (number.min, number.max) == RANGES[keyword.parameter][1:3], keyword.name


def test_nothing_chosen_says_what_to_choose(session):
    from chimerax.locscale.panel.logic import PanelLogic

    logic = PanelLogic(session)
    assert texts(logic, "problem") == "Choose two half maps"
    logic.choices.half_maps = False
    assert texts(logic, "problem") == "Choose a full map"


def test_same_map_twice_is_a_problem(logic):
    from chimerax.core.errors import UserError

    logic.choices.map_2 = logic.choices.map_1
    assert "#1 half1.mrc is chosen twice" in texts(logic, "problem")
    with pytest.raises(UserError, match="chosen twice"):
        logic.command()


def test_different_grids_are_a_problem(logic, run, session, tmp_path):
    run("open " + write_map(tmp_path / "big.mrc", shape=(22, 24, 28)))
    logic.choices.map_2 = model_of(session, "4")
    assert "volume resample #4 onGrid #1" in texts(logic, "problem")


def test_unknown_symmetry_is_a_problem(logic):
    logic.choices.symmetry = "Q7"
    assert 'Symmetry "Q7" is unknown' in texts(logic, "problem")


def test_model_outside_the_map_is_a_warning(logic, run):
    run("move x 500 models #3")
    assert "0% of the atoms of #3 model.pdb are in the box of the map" in texts(logic, "warning")


def test_no_model_is_a_note(logic):
    logic.choices.model = None
    assert "pseudo-atoms will fill the whole mask" in texts(logic, "note")
    assert logic.command() == "locscale hybrid #1 #2"


def test_input_is_looked_at_once_the_choices_rest(session, logic, monkeypatch):
    from chimerax.locscale.panel import logic as logic_module

    monkeypatch.setattr(logic_module, "CHECK_AFTER", 0.05)

    def found():
        logic.poll()
        return "sharpened" in texts(logic, "warning")

    assert process_events(session, found)
    assert not logic.check_running
    assert "LocScale" not in session.log.text() + " ".join(session.log.statuses)
    logic.choices.symmetry = "C3"
    assert "sharpened" not in texts(logic), "findings belong to the choices they were made for"


def test_half_map_chosen_alone_is_told_of_its_other_half(session, logic, monkeypatch):
    from chimerax.locscale.panel import logic as logic_module

    monkeypatch.setattr(logic_module, "CHECK_AFTER", 0.05)
    logic.choices.half_maps, logic.choices.map_2 = False, None

    def found():
        logic.poll()
        return "#1 half1.mrc has the name of a half map, and #2 half2.mrc is open" in texts(
            logic, "warning"
        )

    assert process_events(session, found)


def test_nothing_to_compare_or_update_before_a_run(logic):
    from chimerax.core.errors import UserError

    assert logic.progress() is None
    with pytest.raises(UserError, match=r"There is no result to compare\. Press Start first\."):
        logic.show("input", print)
    with pytest.raises(UserError, match=r"There is no result to update\. Press Start first\."):
        logic.update_command()


def test_progress_says_how_far_and_how_long(session, logic, run, fake_core):
    fake_core("hang")
    job = run(logic.command() + " wait false")
    assert process_events(session, lambda: job.fraction == 0.5)
    fraction, text = logic.progress()
    assert fraction == 0.5 and re.fullmatch(r"scaling, \d+:\d\d", text)
    job.started -= 300
    assert re.fullmatch(r"scaling, 5:0\d, about 5 min left", logic.progress()[1])
    job.started += 280
    assert re.fullmatch(r"scaling, 0:2\d, about 2\d s left", logic.progress()[1])
    run("locscale stop")
    assert process_events(session, lambda: job.ended)


def test_input_is_shown_as_the_average_of_the_half_maps(session, logic, run):
    """The first half map alone would be noisier than what was sharpened."""
    import numpy as np

    result = run(logic.command())
    assert logic.views() == ({"result": True, "input": True, "before the update": False}, "result")
    sent = []

    def act(command):
        sent.append(command)
        run(command)

    logic.show("input", act)
    assert process_events(session, lambda: sent)
    average = next(model for model in session.models.list() if model.name.endswith(", input"))
    halves = [model_of(session, spec).full_matrix() for spec in "12"]
    assert np.allclose(average.full_matrix(), sum(halves) / 2)
    assert sent == [f"show #{average.id_string} models; hide #4 models"]
    assert logic.views()[1] == "input" and not result.display
    level, own = (volume.minimum_surface_level for volume in (result, average))
    enclosed = np.count_nonzero(result.full_matrix() >= level)
    assert np.count_nonzero(average.full_matrix() >= own) == enclosed
    logic.show("result", act)
    assert sent[1:] == [f"show #4 models; hide #{average.id_string} models"]
    logic.show("input", act)
    assert len([model for model in session.models.list() if model.name.endswith(", input")]) == 1


def test_full_map_is_compared_as_it_is(session, logic, run):
    logic.choices.half_maps = False
    run(logic.command())
    sent = []
    logic.show("input", sent.append)
    assert sent == ["show #1 models; hide #4 models"]


def test_map_before_an_update_can_be_looked_at(session, logic, run):
    import numpy as np

    result = run(logic.command())
    before = np.array(result.full_matrix())
    first = model_of(session, "1")
    for factor in (2, 3):
        first.data.cached_data((0, 0, 0), first.data.size, (1, 1, 1))[...] *= factor
        run("locscale hybrid update #4")
        assert logic.views()[0]["before the update"]
        logic.show("before the update", run)
        (earlier,) = [
            model for model in session.models.list() if model.name.endswith("before the update")
        ]
        assert np.array_equal(earlier.full_matrix(), before) and logic.views()[1] != "result"
        before = np.array(result.full_matrix())


def test_maps_to_compare_with_are_not_saved_in_a_session(session, logic, run, tmp_path):
    run(logic.command())
    logic.show("input", run)
    assert process_events(session, lambda: logic.views()[1] == "input")
    run(f'save "{tmp_path / "state.cxs"}"')
    run(f'open "{tmp_path / "state.cxs"}"')
    assert not [model for model in session.models.list() if model.name.endswith(", input")]
    run("locscale hybrid update #4 window 30")


def test_bare_update_where_nothing_was_changed(logic, run):
    result = run(logic.command())
    assert logic.update_command() == "locscale hybrid update #4"
    assert run(logic.update_command()) is result
    logic.choices.options["validate"] = True
    assert logic.update_command() == "locscale hybrid update #4 validate true"
    assert "validate" not in logic.command(), "a full run always is"


def test_update_names_what_was_changed_in_the_panel(session, logic, run, tmp_path):
    from helpers import write_model

    run(logic.command() + " window 30")
    logic.poll()
    run("close #2")
    run("open " + write_map(tmp_path / "half2.mrc", seed=2))
    run("open " + write_model(tmp_path / "better.pdb"))
    logic.choices.map_2, logic.choices.model = model_of(session, "2"), model_of(session, "5")
    logic.choices.options.update(weight="soft", fdr=0.01)
    logic.choices.symmetry = "D2"
    command = logic.update_command()
    assert command == "locscale hybrid #1 #2 update #4 model #5 sym D2 weight soft"
    run(command)
    assert run("locscale info #4")["parameters"]["window"] == 30, "typed, and never in the panel"
    assert logic.update_command() == "locscale hybrid update #4", "all of it is in the record now"


def test_state_of_an_older_session_is_understood(session, logic):
    from chimerax.locscale.panel.logic import PanelLogic

    state = {**logic.as_state(), "validate": True}
    assert PanelLogic.from_state(session, state).choices.options["validate"] is True


def test_choices_survive_a_session_file(session, logic, run, tmp_path):
    from chimerax.locscale.panel.logic import PanelLogic

    logic.choices.options["window"] = 40.0
    restored = PanelLogic.from_state(session, logic.as_state())
    assert restored.command() == logic.command()
