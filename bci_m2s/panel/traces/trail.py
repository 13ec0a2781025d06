"""What came of a stream and is kept for the screen: the newest seconds, as they came."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from bci_m2s.panel.traces.sweep import Float32Array, gap_s
from bci_m2s.signal.quality import LOSS_LIMIT
from bci_m2s.types import FloatArray

KEEP_S = 36.0  # the longest sweep, and some for a filter to settle in before it


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


def _joined(
    chunks: deque[tuple[FloatArray, Float32Array]] | list[tuple[FloatArray, Float32Array]],
) -> tuple[FloatArray, Float32Array]:
    if len(chunks) == 1:
        return chunks[0]
    return np.concatenate([times for times, _ in chunks]), np.concatenate([one for _, one in chunks])


def _drop_old(chunks: deque[tuple[FloatArray, Float32Array]]) -> None:
    """Keep ``KEEP_S`` seconds; what time has left behind by going back does not count as older."""
    newest_s = chunks[-1][0][-1]
    while len(chunks) > 1 and newest_s - chunks[0][0][-1] > KEEP_S:
        chunks.popleft()
