"""The panel: what it says about the choices, what it runs, and what it looks like."""

import os
import re
import time
from pathlib import Path

import pytest
from helpers import write_map

_APPLICATION = []  # for as long as the process
PICTURES = Path(os.environ.get("LOCSCALE_PICTURES", Path(__file__).parents[2] / ".reports"))


def model_of(session, spec):
    return next(model for model in session.models.list() if model.id_string == spec)


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
    assert "filled with pseudo-atoms" in texts(logic, "note")
    assert logic.command() == "locscale hybrid #1 #2"


def test_input_is_looked_at_once_the_choices_rest(session, logic, monkeypatch):
    from chimerax.locscale.panel import logic as logic_module
    from chimerax_core import process_events

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
    from chimerax_core import process_events

    monkeypatch.setattr(logic_module, "CHECK_AFTER", 0.05)
    logic.choices.half_maps, logic.choices.map_2 = False, None

    def found():
        logic.poll()
        return "#1 half1.mrc has the name of a half map, and #2 half2.mrc is open" in texts(
            logic, "warning"
        )

    assert process_events(session, found)


def test_progress_compare_and_update(session, logic, run, fake_core):
    from chimerax.core.errors import UserError
    from chimerax.locscale.panel.logic import PanelLogic
    from chimerax_core import process_events

    assert logic.progress() is None
    with pytest.raises(UserError, match="press Start first"):
        logic.compare_command()
    with pytest.raises(UserError, match="press Start first"):
        logic.update_command()
    fake_core("hang")
    job = run(logic.command() + " wait false")
    assert process_events(session, lambda: job.fraction == 0.5)
    fraction, text = logic.progress()
    assert fraction == 0.5 and re.fullmatch(r"#1 half1.mrc: scaling, \d+:\d\d", text)
    run("locscale stop")
    assert process_events(session, lambda: job.ended)
    fake_core("ok")
    result = run(logic.command())
    first = model_of(session, "1")
    run(logic.compare_command())
    assert first.display and not result.display
    run(logic.compare_command())
    assert not first.display and result.display
    assert run(logic.update_command()) is result
    assert logic.update_command() == "locscale hybrid update #4"
    logic.validate = True
    assert logic.update_command() == "locscale hybrid update #4 validate true"
    assert PanelLogic.from_state(session, logic.as_state()).validate


def test_choices_survive_a_session_file(session, logic, run, tmp_path):
    from chimerax.locscale.panel.logic import PanelLogic

    logic.choices.options["window"] = 40.0
    restored = PanelLogic.from_state(session, logic.as_state())
    assert restored.command() == logic.command()


# ---- widgets ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def application():
    """Qt's application, which has to outlive all widgets, as in ChimeraX."""
    widgets = pytest.importorskip(
        "PyQt6.QtWidgets", exc_type=ImportError, reason="PyQt6 or its Debian libraries are missing"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QT_QPA_PLATFORM", "offscreen")
        _APPLICATION.append(widgets.QApplication(["test"]))
    return _APPLICATION[0]


@pytest.fixture
def panel(session, opened, application, monkeypatch):
    import doubles

    doubles.install(monkeypatch)
    from chimerax.locscale.panel.tool import LocScalePanel

    tool = LocScalePanel(session, "LocScale Hybrid")
    yield tool
    tool.delete()


def choose_all(session, panel):
    for menu, spec in (
        (panel.map_menus[0], "1"),
        (panel.map_menus[1], "2"),
        (panel.model_menu, "3"),
    ):
        menu.value = model_of(session, spec)


def test_widgets_hold_the_ends_of_the_ranges_of_the_core(panel):
    from chimerax.locscale.panel.option_widgets import OptionGroup
    from chimerax.locscale.panel.options import OPTIONS

    ends = [option for option in OPTIONS if option.keyword in ("fdr", "seed", "processes")]
    for end in ("low", "high"):
        values = {option.keyword: getattr(option, end) for option in ends}
        assert OptionGroup(ends, values).values == pytest.approx(values, rel=1e-9)


@pytest.mark.parametrize(
    ("keyword", "value", "text"),
    [("fdr", 0.01, "0.01"), ("fdr", 1e-6, "0.000001"), ("window", 30.0, "30.0")],
)
def test_numbers_are_shown_without_idle_digits(panel, keyword, value, text):
    from chimerax.locscale.panel.option_widgets import _number
    from chimerax.locscale.panel.options import OPTIONS

    (option,) = (option for option in OPTIONS if option.keyword == keyword)
    entry, read = _number(option, value)
    assert entry.text() == text and read() == pytest.approx(value)


def test_start_is_possible_once_maps_are_chosen(session, panel):
    assert not panel.buttons["Start"].isEnabled()
    assert "Choose two half maps" in panel.notice_label.text()
    choose_all(session, panel)
    assert panel.buttons["Start"].isEnabled()
    assert not panel.buttons["Stop"].isEnabled() and not panel.buttons["Compare"].isEnabled()


def test_start_runs_a_logged_command_and_remembers_options(session, panel, run):
    from chimerax.locscale.settings import settings

    choose_all(session, panel)
    panel.symmetry_entry.setText("D2")
    panel.groups["Scaling"].widget.findChildren(type(panel.kind_menu))[0].setCurrentText("soft")
    panel.buttons["Start"].click()
    assert "locscale hybrid #1 #2 model #3 sym D2 weight soft" in session.log.text("info")
    assert model_of(session, "4").name == "half1.mrc LocScale"
    assert settings(session).weight == "soft"
    settings(session).weight = "adaptive"
    panel._refresh()
    assert panel.buttons["Compare"].isEnabled() and panel.buttons["Re-sharpen"].isEnabled()
    panel.buttons["Compare"].click()
    assert model_of(session, "1").display


def test_sharpening_again_is_validated_where_that_is_ticked(session, panel, run):
    choose_all(session, panel)
    assert not panel.validate_box.isEnabled()
    panel.buttons["Start"].click()
    panel._refresh()
    assert panel.validate_box.isEnabled() and not panel.validate_box.isChecked()
    panel.buttons["Re-sharpen"].click()
    assert run("locscale info #4")["parameters"]["validate"] is False
    panel.validate_box.setChecked(True)
    panel.buttons["Re-sharpen"].click()
    assert run("locscale info #4")["parameters"]["validate"] is True


def test_full_map_needs_one_menu(session, panel):
    panel.kind_menu.setCurrentIndex(1)
    assert panel.map_labels[0].text() == "Full map"
    assert not panel.map_menus[1].isVisibleTo(panel.tool_window.ui_area)
    panel.map_menus[0].value = model_of(session, "1")
    assert panel.logic.command() == "locscale hybrid #1"


def test_closed_map_disables_start(session, panel, run):
    choose_all(session, panel)
    run("close #2")
    assert not panel.buttons["Start"].isEnabled()


def test_symmetry_that_the_maps_show_is_offered(session, panel, monkeypatch):
    from chimerax.locscale.panel import logic as logic_module
    from chimerax_core import process_events

    monkeypatch.setattr(logic_module, "CHECK_AFTER", 0.0)
    assert not panel.suggestion.isVisibleTo(panel.tool_window.ui_area)
    choose_all(session, panel)

    def offered():
        panel._refresh()
        return panel.suggestion.isVisibleTo(panel.tool_window.ui_area)

    assert process_events(session, offered)
    assert panel.suggestion.text() == "Use D2"
    assert "the map looks D2-symmetric" in panel.notice_label.text().replace("The", "the")
    panel.suggestion.click()
    assert panel.symmetry_entry.text() == "D2"
    assert panel.logic.command() == "locscale hybrid #1 #2 model #3 sym D2"
    assert process_events(session, lambda: not offered())


def test_stop_ends_the_run(session, panel, run, fake_core):
    from chimerax_core import process_events

    choose_all(session, panel)
    fake_core("hang")
    job = run(panel.logic.command() + " wait false")
    assert process_events(session, lambda: job.fraction == 0.5)
    panel._refresh()
    assert panel.progress_bar.value() == 500 and panel.buttons["Stop"].isEnabled()
    panel.buttons["Stop"].click()
    assert process_events(session, lambda: job.ended)
    panel._refresh()
    assert not panel.buttons["Stop"].isEnabled()


def test_panel_is_saved_with_the_session(session, panel):
    choose_all(session, panel)
    panel.symmetry_entry.setText("D2")
    state = panel.take_snapshot(session, 0)
    panel.delete()
    again = type(panel).restore_snapshot(session, state)
    try:
        assert again.logic.command() == "locscale hybrid #1 #2 model #3 sym D2"
        assert again.symmetry_entry.text() == "D2"
    finally:
        again.delete()


def test_options_of_the_widgets_have_the_defaults(session, panel):
    choose_all(session, panel)
    assert panel.logic.command() == "locscale hybrid #1 #2 model #3"


def test_picture_of_the_panel(session, panel, application, run, fake_core, monkeypatch):
    """Not compared with anything: it is for looking at, and for the help page."""
    from chimerax_core import process_events

    choose_all(session, panel)
    panel.symmetry_entry.setText("D2")
    from chimerax.locscale.panel import logic as logic_module

    monkeypatch.setattr(logic_module, "CHECK_AFTER", 0.0)
    assert process_events(
        session, lambda: panel._refresh() or "sharpened" in panel.notice_label.text()
    )
    fake_core("hang")
    job = run(panel.logic.command() + " wait false")
    assert process_events(session, lambda: job.fraction == 0.5)
    job.started = time.monotonic() - 42
    panel._refresh()
    import doubles

    groups = panel.tool_window.ui_area.findChildren(doubles.CollapsiblePanel)
    groups[0].toggle_button.setChecked(True)
    area = panel.tool_window.ui_area
    area.resize(430, area.sizeHint().height())
    application.processEvents()
    PICTURES.mkdir(exist_ok=True)
    picture = PICTURES / "panel.png"
    assert area.grab().save(str(picture))
    assert picture.stat().st_size > 5000


def test_class_of_the_panel_is_found_for_session_files(session, panel):
    from chimerax.locscale import bundle_api

    assert bundle_api.get_class("LocScalePanel") is type(panel)
    assert bundle_api.get_class("LocScaleResults").__name__ == "LocScaleResults"
    assert bundle_api.get_class("Other") is None


def test_long_text_is_no_markup(session, panel, monkeypatch):
    from chimerax.locscale.panel.logic import Notice

    monkeypatch.setattr(panel.logic, "notices", lambda: [Notice("warning", "B < 25 & sharp")])
    panel._refresh()
    assert "B &lt; 25 &amp; sharp" in panel.notice_label.text()
