"""An irregular stream on a regular grid, causally: an eye tracker that sends when it has something.

Every point of the grid rests on the two samples around it alone, and is made when the later one has come.
So nothing depends on chunks, and no answer waits longer than for the next sample.
"""

from __future__ import annotations

import numpy as np

from bci_m2s.types import Chunk, FloatArray

LONGEST_FILL_S = 2.0  # a pause up to this is samples that are missing; a longer one is a gap


class Resampler:
    """Puts samples on a grid of `rate_hz` that begins with the first stamp, interpolating linearly.

    Points between two samples that are more than `gap_s` apart are NaN: nothing is known there. After a
    pause longer than ``LONGEST_FILL_S`` (or `gap_s`, if that is longer), and after stamps that went back by
    more than `gap_s`, a new grid begins. Stamps that are no numbers, or do not advance, have no sample.

    Parameters
    ----------
    rate_hz, gap_s : > 0
    """

    def __init__(self, rate_hz: float, gap_s: float) -> None:
        self._rate_hz, self._gap_s = rate_hz, gap_s
        self._longest_s = max(LONGEST_FILL_S, gap_s)
        self.reset()

    def reset(self) -> None:
        """Begin a new grid with the next sample."""
        self._last_s = self._begin_s = float("nan")
        self._last: FloatArray = np.empty(0)
        self._next = 0  # point of the grid

    def push(self, chunk: Chunk) -> Chunk:
        """Return the points of the grid that these samples complete; NaN where nothing is known.

        chunk.samples : (n, channels), NaN where a sample is missing
        """
        whole = chunk.samples.astype(np.float64)
        made = [
            self._run(chunk.times[part], whole[part], chunk.received_s[part]) for part in self._runs(chunk)
        ]
        if not made:
            return Chunk.empty(whole.shape[1], np.float64)
        times, samples, received_s = (np.concatenate(parts) for parts in zip(*made, strict=True))
        return Chunk(times, samples, received_s)

    def _runs(self, chunk: Chunk) -> list[np.ndarray]:
        """Which samples continue one grid, run by run, without those that do not advance.

        A loop over stamps: whether one advances depends on which was last taken, and gaze comes slowly.
        """
        runs: list[list[int]] = []
        last_s = self._last_s
        for place, stamp_s in enumerate(chunk.times.tolist()):
            step_s = stamp_s - last_s
            if not np.isfinite(stamp_s) or -self._gap_s <= step_s <= 0:
                continue
            breaks = not 0 < step_s <= self._longest_s  # NaN at the very first
            if breaks or not runs:
                runs.append([])
            runs[-1].append(place)
            last_s = stamp_s
        return [np.array(run) for run in runs]

    def _run(
        self, times: FloatArray, samples: FloatArray, received_s: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        if not 0 < times[0] - self._last_s <= self._longest_s:
            self._begin_s, self._next = float(times[0]), 0
            self._last_s, self._last = float(times[0]) - 1 / self._rate_hz, samples[0]
        knots_s = np.append(self._last_s, times)
        knots = np.vstack([self._last, samples])
        count = int((times[-1] - self._begin_s) * self._rate_hz) + 2
        grid_s = self._begin_s + np.arange(self._next, max(count, self._next)) / self._rate_hz
        grid_s = grid_s[grid_s <= times[-1]]
        right = np.searchsorted(knots_s, grid_s, side="left")
        left = right - 1
        span_s = knots_s[right] - knots_s[left]
        share = (grid_s - knots_s[left]) / span_s
        values = knots[left] + (knots[right] - knots[left]) * share[:, None]
        values[share == 1] = knots[right[share == 1]]
        values[(span_s > self._gap_s) & (share < 1)] = np.nan
        self._next += len(grid_s)
        self._last_s, self._last = float(times[-1]), samples[-1]
        return grid_s, values, received_s[left]
