"""Trials that somebody presents while the simulated person watches, instead of a schedule of its own."""

from __future__ import annotations

import math
import threading

import numpy as np

from bci_m2s.errors import ConfigurationError, nearest
from bci_m2s.simulator.markers import MarkedTrial
from bci_m2s.simulator.noise import Seeds
from bci_m2s.simulator.settings import SimulatorSettings
from bci_m2s.simulator.state import FADE_S, ONSET_S, Schedule, Target, fade, ramp
from bci_m2s.types import FloatArray


class PresentedSchedule(Schedule):
    """A schedule without trials until ``begin`` and ``end`` say that one is shown; any thread.

    Signals are made a second ahead at most, so that the state follows a trial up to a second late.
    """

    def __init__(self, settings: SimulatorSettings, seeds: Seeds) -> None:
        super().__init__(settings, seeds)
        self._lock = threading.Lock()  # guards the trials
        self._presented: list[MarkedTrial] = []

    def begin(self, at_s: float, label: str) -> None:
        """A trial is shown from a moment on, s since the session began.

        Raises ConfigurationError for a class that the person does not know.
        """
        if label not in self.settings.classes:
            raise ConfigurationError(
                f"simulated person: class: got {label!r}{nearest(label, self.settings.classes)}"
            )
        with self._lock:
            self._presented.append(MarkedTrial(at_s, math.inf, label))

    def end(self, at_s: float) -> None:
        """The trial that is shown ends; harmless when none is."""
        with self._lock:
            if self._presented and math.isinf(self._presented[-1].stop_s):
                self._presented[-1] = self._presented[-1]._replace(stop_s=at_s)

    def felt(self, index: int) -> FloatArray:
        """Valence and arousal of presented trial `index`, from 0, about -1 to 1: (2,)."""
        return self._target(index)

    def trial(self, index: int) -> MarkedTrial:
        """Presented trial `index`, from 0; an unfinished one ends at infinity. Raises IndexError."""
        with self._lock:
            if not 0 <= index < len(self._presented):
                raise IndexError(f"trial {index} of {len(self._presented)}")
            return self._presented[index]

    def class_index(self, index: int) -> int:
        """Class of presented trial `index` as a number."""
        return self.settings.classes.index(self.trial(index).label)

    def pull(self, times: FloatArray, target: Target, width: int) -> FloatArray:
        """Values that follow the trials, (n, width); see ``Schedule.pull``."""
        times = np.asarray(times, dtype=np.float64)
        out = np.zeros((len(times), width))
        if not len(times):
            return out
        with self._lock:
            trials = list(enumerate(self._presented))
        for index, trial in trials:
            if trial.start_s < times.max() and trial.stop_s + FADE_S > times.min():
                here = ramp((times - trial.start_s) / ONSET_S) * fade(times, trial.stop_s)
                out += here[:, None] * target(index)
        return out
