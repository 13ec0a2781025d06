"""Words around and over a sweep of any stream: axis, markers, and why nothing moves."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from PyQt6.QtCore import QRect, QRectF, Qt
from PyQt6.QtGui import QColor, QFont, QFontMetrics, QPainter

from bci_m2s.panel.look.theme import SMALL, Theme, font
from bci_m2s.panel.traces.sweep_picture import grid_step_s

SHORTEST_TEXT_PX = 24  # of a marker's text; in less room there is only its line


def draw_axis(painter: QPainter, plot: QRect, width: int, span_s: float, theme: Theme) -> None:
    """Seconds of a sweep below it; width : of the widget, pixels."""
    metrics = QFontMetrics(font(SMALL))
    painter.setPen(QColor(theme.muted))
    for second in np.arange(0, span_s + 1e-9, grid_step_s(span_s)):
        text = f"{second:g} s"
        wide = metrics.horizontalAdvance(text)
        left = min(round(plot.left() + plot.width() * second / span_s - wide / 2), width - wide)
        painter.drawText(
            left, plot.bottom() + 2, wide + 1, metrics.height(), Qt.AlignmentFlag.AlignLeft, text
        )


def draw_marker_texts(
    painter: QPainter, markers: Iterable[tuple[float | None, str]], width: int, theme: Theme
) -> None:
    """Above the sweep as much of each marker's text as fits before the next one.

    markers : place in pixels, None where it is not on the screen, and text; width : of the widget, pixels
    """
    metrics = QFontMetrics(font(SMALL))
    painter.setPen(QColor(theme.text))
    shown = sorted((place, text) for place, text in markers if place is not None)
    ends = [*(place for place, _ in shown), float(width)][1:]
    for (place, text), end in zip(shown, ends, strict=False):
        room = int(end - place) - 6
        fits = metrics.elidedText(text, Qt.TextElideMode.ElideRight, room)
        if fits == text or room >= SHORTEST_TEXT_PX:
            painter.drawText(round(place) + 3, metrics.ascent(), fits)


def draw_plate(
    painter: QPainter,
    plot: QRect,
    text: str,
    letters: QFont,
    theme: Theme,
    corner: bool = False,
    is_calm: bool = False,
) -> None:
    """A text on a ground of its own, in the middle of the sweep or in its upper right corner.

    is_calm : it is no warning
    """
    painter.setFont(letters)
    box = QFontMetrics(letters).boundingRect(text).adjusted(-8, -4, 8, 4)
    if corner:
        box.moveTopRight(plot.topRight())
    else:
        box.moveCenter(plot.center())
    painter.fillRect(box, QColor(theme.raised))
    painter.setPen(QColor(theme.muted if is_calm else theme.warn))
    painter.drawText(QRectF(box), Qt.AlignmentFlag.AlignCenter, text)
