"""Counting estimates as they come: how many, why not, how old, how long each stage took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from bci_m2s.types import Estimate, Status

STAGES = ("transport", "features", "inference", "publish", "age")


class Tally:
    """What a session's summary is made of; memory grows by six numbers an estimate."""

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = tuple(classes)
        self.made: Counter[str] = Counter()  # by modality
        self.refused: Counter[tuple[str, Status]] = Counter()
        self.last_reason: dict[str, str] = {}  # by modality, why the newest window gave none
        self.reasons: dict[tuple[str, Status], str] = {}  # the newest of each kind, in words
        self.labels: Counter[tuple[str, str]] = Counter()  # (modality, class)
        self._durations_ms: dict[str, list[float]] = {stage: [] for stage in STAGES}
        # (modality, start, end in local time, class) of each estimate made, for comparison with a truth
        self.answers: list[tuple[str, float, float, str]] = []

    def add(self, estimate: Estimate) -> None:
        """Count one published estimate."""
        if estimate.status is not Status.OK:
            self.refused[estimate.modality, estimate.status] += 1
            self.last_reason[estimate.modality] = estimate.reason
            self.reasons[estimate.modality, estimate.status] = estimate.reason
            return
        label = self.classes[estimate.class_index]
        self.made[estimate.modality] += 1
        self.labels[estimate.modality, label] += 1
        stamps = estimate.stamps
        # without a clock offset (a replay) spans stay in the sender's clock, as the markers do
        offset_s = (
            0.0 if stamps.last_sample_s != stamps.last_sample_s else stamps.last_sample_s - estimate.end_s
        )
        span = (estimate.start_s + offset_s, estimate.end_s + offset_s)
        self.answers.append((estimate.modality, *span, label))
        durations = (
            stamps.received_s - stamps.last_sample_s,
            stamps.features_s - stamps.received_s,
            stamps.inferred_s - stamps.features_s,
            stamps.published_s - stamps.inferred_s,
            stamps.age_s,
        )
        for stage, seconds in zip(STAGES, durations, strict=True):
            self._durations_ms[stage].append(1e3 * seconds)

    def percentiles_ms(self, stage: str, points: Sequence[float] = (50, 95, 99)) -> list[float]:
        """Percentiles of a stage's duration; NaN where nothing was measured."""
        known = [value for value in self._durations_ms[stage] if value == value]
        return (
            [float(value) for value in np.percentile(known, points)]
            if known
            else [float("nan")] * len(points)
        )

    def agreement(self, truth: Sequence[tuple[float, float, str]], modality: str) -> tuple[int, int]:
        """(right, judged): estimates whose whole window lies in a span (start, end, class) of `truth`."""
        right = judged = 0
        for name, start_s, end_s, label in self.answers:
            if name != modality:
                continue
            for span_start_s, span_end_s, true_label in truth:
                if span_start_s <= start_s and end_s <= span_end_s:
                    judged += 1
                    right += label == true_label
                    break
        return right, judged
