"""The few classes of ChimeraX's window that the panel uses, for PyQt6 without a window.

They keep the rules that the originals have: a menu knows the open models of one class, starts
without a value, and loses its value when that model is closed; a collapsible panel starts closed.
"""

import sys
import types

from PyQt6 import QtCore, QtGui, QtWidgets
from PyQt6.QtCore import pyqtSignal


class MainToolWindow:
    """The area that a tool fills."""

    def __init__(self, tool_instance):
        self.tool_instance = tool_instance
        self.ui_area = QtWidgets.QWidget()
        self.shown = False

    def manage(self, placement):
        self.shown = True

    def destroy(self):
        self.ui_area.deleteLater()


class ModelMenuButton(QtWidgets.QPushButton):
    """A button whose menu lists the open models of a class."""

    AUTOSELECT_NONE = None
    value_changed = pyqtSignal()

    def __init__(
        self,
        session,
        *,
        class_filter,
        autoselect=None,
        no_value_menu_text=None,
        no_value_button_text="No model chosen",
        item_text_func=str,
    ):
        super().__init__(no_value_button_text)
        self._session, self._kind, self._empty = session, class_filter, no_value_button_text
        self._none = no_value_menu_text
        self._value, self._text_of = None, item_text_func
        session.triggers.add_handler("remove models", self._closed)
        session.triggers.add_handler("add models", self._renamed)

    @property
    def value(self):
        return self._value

    @value.setter
    def value(self, model):
        assert model is None or isinstance(model, self._kind)
        assert model is None or model in self._session.models.list(), "the original raises KeyError"
        if model is self._value:
            return  # the original tells of changes only
        self._value = model
        self.setText(self._empty if model is None else self._text_of(model))
        self.value_changed.emit()

    def _renamed(self, *_):
        if self._value is not None and self._value in self._session.models.list():
            self.setText(self._text_of(self._value))

    def _closed(self, _name, models):
        if self._value is not None and self._value not in self._session.models.list():
            self.value = None


class CollapsiblePanel(QtWidgets.QWidget):
    """A title that shows and hides what is below it."""

    def __init__(self, parent=None, title=""):
        super().__init__(parent)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self.toggle_button = QtWidgets.QToolButton()
        self.toggle_button.setText(title)
        self.toggle_button.setCheckable(True)
        self.toggle_button.setToolButtonStyle(QtCore.Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.toggle_button.setArrowType(QtCore.Qt.ArrowType.RightArrow)
        self.toggle_button.setStyleSheet("QToolButton { border: none; color: black; }")
        self.content_area = QtWidgets.QFrame()
        inner = QtWidgets.QVBoxLayout(self.content_area)
        inner.setContentsMargins(30, 0, 0, 0)
        layout.addWidget(self.toggle_button)
        layout.addWidget(self.content_area)
        self.content_area.setVisible(False)
        self.toggle_button.toggled.connect(self.toggle_panel_display)

    def toggle_panel_display(self, checked=None):
        shown = not self.content_area.isVisibleTo(self) if checked is None else checked
        arrows = QtCore.Qt.ArrowType
        self.toggle_button.setArrowType(arrows.DownArrow if shown else arrows.RightArrow)
        self.content_area.setVisible(shown)


def install(monkeypatch):
    """Make ``from Qt…`` and ``from chimerax.ui…`` find PyQt6 and the doubles."""
    shim = types.ModuleType("Qt")
    ui, widgets = types.ModuleType("chimerax.ui"), types.ModuleType("chimerax.ui.widgets")
    ui.MainToolWindow = MainToolWindow
    widgets.ModelMenuButton, widgets.CollapsiblePanel = ModelMenuButton, CollapsiblePanel
    for name, module in (
        ("Qt", shim),
        ("Qt.QtCore", QtCore),
        ("Qt.QtGui", QtGui),
        ("Qt.QtWidgets", QtWidgets),
        ("chimerax.ui", ui),
        ("chimerax.ui.widgets", widgets),
    ):
        monkeypatch.setitem(sys.modules, name, module)
