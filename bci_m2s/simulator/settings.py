"""What a simulated recording is asked to be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from bci_m2s.errors import ConfigurationError

ORDERS = ("random", "balanced")


@dataclass(frozen=True, slots=True)
class SimulatorSettings:
    """Settings of the simulator. Equal settings, subject and session give equal samples.

    Raises ConfigurationError for a value outside its range.
    """

    montage: str | tuple[str, ...] = "seed-62"
    """A name that `bci-m2s montages` lists, that of a montage of mne, or a list of channel labels."""
    eeg_rate_hz: float = 1000.0
    """Sampling rate of the EEG, 64 to 20000."""
    eye_rate_hz: float = 120.0
    """Sampling rate of the eye tracker, 20 to 4000."""
    skin_rate_hz: float = 32.0
    """Sampling rate of the skin conductance, 8 to 1000."""
    classes: tuple[str, ...] = ("negative", "neutral", "positive")
    """One label per class."""
    order: Literal["random", "balanced"] = "random"
    """random: each trial's class is drawn anew, so that nothing before a trial tells it. balanced: each
    class once in every run of as many trials as there are classes, so that those before tell something."""
    rest_s: float = 16.0
    """Resting state before the first trial; 0 for none."""
    trial_s: float = 10.0
    """Length of a trial, at least 2."""
    pause_s: float = 2.0
    """Pause after each trial."""
    n_trials: int | None = None
    """Trials in the session; none or 0 for an endless session."""
    effect: float = 1.0
    """Strength of the state in both signals, 0 to 10; 1 is the calibrated difficulty, 0 removes it."""
    artefacts: float = 1.0
    """Scale of blinks, eye movement and muscle in the EEG, 0 to 10; 1 is realistic."""
    line_hz: float = 50.0
    """Mains frequency; 0 for none."""
    seed: int = 0
    """Selects the population from which subjects come."""

    def __post_init__(self) -> None:
        _within("eeg_rate_hz", self.eeg_rate_hz, 64.0, 20_000.0)
        _within("eye_rate_hz", self.eye_rate_hz, 20.0, 4_000.0)
        _within("skin_rate_hz", self.skin_rate_hz, 8.0, 1_000.0)
        _within("rest_s", self.rest_s, 0.0, 86_400.0)
        _within("trial_s", self.trial_s, 2.0, 86_400.0)
        _within("pause_s", self.pause_s, 0.0, 86_400.0)
        _within("n_trials", self.n_trials or 0, 0, 1_000_000)
        _within("effect", self.effect, 0.0, 10.0)
        _within("artefacts", self.artefacts, 0.0, 10.0)
        _within("line_hz", self.line_hz, 0.0, 400.0)
        _within("seed", self.seed, 0, 2**31 - 1)
        _distinct("classes", self.classes)
        if self.order not in ORDERS:
            raise ConfigurationError(
                f"simulator: order: got {self.order!r}, expected {' or '.join(ORDERS)}"
            )
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
