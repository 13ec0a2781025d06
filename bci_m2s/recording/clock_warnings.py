"""What is odd about the clocks of a file's streams, as warnings that name the stream."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bci_m2s.recording.clock_runs import RESET_S
from bci_m2s.signal.quality import rate_verdict

if TYPE_CHECKING:
    from bci_m2s.recording.recorded import RecordedStream

APART_S = 60.0  # stamps of streams that were recorded together are not further from each other
ON_ARRIVAL = "`stamps: arrival` makes them those of when samples came"  # ends what it would mend
SAME_CLOCK_S = 0.05  # an offset of less is that of the recorder's own clock


def clock_warnings(streams: Sequence[RecordedStream]) -> Iterator[str]:
    """Clocks that began again, rates other than stated, stamps without clock offsets or of another clock.

    streams : of senders, all of a file
    """
    others = dict(other_clocks(streams))
    for stream in streams:
        if stream not in others:
            yield from _restarts(stream)
        yield from _rate(stream)
    yield from (text for stream, text in _not_measured(streams) if stream not in others)
    yield from others.values()


def _restarts(stream: RecordedStream) -> Iterator[str]:
    """A stream whose sender's clock began again, and one whose stamps fall without a known reason."""
    runs, name = stream.runs(), repr(stream.info.name)
    if len(runs) > 1:
        more = f", and {len(runs) - 2} more times" if len(runs) > 2 else ""
        yield (
            f"stream {name}: its sender's clock began again at sample {runs[1].first} (clock "
            f"offset {runs[0].offset_s:.6g} s before, {runs[1].offset_s:.6g} s then){more}: a new segment"
        )
    steps_s = np.diff(stream.times + stream.offsets_s())
    if len(fallen := np.flatnonzero(steps_s < -RESET_S)):
        more = f", and {len(fallen) - 1} more times" if len(fallen) > 1 else ""
        yield (
            f"stream {name}: its stamps fall by {-steps_s[fallen[0]]:.3g} s at sample {fallen[0] + 1}"
            f"{more}, and no clock offset says why: what follows may lie at a wrong time"
        )


def _rate(stream: RecordedStream) -> Iterator[str]:
    """A stream whose stamps have another rate than it states."""
    verdict = rate_verdict(stream.info.rate_hz, stream.times)
    if verdict.doubtful and not stream.is_markers:
        yield f"stream {stream.info.name!r}: {verdict.describe(stream.info.rate_hz)}"


def _not_measured(streams: Sequence[RecordedStream]) -> Iterator[tuple[RecordedStream, str]]:
    """Streams that have no clock offset, beside others by which theirs is not known to be 0."""
    offset_s = {stream: _offset_s(stream) for stream in streams}
    measured = {stream: value for stream, value in offset_s.items() if not math.isnan(value)}
    here = {stream.info.host for stream, value in measured.items() if abs(value) <= SAME_CLOCK_S}
    away = any(abs(value) > SAME_CLOCK_S for value in measured.values())
    for stream, value in offset_s.items():
        host = stream.info.host
        elsewhere = host not in here if host and here - {""} else away
        if math.isnan(value) and stream.n_samples and measured and elsewhere:
            name = repr(stream.info.name)
            yield stream, f"no clock offsets were recorded for {name}; its stamps are taken as they stand"


def _offset_s(stream: RecordedStream) -> float:
    """The median of a stream's clock offsets, NaN where it has none."""
    offsets_s = stream.clock_offsets[np.isfinite(stream.clock_offsets).all(axis=1), 1]
    return float(np.median(offsets_s)) if len(offsets_s) else math.nan


def other_clocks(streams: Sequence[RecordedStream]) -> Iterator[tuple[RecordedStream, str]]:
    """Streams whose stamps lie far from those of every other: no marker can be laid on them."""
    spans = {}
    for stream in streams:
        shared = stream.times + stream.offsets_s()
        shared = shared[np.isfinite(shared)]
        if len(shared):
            spans[stream] = (float(shared.min()), float(shared.max()))
    apart_s = {stream: _apart_s(spans, stream) for stream in spans}
    wrong_s = {stream: _wrong_s(stream) for stream in spans}
    astray = [
        stream
        for stream in spans
        if APART_S < apart_s[stream] < math.inf and not wrong_s[stream] <= APART_S  # NaN: not known
    ]
    shown = [stream for stream in astray if wrong_s[stream] > APART_S]
    for stream in shown or [stream for stream in astray if not stream.is_markers] or astray:
        hint = "" if stream.is_markers else f" {ON_ARRIVAL}"
        text = (
            f"its stamps are {apart_s[stream]:.3g} s from those of all others: are they of one clock?{hint}"
        )
        yield stream, f"stream {stream.info.name!r}: {text}"


def _apart_s(spans: Mapping[RecordedStream, tuple[float, float]], stream: RecordedStream) -> float:
    """How far a stream's stamps are from the nearest other stream's; infinite where there is none."""
    first_s, last_s = spans[stream]
    others = [span for other, span in spans.items() if other is not stream]
    return min((max(begin_s - last_s, first_s - end_s) for begin_s, end_s in others), default=math.inf)


def _wrong_s(stream: RecordedStream) -> float:
    """How far its stamps are from when its samples came, s; NaN where the file does not show that."""
    offset_s = _offset_s(stream)
    return abs(stream.behind_s - (0.0 if math.isnan(offset_s) else offset_s))
