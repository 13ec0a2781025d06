"""Causal smoothing of step features: none, moving average, or a Kalman filter.

Steps overlap by all but one hop, so a sequence of steps one step length apart is one *phase*; each
phase is smoothed for itself, as if the others did not exist. That makes the result the same as
smoothing non-overlapping steps, which is how models are trained on distributed features.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from bci_m2s.types import FloatArray


class NoSmoothing:
    """Passes values through."""

    def reset(self) -> None:
        """Begin a new segment."""

    def push(self, values: FloatArray) -> FloatArray:
        """values : (F,) → (F,)."""
        return values


class MovingAverage:
    """Mean of the last `steps` steps of a phase (fewer at a segment's start); NaN where this step is.

    Parameters
    ----------
    steps : number of steps to average
    """

    def __init__(self, steps: int = 5) -> None:
        self._steps = steps
        self.reset()

    def reset(self) -> None:
        """Begin a new segment."""
        self._recent: deque[FloatArray] = deque(maxlen=self._steps)

    def push(self, values: FloatArray) -> FloatArray:
        """values : (F,) → (F,)."""
        self._recent.append(values)
        stacked = np.array(self._recent)
        known = ~np.isnan(stacked)
        mean = np.where(known, stacked, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        return np.where(known[-1], mean, np.nan)


class Kalman:
    """The causal half of the linear dynamic system used for distributed EEG features.

    Random walk z_t = z_{t-1} + w, w ~ N(0, `process`); observation x_t = z_t + v, v ~ N(0, `noise`)
    (Shi & Lu 2010, "Off-line and on-line vigilance estimation based on linear dynamical system and
    manifold learning"). Begins at the first value, which is an observation like any other. A NaN is a
    missing observation: the state is kept, its variance grows, and the output is NaN for that step.

    Parameters
    ----------
    process : variance of a step of the random walk; small for a slow smoother
    noise : variance of an observation
    initial : variance of the state at a segment's start; as `noise`, the first value weighs like any other
    """

    def __init__(self, process: float = 0.001, noise: float = 1.0, initial: float = 1.0) -> None:
        self._process, self._noise, self._initial = process, noise, initial
        self.reset()

    def reset(self) -> None:
        """Begin a new segment."""
        self._mean: FloatArray | None = None
        self._variance: FloatArray | None = None

    def push(self, values: FloatArray) -> FloatArray:
        """values : (F,) → (F,)."""
        if self._mean is None or self._variance is None:
            self._mean = values.copy()
            self._variance = np.full(values.shape, self._initial)
            return values
        fresh = np.isnan(self._mean)
        self._mean = np.where(fresh, values, self._mean)
        predicted = np.where(fresh, self._initial, self._variance + self._process)
        gain = np.where(np.isnan(values) | fresh, 0.0, predicted / (predicted + self._noise))
        self._mean = self._mean + gain * (np.where(np.isnan(values), 0.0, values) - self._mean)
        self._variance = (1 - gain) * predicted
        return np.where(np.isnan(values), np.nan, self._mean)


# What a contract may name as `smoothing`.
SMOOTHERS: dict[str, Callable[..., Any]] = {
    "none": NoSmoothing,
    "moving_average": MovingAverage,
    "kalman": Kalman,
}


class PhasedSmoother:
    """One smoother per phase; see the module's text."""

    def __init__(self, name: str, params: dict[str, Any], phases: int) -> None:
        self._phases = [SMOOTHERS[name](**params) for _ in range(phases)]
        self._next = 0

    def reset(self) -> None:
        """Begin a new segment."""
        self._next = 0
        for phase in self._phases:
            phase.reset()

    def push(self, values: FloatArray) -> FloatArray:
        """Smooth the next step. values : (F,) → (F,)."""
        smoother = self._phases[self._next]
        self._next = (self._next + 1) % len(self._phases)
        return smoother.push(values)
