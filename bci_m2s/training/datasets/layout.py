"""The forms in which every data set is read, and what was wrong with a file.

Step features that owners distribute are read as ``DistributedTrial``, raw signals as ``RawSegment``.
``training.data.sessions`` turns both into ``SessionFeatures``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bci_m2s.errors import ConfigurationError, RecordingError
from bci_m2s.sources.facts import StreamFacts
from bci_m2s.types import Chunk, FloatArray, StreamInfo

if TYPE_CHECKING:
    from bci_m2s.model.contract import Contract
    from bci_m2s.training.settings import DataSettings


@dataclass(frozen=True)
class DistributedTrial:
    """The step features of one trial as its owners distribute them.

    Subjects, sessions and trials count from 1, as in the owners' files.

    labels : head → class index; steps : modality → (W, F) float64, one row per step, EEG channel-major
    (band fastest), NaN where the file has it. All modalities of a trial have the same W.
    """

    subject: int
    session: int
    trial: int
    labels: dict[str, int]
    steps: dict[str, FloatArray]


@dataclass(frozen=True)
class RawStream:
    """One stream of a recorded segment.

    info : with labels, units and nominal rate, as of a live stream
    chunks : yields the samples from the first one at each call; raw units, stamps on the segment's clock
    facts : what the training file states of it; they are in `info` already
    """

    info: StreamInfo
    chunks: Callable[[], Iterator[Chunk]]
    facts: StreamFacts = field(default_factory=StreamFacts)


@dataclass(frozen=True)
class Trial:
    """A labelled stretch, from `start_s` to `stop_s` on a segment's or session's clock.

    labels : head → class index
    stimulus : name of the clip, picture or task that was shown, the same for everybody; "" where not known
    """

    name: str
    start_s: float
    stop_s: float
    labels: dict[str, int]
    stimulus: str = ""


@dataclass(frozen=True)
class RawSegment:
    """A stretch recorded without a break, all streams on one clock. A session is a list of these, in order.

    streams : modality → stream; trials : the labelled ones in it, none for a resting baseline
    spans_s : modality → when its stream begins and ends, on the segment's clock; none where not known
    contents : what its files hold, in words
    state : changes with its files, "" where they are of a published data set and stay as they are
    """

    subject: str
    session: str
    streams: dict[str, RawStream]
    trials: tuple[Trial, ...]
    spans_s: dict[str, tuple[float, float]] = field(default_factory=dict)
    contents: str = ""
    state: str = ""


@dataclass(frozen=True)
class Problem:
    """What is wrong with a file, or with one trial in it (`trial` 0: the whole file).

    subject, session : numbers in a published data set, names in own recordings; "" or 0 where unknown
    left_out : the data concerned are not used; otherwise the problem is only a note
    """

    path: Path
    subject: int | str
    session: int | str
    trial: int | str
    text: str
    left_out: bool = True

    def __str__(self) -> str:
        parts = [f"subject {self.subject}"] if self.subject != "" else []
        parts += [f"session {self.session}"] if self.session else []
        parts += [f"trial {self.trial}"] if self.trial else []
        where = "/".join(part for part in (self.path.parent.name, self.path.name) if part)
        return f"{', '.join(parts)} ({where}): {self.text}" if parts else f"{where}: {self.text}"


def said_once(problems: Sequence[Problem], recordings: int) -> list[str]:
    """A line for each problem; what several recordings have in common is one line with their number.

    The stream of a file without names of streams is called as the file is, which makes no difference.

    recordings : that there are; 0 where it is not known
    """
    alike: dict[tuple[str, bool], list[Problem]] = {}
    for problem in problems:
        text = problem.text.replace(f"{problem.path}", "FILE").replace(f"'{problem.path.stem}'", "'…'")
        alike.setdefault((text, problem.left_out), []).append(problem)
    lines = []
    for (common, is_left_out), found in alike.items():
        files = len({problem.path for problem in found})
        text = common if len({problem.text for problem in found}) > 1 else found[0].text
        of = f" of {recordings}" if files <= recordings else ""
        words = f"{text} (in {files}{of} recordings)" if files > 1 else ""
        start = "left out" if is_left_out else "note"
        lines += [f"{start}: {words}"] if words else [f"{start}: {problem}" for problem in found]
    return lines


OnProblem = Callable[[Problem], None]


class Origin(NamedTuple):
    """The file, person, session and trial that values come from; see ``Problem``."""

    path: Path
    subject: Any
    session: Any
    trial: int = 0

    def problem(self, text: object, left_out: bool = True) -> Problem:
        """A problem with what comes from here."""
        return Problem(*self, str(text), left_out)


@dataclass(frozen=True)
class DataSet:
    """A data set as distributed.

    heads : names of the classes by class index, of each head that trials are labelled for
    subjects : numbers of all people; empty where only a copy tells
    labels : class index per trial, one row per session; empty where each person's ratings decide
    rated_trials : number of trials of each person where ratings decide; 0 where only a copy tells
    modalities : name → number of features; with_eye : subjects whose eye data are distributed
    train_trials : number of trials at the beginning of a session that its owners train on
    step_s : length of a step, by feature; the first is the default
    read : (root, feature, on_problem) → trials; None where no features are distributed
    read_raw : (root, on_problem) → sessions of raw segments; None where raw signals are not read
    rated : `read_raw` also takes the rating above which a class is high
    read_settings : (data, contract, on_problem) → the same as a training file asks for it; None where that
        depends on the copy alone
    of_copy : (root, contract or None, markers or None, facts of streams, what is said of files) → this data
        set as a copy shows it; None where its classes are known without one
    needs_root : whether there is a copy to read
    skim : (data, contract, on_problem) → the sessions that `sessions` gives, without a sample being read;
        None where that is so anyway
    is_quick : headers alone tell which sessions there are; otherwise whole files must be read
    stimulus : (session, trial) → name of the clip, where everybody saw the same; None where trials name
        their own, or there is none
    caveats : what else differs between the classes; printed with every figure's check
    """

    name: str
    heads: dict[str, tuple[str, ...]]
    subjects: tuple[int, ...]
    with_eye: tuple[int, ...] = ()
    labels: tuple[tuple[int, ...], ...] = ()
    train_trials: int = 0
    rated_trials: int = 0
    modalities: dict[str, int] = field(default_factory=dict)
    step_s: dict[str, float] = field(default_factory=dict)
    read: Callable[[Path, str, OnProblem], Iterator[DistributedTrial]] | None = None
    read_raw: Callable[..., Iterator[list[RawSegment]]] | None = None
    read_settings: Callable[[DataSettings, Contract, OnProblem], Iterator[list[RawSegment]]] | None = None
    of_copy: Callable[..., DataSet] | None = None
    needs_root: bool = True
    rated: bool = False
    skim: Callable[[DataSettings, Contract, OnProblem], Iterator[list[RawSegment]]] | None = None
    is_quick: bool = True
    stimulus: Callable[[int, int], str] | None = None
    caveats: tuple[str, ...] = ()

    def named(self, session: str, trials: tuple[Trial, ...]) -> tuple[Trial, ...]:
        """Trials of a session with the names of their clips."""
        of = self.stimulus
        if of is None:
            return trials
        return tuple(replace(trial, stimulus=of(int(session), int(trial.name))) for trial in trials)

    def sessions(
        self, data: DataSettings, contract: Contract, on_problem: OnProblem
    ) -> Iterator[list[RawSegment]]:
        """Sessions of raw signals that a training file asks for.

        Raises
        ------
        ConfigurationError
            It asks for what this data set does not have.
        RecordingError
            Its `data.root` is no copy of this data set.
        """
        if self.read_settings is not None:
            return self.read_settings(data, contract, on_problem)
        if self.of_copy is not None:
            assert data.root is not None  # checked with the settings
            read_raw = self.of_copy(data.root, contract, data.markers, data.streams, data.files).read_raw
            assert read_raw is not None
            return read_raw(data.root, on_problem)
        if self.read_raw is None:
            raise ConfigurationError(f"data.raw: {self.name} distributes no raw signals that are read")
        if data.threshold is not None and not self.rated:
            raise ConfigurationError(f"data.threshold: {self.name} has no ratings")
        rated = () if data.threshold is None else (data.threshold,)
        read = self.read_raw(data.root, on_problem, *rated)
        return ([with_parts(segment, contract) for segment in session] for session in read)

    @property
    def features(self) -> list[str]:
        """What can be read: the distributed features, and "raw" where signals are."""
        is_raw = self.read_raw or self.read_settings or self.of_copy
        return [*self.step_s, *(["raw"] if is_raw else [])]

    @property
    def default_feature(self) -> str:
        """The feature that is read unless another is named; "raw" where none is distributed."""
        return next(iter(self.step_s), "raw")


def with_parts(segment: RawSegment, contract: Contract) -> RawSegment:
    """A segment with a stream for each modality that is a part of one: some of its channels.

    So one stream may be several modalities, of signals that were recorded together. A stream that has a
    modality's name is that modality.
    """
    parts = {
        modality: name
        for modality, spec in contract.modalities.items()
        for name, stream in segment.streams.items()
        if modality not in segment.streams and set(spec.channels) <= set(stream.info.labels)
    }
    if not parts:
        return segment
    streams = segment.streams | {modality: segment.streams[name] for modality, name in parts.items()}
    spans_s = segment.spans_s | {
        modality: segment.spans_s[name] for modality, name in parts.items() if name in segment.spans_s
    }
    return replace(segment, streams=streams, spans_s=spans_s)


def numbers(values: Any) -> FloatArray:
    """Values of a file as float64. Raises RecordingError when they are not numbers or are infinite."""
    try:
        array = np.asarray(values) if isinstance(values, np.ndarray | list | tuple) else None
    except ValueError:  # rows of different lengths
        array = None
    if array is None or array.dtype.kind not in "biuf":
        raise RecordingError(f"holds {type(values).__name__}, expected an array of numbers")
    with np.errstate(invalid="ignore"):  # some patterns of bytes are a NaN that signals
        array = array.astype(np.float64)
    if np.isinf(array).any():
        raise RecordingError("holds infinite values")
    return array


def step_rows(values: Any, n_features: int, rows_are: str = "steps") -> FloatArray:
    """Rows (W, F), W ≥ 1. Raises RecordingError for any other shape, naming both."""
    rows = numbers(values)
    if rows.ndim != 2 or rows.shape[1] != n_features or not len(rows):
        raise RecordingError(f"shape {rows.shape}, expected ({rows_are}, {n_features})")
    return rows


def make_trial(
    origin: Origin,
    labels: dict[str, int],
    raw: Mapping[str, Any],
    arrange: Mapping[str, Callable[[Any], FloatArray]],
    on_problem: OnProblem,
    expected_steps: int = 0,
) -> DistributedTrial | None:
    """Make a trial from a file's values of each modality; None when none of them can be used.

    A modality with malformed values is reported and left out. A trial whose modalities differ in their
    number of steps cannot be paired and is left out.
    """
    steps: dict[str, FloatArray] = {}
    for modality, values in raw.items():
        try:
            steps[modality] = arrange[modality](values)
        except RecordingError as problem:
            on_problem(origin.problem(f"{modality}: {problem}"))
    lengths = {modality: len(rows) for modality, rows in steps.items()}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{modality} {n}" for modality, n in lengths.items())
        on_problem(origin.problem(f"numbers of steps differ: {counts}"))
        return None
    for modality, rows in steps.items():
        if np.isnan(rows).any():
            text = f"{modality}: {100 * np.isnan(rows).mean():.1f} % of the values are missing (NaN)"
            on_problem(origin.problem(text, left_out=False))
    if expected_steps and lengths and expected_steps not in lengths.values():
        n = next(iter(lengths.values()))
        on_problem(origin.problem(f"got {n} steps, expected {expected_steps}", left_out=False))
    return DistributedTrial(origin.subject, origin.session, origin.trial, labels, steps) if steps else None
