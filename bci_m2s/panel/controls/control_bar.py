"""The buttons, with their keys on them, and the field for a marker's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtGui import QAction, QFocusEvent, QKeyEvent
from PyQt6.QtWidgets import (
    QGridLayout,
    QLineEdit,
    QSizePolicy,
    QStyleOptionToolButton,
    QToolButton,
)

from bci_m2s.panel.controls.actions import SPECS
from bci_m2s.panel.look.theme import SMALL, Theme, font
from bci_m2s.panel.look.view import View, in_column, in_row
from bci_m2s.types import LONGEST_MARKER

HINT = "marker text  M"
IN_A_ROW = 4  # marker buttons; the ninth stands at the end of the second row
LEAST_PX = 34  # of a marker's button; its text is cut before the window grows
ROWS = (("record", "baseline", "freeze"), ("connect", "stop", "screenshot", "theme", "fullscreen", "help"))


class MarkerField(QLineEdit):
    """Free text; Enter writes it as a marker, Escape lets go of the keyboard."""

    entered = pyqtSignal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setPlaceholderText(HINT)
        self.setMaxLength(LONGEST_MARKER)
        self.setAccessibleName("Marker text")
        self.returnPressed.connect(self._enter)

    def _enter(self) -> None:
        text = self.text().strip()
        if text:
            self.entered.emit(text)
            self.clear()
        self.clearFocus()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Escape gives the keys back to the window."""
        if event is not None and event.key() == Qt.Key.Key_Escape:
            self.clear()
            self.clearFocus()
            return
        super().keyPressEvent(event)

    def focusInEvent(self, event: QFocusEvent | None) -> None:
        """What stood there is replaced."""
        super().focusInEvent(event)
        self.selectAll()


class MarkerButton(QToolButton):
    """A button whose text is cut with "…" where there is no room for it."""

    def minimumSizeHint(self) -> QSize:
        """Room for the key and the beginning of the text."""
        whole = super().minimumSizeHint()
        return QSize(min(LEAST_PX, whole.width()), whole.height())

    def initStyleOption(self, option: QStyleOptionToolButton | None) -> None:
        super().initStyleOption(option)
        if option is not None:
            room = self.width() - 12
            option.text = self.fontMetrics().elidedText(option.text, Qt.TextElideMode.ElideRight, room)


class ControlBar(View):
    """Buttons for the panel's actions; `field` takes free marker texts.

    edit_wanted : signal: a marker's button was clicked with the right mouse button
    """

    edit_wanted = pyqtSignal()

    def __init__(self, theme: Theme, actions: Mapping[str, QAction], markers: Sequence[QAction]) -> None:
        super().__init__(theme)
        self._buttons: dict[str, QToolButton] = {}
        self.field = MarkerField()
        self.field.setFont(font(SMALL))
        first, last = ([self._button(name, actions[name]) for name in names] for names in ROWS)
        marker_row = QGridLayout()
        marker_row.setSpacing(4)
        for place, action in enumerate(markers):
            button = self._button(action.objectName(), action, MarkerButton())
            button.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
            button.customContextMenuRequested.connect(lambda _place: self.edit_wanted.emit())
            button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)  # all as wide
            row, column = divmod(place, IN_A_ROW) if place < 2 * IN_A_ROW else (1, IN_A_ROW)
            marker_row.addWidget(button, row, column)
        edit = self._button("markers", actions["markers"])
        edit.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        marker_row.addWidget(edit, 0, IN_A_ROW)
        lines = in_row(*first, (self.field, 1), spacing=4), marker_row, in_row(*last, spacing=4)
        self.setLayout(in_column(*lines, margins=(6, 6, 6, 6), spacing=4))
        self.set_theme(theme)

    def _button(self, name: str, action: QAction, button: QToolButton | None = None) -> QToolButton:
        button = button or QToolButton()
        button.setDefaultAction(action)
        button.setFont(font(SMALL))
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._buttons[name] = button
        self._label(name, action)
        action.changed.connect(lambda: self._label(name, action))
        return button

    def _label(self, name: str, action: QAction) -> None:
        key = SPECS[name].key if name in SPECS and name != "markers" else ""
        self._buttons[name].setText(f"{action.text()}  {key}" if key else action.text())
        self._buttons[name].setVisible(action.isVisible())

    def set_refusal(self, why: str) -> None:
        """Say why no command is taken, "" when they are."""
        self.field.setPlaceholderText(why or HINT)

    def button(self, name: str) -> QToolButton:
        """The button of an action."""
        return self._buttons[name]

    def set_theme(self, theme: Theme) -> None:
        self.setStyleSheet(
            f"QToolButton {{ background: {theme.raised}; color: {theme.text};"
            f" border: 1px solid {theme.grid}; border-radius: 4px; padding: 4px 4px; }}"
            f"QToolButton:hover, QToolButton:focus {{ border-color: {theme.accent}; }}"
            f"QToolButton:checked {{ background: {theme.accent}; color: {theme.background}; }}"
            f"QToolButton:disabled {{ color: {theme.muted}; background: {theme.surface};"
            " border-style: dashed; }"
        )
