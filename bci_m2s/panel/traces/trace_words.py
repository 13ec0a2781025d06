"""Words beside and over a sweep: channel names and what is wrong with them, scale bar, axis, markers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from PyQt6.QtCore import QPointF, QRect, QRectF, Qt
from PyQt6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPen

from bci_m2s.panel.look.plot import step_125
from bci_m2s.panel.look.theme import SMALL, Theme, font
from bci_m2s.panel.traces.sweep_picture import grid_step_s
from bci_m2s.panel.traces.trace_rows import placed_labels
from bci_m2s.text import printable

LONGEST_LABEL = 12  # characters
SHORTEST_TEXT_PX = 24  # of a marker's text; in less room there is only its line
LABEL_SCALE = 0.8  # of the type size
WORDS_PX = 80  # room for the words at the beginning of bad traces
BAR_PX = (14, 70)  # shortest and longest scale bar
RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
LEFT = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)


def short_label(label: str) -> str:
    """A label as it is shown: one line, not too long."""
    return printable(label, LONGEST_LABEL)


def draw_labels(
    painter: QPainter,
    rect: QRect,
    plot: QRect,
    labels: Sequence[str],
    states: Mapping[str, str],
    theme: Theme,
) -> None:
    """Names in the gutter; those that are not good crossed out, with the word where their trace begins.

    rect : what is being painted; plot : the traces' place; labels : of the visible channels, from the top
    """
    if rect.left() > plot.left() + (WORDS_PX if states else 0):
        return
    metrics, row_px = QFontMetrics(font(LABEL_SCALE)), plot.height() / max(1, len(labels))
    height = metrics.height()
    centres = [plot.top() + (i + 0.5) * row_px for i in range(len(labels))]
    painter.setFont(font(LABEL_SCALE))
    for i in placed_labels(centres, metrics.ascent() + 1, [label in states for label in labels]):
        box = QRectF(0, centres[i] - height / 2, plot.left() - 6, height)
        name = metrics.elidedText(short_label(labels[i]), Qt.TextElideMode.ElideRight, int(box.width()))
        word = states.get(labels[i], "")
        painter.setPen(QColor(theme.warn if word else theme.muted))
        painter.drawText(box, RIGHT, name)
        if word:
            left = box.right() - metrics.horizontalAdvance(name)
            painter.drawLine(QPointF(left - 1, centres[i]), QPointF(box.right() + 1, centres[i]))
            plate = QRectF(plot.left() + 2, box.top(), metrics.horizontalAdvance(word) + 6, height)
            painter.fillRect(plate, QColor(theme.surface))
            painter.drawText(plate, Qt.AlignmentFlag.AlignCenter, word)


def draw_bar(
    painter: QPainter, rect: QRect, plot: QRect, row_px: float, scale: float, unit: str, theme: Theme
) -> None:
    """A vertical bar in the lower right corner, as long as the value written beside it.

    row_px : height of a row; scale : value that a row stands for, in `unit`
    """
    value = scale
    while row_px * value / scale < BAR_PX[0]:
        value = step_125(value, 1)
    while row_px * value / scale > BAR_PX[1]:
        value = step_125(value, -1)
    length, text = row_px * value / scale, f"{value:g} {unit}".rstrip()
    letters = font(SMALL, bold=True)
    metrics = QFontMetrics(letters)
    width, height = metrics.horizontalAdvance(text) + 22, max(length, metrics.height()) + 6
    plate = QRectF(plot.right() - width - 4, plot.bottom() - 6 - height, width, height)
    if not plate.intersects(QRectF(rect)):
        return
    painter.fillRect(plate, QColor(theme.surface))
    painter.setPen(QPen(QColor(theme.text), 2))
    x, bottom = plate.left() + 9, plate.bottom() - 3
    painter.drawLine(QPointF(x, bottom), QPointF(x, bottom - length))
    for y in (bottom, bottom - length):
        painter.drawLine(QPointF(x - 3, y), QPointF(x + 3, y))
    painter.setFont(letters)
    painter.drawText(plate.adjusted(16, 0, 0, 0), LEFT, text)


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
    painter: QPainter, plot: QRect, text: str, letters: QFont, theme: Theme, corner: bool = False
) -> None:
    """A text on a ground of its own, in the middle of the sweep or in its upper right corner."""
    painter.setFont(letters)
    box = QFontMetrics(letters).boundingRect(text).adjusted(-8, -4, 8, 4)
    if corner:
        box.moveTopRight(plot.topRight())
    else:
        box.moveCenter(plot.center())
    painter.fillRect(box, QColor(theme.raised))
    painter.setPen(QColor(theme.warn))
    painter.drawText(QRectF(box), Qt.AlignmentFlag.AlignCenter, text)
