"""Own recordings: a folder of files of any kind that ``open_recording`` knows, with trial markers.

Streams are matched to a model's modalities as in a replay: by LSL type, and by the channels, units and
rates of the contract. All times are on the clock that the streams of a file share.
"""

from __future__ import annotations

import contextlib
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from bci_m2s.errors import ConfigurationError, RecordingError, nearest
from bci_m2s.model.contract import Contract
from bci_m2s.recording.clock_warnings import ON_ARRIVAL
from bci_m2s.recording.file_settings import FileSettings
from bci_m2s.recording.guided import trial_streams
from bci_m2s.recording.marker_texts import marker_texts, several_mark
from bci_m2s.recording.recorded import Recording
from bci_m2s.recording.together import LEFT_OUT, open_together
from bci_m2s.recording.trials import is_guided, read_trials
from bci_m2s.recording.xdf_skim import skim_recording
from bci_m2s.sources.facts import NOTHING_STATED, StreamFacts
from bci_m2s.training.datasets.contents import contents, state_of
from bci_m2s.training.datasets.layout import DataSet, OnProblem, Origin, RawSegment, RawStream, Trial
from bci_m2s.training.datasets.markers import MarkerEvent, MarkerSettings, ShownTrial, marked_trials
from bci_m2s.training.datasets.matching import Matcher, all_streams, fitting, note, stated_info
from bci_m2s.training.datasets.recorded_files import recorded_together, recordings_below
from bci_m2s.types import Chunk

if TYPE_CHECKING:
    from bci_m2s.training.settings import DataSettings

CHUNK_SAMPLES = 4096
NO_TRIALS = "no marker begins a trial"
DEFAULT_HEAD = "emotion"
Opener = Callable[[tuple[Path, ...], tuple[FileSettings, ...]], Recording]


@dataclass(frozen=True)
class RecordedChunks:
    """Chunks of one stream of a file, stamps on the clock that the file's streams share.

    path, index : of the file, and of the stream in it and the files beside it
    beside : files that were recorded together with it; files : what is said of them
    """

    path: Path
    index: int
    stamps: str = "sent"
    beside: tuple[Path, ...] = ()
    files: tuple[FileSettings, ...] = ()

    def __call__(self) -> Iterator[Chunk]:
        """Read from the first sample. Raises RecordingError when the file is gone or damaged."""
        recording = _opened((self.path, *self.beside), self.files)
        stream = recording.stamped(recording.streams[self.index], self.stamps)
        times = stream.times + stream.offsets_s()
        for start in range(0, stream.n_samples, CHUNK_SAMPLES):
            stop = min(start + CHUNK_SAMPLES, stream.n_samples)
            yield Chunk.of(times[start:stop], stream.read(start, stop))


def find_recordings(
    root: Path,
    contract: Contract | None = None,
    markers: MarkerSettings | None = None,
    facts: Mapping[str, StreamFacts] = MappingProxyType({}),
    told: tuple[FileSettings, ...] = (),
    open_files: Opener | None = None,
) -> DataSet:
    """The recordings below `root`: a segment for each file, in the order of the files' names.

    Tables of one session, and a watch worn during it, are laid beside each other; see ``open_together``.

    Subject and session come from names as BIDS has them (``sub-P001_ses-S001_...``, of file or folder);
    else the file's stem is the subject. Trials are numbered through a session, as their starts come. A
    file that cannot be used is reported; so are labels that are not among the classes and streams that do
    not fit.

    Parameters
    ----------
    contract : the model whose modalities and classes they should fit; with None every stream of numbers is
        a modality, named by its LSL type, and every label that occurs is a class
    markers : how markers name trials
    facts : what is stated of streams, by modality; only with a contract
    told : what is said of files that do not say it themselves
    open_files : opens the files of a recording; ``_skimmed`` where no sample is needed

    Raises
    ------
    RecordingError
        There is no recording below `root`.
    ConfigurationError
        ``markers.head`` is not a head of the contract.
    """
    markers = markers or MarkerSettings()
    groups = recorded_together(recordings_below(root))
    if contract is None:
        heads, match = {markers.head or DEFAULT_HEAD: _labels(groups, markers, told)}, all_streams
    else:
        head = markers.head or contract.first_head
        if head not in contract.heads:
            valid = nearest(head, contract.heads)
            raise ConfigurationError(f"markers.head: {head!r} is not a head of the model{valid}")
        heads, match = {head: contract.heads[head].classes}, partial(fitting, contract, facts)

    def read(_root: Path, on_problem: OnProblem) -> Iterator[list[RawSegment]]:
        recordings_below(root, on_problem)  # for what is left out
        opener = open_files or _opened
        return _sessions(groups, heads, markers, facts, told, match, on_problem, opener)

    return DataSet("recordings", heads, (), read_raw=read)


def _labels(
    groups: list[list[Origin]], markers: MarkerSettings, told: tuple[FileSettings, ...]
) -> tuple[str, ...]:
    """Every label that occurs; files that cannot be read are reported later."""
    labels: set[str] = set()
    for group in groups:
        with contextlib.suppress(RecordingError):
            recording = _opened(tuple(file.path for file in group), told)
            labels |= {trial.label for trial in _marked(recording, markers, lambda _text: None)}
    return tuple(sorted(labels))


def _sessions(
    groups: list[list[Origin]],
    heads: Mapping[str, tuple[str, ...]],
    markers: MarkerSettings,
    facts: Mapping[str, StreamFacts],
    told: tuple[FileSettings, ...],
    match: Matcher,
    on_problem: OnProblem,
    open_files: Opener,
) -> Iterator[list[RawSegment]]:
    for _, session in groupby(groups, key=lambda group: group[0][1:3]):
        segments: list[RawSegment] = []
        n_trials = 0
        for file, *beside in session:
            notify = partial(note, file, on_problem)
            try:
                chunks = RecordedChunks(
                    file.path, 0, markers.stamps, tuple(other.path for other in beside), told
                )
                recording = open_files((file.path, *chunks.beside), told)
                for warning in recording.warnings:
                    if markers.stamps == "arrival" and warning.endswith(ON_ARRIVAL):
                        continue  # that is what was done
                    is_out = warning.startswith(LEFT_OUT)
                    on_problem(file.problem(warning.removeprefix(LEFT_OUT), left_out=is_out))
                indices = match(recording, file, on_problem)
                streams = _streams(chunks, recording, indices, facts)
                marked = _marked(recording, markers, notify)
            except RecordingError as problem:
                on_problem(file.problem(str(problem).removeprefix(f"{file.path}: ")))
                continue
            if not marked:
                notify(f"{NO_TRIALS}; the recording has no labels ({marker_texts(recording.markers)})")
            trials = _trials(marked, n_trials, heads, file, on_problem)
            n_trials += len(marked)
            spans_s = {name: _span(recording, index, markers.stamps) for name, index in indices.items()}
            paths = (file.path, *chunks.beside)
            about = contents(paths, recording), state_of(paths)
            segments.append(RawSegment(file.subject, file.session, streams, trials, spans_s, *about))
        if segments:
            yield segments
    _read.cache_clear()


def _streams(
    chunks: RecordedChunks,
    recording: Recording,
    indices: Mapping[str, int],
    facts: Mapping[str, StreamFacts],
) -> dict[str, RawStream]:
    if not indices:
        raise RecordingError("no stream of it can be used")
    for index in indices.values():
        recording.stamped(recording.streams[index], chunks.stamps)  # refused now, not when samples are read
    streams = {}
    for name, index in indices.items():
        stated = facts.get(name, NOTHING_STATED)
        info = stated_info(stated, recording.streams[index])
        streams[name] = RawStream(info, replace(chunks, index=index), stated)
    return streams


def _span(recording: Recording, index: int, stamps: str) -> tuple[float, float]:
    """When a stream begins and ends, on the clock that the file's streams share."""
    stream = recording.stamped(recording.streams[index], stamps)
    shared = stream.times + stream.offsets_s()
    shared = shared[np.isfinite(shared)]
    return (float(shared.min()), float(shared.max())) if len(shared) else (math.nan, math.nan)


def _trials(
    marked: list[ShownTrial],
    before: int,
    heads: Mapping[str, tuple[str, ...]],
    file: Origin,
    on_problem: OnProblem,
) -> tuple[Trial, ...]:
    """Trials with a known label and a duration. before : number of earlier trials in the session"""
    head, classes = next(iter(heads.items()))
    trials = []
    for number, trial in enumerate(marked, before + 1):
        origin = file._replace(trial=number)
        if trial.label not in classes:
            valid = nearest(trial.label, classes)
            on_problem(origin.problem(f"label {trial.label[:80]!r} is not a class of {head}{valid}"))
        elif not trial.stop_s > trial.start_s:
            on_problem(origin.problem("ends where it begins"))
        else:
            labels = {head: classes.index(trial.label)}
            trials.append(Trial(str(number), trial.start_s, trial.stop_s, labels, trial.stimulus))
    return tuple(trials)


def _marked(
    recording: Recording, markers: MarkerSettings, notify: Callable[[str], None]
) -> list[ShownTrial]:
    events: list[MarkerEvent] = []
    end_s = -np.inf
    for stream in recording.raw_streams:
        if stream.is_markers:
            continue
        stream = stream if math.isnan(stream.behind_s) else recording.stamped(stream, markers.stamps)
        shared = stream.times + stream.offsets_s()
        known = np.isfinite(shared)
        if known.any():
            end_s = max(end_s, float(shared[known].max()))
    streams = trial_streams(recording, markers.column)
    for stream in streams:
        shared = stream.times + stream.offsets_s()
        texts = stream.read(0, stream.n_samples)[:, 0]
        lasting = np.full(len(texts), np.nan) if stream.durations_s is None else stream.durations_s
        events += [
            MarkerEvent(float(shared[row]), str(texts[row]), float(lasting[row]))
            for row in np.flatnonzero(np.isfinite(shared))
        ]
    events.sort(key=lambda event: event.time_s)
    if is_guided(event.text for event in events) and not markers.column:
        return _guided([(event.time_s, event.text) for event in events], markers, notify)
    if words := several_mark(streams, markers.start):
        notify(words)
    return marked_trials(events, end_s, markers, notify)


def _guided(
    events: list[tuple[float, str]], markers: MarkerSettings, notify: Callable[[str], None]
) -> list[ShownTrial]:
    """The trials of a guided session that count."""
    trials = read_trials(events)
    if out := Counter(trial.excluded for trial in trials if trial.excluded):
        listed = ", ".join(f"{reason[:60]}: {count}" for reason, count in out.items())
        notify(f"{out.total()} of {len(trials)} trials of the guided session do not count ({listed})")
    return [
        ShownTrial(trial.start_s, trial.stop_s, markers.labels.get(trial.label, trial.label), trial.item)
        for trial in trials
        if not trial.excluded
    ]


def _opened(paths: tuple[Path, ...], told: tuple[FileSettings, ...]) -> Recording:
    try:
        return _read(paths, state_of(paths), told)
    except OSError as problem:
        raise RecordingError(f"{paths[0]}: cannot be read: {problem.strerror or problem}") from None


@lru_cache(maxsize=1)  # a file is read whole, and its streams are needed one after the other
def _read(paths: tuple[Path, ...], _state: str, told: tuple[FileSettings, ...]) -> Recording:
    return open_together(paths, told)


def _skimmed(paths: tuple[Path, ...], told: tuple[FileSettings, ...]) -> Recording:
    return open_together(paths, told, skim_recording)


def _skim(data: DataSettings, contract: Contract, on_problem: OnProblem) -> Iterator[list[RawSegment]]:
    assert data.root is not None  # checked with the settings
    # when samples came shows only in where they lie in the file, and a rate is measured by stamps
    needs_stamps = any(facts.rate_hz == "auto" for facts in data.streams.values())
    opener = _skimmed if data.markers.stamps == "sent" and not needs_stamps else None
    made = find_recordings(data.root, contract, data.markers, data.streams, data.files, opener)
    read_raw = made.read_raw
    assert read_raw is not None
    return read_raw(data.root, on_problem)


RECORDINGS = DataSet(name="recordings", heads={}, subjects=(), of_copy=find_recordings, skim=_skim)
