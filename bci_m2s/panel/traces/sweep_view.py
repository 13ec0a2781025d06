"""A stream as a sweep: it is fed here, and its rows say what its channels look like.

``push`` only puts samples by; ``frame`` paints what came since the last one. A trace keeps its place on the
screen until the sweep passes it again, so what was seen does not move.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from PyQt6.QtCore import QRect
from PyQt6.QtGui import QPainter
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout

from bci_m2s.panel.look.theme import Theme
from bci_m2s.panel.traces.channel_zoom import ChannelZoom
from bci_m2s.panel.traces.sweep import Float32Array
from bci_m2s.panel.traces.sweep_canvas import SweepCanvas
from bci_m2s.panel.traces.traces_controls import TracesControls
from bci_m2s.panel.traces.trail import Trail
from bci_m2s.types import FloatArray

FIT_AFTER_S = (0.5, 3.0)  # of signal: scales are found, and found again
NEVER = [math.inf]  # when scales are found next
Segments = Iterable[tuple[slice, bool]]


class SweepRows(ABC):
    """How a stream's channels are drawn as rows of a sweep.

    Attributes
    ----------
    controls, zoom : what the user can choose, and which channels are shown; None where there is no choice
    marker_texts : whether markers have their text above the sweep
    fits_once : whether scales stay as they were found, or are found again after the stream was lost
    settle_s : of signal before what is shown that must be fed again with it
    """

    controls: TracesControls | None = None
    zoom: ChannelZoom | None = None
    marker_texts = True
    fits_once = True
    settle_s = 0.0

    def __init__(self, canvas: SweepCanvas, theme: Theme) -> None:
        self.canvas, self.theme = canvas, theme
        self.labels: tuple[str, ...] = ()
        self.states: dict[str, str] = {}

    @abstractmethod
    def set_stream(self, labels: tuple[str, ...], units: Sequence[str], rate_hz: float) -> int:
        """Take another stream; units : one per channel. Returns how many channels the canvas gets."""

    @abstractmethod
    def set_states(self, states: Mapping[str, str]) -> None:
        """Mark channels that are not good, {label: word}."""

    @abstractmethod
    def feed(self, times: FloatArray, samples: Float32Array, segments: Segments) -> None:
        """Paint samples, (n,) s and (n, channels); segments : parts without a gap, whether one is new."""

    @abstractmethod
    def fit(self) -> None:
        """Find scales from what is on the screen."""

    @abstractmethod
    def begin_sweep(self) -> None:
        """Another sweep begins at the left edge."""

    @abstractmethod
    def lay_out(self) -> None:
        """Say where each channel is drawn, and in which colour."""

    @abstractmethod
    def decorate(self, painter: QPainter, rect: QRect) -> None:
        """Draw words beside and over the sweep; rect : what is being painted."""

    def forget(self) -> None:  # noqa: B027
        """What was fed is gone: time began again, or it will be fed once more."""

    def settings(self) -> dict[str, Any]:
        """What the user chose, as plain values."""
        return {}

    def restore(self, values: Mapping[str, Any]) -> None:  # noqa: B027
        """Choose again what ``settings`` gave; values that make no sense are passed over."""


class SweepView(QFrame):
    """The sweep of one stream. See the module for how it is fed.

    rows : kind of rows
    """

    def __init__(self, theme: Theme, rows: type[SweepRows]) -> None:
        super().__init__()
        self.setProperty("view", True)
        self._name, self._frozen = "", False
        self._trail = Trail(0, 0.0)
        self._fits: list[float] = []
        self.canvas = SweepCanvas(theme, rows.marker_texts)
        self.canvas.set_message("looking for a stream")
        self.rows = rows(self.canvas, theme)
        self.canvas.decorate = self.rows.decorate
        self.canvas.reshaped.connect(self._feed_again)
        self._lay_out()

    def _lay_out(self) -> None:
        sweep = QHBoxLayout()
        sweep.setSpacing(0)
        sweep.addWidget(self.canvas, 1)
        column = QVBoxLayout(self)
        column.setSpacing(4)
        if self.rows.zoom is not None:
            sweep.addWidget(self.rows.zoom.bar)
            column.setContentsMargins(8, 6, 4, 4)
        else:
            column.setContentsMargins(8, 4, 14, 4)  # sweeps stand exactly one below the other
        if self.rows.controls is not None:
            column.addWidget(self.rows.controls)
        column.addLayout(sweep, 1)

    @property
    def controls(self) -> TracesControls | None:
        """What the user can choose."""
        return self.rows.controls

    def set_stream(self, name: str, labels: Sequence[str], units: Sequence[str], rate_hz: float) -> None:
        """Show another stream, from now on. `rate_hz` is 0.0 where it is irregular.

        labels, units : one per channel; missing units are made up
        """
        n = len(labels)
        self._name, self._fits = name, []
        rate_hz = rate_hz if math.isfinite(rate_hz) and rate_hz > 0 else 0.0
        self._trail = Trail(n, rate_hz)
        self.canvas.set_message(f"waiting for samples of {name}")
        self.rows.labels, self.rows.states = tuple(map(str, labels)), {}
        n_drawn = self.rows.set_stream(self.rows.labels, [*map(str, units), *([""] * n)][:n], rate_hz)
        self.canvas.start(n_drawn, self._trail.longest_s)

    def push(self, times: FloatArray, samples: FloatArray | Float32Array) -> None:
        """Put samples by for the next frame: (n,) local s, (n, channels) in the stream's units."""
        if not self._trail.push(times, samples):
            got = np.shape(samples)[1] if np.ndim(samples) == 2 else 0
            self.canvas.set_message(f"{self._name}: got {got} channels, expected {self._trail.n_channels}")

    def set_frozen(self, frozen: bool) -> None:
        """Stop the sweep, or let it go on with what came in between."""
        self._frozen = frozen
        self.canvas.set_frozen(frozen)

    def set_theme(self, theme: Theme) -> None:
        """Draw in other colours."""
        self.rows.theme = theme
        if self.controls is not None:
            self.controls.set_theme(theme)
        self.canvas.set_theme(theme)
        self.rows.lay_out()

    def frame(self, now_s: float | None = None) -> None:
        """Paint what came since the last call. With the time given, silence moves the sweep on as well."""
        if self._frozen:
            return
        after_s = self._trail.newest_s
        taken = self._trail.take()
        if taken is not None:
            times, samples, begins_again = taken
            if begins_again:
                self.canvas.clear()
                self.rows.forget()
                after_s = math.nan
            if math.isnan(after_s) and self._fits != NEVER:
                self._fits = [float(times[0]) + after for after in FIT_AFTER_S]
            self._feed(times, samples, after_s)
            self._fit_when_due()
        self.canvas.pass_time(now_s, taken is not None)

    def _feed(self, times: FloatArray, samples: Float32Array, after_s: float) -> None:
        sweep = self.canvas.sweep
        self.rows.feed(times, samples, self._trail.segments(times, after_s))
        if self.canvas.sweep != sweep:
            self.rows.begin_sweep()

    def _feed_again(self) -> None:
        """Paint what is kept once more: the picture or the filter is another one."""
        kept = self._trail.kept(self.canvas.span_s + self.rows.settle_s)
        if kept is not None:
            self.rows.forget()
            self._feed(*kept, math.nan)
            self.rows.begin_sweep()
        self.rows.lay_out()

    def _fit_when_due(self) -> None:
        if any(at_s <= self._trail.newest_s for at_s in self._fits):
            self._fits = [at_s for at_s in self._fits if at_s > self._trail.newest_s]
            if not self._fits and self.rows.fits_once:
                self._fits = NEVER
            self.rows.fit()
