"""SEED: three emotions, 15 clips per session; features every 4 s or 1 s, and raw EEG."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from bci_m2s.errors import RecordingError
from bci_m2s.training.datasets.layout import (
    DataSet,
    DistributedTrial,
    OnProblem,
    Origin,
    RawSegment,
    make_trial,
    numbers,
    step_rows,
)
from bci_m2s.training.datasets.seed_layout import (
    EEG_FEATURES,
    band_dict_eeg,
    eye_33,
    find_folder,
    known_subjects,
    named_files,
    raw_session,
)
from bci_m2s.training.formats.matlab import read_mat
from bci_m2s.training.formats.pickles import read_npz, read_pickle
from bci_m2s.types import FloatArray

SUBJECTS = tuple(range(1, 16))
# SEED: 0 negative, 1 neutral, 2 positive. Seconds of each clip; a step that the clip's end cuts is dropped.
SEED_LABELS = (2, 1, 0, 0, 1, 2, 0, 1, 2, 2, 1, 0, 1, 2, 0)
SEED_SECONDS = (235, 233, 206, 238, 185, 195, 237, 216, 265, 237, 235, 233, 235, 238, 206)


def _read_seed(root: Path, feature: str, on_problem: OnProblem) -> Iterator[DistributedTrial]:
    features = "02-EEG-DE-feature"
    root = find_folder(root, f"{features}/eeg_used_{feature}", "Chinese", "SEED_Multimodal/Chinese")
    files = named_files(root / features / f"eeg_used_{feature}", r"(\d{1,3})_([123])\.npz")
    origins = [Origin(path, int(match[1]), int(match[2])) for path, match in files]
    steps = [int(seconds // SEED.step_s[feature]) for seconds in SEED_SECONDS]
    ends = np.cumsum(steps)
    for origin in known_subjects(origins, "seed", SUBJECTS, on_problem):
        eye_path = root / "04-Eye-tracking-feature" / "eye_tracking_feature" / origin.path.stem
        whole = {}
        try:
            whole["eeg"] = _seed_eeg(origin.path, steps)
        except RecordingError as problem:
            on_problem(origin.problem(problem))
        if origin.subject in SEED.with_eye:
            try:
                whole["eye"] = _seed_eye(eye_path, steps)
            except RecordingError as problem:
                on_problem(origin._replace(path=eye_path).problem(problem))
        for trial, label in enumerate(SEED_LABELS, 1):
            rows = slice(ends[trial - 1] - steps[trial - 1], ends[trial - 1])
            raw = {modality: values[rows] for modality, values in whole.items()}
            arrange = {"eeg": partial(step_rows, n_features=EEG_FEATURES), "eye": eye_33}
            trial_origin = origin._replace(trial=trial)
            distributed = make_trial(trial_origin, {"emotion": label}, raw, arrange, on_problem)
            if distributed:
                yield distributed


def _seed_eeg(path: Path, steps: list[int]) -> FloatArray:
    """EEG steps of a session; its labels must be those of the published clips, step by step."""
    arrays = read_npz(path, ("train_data", "test_data", "train_label", "test_label"))
    rows = [band_dict_eeg(arrays[f"{part}_data"]) for part in ("train", "test")]
    labels = [numbers(arrays[f"{part}_label"]).ravel() for part in ("train", "test")]
    _check_counts([len(part) for part in rows], steps)
    if not np.array_equal(np.concatenate(labels), np.repeat(SEED_LABELS, steps)):
        raise RecordingError("the labels are not those of the published clips in their order and length")
    return np.concatenate(rows)


def _seed_eye(path: Path, steps: list[int]) -> FloatArray:
    parts = read_pickle(path)
    if not isinstance(parts, dict) or not {"train_data_eye", "test_data_eye"} <= parts.keys():
        raise RecordingError("expected a dict with train_data_eye and test_data_eye")
    rows = [eye_33(parts[f"{part}_data_eye"]) for part in ("train", "test")]
    _check_counts([len(part) for part in rows], steps)
    return np.concatenate(rows)


def _check_counts(got: list[int], steps: list[int]) -> None:
    expected = [sum(steps[: SEED.train_trials]), sum(steps[SEED.train_trials :])]
    if got != expected:
        raise RecordingError(f"{got[0]} + {got[1]} steps, expected {expected[0]} + {expected[1]}")


def _read_raw(root: Path, on_problem: OnProblem) -> Iterator[list[RawSegment]]:
    """Sessions are numbered by their dates."""
    root = find_folder(root, "Preprocessed_EEG")
    _check_labels(root / "Preprocessed_EEG" / "label.mat")
    files = named_files(root / "Preprocessed_EEG", r"(\d{1,3})_(\d{8})\.mat")
    dated = sorted((int(match[1]), match[2], path) for path, match in files)
    origins = [
        Origin(path, subject, 1 + sum(other == subject and earlier < date for other, earlier, _ in dated))
        for subject, date, path in dated
    ]
    for origin in known_subjects(origins, "seed", SUBJECTS, on_problem):
        if int(origin.session) > 3:
            on_problem(origin.problem("a fourth session, SEED has three"))
        elif segments := raw_session(origin, SEED_LABELS, on_problem):
            yield segments


def _check_labels(path: Path) -> None:
    """Raises RecordingError when the copy's own labels, −1 to 1, are there and not the published ones."""
    if not path.is_file():
        return
    try:
        labels = numbers(read_mat(path, ["label"]).get("label")).ravel()
        if not np.array_equal(labels, np.array(SEED_LABELS) - 1):
            raise RecordingError(f"labels are {labels.tolist()}, expected those of the published clips")
    except RecordingError as problem:
        raise RecordingError(f"{path}: {problem}") from None


SEED = DataSet(
    name="seed",
    heads={"emotion": ("negative", "neutral", "positive")},
    subjects=SUBJECTS,
    with_eye=(1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13, 14),
    labels=(SEED_LABELS,) * 3,
    train_trials=9,
    modalities={"eeg": EEG_FEATURES, "eye": 33},
    step_s={"4s": 4.0, "1s": 1.0},
    read=_read_seed,
    read_raw=_read_raw,
    is_quick=False,
    stimulus=lambda _session, trial: f"clip {trial}",
)
