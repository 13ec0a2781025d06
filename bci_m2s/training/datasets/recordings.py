"""Own recordings: a folder of XDF files with trial markers.

Streams are matched to a model's modalities as in a replay: by LSL type, and by the channels, units and
rates of the contract. All times are on the clock that the streams of a file share.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bci_m2s.errors import ConfigurationError, RecordingError, nearest
from bci_m2s.model.model_file import Contract, check_stream
from bci_m2s.recording.recorded import Recording, open_recording
from bci_m2s.simulator.markers import MarkedTrial
from bci_m2s.training.datasets.layout import DataSet, OnProblem, Problem, RawSegment, RawStream, Trial
from bci_m2s.training.datasets.markers import Event, MarkerSettings, marked_trials
from bci_m2s.types import Chunk

if TYPE_CHECKING:
    from bci_m2s.training.settings import DataSettings

__all__ = ["RECORDINGS", "MarkerSettings", "matched_recordings", "read_recordings", "unmatched_recordings"]

CHUNK_SAMPLES = 4096
DEFAULT_HEAD = "emotion"
_SUBJECT = re.compile(r"(?:^|[/_])sub-([^/_.]+)")
_SESSION = re.compile(r"(?:^|[/_])ses-([^/_.]+)")
Report = Callable[..., None]  # text, whether data are left out, which trial
Matcher = Callable[[Recording, Report], dict[str, int]]  # modality → index of its stream


@dataclass(frozen=True)
class RecordedChunks:
    """Chunks of one stream of a file, stamps on the clock that the file's streams share."""

    path: Path
    index: int

    def __call__(self) -> Iterator[Chunk]:
        """Read from the first sample. Raises RecordingError when the file is gone or damaged."""
        stream = _opened(self.path).streams[self.index]
        times = stream.times + stream.offsets_s()
        for start in range(0, stream.n_samples, CHUNK_SAMPLES):
            stop = min(start + CHUNK_SAMPLES, stream.n_samples)
            yield Chunk.of(times[start:stop], stream.read(start, stop))


class _File(NamedTuple):
    """A file, and whose session it is part of."""

    subject: str
    session: str
    path: Path


def read_recordings(
    root: Path, contract: Contract, markers: MarkerSettings, on_problem: OnProblem
) -> Iterator[list[RawSegment]]:
    """Every session below `root`: a segment for each file, in the order of the files' names.

    Subject and session come from names as BIDS has them (``sub-P001_ses-S001_...``, of file or folder);
    else the file's stem is the subject. Trials are numbered through a session, as their starts come. A
    file that cannot be used is reported; so are labels that are not among the classes and streams that do
    not fit.

    Raises
    ------
    RecordingError
        There is no XDF file below `root`.
    ConfigurationError
        ``markers.head`` is not a head of the contract.
    """
    return _read_copy(matched_recordings(root, contract, markers), root, on_problem)


def matched_recordings(root: Path, contract: Contract, markers: MarkerSettings) -> DataSet:
    """The recordings below `root` as `contract` sees them; raises as ``read_recordings`` does."""
    head = markers.head or contract.first_head
    if head not in contract.heads:
        valid = nearest(head, contract.heads)
        raise ConfigurationError(f"markers.head: {head!r} is not a head of the model{valid}")
    return _data_set(
        _files(root), {head: contract.heads[head].classes}, markers, partial(_fitting, contract)
    )


def unmatched_recordings(root: Path, markers: MarkerSettings) -> DataSet:
    """The recordings below `root` as they are, whatever model may use them.

    Every stream of numbers is a modality, named by its LSL type; every label that occurs is a class.

    Raises
    ------
    RecordingError
        There is no XDF file below `root`.
    """
    files = _files(root)
    labels: set[str] = set()
    for file in files:
        try:
            trials = _marked(_opened(file.path), markers, lambda _text, **_fields: None)
        except RecordingError:
            continue  # reported when it is read
        labels |= {trial.label for trial in trials}
    heads = {markers.head or DEFAULT_HEAD: tuple(sorted(labels))}
    return _data_set(files, heads, markers, _all_streams)


def _data_set(
    files: list[_File], heads: dict[str, tuple[str, ...]], markers: MarkerSettings, match: Matcher
) -> DataSet:
    def read(_root: Path, on_problem: OnProblem) -> Iterator[list[RawSegment]]:
        return _sessions(files, heads, markers, match, on_problem)

    return DataSet("recordings", heads, (), read_raw=read)


def _files(root: Path) -> list[_File]:
    files = []
    for path in sorted(root.rglob("*")):
        if path.suffix.lower() == ".xdf" and path.is_file():
            name = path.relative_to(root).as_posix()
            subject, session = _SUBJECT.findall(name), _SESSION.findall(name)
            files.append(
                _File(subject[-1] if subject else path.stem, session[-1] if session else "1", path)
            )
    if not files:
        raise RecordingError(f"{root}: no XDF file, in it or in a folder below")
    return sorted(files)


def _sessions(
    files: list[_File],
    heads: Mapping[str, tuple[str, ...]],
    markers: MarkerSettings,
    match: Matcher,
    on_problem: OnProblem,
) -> Iterator[list[RawSegment]]:
    for _, group in groupby(files, key=lambda file: file[:2]):
        segments: list[RawSegment] = []
        n_trials = 0
        for file in group:
            report = partial(_report, file, on_problem)
            try:
                recording = _opened(file.path)
                for warning in recording.warnings:
                    report(warning, False)
                streams = _streams(file, recording, match(recording, report))
                marked = _marked(recording, markers, report)
            except RecordingError as problem:
                report(str(problem).removeprefix(f"{file.path}: "), True)
                continue
            if not marked:
                report("no marker begins a trial; the recording has no labels", False)
            trials = _trials(marked, n_trials, heads, report)
            n_trials += len(marked)
            segments.append(RawSegment(file.subject, file.session, streams, trials))
        if segments:
            yield segments
    _read.cache_clear()


def _report(file: _File, on_problem: OnProblem, text: str, left_out: bool, trial: int = 0) -> None:
    on_problem(Problem(file.path, file.subject, file.session, trial, text, left_out))


def _streams(file: _File, recording: Recording, indices: Mapping[str, int]) -> dict[str, RawStream]:
    if not indices:
        raise RecordingError("no stream of it can be used")
    return {
        name: RawStream(recording.streams[index].info, RecordedChunks(file.path, index))
        for name, index in indices.items()
    }


def _trials(
    marked: list[MarkedTrial],
    before: int,
    heads: Mapping[str, tuple[str, ...]],
    report: Report,
) -> tuple[Trial, ...]:
    """Trials with a known label and a duration. before : number of earlier trials in the session"""
    head, classes = next(iter(heads.items()))
    trials = []
    for number, trial in enumerate(marked, before + 1):
        if trial.label not in classes:
            report(
                f"label {trial.label[:80]!r} is not a class of {head}{nearest(trial.label, classes)}",
                True,
                number,
            )
        elif not trial.stop_s > trial.start_s:
            report("ends where it begins", True, number)
        else:
            labels = {head: classes.index(trial.label)}
            trials.append(Trial(str(number), trial.start_s, trial.stop_s, labels))
    return tuple(trials)


def _marked(recording: Recording, markers: MarkerSettings, report: Report) -> list[MarkedTrial]:
    events: list[Event] = []
    end_s = -np.inf
    for stream in recording.raw_streams:
        shared = stream.times + stream.offsets_s()
        known = np.isfinite(shared)
        if stream.is_text:
            texts = stream.read(0, stream.n_samples)[:, 0]
            events += [(float(shared[at]), str(texts[at])) for at in np.flatnonzero(known)]
        elif known.any():
            end_s = max(end_s, float(shared[known].max()))
    return marked_trials(events, end_s, markers, partial(report, left_out=False))


def _fitting(contract: Contract, recording: Recording, report: Report) -> dict[str, int]:
    """The stream that fits each modality; a modality that none or several fit is reported."""
    indices: dict[str, int] = {}
    for modality, spec in contract.modalities.items():
        typed = {
            index: check_stream(spec, stream.info)
            for index, stream in enumerate(recording.streams)
            if stream.info.type.casefold() == spec.stream_type.casefold() and stream.n_samples
        }
        fitting = [index for index, problems in typed.items() if not problems]
        if len(fitting) == 1:
            indices[modality] = fitting[0]
        elif fitting:
            names = ", ".join(repr(recording.streams[index].info.name) for index in fitting)
            report(f"{modality}: {len(fitting)} streams fit: {names}", True)
        elif typed:
            lines = [f"{modality}: {problem}" for problems in typed.values() for problem in problems]
            report("; ".join(lines), True)
        else:
            report(f"{modality}: no stream of type {spec.stream_type!r} with samples", False)
    return indices


def _all_streams(recording: Recording, _report: Report) -> dict[str, int]:
    indices: dict[str, int] = {}
    for index, stream in enumerate(recording.streams):
        if stream in recording.raw_streams and not stream.is_text and stream.n_samples:
            name = stream.info.type.lower() or "untyped"
            indices[name if name not in indices else f"{name}-{index + 1}"] = index
    return indices


def _opened(path: Path) -> Recording:
    try:
        return _read(path, path.stat().st_mtime_ns)
    except OSError as problem:
        raise RecordingError(f"{path}: cannot be read: {problem.strerror or problem}") from None


@lru_cache(maxsize=1)  # a file is read whole, and its streams are needed one after the other
def _read(path: Path, _changed_ns: int) -> Recording:
    return open_recording(path)


def _read_settings(
    data: DataSettings, contract: Contract, on_problem: OnProblem
) -> Iterator[list[RawSegment]]:
    assert data.root is not None  # checked with the settings
    return read_recordings(data.root, contract, data.markers, on_problem)


def _of_copy(root: Path, contract: Contract | None, markers: MarkerSettings | None) -> DataSet:
    if contract is None:
        return unmatched_recordings(root, markers or MarkerSettings())
    return matched_recordings(root, contract, markers or MarkerSettings())


def _read_default(root: Path, on_problem: OnProblem) -> Iterator[list[RawSegment]]:
    return _read_copy(unmatched_recordings(root, MarkerSettings()), root, on_problem)


def _read_copy(data: DataSet, root: Path, on_problem: OnProblem) -> Iterator[list[RawSegment]]:
    assert data.read_raw is not None
    return data.read_raw(root, on_problem)


RECORDINGS = DataSet(
    name="recordings",
    heads={},
    subjects=(),
    read_raw=_read_default,
    read_settings=_read_settings,
    of_copy=_of_copy,
)
