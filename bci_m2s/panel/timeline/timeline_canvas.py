"""The picture of the timeline: stacked probabilities, hatched holes, markers, an axis.

Columns are written into an image at physical pixels, and only those that are new; the rest stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QPointF, QRect, QRectF, Qt
from PyQt6.QtGui import (
    QColor,
    QFontMetricsF,
    QImage,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PyQt6.QtWidgets import QToolTip, QWidget

from bci_m2s.colours import class_colour
from bci_m2s.panel.client.answers import limited
from bci_m2s.panel.look.text import tip
from bci_m2s.panel.look.theme import SMALL, Theme, font
from bci_m2s.panel.timeline.bins import STATE_WORDS, Bins, State, clock, extent_s, tick_step_s
from bci_m2s.types import FloatArray

GUTTER = 18  # width for the numbers of the upright axis
MARKER_WIDTH = 140.0  # of a marker's text, at most
LEAST_TEXT = 44.0  # with less room it is left out
NEAR_PX = 6  # of the mouse to a marker
_MIDDLE = Qt.AlignmentFlag.AlignCenter.value
_LEFT = (Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter).value
_RIGHT = (Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter).value


class TimelineCanvas(QWidget):
    """Draws one line of a session. Times are seconds since the session began."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.setMouseTracking(True)
        self.setMinimumSize(160, 70)
        self._theme = theme
        self._bins: Bins | None = None
        self._markers: list[tuple[float, str]] = []
        self._texts: list[tuple[QRectF, str]] = []
        self._now_s = self._seen_from_s = 0.0
        self._extent_s = extent_s(0.0)
        self._dirty_s = 0.0  # what is drawn of later moments is old
        self._pixels = np.zeros((1, 1), dtype=np.uint32)
        self._states = np.full(1, State.FUTURE, dtype=np.uint8)
        self._words: list[tuple[QRectF, str]] = []
        self._bin_s = 0.0

    def set_theme(self, theme: Theme) -> None:
        """Draw in other colours."""
        self._theme = theme
        self._forget()

    def show_line(self, bins: Bins | None) -> None:
        """Draw another line; None draws the empty state."""
        self._bins = bins
        self._forget()

    def set_markers(self, markers: Mapping[tuple[int, str], float]) -> None:
        """The session's markers: {(anything, text): time}."""
        self._markers = sorted((t_s, limited(key[1])) for key, t_s in markers.items())
        self._texts = self._place_texts()
        self.update()

    def spoil(self, t_s: float) -> None:
        """Say that something changed at a moment: from there on it is drawn again at the next ``draw``."""
        self._dirty_s = min(self._dirty_s, t_s)

    def draw(self, now_s: float, seen_from_s: float) -> None:
        """Bring the picture up to a moment. seen_from_s : before it this panel was not there."""
        grown = extent_s(now_s) != self._extent_s
        if grown or seen_from_s != self._seen_from_s or (self._bins and self._bins.bin_s != self._bin_s):
            self._extent_s, self._seen_from_s = extent_s(now_s), seen_from_s
            self._texts = self._place_texts()
            self._forget()
        self._dirty_s = min(self._dirty_s, self._now_s)
        self._now_s = now_s
        self._paint_new()

    def _forget(self) -> None:
        self._dirty_s = 0.0
        self._pixels = np.zeros((1, 1), dtype=np.uint32)
        self.update()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Draw everything anew at the new size."""
        super().resizeEvent(event)
        self._texts = self._place_texts()
        self._forget()

    # ---- the image of the columns ----

    def _plot(self) -> QRect:
        tall = QFontMetricsF(font(SMALL)).height()
        lane = int(tall * self._rows() + 3)
        return QRect(
            GUTTER, lane, max(self.width() - GUTTER - 6, 10), max(self.height() - lane - int(tall) - 3, 10)
        )

    def _rows(self) -> int:
        return 2 if self.height() >= 90 else 1

    def _paint_new(self) -> None:
        """Write the columns that are not up to date into the image, and have just them repainted."""
        plot, ratio = self._plot(), self.devicePixelRatioF()
        size = (max(round(plot.height() * ratio), 1), max(round(plot.width() * ratio), 1))
        if self._pixels.shape != size:
            self._pixels = np.full(size, _rgb(self._theme.surface), dtype=np.uint32)
            self._states = np.full(size[1], State.FUTURE, dtype=np.uint8)
            self._dirty_s = 0.0
            self.update()
        if self._bins is None:
            return
        self._bin_s = self._bins.bin_s
        per_s = size[1] / self._extent_s
        first = max(int((self._dirty_s - self._bin_s) * per_s), 0)
        last = min(int(self._now_s * per_s) + 1, size[1])
        self._dirty_s = np.inf
        if first >= last:
            return
        edges_s = np.arange(first, last + 1) / per_s
        states, means = self._bins.columns(edges_s, self._now_s, self._seen_from_s)
        old = self._pixels[:, first:last].copy()
        self._pixels[:, first:last] = self._colour(states, means, first, size[0], ratio)
        self._states[first:last] = states
        words = self._place_words(plot, ratio)
        if words != self._words:  # they stand on columns that are not new
            self._words = words
            self.update(plot)
        if not np.array_equal(old, self._pixels[:, first:last]):
            left = plot.left() + int(first / ratio) - 1
            self.update(QRect(left, plot.top(), int((last - first) / ratio) + 3, plot.height()))

    def _colour(
        self, states: NDArray[np.uint8], means: FloatArray, first: int, tall: int, ratio: float
    ) -> NDArray[np.uint32]:
        """Pixels (tall, columns) as 0xffRRGGBB: stacked classes from the bottom up, or a hatch."""
        theme = self._theme
        above = 1 - (np.arange(tall) + 0.5) / tall
        heights = np.cumsum(means, axis=1) / np.maximum(means.sum(axis=1), 1e-9)[:, None]
        layer = np.zeros((tall, len(states)), dtype=np.intp)
        for place in range(means.shape[1] - 1):
            layer += above[:, None] > heights[None, :, place]
        palette = np.array([_rgb(class_colour(place)) for place in range(means.shape[1])], dtype=np.uint32)
        made = palette[layer] if len(palette) else np.full(layer.shape, _rgb(theme.surface), np.uint32)
        y, x = np.arange(tall)[:, None], np.arange(first, first + len(states))[None, :]
        step, thick = round(8 * ratio), max(round(1.5 * ratio), 1)
        hatches = {
            State.NONE: ((x + y) % step < thick, theme.bad_trace),
            State.SILENT: ((x - y) % step < thick, theme.warn),
            State.UNSEEN: ((x % step < thick) & (y % step < thick), theme.muted),
            State.FUTURE: (np.zeros((tall, len(states)), dtype=bool), theme.surface),
        }
        for state, (lines, colour) in hatches.items():
            here = states == state
            if here.any():
                hatch = np.where(lines, np.uint32(_rgb(colour)), np.uint32(_rgb(theme.surface)))
                made[:, here] = hatch[:, here]
        return made.astype(np.uint32)

    def _place_words(self, plot: QRect, ratio: float) -> list[tuple[QRectF, str]]:
        """Where wide holes say what they are."""
        metrics = QFontMetricsF(font(SMALL))
        borders = [0, *(np.flatnonzero(np.diff(self._states)) + 1).tolist(), len(self._states)]
        placed = []
        for low, high in pairwise(borders):
            words = STATE_WORDS.get(State(self._states[low]), "")
            wide = metrics.horizontalAdvance(words) + 8
            if words and (high - low) / ratio >= wide + 8:
                left = plot.left() + (low + high) / 2 / ratio - wide / 2
                top = plot.center().y() - metrics.height() / 2
                placed.append((QRectF(left, top, wide, metrics.height()), words))
        return placed

    # ---- painting ----

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Put the image on the screen, with axis and markers."""
        painter = QPainter(self)
        if self._bins is None:
            painter.setPen(QColor(self._theme.muted))
            painter.drawText(
                QRectF(self.rect()), _MIDDLE, "the session's estimates and markers appear here"
            )
            return
        if self._pixels.shape == (1, 1):
            self._paint_new()
        plot, (tall, wide) = self._plot(), self._pixels.shape
        image = QImage(self._pixels.data, wide, tall, 4 * wide, QImage.Format.Format_RGB32)  # type: ignore[call-overload]
        image.setDevicePixelRatio(self.devicePixelRatioF())
        painter.drawImage(plot.topLeft(), image)
        painter.setFont(font(SMALL))
        self._paint_words(painter)
        self._paint_markers(painter, plot)
        if event is None or not plot.contains(event.rect()):
            self._paint_axis(painter, plot)

    def _paint_words(self, painter: QPainter) -> None:
        painter.setPen(QColor(self._theme.text))
        for room, words in self._words:
            painter.fillRect(room, QColor(self._theme.surface))
            painter.drawText(room, _MIDDLE, words)

    def _paint_axis(self, painter: QPainter, plot: QRect) -> None:
        metrics = painter.fontMetrics()
        painter.setPen(QPen(QColor(self._theme.grid), 1))
        painter.drawRect(plot.adjusted(-1, -1, 0, 0))
        painter.setPen(QColor(self._theme.muted))
        tall = metrics.height()
        for value, y in (("1", plot.top()), ("0", plot.bottom() - tall)):
            painter.drawText(QRectF(0, y, GUTTER - 4, tall), _RIGHT, value)
        wide = metrics.horizontalAdvance("00:00:00") + 24
        step_s = tick_step_s(self._extent_s, max(plot.width() // wide, 1))
        for number in range(int(self._extent_s / step_s) + 1):
            x = plot.left() + number * step_s / self._extent_s * plot.width()
            painter.drawLine(QPointF(x, plot.bottom() + 1), QPointF(x, plot.bottom() + 4))
            room = QRectF(x - wide / 2, plot.bottom() + 3, wide, tall)
            if number == 0:
                painter.drawText(QRectF(x, plot.bottom() + 3, wide, tall), _LEFT, clock(0))
            elif room.right() > self.width():
                painter.drawText(
                    QRectF(x - wide, plot.bottom() + 3, wide, tall), _RIGHT, clock(number * step_s)
                )
            else:
                painter.drawText(room, _MIDDLE, clock(number * step_s))

    def _paint_markers(self, painter: QPainter, plot: QRect) -> None:
        painter.setPen(QPen(QColor(self._theme.text), 1))
        for x in {round(self._x(t_s, plot)) for t_s, _ in self._markers if 0 <= t_s <= self._extent_s}:
            painter.drawLine(x, plot.top() - 3, x, plot.bottom())
        for room, text in self._texts:
            painter.drawText(room, _LEFT, text)

    def _place_texts(self) -> list[tuple[QRectF, str]]:
        """Where markers' texts stand: the newest first, in rows, cut where another one begins."""
        metrics, plot = QFontMetricsF(font(SMALL)), self._plot()
        rows: list[list[QRectF]] = [[] for _ in range(self._rows())]
        placed: list[tuple[QRectF, str]] = []
        for t_s, whole in reversed(self._markers):
            x = self._x(t_s, plot) + 2
            if not whole or not 0 <= t_s <= self._extent_s:
                continue
            full = min(metrics.horizontalAdvance(whole) + 6, MARKER_WIDTH)
            for number, row in enumerate(rows):
                end = min((room.left() for room in row), default=self.width())
                left = x if row else min(x, self.width() - full)  # the newest may stand before its tick
                wide = min(full, end - left)
                if wide < min(full, LEAST_TEXT):
                    continue
                top = plot.top() - 3 - (number + 1) * metrics.height()
                row.append(QRectF(left, top, wide, metrics.height()))
                placed.append((row[-1], metrics.elidedText(whole, Qt.TextElideMode.ElideRight, wide - 4)))
                break
        return placed

    def _x(self, t_s: float, plot: QRect) -> float:
        return plot.left() + t_s / self._extent_s * plot.width()

    # ---- the mouse ----

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Say what is under the mouse."""
        if event is not None and self._bins is not None:
            lines = self.describe(event.position().x())
            QToolTip.showText(event.globalPosition().toPoint(), tip("\n".join(lines)), self)

    def describe(self, x: float) -> tuple[str, ...]:
        """Time, probabilities or why there are none, and markers at a place (device-independent pixels)."""
        plot = self._plot()
        t_s = (x - plot.left()) / plot.width() * self._extent_s
        if self._bins is None or not 0 <= t_s <= self._extent_s:
            return ()
        lines = [clock(t_s)]
        edges = np.array([t_s, t_s + self._extent_s / plot.width() / 100])
        states, means = self._bins.columns(edges, self._now_s, self._seen_from_s)
        if states[0] == State.GOOD:
            lines += [
                f"{name} {share:.2f}" for name, share in zip(self._bins.classes, means[0], strict=True)
            ]
        elif states[0] != State.FUTURE:
            reason = self._bins.reason(t_s) if states[0] == State.NONE else ""
            lines.append(": ".join([STATE_WORDS[State(states[0])]] + [reason] * bool(reason)))
        near = [text for at_s, text in self._markers if abs(self._x(at_s, plot) - x) <= NEAR_PX]
        return (*lines, *(f"marker {text}" for text in near[:5]))


def _rgb(colour: str) -> int:
    return 0xFF000000 | int(colour[1:], 16)
