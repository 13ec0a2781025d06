"""Stress-Predict: pulse, skin conductance and skin temperature at the wrist, at rest and under stress.

Iqbal et al. 2022, doi 10.3390/s22218135; MIT. Seven stretches a person: rest, Stroop test, rest,
interview, rest, hyperventilation, rest. They are cut so that the class does not go with the time:

- baseline: the ``BASELINE_S`` before the first labelled rest. What comes before, when a watch that was just
  put on warms up, is not used;
- rest: the last ``FIRST_REST_S`` of the first rest, the rests between tasks, the first ``LAST_REST_S`` of
  the last rest. With these lengths, labelled rest lies as late in a session as stress does;
- a stretch is cut into trials of about ``TRIAL_S``. Each is a segment of its own: filters and the features'
  windows begin again, so no feature of a trial has seen another.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from bci_m2s.errors import RecordingError
from bci_m2s.recording.e4_files import members
from bci_m2s.recording.empatica import read_e4
from bci_m2s.recording.recorded import RecordedStream, Recording
from bci_m2s.training.datasets.layout import DataSet, OnProblem, Origin, RawSegment, RawStream, Trial
from bci_m2s.training.datasets.raw import Samples, regular_stream
from bci_m2s.training.datasets.stretches import Stretch, read_stretches

TRIALS = "trials.csv"
CLASSES = ("rest", "stress")
BASELINE_S = 240.0
SHORTEST_BASELINE_S = 60.0
FIRST_REST_S, LAST_REST_S = 300.0, 150.0
TRIAL_S = 180.0
STREAMS = {"pulse": ("PPG", ("BVP",)), "skin": ("Peripheral", ("EDA", "TEMP"))}
SENSORS = ("BVP.csv", "EDA.csv", "TEMP.csv")
SUBJECTS = tuple(range(2, 36))


def read_stress_predict(root: Path, on_problem: OnProblem) -> Iterator[list[RawSegment]]:
    """One session per person: the baseline, then the trials, in the order in which they were.

    A person without a rest at the beginning that is long enough for a baseline is reported and left out.
    So is a modality whose files are missing or damaged; the person's other modality is used.

    Parameters
    ----------
    root : folder of trials.csv and SNN_BVP.csv, SNN_EDA.csv, SNN_TEMP.csv

    Raises
    ------
    RecordingError
        There is no trials.csv, or it is damaged.
    """
    path = root / TRIALS
    if not path.is_file():
        raise RecordingError(f"{path}: no such file; ROOT is the folder that holds it")
    people = read_stretches(path, CLASSES)
    for person in sorted({file.name[:3] for file in root.glob("S[0-9][0-9]_*.csv")} - people.keys()):
        on_problem(Origin(path, int(person[1:]), 1).problem(f"no line of {person}; its files are left out"))
    for person, stretches in people.items():
        origin = Origin(root / f"{person}_{SENSORS[0]}", int(person[1:]), 1)
        try:
            parts = _parts(stretches)
            segments = list(_segments(origin, parts, on_problem))
        except RecordingError as problem:
            text = str(problem).removeprefix(f"{origin.path}: ")
            on_problem(origin.problem(f"{text}; the person is left out"))
            continue
        yield segments
    _read.cache_clear()


def _parts(stretches: list[Stretch]) -> list[Stretch]:
    """What is used of a person's stretches: baseline, without a label, then trials."""
    first = stretches[0]
    if first.label != CLASSES[0]:
        raise RecordingError(f"{TRIALS}: begins with {first.label}, expected {CLASSES[0]}: no baseline")
    begin_s = max(first.stop_s - FIRST_REST_S, first.start_s + SHORTEST_BASELINE_S)
    if begin_s >= first.stop_s:
        length_s = first.stop_s - first.start_s
        text = f"{TRIALS}: begins with {length_s:g} s of rest"
        raise RecordingError(f"{text}, expected more than the {SHORTEST_BASELINE_S:g} s of a baseline")
    parts = [Stretch("", "", max(begin_s - BASELINE_S, first.start_s), begin_s)]
    for number, stretch in enumerate(stretches, 1):
        start_s = begin_s if number == 1 else stretch.start_s
        stop_s = stretch.stop_s
        if number == len(stretches) > 1 and stretch.label == CLASSES[0]:
            stop_s = min(stop_s, start_s + LAST_REST_S)
        count = max(1, round((stop_s - start_s) / TRIAL_S))
        edges_s = np.linspace(start_s, stop_s, count + 1).tolist()
        for part in range(count):
            name = f"{number}.{part + 1}"
            parts.append(Stretch(name, stretch.label, edges_s[part], edges_s[part + 1]))
    return parts


def _segments(origin: Origin, parts: list[Stretch], on_problem: OnProblem) -> Iterator[RawSegment]:
    """A segment for each part, with its own clock from 0. Raises RecordingError."""
    there = {name for name, _ in members(origin.path)}
    for name in SENSORS:
        if name not in there:
            path = origin.path.with_name(f"{origin.path.name[:3]}_{name}")
            on_problem(origin._replace(path=path).problem("no such file"))
    recording = _recording(origin.path)
    found = {}
    for modality in STREAMS:
        try:
            found[modality] = _stream(recording, modality)
        except RecordingError as problem:
            on_problem(origin.problem(problem))
    if not found:
        raise RecordingError("no stream of it can be used")
    for part in parts:
        streams: dict[str, RawStream] = {}
        spans_s = {}
        for modality, stream in found.items():
            load = partial(_samples, origin.path, modality, part.start_s, part.stop_s)
            if not len(times := load()):
                text = f"{modality}: no sample in it"
                on_problem(origin._replace(trial=part.name or 0).problem(text))  # type: ignore[arg-type]
                continue
            info = stream.info
            labels = STREAMS[modality][1]
            units = [info.units[info.labels.index(label)] for label in labels]
            streams[modality] = regular_stream(load, info.name, info.type, info.rate_hz, labels, units)
            spans_s[modality] = (0.0, len(times) / info.rate_hz)
        trials: tuple[Trial, ...] = ()
        if part.label:
            length_s = part.stop_s - part.start_s
            trials = (Trial(part.name, 0.0, length_s, {"stress": CLASSES.index(part.label)}),)
        if streams:
            yield RawSegment(str(origin.subject), "1", streams, trials, spans_s)


def _stream(recording: Recording, modality: str) -> RecordedStream:
    """The stream of a modality with all its channels. Raises RecordingError."""
    stream_type, labels = STREAMS[modality]
    for stream in recording.streams:
        if stream.info.type == stream_type and set(labels) <= set(stream.info.labels):
            return stream
    raise RecordingError(f"{modality}: no stream with {' and '.join(labels)} at one rate from one time on")


def _samples(path: Path, modality: str, start_s: float, stop_s: float) -> Samples:
    """Samples from `start_s` to `stop_s`, Unix time; fewer where less was recorded."""
    recording = _recording(path)
    stream = _stream(recording, modality)
    begin_s = recording.unix_s + float(stream.times[0])
    rate_hz, n = stream.info.rate_hz, stream.n_samples
    first, last = (int(np.clip(round((at - begin_s) * rate_hz), 0, n)) for at in (start_s, stop_s))
    columns = [stream.info.labels.index(label) for label in STREAMS[modality][1]]
    return np.ascontiguousarray(stream.read(first, last)[:, columns], dtype=np.float32)


def _recording(path: Path) -> Recording:
    files = [file for _, file in members(path)]
    return _read(path, max((file.stat().st_mtime_ns for file in files), default=0))


@lru_cache(maxsize=1)  # a person's segments lie in the same three files
def _read(path: Path, _changed_ns: int) -> Recording:
    return read_e4(path)


STRESS_PREDICT = DataSet(
    name="stress-predict",
    heads={"stress": CLASSES},
    subjects=SUBJECTS,
    read_raw=read_stress_predict,
    caveats=(
        "stress is three tasks, always in the same order; one is spoken and one a way of breathing, so "
        "voice, breath and movement tell the classes apart as well",
    ),
)
