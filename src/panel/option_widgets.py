"""Widgets for the options of one group of the panel."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

from Qt.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QGridLayout,
    QLabel,
    QLineEdit,
    QSpinBox,
    QWidget,
)

from .options import OUTPUT_TIPS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from typing import Any

    from .options import Option

    Editor = tuple[QWidget, Callable[[], Any]]  # a widget, and the function that reads it

_COLUMNS = 3


class OptionGroup:
    """Rows of a label and a widget.

    Parameters
    ----------
    options : list of options.Option
    given : dict of str to value
        Values by keyword, where they are not the defaults.
    """

    def __init__(self, options: Sequence[Option], given: dict[str, Any]) -> None:
        self.widget = QWidget()
        form = QFormLayout(self.widget)
        form.setContentsMargins(0, 0, 0, 0)
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        self._options = options
        self._readers: dict[str, Callable[[], Any]] = {}
        self._editors: dict[str, Any] = {}
        for option in options:
            editor, read = _editor(option, given.get(option.keyword, option.default))
            tip = wrapped_tip(option.tip)
            editor.setToolTip(tip)
            self._readers[option.keyword], self._editors[option.keyword] = read, editor
            label = QLabel(f"{option.label} ({option.unit})" if option.unit else option.label)
            label.setToolTip(tip)
            if isinstance(option.default, bool):
                editor.setText(label.text())
                form.addRow(editor)
            else:
                form.addRow(label, editor)

    @property
    def values(self) -> dict[str, Any]:
        """Values by keyword."""
        return {keyword: read() for keyword, read in self._readers.items()}

    @property
    def changed(self) -> list[str]:
        """Labels of the options that differ from their defaults."""
        values = self.values
        return [
            option.label
            for option in self._options
            if values[option.keyword] != option.default
            and not (option.default == 0 and not values[option.keyword])
        ]

    def set_value(self, keyword: str, value: Any) -> bool:
        """Show another value; return whether the option is one of this group."""
        editor = self._editors.get(keyword)
        if editor is None:
            return False
        if isinstance(value, tuple):
            for box in editor.findChildren(QCheckBox):
                box.setChecked(box.text() in value)
        elif isinstance(editor, QCheckBox):
            editor.setChecked(value)
        elif isinstance(editor, QComboBox):
            editor.setCurrentText(value)
        elif isinstance(editor, QLineEdit):
            editor.setText(value)
        else:
            editor.setValue(value)
        return True


def wrapped_tip(text: str) -> str:
    """Make a tooltip as markup, which Qt breaks into lines."""
    return f"<p>{escape(text)}</p>" if text else ""


def _editor(option: Option, value: Any) -> Editor:
    """Make a widget for an option, and the function that reads it."""
    if isinstance(option.default, bool):
        return _check_box(value)
    if isinstance(option.default, tuple):
        return _check_boxes(option.choices, value)
    if option.choices:
        return _menu(option.choices, value)
    if isinstance(option.default, int):
        return _whole_number(option, value)
    if isinstance(option.default, float):
        return _number(option, value)
    if option.default is None:
        return _optional_number(option, value)
    entry = QLineEdit(value)
    entry.setPlaceholderText(option.empty)
    return entry, lambda: entry.text().strip()


def _check_box(value: bool) -> Editor:
    """Make a box for yes or no."""
    box = QCheckBox()
    box.setChecked(value)
    return box, box.isChecked


def _check_boxes(words: Sequence[str], chosen: Collection[str]) -> Editor:
    """Any number of words."""
    widget = QWidget()
    layout = QGridLayout(widget)
    layout.setContentsMargins(0, 0, 0, 0)
    boxes = {}
    for place, word in enumerate(words):
        boxes[word] = QCheckBox(word)
        boxes[word].setChecked(word in chosen)
        boxes[word].setToolTip(wrapped_tip(OUTPUT_TIPS.get(word, "")))
        layout.addWidget(boxes[word], place // _COLUMNS, place % _COLUMNS)
    return widget, lambda: tuple(word for word, box in boxes.items() if box.isChecked())


def _menu(words: Sequence[str], value: str) -> Editor:
    """Make a menu of words."""
    menu = QComboBox()
    menu.addItems(words)
    menu.setCurrentText(value)
    menu.setMinimumContentsLength(6)
    menu.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    return menu, menu.currentText


def _whole_number(option: Option, value: int) -> Editor:
    """Make an entry for an integer in its range."""
    entry = QSpinBox()
    entry.setRange(int(option.low), int(option.high))
    entry.setValue(value)
    return entry, entry.value


class _ShortNumber(QDoubleSpinBox):
    """A number without trailing zeros: 0.01 where six decimals may be given."""

    def textFromValue(self, value: float) -> str:  # noqa: N802  the name is Qt's
        """Return what is shown."""
        text = f"{value:.{self.decimals()}f}"
        return text if self.decimals() == 1 else text.rstrip("0").rstrip(".")


def _number(option: Option, value: float) -> Editor:
    """Make an entry for a number, with as many decimals as its lower bound needs."""
    entry = _ShortNumber()
    decimals = 1 if option.default >= 1 else max(4, -math.floor(math.log10(option.low)))
    entry.setDecimals(decimals)
    entry.setRange(option.low, option.high)
    entry.setSingleStep(1.0 if decimals == 1 else option.default)
    entry.setValue(value)
    return entry, entry.value


def _optional_number(option: Option, value: float | None) -> Editor:
    """Make an entry for a number in its range, or none: one step below the range."""
    entry = QDoubleSpinBox()
    entry.setDecimals(2)
    entry.setSingleStep(0.1)
    entry.setRange(option.low - 0.1, option.high)
    entry.setSpecialValueText("measured")
    entry.setValue(entry.minimum() if value is None else value)
    return entry, lambda: entry.value() if entry.value() >= option.low else None
