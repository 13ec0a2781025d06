"""EEGMAT: EEG and ECG at rest and during mental arithmetic.

Zyma et al. 2019, PhysioNet eegmat 1.0.0, doi 10.13026/C2JQ1P, ODC-By 1.0. Rest always comes first and in
its own file: a drift over a recording is confounded with the class. To reduce this, a person has three
segments: a baseline, then rest and arithmetic of the same length. Filters and smoothers are reset before
each, so the two classes do not differ in how long their signal has been running.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from bci_m2s.errors import RecordingError
from bci_m2s.recording.recorded import RecordedStream, open_recording
from bci_m2s.training.datasets.layout import DataSet, OnProblem, Origin, RawSegment, Trial
from bci_m2s.training.datasets.raw import Samples, regular_stream
from bci_m2s.types import StreamInfo

SHORTEST_BASELINE_S = 20.0
CLASSES = ("rest", "arithmetic")  # of file SubjectNN_1.edf and SubjectNN_2.edf
# Linked ears. The file's further EEG channel, A2-A1, lies between the two ears and is left out.
_EEG = "Fp1 Fp2 F3 F4 F7 F8 T3 T4 C3 C4 T5 T6 P3 P4 O1 O2 Fz Cz Pz"
CHANNELS = {"eeg": tuple(_EEG.split()), "ecg": ("ECG",)}
STREAM_TYPES = {"eeg": "EEG", "ecg": "ECG"}
SUBJECTS = tuple(range(36))
_NAMED = re.compile(r"Subject(\d{1,3})_([12])\.edf", re.IGNORECASE)


def read_eegmat(root: Path, on_problem: OnProblem) -> Iterator[list[RawSegment]]:
    """One session per person: baseline, rest, arithmetic. The last two are trials of the same length.

    The trial of rest is the end of the rest file, as long as the arithmetic; the baseline is what comes
    before it. A person who lacks a file, or whose rest leaves less than SHORTEST_BASELINE_S for the
    baseline, is reported and left out.

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
    for subject, paths in sorted(files.items()):
        parts = {}
        for part, name in enumerate(CLASSES, 1):
            path = paths.get(part, root / f"Subject{subject:02d}_{part}.edf")
            origin = Origin(path, subject, 1)
            if part not in paths:
                on_problem(origin.problem(f"no such file ({name}); the person is left out"))
                continue
            try:
                parts[name] = _file(origin, on_problem)
            except RecordingError as problem:
                on_problem(origin.problem(f"{problem}; the person is left out"))
        if len(parts) == len(CLASSES):
            rest, arithmetic = parts["rest"], parts["arithmetic"]
            baseline_s = rest.length_s - arithmetic.length_s
            if baseline_s < SHORTEST_BASELINE_S:
                text = f"leaves {baseline_s:.3g} s for the baseline, less than {SHORTEST_BASELINE_S:g} s"
                on_problem(rest.origin.problem(f"{text}; the person is left out"))
                continue
            yield [
                rest.segment(0.0, baseline_s),
                rest.segment(baseline_s, rest.length_s, "rest"),
                arithmetic.segment(0.0, arithmetic.length_s, "arithmetic"),
            ]


@dataclass(frozen=True)
class _File:
    """A file and its streams."""

    origin: Origin
    info: dict[str, StreamInfo]
    length_s: float

    def segment(self, start_s: float, stop_s: float, name: str = "") -> RawSegment:
        """A stretch of the file with its own clock from 0; a trial when it has a name."""
        streams = {}
        for modality, info in self.info.items():
            load = partial(_samples, self.origin.path, modality, start_s, stop_s)
            labels = CHANNELS[modality]
            units = [info.units[info.labels.index(label)] for label in labels]
            streams[modality] = regular_stream(load, info.name, info.type, info.rate_hz, labels, units)
        trials = (Trial(name, 0.0, stop_s - start_s, {"load": CLASSES.index(name)}),) if name else ()
        spans_s = dict.fromkeys(streams, (0.0, stop_s - start_s))
        return RawSegment(str(self.origin.subject), "1", streams, trials, spans_s)


def _file(origin: Origin, on_problem: OnProblem) -> _File:
    recording = open_recording(origin.path)
    for warning in recording.warnings:
        on_problem(origin.problem(warning, left_out=False))
    streams = {name: _stream(recording.streams, name, labels) for name, labels in CHANNELS.items()}
    return _File(
        origin,
        {name: stream.info for name, stream in streams.items()},
        float(min(stream.n_samples / stream.info.rate_hz for stream in streams.values())),
    )


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


def _samples(path: Path, modality: str, start_s: float, stop_s: float) -> Samples:
    stream = _stream(open_recording(path).streams, modality, CHANNELS[modality])
    columns = [stream.info.labels.index(label) for label in CHANNELS[modality]]
    rate_hz = stream.info.rate_hz
    first, last = round(start_s * rate_hz), min(round(stop_s * rate_hz), stream.n_samples)
    size = max(1, round(10.0 * rate_hz))  # read in pieces, of which mne keeps float64
    pieces = [stream.read(start, min(start + size, last))[:, columns] for start in range(first, last, size)]
    return np.concatenate(pieces)


EEGMAT = DataSet(
    name="eegmat",
    heads={"load": CLASSES},
    subjects=SUBJECTS,
    read_raw=read_eegmat,
    caveats=(
        "rest always comes first and in a file of its own: whatever drifts or differs between two files "
        "tells the classes apart as well",
    ),
)
