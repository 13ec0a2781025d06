"""What the panel's views have in common: a frame and a theme, parts in rows and columns, plain labels."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import (
    QAbstractItemView,
    QBoxLayout,
    QFrame,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLayout,
    QTableWidget,
    QVBoxLayout,
    QWidget,
)

from bci_m2s.panel.look.theme import NORMAL, Theme, font

Part = QWidget | QLayout | tuple[QWidget | QLayout, int] | None
Margins = tuple[int, int, int, int]


class View(QFrame):
    """A part of the panel; what it draws in colours of its own it draws again in ``set_theme``.

    framed : whether it stands on a surface of its own
    """

    def __init__(self, theme: Theme, framed: bool = True) -> None:
        super().__init__()
        self.setProperty("view", framed)
        self.theme = theme

    def set_theme(self, theme: Theme) -> None:
        """Draw in other colours."""
        self.theme = theme


def in_row(*parts: Part, margins: Margins = (0, 0, 0, 0), spacing: int = -1) -> QHBoxLayout:
    """Parts from left to right, each with its stretch where it has one; None takes room that is left.

    margins : pixels at the left, top, right and bottom; spacing : between parts, -1 as the style has it
    """
    layout = QHBoxLayout()
    _fill(layout, parts, margins, spacing)
    return layout


def in_column(*parts: Part, margins: Margins = (0, 0, 0, 0), spacing: int = -1) -> QVBoxLayout:
    """Parts from the top down, as in ``in_row``."""
    layout = QVBoxLayout()
    _fill(layout, parts, margins, spacing)
    return layout


def _fill(layout: QBoxLayout, parts: tuple[Part, ...], margins: Margins, spacing: int) -> None:
    layout.setContentsMargins(*margins)
    layout.setSpacing(spacing)
    for part in parts:
        inner, stretch = part if isinstance(part, tuple) else (part, 0)
        if inner is None:
            layout.addStretch(1)
        elif isinstance(inner, QLayout):
            layout.addLayout(inner, stretch)
        else:
            layout.addWidget(inner, stretch)


def plain_label(
    text: str = "", scale: float = NORMAL, bold: bool = False, muted: bool = False, wraps: bool = False
) -> QLabel:
    """A label that shows its text as it is: words of users and of the network may look like HTML."""
    label = QLabel()
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setText(text)
    label.setWordWrap(wraps)
    label.setFont(font(scale, bold))
    label.setProperty("muted", muted)
    return label


def plain_table(columns: Sequence[str]) -> tuple[QTableWidget, QHeaderView, QHeaderView]:
    """An empty table that is only looked at, its header, and the hidden one of its rows."""
    table = QTableWidget(0, len(columns))
    table.setHorizontalHeaderLabels(columns)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
    table.setShowGrid(False)
    table.setWordWrap(False)
    header, rows = table.horizontalHeader(), table.verticalHeader()
    assert header is not None
    assert rows is not None
    rows.hide()
    return table, header, rows
