"""The panel's widgets: what they show and send.  Maps, core and ChimeraX's own widgets are stand-ins."""

import pytest
from chimerax_core import process_events
from helpers import model_of, write_map
from panel_helpers import background, findings_of, press


def choose_all(session, panel):
    for menu, spec in (
        (panel.form.menus["map_1"], "1"),
        (panel.form.menus["map_2"], "2"),
        (panel.form.menus["model"], "3"),
    ):
        menu.value = model_of(session, spec)


def test_widgets_hold_the_ends_of_the_ranges_of_the_core(panel):
    from chimerax.locscale.panel.option_widgets import OptionGroup
    from chimerax.locscale.panel.options import OPTIONS

    ends = [option for option in OPTIONS if option.keyword in ("fdr", "seed", "processes")]
    for end in ("low", "high"):
        values = {option.keyword: getattr(option, end) for option in ends}
        assert OptionGroup(ends, values).values == pytest.approx(values, rel=1e-9)


def test_fields_are_filled_in_from_the_open_models(session, panel):
    assert [panel.form.menus[role].text() for role in ("map_1", "map_2", "model")] == [
        "#1 half1.mrc",
        "#2 half2.mrc",
        "#3 model.pdb",
    ]
    assert panel.controls.command_line.text() == "locscale hybrid #1 #2 model #3"
    assert panel.controls.buttons["Start"].isEnabled()
    assert not panel.controls.buttons["Stop"].isEnabled()
    assert not panel.controls.buttons["Re-sharpen"].isEnabled()


def test_fields_are_filled_in_when_models_are_opened_later(session, run, window, tmp_path):
    panel = window()
    assert not panel.controls.buttons["Start"].isEnabled()
    assert panel.notice_list.text() == "Choose two half maps"
    assert panel.controls.ready_label.whole() == "Not ready"
    run("open " + write_map(tmp_path / "J7_map_half_B.mrc", seed=1))
    panel._refresh()
    assert panel.notice_list.text() == "Choose half map 2, or sharpen one full map"
    run("close #1")
    for seed, name in enumerate(("J7_map_half_B", "J7_map_sharp", "J7_map_half_A")):
        run("open " + write_map(tmp_path / f"{name}.mrc", seed=seed))
    panel._refresh()
    assert [volume.name for volume in panel.logic.choices.maps] == [
        "J7_map_half_A.mrc",
        "J7_map_half_B.mrc",
    ]
    panel.form.menus["map_2"].value = model_of(session, "2")
    run("open " + write_map(tmp_path / "other.mrc", seed=4))
    panel._refresh()
    assert panel.form.menus["map_2"].value is model_of(session, "2"), "what the user chose stays"


def test_two_oldest_maps_of_one_grid_are_filled_in_but_no_mask(session, run, window, tmp_path):
    for seed, (name, edge) in enumerate(
        (("mask", 20), ("large", 26), ("first", 20), ("second", 20), ("third", 20))
    ):
        run("open " + write_map(tmp_path / f"{name}.mrc", seed=seed, shape=(edge, 24, 28)))
    assert [volume.name for volume in window().logic.choices.maps] == ["first.mrc", "second.mrc"]


def test_result_is_not_filled_in(session, run, opened, window):
    run("locscale hybrid #1 #2 model #3 outputs linear")
    run("close #1-3")
    panel = window()
    assert panel.logic.choices.maps == [] and panel.logic.choices.model is None


def test_choices_are_kept_when_the_panel_is_closed(session, run, panel, window):
    panel.form.menus["model"].value = None
    panel.form.symmetry_entry.setText("C3")
    panel.options.set_value("window", 40.0)
    panel.delete()
    again = window()
    assert again.logic.command() == "locscale hybrid #1 #2 sym C3 window 40"
    again.delete()
    run("close session")
    assert window().logic.choices.symmetry == "C1"


def test_start_runs_a_logged_command_and_remembers_options(session, panel, run):
    from chimerax.locscale.settings import settings

    panel.form.symmetry_entry.setText("D2")
    panel.options.set_value("weight", "soft")
    panel.controls.buttons["Start"].click()
    assert "locscale hybrid #1 #2 model #3 sym D2 weight soft" in session.log.text("info")
    assert model_of(session, "4").name == "half1.mrc LocScale"
    assert settings(session).weight == "soft"
    settings(session).weight = "adaptive"
    assert panel.controls.buttons["Re-sharpen"].isEnabled()
    assert panel.controls.views["result"].isChecked()
    panel.controls.views["input"].click()

    def averaged():
        panel._refresh()
        return panel.controls.views["input"].isChecked()

    assert process_events(session, averaged)
    assert not panel.controls.views["result"].isChecked()
    assert not panel.controls.views["before the update"].isEnabled()
    panel.controls.views["result"].click()
    assert panel.controls.views["result"].isChecked() and model_of(session, "4").display


def test_second_click_on_start_starts_nothing(session, panel, fake_core, monkeypatch):
    from chimerax.locscale.job.job import running_jobs

    background(monkeypatch)
    fake_core("hang")
    start = panel.controls.buttons["Start"]
    start.click()
    assert not start.isEnabled() and panel.controls.buttons["Stop"].isEnabled()
    panel.start()  # a click that was under way
    (job,) = running_jobs(session)
    assert process_events(session, lambda: job.fraction == 0.5)
    panel._refresh()
    assert panel.controls.status.currentWidget() is panel.controls.progress_bar
    assert panel.controls.progress_bar.value() == 500
    assert panel.controls.progress_bar.format().startswith("50 %: scaling, 0:")
    panel.controls.buttons["Stop"].click()
    assert process_events(session, lambda: job.ended)
    panel._refresh()
    assert start.isEnabled() and not panel.controls.buttons["Stop"].isEnabled()
    assert panel.controls.status.currentWidget() is panel.controls.ready_label


def test_live_check_ends_at_start_and_comes_back(session, panel, fake_core, monkeypatch):
    from chimerax.locscale.job.job import running_jobs
    from chimerax.locscale.panel import logic as logic_module

    background(monkeypatch)
    monkeypatch.setattr(logic_module, "CHECK_AFTER", 0.0)

    def checking():
        panel._refresh()
        return panel.logic.check_running

    assert process_events(session, checking)
    (check,) = running_jobs(session)
    assert panel.controls.ready_label.whole() == "Ready: C1 (checking …)"
    fake_core("hang")
    panel.controls.buttons["Start"].click()
    assert not panel.logic.check_running and check.stopped
    run_job = panel.logic.job()
    assert process_events(session, lambda: run_job.fraction == 0.5 and check.ended)
    assert not checking(), "not during the run"
    panel.controls.buttons["Stop"].click()
    assert process_events(session, lambda: run_job.ended)
    fake_core("ok")
    assert process_events(session, lambda: not checking() and panel.logic.is_checked)
    assert "looks sharpened" in panel.notice_list.text()


def test_check_follows_edits_of_the_model(session, panel, run, monkeypatch):
    from chimerax.atomic import check_for_changes
    from chimerax.locscale.panel import logic as logic_module

    monkeypatch.setattr(logic_module, "CHECK_AFTER", 0.0)
    monkeypatch.setattr(logic_module, "CHECK_AFTER_EDIT", 0.0)

    def checked():
        panel._refresh()
        return panel.logic.is_checked and not panel.logic.check_running

    assert process_events(session, checked)
    model_of(session, "3").atoms[0].coord += 1
    check_for_changes(session)
    assert not panel.logic.is_checked
    assert process_events(session, checked)
    run("delete #3:6")
    assert not panel.logic.is_checked
    monkeypatch.setattr(
        session, "isolde", type("I", (), {"simulation_running": True}), raising=False
    )
    for _ in range(5):
        panel._refresh()
    assert not panel.logic.check_running, "atoms are moving"


def test_sharpening_again_is_validated_where_that_is_ticked(session, panel, run):
    panel.controls.buttons["Start"].click()
    panel.controls.buttons["Re-sharpen"].click()
    assert run("locscale info #4")["parameters"]["validate"] is False
    panel.options.set_value("validate", True)
    panel.controls.buttons["Re-sharpen"].click()
    assert run("locscale info #4")["parameters"]["validate"] is True


def test_full_map_needs_one_menu(session, panel):
    panel.form.kind_menu.setCurrentIndex(1)
    assert panel.form.labels["map_1"].text() == "Full map"
    assert not panel.form.menus["map_2"].isVisibleTo(panel.tool_window.ui_area)
    assert panel.logic.command() == "locscale hybrid #1 model #3"


def test_closed_map_disables_start(session, panel, run):
    run("close #2")
    panel._refresh()
    assert panel.notice_list.text() == "Half map 2, #2 half2.mrc, was closed. Choose another map."
    assert not panel.controls.buttons["Start"].isEnabled()
    panel.form.menus["map_2"].value = model_of(session, "1")
    assert "chosen twice" in panel.notice_list.text()
    press(panel, "Use it as a full map")
    assert panel.controls.command_line.text() == "locscale hybrid #1 model #3"


def test_closed_model_is_a_problem_until_the_user_decides(session, panel, run):
    run("close #3")
    panel._refresh()
    assert panel.notice_list.text() == "Model, #3 model.pdb, was closed. Choose another model."
    assert not panel.controls.buttons["Start"].isEnabled()
    assert panel.controls.command_line.text() == ""
    press(panel, "Continue without a model")
    assert panel.controls.command_line.text() == "locscale hybrid #1 #2"


@pytest.mark.parametrize("late", [False, True], ids=["remove first", "add first"])
def test_models_that_isolde_takes_over_stay_chosen(session, panel, run, late):
    from clipper_double import associate

    associate(
        session, [model_of(session, "1"), model_of(session, "2")], model_of(session, "3"), late=late
    )
    process_events(session)
    panel._refresh()
    assert panel.controls.command_line.text() == "locscale hybrid #1.1.1.1 #1.1.1.2 model #1.2"
    assert panel.form.menus["map_1"].text() == "#1.1.1.1 half1.mrc"
    assert panel.form.menus["model"].text() == "#1.2 model.pdb"


def test_another_grid_is_mended_by_a_button(session, panel, run, tmp_path):
    run("open " + write_map(tmp_path / "big.mrc", shape=(22, 24, 28)))
    panel.form.menus["map_2"].value = model_of(session, "4")
    press(panel, "Resample it")
    assert "volume resample #4 onGrid #1" in session.log.text("info")
    assert panel.controls.command_line.text() == "locscale hybrid #1 #5 model #3"


def test_symmetry_that_fits_is_offered_in_place_of_a_wrong_one(session, panel, monkeypatch):
    """The core ends with an error then; it names the group that fits as a remedy."""
    panel.form.symmetry_entry.setText("C3")
    remedy = {"action": "use", "name": "point_group", "value": "D2"}
    findings_of(
        panel,
        monkeypatch,
        {"level": "warning", "message": "the map does not look C3-symmetric", "remedies": [remedy]},
    )
    press(panel, "Use D2")
    assert panel.form.symmetry_entry.text() == "D2"


def test_remedies_are_buttons(session, panel, run, monkeypatch):
    remedies = [
        {"action": "move", "value": "1,0,-2.5"},
        {"action": "use", "name": "window", "value": "40"},
        {"action": "leave_out", "name": "mask"},
        {"action": "do", "text": "look at it"},
    ]
    findings_of(panel, monkeypatch, {"level": "warning", "message": "off", "remedies": remedies})
    assert [button.text() for button in panel.notice_list.buttons] == [
        "Move it there",
        "Set window to 40",
        "Leave out the mask",
    ]
    press(panel, "Set window to 40")
    assert panel.logic.command() == "locscale hybrid #1 #2 model #3 window 40"
    run("turn z 90 models #1-3")
    findings_of(panel, monkeypatch, {"level": "warning", "message": "off", "remedies": remedies})
    before = model_of(session, "3").atoms.scene_coords.mean(axis=0)
    press(panel, "Move it there")
    moved = model_of(session, "3").atoms.scene_coords.mean(axis=0) - before
    assert moved.round(3).tolist() == [0, 1, -2.5], "along the axes of the map, which was turned"


def test_partner_of_a_half_map_is_chosen_by_a_button(session, panel, monkeypatch):
    panel.form.kind_menu.setCurrentIndex(1)
    finding = {"level": "warning", "message": "half2 is open", "code": "partner-half-map"}
    findings_of(panel, monkeypatch, finding)
    press(panel, "Use both half maps")
    assert panel.logic.command() == "locscale hybrid #1 #2 model #3"


def test_model_far_off_is_reported_once(session, panel, run, monkeypatch):
    run("move x 500 models #3")
    panel._refresh()
    assert "0% of the atoms of #3 model.pdb" in panel.notice_list.text()
    finding = {"level": "warning", "message": "model.pdb is outside", "code": "model-shifted"}
    findings_of(panel, monkeypatch, finding)
    assert panel.notice_list.text() == "Model.pdb is outside"


def test_ready_line_names_what_the_check_measured(session, panel, monkeypatch):
    panel.logic.facts = {"resolution": 3.04, "coverage": 0.694}
    findings_of(panel, monkeypatch)
    assert panel.controls.ready_label.whole() == "Ready: 3.0 Å, model covers 69%, C1"


def test_command_is_copied(panel, application):
    panel.controls.copy_button.click()
    assert application.clipboard().text() == "locscale hybrid #1 #2 model #3"


def test_result_is_colored_by_what_was_opened_with_a_key(session, panel, run):
    from chimerax.locscale.results.manager import results

    run("locscale hybrid #1 #2 model #3 outputs linear")
    kept = results(session).newest
    kept.companions[0].name = "half1.mrc LocScale, localB"
    kept.record["hybrid_model"] = {
        "b_iso_square_angstrom": {"model": {"5%": 21.2, "95%": 80.4}, "pseudo_atoms": {}}
    }
    panel._refresh()
    panel.controls.fill_color_menu()
    labels = [action.text() for action in panel.controls.color_menu.actions()]
    assert labels == ["local B", "one color"]
    sent = []
    panel.controls._color = sent.append
    for action in panel.controls.color_menu.actions():
        action.trigger()
    number = kept.companions[0].id_string
    assert sent == [
        f"color sample #4 map #{number} palette cyanmaroon range 21,80 key true",
        "volume #4 color #b2b2b2; key delete",
    ]


def test_symmetry_that_the_maps_show_is_offered(session, panel, monkeypatch):
    from chimerax.locscale.panel import logic as logic_module

    monkeypatch.setattr(logic_module, "CHECK_AFTER", 0.0)

    def offered():
        panel._refresh()
        return "Use D2" in [button.text() for button in panel.notice_list.buttons]

    assert not offered()
    assert process_events(session, offered)
    assert "The map looks D2-symmetric" in panel.notice_list.text()
    press(panel, "Use D2")
    assert panel.controls.command_line.text() == "locscale hybrid #1 #2 model #3 sym D2"
    assert process_events(session, lambda: panel.logic.is_checked and not offered())


def test_panel_is_saved_with_the_session(session, panel):
    choose_all(session, panel)
    panel.form.symmetry_entry.setText("D2")
    state = panel.take_snapshot(session, 0)
    panel.delete()
    again = type(panel).restore_snapshot(session, state)
    try:
        assert again.logic.command() == "locscale hybrid #1 #2 model #3 sym D2"
        assert again.form.symmetry_entry.text() == "D2"
    finally:
        again.delete()


def test_options_of_the_widgets_have_the_defaults(session, panel):
    choose_all(session, panel)
    assert panel.logic.command() == "locscale hybrid #1 #2 model #3"


def test_class_of_the_panel_is_found_for_session_files(session, panel):
    from chimerax.locscale import bundle_api

    assert bundle_api.get_class("LocScalePanel") is type(panel)
    assert bundle_api.get_class("LocScaleResults").__name__ == "LocScaleResults"
    assert bundle_api.get_class("Other") is None
