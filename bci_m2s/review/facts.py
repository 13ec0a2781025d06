"""What a recording holds, put on one clock: streams with their gaps, answers of the model, events, markers.

Made to look at any file, also a damaged or foreign one: nothing here is refused, what cannot be understood
is left out and noted in ``RecordingFacts.notes``. ``review.recorded`` is strict where a replay needs it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from bci_m2s.lsl.description import SessionDescription
from bci_m2s.lsl.formats import ESTIMATES_TYPE, EVENTS_TYPE, RESULT_TYPES, RecordLayout, parse_line
from bci_m2s.lsl.markers import MarkerReader
from bci_m2s.recording.guided import guided_stream
from bci_m2s.recording.recorded import RecordedStream, Recording
from bci_m2s.recording.trials import GuidedTrial, read_trials
from bci_m2s.signal.blocks import GAP_S
from bci_m2s.types import BoolArray, FloatArray, Status

APART_S = 86_400.0  # stamps further away from the others than a day belong to another clock
SEVERAL = "several"
EARLY_S = 3.0  # real time before the end of a session at which a stream may end: it is not closed at once


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RecordingStream(RecordedStream):
    """One stream on the clock that all share.

    times_s : (n,) from the session's start, s; NaN where a stamp is no number or belongs to another clock
    gaps : (k, 2) from the last sample before to the first one behind it, s; (0, 2) for irregular streams
    rate_hz : effective, from stamps between gaps; NaN for irregular streams
    backward : number of stamps that are earlier than the one before
    early_s : from its last sample to the end of the session that recorded it; 0.0 where it lasted so long
    """

    times_s: FloatArray
    gaps: FloatArray
    rate_hz: float
    backward: int
    early_s: float = 0.0

    @property
    def is_regular(self) -> bool:
        """Whether it has a nominal rate and numbers."""
        return self.info.rate_hz > 0 and not self.is_text

    @property
    def lost_s(self) -> float:
        """Seconds without samples inside gaps, and after its end."""
        return self.gaps_s + self.early_s

    @property
    def gaps_s(self) -> float:
        """Seconds without samples inside gaps."""
        interval_s = 1 / self.info.rate_hz if self.is_regular else 0.0
        return float(np.sum(self.gaps[:, 1] - self.gaps[:, 0] - interval_s))

    @property
    def ended_words(self) -> str:
        """That it ended early, in words."""
        return f"no sample came in the last {self.early_s:.1f} s of the recording"

    @property
    def length_s(self) -> float:
        """From the first sample to the last one, NaN when there is none."""
        known = self.times_s[np.isfinite(self.times_s)]
        return float(known.max() - known.min()) if len(known) else math.nan


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What a model answered to one question, in the order of time.

    classes : names; makers : what ``maker`` counts, modalities and their unions
    times_s : (n,) from the session's start; probabilities : (n, classes), NaN without an estimate
    status, maker : (n,) int, codes of ``Status`` and of `makers`; unknown : (n,)
    """

    head: str
    classes: tuple[str, ...]
    makers: tuple[str, ...]
    times_s: FloatArray
    probabilities: FloatArray
    status: np.ndarray[Any, np.dtype[np.int64]]
    maker: np.ndarray[Any, np.dtype[np.int64]]
    unknown: BoolArray

    @property
    def made(self) -> BoolArray:
        """(n,) where there is an estimate, unknown or not."""
        return self.status == Status.OK

    def of_maker(self, maker: int) -> Answers:
        """Only the answers of one maker."""
        wanted = self.maker == maker
        columns = ("times_s", "probabilities", "status", "maker", "unknown")
        return replace(self, **{name: getattr(self, name)[wanted] for name in columns})


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """What the session reported. time_s : from its start; modality : "" where none is concerned."""

    time_s: float
    kind: str
    message: str
    modality: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class RecordingFacts:
    """All of a recording; times count from the first sample of what came from senders.

    session : what it says of itself, None for a foreign file; markers : (time_s, text) in order
    """

    recording: Recording
    streams: tuple[RecordingStream, ...]
    session: SessionDescription | None
    answers: tuple[Answers, ...]
    events: tuple[RecordedEvent, ...]
    markers: tuple[tuple[float, str], ...]
    notes: list[str] = field(default_factory=list)

    @property
    def end_s(self) -> float:
        """The last sample of all, from the start."""
        ends = [
            float(np.nanmax(stream.times_s)) for stream in self.streams if np.isfinite(stream.times_s).any()
        ]
        return max(ends, default=0.0)

    @property
    def raw_streams(self) -> tuple[RecordingStream, ...]:
        """What came from senders."""
        return tuple(stream for stream in self.streams if stream.info.type not in RESULT_TYPES)

    @property
    def simulated(self) -> tuple[str, ...]:
        """What of the session is simulated: "model", "signals"."""
        return self.session.simulated if self.session is not None else ()

    @property
    def guided_markers(self) -> tuple[tuple[float, str], ...]:
        """Those of `markers` that are of the guided session itself; none where it is not guided."""
        stream = guided_stream(self.streams)
        return () if stream is None else _markers([stream])

    def guided_trials(self) -> list[GuidedTrial]:
        """Every attempt at every trial of a guided session; none of any other."""
        stream = guided_stream(self.streams)
        if stream is None:
            return []
        moved_s = (stream.times_s - stream.times)[np.isfinite(stream.times_s)]
        return read_trials(self.guided_markers, float(np.median(moved_s)) if len(moved_s) else 0.0)

    def modality_streams(self) -> dict[str, RecordingStream]:
        """The raw stream of each modality that the session's description names."""
        described = self.session.streams if self.session is not None else {}
        found: dict[str, RecordingStream] = {}
        for modality, stream in described.items():
            for raw in self.raw_streams:
                if (raw.info.name, raw.info.uid) == (stream.name, stream.uid):
                    found[modality] = raw
        return found


def recording_facts(recording: Recording) -> RecordingFacts:
    """Read what a recording holds; raises nothing for what its streams say."""
    notes: list[str] = []
    streams = []
    with np.errstate(all="ignore"):  # stamps may be anything that float64 can hold
        clocks = [stream.times + stream.offsets_s() for stream in recording.streams]
        start_s, near = _start(recording, clocks)
        shared = [np.where(np.abs(clock - near) < APART_S, clock - start_s, np.nan) for clock in clocks]
    for stream, clock, times_s in zip(recording.streams, clocks, shared, strict=True):
        far = int(np.count_nonzero(np.isnan(times_s) & np.isfinite(clock)))
        if far:
            notes.append(f"stream {stream.info.name!r}: {far} stamps are more than a day from the others")
        streams.append(_stream_facts(stream, times_s))
    session, events = _events(streams, notes)
    answers = _answers(streams, session, notes)
    streams = _with_ends(streams, session, events)
    return RecordingFacts(recording, tuple(streams), session, answers, events, _markers(streams), notes)


def _start(recording: Recording, clocks: Sequence[FloatArray]) -> tuple[float, float]:
    """The first sample of what came from senders, and the middle of the longest stream."""
    known = [clock[np.isfinite(clock)] for clock in clocks]
    longest = max(known, key=len, default=np.empty(0))
    if not len(longest):
        return 0.0, 0.0
    near = float(np.median(longest))
    raw = [
        clock
        for stream, clock in zip(recording.streams, known, strict=True)
        if stream in recording.raw_streams
    ]
    close = [clock[np.abs(clock - near) < APART_S] for clock in raw] or [longest]
    return float(min((clock.min() for clock in close if len(clock)), default=near)), near


def _stream_facts(stream: RecordedStream, times_s: FloatArray) -> RecordingStream:
    steps_s = np.diff(times_s)
    gaps, rate_hz = np.empty((0, 2)), math.nan
    if not stream.is_text and stream.info.rate_hz > 0:
        interval_s = 1 / stream.info.rate_hz
        late = np.flatnonzero(steps_s - interval_s > GAP_S)
        gaps = np.column_stack([times_s[late], times_s[late + 1]])
        steady = steps_s[np.abs(steps_s - interval_s) <= GAP_S]
        rate_hz = len(steady) / float(steady.sum()) if len(steady) and steady.sum() > 0 else math.nan
    return RecordingStream(
        *(stream.info, stream.times, stream.read, stream.clock_offsets),
        times_s=times_s,
        gaps=gaps,
        rate_hz=rate_hz,
        backward=int(np.count_nonzero(steps_s < 0)),
    )


def _with_ends(
    streams: Sequence[RecordingStream],
    session: SessionDescription | None,
    events: Sequence[RecordedEvent],
) -> list[RecordingStream]:
    """The streams with what they lack of the session's end; nothing says when any other recording ended."""
    guided = guided_stream(streams)
    if session is None and guided is None:
        return list(streams)
    own = [stream for stream in streams if stream.is_regular and stream.info.type not in RESULT_TYPES]
    ends_s = [_last_s(stream) for stream in own]
    marked_s = [event.time_s for event in events] + ([] if guided is None else guided.times_s.tolist())
    end_s = max([known for known in (*ends_s, *marked_s) if math.isfinite(known)], default=math.nan)
    early_s = {
        id(stream): end_s - last_s
        for stream, last_s in zip(own, ends_s, strict=True)
        if end_s - last_s > EARLY_S * _speed(session)
    }
    return [replace(stream, early_s=early_s.get(id(stream), 0.0)) for stream in streams]


def _last_s(stream: RecordingStream) -> float:
    known = stream.times_s[np.isfinite(stream.times_s)]
    return float(known.max()) if len(known) else math.nan


def _speed(session: SessionDescription | None) -> float:
    """How many times faster than real time a guided session was."""
    noted = (session.model_extra or {}).get("protocol") if session is not None else None
    speed = noted.get("speed") if isinstance(noted, dict) else None
    return float(speed) if isinstance(speed, int | float) and 1.0 <= speed <= 1000.0 else 1.0


def _markers(streams: Sequence[RecordingStream]) -> tuple[tuple[float, str], ...]:
    """Texts of senders, in the order of time."""
    found: list[tuple[float, str]] = []
    for stream in streams:
        if stream.is_markers:
            read = MarkerReader(stream.info).take(stream.times_s, stream.read(0, stream.n_samples))
            found += [(time_s, text) for time_s, text in read if not math.isnan(time_s)]
    return tuple(sorted(found))


def _events(
    streams: Sequence[RecordingStream], notes: list[str]
) -> tuple[SessionDescription | None, tuple[RecordedEvent, ...]]:
    """The session's description and its events; lines that are not JSON objects are counted."""
    session: SessionDescription | None = None
    events, unreadable = [], 0
    for stream in streams:
        if not stream.is_text or stream.info.type != EVENTS_TYPE:
            continue
        rows = stream.read(0, stream.n_samples)
        for time_s, row in zip(stream.times_s.tolist(), rows, strict=True):
            try:
                line = parse_line(str(row[0]))
            except ValueError:
                unreadable += 1
                continue
            if line.get("kind") == "session":
                if isinstance(line.get("session"), dict):
                    session = SessionDescription.lenient(line["session"])
            else:
                kind, message = str(line.get("kind", "")), str(line.get("message", ""))
                modality = str(line.get("modality", ""))
                events.append(RecordedEvent(time_s, kind, message, modality, line))
    if unreadable:
        notes.append(f"{unreadable} events are not JSON objects and are not shown")
    return session, tuple(sorted(events, key=lambda event: (math.isnan(event.time_s), event.time_s)))


def _answers(
    streams: Sequence[RecordingStream], session: SessionDescription | None, notes: list[str]
) -> tuple[Answers, ...]:
    """Estimates of each head; the streams' own labels say which column is what."""
    mine = [stream for stream in streams if stream.info.type == ESTIMATES_TYPE and not stream.is_text]
    names = list(session.heads) if session is not None else []
    combinations = session.combinations if session is not None else ()
    if len(names) != len(mine):
        names = [stream.info.name for stream in mine]
    found = []
    for name, stream in zip(names, mine, strict=True):
        try:
            layout = RecordLayout.read(stream.info.labels, combinations)
        except ValueError as problem:
            notes.append(f"stream {stream.info.name!r} of estimates: {problem}")
            continue
        found.append(_head(name, stream, layout))
    return tuple(found)


def _head(name: str, stream: RecordingStream, layout: RecordLayout) -> Answers:
    values = np.asarray(stream.read(0, stream.n_samples), np.float64)
    values = values.reshape(stream.n_samples, len(layout.labels))[np.isfinite(stream.times_s)]
    times_s = stream.times_s[np.isfinite(stream.times_s)]
    order = np.argsort(times_s, kind="stable")  # two modalities arrive in turns, each with its own delay
    column = {label: values[order, place] for place, label in enumerate(layout.labels)}
    classes, makers = layout.classes, layout.combinations
    maker, status = _codes(column["modality"]), _codes(column["status"])
    return Answers(
        name,
        classes,
        (*makers, SEVERAL),
        times_s[order],
        values[order, : len(classes)],
        status,
        np.where((maker >= 0) & (maker < len(makers)), maker, len(makers)),
        column["unknown"] > 0,
    )


def _codes(values: FloatArray) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Whole numbers; -1 for what is none."""
    known = np.isfinite(values) & (np.abs(values) < 1e6)
    return np.where(known, values, -1.0).astype(np.int64)
