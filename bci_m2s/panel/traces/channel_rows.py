"""Channels of a raw signal as rows: filtered for the eye, what is bad greyed and named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from PyQt6.QtCore import QPointF, QRect, QRectF, Qt
from PyQt6.QtGui import QColor, QFontMetrics, QPainter, QPen

from bci_m2s.panel.client.facts import ShownStream
from bci_m2s.panel.look.plot import step_125
from bci_m2s.panel.look.theme import SMALL, Theme, font
from bci_m2s.panel.traces.channel_zoom import ChannelZoom
from bci_m2s.panel.traces.display_filter import NOTCHES, PRESETS, DisplayFilter
from bci_m2s.panel.traces.sweep import Float32Array
from bci_m2s.panel.traces.sweep_canvas import SweepCanvas
from bci_m2s.panel.traces.sweep_view import Segments, SweepRows
from bci_m2s.panel.traces.trace_rows import (
    default_scale,
    fitted_scales,
    main_unit,
    placed_labels,
    row_centres,
    row_height,
    shown_unit,
    trace_rows,
)
from bci_m2s.panel.traces.traces_controls import TracesControls
from bci_m2s.text import printable
from bci_m2s.types import FloatArray

BAD_STATES = ("flat", "railed", "noisy", "lost", "implausible")
LONGEST_LABEL = 12  # characters
LABEL_SCALE = 0.8  # of the type size
WORDS_PX = 80  # room for the words at the beginning of bad traces
USED = "●"  # before the name of a channel that the model uses, where it does not use all
BAR_PX = (14, 70)  # shortest and longest scale bar
RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
LEFT = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)


class ChannelRows(SweepRows):
    """One row per channel; the user chooses scale, filter and channels. Volts are shown as µV."""

    controls: TracesControls
    zoom: ChannelZoom
    settle_s = 4.0  # the filters' start is not shown

    def __init__(self, canvas: SweepCanvas, theme: Theme, stream: ShownStream) -> None:
        super().__init__(canvas, theme, stream)
        n, self._rate_hz = len(stream.labels), stream.rate_hz
        shown = [shown_unit(unit) for unit in stream.units]
        self._units = tuple(unit for unit, _ in shown)
        self._factors = np.array([factor for _, factor in shown], dtype=np.float32)
        self._unit = main_unit(self._units)
        self._scales = {unit: default_scale(unit) for unit in self._units}
        self._used = frozenset(stream.used) & set(self.labels) if stream.used else frozenset[str]()
        self._good, self._middle = np.ones(n, dtype=bool), np.zeros(n, dtype=np.float32)
        self.controls = TracesControls(theme, n, self._unit, stream.rate_hz)
        self.zoom = ChannelZoom(canvas, n)
        if len(self._used) < n:
            which = ", ".join(label for label in self.labels if label in self._used)
            self.controls.set_used(len(self._used), which)
        else:
            self._used = frozenset()  # all: there is nothing to tell apart
        self._make_filter()
        self.controls.changed.connect(self._on_choice)
        self.zoom.changed.connect(self._on_zoom)

    def set_states(self, states: Mapping[str, str]) -> None:
        """Mark channels that are not good: {label: "flat", "railed", "noisy" or "lost"}."""
        known = {label: state for label, state in states.items() if state in BAD_STATES}
        known = {label: known[label] for label in self.labels if label in known}
        if known != self.states:
            self.states = known
            self._good = np.array([label not in known for label in self.labels], dtype=bool)
            which = ", ".join(f"{short_label(label)} {state}" for label, state in known.items())
            self.controls.set_bad(int(np.count_nonzero(~self._good)), which)
            self.lay_out()

    def settings(self) -> dict[str, Any]:
        """Scale, unit, filter, notch, span_s and visible (0 for all)."""
        return {**self.controls.settings(), "visible": self.zoom.visible}

    def restore(self, values: Mapping[str, Any]) -> None:
        """Choose again what ``settings`` gave; values that make no sense are passed over."""
        self.controls.restore(values)
        visible = str(values.get("visible", ""))
        if visible.isdecimal() and len(visible) < 6 and self.labels:
            self.zoom.show_channels(0, int(visible))

    def feed(self, times: FloatArray, samples: Float32Array, segments: Segments) -> None:
        """Filter, segment by segment, and paint."""
        shown = np.empty_like(samples)
        for part, begins in segments:
            if begins:
                self._filter.reset()
            shown[part] = self._filter.push(samples[part] * self._factors)
        self.canvas.feed(times, shown)

    def begin_sweep(self) -> None:
        """Offsets may have drifted."""
        if not self._filter.removes_offset:
            self._find_middle()
            self.lay_out(repaint=False)

    def fit(self) -> None:
        """Find the middle of each row, and the scales that are not chosen by hand."""
        page = self.canvas.page
        if page is None:
            return
        fitted = fitted_scales(page.spread(), self._units, self._good)
        self._scales = fitted
        self.controls.set_fitted(fitted[self._unit])
        if self.controls.scale is not None:
            self._scales[self._unit] = self.controls.scale
        self._find_middle()
        self.lay_out()

    def _find_middle(self) -> None:
        page = self.canvas.page
        if page is not None:
            self._middle = page.middle() * np.float32(not self._filter.removes_offset)

    def lay_out(self, repaint: bool = True) -> None:
        """Stack the channels that are shown."""
        if self.labels:
            scale = np.array([self._scales[unit] for unit in self._units])
            rows = trace_rows(scale, self._middle, self._good, self.zoom.first, self.zoom.count, self.theme)
            self.canvas.set_rows(rows, repaint)

    def _make_filter(self) -> None:
        corners = PRESETS[self.controls.preset]
        notch_hz = NOTCHES[self.controls.notch]
        self._filter = DisplayFilter(self._rate_hz, len(self.labels), *corners, notch_hz)
        for box in (self.controls.filter_box, self.controls.notch_box):
            box.setToolTip(self._filter.left_out or box.accessibleName())

    def _on_choice(self, what: str) -> None:
        if what == "span":
            self.canvas.set_span(self.controls.span_s)
        elif what == "visible":
            self.zoom.show_channels(self.zoom.first, self.controls.visible)
        elif what == "filter":
            self._make_filter()
            self._middle[:] = 0.0
            self.canvas.begin_again()
            self.fit()
        elif self.controls.scale is None:
            self.fit()
        else:
            self._scales[self._unit] = self.controls.scale
            self.lay_out()

    def _on_zoom(self) -> None:
        self.controls.set_visible(self.zoom.visible)
        self.lay_out()

    def decorate(self, painter: QPainter, rect: QRect) -> None:
        """Names of the channels, and the scale bar."""
        if rect.left() <= self.canvas.plot.left() + (WORDS_PX if self.states else 0):
            self._draw_labels(painter)
        self._draw_bar(painter, rect)

    def _draw_labels(self, painter: QPainter) -> None:
        """Those that are not good crossed out, with the word where their trace begins.

        Where the model does not use all channels, those that it uses have a dot.
        """
        plot, labels = self.canvas.plot, self.labels[self.zoom.first : self.zoom.first + self.zoom.count]
        metrics, count = QFontMetrics(font(LABEL_SCALE)), len(labels)
        places = row_centres(np.arange(count), max(count, 1))
        height = metrics.height()
        centres = (plot.top() + plot.height() * places).tolist()
        painter.setFont(font(LABEL_SCALE))
        urgent = [label in self.states or label in self._used for label in labels]
        for i in placed_labels(centres, metrics.ascent() + 1, urgent):
            box = QRectF(0, centres[i] - height / 2, plot.left() - 6, height)
            name = f"{USED} " * (labels[i] in self._used) + short_label(labels[i])
            name = metrics.elidedText(name, Qt.TextElideMode.ElideRight, int(box.width()))
            word = self.states.get(labels[i], "")
            usual = self.theme.text if labels[i] in self._used else self.theme.muted
            painter.setPen(QColor(self.theme.warn if word else usual))
            painter.drawText(box, RIGHT, name)
            if word:
                left = box.right() - metrics.horizontalAdvance(name)
                painter.drawLine(QPointF(left - 1, centres[i]), QPointF(box.right() + 1, centres[i]))
                plate = QRectF(plot.left() + 2, box.top(), metrics.horizontalAdvance(word) + 6, height)
                painter.fillRect(plate, QColor(self.theme.surface))
                painter.drawText(plate, Qt.AlignmentFlag.AlignCenter, word)

    def _draw_bar(self, painter: QPainter, rect: QRect) -> None:
        """A vertical bar in the lower right corner, as long as the value written beside it."""
        plot, scale = self.canvas.plot, self._scales[self._unit]
        value, row_px = scale, plot.height() * row_height(self.zoom.count)
        while row_px * value / scale < BAR_PX[0]:
            value = step_125(value, 1)
        while row_px * value / scale > BAR_PX[1]:
            value = step_125(value, -1)
        length, text = row_px * value / scale, f"{value:g} {self._unit}".rstrip()
        letters = font(SMALL, bold=True)
        metrics = QFontMetrics(letters)
        width, height = metrics.horizontalAdvance(text) + 22, max(length, metrics.height()) + 6
        plate = QRectF(plot.right() - width - 4, plot.bottom() - 6 - height, width, height)
        if not plate.intersects(QRectF(rect)):
            return
        painter.fillRect(plate, QColor(self.theme.surface))
        painter.setPen(QPen(QColor(self.theme.text), 2))
        x, bottom = plate.left() + 9, plate.bottom() - 3
        painter.drawLine(QPointF(x, bottom), QPointF(x, bottom - length))
        for y in (bottom, bottom - length):
            painter.drawLine(QPointF(x - 3, y), QPointF(x + 3, y))
        painter.setFont(letters)
        painter.drawText(plate.adjusted(16, 0, 0, 0), LEFT, text)


def short_label(label: str) -> str:
    """A label as it is shown: one line, not too long."""
    return printable(label, LONGEST_LABEL)
