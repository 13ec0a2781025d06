"""Small copies of the data sets that shipped studies take: their owners' layouts, made-up values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bci_m2s.training.datasets import deap as deap_files
from bci_m2s.training.datasets.seed_iv import SEED_IV_LABELS
from bci_m2s.training.datasets.seed_v import SEED_V_LABELS
from support.body_signals import beat_times, ecg_of
from support.dataset_files import save_mat, write_seed, write_seed_v
from support.event_files import write_events
from support.raw_files import (
    EEGMAT_LABELS,
    cell,
    deap_values,
    dreamer_person,
    edf,
    eegmat_values,
    write_deap,
    write_dreamer,
)
from support.stress_files import write_stress_predict

PEOPLE = (1, 2, 3, 4, 5, 8)  # in SEED all with eye data
SHORT_S = (130, 70, 70, 70, 70, 70, 70)  # Stress-Predict's stretches


def seed(root: Path) -> None:
    for subject in PEOPLE:
        write_seed(root / "Chinese", subject)


def seed_iv(root: Path) -> None:
    """The second session of each, eight steps a trial, noise around the label."""
    rng, labels = np.random.default_rng(0), SEED_IV_LABELS[1]
    for subject in PEOPLE:
        for part, stem, shape in (("eeg", "de_LDS", (62, 8, 5)), ("eye", "eye_", (31, 8))):
            trials = {f"{stem}{n}": label + rng.normal(size=shape) for n, label in enumerate(labels, 1)}
            save_mat(root / f"{part}_feature_smooth" / "2" / f"{subject}_20150915.mat", trials)


def seed_v(root: Path) -> None:
    """Eight steps a trial, noise around the label."""
    rng = np.random.default_rng(0)
    labels = np.concatenate(SEED_V_LABELS)
    for subject in PEOPLE:
        eeg, eye = (
            {key: label + rng.normal(size=(8, n)) for key, label in enumerate(labels)} for n in (310, 33)
        )
        write_seed_v(root, subject, eeg, eye, {key: np.full(8, label) for key, label in enumerate(labels)})


def deap(root: Path) -> None:
    """People who rate alike clips differently."""
    data, ratings = deap_values()
    for subject in PEOPLE:
        write_deap(root, subject, {"data": data, "labels": np.roll(ratings, subject, axis=0)})


def deap_signals(root: Path, trials: int) -> None:
    """One person with signals of which every feature can be computed; `trials` of the usual length."""
    rng, rate_hz, n = np.random.default_rng(0), deap_files.RATE_HZ, deap_files.N_SAMPLES
    high = np.arange(trials) % 2
    data = rng.normal(size=(trials, deap_files.N_CHANNELS, n)).astype(np.float32)
    data[:, :32] *= 10 * (1 + high[:, None, None])
    times = np.arange(n) / rate_hz
    data[:, 37] = np.sin(2 * np.pi * 0.25 * times)  # breath
    data[:, 38] = np.exp(-40 * (times * 1.25 % 1.0 - 0.3) ** 2)  # pulse
    data[:, 36] = 5 + np.cumsum(data[:, 36], axis=1) / 1000  # skin conductance
    ratings = np.repeat(2.0 + 6.0 * high[:, None], 4, axis=1)
    write_deap(root, 1, {"data": data, "labels": ratings})


def dreamer_signals(root: Path, trials: int) -> None:
    """One person with EEG and ECG of which every feature can be computed; clips of 40 s, rest of 45 s."""
    rng = np.random.default_rng(0)
    person = dreamer_person(1)
    for name in ("ScoreValence", "ScoreArousal", "ScoreDominance"):
        person[name] = 2 + 2 * (np.arange(trials)[:, None] % 2)
    eeg: dict[str, list[Any]] = {"baseline": [], "stimuli": []}
    ecg: dict[str, list[Any]] = {"baseline": [], "stimuli": []}
    for trial in range(trials):
        for part, seconds in (("baseline", 45), ("stimuli", 40)):
            size = 10 * (1 + trial % 2)
            eeg[part].append(4000 + size * rng.normal(size=(seconds * 128, 14)))
            beats = ecg_of(beat_times(seconds, seed=trial), seconds, 256.0, noise=0.02, seed=trial)
            ecg[part].append(np.stack([beats, beats], axis=1))
    person["EEG"] = {part: cell(values) for part, values in eeg.items()}
    person["ECG"] = {part: cell(values) for part, values in ecg.items()}
    write_dreamer(root, [person])


def dreamer(root: Path) -> None:
    write_dreamer(root, [dreamer_person(subject) for subject in PEOPLE])


def eegmat(root: Path) -> None:
    root.mkdir(parents=True)
    for subject in range(8):
        for part, seconds in ((1, 140), (2, 40)):
            content = edf(EEGMAT_LABELS, eegmat_values(seconds, part, 200), 200)
            (root / f"Subject{subject:02d}_{part}.edf").write_bytes(content)


def stress_predict(root: Path) -> None:
    write_stress_predict(root, range(2, 10), SHORT_S, quick=True)


def brain_body_behaviour(root: Path) -> None:
    write_events(root, range(1, 9))


WRITERS: dict[str, Callable[[Path], None]] = {
    "seed": seed,
    "seed-iv": seed_iv,
    "seed-v": seed_v,
    "deap": deap,
    "dreamer": dreamer,
    "eegmat": eegmat,
    "stress-predict": stress_predict,
    "brain-body-behaviour": brain_body_behaviour,
}
