"""Gaze and pupil as rows: blinks and losses shaded and named, values in numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from PyQt6.QtCore import QRect, QRectF, Qt
from PyQt6.QtGui import QColor, QFontMetrics, QPainter

from bci_m2s.panel.client.facts import ShownStream
from bci_m2s.panel.look.theme import SMALL, Theme, font
from bci_m2s.panel.traces.channel_rows import LEFT
from bci_m2s.panel.traces.eye_layout import (
    EyeRow,
    Losses,
    eye_layout,
    loss_word,
    row_range,
    shown_values,
    still_fits,
)
from bci_m2s.panel.traces.sweep import Float32Array, Rows
from bci_m2s.panel.traces.sweep_canvas import SweepCanvas
from bci_m2s.panel.traces.sweep_view import Segments, SweepRows
from bci_m2s.types import FloatArray

NUMBERS_EVERY_S = 0.25
ROW_PAD = 0.06  # of a row, free above and below its range
EDGE_SCALE = 0.8  # of the type size, for the ends of a range


class EyeRows(SweepRows):
    """Gaze and pupil of an eye tracker, found by the channels' names."""

    own_channels = 1  # where the track is lost
    marker_texts = False
    fits_once = False

    def __init__(self, canvas: SweepCanvas, theme: Theme, stream: ShownStream) -> None:
        super().__init__(canvas, theme, stream)
        self._layout = eye_layout(stream.labels, stream.units)
        self._ranges: list[tuple[float, float] | None] = [None] * len(self._layout.rows)
        self._losses = Losses()
        self._had_pupil = False
        self._values = np.full(len(stream.labels), np.nan, dtype=np.float32)  # newest sample
        self._written_s = math.nan  # when the numbers were last written

    def forget(self) -> None:
        """Losses of another time are none of this."""
        self._losses.clear()
        self._written_s = math.nan

    def set_states(self, states: Mapping[str, str]) -> None:
        """Mark channels that are not good, {label: word}: the word takes the place of the row's value."""
        known = {label: states[label] for label in self.labels if label in states}
        if known != self.states:
            self.states = known
            self.canvas.update_gutter()

    def feed(self, times: FloatArray, samples: Float32Array, segments: Segments) -> None:
        """Find what is lost, and paint."""
        values, lost, unseen = shown_values(self._layout, samples)
        # A tracker that never had a pupil has not lost it.
        had_pupil = np.logical_or.accumulate(~unseen) | self._had_pupil
        lost |= unseen & had_pupil
        self._had_pupil = bool(had_pupil[-1])
        for channel in self._layout.channels("gaze"):
            values[lost, channel] = np.nan
        before = len(self._losses.spans), self._losses.since_s
        for part, begins in segments:
            self._losses.push(times[part], lost[part], begins)
        self._values = values[-1]
        self.canvas.feed(times, np.column_stack((values, lost)).astype(np.float32))
        if before != (len(self._losses.spans), self._losses.since_s):
            self.canvas.update_above()
        if not times[-1] < self._written_s + NUMBERS_EVERY_S:
            self._written_s = float(times[-1])
            self.canvas.update_gutter()

    def begin_sweep(self) -> None:
        """Find the ranges that do not fit any more."""
        self.fit(only_misfits=True)

    def fit(self, only_misfits: bool = False) -> None:
        """Find the range of each row from what is on the screen."""
        page = self.canvas.page
        if page is None:
            return
        before = list(self._ranges)
        for place, row in enumerate(self._layout.rows):
            values, now = np.stack((page.low, page.high))[:, :, list(row.channels)], self._ranges[place]
            if now is None or not (only_misfits and still_fits(values, now, row.unit, row.kind)):
                self._ranges[place] = row_range(values, row.unit, row.kind) or now
        if self._ranges != before:
            self.lay_out()

    def lay_out(self) -> None:
        """Lay the rows one below the other."""
        rows, n = self._layout.rows, len(self.labels)
        if not rows:
            return
        origin, gain, top, bottom = np.zeros(n + 1), np.zeros(n + 1), np.zeros(n + 1), np.ones(n + 1)
        for place, row in enumerate(rows):
            low, high = self._ranges[place] or (0.0, 1.0)
            chosen, height = list(row.channels), (1 - 2 * ROW_PAD) / len(rows)
            top[chosen], bottom[chosen] = place / len(rows), (place + 1) / len(rows)
            gain[chosen] = height / (high - low)
            origin[chosen] = (place + 1 - ROW_PAD) / len(rows) + gain[chosen] * low
        first = np.array([row.channels[0] for row in rows], dtype=np.intp)
        second = np.array([channel for row in rows for channel in row.channels[1:]], dtype=np.intp)
        layers = (second, self.theme.muted), (first, self.theme.trace)
        self.canvas.set_rows(Rows(origin, gain, top, bottom, layers, shade=n))

    # Words and lines beside and over the sweep.

    def decorate(self, painter: QPainter, rect: QRect) -> None:
        """Names, values and ranges of the rows, and words for losses."""
        plot = self.canvas.plot
        row_px = plot.height() / max(1, len(self._layout.rows))
        for place, row in enumerate(self._layout.rows):
            top = plot.top() + place * row_px
            if place:
                painter.setPen(QColor(self.theme.grid))
                painter.drawLine(0, round(top), plot.right(), round(top))
            if rect.left() < plot.left():
                self._draw_value(painter, row, QRectF(0, top, plot.left() - 6, row_px))
            self._draw_range(painter, rect, place, QRectF(plot.left() + 2, top, 0, row_px))
        if rect.top() < plot.top():
            self._draw_losses(painter)

    def _draw_value(self, painter: QPainter, row: EyeRow, box: QRectF) -> None:
        """A row's name, and its value below; of two pupils the mean."""
        theme, metrics = self.theme, QFontMetrics(font(SMALL))
        line = metrics.height()
        value = QRectF(0, box.center().y() - line / 2, box.width(), line)
        is_state, text = self._value(row)
        if box.height() < 2 * line:  # one line for both
            name = row.name.removeprefix("gaze ") if row.kind == "gaze" or text == "–" else ""
            text = f"{name} {text}".strip()  # a unit says what a pupil is; there is no room for both
        else:
            value.translate(0, line / 2)
            self._draw_name(painter, row, value.translated(0, -line))
        painter.setFont(font(SMALL, bold=True))
        painter.setPen(QColor(theme.warn if is_state else theme.text))
        painter.drawText(value, LEFT, text)

    def _value(self, row: EyeRow) -> tuple[bool, str]:
        """Whether the engine says something of a row, and what stands for its value: that, or the value."""
        states = [self.states[label] for i in row.channels if (label := self.labels[i]) in self.states]
        known = self._values[list(row.channels)]
        known = known[~np.isnan(known)]
        if states or not len(known) or self.canvas.is_silent:
            return bool(states), states[0][:8] if states else "–"
        return False, f"{_rounded(float(known.mean()))} {row.unit}".rstrip()

    def _draw_name(self, painter: QPainter, row: EyeRow, box: QRectF) -> None:
        theme, metrics = self.theme, QFontMetrics(font(SMALL))
        name = metrics.elidedText(row.name, Qt.TextElideMode.ElideRight, int(box.width()))
        painter.setFont(font(SMALL))
        painter.setPen(QColor(theme.muted))
        painter.drawText(box, LEFT, name)
        if len(row.channels) == 2:  # which line is which
            painter.setFont(font(EDGE_SCALE, bold=True))
            beside = box.adjusted(metrics.horizontalAdvance(name) + 4, 0, 20, 0)
            for sign, colour in (("L", theme.trace), ("R", theme.muted)):
                painter.setPen(QColor(colour))
                painter.drawText(beside, LEFT, sign)
                beside.translate(metrics.horizontalAdvance("L "), 0)

    def _draw_range(self, painter: QPainter, rect: QRect, place: int, box: QRectF) -> None:
        """The ends of a row's range at its left edge."""
        ends = self._ranges[place]
        metrics = QFontMetrics(font(EDGE_SCALE))
        if ends is None or box.height() < 2.2 * metrics.height():
            return
        painter.setFont(font(EDGE_SCALE))
        for value, top in ((ends[1], box.top() + 1), (ends[0], box.bottom() - metrics.height())):
            text = f"{value:g}"
            plate = QRectF(box.left(), top, metrics.horizontalAdvance(text) + 4, metrics.height())
            if plate.intersects(QRectF(rect)):
                painter.fillRect(plate, QColor(self.theme.surface))
                painter.setPen(QColor(self.theme.muted))
                painter.drawText(plate, Qt.AlignmentFlag.AlignCenter, text)

    def _draw_losses(self, painter: QPainter) -> None:
        """Names of blinks and losses above their bands, as far as there is room."""
        painter.setFont(font(SMALL))
        painter.setPen(QColor(self.theme.muted))
        metrics, plot = QFontMetrics(font(SMALL)), self.canvas.plot
        taken: list[tuple[float, float]] = []
        for start_s, stop_s in reversed(self._losses.spans):  # the newest first
            word = loss_word(stop_s - start_s)
            left, right = self.canvas.place_px(start_s), self.canvas.place_px(stop_s)
            if not word or left is None or right is None or right < left:
                continue
            width = metrics.horizontalAdvance(word)
            begin = min(max((left + right - width) / 2, plot.left()), self.canvas.width() - width)
            if all(begin > stop + 4 or begin + width < start - 4 for start, stop in taken):
                taken.append((begin, begin + width))
                painter.drawText(round(begin), metrics.ascent(), word)


def _rounded(value: float) -> str:
    """A number with three digits that matter, always as many places behind the point."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
