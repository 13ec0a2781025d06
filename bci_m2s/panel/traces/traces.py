"""The raw signal: a sweep of all channels, with what is bad greyed and named.

``push`` only puts samples by; ``frame`` filters and paints what came since the last one. A trace keeps its
place on the screen until the sweep passes it again, so what was seen does not move.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PyQt6.QtCore import QRect, pyqtSignal
from PyQt6.QtGui import QPainter
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout

from bci_m2s.panel.look.theme import Theme
from bci_m2s.panel.traces.channel_zoom import ChannelZoom
from bci_m2s.panel.traces.display_filter import NOTCHES, PRESETS, DisplayFilter
from bci_m2s.panel.traces.sweep import Float32Array
from bci_m2s.panel.traces.sweep_canvas import SweepCanvas
from bci_m2s.panel.traces.trace_rows import default_scale, fitted_scales, main_unit, shown_unit, trace_rows
from bci_m2s.panel.traces.trace_words import draw_bar, draw_labels, short_label
from bci_m2s.panel.traces.traces_controls import TracesControls
from bci_m2s.panel.traces.trail import Trail
from bci_m2s.types import FloatArray

BAD_STATES = ("flat", "railed", "noisy", "lost")
FIT_AFTER_S = (0.5, 3.0)  # of signal: the automatic scale is found, and found again, then it stays
FITTED = [math.inf]  # when the scale is found next: never
SETTLE_S = 4.0  # of signal before a sweep that is filtered anew: the filters' start is not shown


class TracesView(QFrame):
    """Traces of one stream. See the module for how it is fed.

    Attributes
    ----------
    span_changed : signal with the seconds of a sweep, when another length was chosen
    settings_changed : signal when anything of ``settings`` was chosen anew
    """

    span_changed = pyqtSignal(float)
    settings_changed = pyqtSignal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.setProperty("view", True)
        self._theme, self._name = theme, ""
        self._labels: tuple[str, ...] = ()
        self._units: tuple[str, ...] = ()
        self._unit, self._rate_hz, self._factors = "µV", 0.0, np.ones(0, dtype=np.float32)
        self._scales: dict[str, float] = {}
        self._states: dict[str, str] = {}
        self._good, self._middle = np.ones(0, dtype=bool), np.zeros(0, dtype=np.float32)
        self._fits: list[float] = []
        self._frozen = False
        self._trail, self._filter = Trail(0, 0.0), DisplayFilter(0.0, 0)
        self.controls = TracesControls(theme)
        self.canvas = SweepCanvas(theme, self._decorate)
        self.canvas.set_message("looking for a stream")
        self.zoom = ChannelZoom(self.canvas)
        self._lay_out()
        self.controls.changed.connect(self._on_choice)
        self.canvas.reshaped.connect(self._feed_again)
        self.zoom.changed.connect(self._on_zoom)

    def set_stream(self, name: str, labels: Sequence[str], units: Sequence[str], rate_hz: float) -> None:
        """Show another stream, from now on. `rate_hz` is 0.0 where it is irregular.

        labels, units : one per channel; missing ones are made up. Volts are shown as µV.
        """
        n = len(labels)
        padded = [*map(str, units), *([""] * n)][:n]
        self._name, self._rate_hz = name, rate_hz if math.isfinite(rate_hz) and rate_hz > 0 else 0.0
        self._labels = tuple(str(label) for label in labels)
        shown = [shown_unit(unit) for unit in padded]
        self._units = tuple(unit for unit, _ in shown)
        self._factors = np.array([factor for _, factor in shown], dtype=np.float32)
        self._unit = main_unit(self._units)
        self._scales = {unit: default_scale(unit) for unit in self._units}
        self._states, self._good = {}, np.ones(n, dtype=bool)
        self._middle = np.zeros(n, dtype=np.float32)
        self._fits = []
        self._trail = Trail(n, self._rate_hz)
        self.set_message(f"waiting for samples of {name}")
        self._make_filter()
        self.controls.set_stream(n, self._unit, self._rate_hz)
        self.controls.set_bad(0, "")
        if self.controls.scale is not None and n:
            self._scales[self._unit] = self.controls.scale
        self.zoom.set_total(n)
        self.canvas.start(n, self._trail.longest_s)

    def set_message(self, text: str) -> None:
        """What to say while there are no samples."""
        self.canvas.set_message(text)

    def push(self, times: FloatArray, samples: FloatArray | Float32Array) -> None:
        """Put samples by for the next frame: (n,) local s, (n, channels) in the stream's units."""
        if not self._trail.push(times, samples):
            got = np.shape(samples)[1] if np.ndim(samples) == 2 else 0
            self.set_message(f"{self._name}: {got} channels came, {len(self._labels)} were announced")

    def set_states(self, states: Mapping[str, str]) -> None:
        """Mark channels that are not good: {label: "flat", "railed", "noisy" or "lost"}."""
        known = {label: state for label, state in states.items() if state in BAD_STATES}
        known = {label: known[label] for label in self._labels if label in known}
        if known != self._states:
            self._states = known
            self._good = np.array([label not in known for label in self._labels], dtype=bool)
            which = ", ".join(f"{short_label(label)} {state}" for label, state in known.items())
            self.controls.set_bad(int(np.count_nonzero(~self._good)), which)
            self._set_rows()

    @property
    def states(self) -> dict[str, str]:
        """State of each channel that is not good, by label."""
        return dict(self._states)

    def add_marker(self, local_s: float, text: str) -> None:
        """Show a marker as a line with its text."""
        self.canvas.add_marker(local_s, text)

    def set_frozen(self, frozen: bool) -> None:
        """Stop the sweep, or let it go on with what came in between."""
        self._frozen = frozen
        self.canvas.set_frozen(frozen)

    def set_theme(self, theme: Theme) -> None:
        """Draw in other colours."""
        self._theme = theme
        self.controls.set_theme(theme)
        self.canvas.set_theme(theme)
        self._set_rows()

    def settings(self) -> dict[str, Any]:
        """What is chosen, as plain values: scale, unit, filter, notch, span_s, visible (0 for all)."""
        return {**self.controls.settings(), "visible": self.zoom.visible}

    def restore(self, values: Mapping[str, Any]) -> None:
        """Choose again what ``settings`` told; values that make no sense are passed over.

        So is a scale in another unit than this stream's.
        """
        self.controls.restore(values)
        visible = str(values.get("visible", ""))
        if visible.isdecimal() and len(visible) < 6 and self._labels:
            self.zoom.show_channels(0, int(visible))

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
                after_s = math.nan
            if math.isnan(after_s) and self._fits != FITTED:
                self._fits = [float(times[0]) + after for after in FIT_AFTER_S]
            self._feed(times, samples, after_s)
            self._fit_when_due()
        self.canvas.pass_time(now_s, taken is not None)

    def _feed(self, times: FloatArray, samples: Float32Array, after_s: float) -> None:
        """Filter, segment by segment, and paint."""
        shown = np.empty_like(samples)
        for part, begins in self._trail.segments(times, after_s):
            if begins:
                self._filter.reset()
            shown[part] = self._filter.push(samples[part] * self._factors)
        sweep = self.canvas.sweep
        self.canvas.feed(times, shown)
        if self.canvas.sweep != sweep and not self._filter.removes_offset:
            self._find_middle()
            self._set_rows(repaint=False)

    def _feed_again(self) -> None:
        """Paint what is kept once more: the picture or the filter is another one."""
        kept = self._trail.kept(self.canvas.span_s + SETTLE_S)
        if kept is not None:
            self._feed(*kept, math.nan)
            if not self._filter.removes_offset:
                self._find_middle()
        self._set_rows()

    def _fit_when_due(self) -> None:
        due = [at_s for at_s in self._fits if at_s <= self._trail.newest_s]
        if due:
            self._fits = [at_s for at_s in self._fits if at_s > self._trail.newest_s] or FITTED
            self._fit()

    def _fit(self) -> None:
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
        self._set_rows()

    def _find_middle(self) -> None:
        page = self.canvas.page
        if page is not None:
            self._middle = page.middle() * np.float32(not self._filter.removes_offset)

    def _set_rows(self, repaint: bool = True) -> None:
        if self._labels:
            scale = np.array([self._scales[unit] for unit in self._units])
            rows = trace_rows(
                scale, self._middle, self._good, self.zoom.first, self.zoom.count, self._theme
            )
            self.canvas.set_rows(rows, repaint)

    def _make_filter(self) -> None:
        corners = PRESETS[self.controls.preset]
        notch_hz = NOTCHES[self.controls.notch]
        self._filter = DisplayFilter(self._rate_hz, len(self._labels), *corners, notch_hz)
        for box in (self.controls.filter_box, self.controls.notch_box):
            box.setToolTip(self._filter.left_out or box.accessibleName())

    def _on_choice(self, what: str) -> None:
        if what == "span":
            self.canvas.set_span(self.controls.span_s)
            self.span_changed.emit(self.controls.span_s)
        elif what == "visible":
            self.zoom.show_channels(self.zoom.first, self.controls.visible)
        elif what == "filter":
            self._make_filter()
            self._middle[:] = 0.0
            self.canvas.clear(markers=False)
            self._feed_again()
            self._fit()
        elif self.controls.scale is None:
            self._fit()
        else:
            self._scales[self._unit] = self.controls.scale
            self._set_rows()
        self.settings_changed.emit()

    def _on_zoom(self) -> None:
        self.controls.set_visible(self.zoom.visible)
        self._set_rows()

    def _decorate(self, painter: QPainter, rect: QRect) -> None:
        plot, shown = self.canvas.plot, slice(self.zoom.first, self.zoom.first + self.zoom.count)
        draw_labels(painter, rect, plot, self._labels[shown], self._states, self._theme)
        row_px = plot.height() / self.zoom.count
        draw_bar(painter, rect, plot, row_px, self._scales[self._unit], self._unit, self._theme)

    def _lay_out(self) -> None:
        below = QHBoxLayout()
        below.setSpacing(0)
        below.addWidget(self.canvas, 1)
        below.addWidget(self.zoom.bar)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(8, 6, 4, 4)
        whole.setSpacing(4)
        whole.addWidget(self.controls)
        whole.addLayout(below, 1)
