"""Widgets that show what the panel has to say, at any width and height."""

from __future__ import annotations

from typing import TYPE_CHECKING

from Qt.QtCore import Qt
from Qt.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from .colors import text_color

if TYPE_CHECKING:
    from collections.abc import Callable

    from Qt.QtCore import QEvent, QSize
    from Qt.QtGui import QResizeEvent

    from .notices import Action, Notice

_LEAST_HEIGHT = 10  # px


class NoticeList(QScrollArea):
    """Notices, one below the other, with the buttons that mend what they say.

    It is as high as its text if there is room, and can be scrolled if there is none.

    Parameters
    ----------
    act : callable
        Called with the `Action` of a button that was pressed.
    share : float
        Of the height of the panel that it takes at most.
    """

    def __init__(self, act: Callable[[Action], None], share: float = 0.4) -> None:
        super().__init__()
        self._act, self._share = act, share
        self._shown: list[Notice] | None = None
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Maximum)
        self.setMinimumHeight(_LEAST_HEIGHT)
        self.buttons: list[QPushButton] = []

    def text(self) -> str:
        """Return what is shown, one line for each notice."""
        return "\n".join(notice.text for notice in self._shown or ())

    def show_notices(self, notices: list[Notice]) -> None:
        """Show notices in place of those before."""
        if notices == self._shown:
            return
        self._shown, self.buttons = list(notices), []
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(3)
        for notice in notices:
            column.addLayout(self._row(notice))
        column.addStretch(1)
        self.setWidget(inner)
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802  the name is Qt's
        """Follow the width: narrower text is higher."""
        super().resizeEvent(event)
        self._fit()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  the name is Qt's
        """Follow the palette."""
        super().changeEvent(event)
        if event.type() == event.Type.PaletteChange and self._shown is not None:
            shown, self._shown = self._shown, None
            self.show_notices(shown)

    def _row(self, notice: Notice) -> QVBoxLayout:
        """Lay out one notice: its text, and its buttons below."""
        row = QVBoxLayout()
        row.setSpacing(1)
        label = QLabel(notice.text)
        label.setTextFormat(Qt.TextFormat.PlainText)
        label.setWordWrap(True)
        label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        label.setStyleSheet(f"color: {text_color(notice.level, self.palette())}")
        row.addWidget(label)
        if notice.actions:
            line = QHBoxLayout()
            for action in notice.actions:
                line.addWidget(self._button(action))
            line.addStretch(1)
            row.addLayout(line)
        return row

    def _button(self, action: Action) -> QPushButton:
        """Make the button of an action; its tooltip says what it does."""
        button = QPushButton(action.label)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.setToolTip(f"Run: {action.command}" if action.command else "Change the choice above")
        button.clicked.connect(lambda *_: self._act(action))
        self.buttons.append(button)
        return button

    def _fit(self) -> None:
        """Be as high as the text, but leave room for the form."""
        inner = self.widget()
        if inner is None or not self._shown:
            self.setMaximumHeight(_LEAST_HEIGHT if not self._shown else 16777215)
            return
        wanted = inner.layout().heightForWidth(max(self.viewport().width(), 100))
        if wanted < 0:
            wanted = inner.sizeHint().height()
        parent = self.parentWidget()
        room = 16777215 if parent is None else int(self._share * parent.height())
        height = min(wanted + 2, max(room, _LEAST_HEIGHT))
        if height != self.maximumHeight():
            self.setMaximumHeight(height)
            self.updateGeometry()

    def sizeHint(self) -> QSize:  # noqa: N802  the name is Qt's
        """Ask for the height of the text."""
        hint = super().sizeHint()
        hint.setHeight(min(self.maximumHeight(), 400))
        return hint

    def minimumSizeHint(self) -> QSize:  # noqa: N802  the name is Qt's
        """Next to nothing: it can be scrolled."""
        hint = super().minimumSizeHint()
        hint.setHeight(_LEAST_HEIGHT)
        hint.setWidth(40)
        return hint


class ShortLabel(QLabel):
    """One line that never widens the panel: what does not fit is left out in the middle."""

    def __init__(self, text: str = "") -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._whole = ""
        self.set_whole(text)

    def whole(self) -> str:
        """Return the text, whether it fits or not."""
        return self._whole

    def set_whole(self, text: str) -> None:
        """Show a text."""
        if text != self._whole:
            self._whole = text
            self._elide()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802  the name is Qt's
        """Follow the width."""
        super().resizeEvent(event)
        self._elide()

    def _elide(self) -> None:
        """Shorten the text to the width."""
        middle = Qt.TextElideMode.ElideMiddle
        self.setText(self.fontMetrics().elidedText(self._whole, middle, max(self.width(), 20)))
        self.setToolTip(self._whole)
