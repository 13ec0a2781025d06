"""Words beside and over the traces: channel names, what is wrong with them, the scale bar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PyQt6.QtCore import QPointF, QRect, QRectF, Qt
from PyQt6.QtGui import QColor, QFontMetrics, QPainter, QPen

from bci_m2s.panel.look.theme import SMALL, Theme, font
from bci_m2s.panel.traces.trace_rows import placed_labels, step_125
from bci_m2s.text import printable

LONGEST_LABEL = 12  # characters
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
