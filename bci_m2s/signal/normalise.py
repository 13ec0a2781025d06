"""Normalisation per person: what "zero" and "one" mean for this participant.

People differ in skull, cap and temperament by far more than feelings move a signal, so features are
expressed relative to the person, in the way that the model was trained with (its contract names it).

A short baseline knows a standard deviation badly. Its variance is therefore pooled with the typical one of
the training people (`prior_std`, worth `prior_s` seconds of data), an empirical-Bayes shrinkage.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Protocol

import numpy as np

from bci_m2s.registry import Registry
from bci_m2s.types import FloatArray

SMALLEST_STD = 1e-6
SHORTEST_BASELINE_S = 10.0  # of usable signal, where a baseline is ended before its time


class Normaliser(Protocol):
    """Sees every usable step of a person in order; expresses windows relative to it.

    What is here serves where nothing is learnt of a person; subclasses replace what they do otherwise.

    no_baseline : why there is no baseline that somebody could start or end, in words; "" where there is one
    """

    no_baseline: str

    def observe(self, values: FloatArray) -> None:
        """Take a usable step. values : (F,), NaN where unknown."""
        del values

    def restart(self) -> None:
        """Forget the person and begin a new baseline with the next step."""
        return

    def finish(self) -> str:
        """End the baseline with what was collected; return why that cannot be, "" when it is done."""
        return self.no_baseline

    @property
    def seconds_left(self) -> float:
        """Seconds of usable signal still needed before ``apply`` may be used; 0.0 when ready."""
        return 0.0

    @property
    def settled(self) -> bool:
        """Whether further steps change nothing: what is recorded may then be expressed at once."""
        return False

    def apply(self, values: FloatArray) -> FloatArray:
        """values : (T, F) → (T, F), in the person's own standard deviations where there are some."""
        statistics = self.statistics()
        if statistics is None:
            assert self.seconds_left == 0.0, "apply() before enough signal was seen"
            return values
        mean, std = statistics
        return (values - mean) / std

    def statistics(self) -> tuple[FloatArray, FloatArray] | None:
        """Mean and standard deviation (F,) in use, None while not ready or not per person."""
        return None

    def adopt(self, mean: FloatArray, std: FloatArray) -> None:
        """Use statistics recorded earlier from the same person."""
        del mean, std


class Baseline(Normaliser):
    """Statistics of the first `duration_s` of usable signal, then fixed.

    Parameters
    ----------
    duration_s : length of the baseline, of usable signal at rest
    prior_s : how many seconds the typical spread of the training people is worth
    """

    no_baseline = ""

    def __init__(
        self,
        prior_std: FloatArray,
        step_s: float,
        hop_s: float,
        duration_s: float = 60.0,
        prior_s: float = 10.0,
    ) -> None:
        self._prior_std, self._step_s, self._hop_s = prior_std, step_s, hop_s
        self._duration_s, self._prior_s = duration_s, prior_s
        self.restart()

    def restart(self) -> None:
        """Begin a new baseline."""
        self._steps: list[FloatArray] = []
        self._statistics: tuple[FloatArray, FloatArray] | None = None

    def observe(self, values: FloatArray) -> None:
        """Collect a step until the baseline is complete."""
        if self._statistics is not None:
            return
        self._steps.append(values)
        if self.seconds_left == 0.0:
            self._complete()

    def finish(self) -> str:
        """Use what was collected, at least ``SHORTEST_BASELINE_S``; return why not, "" when it is done."""
        if self._statistics is not None:
            return "complete already"
        covered_s = _covered_s(len(self._steps), self._step_s, self._hop_s)
        if covered_s < SHORTEST_BASELINE_S - 1e-9:
            return (
                f"got {covered_s:.1f} s of usable signal, expected at least {SHORTEST_BASELINE_S:g} s; "
                "it goes on"
            )
        self._complete()
        return ""

    def _complete(self) -> None:
        self._statistics = pooled(np.array(self._steps), self._prior_std, self._hop_s, self._prior_s)
        self._steps = []

    @property
    def seconds_left(self) -> float:
        """Seconds of usable signal still needed. Any thread."""
        n = len(self._steps)  # first: completing sets the statistics before it lets go of the steps
        if self._statistics is not None:
            return 0.0
        left = self._duration_s - _covered_s(n, self._step_s, self._hop_s)
        return left if left > 1e-9 else 0.0

    @property
    def settled(self) -> bool:
        """Whether the baseline is complete."""
        return self._statistics is not None

    def statistics(self) -> tuple[FloatArray, FloatArray] | None:
        """Mean and standard deviation in use."""
        return self._statistics

    def adopt(self, mean: FloatArray, std: FloatArray) -> None:
        """Use recorded statistics at once."""
        self._steps = []
        self._statistics = (mean.copy(), np.maximum(std, SMALLEST_STD))


class Rolling(Normaliser):
    """Statistics of the last `duration_s` of usable signal, moving with it.

    Parameters
    ----------
    duration_s : how far the statistics look back
    ready_s : usable signal before the first estimate
    prior_s : how many seconds the typical spread of the training people is worth
    """

    no_baseline = "its statistics move with the signal"

    def __init__(
        self,
        prior_std: FloatArray,
        step_s: float,
        hop_s: float,
        duration_s: float = 120.0,
        ready_s: float = 20.0,
        prior_s: float = 10.0,
    ) -> None:
        self._prior_std, self._step_s, self._hop_s = prior_std, step_s, hop_s
        self._ready_s, self._prior_s = ready_s, prior_s
        self._steps: deque[FloatArray] = deque(maxlen=max(1, round((duration_s - step_s) / hop_s) + 1))
        self._adopted: tuple[FloatArray, FloatArray] | None = None

    def restart(self) -> None:
        """Forget the person."""
        self._steps.clear()
        self._adopted = None

    def observe(self, values: FloatArray) -> None:
        """Take a step; the oldest leaves when `duration_s` is covered."""
        self._steps.append(values)

    @property
    def seconds_left(self) -> float:
        """Seconds of usable signal still needed."""
        if self._adopted is not None:
            return 0.0
        left = self._ready_s - _covered_s(len(self._steps), self._step_s, self._hop_s)
        return left if left > 1e-9 else 0.0

    def statistics(self) -> tuple[FloatArray, FloatArray] | None:
        """Mean and standard deviation in use: recorded ones until this session's own suffice."""
        if _covered_s(len(self._steps), self._step_s, self._hop_s) + 1e-9 >= self._ready_s:
            return pooled(np.array(self._steps), self._prior_std, self._hop_s, self._prior_s)
        return self._adopted

    def adopt(self, mean: FloatArray, std: FloatArray) -> None:
        """Use recorded statistics until this session's own suffice."""
        self._adopted = (mean.copy(), np.maximum(std, SMALLEST_STD))


class NoBaseline(Normaliser):
    """No normalisation per person: the training scaler is all there is."""

    no_baseline = "the scaler of the training serves everyone"

    def __init__(self, prior_std: FloatArray, step_s: float, hop_s: float) -> None:
        del prior_std, step_s, hop_s  # same signature for every entry of NORMALISERS


def _covered_s(n_steps: int, step_s: float, hop_s: float) -> float:
    """Seconds of signal in overlapping steps."""
    return step_s + (n_steps - 1) * hop_s if n_steps else 0.0


def pooled(
    steps: FloatArray, prior_std: FloatArray, hop_s: float, prior_s: float
) -> tuple[FloatArray, FloatArray]:
    """Mean and shrunken standard deviation of steps (n, F) with NaN where unknown.

    The variance is (n·hop_s·s² + prior_s·prior_std²) / (n·hop_s + prior_s). A feature that was never
    known has mean NaN and stays unknown in every window.
    """
    known = ~np.isnan(steps)
    n = known.sum(axis=0)
    filled = np.where(known, steps, 0.0)
    mean = np.where(n > 0, filled.sum(axis=0) / np.maximum(n, 1), math.nan)
    spread = np.where(known, steps - mean, 0.0)
    seen = (spread**2).sum(axis=0) * hop_s  # n · hop_s · s²
    variance = (seen + prior_s * prior_std**2) / (n * hop_s + prior_s)
    return mean, np.maximum(np.sqrt(variance), SMALLEST_STD)


# What a contract may name as `normaliser`. Each is built as Class(prior_std: (F,), step_s: float,
# hop_s: float, **params), where params are positive numbers with a default in the signature.
NORMALISERS = Registry(
    "normaliser",
    "bci_m2s.normalisers",
    {"baseline": Baseline, "rolling": Rolling, "training": NoBaseline},
    needs=("observe", "restart", "finish", "apply", "settled", "statistics", "adopt"),
)
