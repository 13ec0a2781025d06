"""Gaze and pupil: a sweep of an eye tracker, blinks and losses shaded and named, values in numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from PyQt6.QtCore import QRect, QRectF, Qt
from PyQt6.QtGui import QColor, QFontMetrics, QPainter
from PyQt6.QtWidgets import QFrame, QVBoxLayout

from bci_m2s.panel.look.theme import SMALL, Theme, font
from bci_m2s.panel.traces.eye_rows import (
    EyeLayout,
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
from bci_m2s.panel.traces.trail import Trail
from bci_m2s.types import FloatArray

FIT_AFTER_S = (0.5, 3.0)  # of signal: the rows' ranges are found, and again with each new sweep
NUMBERS_EVERY_S = 0.25
ROW_PAD = 0.06  # of a row, free above and below its range
EDGE_SCALE = 0.8  # of the type size, for the ends of a range
LEFT = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)


class EyeTraceView(QFrame):
    """Gaze and pupil of an eye tracker, found by the channels' names; fed as ``TracesView`` is."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.setProperty("view", True)
        self._theme, self._name = theme, ""
        self._labels: tuple[str, ...] = ()
        self._layout = EyeLayout(())
        self._ranges: list[tuple[float, float] | None] = []
        self._states: dict[str, str] = {}
        self._trail, self._losses = Trail(0, 0.0), Losses()
        self._fits: list[float] = []
        self._had_pupil, self._frozen = False, False
        self._values: Float32Array = np.zeros(0, dtype=np.float32)  # newest sample
        self._told_s = math.nan  # when the numbers were last written
        self.canvas = SweepCanvas(theme, self._decorate, marker_texts=False)
        self.canvas.set_message("looking for an eye tracker")
        self.canvas.reshaped.connect(self._feed_again)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(8, 4, 14, 4)  # the sweep is exactly below that of the traces
        whole.addWidget(self.canvas)

    def set_stream(self, name: str, labels: Sequence[str], units: Sequence[str], rate_hz: float) -> None:
        """Show another stream, from now on. `rate_hz` is 0.0 where it is irregular.

        labels, units : one per channel; missing units are made up.
        """
        n = len(labels)
        self._name, self._labels = name, tuple(str(label) for label in labels)
        self._layout = eye_layout(self._labels, [*map(str, units), *([""] * n)][:n])
        self._ranges, self._states = [None] * len(self._layout.rows), {}
        self._trail = Trail(n, rate_hz if math.isfinite(rate_hz) and rate_hz > 0 else 0.0)
        self._losses.clear()
        self._fits, self._had_pupil, self._told_s = [], False, math.nan
        self._values = np.full(n, np.nan, dtype=np.float32)
        self.set_message(f"waiting for samples of {name}")
        self.canvas.start(n + 1, self._trail.longest_s)  # the last channel: the track is lost
        self._set_rows()

    def set_message(self, text: str) -> None:
        """What to say while there are no samples."""
        self.canvas.set_message(text)

    def push(self, times: FloatArray, samples: FloatArray | Float32Array) -> None:
        """Put samples by for the next frame: (n,) local s, (n, channels) in the stream's units."""
        if not self._trail.push(times, samples):
            got = np.shape(samples)[1] if np.ndim(samples) == 2 else 0
            self.set_message(f"{self._name}: {got} channels came, {len(self._labels)} were announced")

    def set_states(self, states: Mapping[str, str]) -> None:
        """Mark channels that are not good, {label: word}: the word takes the place of the row's value."""
        known = {label: states[label] for label in self._labels if label in states}
        if known != self._states:
            self._states = known
            self.canvas.update_gutter()

    def set_span(self, span_s: float) -> None:
        """Show so many seconds."""
        self.canvas.set_span(span_s)

    def set_frozen(self, frozen: bool) -> None:
        """Stop the sweep, or let it go on with what came in between."""
        self._frozen = frozen
        self.canvas.set_frozen(frozen)

    def set_theme(self, theme: Theme) -> None:
        """Draw in other colours."""
        self._theme = theme
        self.canvas.set_theme(theme)
        self._set_rows()

    def add_marker(self, local_s: float, text: str) -> None:
        """Show a marker as a line."""
        self.canvas.add_marker(local_s, text)

    def frame(self, now_s: float | None = None) -> None:
        """Paint what came since the last call. With the time given, silence moves the sweep on as well."""
        if self._frozen:
            return
        after_s = self._trail.newest_s
        taken = self._trail.take()
        if taken is not None:
            times, samples, anew = taken
            if anew:
                self.canvas.clear()
                self._losses.clear()
                after_s = math.nan
            if math.isnan(after_s):
                self._fits, self._told_s = [float(times[0]) + after for after in FIT_AFTER_S], math.nan
            self._feed(times, samples, after_s)
            self._fit_when_due()
        self.canvas.pass_time(now_s, taken is not None)

    def _feed(self, times: FloatArray, samples: Float32Array, after_s: float) -> None:
        values, lost, unseen = shown_values(self._layout, samples)
        # A tracker that never had a pupil has not lost it.
        had_pupil = np.logical_or.accumulate(~unseen) | self._had_pupil
        lost |= unseen & had_pupil
        self._had_pupil = bool(had_pupil[-1])
        for channel in self._layout.channels("gaze"):
            values[lost, channel] = np.nan
        before = len(self._losses.spans), self._losses.since_s
        for part, begins in self._trail.segments(times, after_s):
            self._losses.push(times[part], lost[part], begins)
        self._values = values[-1]
        sweep = self.canvas.sweep
        self.canvas.feed(times, np.column_stack((values, lost)).astype(np.float32))
        if self.canvas.sweep != sweep:
            self._fit(only_misfits=True)
        if before != (len(self._losses.spans), self._losses.since_s):
            self.canvas.update_above()
        if not times[-1] < self._told_s + NUMBERS_EVERY_S:
            self._told_s = float(times[-1])
            self.canvas.update_gutter()

    def _feed_again(self) -> None:
        """Paint what is kept once more: the picture is another one."""
        kept = self._trail.kept(self.canvas.span_s)
        if kept is not None:
            self._losses.clear()
            self._feed(*kept, math.nan)
            self._fit(only_misfits=True)
        self._set_rows()

    def _fit_when_due(self) -> None:
        if any(at_s <= self._trail.newest_s for at_s in self._fits):
            self._fits = [at_s for at_s in self._fits if at_s > self._trail.newest_s]
            self._fit()

    def _fit(self, only_misfits: bool = False) -> None:
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
            self._set_rows()

    def _set_rows(self) -> None:
        """Lay the rows one below the other."""
        rows, n = self._layout.rows, len(self._labels)
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
        layers = (second, self._theme.muted), (first, self._theme.trace)
        self.canvas.set_rows(Rows(origin, gain, top, bottom, layers, shade=n))

    # Words and lines beside and over the sweep.

    def _decorate(self, painter: QPainter, rect: QRect) -> None:
        plot = self.canvas.plot
        row_px = plot.height() / max(1, len(self._layout.rows))
        for place, row in enumerate(self._layout.rows):
            top = plot.top() + place * row_px
            if place:
                painter.setPen(QColor(self._theme.grid))
                painter.drawLine(0, round(top), plot.right(), round(top))
            if rect.left() < plot.left():
                self._draw_value(painter, row, QRectF(0, top, plot.left() - 6, row_px))
            self._draw_range(painter, rect, place, QRectF(plot.left() + 2, top, 0, row_px))
        if rect.top() < plot.top():
            self._draw_losses(painter)

    def _draw_value(self, painter: QPainter, row: EyeRow, box: QRectF) -> None:
        """A row's name, and its value below; of two pupils the mean."""
        theme, metrics = self._theme, QFontMetrics(font(SMALL))
        line = metrics.height()
        value = QRectF(0, box.center().y() - line / 2, box.width(), line)
        said, text = self._said(row)
        if box.height() < 2 * line:  # one line for both
            name = row.name.removeprefix("gaze ") if row.kind == "gaze" or text == "–" else ""
            text = f"{name} {text}".strip()  # a unit says what a pupil is; there is no room for both
        else:
            value.translate(0, line / 2)
            self._draw_name(painter, row, value.translated(0, -line))
        painter.setFont(font(SMALL, bold=True))
        painter.setPen(QColor(theme.warn if said else theme.text))
        painter.drawText(value, LEFT, text)

    def _said(self, row: EyeRow) -> tuple[bool, str]:
        """Whether the engine says something of a row, and what stands for its value: that, or the value."""
        states = [self._states[one] for i in row.channels if (one := self._labels[i]) in self._states]
        known = self._values[list(row.channels)]
        known = known[~np.isnan(known)]
        if states or not len(known) or self.canvas.is_silent:
            return bool(states), states[0][:8] if states else "–"
        return False, f"{_rounded(float(known.mean()))} {row.unit}".rstrip()

    def _draw_name(self, painter: QPainter, row: EyeRow, box: QRectF) -> None:
        theme, metrics = self._theme, QFontMetrics(font(SMALL))
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
                painter.fillRect(plate, QColor(self._theme.surface))
                painter.setPen(QColor(self._theme.muted))
                painter.drawText(plate, Qt.AlignmentFlag.AlignCenter, text)

    def _draw_losses(self, painter: QPainter) -> None:
        """Names of blinks and losses above their bands, as far as there is room."""
        painter.setFont(font(SMALL))
        painter.setPen(QColor(self._theme.muted))
        metrics, plot = QFontMetrics(font(SMALL)), self.canvas.plot
        taken: list[tuple[float, float]] = []
        for start_s, stop_s in reversed(self._losses.spans):  # the newest first
            word = loss_word(stop_s - start_s)
            left, right = self.canvas.place_px(start_s), self.canvas.place_px(stop_s)
            if not word or left is None or right is None or right < left:
                continue
            width = metrics.horizontalAdvance(word)
            begin = min(max((left + right - width) / 2, plot.left()), self.width() - width)
            if all(begin > stop + 4 or begin + width < start - 4 for start, stop in taken):
                taken.append((begin, begin + width))
                painter.drawText(round(begin), metrics.ascent(), word)


def _rounded(value: float) -> str:
    """A number with three digits that matter, always as many places behind the point."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
