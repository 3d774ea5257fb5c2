"""What the panel looks like: sizes, colors, tooltips, pictures.  ChimeraX's own widgets are doubles."""

import os
import time
from pathlib import Path

import pytest
from chimerax_core import process_events
from helpers import model_of
from panel_helpers import background, findings_of

PICTURES = Path(os.environ.get("LOCSCALE_PICTURES", Path(__file__).parents[2] / ".reports"))


def all_widgets(panel):
    from PyQt6 import QtWidgets

    area = panel.tool_window.ui_area
    kinds = (
        QtWidgets.QAbstractButton,
        QtWidgets.QComboBox,
        QtWidgets.QLineEdit,
        QtWidgets.QAbstractSpinBox,
    )
    return [widget for kind in kinds for widget in area.findChildren(kind)]


def test_everything_has_a_tooltip(session, panel):
    inside = ("qt_spinbox_lineedit", "ScrollLeftButton", "ScrollRightButton")
    silent = [
        widget
        for widget in all_widgets(panel)
        if not widget.toolTip() and widget.objectName() not in inside
    ]
    assert not silent, [(type(widget).__name__, widget.objectName()) for widget in silent]
    texts = {widget.toolTip() for widget in all_widgets(panel)}
    assert any("Change it when" in text for text in texts)


def open_groups(panel):
    for group in panel.options.panels.values():
        group.toggle_button.setChecked(True)
    panel._refresh()


def test_panel_can_be_120_px_high_and_350_px_wide_with_everything_open(
    session, panel, application, monkeypatch
):
    long = {"level": "warning", "message": "what was found is long " * 30}
    area = panel.tool_window.ui_area
    area.show()
    open_groups(panel)
    findings_of(panel, monkeypatch, long, long)
    application.processEvents()
    least = area.minimumSizeHint()
    assert least.height() <= 120 and least.width() <= 350
    for height in (120, 300, 900):
        area.resize(350, height)
        application.processEvents()
        assert area.height() == height and area.width() == 350
        for name, button in panel.controls.buttons.items():
            bottom = button.mapTo(area, button.rect().bottomRight())
            assert bottom.y() < height and bottom.x() < 350, f"{name} is off the screen"


def test_long_names_do_not_widen_the_panel(
    session, panel, run, application, fake_core, monkeypatch
):
    background(monkeypatch)
    run("rename #1 " + "cryosparc_P12_J345_007_volume_map_half_" * 6 + "A.mrc")
    area = panel.tool_window.ui_area
    area.show()
    before = area.minimumSizeHint().width()
    panel.form.menus["map_1"].value = None
    panel.form.menus["map_1"].value = model_of(session, "1")
    fake_core("hang")
    panel.controls.buttons["Start"].click()
    job = panel.logic.job()
    assert process_events(session, lambda: job.fraction == 0.5)
    panel._refresh()
    application.processEvents()
    assert area.minimumSizeHint().width() == before
    assert len(panel.form.menus["map_1"].text()) <= 41 and "…" in panel.form.menus["map_1"].text()
    run("locscale stop")
    assert process_events(session, lambda: job.ended)


def test_form_does_not_move_when_notices_come_and_go(session, panel, application, monkeypatch):
    area = panel.tool_window.ui_area
    area.resize(400, 500)
    area.show()
    application.processEvents()
    places = []
    for findings in ([], [{"level": "warning", "message": "long text " * 20}] * 3, []):
        findings_of(panel, monkeypatch, *findings)
        application.processEvents()
        places.append(
            [
                widget.mapTo(area, widget.rect().topLeft()).y()
                for widget in (panel.form.kind_menu, panel.controls.buttons["Start"])
            ]
        )
    assert places[0] == places[1] == places[2]


def palettes(application):
    from PyQt6.QtGui import QColor, QPalette

    dark = QPalette()
    roles = QPalette.ColorRole
    for role, color in (
        (roles.Window, "#2d2d2d"),
        (roles.WindowText, "#f0f0f0"),
        (roles.Base, "#1e1e1e"),
        (roles.Text, "#f0f0f0"),
        (roles.Button, "#3a3a3a"),
        (roles.ButtonText, "#f0f0f0"),
        (roles.PlaceholderText, "#a0a0a0"),
    ):
        dark.setColor(role, QColor(color))
    for role in (roles.Text, roles.ButtonText, roles.WindowText):
        dark.setColor(QPalette.ColorGroup.Disabled, role, QColor("#8a8a8a"))
    return {"light": application.style().standardPalette(), "dark": dark}


def test_notices_and_titles_can_be_read_on_light_and_dark(panel, application):
    from chimerax.locscale.panel.colors import contrast, text_color

    for palette in palettes(application).values():
        window = palette.window().color()
        background = (window.red(), window.green(), window.blue())
        for level in ("problem", "warning", "note"):
            name = text_color(level, palette)
            color = tuple(int(name[place : place + 2], 16) for place in (1, 3, 5))
            assert contrast(color, background) >= 4.5, (level, name)
        application.setPalette(palette)
        application.processEvents()
        panel._refresh()
        for group in panel.options.panels.values():
            expected = palette.windowText().color().name()
            assert f"color: {expected};" in group.toggle_button.styleSheet()
    application.setPalette(palettes(application)["light"])


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [350, 600])
def test_picture_of_the_panel(
    session, panel, application, run, fake_core, monkeypatch, theme, width
):
    """Not compared with anything: it is for looking at, and for the help page."""
    from chimerax.locscale.panel import logic as logic_module

    background(monkeypatch)
    application.setStyle("Fusion")
    application.setPalette(palettes(application)[theme])
    area = panel.tool_window.ui_area
    area.resize(width, 640)
    area.show()
    application.processEvents()
    monkeypatch.setattr(logic_module, "CHECK_AFTER", 0.0)
    assert process_events(
        session, lambda: panel._refresh() or "sharpened" in panel.notice_list.text()
    )
    panel.logic.facts = {"resolution": 3.04, "coverage": 0.694}
    panel.options.set_value("window", 30.0)
    panel.options.panels["Scaling"].toggle_button.setChecked(True)
    panel._refresh()
    application.processEvents()
    PICTURES.mkdir(exist_ok=True)
    picture = PICTURES / f"panel_{theme}_{width}.png"
    assert area.grab().save(str(picture)) and picture.stat().st_size > 5000
    if (theme, width) == ("light", 350):
        area.resize(430, 670)
        application.processEvents()
        assert area.grab().save(str(PICTURES / "panel.png"))
        area.resize(width, 640)
    fake_core("hang")
    panel.start()
    job = panel.logic.job()
    assert process_events(session, lambda: job.fraction == 0.5)
    job.started = time.monotonic() - 42
    panel._refresh()
    application.processEvents()
    assert area.grab().save(str(PICTURES / f"panel_{theme}_{width}_run.png"))
    run("locscale stop")
    assert process_events(session, lambda: job.ended)
    area.resize(width, 200)
    application.processEvents()
    assert area.grab().save(str(PICTURES / f"panel_{theme}_{width}_low.png"))
    application.setPalette(palettes(application)["light"])


def test_text_is_no_markup(session, panel, monkeypatch):
    from PyQt6 import QtCore, QtWidgets

    findings_of(panel, monkeypatch, {"level": "warning", "message": "B < 25 & <b>sharp</b>"})
    labels = panel.notice_list.findChildren(QtWidgets.QLabel)
    assert [label.text() for label in labels] == ["B < 25 & <b>sharp</b>"]
    assert labels[0].textFormat() == QtCore.Qt.TextFormat.PlainText


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


def test_changed_options_are_seen_in_the_title_of_a_closed_group(panel):
    panel.options.set_value("window", 30.0)
    panel.options.set_value("weight", "soft")
    panel._refresh()
    button = panel.options.panels["Scaling"].toggle_button
    assert button.text() == "Scaling (2 changed)"
    assert "Changed: Noise weighting, Window" in button.toolTip()
    assert panel.options.panels["Computing"].toggle_button.text() == "Computing"


def test_focus_stays_when_start_turns_grey(session, panel, application):
    from PyQt6.QtCore import Qt

    for button in panel.controls.buttons.values():
        assert button.focusPolicy() == Qt.FocusPolicy.TabFocus
