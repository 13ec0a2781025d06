"""A stream as a sweep: it is fed here, and its rows say what its channels look like.

``push`` only puts samples by; ``frame`` paints what came since the last one. A trace keeps its place on the
screen until the sweep passes it again, so what was seen does not move.
"""

from __future__ import annotations

import math
import zlib
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from PyQt6.QtCore import QRect
from PyQt6.QtGui import QPainter

from bci_m2s.panel.client.facts import ShownStream
from bci_m2s.panel.look.theme import Theme
from bci_m2s.panel.look.view import View, in_column, in_row
from bci_m2s.panel.traces.channel_zoom import ChannelZoom
from bci_m2s.panel.traces.sweep import Float32Array, gap_s
from bci_m2s.panel.traces.sweep_canvas import SweepCanvas
from bci_m2s.panel.traces.traces_controls import TracesControls
from bci_m2s.signal.quality import LOSS_LIMIT
from bci_m2s.types import FloatArray

KEEP_S = 36.0  # of a stream: the longest sweep, and some for a filter to settle in before it
FIT_AFTER_S = (0.5, 3.0)  # of signal: scales are found, and found again
NEVER = [math.inf]  # when scales are found next
Segments = Iterable[tuple[slice, bool]]


class Trail:
    """Newest samples of one stream. What is pushed waits until it is taken, for ``KEEP_S`` at most.

    Parameters
    ----------
    n_channels : channels; chunks of another width are refused
    rate_hz : nominal rate, 0.0 when irregular
    """

    def __init__(self, n_channels: int, rate_hz: float) -> None:
        self.n_channels = n_channels
        self.longest_s = gap_s(rate_hz)
        self.newest_s = float("nan")  # of what was taken
        self._waiting: deque[tuple[FloatArray, Float32Array]] = deque()
        self._kept: deque[tuple[FloatArray, Float32Array]] = deque()

    def push(self, times: FloatArray, samples: FloatArray | Float32Array) -> bool:
        """Add samples; False when they do not fit the stream's channels.

        times : (n,) s; samples without a finite time are left out. samples : (n, channels); what is not
        finite or beyond ``quality.LOSS_LIMIT`` becomes NaN: it is lost, not measured.
        """
        stamps = np.array(times, dtype=np.float64)
        values = np.array(samples, dtype=np.float64)
        if values.shape != (len(stamps), self.n_channels):
            return False
        values[~(np.abs(values) <= LOSS_LIMIT)] = np.nan
        stamped = np.isfinite(stamps)
        if stamped.any():
            self._waiting.append((stamps[stamped], values[stamped].astype(np.float32)))
            _drop_old(self._waiting)
        return True

    def take(self) -> tuple[FloatArray, Float32Array, bool] | None:
        """What waits, now kept: times (n,), samples (n, channels), and whether time began again.

        Time begins again when it goes back by more than a gap: what came before is gone then.
        """
        if not self._waiting:
            return None
        times, samples = _joined(self._waiting)
        self._waiting.clear()
        steps = np.diff(times, prepend=times[0] if np.isnan(self.newest_s) else self.newest_s)
        back = np.flatnonzero(steps < -self.longest_s)
        if len(back):
            self._kept.clear()
            times, samples = times[back[-1] :], samples[back[-1] :]
        self._kept.append((times, samples))
        self.newest_s = float(times[-1])
        _drop_old(self._kept)
        return times, samples, len(back) > 0

    def kept(self, span_s: float) -> tuple[FloatArray, Float32Array] | None:
        """The newest `span_s` seconds of what was taken: (n,), (n, channels); None when there is none."""
        chunks = [chunk for chunk in self._kept if chunk[0][-1] > self.newest_s - span_s]
        return _joined(chunks) if chunks else None

    def segments(self, times: FloatArray, after_s: float) -> Iterator[tuple[slice, bool]]:
        """Cut samples at gaps: slices, and whether a gap is before each; `after_s` : time of the last."""
        steps = np.diff(times, prepend=after_s)  # NaN, at the very start, begins a segment too
        begins = ~(steps <= self.longest_s)
        cuts = [0, *(np.flatnonzero(begins[1:]) + 1), len(times)]
        for start, stop in pairwise(cuts):
            yield slice(start, stop), bool(begins[start])


def _joined(chunks: Iterable[tuple[FloatArray, Float32Array]]) -> tuple[FloatArray, Float32Array]:
    times, samples = zip(*chunks, strict=True)
    return np.concatenate(times), np.concatenate(samples)


def _drop_old(chunks: deque[tuple[FloatArray, Float32Array]]) -> None:
    """Keep ``KEEP_S`` seconds; what time has left behind by going back does not count as older."""
    newest_s = chunks[-1][0][-1]
    while len(chunks) > 1 and newest_s - chunks[0][0][-1] > KEEP_S:
        chunks.popleft()


class SweepRows(ABC):
    """How a stream's channels are drawn as rows of a sweep.

    Attributes
    ----------
    controls, zoom : what the user can choose, and which channels are shown; None where there is no choice
    own_channels : how many more than the stream has are drawn
    marker_texts : whether markers have their text above the sweep
    fits_once : whether scales stay as they were found, or are found again after the stream was lost
    settle_s : of signal before what is shown that must be fed again with it
    montage : checksum of labels and units, by which settings are remembered
    """

    controls: TracesControls | None = None
    zoom: ChannelZoom | None = None
    own_channels = 0
    marker_texts = True
    fits_once = True
    settle_s = 0.0

    def __init__(self, canvas: SweepCanvas, theme: Theme, stream: ShownStream) -> None:
        self.canvas, self.theme, self.labels = canvas, theme, stream.labels
        channels = chr(0).join((*stream.labels, *stream.units))
        self.montage = f"{zlib.crc32(channels.encode()):08x}"
        self.states: dict[str, str] = {}

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


class SweepView(View):
    """The sweep of one stream. See the module for how it is fed.

    rows : kind of rows; controls : what the user can choose, None where there is no choice
    """

    def __init__(self, theme: Theme, rows: type[SweepRows], stream: ShownStream) -> None:
        super().__init__(theme)
        self._name, self._frozen = stream.title, False
        self._trail = Trail(len(stream.labels), stream.rate_hz)
        self._fits: list[float] = []
        n_drawn = len(stream.labels) + rows.own_channels
        self.canvas = SweepCanvas(theme, n_drawn, self._trail.longest_s, rows.marker_texts)
        self.canvas.set_message(f"waiting for samples of {stream.title}")
        self.rows = rows(self.canvas, theme, stream)
        self.canvas.decorate = self.rows.decorate
        self.canvas.reshaped.connect(self._feed_again)
        zoom, self.controls = self.rows.zoom, self.rows.controls
        if zoom is not None and self.controls is not None:
            sweep = in_row((self.canvas, 1), zoom.bar, spacing=0)
            self.setLayout(in_column(self.controls, (sweep, 1), margins=(8, 6, 4, 4), spacing=4))
        else:  # sweeps stand exactly one below the other
            self.setLayout(in_column((self.canvas, 1), margins=(8, 4, 14, 4)))

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
