"""SEED-V: five emotions, 15 clips per session; features every 4 s, in pickles."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bci_m2s.errors import RecordingError
from bci_m2s.training.datasets.layout import (
    DataSet,
    DistributedTrial,
    OnProblem,
    Origin,
    make_trial,
    numbers,
    step_rows,
)
from bci_m2s.training.datasets.seed_layout import (
    EEG_FEATURES,
    eye_33,
    find_folder,
    known_subjects,
    looks_band_major,
    named_files,
)
from bci_m2s.training.formats.pickles import read_npz

SUBJECTS = tuple(range(1, 17))
_SEED_V_LATER = (2, 1, 3, 0, 4, 4, 0, 3, 2, 1, 3, 4, 1, 2, 0)
SEED_V_LABELS = ((4, 1, 3, 2, 0) * 3, _SEED_V_LATER, _SEED_V_LATER)


def _read_seed_v(root: Path, _feature: str, on_problem: OnProblem) -> Iterator[DistributedTrial]:
    root = find_folder(root, "EEG_DE_features")
    files = named_files(root / "EEG_DE_features", r"(\d{1,3})_123\.npz")
    origins = [Origin(path, int(match[1]), 0) for path, match in files]
    for origin in known_subjects(origins, "seed-v", SUBJECTS, on_problem):
        eye_origin = origin._replace(path=root / "Eye_movement_features" / origin.path.name)
        eeg = _keyed_trials(origin, on_problem)
        eye = _keyed_trials(eye_origin, on_problem)
        for key in range(45):
            raw = {name: trials[key] for name, trials in (("eeg", eeg), ("eye", eye)) if key in trials}
            trial_origin = origin._replace(session=key // 15 + 1, trial=key % 15 + 1)
            label = SEED_V_LABELS[key // 15][key % 15]
            arrange = {"eeg": partial(step_rows, n_features=EEG_FEATURES), "eye": eye_33}
            distributed = make_trial(trial_origin, {"emotion": label}, raw, arrange, on_problem)
            if distributed:
                if looks_band_major(distributed.steps.get("eeg")):
                    text = "eeg: columns look band-major, expected channel-major"
                    on_problem(trial_origin.problem(text, left_out=False))
                yield distributed


def _keyed_trials(origin: Origin, on_problem: OnProblem) -> dict[int, Any]:
    """Trials 0..44 of a SEED-V file whose labels are the published ones; the others are reported."""
    try:
        arrays = read_npz(origin.path, ("data", "label"))
        data, labels = arrays["data"], arrays["label"]
        if not isinstance(data, dict) or not isinstance(labels, dict):
            raise RecordingError(f"{origin.path.name}: data and label are not dicts of trials")
    except RecordingError as problem:
        on_problem(origin.problem(problem))
        return {}
    good = {}
    for key in range(45):
        trial_origin = origin._replace(session=key // 15 + 1, trial=key % 15 + 1)
        expected = SEED_V_LABELS[key // 15][key % 15]
        if key not in data or key not in labels:
            on_problem(trial_origin.problem(f"no key {key} in {'data' if key not in data else 'label'}"))
        elif _labels_are(labels[key], expected):
            good[key] = data[key]
        else:
            on_problem(trial_origin.problem(f"labels are {_shown(labels[key])}, expected {expected}"))
    return good


def _labels_are(values: Any, expected: int) -> bool:
    try:
        labels = numbers(values)
    except RecordingError:
        return False
    return bool(labels.size and (labels == expected).all())


def _shown(values: Any) -> str:
    try:
        return ", ".join(f"{value:g}" for value in np.unique(numbers(values))[:6]) or "none"
    except RecordingError as problem:
        return str(problem)


SEED_V = DataSet(
    name="seed-v",
    heads={"emotion": ("disgust", "fear", "sad", "neutral", "happy")},
    subjects=SUBJECTS,
    with_eye=SUBJECTS,
    labels=SEED_V_LABELS,
    train_trials=10,
    modalities={"eeg": EEG_FEATURES, "eye": 33},
    step_s={"de": 4.0},
    read=_read_seed_v,
    is_quick=False,
    stimulus=lambda session, trial: f"clip {session}.{trial}",  # every session has clips of its own
)
