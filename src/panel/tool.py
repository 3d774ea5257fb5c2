"""The panel: widgets around `panel.PanelLogic`.  The only module that imports Qt."""

import time

from chimerax.core.commands import run
from chimerax.core.tools import ToolInstance, get_singleton
from Qt.QtCore import Qt
from Qt.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
)

from ..settings import settings
from .logic import NOTE, PROBLEM, PanelLogic
from .option_widgets import OptionGroup
from .options import GROUPS, OPTIONS, REMEMBERED

NAME = "LocScale Hybrid"
_REFRESH_EVERY = 0.2  # s
_COLOURS = {PROBLEM: "#c0392b", NOTE: "gray"}
_OTHER_COLOUR = "#b9770e"


def show_panel(session, name=NAME):
    """Show the one panel of a session, made at first use."""
    return get_singleton(session, LocScalePanel, name, display=True)


class LocScalePanel(ToolInstance):
    """The tool LocScale Hybrid."""

    SESSION_ENDURING = False
    SESSION_SAVE = True
    help = "help:user/tools/locscalehybrid.html"

    def __init__(self, session, tool_name, *, logic=None):
        super().__init__(session, tool_name)
        from chimerax.ui import MainToolWindow

        self.logic = logic or PanelLogic(session)
        if logic is None:
            kept = settings(session)
            self.logic.choices.options = {name: getattr(kept, name) for name in REMEMBERED}
            self.logic.live_check = kept.live_check
        self.tool_window = MainToolWindow(self)
        self._fill(self.tool_window.ui_area)
        self.tool_window.manage("side")
        self._refreshed = 0.0
        self._handler = session.triggers.add_handler("new frame", self._new_frame)
        self._choices_changed()

    def delete(self):
        """Close the panel; a run goes on."""
        if self._handler is not None:
            self.session.triggers.remove_handler(self._handler)
            self._handler = None
        self.logic.close()
        super().delete()

    def take_snapshot(self, session, flags):
        """Save the choices in a session file."""
        self._read_widgets()
        return self.logic.as_state()

    @classmethod
    def restore_snapshot(cls, session, data):
        """Restore the panel of a session file."""
        return cls(session, NAME, logic=PanelLogic.from_state(session, data))

    def start(self):
        """Run the command that the panel shows, and remember the options."""
        self._read_widgets()
        command = self.logic.command()
        kept = settings(self.session)
        chosen = self.logic.choices.options
        for option in OPTIONS:
            if option.keyword in REMEMBERED:
                setattr(kept, option.keyword, chosen.get(option.keyword, option.default))
        run(self.session, command)

    def stop(self):
        """End the run."""
        run(self.session, "locscale stop")

    def compare(self):
        """Show the input in place of the result, or the other way round."""
        run(self.session, self.logic.compare_command())

    def update(self):
        """Sharpen again with the current model."""
        self._read_widgets()
        run(self.session, self.logic.update_command())

    def _fill(self, parent):
        """Lay out the widgets."""
        layout = QVBoxLayout(parent)
        layout.setSpacing(4)
        layout.addLayout(self._input_form())
        self.notice_label = QLabel()
        self.notice_label.setWordWrap(True)
        self.notice_label.setTextFormat(Qt.TextFormat.RichText)
        layout.addWidget(self.notice_label)
        for group in self._option_groups(parent):
            layout.addWidget(group)
        layout.addLayout(self._progress_row())
        layout.addLayout(self._button_row())
        layout.addWidget(self._validate_box())
        layout.addStretch(1)

    def _input_form(self):
        """Rows for maps, model, symmetry and mask."""
        from chimerax.map import Volume

        choices = self.logic.choices
        form = QFormLayout()
        self.kind_menu = QComboBox()
        self.kind_menu.addItems(("two half maps", "one full map"))
        self.kind_menu.setCurrentIndex(0 if choices.half_maps else 1)
        self.kind_menu.currentIndexChanged.connect(self._choices_changed)
        form.addRow("Sharpen", self.kind_menu)
        self.map_menus = [
            self._model_menu(Volume, value) for value in (choices.map_1, choices.map_2)
        ]
        self.map_labels = [QLabel("Half map 1"), QLabel("Half map 2")]
        for label, menu in zip(self.map_labels, self.map_menus, strict=True):
            form.addRow(label, menu)
        from chimerax.atomic import AtomicStructure

        self.model_menu = self._model_menu(AtomicStructure, choices.model, none="none")
        form.addRow("Model", self.model_menu)
        self.symmetry_entry = QLineEdit(choices.symmetry)
        self.symmetry_entry.setToolTip("Point group of the map: C1, C4, D2, T, O, I, …")
        self.symmetry_entry.textChanged.connect(self._choices_changed)
        self.suggestion = QPushButton()
        self.suggestion.setToolTip(
            "The maps show this symmetry; take it if they were reconstructed with it"
        )
        self.suggestion.clicked.connect(self._take_suggestion)
        self.suggestion.setVisible(False)
        row = QHBoxLayout()
        row.addWidget(self.symmetry_entry)
        row.addWidget(self.suggestion)
        form.addRow("Symmetry", row)
        self.mask_menu = self._model_menu(Volume, choices.mask, none="found from the maps")
        form.addRow("Mask", self.mask_menu)
        self.check_box = QCheckBox("Look at the maps as they are chosen")
        self.check_box.setChecked(self.logic.live_check)
        self.check_box.toggled.connect(self._live_check_toggled)
        form.addRow("", self.check_box)
        return form

    def _model_menu(self, kind, value, none=None):
        """A menu of open models of one kind."""
        from chimerax.ui.widgets import ModelMenuButton

        more = {} if none is None else {"no_value_menu_text": none, "no_value_button_text": none}
        menu = ModelMenuButton(
            self.session, class_filter=kind, autoselect=ModelMenuButton.AUTOSELECT_NONE, **more
        )
        if value is not None:
            menu.value = value
        menu.value_changed.connect(self._choices_changed)
        return menu

    def _option_groups(self, parent):
        """Collapsed options in the groups that a user thinks in."""
        from chimerax.ui.widgets import CollapsiblePanel

        self.groups = {}
        panels = []
        for name in GROUPS:
            panel = CollapsiblePanel(parent, title=name)
            group = OptionGroup(
                [option for option in OPTIONS if option.group == name], self.logic.choices.options
            )
            panel.content_area.layout().addWidget(group.widget)
            self.groups[name] = group
            panels.append(panel)
        return panels

    def _progress_row(self):
        """Progress bar with the name of the stage and the time."""
        row = QVBoxLayout()
        self.progress_bar, self.progress_label = QProgressBar(), QLabel()
        self.progress_bar.setRange(0, 1000)
        for widget in (self.progress_bar, self.progress_label):
            widget.setVisible(False)
            row.addWidget(widget)
        return row

    def _button_row(self):
        """Buttons: start, stop, compare, update, help."""
        row = QHBoxLayout()
        self.buttons = {}
        for text, tip, action in (
            ("Start", "Run the command that is then in the log", self.start),
            ("Stop", "End the run and all its processes", self.stop),
            ("Compare", "Show the input in place of the result, or back", self.compare),
            ("Re-sharpen", "Again with the model as it is now", self.update),
            ("Help", "The page of this panel", self.display_help),
        ):
            button = QPushButton(text)
            button.setToolTip(tip)
            button.clicked.connect(lambda *_, action=action: action())
            row.addWidget(button)
            self.buttons[text] = button
        return row

    def _validate_box(self):
        """What belongs to the button that sharpens again."""
        self.validate_box = QCheckBox("Re-sharpen with full validation (slower)")
        self.validate_box.setToolTip(
            "Half map 2 judges the hybrid model again: nearly the time of a first run"
        )
        self.validate_box.setChecked(self.logic.validate)
        return self.validate_box

    def _read_widgets(self):
        """Take the choices from the widgets."""
        choices = self.logic.choices
        choices.half_maps = self.kind_menu.currentIndex() == 0
        choices.map_1, choices.map_2 = (menu.value for menu in self.map_menus)
        choices.model, choices.mask = self.model_menu.value, self.mask_menu.value
        choices.symmetry = self.symmetry_entry.text()
        self.logic.validate = self.validate_box.isChecked()
        for group in self.groups.values():
            choices.options.update(group.values)

    def _choices_changed(self, *_):
        """Show what follows from the choices."""
        half_maps = self.kind_menu.currentIndex() == 0
        self.map_labels[0].setText("Half map 1" if half_maps else "Full map")
        for widget in (self.map_labels[1], self.map_menus[1]):
            widget.setVisible(half_maps)
        self._refresh()

    def _take_suggestion(self, *_):
        """Type the symmetry that the maps show."""
        symbol = self.logic.suggested_symmetry
        if symbol is not None:
            self.symmetry_entry.setText(symbol)

    def _live_check_toggled(self, checked):
        """Look at the maps from now on, or no longer."""
        self.logic.live_check = settings(self.session).live_check = bool(checked)

    def _new_frame(self, *_):
        """Follow the runs and the scene a few times a second."""
        now = time.monotonic()
        if now - self._refreshed > _REFRESH_EVERY:
            self._refreshed = now
            self._refresh()

    def _refresh(self):
        """Bring notices, progress and buttons up to date."""
        self._read_widgets()
        self.logic.poll()
        notices = self.logic.notices()
        text = "<br>".join(_notice_html(notice) for notice in notices)
        if text != self.notice_label.text():
            self.notice_label.setText(text)
        symbol = self.logic.suggested_symmetry
        self.suggestion.setVisible(symbol is not None)
        self.suggestion.setText(f"Use {symbol}")
        progress = self.logic.progress()
        for widget in (self.progress_bar, self.progress_label):
            widget.setVisible(progress is not None)
        if progress is not None:
            self.progress_bar.setValue(round(1000 * progress[0]))
            self.progress_label.setText(progress[1])
        result = self.logic.result()
        ready = not any(notice.level == PROBLEM for notice in notices)
        self.buttons["Start"].setEnabled(ready)
        self.buttons["Stop"].setEnabled(progress is not None)
        self.buttons["Compare"].setEnabled(result is not None and bool(result.open_maps))
        self.buttons["Re-sharpen"].setEnabled(result is not None and progress is None)
        self.validate_box.setEnabled(result is not None and len(result.maps) == 2)


def _notice_html(notice):
    """One notice in its colour."""
    from html import escape

    colour = _COLOURS.get(notice.level, _OTHER_COLOUR)
    return f'<span style="color:{colour}">{escape(notice.text)}</span>'
