"""Counting estimates as they come: how many, why not, how old, how long each stage took."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from bci_m2s.types import Estimate, Status

KEPT = 20_000  # more than an hour of four estimates a second
STAGES = ("transport", "features", "inference", "publish", "age")


class Statistics:
    """What a session's summary is made of: the last ``KEPT`` durations, 24 bytes of each answer.

    heads : class names of each head
    """

    def __init__(self, heads: Mapping[str, Sequence[str]]) -> None:
        self.heads = dict(heads)
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
        if not estimate.unknown:
            answer = (estimate.start_s + offset_s, estimate.end_s + offset_s, estimate.class_index)
            self._answers.setdefault(key, array("d")).extend(answer)
        self._durations_ms[self._measured % KEPT] = 1e3 * np.array([*stamps.stages_s, stamps.age_s])
        self._measured += 1

    def percentiles_ms(self, stage: str) -> list[float]:
        """50th, 95th and 99th percentile of a stage's duration; NaN where nothing was measured."""
        column = self._durations_ms[:, STAGES.index(stage)]
        known = column[np.isfinite(column)]
        return np.percentile(known, (50, 95, 99)).tolist() if len(known) else [math.nan] * 3

    def agreement(
        self, truth: Sequence[tuple[float, float, str]], modality: str, head: str
    ) -> tuple[int, int]:
        """(right, judged): estimates whose whole window lies in a span (start, end, class) of `truth`.

        Those that are unknown are not judged.
        """
        right = judged = 0
        answers = np.array(self._answers.get((modality, head), ())).reshape(-1, 3)
        for start_s, end_s, number in answers.tolist():
            label = self.heads[head][int(number)]
            for span_start_s, span_end_s, true_label in truth:
                if span_start_s <= start_s and end_s <= span_end_s:
                    judged += 1
                    right += label == true_label
                    break
        return right, judged
