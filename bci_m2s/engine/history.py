"""What a session answered so far, in bounded memory, for a display that starts late."""

from __future__ import annotations

import copy
import math
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci_m2s.types import BY_THE_CLOCK, Estimate, FloatArray, Status

MOST_BINS = 2000
FIRST_BIN_S = 1.0
MOST_MARKERS = 1000
MARKER_CHARACTERS = 200  # characters of a marker; recordings have it whole
DIGITS = 4


class History:
    """Estimates in bins of equal width; when there are more than ``MOST_BINS`` the width doubles.

    Any thread may add and read. A new engine of the same session may go on with the history of the last.

    Parameters
    ----------
    heads : class names of each head
    hop_s : how often an answer comes, s
    """

    def __init__(self, heads: Mapping[str, Sequence[str]], hop_s: float = 0.25) -> None:
        self._heads = {head: tuple(classes) for head, classes in heads.items()}
        self._hops_a_second = max(1.0, 1.0 / hop_s)
        self._lock = threading.Lock()  # guards what follows
        self._bin_s, self._begun_s = FIRST_BIN_S, math.nan
        self._lines: dict[tuple[str, str], _Bins] = {}
        self._markers: deque[tuple[float, str, str]] = deque(maxlen=MOST_MARKERS)

    def add(self, estimate: Estimate, line: str = "") -> None:
        """Take a published answer, an estimate or none.

        line : the modality that it stands for, "" where one line is made of several. It goes where it was
        published (local clock): what a sender says of its time may be anything.
        """
        when_s = estimate.stamps.published_s
        if not math.isfinite(when_s) or estimate.head not in self._heads:
            return
        with self._lock:
            if math.isnan(self._begun_s):
                self._begun_s = when_s
            while (place := int((when_s - self._begun_s) / self._bin_s)) >= MOST_BINS:
                self._bin_s *= 2.0
                for bins in self._lines.values():
                    bins.fold()
            key = (line, estimate.head)
            if key not in self._lines:
                self._lines[key] = _Bins(len(self._heads[estimate.head]))
            weight = self._hops_a_second if estimate.status in BY_THE_CLOCK else 1.0
            self._lines[key].add(max(0, place), estimate, weight)

    def mark(self, local_s: float, text: str, origin: str) -> None:
        """Take a marker, cut at ``MARKER_CHARACTERS`` characters. local_s : local clock, s."""
        with self._lock:
            self._markers.append((local_s, text[:MARKER_CHARACTERS], origin[:MARKER_CHARACTERS]))

    def newest_markers(self, most: int) -> list[tuple[float, str, str]]:
        """The newest markers, oldest first: (local time, text, origin)."""
        with self._lock:
            return list(self._markers)[-most:]

    def as_json(self) -> dict[str, Any]:
        """All of it as plain JSON values, rounded to 4 digits, None for what is unknown.

        ``bin_s``: width; ``lines``: for each line and head ``classes``, ``t`` (a bin's start, local clock,
        s; bins without an answer are left out), ``p`` (mean probabilities of each class, None without an
        estimate), ``share`` (of the bin with an estimate, 0–1), ``status`` (code of the newest answer);
        ``markers``: the newest as [local_s, text, origin].
        """
        with self._lock:  # an answer that is being published must not wait for the words
            kept, begun_s, bin_s = copy.deepcopy(self._lines), self._begun_s, self._bin_s
            marked = list(self._markers)
        lines: dict[str, dict[str, Any]] = {}
        for (line, head), bins in kept.items():
            described = bins.as_json(begun_s, bin_s)
            lines.setdefault(line, {})[head] = {"classes": list(self._heads[head]), **described}
        markers = [[rounded(when_s), text, origin] for when_s, text, origin in marked]
        return {"bin_s": bin_s, "lines": lines, "markers": markers}


class _Bins:
    """Sums of one line and head, bin by bin. Memory is fixed: it does not grow with the session."""

    def __init__(self, n_classes: int) -> None:
        self._sums = np.zeros((MOST_BINS, n_classes))
        self._made = np.zeros(MOST_BINS)  # answers with an estimate
        self._all = np.zeros(MOST_BINS)  # all answers, in hops
        self._status = np.full(MOST_BINS, -1, np.int8)

    def add(self, place: int, estimate: Estimate, weight: float) -> None:
        """Count an answer. weight : how many hops it stands for."""
        self._all[place] += weight
        self._status[place] = int(estimate.status)
        if estimate.status is Status.OK:
            self._made[place] += 1
            self._sums[place] += estimate.probabilities

    def fold(self) -> None:
        """Join bins in pairs."""
        self._sums = halved(self._sums)
        self._made, self._all = halved(self._made), halved(self._all)
        early, late = self._status[::2], self._status[1::2]
        joined = np.where(late >= 0, late, early)
        self._status = np.concatenate([joined, np.full(len(joined), -1, np.int8)])

    def as_json(self, begun_s: float, bin_s: float) -> dict[str, Any]:
        """Columns of the bins that have an answer."""
        there = np.flatnonzero(self._all)
        made = self._made[there]
        with np.errstate(invalid="ignore"):
            means = np.round(self._sums[there] / made[:, None], DIGITS)
        nothing = [None] * means.shape[1]
        rows = [row if n else nothing for row, n in zip(means.tolist(), made.tolist(), strict=True)]
        return {
            "t": np.round(begun_s + there * bin_s, DIGITS).tolist(),
            "p": rows,
            "share": np.round(made / self._all[there], DIGITS).tolist(),
            "status": self._status[there].tolist(),
        }


def halved(values: FloatArray) -> NDArray[np.float64]:
    """Sums of pairs, the second half empty."""
    joined = values[::2] + values[1::2]
    return np.concatenate([joined, np.zeros_like(joined)])


def rounded(value: float) -> float | None:
    """A number as JSON has it: to 4 digits, None for what is none."""
    return round(float(value), DIGITS) if math.isfinite(value) else None
