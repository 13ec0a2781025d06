"""DEAP: EEG and peripheral signals of people watching music videos, with their own ratings.

Koelstra et al. 2012, doi 10.1109/T-AFFC.2011.15. The preprocessed files are used: 128 Hz, EEG band-passed
4-45 Hz and average-referenced, eye artefacts removed. So there is no delta band, and gamma ends at 45 Hz.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from bci_m2s.errors import RecordingError
from bci_m2s.training.datasets.layout import DataSet, OnProblem, Origin, RawSegment, Trial
from bci_m2s.training.datasets.raw import LOW_HIGH, Samples, rated, regular_stream, sample_rows
from bci_m2s.training.formats.pickles import read_pickle

FOLDER = "data_preprocessed_python"
RATE_HZ = 128.0
BASELINE_S, TRIAL_S = 3.0, 60.0
N_TRIALS, N_SAMPLES = 40, round((BASELINE_S + TRIAL_S) * RATE_HZ)
HEADS = ("valence", "arousal", "dominance", "liking")  # the order of the rating columns
THRESHOLD = 5.0  # the middle of the scale from 1 to 9
SUBJECTS = tuple(range(1, 33))
_EEG = (
    "Fp1 AF3 F3 F7 FC5 FC1 C3 T7 CP5 CP1 P3 P7 PO3 O1 Oz Pz "
    "Fp2 AF4 Fz F4 F8 FC6 FC2 Cz C4 T8 CP6 CP2 P4 P8 PO4 O2"
)
EEG = tuple(_EEG.split())
# Units are given where they are certain: the filters that were applied removed the others' zero.
PERIPHERAL = {
    "hEOG": "microvolts",
    "vEOG": "microvolts",
    "zEMG": "microvolts",
    "tEMG": "microvolts",
    "GSR": "",
    "Resp": "",
    "Pleth": "",
    "Temp": "",
}
N_CHANNELS = len(EEG) + len(PERIPHERAL)


def read_deap(
    root: Path, on_problem: OnProblem, threshold: float = THRESHOLD
) -> Iterator[list[RawSegment]]:
    """One session per person: 40 segments of 63 s, the trial being the last 60 s of each.

    Parameters
    ----------
    root : folder of s01.dat to s32.dat, or the one above it
    threshold : a rating above it is "high", else "low"

    Raises
    ------
    RecordingError
        There is no such file.
    """
    folder = root / FOLDER if (root / FOLDER).is_dir() else root
    origins = [Origin(folder / f"s{subject:02d}.dat", subject, 1) for subject in SUBJECTS]
    origins = [origin for origin in origins if origin.path.is_file()]
    if not origins:
        raise RecordingError(f"{root}: no s01.dat; ROOT is the folder {FOLDER!r} or the one above it")
    for origin in origins:
        try:
            ratings = _part(origin.path, "labels")
            _part(origin.path, "data")
        except RecordingError as problem:
            on_problem(origin.problem(problem))
            continue
        segments = []
        for trial in range(N_TRIALS):
            trial_origin = origin._replace(trial=trial + 1)
            try:
                labels = rated(HEADS, ratings[trial], threshold, 1.0, 9.0)
                segments.append(_segment(trial_origin, labels))
            except RecordingError as problem:
                on_problem(trial_origin.problem(problem))
        if segments:
            yield segments
    _read.cache_clear()


def _segment(origin: Origin, labels: dict[str, int]) -> RawSegment:
    trial, name = origin.trial - 1, origin.path.stem
    eeg = partial(_samples, origin.path, trial, 0, len(EEG))
    rest = partial(_samples, origin.path, trial, len(EEG), N_CHANNELS)
    streams = {
        "eeg": regular_stream(eeg, name, "EEG", RATE_HZ, EEG, ("microvolts",) * len(EEG)),
        "peripheral": regular_stream(
            rest, name, "Misc", RATE_HZ, tuple(PERIPHERAL), tuple(PERIPHERAL.values())
        ),
    }
    labelled = Trial(str(origin.trial), BASELINE_S, BASELINE_S + TRIAL_S, labels)
    return RawSegment(str(origin.subject), str(origin.session), streams, (labelled,))


def _samples(path: Path, trial: int, first: int, stop: int) -> Samples:
    try:
        return sample_rows(_part(path, "data")[trial, first:stop].T, stop - first)
    except RecordingError as problem:
        raise RecordingError(f"{path}: trial {trial + 1}: {problem}") from None


def _part(path: Path, name: str) -> Any:
    shape = {"data": (N_TRIALS, N_CHANNELS, N_SAMPLES), "labels": (N_TRIALS, len(HEADS))}[name]
    content = _read(path, path.stat().st_mtime_ns)
    part = content.get(name) if isinstance(content, dict) else None
    if not isinstance(part, np.ndarray) or part.dtype.kind not in "iuf":
        raise RecordingError(f"{name!r}: missing, or not an array of numbers")
    if part.shape != shape:
        raise RecordingError(f"{name!r}: shape {part.shape}, expected {shape}")
    return part


@lru_cache(maxsize=1)  # a person's 40 trials lie in one file of 100 MB
def _read(path: Path, _changed_ns: int) -> Any:
    return read_pickle(path)


DEAP = DataSet(
    name="deap",
    heads=dict.fromkeys(HEADS, LOW_HIGH),
    subjects=SUBJECTS,
    read_raw=read_deap,
    rated=True,
    rated_trials=N_TRIALS,
    is_quick=False,
    stimulus=lambda _session, trial: f"clip {trial}",
)
