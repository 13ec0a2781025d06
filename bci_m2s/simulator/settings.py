"""What a simulated recording is asked to be."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bci_m2s.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class SimulatorSettings:
    """Settings of the simulator. Equal settings, subject and session give equal samples.

    montage : "seed-62", "muse", a montage name that mne knows, or a tuple of channel labels
    eeg_rate_hz, eye_rate_hz : sampling rates, Hz; EEG 64 to 20000, eyes 20 to 4000
    classes : one label a class; a session shows them in balanced random order
    rest_s : resting state before the first trial, s; 0 for none
    trial_s, pause_s : length of a trial (at least 2 s) and of the pause after it, s
    n_trials : trials in the session; None or 0 for an endless session
    effect : strength of the state in both signals; 1.0 is the calibrated difficulty, 0.0 removes it
    artefacts : scale of blinks, eye movement and muscle in the EEG; 1.0 is realistic, 0.0 removes them
    line_hz : mains frequency, Hz; 0 for none
    seed : picks the population that subjects come from

    Raises ConfigurationError for a value outside its range.
    """

    montage: str | tuple[str, ...] = "seed-62"
    eeg_rate_hz: float = 1000.0
    eye_rate_hz: float = 120.0
    classes: tuple[str, ...] = ("negative", "neutral", "positive")
    rest_s: float = 16.0
    trial_s: float = 10.0
    pause_s: float = 2.0
    n_trials: int | None = None
    effect: float = 1.0
    artefacts: float = 1.0
    line_hz: float = 50.0
    seed: int = 0

    def __post_init__(self) -> None:
        _within("eeg_rate_hz", self.eeg_rate_hz, 64.0, 20_000.0)
        _within("eye_rate_hz", self.eye_rate_hz, 20.0, 4_000.0)
        _within("rest_s", self.rest_s, 0.0, 86_400.0)
        _within("trial_s", self.trial_s, 2.0, 86_400.0)
        _within("pause_s", self.pause_s, 0.0, 86_400.0)
        _within("n_trials", self.n_trials or 0, 0, 1_000_000)
        _within("effect", self.effect, 0.0, 10.0)
        _within("artefacts", self.artefacts, 0.0, 10.0)
        _within("line_hz", self.line_hz, 0.0, 400.0)
        _within("seed", self.seed, 0, 2**31 - 1)
        _distinct("classes", self.classes)
        if not isinstance(self.montage, str):
            _distinct("montage", self.montage)

    @property
    def duration_s(self) -> float:
        """Length of a session, s; infinite when endless."""
        if not self.n_trials:
            return math.inf
        return self.rest_s + self.n_trials * (self.trial_s + self.pause_s)


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ConfigurationError(f"simulator: {name}: got {value}, expected {low:g} to {high:g}")


def _distinct(name: str, labels: tuple[str, ...]) -> None:
    if isinstance(labels, str) or not labels:
        raise ConfigurationError(f"simulator: {name}: got {labels!r}, expected at least one label")
    folded = [str(label).casefold() for label in labels]
    repeated = sorted({label for label in labels if folded.count(str(label).casefold()) > 1})
    if repeated:
        raise ConfigurationError(f"simulator: {name}: {repeated[0]!r} occurs more than once")
