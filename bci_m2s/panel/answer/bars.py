"""Bars of probabilities, and the small pieces of painting that go with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PyQt6.QtCore import QRectF, Qt
from PyQt6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPen

from bci_m2s.colours import class_colour
from bci_m2s.panel.client.answers import Said, legible
from bci_m2s.panel.look.theme import LARGE, NORMAL, SMALL, Theme, font

MARGIN = 8
_ALIGN = Qt.AlignmentFlag
LEFT = (_ALIGN.AlignLeft | _ALIGN.AlignVCenter).value
RIGHT = (_ALIGN.AlignRight | _ALIGN.AlignVCenter).value
TOP = (_ALIGN.AlignLeft | _ALIGN.AlignTop).value


@dataclass(frozen=True, slots=True)
class _Bars:
    """How the bars are laid: columns, rows, row height and type size."""

    columns: int
    rows: int
    row_height: float
    scale: float


def _lay(classes: int, height: float) -> _Bars:
    least = line_height(SMALL)
    columns = 1 if classes * least <= height or classes < 4 else 2
    rows = max(1, min(-(-classes // columns), int(height / least)))
    row_height = min(height / rows, 2.4 * line_height(LARGE))
    return _Bars(
        columns, rows, row_height, float(np.clip(row_height / (1.35 * line_height(NORMAL)), SMALL, LARGE))
    )


def _bar_type(classes: Sequence[str], largest: float, width: float) -> tuple[float, float, float]:
    """Type size and widths of names and numbers, so that names need not be cut where that can be helped."""
    for scale in np.linspace(largest, min(NORMAL, largest), 4).tolist():
        bold = QFontMetricsF(font(scale, bold=True))
        widest = max(bold.horizontalAdvance(name) for name in classes) + 1
        if widest <= 0.45 * width:
            break
    return scale, min(widest, 0.45 * width), bold.horizontalAdvance(" 0.00")


def paint_bars(painter: QPainter, room: QRectF, classes: Sequence[str], said: Said, theme: Theme) -> float:
    """A name, a bar and a number for every class; gives the height taken.

    Where not all find room, the first ones are shown and the last row says how many are not. Without an
    estimate the bars are empty, and none is painted unless all find room.
    """
    if not classes or room.height() < line_height(SMALL):
        return 0.0
    lay = _lay(len(classes), room.height())
    shown = min(len(classes), lay.columns * lay.rows)
    if shown < len(classes) and not said.shares:
        return 0.0
    width = (room.width() - (lay.columns - 1) * 2 * MARGIN) / lay.columns
    scale, name_width, number_width = _bar_type(classes, lay.scale, width)
    for place in range(shown):
        column, row = divmod(place, lay.rows)
        left, top = room.left() + column * (width + 2 * MARGIN), room.top() + row * lay.row_height
        cell = QRectF(left, top, width, lay.row_height)
        if place == shown - 1 < len(classes) - 1:
            write(painter, cell, f"and {len(classes) - place} more", font(SMALL), theme.muted, LEFT)
            break
        wins = place == said.place
        chosen, colour = font(scale, bold=wins), theme.text if wins else theme.muted
        name = QFontMetricsF(chosen).elidedText(classes[place], Qt.TextElideMode.ElideRight, name_width)
        write(painter, cell, name, chosen, colour, LEFT)
        number = f"{said.shares[place]:.2f}" if said.shares else "–"
        write(painter, cell, number, chosen, colour, RIGHT)
        thick = min(0.5 * lay.row_height, 22.0)
        bar = QRectF(left + name_width + MARGIN, cell.center().y() - thick / 2, 0, thick)
        bar.setRight(cell.right() - number_width)
        paint_bar(painter, bar, said.shares[place] if said.shares else 0.0, class_colour(place), theme)
    return lay.rows * lay.row_height


def paint_bar(painter: QPainter, bar: QRectF, share: float, colour: str, theme: Theme) -> None:
    """A track that is filled from the left. share : 0 to 1; colour : "#RRGGBB"."""
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(theme.raised))
    painter.drawRoundedRect(bar, 2, 2)
    filled = QRectF(bar.left(), bar.top(), bar.width() * float(np.clip(share, 0, 1)), bar.height())
    if filled.width() < 0.5:
        return
    painter.setBrush(QColor(colour))
    edge = legible(colour, theme.raised, least=2.0)  # a pale colour on a pale track needs an edge
    if edge != colour:
        painter.setPen(QPen(QColor(edge), 1))
        filled.adjust(0.5, 0.5, -0.5, -0.5)
    painter.drawRoundedRect(filled, 2, 2)


def write(
    painter: QPainter,
    room: QRectF,
    text: str,
    chosen: QFont,
    colour: str,
    flags: int = TOP,
) -> None:
    """Write a text in a font and colour; flags are Qt's for alignment and wrapping."""
    painter.setFont(chosen)
    painter.setPen(QColor(colour))
    painter.drawText(room, flags, text)


def cut(room: QRectF, height: float) -> QRectF:
    """The upper part of a room."""
    return QRectF(room.left(), room.top(), room.width(), height)


def line_height(scale: float) -> float:
    """Height of a line of type at a scale of the theme."""
    return QFontMetricsF(font(scale)).height()
