"""The part of the panel that scrolls: what goes into a run, and the options in groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from Qt.QtWidgets import QCheckBox, QComboBox, QFormLayout, QLabel, QLineEdit, QSizePolicy, QWidget

from ..scene.frames import map_label
from .colors import text_color
from .option_widgets import OptionGroup, wrapped_tip
from .options import GROUPS, OPTIONS

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..session_types import Model, Session
    from .choices import Choices

_UNLIMITED = 16777215  # px, Qt's own largest size
_LONGEST = 40  # letters of a name in a menu

_TIPS = {
    "kind": "Choose two half maps if you have them. Nothing is cross-validated with one full map.",
    "map_1": "Choose an open map that was not filtered, sharpened or masked.",
    "map_2": "Choose the other half map, on the same grid.",
    "model": "Choose an open model; it may be incomplete. Without a model, pseudo-atoms fill the "
    "whole mask.",
    "symmetry": "Set the point group of the reconstruction: C1, C4, D2, T, O, I, …",
    "mask": "Choose your own mask if the automatic one is too large or too small.",
    "check": "Check maps and model in the background when you select them: a few seconds of one "
    "processor.",
}


class InputForm:
    """Rows for maps, model, symmetry and mask.

    Parameters
    ----------
    session : Session
    choices : Choices
    changed : callable
        Called when something is chosen.
    """

    def __init__(self, session: Session, choices: Choices, changed: Callable[..., None]) -> None:
        from chimerax.atomic import AtomicStructure
        from chimerax.map import Volume

        self._session, self._changed = session, changed
        self.widget = QWidget()
        self._form = form = QFormLayout(self.widget)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self.kind_menu = QComboBox()
        self.kind_menu.addItems(("two half maps", "one full map"))
        self.kind_menu.setCurrentIndex(0 if choices.half_maps else 1)
        self.kind_menu.currentIndexChanged.connect(changed)
        self._row("Sharpen", self.kind_menu, "kind")
        self.menus: dict[str, Any] = {}
        self.labels: dict[str, QLabel] = {}
        for role, label, kind, none in (
            ("map_1", "Half map 1", Volume, "choose a map"),
            ("map_2", "Half map 2", Volume, "choose a map"),
            ("model", "Model", AtomicStructure, "none"),
        ):
            self._menu_row(role, label, kind, none, getattr(choices, role))
        self.symmetry_entry = QLineEdit(choices.symmetry)
        self.symmetry_entry.textChanged.connect(changed)
        self._row("Symmetry", self.symmetry_entry, "symmetry")
        self._menu_row("mask", "Mask", Volume, "automatic", choices.mask)
        self.check_box = QCheckBox("Check maps when selected")
        self.check_box.setToolTip(wrapped_tip(_TIPS["check"]))
        form.addRow("", self.check_box)

    def show_kind(self, *, half_maps: bool) -> None:
        """Show the rows of two half maps, or those of one full map."""
        self.labels["map_1"].setText("Half map 1" if half_maps else "Full map")
        for widget in (self.labels["map_2"], self.menus["map_2"]):
            widget.setVisible(half_maps)

    def _row(self, text: str, widget: QWidget, tip: str) -> QLabel:
        """Add a label and a widget, with one tooltip."""
        label = QLabel(text)
        for part in (label, widget):
            part.setToolTip(wrapped_tip(_TIPS[tip]))
        self._form.addRow(label, widget)
        return label

    def _menu_row(self, role: str, text: str, kind: type, none: str, value: Model | None) -> None:
        """Add a menu of open models of one kind."""
        from chimerax.ui.widgets import ModelMenuButton

        more = {} if none == "choose a map" else {"no_value_menu_text": none}
        menu = ModelMenuButton(
            self._session,
            class_filter=kind,
            autoselect=ModelMenuButton.AUTOSELECT_NONE,
            no_value_button_text=none,
            item_text_func=short_label,
            **more,
        )
        menu.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        menu.setMinimumWidth(80)
        if value is not None and not value.deleted:
            menu.value = value
        menu.value_changed.connect(self._changed)
        self.menus[role] = menu
        self.labels[role] = self._row(text, menu, role)


class OptionGroups:
    """Collapsed options in the groups that a user thinks in.

    Parameters
    ----------
    parent : QWidget
    given : dict of str to value
        Values by keyword, where they are not the defaults.
    """

    def __init__(self, parent: QWidget, given: dict[str, Any]) -> None:
        from chimerax.ui.widgets import CollapsiblePanel

        self.groups: dict[str, OptionGroup] = {}
        self.panels: dict[str, Any] = {}
        self._styles: dict[Any, str] = {}
        for name in GROUPS:
            panel = CollapsiblePanel(parent, title=name)
            group = OptionGroup([option for option in OPTIONS if option.group == name], given)
            panel.content_area.layout().setContentsMargins(16, 0, 0, 0)
            panel.content_area.layout().addWidget(group.widget)
            panel.toggle_button.clicked.connect(lambda *_, panel=panel: _follow_content(panel))
            self._styles[panel] = panel.toggle_button.styleSheet().rstrip("} ")
            self.groups[name], self.panels[name] = group, panel

    @property
    def values(self) -> dict[str, Any]:
        """Values of all options by keyword."""
        return {
            keyword: value
            for group in self.groups.values()
            for keyword, value in group.values.items()
        }

    def set_value(self, keyword: str, value: Any) -> bool:
        """Show another value of an option, wherever it is."""
        return any(group.set_value(keyword, value) for group in self.groups.values())

    def mark_changed(self) -> None:
        """Say in the title of a group which options are not the defaults, in a color to be read."""
        for name, group in self.groups.items():
            self._color_title(self.panels[name])
            changed = group.changed
            title = f"{name} ({len(changed)} changed)" if changed else name
            button = self.panels[name].toggle_button
            if button.text() != title or not button.toolTip():
                button.setText(title)
                told = (
                    f"Changed: {', '.join(changed)}" if changed else f"Show the options of {name}"
                )
                button.setToolTip(wrapped_tip(told))

    def _color_title(self, panel: Any) -> None:
        """Give a title the color of other text: ChimeraX's is black on any background."""
        style = f"{self._styles[panel]} color: {text_color('note', panel.palette())}; }}"
        if panel.toggle_button.styleSheet() != style:
            panel.toggle_button.setStyleSheet(style)


def _follow_content(panel: Any) -> None:
    """Let an open group be as high as its rows are: ChimeraX fixes the height for one width."""
    content = panel.content_area
    if content.maximumHeight() > 0:
        content.setMaximumHeight(_UNLIMITED)


def short_label(model: Model) -> str:
    """Name a model in a menu: its number, and of a long name the beginning and the end."""
    label = map_label(model)
    if len(label) <= _LONGEST:
        return label
    return f"{label[: _LONGEST // 2]}…{label[-(_LONGEST // 2 - 1) :]}"
