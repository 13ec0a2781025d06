"""SEED, SEED-IV and SEED-V as their owners distribute them: features of 62 EEG channels and of gaze.

The distributed features come from an FFT estimate and range roughly from 10 to 28. They are not on the
scale of the features that the live path computes from microvolts: use them to reproduce published
figures, never for a model that is to run live.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bci_m2s.errors import RecordingError
from bci_m2s.training.datasets.layout import (
    DataSet,
    LabelledTrial,
    OnProblem,
    Place,
    make_trial,
    numbers,
    step_rows,
)
from bci_m2s.training.datasets.matlab import read_mat
from bci_m2s.training.datasets.pickles import read_npz, read_pickle
from bci_m2s.types import FloatArray

N_CHANNELS = 62
BANDS = ("delta", "theta", "alpha", "beta", "gamma")
EEG_FEATURES = N_CHANNELS * len(BANDS)

# SEED: 0 negative, 1 neutral, 2 positive. Seconds of each clip; a step that the clip's end cuts is dropped.
SEED_LABELS = (2, 1, 0, 0, 1, 2, 0, 1, 2, 2, 1, 0, 1, 2, 0)
SEED_SECONDS = (235, 233, 206, 238, 185, 195, 237, 216, 265, 237, 235, 233, 235, 238, 206)
SEED_IV_LABELS = (
    (1, 2, 3, 0, 2, 0, 0, 1, 0, 1, 2, 1, 1, 1, 2, 3, 2, 2, 3, 3, 0, 3, 0, 3),
    (2, 1, 3, 0, 0, 2, 0, 2, 3, 3, 2, 3, 2, 0, 1, 1, 2, 1, 0, 3, 0, 1, 3, 1),
    (1, 2, 2, 1, 3, 3, 3, 1, 1, 2, 1, 0, 2, 3, 3, 0, 2, 3, 0, 0, 2, 0, 1, 0),
)
SEED_IV_FIRST_STEPS = (
    *(42, 23, 49, 32, 22, 40, 38, 52, 36, 42, 12, 27),
    *(54, 42, 64, 35, 17, 44, 35, 12, 28, 28, 43, 34),
)
_SEED_V_LATER = (2, 1, 3, 0, 4, 4, 0, 3, 2, 1, 3, 4, 1, 2, 0)
SEED_V_LABELS = ((4, 1, 3, 2, 0) * 3, _SEED_V_LATER, _SEED_V_LATER)


def mat_eeg(values: Any) -> FloatArray:
    """EEG of a .mat file, (62, W, 5), as channel-major steps (W, 310)."""
    found = numbers(values)
    if found.ndim != 3 or found.shape[::2] != (N_CHANNELS, len(BANDS)) or not found.shape[1]:
        raise RecordingError(f"shape {found.shape}, expected ({N_CHANNELS}, steps, {len(BANDS)})")
    return found.transpose(1, 0, 2).reshape(found.shape[1], EEG_FEATURES)


def mat_eye(values: Any) -> FloatArray:
    """Eye features of a .mat file, (31, W), as steps (W, 31)."""
    return step_rows(numbers(values).T, 31)


def band_dict_eeg(values: Any) -> FloatArray:
    """EEG as {band: (N, 62)}, as channel-major steps (N, 310)."""
    if not isinstance(values, dict) or any(band not in values for band in BANDS):
        raise RecordingError(f"holds {type(values).__name__}, expected a dict with {', '.join(BANDS)}")
    bands = [step_rows(values[band], N_CHANNELS) for band in BANDS]
    if len({len(band) for band in bands}) > 1:
        raise RecordingError("bands differ in their number of steps")
    return np.stack(bands, axis=2).reshape(len(bands[0]), EEG_FEATURES)


def looks_band_major(rows: FloatArray | None) -> bool:
    """Whether columns (W, 310) seem ordered band by band instead of channel by channel.

    Differential entropy differs more between bands than between channels: the order under which the
    bands' means lie further apart is the likely one. No answer is given where values are missing.
    """
    if rows is None or np.isnan(rows).any():
        return False
    means = rows.mean(axis=0)
    channel_major = means.reshape(N_CHANNELS, len(BANDS)).mean(axis=0).var()
    band_major = means.reshape(len(BANDS), N_CHANNELS).mean(axis=1).var()
    return bool(band_major > channel_major)


def _folder(root: Path, needed: str, *above: str) -> Path:
    for inside in ("", *above):
        if (root / inside / needed).is_dir():
            return root / inside
    raise RecordingError(f"{root}: no folder {needed!r}; ROOT is the folder that holds it")


def _known_subjects(places: Iterable[Place], data: DataSet, on_problem: OnProblem) -> Iterator[Place]:
    seen: dict[tuple[int, int], Path] = {}
    for place in sorted(places, key=lambda place: (place.subject, place.session, place.path.name)):
        first = seen.setdefault((place.subject, place.session), place.path)
        if place.subject not in data.subjects:
            on_problem(place.problem(f"subject {place.subject} is not one of {data.name}"))
        elif first != place.path:
            on_problem(place.problem(f"a second file of this session, beside {first.name}"))
        else:
            yield place


def _read_seed_iv(root: Path, feature: str, on_problem: OnProblem) -> Iterator[LabelledTrial]:
    root = _folder(root, "eeg_feature_smooth")
    named = re.compile(r"(\d{1,3})_\d+\.mat")
    places = [
        Place(path, int(match[1]), session)
        for session in (1, 2, 3)
        for path in (root / "eeg_feature_smooth" / str(session)).glob("*.mat")
        if (match := named.fullmatch(path.name))
    ]
    for place in _known_subjects(places, SEED_IV, on_problem):
        labels = SEED_IV_LABELS[place.session - 1]
        eye_path = root / "eye_feature_smooth" / str(place.session) / place.path.name
        eeg = _variables(place, feature, len(labels), on_problem)
        eye = _variables(place._replace(path=eye_path), "eye_", len(labels), on_problem)
        for trial, label in enumerate(labels, 1):
            raw = {
                modality: found[trial] for modality, found in (("eeg", eeg), ("eye", eye)) if trial in found
            }
            expected = SEED_IV_FIRST_STEPS[trial - 1] if place.session == 1 else 0
            arrange = {"eeg": mat_eeg, "eye": mat_eye}
            made = make_trial(place._replace(trial=trial), label, raw, arrange, on_problem, expected)
            if made:
                yield made


def _variables(place: Place, stem: str, trials: int, on_problem: OnProblem) -> dict[int, Any]:
    """Numbered variables of a .mat file by trial; what is missing or damaged is reported."""
    try:
        if not place.path.is_file():
            raise RecordingError("no such file")
        found = read_mat(place.path, [f"{stem}{trial}" for trial in range(1, trials + 1)])
    except RecordingError as problem:
        on_problem(place.problem(problem))
        return {}
    for trial in range(1, trials + 1):
        if f"{stem}{trial}" not in found:
            on_problem(place._replace(trial=trial).problem(f"no variable '{stem}{trial}'"))
    return {trial: found[f"{stem}{trial}"] for trial in range(1, trials + 1) if f"{stem}{trial}" in found}


def _read_seed_v(root: Path, _feature: str, on_problem: OnProblem) -> Iterator[LabelledTrial]:
    root = _folder(root, "EEG_DE_features")
    named = re.compile(r"(\d{1,3})_123\.npz")
    places = [
        Place(path, int(match[1]), 0)
        for path in (root / "EEG_DE_features").glob("*.npz")
        if (match := named.fullmatch(path.name))
    ]
    for place in _known_subjects(places, SEED_V, on_problem):
        eye_place = place._replace(path=root / "Eye_movement_features" / place.path.name)
        eeg = _keyed_trials(place, on_problem)
        eye = _keyed_trials(eye_place, on_problem)
        for key in range(45):
            raw = {modality: found[key] for modality, found in (("eeg", eeg), ("eye", eye)) if key in found}
            where = place._replace(session=key // 15 + 1, trial=key % 15 + 1)
            label = SEED_V_LABELS[key // 15][key % 15]
            arrange = {"eeg": partial(step_rows, n_features=EEG_FEATURES), "eye": _rows_33}
            made = make_trial(where, label, raw, arrange, on_problem)
            if made:
                if looks_band_major(made.steps.get("eeg")):
                    said = "eeg: columns look band-major, expected channel-major"
                    on_problem(where.problem(said, left_out=False))
                yield made


_rows_33 = partial(step_rows, n_features=33)


def _keyed_trials(place: Place, on_problem: OnProblem) -> dict[int, Any]:
    """Trials 0..44 of a SEED-V file whose labels are the known ones; the rest is reported."""
    try:
        found = read_npz(place.path, ("data", "label"))
        data, labels = found["data"], found["label"]
        if not isinstance(data, dict) or not isinstance(labels, dict):
            raise RecordingError(f"{place.path.name}: data and label are not dicts of trials")
    except RecordingError as problem:
        on_problem(place.problem(problem))
        return {}
    good = {}
    for key in range(45):
        where = place._replace(session=key // 15 + 1, trial=key % 15 + 1)
        expected = SEED_V_LABELS[key // 15][key % 15]
        if key not in data or key not in labels:
            on_problem(where.problem(f"no key {key} in {'data' if key not in data else 'label'}"))
        elif _labels_are(labels[key], expected):
            good[key] = data[key]
        else:
            on_problem(where.problem(f"labels are {_shown(labels[key])}, expected {expected}"))
    return good


def _labels_are(values: Any, expected: int) -> bool:
    try:
        found = numbers(values)
    except RecordingError:
        return False
    return bool(found.size and (found == expected).all())


def _shown(values: Any) -> str:
    try:
        return ", ".join(f"{value:g}" for value in np.unique(numbers(values))[:6]) or "none"
    except RecordingError as problem:
        return str(problem)


def _read_seed(root: Path, feature: str, on_problem: OnProblem) -> Iterator[LabelledTrial]:
    features = "02-EEG-DE-feature"
    root = _folder(root, f"{features}/eeg_used_{feature}", "Chinese", "SEED_Multimodal/Chinese")
    named = re.compile(r"(\d{1,3})_([123])\.npz")
    places = [
        Place(path, int(match[1]), int(match[2]))
        for path in (root / features / f"eeg_used_{feature}").glob("*.npz")
        if (match := named.fullmatch(path.name))
    ]
    steps = [int(seconds // SEED.step_s[feature]) for seconds in SEED_SECONDS]
    ends = np.cumsum(steps)
    for place in _known_subjects(places, SEED, on_problem):
        eye_path = root / "04-Eye-tracking-feature" / "eye_tracking_feature" / place.path.stem
        whole = {}
        try:
            whole["eeg"] = _seed_eeg(place.path, steps)
        except RecordingError as problem:
            on_problem(place.problem(problem))
        if place.subject in SEED.with_eye:
            try:
                whole["eye"] = _seed_eye(eye_path, steps)
            except RecordingError as problem:
                on_problem(place._replace(path=eye_path).problem(problem))
        for trial, label in enumerate(SEED_LABELS, 1):
            rows = slice(ends[trial - 1] - steps[trial - 1], ends[trial - 1])
            raw = {modality: values[rows] for modality, values in whole.items()}
            arrange = {"eeg": partial(step_rows, n_features=EEG_FEATURES), "eye": _rows_33}
            made = make_trial(place._replace(trial=trial), label, raw, arrange, on_problem)
            if made:
                yield made


def _seed_eeg(path: Path, steps: list[int]) -> FloatArray:
    """EEG steps of a session; its labels must cut it into the known clips."""
    found = read_npz(path, ("train_data", "test_data", "train_label", "test_label"))
    rows = [band_dict_eeg(found[f"{part}_data"]) for part in ("train", "test")]
    labels = [numbers(found[f"{part}_label"]).ravel() for part in ("train", "test")]
    _check_counts([len(part) for part in rows], steps)
    if not np.array_equal(np.concatenate(labels), np.repeat(SEED_LABELS, steps)):
        raise RecordingError("the labels are not those of the known clips in their order and length")
    return np.concatenate(rows)


def _seed_eye(path: Path, steps: list[int]) -> FloatArray:
    found = read_pickle(path)
    if not isinstance(found, dict) or not {"train_data_eye", "test_data_eye"} <= found.keys():
        raise RecordingError("expected a dict with train_data_eye and test_data_eye")
    rows = [_rows_33(found[f"{part}_data_eye"]) for part in ("train", "test")]
    _check_counts([len(part) for part in rows], steps)
    return np.concatenate(rows)


def _check_counts(found: list[int], steps: list[int]) -> None:
    expected = [sum(steps[: SEED.train_trials]), sum(steps[SEED.train_trials :])]
    if found != expected:
        raise RecordingError(f"{found[0]} + {found[1]} steps, expected {expected[0]} + {expected[1]}")


SEED = DataSet(
    name="seed",
    classes=("negative", "neutral", "positive"),
    subjects=tuple(range(1, 16)),
    with_eye=(1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13, 14),
    labels=(SEED_LABELS,) * 3,
    train_trials=9,
    modalities={"eeg": EEG_FEATURES, "eye": 33},
    step_s={"4s": 4.0, "1s": 1.0},
    read=_read_seed,
)
SEED_IV = DataSet(
    name="seed-iv",
    classes=("neutral", "sad", "fear", "happy"),
    subjects=tuple(range(1, 16)),
    with_eye=tuple(range(1, 16)),
    labels=SEED_IV_LABELS,
    train_trials=16,
    modalities={"eeg": EEG_FEATURES, "eye": 31},
    step_s=dict.fromkeys(("de_LDS", "de_movingAve", "psd_LDS", "psd_movingAve"), 4.0),
    read=_read_seed_iv,
)
SEED_V = DataSet(
    name="seed-v",
    classes=("disgust", "fear", "sad", "neutral", "happy"),
    subjects=tuple(range(1, 17)),
    with_eye=tuple(range(1, 17)),
    labels=SEED_V_LABELS,
    train_trials=10,
    modalities={"eeg": EEG_FEATURES, "eye": 33},
    step_s={"de": 4.0},
    read=_read_seed_v,
)
