"""DREAMER: EEG and ECG of people watching film clips, with their own ratings.

Katsigiannis and Ramzan 2018, doi 10.1109/JBHI.2017.2688239. One MATLAB file holds everybody: a struct
with a cell for each person. Before each clip a neutral one was shown, whose last 61 s are the baseline.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from bci_m2s.errors import RecordingError
from bci_m2s.training.datasets.layout import (
    DataSet,
    OnProblem,
    Origin,
    RawSegment,
    RawStream,
    Trial,
    numbers,
)
from bci_m2s.training.datasets.raw import LOW_HIGH, Samples, rated, regular_stream, sample_rows
from bci_m2s.training.formats.matlab import cells, member, read_mat
from bci_m2s.types import FloatArray

FILE = "DREAMER.mat"
HEADS = ("valence", "arousal", "dominance")
SCORES = ("ScoreValence", "ScoreArousal", "ScoreDominance")
THRESHOLD = 3.0  # the middle of the scale from 1 to 5: above it is high
N_TRIALS = 18
LARGEST_BYTES = 4 << 30  # in memory; the owners' file takes less than half
SUBJECTS = tuple(range(1, 24))
RATE_HZ = {"eeg": 128.0, "ecg": 256.0}
# The headset's values are microvolts over an offset of several thousand; the ECG's unit is not stated.
_EEG = "AF3 F7 F3 FC5 T7 P7 O1 O2 P8 T8 FC6 F4 F8 AF4"
CHANNELS = {"eeg": tuple(_EEG.split()), "ecg": ("ECG1", "ECG2")}
UNITS = {"eeg": ("microvolts",) * 14, "ecg": ("", "")}
PARTS = ("baseline", "stimuli")


def read_dreamer(
    root: Path, on_problem: OnProblem, threshold: float = THRESHOLD
) -> Iterator[list[RawSegment]]:
    """One session per person: for each clip its baseline, without a label, then the clip as a trial.

    Parameters
    ----------
    root : the folder of DREAMER.mat, or the file itself
    threshold : a rating above it is "high", else "low"

    Raises
    ------
    RecordingError
        The file is missing, damaged, or not DREAMER's.
    """
    path = root / FILE if root.is_dir() else root
    try:
        people = _people(path)
    except RecordingError as problem:
        raise RecordingError(f"{path}: {problem}") from None
    for subject, person in enumerate(people, 1):
        origin = Origin(path, subject, 1)
        try:
            scores = [_scores(person, name) for name in SCORES]
        except RecordingError as problem:
            on_problem(origin.problem(problem))
            continue
        segments: list[RawSegment] = []
        for trial in range(N_TRIALS):
            ratings = [score[trial] for score in scores]
            segments += _pair(origin._replace(trial=trial + 1), ratings, threshold, on_problem)
        if segments:
            yield segments
    _read.cache_clear()


def _scores(person: Any, name: str) -> FloatArray:
    scores = numbers(member(person, name)).ravel()
    if len(scores) != N_TRIALS:
        raise RecordingError(f"{name}: {len(scores)} ratings, expected {N_TRIALS}")
    return scores


def _pair(
    origin: Origin, ratings: list[float], threshold: float, on_problem: OnProblem
) -> list[RawSegment]:
    """Baseline and clip of one trial; without a usable clip there is no trial."""
    try:
        labels = rated(HEADS, ratings, threshold, 1.0, 5.0)
    except RecordingError as problem:
        on_problem(origin.problem(problem))
        return []
    segments = []
    for part in PARTS:
        streams, lengths_s = _streams(origin, part, on_problem)
        if lengths_s and max(lengths_s) - min(lengths_s) > 1.0:
            text = ", ".join(f"{length_s:.1f} s" for length_s in lengths_s)
            on_problem(origin.problem(f"{part}: lengths of eeg and ecg differ: {text}", left_out=False))
        trials: tuple[Trial, ...] = ()
        if part == "stimuli":
            if not streams:
                return []
            trials = (Trial(str(origin.trial), 0.0, min(lengths_s), labels),)
        if streams:
            segments.append(RawSegment(str(origin.subject), str(origin.session), streams, trials))
    return segments


def _streams(origin: Origin, part: str, on_problem: OnProblem) -> tuple[dict[str, RawStream], list[float]]:
    streams, lengths_s = {}, []
    for modality, labels in CHANNELS.items():
        load = partial(_samples, origin.path, origin.subject - 1, modality, part, origin.trial - 1)
        try:
            length_s = len(load()) / RATE_HZ[modality]
        except RecordingError as problem:
            on_problem(origin.problem(f"{modality}, {part}: {problem}"))
            continue
        streams[modality] = regular_stream(
            load, origin.path.stem, modality.upper(), RATE_HZ[modality], labels, UNITS[modality]
        )
        lengths_s.append(length_s)
    return streams, lengths_s


def _samples(path: Path, person: int, modality: str, part: str, trial: int) -> Samples:
    signals = member(_people(path)[person], modality.upper())
    return sample_rows(cells(member(signals, part), N_TRIALS)[trial], len(CHANNELS[modality]))


def _people(path: Path) -> list[Any]:
    """The cell of each person, after a check of rates and electrodes."""
    if not path.is_file():
        raise RecordingError(f"no such file; ROOT is the folder that holds {FILE}")
    whole = _read(path, path.stat().st_mtime_ns)
    for modality, rate_hz in RATE_HZ.items():
        stated = numbers(member(whole, f"{modality.upper()}_SamplingRate")).ravel()
        if stated.tolist() != [rate_hz]:
            raise RecordingError(f"{modality} sampled at {stated}, expected {rate_hz:g} Hz")
    electrodes = tuple(str(label) for label in cells(member(whole, "EEG_Electrodes")))
    if electrodes != CHANNELS["eeg"]:
        raise RecordingError(
            f"electrodes are {', '.join(electrodes)}, expected {', '.join(CHANNELS['eeg'])}"
        )
    people = cells(member(whole, "Data"))
    if not people or len(people) > len(SUBJECTS):
        raise RecordingError(f"{len(people)} people, expected between 1 and {len(SUBJECTS)}")
    return people


@lru_cache(maxsize=1)  # everybody is in one file, which cannot be read in part
def _read(path: Path, _changed_ns: int) -> Any:
    variables = read_mat(path, ["DREAMER"], LARGEST_BYTES)
    if "DREAMER" not in variables:
        raise RecordingError("no variable 'DREAMER'")
    return variables["DREAMER"]


DREAMER = DataSet(
    name="dreamer",
    heads=dict.fromkeys(HEADS, LOW_HIGH),
    subjects=SUBJECTS,
    read_raw=read_dreamer,
    rated=True,
    rated_trials=N_TRIALS,
    is_quick=False,
    stimulus=lambda _session, trial: f"clip {trial}",
)
