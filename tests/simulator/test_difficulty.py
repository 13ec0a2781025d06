"""How hard the simulated data are: bounds for a linear model, at a small scale.

Three people with 27 trials of 16 s at 128 Hz, one random split into 18 and 9 trials of balanced
classes, windows of five 1-s steps, logistic regression. With more trials and channels the figures
rise a little; these bounds only hold the difficulty in place.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score

from bci_m2s.simulator import SimulatedSession, SimulatorSettings
from bci_m2s.simulator.gaze import SCREEN_DEG

pytestmark = pytest.mark.nightly

EEG_HZ, EYE_HZ = 128, 120
REST_S, TRIAL_S, PAUSE_S, N_TRIALS = 20, 16, 2, 27
STEPS = 5
BANDS_HZ = ((1, 4), (4, 8), (8, 14), (14, 31), (31, 50))
SPLITS = 3  # of the trials, for each person
FEW = SimulatorSettings(
    eeg_rate_hz=EEG_HZ,
    eye_rate_hz=EYE_HZ,
    rest_s=REST_S,
    trial_s=TRIAL_S,
    pause_s=PAUSE_S,
    n_trials=N_TRIALS,
)
Array = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass
class Person:
    """Step features (steps, F) of each modality, and the class of each trial."""

    eeg: Array
    eye: Array
    classes: Labels


def _differential_entropy(x: NDArray[np.float32]) -> Array:
    """½ ln(2πe σ²) by Parseval's theorem over a Hann taper, one second at a time: (steps, C·5)."""
    seconds = x.reshape(-1, EEG_HZ, x.shape[1]).astype(np.float64)
    taper = np.hanning(EEG_HZ)[:, None]
    power = np.abs(np.fft.rfft(seconds * taper, axis=1)) ** 2 / (EEG_HZ * np.sum(taper**2)) * 2.0
    variance = np.stack([power[:, low:high].sum(axis=1) for low, high in BANDS_HZ], axis=2)
    return 0.5 * np.log(2.0 * np.pi * np.e * variance).reshape(len(seconds), -1)


def _eye_features(eye: NDArray[np.float32]) -> Array:
    """Eight rough values a second: pupil, track loss, spread of gaze, speed."""
    eye = eye.astype(np.float64)
    gaze, pupil = eye[:, :2] * np.array(SCREEN_DEG), eye[:, 2:4].mean(axis=1)
    speed = np.full(len(eye), np.nan)
    speed[2:] = np.linalg.norm(gaze[2:] - gaze[:-2], axis=1) * EYE_HZ / 2.0
    rows = []
    for start in range(0, len(eye), EYE_HZ):
        seen = slice(start, start + EYE_HZ)
        g = gaze[seen][~np.isnan(gaze[seen, 0])]
        if len(g) < 20:
            rows.append([np.nan] * 8)
            continue
        fast = speed[seen] > 60.0
        spread = np.log(g.std(axis=0) + 0.1)
        width = np.log(np.ptp(g, axis=0).sum() + 0.1)
        starts = np.sum(np.diff(fast.astype(np.int8)) == 1)
        p = pupil[seen]
        rows.append([np.nanmean(p), np.nanstd(p), 1 - len(g) / EYE_HZ, *spread, width, starts, fast.mean()])
    features = np.array(rows)
    return np.where(np.isnan(features), np.nanmean(features, axis=0), features)


def _person(settings: SimulatorSettings, subject: int, with_eyes: bool = True) -> Person:
    session = SimulatedSession(settings, subject)
    length_s = int(session.settings.duration_s)
    return Person(
        _differential_entropy(session.eeg(0, length_s * EEG_HZ)),
        _eye_features(session.eye(0, length_s * EYE_HZ)) if with_eyes else np.empty((0, 8)),
        np.array([session.settings.classes.index(t.label) for t in session.trials]),
    )


def _windows(steps: Array) -> Array:
    """Windows of five steps inside trials: (trials, windows, 5·F), steps of the baseline normalised."""
    rest = steps[2:REST_S]
    scaled = (steps - rest.mean(axis=0)) / (rest.std(axis=0) + 1e-9)
    trials = scaled[REST_S:].reshape(N_TRIALS, TRIAL_S + PAUSE_S, -1)[:, :TRIAL_S]
    return np.stack([trials[:, k : k + STEPS].mean(axis=1) for k in range(TRIAL_S - STEPS + 1)], axis=1)


def _score(
    train: Array, train_classes: Labels, test: Array, test_classes: Labels, strength: float
) -> float:
    """Balanced accuracy over windows of a model fitted to other trials."""
    x, y = train.reshape(-1, train.shape[2]), np.repeat(train_classes, train.shape[1])
    mean, std = x.mean(axis=0), x.std(axis=0) + 1e-9
    model = LogisticRegression(C=strength, max_iter=1000, tol=1e-3).fit((x - mean) / std, y)
    predicted = model.predict((test.reshape(-1, test.shape[2]) - mean) / std)
    return float(balanced_accuracy_score(np.repeat(test_classes, test.shape[1]), predicted))


def _within(people: list[Person], modality: str, shuffled: bool = False) -> float:
    """Mean over people and splits of 18 trials for training and 9 for testing, three a class."""
    rng = np.random.default_rng(0)
    scores = []
    for person in people:
        windows = _windows(getattr(person, modality))
        for _ in range(SPLITS * (3 if shuffled else 1)):
            classes = rng.permutation(person.classes) if shuffled else person.classes
            held = np.concatenate(
                [rng.choice(np.flatnonzero(classes == c), 3, replace=False) for c in range(3)]
            )
            kept = np.setdiff1d(np.arange(N_TRIALS), held)
            strength = 0.003 if modality == "eeg" else 0.1
            scores.append(_score(windows[kept], classes[kept], windows[held], classes[held], strength))
    return float(np.mean(scores))


@pytest.fixture(scope="module")
def people() -> list[Person]:
    """Three people of the default population."""
    return [_person(FEW, subject) for subject in range(3)]


@pytest.mark.parametrize(("modality", "low", "high"), [("eeg", 0.62, 0.93), ("eye", 0.52, 0.85)])
def test_within_a_person(people: list[Person], modality: str, low: float, high: float) -> None:
    """Neither hopeless nor trivial from either sensor."""
    score = _within(people, modality)
    print(f"{modality}: {score:.3f}")
    assert low < score < high


@pytest.mark.parametrize("modality", ["eeg", "eye"])
def test_shuffled_labels_give_chance(people: list[Person], modality: str) -> None:
    """Nothing but the trial's class carries over between trials."""
    score = _within(people, modality, shuffled=True)
    print(f"{modality} shuffled: {score:.3f}")
    assert abs(score - 1.0 / 3.0) < 0.08


def test_an_unseen_person(people: list[Person]) -> None:
    """A model of two people does better than chance on the third, by their own resting baseline."""
    scores = []
    for k, person in enumerate(people):
        others = [p for i, p in enumerate(people) if i != k]
        train = np.concatenate([_windows(p.eeg) for p in others])
        classes = np.concatenate([p.classes for p in others])
        scores.append(_score(train, classes, _windows(person.eeg), person.classes, 0.003))
    print(f"unseen: {np.mean(scores):.3f}")
    assert np.mean(scores) > 0.42


def test_not_driven_by_one_artefact(people: list[Person]) -> None:
    """Without delta and without the channels nearest to the eyes as much is learnt, within a tenth."""
    frontal = 14  # FP1 ... F8 come first
    parts = [p.eeg.reshape(len(p.eeg), 62, 5)[:, frontal:, 1:].reshape(len(p.eeg), -1) for p in people]
    rest = [Person(part, p.eye, p.classes) for part, p in zip(parts, people, strict=True)]
    assert _within(rest, "eeg") > _within(people, "eeg") - 0.1


def test_four_electrodes_are_enough_to_learn_from() -> None:
    """The headband's montage: well above chance within a person."""
    settings = replace(FEW, montage="muse")
    score = _within([_person(settings, subject, with_eyes=False) for subject in range(4)], "eeg")
    print(f"muse: {score:.3f}")
    assert 0.43 < score < 0.85
