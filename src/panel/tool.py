"""The panel: widgets around `panel.PanelLogic`.  It and its parts alone import Qt."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from chimerax.core.commands import run
from chimerax.core.tools import ToolInstance, get_singleton
from Qt.QtCore import Qt
from Qt.QtWidgets import QFrame, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from ..results.manager import results
from ..settings import settings
from .choices import MAPS, ROLES, half_maps_among, input_maps
from .controls import Controls
from .form import InputForm, OptionGroups
from .logic import PanelLogic
from .notice_list import NoticeList
from .notices import NEW, PROBLEM
from .options import OPTIONS, REMEMBERED

if TYPE_CHECKING:
    from typing import Any

    from Qt.QtCore import QSize

    from ..session_types import Json, Session
    from .notices import Action

NAME = "LocScale Hybrid"
_REFRESH_EVERY = 0.2  # s
_LEAST_FORM = 10  # px


def show_panel(session: Session, name: str = NAME) -> LocScalePanel:
    """Show the one panel of a session, made at first use."""
    return get_singleton(session, LocScalePanel, name, display=True)


class LocScalePanel(ToolInstance):
    """The tool LocScale Hybrid."""

    SESSION_ENDURING = False
    SESSION_SAVE = True
    help = "help:user/tools/locscalehybrid.html"

    def __init__(
        self, session: Session, tool_name: str, *, logic: PanelLogic | None = None
    ) -> None:
        super().__init__(session, tool_name)
        from chimerax.ui import MainToolWindow

        self.logic = logic or _logic_of(session)
        self._handler = None
        self.tool_window = MainToolWindow(self)
        self._fill(self.tool_window.ui_area)
        self.tool_window.manage("side")
        self._refreshed = 0.0
        self._handler = session.triggers.add_handler("new frame", self._new_frame)
        self._choices_changed()

    def delete(self) -> None:
        """Close the panel; a run goes on, and the choices are kept for the next panel."""
        if self._handler is not None:
            self.session.triggers.remove_handler(self._handler)
            self._handler = None
            self._read_widgets()
            results(self.session).panel_choices = self.logic.choices
        self.logic.close()
        super().delete()

    def take_snapshot(self, session: Session, flags: int) -> Json:
        """Save the choices in a session file."""
        self._read_widgets()
        return self.logic.as_state()

    @classmethod
    def restore_snapshot(cls, session: Session, data: Json) -> LocScalePanel:
        """Restore the panel of a session file."""
        return cls(session, NAME, logic=PanelLogic.from_state(session, data))

    def start(self) -> None:
        """Run the command that the panel shows, and remember the options."""
        self._read_widgets()
        if self.logic.job() is not None:
            return  # the second click of two
        command = self.logic.command()
        self._remember()
        self._run(command)

    def stop(self) -> None:
        """End the run."""
        self._run("locscale stop")

    def show_view(self, name: str) -> None:
        """Show the result, its input, or the map before the update."""
        self.logic.show(name, self._run)
        self._refresh()

    def update(self) -> None:
        """Sharpen again with what the panel shows."""
        self._read_widgets()
        if self.logic.job() is not None:
            return
        command = self.logic.update_command()
        self._remember()
        self._run(command)

    def act(self, action: Action) -> None:
        """Do what the button of a notice says."""
        before = set(self.session.models.list())
        if action.command:
            run(self.session, action.command)
        opened = [model for model in self.session.models.list() if model not in before]
        for name, value in action.choose:
            model = next(iter(opened), None) if value == NEW else value
            if value != NEW or model is not None:
                self._choose(name, model)
        self._refresh()

    def _run(self, command: str) -> None:
        """Run a command, and show at once what follows."""
        run(self.session, command)
        self._refresh()

    def _remember(self) -> None:
        """Keep the options for other sessions of ChimeraX."""
        kept, chosen = settings(self.session), self.logic.choices.options
        for option in OPTIONS:
            if option.keyword in REMEMBERED:
                setattr(kept, option.keyword, chosen.get(option.keyword, option.default))

    def _fill(self, parent: QWidget) -> None:
        """Lay out the widgets: a form that scrolls; notices, progress and buttons below it."""
        layout = QVBoxLayout(parent)
        layout.setContentsMargins(4, 2, 4, 2)
        layout.setSpacing(2)
        self.form = InputForm(self.session, self.logic.choices, self._choices_changed)
        self.form.check_box.setChecked(bool(self.logic.live_check))
        self.form.check_box.toggled.connect(self._live_check_toggled)
        self.options = OptionGroups(parent, self.logic.choices.options)
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        for widget in (self.form.widget, *self.options.panels.values()):
            column.addWidget(widget)
        column.addStretch(1)
        self.scroll_area = _ShortScrollArea()
        self.scroll_area.setWidget(inner)
        layout.addWidget(self.scroll_area, 1)
        self.notice_list = NoticeList(self.act)
        layout.addWidget(self.notice_list)
        self.controls = Controls(
            start=self.start,
            stop=self.stop,
            update=self.update,
            help_page=self.display_help,
            show=self.show_view,
            color=self._run,
        )
        layout.addWidget(self.controls.widget)

    def _read_widgets(self) -> None:
        """Take the choices from the widgets."""
        choices = self.logic.choices
        choices.half_maps = self.form.kind_menu.currentIndex() == 0
        for role, menu in self.form.menus.items():
            choices.take(role, menu.value)
        choices.symmetry = self.form.symmetry_entry.text()
        choices.options.update(self.options.values)

    def _choose(self, name: str, value: Any) -> None:
        """Show another choice, by field of `Choices` or by keyword of an option."""
        if name in ROLES:
            if value is None:
                self.logic.choices.forget(name)
            self.form.menus[name].value = value
        elif name == "pair":
            self._choose("half_maps", True)
            for role, volume in zip(MAPS, half_maps_among(input_maps(self.session)), strict=True):
                self.form.menus[role].value = volume
        elif name == "half_maps":
            self.form.kind_menu.setCurrentIndex(0 if value else 1)
        elif name == "symmetry":
            self.form.symmetry_entry.setText(value)
        else:
            self.options.set_value(name, value)

    def _choices_changed(self, *_: object) -> None:
        """Show what follows from the choices."""
        if self._handler is None:  # the panel is being made, or was closed
            return
        self.form.show_kind(half_maps=self.form.kind_menu.currentIndex() == 0)
        self._refresh()

    def _live_check_toggled(self, checked: bool) -> None:
        """Check the maps from now on, or no longer."""
        self.logic.live_check = settings(self.session).live_check = bool(checked)

    def _new_frame(self, *_: object) -> None:
        """Follow the runs and the scene a few times a second."""
        now = time.monotonic()
        if now - self._refreshed > _REFRESH_EVERY:
            self._refreshed = now
            self._refresh()

    def _refresh(self) -> None:
        """Bring notices, progress and buttons up to date."""
        self._read_widgets()
        for role, model in self.logic.poll().items():
            self.form.menus[role].value = model
        notices = self.logic.notices()
        self.notice_list.show_notices(notices)
        self.options.mark_changed()
        is_ready = not any(notice.level == PROBLEM for notice in notices)
        self.controls.show_state(self.logic, is_ready=is_ready)


class _ShortScrollArea(QScrollArea):
    """A scroll area for a form: as wide as the dock, and as low as it has to be."""

    def __init__(self) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumHeight(_LEAST_FORM)

    def minimumSizeHint(self) -> QSize:  # noqa: N802  the name is Qt's
        """Ask for the width of the form, so that nothing is cut at the right; hardly any height."""
        hint = super().minimumSizeHint()
        hint.setHeight(_LEAST_FORM)
        if self.widget() is not None:
            hint.setWidth(min(self.widget().minimumSizeHint().width() + 16, 330))
        return hint


def _logic_of(session: Session) -> PanelLogic:
    """Make the logic of a new panel, with the choices of the one before or with what is clear."""
    kept = settings(session)
    choices = results(session).panel_choices
    logic = PanelLogic(session, choices)
    logic.live_check = kept.live_check
    if choices is None:
        logic.choices.options = {name: getattr(kept, name) for name in REMEMBERED}
    for role in (*MAPS, "model", "mask"):
        model = getattr(logic.choices, role)
        if model is not None and model.deleted:
            logic.choices.forget(role)
    logic.fill()
    return logic
