"""EEGMAT: EEG and ECG at rest and during mental arithmetic.

Zyma et al. 2019, PhysioNet eegmat 1.0.0, doi 10.13026/C2JQ1P, ODC-By 1.0. Rest always comes first and in
its own file: what drifts over a recording is confounded with the class.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from bci_m2s.errors import RecordingError
from bci_m2s.sources.recorded import RecordedStream, open_recording
from bci_m2s.training.datasets.layout import (
    DataSet,
    OnProblem,
    Place,
    RawSegment,
    RawStream,
    TrialSpan,
)
from bci_m2s.training.datasets.raw import Samples, regular_stream

CLASSES = ("rest", "arithmetic")  # of file SubjectNN_1.edf and SubjectNN_2.edf
# Linked ears. The file's further EEG channel, A2-A1, lies between the two ears and is left out.
_EEG = "Fp1 Fp2 F3 F4 F7 F8 T3 T4 C3 C4 T5 T6 P3 P4 O1 O2 Fz Cz Pz"
CHANNELS = {"eeg": tuple(_EEG.split()), "ecg": ("ECG",)}
STREAM_TYPES = {"eeg": "EEG", "ecg": "ECG"}
SUBJECTS = tuple(range(36))
_NAMED = re.compile(r"Subject(\d{1,3})_([12])\.edf", re.IGNORECASE)


def read_eegmat(root: Path, on_problem: OnProblem) -> Iterator[list[RawSegment]]:
    """One session a person: rest, then arithmetic, each a labelled trial of its whole length.

    A person who lacks one of the two is reported and left out: rest alone says nothing of the load, and
    without rest there is no baseline.

    Parameters
    ----------
    root : folder of SubjectNN_1.edf (rest) and SubjectNN_2.edf (arithmetic)

    Raises
    ------
    RecordingError
        No such file is in the folder.
    """
    files: dict[int, dict[int, Path]] = {}
    for path in sorted(root.glob("*.[eE][dD][fF]")):
        if match := _NAMED.fullmatch(path.name):
            files.setdefault(int(match[1]), {})[int(match[2])] = path
    if not files:
        raise RecordingError(f"{root}: no SubjectNN_1.edf; ROOT is the folder that holds them")
    for subject, found in sorted(files.items()):
        segments = []
        for part, name in enumerate(CLASSES, 1):
            path = found.get(part, root / f"Subject{subject:02d}_{part}.edf")
            place = Place(path, subject, 1)
            if part not in found:
                on_problem(place.problem(f"no such file ({name}); the person is left out"))
                continue
            try:
                segments.append(_segment(place, name, on_problem))
            except RecordingError as problem:
                on_problem(place.problem(f"{problem}; the person is left out"))
        if len(segments) == len(CLASSES):
            yield segments


def _segment(place: Place, name: str, on_problem: OnProblem) -> RawSegment:
    recording = open_recording(place.path)
    for warning in recording.warnings:
        on_problem(place.problem(warning, left_out=False))
    streams: dict[str, RawStream] = {}
    length_s = np.inf
    for modality, labels in CHANNELS.items():
        stream = _stream(recording.streams, modality, labels)
        info = stream.info
        units = tuple(info.units[info.labels.index(label)] for label in labels)
        load = partial(_samples, place.path, modality)
        streams[modality] = regular_stream(load, info.name, info.type, info.rate_hz, labels, units)
        length_s = min(length_s, stream.n_samples / info.rate_hz)
    span = TrialSpan(name, 0.0, float(length_s), {"load": CLASSES.index(name)})
    return RawSegment(str(place.subject), "1", streams, (span,))


def _stream(streams: tuple[RecordedStream, ...], modality: str, labels: tuple[str, ...]) -> RecordedStream:
    """The stream of a modality with all its channels. Raises RecordingError."""
    for stream in streams:
        if stream.info.type == STREAM_TYPES[modality]:
            missing = [label for label in labels if label not in stream.info.labels]
            if missing:
                raise RecordingError(f"{modality}: no channel {', '.join(missing)}")
            if not stream.n_samples:
                raise RecordingError(f"{modality}: no samples")
            return stream
    raise RecordingError(f"{modality}: no channel of type {STREAM_TYPES[modality]}")


def _samples(path: Path, modality: str) -> Samples:
    stream = _stream(open_recording(path).streams, modality, CHANNELS[modality])
    columns = [stream.info.labels.index(label) for label in CHANNELS[modality]]
    size = max(1, round(10.0 * stream.info.rate_hz))  # read in pieces, of which mne keeps float64
    pieces = [
        stream.read(start, min(start + size, stream.n_samples))[:, columns]
        for start in range(0, stream.n_samples, size)
    ]
    return np.concatenate(pieces)


EEGMAT = DataSet(
    name="eegmat",
    heads={"load": CLASSES},
    subjects=SUBJECTS,
    with_eye=(),
    labels=(),
    train_trials=0,
    modalities={},
    step_s={},
    read_raw=read_eegmat,
)
