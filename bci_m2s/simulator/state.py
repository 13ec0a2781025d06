"""Trials and the emotional state, in valence and arousal: what both signals have in common.

docs/simulator.md has the findings behind it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bci_m2s.simulator.markers import MarkedTrial
from bci_m2s.simulator.noise import IntArray, Seeds, SlowNoise, Use, distinct
from bci_m2s.simulator.settings import SimulatorSettings
from bci_m2s.types import FloatArray

ONSET_S = 2.0  # a state builds up this long
FADE_S = 1.5  # and is gone this long after its trial
MOOD_SPACING_S = 4.0

# Intensity is lognormal; appraisal and mood are in units of valence and arousal (-1 to 1).
INTENSITY_SPREAD = 0.15
APPRAISAL_SPREAD = 0.22
MOOD_SPREAD = 0.12

Target = Callable[[int], FloatArray]

CENTRES = {
    "negative": (-0.75, 0.45),
    "neutral": (0.0, -0.45),
    "positive": (0.75, 0.45),
    "happy": (0.75, 0.45),
    "sad": (-0.65, -0.40),
    "fear": (-0.55, 0.75),
    "disgust": (-0.80, 0.30),
    "anger": (-0.55, 0.65),
    "calm": (0.60, -0.50),
    "low": (0.0, -0.60),
    "high": (0.0, 0.60),
}
CIRCLE_RADIUS = 0.8  # where labels without a known place stand


def class_centres(classes: tuple[str, ...]) -> FloatArray:
    """Return valence and arousal of each class: (classes, 2).

    If any label has no known place, all are spread evenly on a circle, so that no two classes meet.
    """
    known = [CENTRES.get(label.casefold()) for label in classes]
    if None not in known and len(set(known)) == len(known):
        return np.array(known, dtype=np.float64)
    angle = 2.0 * np.pi * np.arange(len(classes)) / len(classes) + 0.25 * np.pi
    return CIRCLE_RADIUS * np.stack([np.cos(angle), np.sin(angle)], axis=1)


class Schedule:
    """Trials, classes and latent state of one session, at any time."""

    def __init__(self, settings: SimulatorSettings, seeds: Seeds) -> None:
        self.settings = settings
        self._seeds = seeds
        self._slot_s = settings.trial_s + settings.pause_s
        self._centres = class_centres(settings.classes)
        self._mood = SlowNoise(seeds, Use.MOOD, MOOD_SPACING_S, (2,))
        self._drawn = lru_cache(maxsize=64)(self._draw_class)
        self._order = lru_cache(maxsize=64)(self._draw_order)
        self._target = lru_cache(maxsize=64)(self._draw_target)

    def trial(self, index: int) -> MarkedTrial:
        """Return trial `index`, counted from 0. Raises IndexError past the session's last one."""
        if index < 0 or index >= (self.settings.n_trials or index + 1):
            raise IndexError(f"trial {index} of {self.settings.n_trials}")
        start_s = self.settings.rest_s + index * self._slot_s
        label = self.settings.classes[self.class_index(index)]
        return MarkedTrial(start_s, start_s + self.settings.trial_s, label)

    def latent(self, times: FloatArray) -> FloatArray:
        """Return valence and arousal at each time (s), about -1 to 1: (n, 2)."""
        times = np.asarray(times, dtype=np.float64)
        return MOOD_SPREAD * self._mood(times) + self.pull(times, self._target, 2)

    def pull(self, times: FloatArray, target: Target, width: int) -> FloatArray:
        """Return values that follow the trials: (n, width).

        target : callable that returns the value (width,) of trial `index`; 0 holds outside trials
        """
        slot, offset_s = self._slots(times)
        past_s = offset_s + self._slot_s  # since the trial before began
        present = np.minimum(ramp(offset_s / ONSET_S), fade(offset_s, self.settings.trial_s))
        before = fade(past_s, self.settings.trial_s)
        return present[:, None] * self._values(slot, target, width) + before[:, None] * self._values(
            slot - 1, target, width
        )

    def _values(self, slot: IntArray, target: Target, width: int) -> FloatArray:
        indices = distinct(slot, slot)
        exists = self._exists(indices).tolist()
        rows = [target(k) if e else np.zeros(width) for k, e in zip(indices.tolist(), exists, strict=True)]
        return np.array(rows).reshape(-1, width)[np.searchsorted(indices, slot)]

    def _slots(self, times: FloatArray) -> tuple[IntArray, FloatArray]:
        since_s = np.asarray(times, dtype=np.float64) - self.settings.rest_s
        slot = np.floor(since_s / self._slot_s).astype(np.int64)
        return slot, since_s - slot * self._slot_s

    def _exists(self, slot: IntArray) -> NDArray[np.bool_]:
        return (slot >= 0) & (slot < (self.settings.n_trials or np.iinfo(np.int64).max))

    def class_index(self, index: int) -> int:
        """Class of trial `index` as a number; whether there is such a trial is not looked at."""
        if self.settings.order == "random":
            return self._drawn(index)
        run, position = divmod(index, len(self.settings.classes))
        return self._order(run)[position]

    def _draw_class(self, index: int) -> int:
        return int(self._seeds.rng(Use.CLASS_ORDER, index).integers(len(self.settings.classes)))

    def _draw_order(self, run: int) -> list[int]:
        order = self._seeds.rng(Use.CLASS_ORDER, run).permutation(len(self.settings.classes))
        return [int(c) for c in order]

    def _draw_target(self, index: int) -> FloatArray:
        rng = self._seeds.rng(Use.TRIAL, index)
        intensity = np.exp(INTENSITY_SPREAD * rng.standard_normal())
        appraisal = APPRAISAL_SPREAD * rng.standard_normal(2)
        return intensity * self._centres[self.class_index(index)] + appraisal


def ramp(x: FloatArray) -> FloatArray:
    """Rise smoothly from 0 at x = 0 to 1 at x = 1."""
    return 0.5 - 0.5 * np.cos(np.pi * np.clip(x, 0.0, 1.0))


def fade(times: FloatArray, stop_s: float) -> FloatArray:
    """Fall smoothly from 1 at `stop_s` to 0 at ``FADE_S`` after it."""
    return 1.0 - ramp((times - stop_s) / FADE_S)
