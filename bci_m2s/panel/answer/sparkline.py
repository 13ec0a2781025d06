"""A small curve of one quantity over the last two minutes, with its present value and its p99 in words."""

from __future__ import annotations

import math
from collections import deque

import numpy as np
from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QColor, QFontMetricsF, QPainter, QPaintEvent, QPen, QPolygonF
from PyQt6.QtWidgets import QFrame

from bci_m2s.panel.client.answers import limited
from bci_m2s.panel.look.theme import SMALL, Theme, font

SPAN_S = 120.0
STALE_S = 2.0
DRAW_EVERY_S = 0.49
MOST = 4096  # values kept: 120 s at 34 a second; of faster ones the newest
_LEFT = (Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter).value
_RIGHT = (Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter).value


class Sparkline(QFrame):
    """The last 120 s of a quantity, of latency for instance.

    Parameters
    ----------
    theme : colours
    title, unit : "age" and "ms" for instance
    """

    def __init__(self, theme: Theme, title: str, unit: str) -> None:
        super().__init__()
        self.setProperty("view", "true")
        self.setMinimumSize(150, 64)
        self._theme, self._title, self._unit = theme, limited(title, 40), limited(unit, 12)
        self._values: deque[tuple[float, float]] = deque(maxlen=MOST)
        self._now_s = math.nan
        self._words = ""

    def set_theme(self, theme: Theme) -> None:
        """Draw in other colours."""
        self._theme = theme
        self.update()

    def add(self, stamp_s: float, value: float) -> None:
        """Take a value of a moment (local LSL clock, s); NaN leaves a hole."""
        if math.isfinite(stamp_s):
            self._values.append((stamp_s, value if math.isfinite(value) else math.nan))

    def tick(self, now_s: float) -> None:
        """Draw what is new, at most twice a second. now_s : local LSL clock, s."""
        if 0 <= now_s - self._now_s < DRAW_EVERY_S:
            return
        self._now_s = now_s
        while self._values and self._values[0][0] < now_s - SPAN_S:
            self._values.popleft()
        self.update()

    @property
    def words(self) -> str:
        """What the span says: "age 6 ms · p99 14 ms"; the p99 interpolates linearly between values."""
        known = np.array([value for _, value in self._values if not math.isnan(value)])
        if not len(known):
            return f"{self._title} –"
        stamp_s, value = self._values[-1]
        is_new = not self._now_s - stamp_s > STALE_S and not math.isnan(value)
        now = f"{figure(value)} {self._unit}" if is_new else "–"
        p99 = figure(float(np.percentile(known, 99)))
        return f"{self._title} {now} · p99 {p99} {self._unit}"

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint words, axis and curve."""
        super().paintEvent(event)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(font())
        tall = QFontMetricsF(font()).height()
        room = QRectF(self.rect()).adjusted(8, 5, -8, -5)
        painter.setPen(QColor(self._theme.text))
        title = QFontMetricsF(font()).elidedText(self.words, Qt.TextElideMode.ElideRight, room.width())
        painter.drawText(QRectF(room.left(), room.top(), room.width(), tall), _LEFT, title)
        top_value = self._top()
        small = QFontMetricsF(font(SMALL))
        axis = f"{figure(top_value)} {self._unit}"
        left, top = small.horizontalAdvance(axis) + 6, tall + small.height() / 2
        # On the middles of pixels, so that the axis is one sharp line.
        plot = QRectF(room.adjusted(left, top, 0, -small.height()).toRect()).translated(0.5, 0.5)
        if plot.height() < 8 or plot.width() < 20:
            return
        self._paint_axis(painter, plot, axis, small.height())
        self._paint_curve(painter, plot, top_value)

    def _top(self) -> float:
        known = [value for _, value in self._values if not math.isnan(value)]
        return nice_top(max(known, default=0.0))

    def _paint_axis(self, painter: QPainter, plot: QRectF, axis: str, tall: float) -> None:
        painter.setFont(font(SMALL))
        painter.setPen(QPen(QColor(self._theme.grid), 1))
        painter.drawLine(plot.bottomLeft(), plot.bottomRight())
        painter.drawLine(plot.topLeft(), plot.topRight())
        painter.setPen(QColor(self._theme.muted))
        left = QRectF(0, plot.top() - tall / 2, plot.left() - 5, tall)
        painter.drawText(left, _RIGHT, axis)
        if plot.height() > 1.2 * tall:
            painter.drawText(left.translated(0, plot.height()), _RIGHT, "0")
        below = QRectF(plot.left(), plot.bottom(), plot.width(), tall)
        painter.drawText(below, _LEFT, f"−{SPAN_S:.0f} s")
        painter.drawText(below, _RIGHT, "now")

    def _paint_curve(self, painter: QPainter, plot: QRectF, top_value: float) -> None:
        if not self._values:
            return
        table = np.array(self._values)
        now_s = self._now_s if math.isfinite(self._now_s) else table[-1, 0]
        x = plot.right() - (now_s - table[:, 0]) / SPAN_S * plot.width()
        y = plot.bottom() - np.clip(table[:, 1] / top_value, 0, 1) * plot.height()
        breaks = np.flatnonzero((np.diff(table[:, 0]) > STALE_S) | np.isnan(y[1:]) | np.isnan(y[:-1])) + 1
        painter.setClipRect(plot.adjusted(0, -1, 0, 1))
        painter.setPen(QPen(QColor(self._theme.accent), 1.0))
        for part in np.split(np.column_stack([x, y]), breaks):
            painter.drawPolyline(QPolygonF([QPointF(*point) for point in part if not np.isnan(point[1])]))


def figure(value: float) -> str:
    """A number for a glance: no digits that would only dance."""
    return f"{value:.0f}" if abs(value) >= 10 or value == round(value) else f"{value:.1f}"


def nice_top(largest: float) -> float:
    """The next of 1, 2, 5, 10, 20, 50 … that is at least as large, so that the axis seldom changes."""
    if not largest > 0 or not math.isfinite(largest):
        return 1.0
    ten = 10.0 ** math.floor(math.log10(largest))
    return next(step * ten for step in (1, 2, 5, 10) if step * ten >= largest * (1 - 1e-9))
