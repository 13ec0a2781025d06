"""Counting estimates as they come: how many, why not, how old, how long each stage took."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bci_m2s.types import Estimate, Status

KEPT = 20_000  # more than an hour of four estimates a second
FEWEST_TRIALS = 12  # with fewer, a 95 % interval spans more than half of the scale
FEWEST_PER_CLASS = 2
Z_95 = 1.96  # of the normal distribution
STAGES = ("transport", "features", "inference", "publish", "age")


class Statistics:
    """What a session's summary is made of: counts, and the last ``KEPT`` durations.

    heads : class names of each head
    is_judged : answers will be held against a truth, so 24 bytes of each are kept: a third of a MiB an hour
        at four a second
    """

    def __init__(self, heads: Mapping[str, Sequence[str]], is_judged: bool = True) -> None:
        self.heads, self.is_judged = dict(heads), is_judged
        self.made: Counter[tuple[str, str]] = Counter()  # by modality and head
        # by modality; a refused window is refused for every head, and counted with the first
        self.refused: Counter[tuple[str, Status]] = Counter()
        self.last_reason: dict[str, str] = {}  # by modality, why the newest window gave none
        self.reasons: dict[tuple[str, Status], str] = {}  # the newest of each kind, in words
        self.labels: Counter[tuple[str, str, str]] = Counter()  # (modality, head, class or "unknown")
        self._durations_ms = np.full((KEPT, len(STAGES)), np.nan, np.float32)
        self._measured = 0
        # start, end (local time) and class number of each answer, one after the other
        self._answers: dict[tuple[str, str], array[float]] = {}

    def add(self, estimate: Estimate, last_sample_s: float | None = None) -> None:
        """Count one published estimate.

        last_sample_s : of its newest sample in the clock of markers; None for what its stamps say
        """
        if estimate.status is not Status.OK:
            self.refused[estimate.modality, estimate.status] += estimate.head == next(iter(self.heads))
            self.last_reason[estimate.modality] = estimate.reason
            self.reasons[estimate.modality, estimate.status] = estimate.reason
            return
        key = (estimate.modality, estimate.head)
        label = estimate.label(self.heads[estimate.head])
        self.made[key] += 1
        self.labels[*key, label] += 1
        stamps = estimate.stamps
        shared_s = stamps.last_sample_s if last_sample_s is None else last_sample_s
        offset_s = 0.0 if math.isnan(shared_s) else shared_s - estimate.end_s
        if self.is_judged and not estimate.unknown:
            answer = (estimate.start_s + offset_s, estimate.end_s + offset_s, estimate.class_index)
            self._answers.setdefault(key, array("d")).extend(answer)
        self._durations_ms[self._measured % KEPT] = 1e3 * np.array([*stamps.stages_s, stamps.age_s])
        self._measured += 1

    def percentiles_ms(self, stage: str) -> list[float]:
        """50th, 95th and 99th percentile of a stage's duration; NaN where nothing was measured."""
        column = self._durations_ms[:, STAGES.index(stage)]
        known = column[np.isfinite(column)]
        return np.percentile(known, (50, 95, 99)).tolist() if len(known) else [math.nan] * 3

    def agreement(self, truth: Sequence[tuple[float, float, str]], modality: str, head: str) -> Agreement:
        """How often answers are right whose whole window lies in a span (start, end, class) of `truth`.

        Those that are unknown are not judged; none is where `is_judged` is false.
        """
        answers = np.array(self._answers.get((modality, head), ())).reshape(-1, 3)
        classes = self.heads[head]
        shares, windows, of_class = [], 0, Counter[str]()
        for start_s, end_s, label in truth:
            inside = answers[(answers[:, 0] >= start_s) & (answers[:, 1] <= end_s)]
            if label in classes and len(inside):
                shares.append(float(np.mean(inside[:, 2] == classes.index(label))))
                windows += len(inside)
                of_class[label] += 1
        fewest = min(of_class[label] for label in classes)
        return Agreement(tuple(shares), windows, fewest)


@dataclass(frozen=True, slots=True)
class Agreement:
    """Answers against a known truth.

    shares : of each trial that has judged answers, how many of these are right, 0 to 1
    windows : judged answers of all trials
    fewest : trials of the class that has fewest
    """

    shares: tuple[float, ...]
    windows: int
    fewest: int

    @property
    def is_enough(self) -> bool:
        """Whether there are enough trials for a figure to mean anything."""
        return len(self.shares) >= FEWEST_TRIALS and self.fewest >= FEWEST_PER_CLASS

    @property
    def share(self) -> float:
        """Mean over trials; NaN without any."""
        return sum(self.shares) / len(self.shares) if self.shares else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """95 % confidence interval of the share (Wilson, J. Am. Stat. Assoc. 22, 1927; NaN without trials).

        Windows of one trial overlap and share its state, so a trial counts once. That a trial may be right
        in part only makes the interval too wide, not too narrow.
        """
        n, share = len(self.shares), self.share
        if not n:
            return math.nan, math.nan
        middle = (share + Z_95**2 / (2 * n)) / (1 + Z_95**2 / n)
        half = Z_95 / (1 + Z_95**2 / n) * math.sqrt(share * (1 - share) / n + Z_95**2 / (4 * n * n))
        return max(0.0, middle - half), min(1.0, middle + half)
