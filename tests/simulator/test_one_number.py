"""No single number stands for the state: the best one of many is far from a model of them all.

Windows of five 1-s steps of 62 channels, each person relative to a rest of 20 s, two thirds of the people
train and one third test in turn. A number's guess is the class whose mean in training people is nearest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from bci_m2s.simulator import SimulatedSession, SimulatorSettings

pytestmark = pytest.mark.nightly

PEOPLE, FOLDS, STEPS, STRENGTH = 24, 3, 5, 0.003
RATE_HZ, REST_S, TRIAL_S, PAUSE_S, N_TRIALS = 250, 20, 20, 2, 12
BANDS_HZ = ((1, 4), (4, 8), (8, 14), (14, 31), (31, 50), (60, 100))
ABOVE = len(BANDS_HZ) - 1  # no cortex there that would know the state
SETTINGS = SimulatorSettings(
    eeg_rate_hz=RATE_HZ, rest_s=REST_S, trial_s=TRIAL_S, pause_s=PAUSE_S, n_trials=N_TRIALS
)
Array = NDArray[np.float64]
Labels = NDArray[np.int64]
Guess = Callable[[Array, Labels, Array], NDArray[np.int64]]  # training rows and classes, test rows


@dataclass(frozen=True)
class Data:
    """Log power (people, windows, channels, bands), classes (people, windows) and the channels' labels."""

    power: Array
    classes: Labels
    labels: tuple[str, ...]


def _person(subject: int) -> tuple[Array, Labels]:
    session = SimulatedSession(SETTINGS, subject)
    eeg = session.eeg(0, int(SETTINGS.duration_s) * RATE_HZ).astype(np.float64)
    seconds = eeg.reshape(-1, RATE_HZ, eeg.shape[1]) * np.hanning(RATE_HZ)[:, None]
    density = np.abs(np.fft.rfft(seconds, axis=1)) ** 2
    power = np.log(np.stack([density[:, low:high].sum(axis=1) for low, high in BANDS_HZ], axis=-1))
    power -= power[2:REST_S].mean(axis=0)
    trials = power[REST_S:].reshape(N_TRIALS, TRIAL_S + PAUSE_S, *power.shape[1:])
    begins = range(2, TRIAL_S - STEPS, 2)
    windows = np.stack([trials[:, k : k + STEPS].mean(axis=1) for k in begins], axis=1)
    classes = np.array([SETTINGS.classes.index(trial.label) for trial in session.trials])
    return windows.reshape(-1, *windows.shape[2:]), np.repeat(classes, len(begins))


@pytest.fixture(scope="module")
def data() -> Data:
    power, classes = zip(*(_person(subject) for subject in range(PEOPLE)), strict=True)
    return Data(np.array(power), np.array(classes), SimulatedSession(SETTINGS).eeg_info.labels)


def _means(rows: Array, classes: Labels) -> Array:
    return np.array([rows[classes == c].mean(axis=0) for c in range(3)])


def nearest(train: Array, classes: Labels, test: Array) -> NDArray[np.int64]:
    """Of each number by itself, (n, K) → (n, K)."""
    return np.abs(test[:, None] - _means(train, classes)).argmin(axis=1)


def regression(train: Array, classes: Labels, test: Array) -> NDArray[np.int64]:
    """Of all numbers together, (n, K) → (n, 1)."""
    mean, spread = train.mean(axis=0), train.std(axis=0)
    model = LogisticRegression(C=STRENGTH, max_iter=300, tol=1e-3).fit((train - mean) / spread, classes)
    return np.asarray(model.predict((test - mean) / spread))[:, None]


def accuracy(guess: Guess, rows: Array, classes: Labels) -> Array:
    """Balanced accuracy on people who did not train, mean over them, of each of the guess's columns."""
    scores = []
    for fold in range(FOLDS):
        tests = np.arange(len(rows)) % FOLDS == fold
        train = rows[~tests].reshape(-1, rows.shape[-1]), classes[~tests].ravel()
        for own, truth in zip(rows[tests], classes[tests], strict=True):
            right = guess(*train, own) == truth[:, None]
            scores.append(np.mean([right[truth == c].mean(axis=0) for c in np.unique(truth)], axis=0))
    return np.mean(scores, axis=0)


def test_no_number_comes_near_a_model_of_all(data: Data) -> None:
    """The best of 372, chosen on the very people who test, has less than half of the gain over chance."""
    alone = accuracy(nearest, data.power.reshape(*data.classes.shape, -1), data.classes)
    below = data.power[..., :ABOVE].reshape(*data.classes.shape, -1)
    (together,) = accuracy(regression, below, data.classes)
    best = int(alone.argmax())
    channel, band = divmod(best, len(BANDS_HZ))
    print(f"{data.labels[channel]} {BANDS_HZ[band]} Hz {alone[best]:.3f}, all {together:.3f}")
    assert together > 0.55
    assert alone[best] - 1 / 3 < 0.5 * (together - 1 / 3)


def test_the_temples_level_does_not_tell_the_class(data: Data) -> None:
    """Above 60 Hz it is chance; the gamma band there has less than half of the gain."""
    temples = data.power[:, :, [data.labels.index("T7"), data.labels.index("T8")]].mean(axis=2)
    levels = accuracy(nearest, temples, data.classes)
    print({band: round(float(level), 3) for band, level in zip(BANDS_HZ, levels, strict=True)})
    assert abs(levels[ABOVE] - 1 / 3) < 0.04
    assert levels.max() < 0.48
