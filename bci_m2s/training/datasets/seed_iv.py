"""SEED-IV: four emotions, 24 clips per session; features every 4 s, and raw EEG."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bci_m2s.errors import RecordingError
from bci_m2s.training.datasets.layout import (
    DataSet,
    DistributedTrial,
    OnProblem,
    Origin,
    RawSegment,
    make_trial,
)
from bci_m2s.training.datasets.seed_layout import (
    EEG_FEATURES,
    find_folder,
    known_subjects,
    mat_eeg,
    mat_eye,
    named_files,
    raw_session,
)
from bci_m2s.training.formats.matlab import read_mat

SUBJECTS = tuple(range(1, 16))
SEED_IV_LABELS = (
    (1, 2, 3, 0, 2, 0, 0, 1, 0, 1, 2, 1, 1, 1, 2, 3, 2, 2, 3, 3, 0, 3, 0, 3),
    (2, 1, 3, 0, 0, 2, 0, 2, 3, 3, 2, 3, 2, 0, 1, 1, 2, 1, 0, 3, 0, 1, 3, 1),
    (1, 2, 2, 1, 3, 3, 3, 1, 1, 2, 1, 0, 2, 3, 3, 0, 2, 3, 0, 0, 2, 0, 1, 0),
)
SEED_IV_FIRST_STEPS = (
    *(42, 23, 49, 32, 22, 40, 38, 52, 36, 42, 12, 27),
    *(54, 42, 64, 35, 17, 44, 35, 12, 28, 28, 43, 34),
)


def _read_seed_iv(root: Path, feature: str, on_problem: OnProblem) -> Iterator[DistributedTrial]:
    root = find_folder(root, "eeg_feature_smooth")
    origins = _origins(root, "eeg_feature_smooth")
    for origin in known_subjects(origins, "seed-iv", SUBJECTS, on_problem):
        labels = SEED_IV_LABELS[origin.session - 1]
        eye_path = root / "eye_feature_smooth" / str(origin.session) / origin.path.name
        eeg = _variables(origin, feature, len(labels), on_problem)
        eye = _variables(origin._replace(path=eye_path), "eye_", len(labels), on_problem)
        for trial, label in enumerate(labels, 1):
            raw = {name: trials[trial] for name, trials in (("eeg", eeg), ("eye", eye)) if trial in trials}
            expected = SEED_IV_FIRST_STEPS[trial - 1] if origin.session == 1 else 0
            arrange = {"eeg": mat_eeg, "eye": mat_eye}
            distributed = make_trial(
                origin._replace(trial=trial), {"emotion": label}, raw, arrange, on_problem, expected
            )
            if distributed:
                yield distributed


def _variables(origin: Origin, stem: str, trials: int, on_problem: OnProblem) -> dict[int, Any]:
    """Numbered variables of a .mat file by trial; what is missing or damaged is reported."""
    try:
        if not origin.path.is_file():
            raise RecordingError("no such file")
        variables = read_mat(origin.path, [f"{stem}{trial}" for trial in range(1, trials + 1)])
    except RecordingError as problem:
        on_problem(origin.problem(problem))
        return {}
    for trial in range(1, trials + 1):
        if f"{stem}{trial}" not in variables:
            on_problem(origin._replace(trial=trial).problem(f"no variable '{stem}{trial}'"))
    numbered = {trial: variables.get(f"{stem}{trial}") for trial in range(1, trials + 1)}
    return {trial: values for trial, values in numbered.items() if values is not None}


def _origins(root: Path, folder: str) -> list[Origin]:
    return [
        Origin(path, int(match[1]), session)
        for session in (1, 2, 3)
        for path, match in named_files(root / folder / str(session), r"(\d{1,3})_\d+\.mat")
    ]


def _read_raw(root: Path, on_problem: OnProblem) -> Iterator[list[RawSegment]]:
    root = find_folder(root, "eeg_raw_data")
    for origin in known_subjects(_origins(root, "eeg_raw_data"), "seed-iv", SUBJECTS, on_problem):
        if segments := raw_session(origin, SEED_IV_LABELS[int(origin.session) - 1], on_problem):
            yield segments


SEED_IV = DataSet(
    name="seed-iv",
    heads={"emotion": ("neutral", "sad", "fear", "happy")},
    subjects=SUBJECTS,
    with_eye=SUBJECTS,
    labels=SEED_IV_LABELS,
    train_trials=16,
    modalities={"eeg": EEG_FEATURES, "eye": 31},
    step_s=dict.fromkeys(("de_LDS", "de_movingAve", "psd_LDS", "psd_movingAve"), 4.0),
    read=_read_seed_iv,
    read_raw=_read_raw,
    is_quick=False,
    stimulus=lambda session, trial: f"clip {session}.{trial}",  # every session has clips of its own
)
