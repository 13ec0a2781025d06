"""The estimates of a session in bins of time: what the timeline draws. No Qt.

Memory and drawing stay bounded however long a session is: when the bins are used up, two become one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bci_m2s.engine.history import MOST_BINS, halved
from bci_m2s.panel.client.facts import plain_text
from bci_m2s.types import FloatArray

FIRST_BIN_S = 0.5
MOST_CLASSES = 64
LONGEST_S = 7 * 86400.0  # what lies beyond is a broken stamp
HOLD_S = 2.0  # an estimate stands so long; after that there is none


class State(IntEnum):
    """What is known of a moment of the session."""

    GOOD = 0  # an estimate
    NONE = 1  # the engine said that there is none
    SILENT = 2  # nothing came
    UNSEEN = 3  # before this panel was there
    FUTURE = 4


STATE_WORDS = {
    State.NONE: "no estimate",
    State.SILENT: "nothing came",
    State.UNSEEN: "not seen by this panel",
}


class Bins:
    """Mean probabilities of one line over the session.

    classes : names. Times are seconds since the session began, from 0 to ``LONGEST_S``; what lies
    outside is ignored.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = tuple(classes)
        self.bin_s = FIRST_BIN_S
        self._sums = np.zeros((MOST_BINS, len(self.classes)))
        self._good = np.zeros(MOST_BINS)  # estimates in a bin; of a history its share of the bin
        self._total = np.zeros(MOST_BINS)  # answers in a bin, with or without estimate
        self._reasons: dict[int, str] = {}  # by bin

    def add(self, t_s: float, probabilities: FloatArray | None, reason: str = "") -> None:
        """Take an estimate, or None and the reason why there is none."""
        if not 0 <= t_s <= LONGEST_S:
            return
        while t_s >= MOST_BINS * self.bin_s:
            self._double()
        place = int(t_s / self.bin_s)
        self._total[place] += 1
        if probabilities is None:
            self._reasons[place] = reason
            return
        self._sums[place] += probabilities
        self._good[place] += 1

    def fill(self, bin_s: float, t_s: FloatArray, means: FloatArray, shares: FloatArray) -> None:
        """Fill bins of which nothing is known yet from the engine's memory of the session.

        bin_s : width of its bins, s; t_s : (n,) their beginnings; means : (n, classes) probabilities, NaN
        without estimate; shares : (n,) 0 to 1, part of each bin that has an estimate
        """
        middle = t_s + bin_s / 2
        known = (middle >= 0) & (middle <= LONGEST_S) & np.isfinite(shares)
        if not known.any():
            return
        while bin_s > self.bin_s or middle[known].max() >= MOST_BINS * self.bin_s:
            self._double()
        places = np.zeros(len(middle), dtype=np.intp)
        places[known] = (middle[known] / self.bin_s).astype(np.intp)
        known &= self._total[places] == 0
        part = np.where(np.isfinite(means).all(axis=1), np.clip(shares, 0, 1), 0.0)
        np.add.at(self._total, places[known], 1.0)
        np.add.at(self._good, places[known], part[known])
        np.add.at(self._sums, places[known], (np.nan_to_num(means) * part[:, None])[known])

    def _double(self) -> None:
        self._sums, self._good, self._total = map(halved, (self._sums, self._good, self._total))
        self._reasons = {place // 2: reason for place, reason in sorted(self._reasons.items())}
        self.bin_s *= 2

    def columns(
        self, edges_s: FloatArray, now_s: float, seen_from_s: float
    ) -> tuple[NDArray[np.uint8], FloatArray]:
        """What each of some neighbouring columns shows.

        Parameters
        ----------
        edges_s : (columns + 1,) ascending times; a column lies between two of them
        now_s : what is later is future
        seen_from_s : before it, bins without an answer were not seen; after it, nothing came

        Returns
        -------
        (columns,) states, that of more than half of the column's bins with an estimate GOOD, and
        (columns, classes) mean probabilities, 0 where the state is not GOOD.
        """
        states, means = self._bins(now_s, seen_from_s)
        low = np.clip((edges_s[:-1] / self.bin_s).astype(np.intp), 0, MOST_BINS - 1)
        high = np.clip(np.ceil(edges_s[1:] / self.bin_s).astype(np.intp), low + 1, MOST_BINS)
        is_good = states == State.GOOD
        good = _spans(is_good.astype(np.float64), low, high)
        column = states[low]
        first_bad = _first(~is_good & (states != State.FUTURE), low, high)
        column = np.where(first_bad >= 0, states[first_bad], column)
        column = np.where(2 * good >= high - low, np.uint8(State.GOOD), column)
        column[edges_s[:-1] > now_s] = State.FUTURE
        shown = _spans(np.where(is_good[:, None], means, 0.0), low, high) / np.maximum(good, 1)[:, None]
        return column.astype(np.uint8), np.where((column == State.GOOD)[:, None], shown, 0.0)

    def _bins(self, now_s: float, seen_from_s: float) -> tuple[NDArray[np.uint8], FloatArray]:
        """State and mean probabilities of every bin; an answer stands for ``HOLD_S`` at most."""
        numbers = np.arange(MOST_BINS)
        last = np.maximum.accumulate(np.where(self._total > 0, numbers, -1))
        is_held = (last >= 0) & ((numbers - last) * self.bin_s <= HOLD_S)
        source = np.where(is_held, last, numbers)
        good, total = self._good[source], self._total[source]
        begin_s = numbers * self.bin_s
        states = np.where(
            total == 0,
            np.where(begin_s < seen_from_s, State.UNSEEN, State.SILENT),
            np.where(2 * good >= total, State.GOOD, State.NONE),
        )
        states[begin_s > now_s] = State.FUTURE
        return states.astype(np.uint8), self._sums[source] / np.maximum(good, 1e-9)[:, None]

    def reason(self, t_s: float) -> str:
        """Why there was no estimate at a moment; "" where that is not known."""
        place = int(t_s / self.bin_s) if 0 <= t_s <= LONGEST_S else -1
        held = range(place, place - 1 - int(HOLD_S / self.bin_s), -1)
        return next((self._reasons[near] for near in held if near in self._reasons), "")


def _spans(values: FloatArray, low: NDArray[np.intp], high: NDArray[np.intp]) -> FloatArray:
    """Sums of values[low:high], for many spans at once."""
    sums = np.zeros((len(values) + 1, *values.shape[1:]))
    np.cumsum(values, axis=0, out=sums[1:])
    return np.asarray(sums[high] - sums[low])


def _first(wanted: NDArray[np.bool_], low: NDArray[np.intp], high: NDArray[np.intp]) -> NDArray[np.intp]:
    """Index of the first wanted value within each span, -1 where there is none."""
    ahead = np.where(wanted, np.arange(len(wanted)), len(wanted))
    following = np.minimum.accumulate(ahead[::-1])[::-1][low]
    return np.where(following < high, following, -1)


class HistoryRows(NamedTuple):
    """One line of the engine's memory: bins of `bin_s` that begin at `t_s`, (n,); see ``Bins.fill``."""

    classes: tuple[str, ...]
    bin_s: float
    t_s: FloatArray
    means: FloatArray
    shares: FloatArray


def history_rows(row: Any, bin_s: Any) -> HistoryRows | None:
    """Read one line of the engine's memory of the session, which came over a pipe and may be anything.

    row : {"classes": [...], "t": [...], "p": [[...]], "share": [...]}; null stands for NaN

    None where anything of it does not fit. The newest 2 * ``MOST_BINS`` rows are taken.
    """
    try:
        classes, width_s = tuple(map(plain_text, row["classes"])), float(bin_s)
        t_s, means, shares = (
            np.array(row[key][-2 * MOST_BINS :], dtype=np.float64) for key in ("t", "p", "share")
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    fits = means.shape == (len(t_s), len(classes)) and shares.shape == t_s.shape == (len(t_s),)
    sound = 1 <= len(classes) <= MOST_CLASSES and FIRST_BIN_S / 8 <= width_s <= LONGEST_S / MOST_BINS
    return HistoryRows(classes, width_s, t_s, means, shares) if fits and sound else None


def extent_s(elapsed_s: float) -> float:
    """How much time the axis holds: a step up to half longer than what has passed, at least a minute.

    It grows in steps, so that the picture stands still and only new columns are painted.
    """
    minutes = elapsed_s / 60
    steps = 1, 1.5, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 75, 90, 120, 150, 180, 240
    return 60.0 * next((step for step in steps if minutes <= step), 120 * math.ceil(minutes / 120))


def tick_step_s(span_s: float, most: int) -> float:
    """Distance of an axis' ticks, round in minutes or hours, so that there are at most `most`."""
    steps = 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800
    days = 86400 * math.ceil(span_s / 86400 / most)
    return float(next((step for step in steps if span_s / step <= most), days))
