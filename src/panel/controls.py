"""The part of the panel that stays: readiness or progress, the command, views and buttons."""

from __future__ import annotations

from typing import TYPE_CHECKING

from Qt.QtCore import Qt
from Qt.QtWidgets import (
    QButtonGroup,
    QHBoxLayout,
    QLineEdit,
    QMenu,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ..results.kinds import BEFORE, INPUT
from ..results.log_text import color_commands
from ..results.views import RESULT
from .notice_list import ShortLabel
from .option_widgets import wrapped_tip

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..results.manager import ResultRecord
    from ..session_types import Volume
    from .logic import PanelLogic

_VIEWS = {
    RESULT: ("Result", "Show the sharpened map."),
    INPUT: (
        "Input",
        "Show the input in place of the result: the average of the half maps. Both "
        "contours enclose the same volume.",
    ),
    BEFORE: ("Before", "Show the map before the last update."),
}


class Controls:
    """Everything below the form.

    Parameters
    ----------
    start, stop, update, help_page : callable
        What the buttons do.
    show : callable
        Called with the name of a view.
    color : callable
        Called with a command that colors the result.
    """

    def __init__(
        self,
        *,
        start: Callable[[], None],
        stop: Callable[[], None],
        update: Callable[[], None],
        help_page: Callable[[], None],
        show: Callable[[str], None],
        color: Callable[[str], None],
    ) -> None:
        self.widget = QWidget()
        column = QVBoxLayout(self.widget)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        self._color = color
        self._kept: ResultRecord | None = None
        self.ready_label, self.progress_bar = ShortLabel(), QProgressBar()
        self.progress_bar.setRange(0, 1000)
        self.progress_bar.setMinimumWidth(60)
        self.progress_bar.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.status = QStackedWidget()
        for widget in (self.ready_label, self.progress_bar):
            self.status.addWidget(widget)
        self.status.setFixedHeight(18)
        column.addWidget(self.status)
        column.addLayout(self._command_row())
        column.addLayout(self._view_row(show))
        column.addLayout(self._button_row(start, stop, update, help_page))

    def show_state(self, logic: PanelLogic, *, is_ready: bool) -> None:
        """Show what the panel's logic knows."""
        progress = logic.progress()
        self.status.setCurrentIndex(0 if progress is None else 1)
        self.ready_label.set_whole(logic.ready())
        if progress is not None:
            self.progress_bar.setValue(round(1000 * progress[0]))
            metrics, right = self.progress_bar.fontMetrics(), Qt.TextElideMode.ElideRight
            text = f"{100 * progress[0]:.0f} %: {progress[1]}"
            shown = metrics.elidedText(text, right, max(self.progress_bar.width() - 8, 40))
            self.progress_bar.setFormat(shown)
            job = logic.job()
            self.progress_bar.setToolTip(f"{job.request.title}: {text}" if job else text)
        command = logic.command() if is_ready else ""
        if command != self.command_line.text():
            self.command_line.setText(command)
            self.command_line.setCursorPosition(0)
        self.copy_button.setEnabled(bool(command))
        self.buttons["Start"].setEnabled(bool(is_ready and progress is None))
        self.buttons["Stop"].setEnabled(progress is not None)
        self._show_result(logic, is_running=progress is not None)

    def _show_result(self, logic: PanelLogic, *, is_running: bool) -> None:
        """Show what can be done with the newest result."""
        self._kept = logic.result()
        self.buttons["Re-sharpen"].setEnabled(self._kept is not None and not is_running)
        available, in_view = logic.views()
        for name, button in self.views.items():
            button.setEnabled(bool(available.get(name)))
            button.setChecked(name == in_view)
        self.color_button.setEnabled(self._kept is not None)

    def _command_row(self) -> QHBoxLayout:
        """Make the row of the command that Start runs, with a button that copies it."""
        row = QHBoxLayout()
        row.setSpacing(2)
        self.command_line = QLineEdit()
        self.command_line.setReadOnly(True)
        self.command_line.setPlaceholderText("The command that Start runs")
        self.command_line.setToolTip(wrapped_tip("The command that Start runs with these choices."))
        self.command_line.setFixedHeight(20)
        self.copy_button = self._small_button("Copy", "Copy the command to the clipboard.")
        self.copy_button.clicked.connect(self._copy)
        row.addWidget(self.command_line)
        row.addWidget(self.copy_button)
        return row

    def _copy(self, *_: object) -> None:
        """Put the command on the clipboard."""
        from Qt.QtWidgets import QApplication

        QApplication.clipboard().setText(self.command_line.text())

    def _view_row(self, show: Callable[[str], None]) -> QHBoxLayout:
        """Make the row of views (the result, its input, the map before the update) and colors."""
        row = QHBoxLayout()
        row.setSpacing(2)
        self.views: dict[str, QToolButton] = {}
        group = QButtonGroup(self.widget)
        group.setExclusive(False)
        for name, (label, tip) in _VIEWS.items():
            button = self._small_button(label, tip)
            button.setCheckable(True)
            button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            button.clicked.connect(lambda *_, name=name: show(name))
            group.addButton(button)
            row.addWidget(button)
            self.views[name] = button
        self.color_button = self._small_button(
            "Color", "Color the result by local B, resolution or another map that was opened."
        )
        self.color_menu = QMenu(self.color_button)
        self.color_menu.aboutToShow.connect(self.fill_color_menu)
        self.color_button.setMenu(self.color_menu)
        self.color_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        row.addWidget(self.color_button)
        return row

    def fill_color_menu(self) -> None:
        """Offer what the newest result can be colored by."""
        self.color_menu.clear()
        if self._kept is None:
            return
        commands = color_commands(self._kept)
        plain = f"volume #{self._kept.volume.id_string} color {_hex(self._kept.volume)}"
        for label, command in {**commands, "one color": f"{plain}; key delete"}.items():
            action = self.color_menu.addAction(label)
            action.triggered.connect(lambda *_, command=command: self._color(command))
        if not commands:
            missing = self.color_menu.addAction("Choose localB or resolution under Outputs first")
            missing.setEnabled(False)

    def _button_row(
        self,
        start: Callable[[], None],
        stop: Callable[[], None],
        update: Callable[[], None],
        help_page: Callable[[], None],
    ) -> QHBoxLayout:
        """Buttons: start, stop, sharpen again, help."""
        row = QHBoxLayout()
        row.setSpacing(2)
        self.buttons: dict[str, QPushButton] = {}
        for text, tip, action in (
            ("Start", "Run the command above.", start),
            ("Stop", "End the run and all its processes.", stop),
            (
                "Re-sharpen",
                "Update the newest result with the model as it is now, and with the maps and "
                "options that you have changed here. It keeps its level, color and view.",
                update,
            ),
            ("Help", "Open the help page of this panel.", help_page),
        ):
            button = QPushButton(text)
            button.setToolTip(wrapped_tip(tip))
            # else a click on Start would move the focus to Help, as Start turns grey
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.setMinimumWidth(40)
            button.setMaximumHeight(24)
            button.clicked.connect(lambda *_, action=action: action())
            row.addWidget(button)
            self.buttons[text] = button
        return row

    def _small_button(self, label: str, tip: str) -> QToolButton:
        """Make a flat button of little height."""
        button = QToolButton()
        button.setText(label)
        button.setToolTip(wrapped_tip(tip))
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.setFixedHeight(20)
        return button


def _hex(volume: Volume) -> str:
    """Return the plain color of a map, "#rrggbb"."""
    return "#" + "".join(f"{round(255 * part):02x}" for part in volume.default_rgba[:3])
