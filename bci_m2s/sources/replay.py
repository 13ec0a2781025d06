"""Recorded streams as sources: as fast as they are pulled, or paced like the live stream was.

Streams of one recording share a ``Timeline``, so they stay aligned whatever their own clocks said. Between
two passes (`loops`) lies ``PAUSE_S`` in the stamps, so that the seam is an honest gap for everything
downstream.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from bci_m2s.errors import UsageError
from bci_m2s.recording.recorded import RecordedStream
from bci_m2s.sources import LocalSource, Source
from bci_m2s.sources.timeline import Timeline
from bci_m2s.types import Chunk, FloatArray

UNPACED_SAMPLES = 1024  # in a chunk, unless given
PACED_CHUNK_S = 0.02  # a paced regular stream waits for this much, as a headset does that sends packets
LARGEST_RANDOM = 1000  # samples
DRIFT_S = 0.001  # of a chunk's offset


class ReplaySource(LocalSource):
    """One recorded stream as a source.

    Parameters
    ----------
    stream : what to play
    speed : None: as fast as pulled, with the stamps as recorded. A number > 0: paced, 1.0 as it was, with
        stamps moved onto the local clock. Their spacing stays as recorded at any speed, so that gaps and
        rates are judged as ever; away from 1.0 the stamps therefore run ahead of or behind the clock.
        Only a long pause of all streams is shortened, see ``Timeline``.
    loops : how many times to play it, at least 1
    chunk_samples : largest chunk; or a generator, which draws a size for each; None: 1024 when not paced,
        all that is due when paced
    clock : local clock, s; give the LSL clock where samples meet live ones. Not with `timeline`.
    timeline : shared with the other streams of the recording, see ``replay_sources``
    sleep : replaces time.sleep in tests

    Raises
    ------
    UsageError
        When speed, loops or chunk_samples is out of range.
    """

    def __init__(
        self,
        stream: RecordedStream,
        *,
        speed: float | None = None,
        loops: int = 1,
        chunk_samples: int | np.random.Generator | None = None,
        clock: Callable[[], float] = time.monotonic,
        timeline: Timeline | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if speed is not None and not 0 < speed < math.inf:
            raise UsageError(f"replay: speed: got {speed}, expected a number above 0, or none")
        if loops < 1:
            raise UsageError(f"replay: loops: got {loops}, expected 1 or more")
        if isinstance(chunk_samples, int) and chunk_samples < 1:
            raise UsageError(f"replay: chunk_samples: got {chunk_samples}, expected 1 or more")
        self.info = stream.info
        self.finished = stream.n_samples == 0
        self._stream, self._speed, self._loops = stream, speed, loops
        self._chunk_samples, self._sleep = chunk_samples, sleep
        self.timeline = timeline or Timeline([stream], clock)
        self._offsets = stream.offsets_s()
        # a chunk never spans a reset of the sender's clock, nor much drift: one offset holds for all of it
        with np.errstate(invalid="ignore"):
            self._breaks = np.flatnonzero(np.diff(np.floor(self._offsets / DRIFT_S))) + 1
        self._due_s = self._due() if speed else np.empty(0)
        self._nothing = Chunk.empty(self.info.n_channels, stream.read(0, 0).dtype)
        self._at = 0  # next sample
        self._pass = 0
        self._offset_s = float(self._offsets[0]) if len(self._offsets) else 0.0

    @property
    def stamps(self) -> FloatArray:
        """Every stamp of the stream, as recorded."""
        return self._stream.times

    def open(self) -> None:
        """Do nothing: the recording was opened before."""

    def pull(self, timeout_s: float) -> Chunk:
        """Return the next samples.

        Paced, it waits until a chunk is complete (an irregular stream: until a sample is due) or the time
        is up, and returns what is due by then. Raises RecordingError when the file no longer reads.
        """
        if self.finished:
            return self._nothing
        most = self._stop()
        stop = self._wait(most, timeout_s) if self._speed else most
        if stop == self._at:
            return self._nothing
        chunk = self._chunk(stop)
        self._move_to(stop)
        return chunk

    def clock_offset_s(self, timeout_s: float) -> float:  # noqa: ARG002
        """Return what brings the newest chunk's stamps to the shared clock; 0.0 when paced.

        NaN at any speed but 1: stamps keep their distance, so that they leave the clock behind, or fall
        behind it, and nothing has an age.
        """
        if self._speed:
            return 0.0 if self._speed == 1.0 else math.nan
        return self._offset_s

    def _stop(self) -> int:
        """Return the sample that the next chunk must not reach."""
        size = self._chunk_samples
        if isinstance(size, np.random.Generator):
            size = int(math.exp(size.uniform(0.0, math.log(LARGEST_RANDOM))))
        elif size is None:
            size = self._stream.n_samples if self._speed else UNPACED_SAMPLES
        place = np.searchsorted(self._breaks, self._at, side="right")
        edge = int(self._breaks[place]) if place < len(self._breaks) else self._stream.n_samples
        return min(self._at + size, edge)

    def _due(self) -> FloatArray:
        """Return (n,): seconds into a pass when each sample is due; never falling, even if stamps do."""
        since = self.timeline.into_s(self._stream.times + self._offsets)
        return np.fmax.accumulate(np.where(np.isfinite(since), since, 0.0))

    def _wait(self, most: int, timeout_s: float) -> int:
        """Wait for a chunk or until the time is up; return the first sample that is not due."""
        speed, clock = self._speed or 1.0, self.timeline.clock
        begun, past = self.timeline.begin(), self._pass * self.timeline.pass_s(bool(self._speed))
        least = 1
        if self.info.rate_hz:
            least = round(PACED_CHUNK_S * self.info.rate_hz) if self._chunk_samples is None else most
        last = max(min(self._at + max(least, 1), most) - 1, self._at)
        complete = begun + (past + float(self._due_s[last])) / speed
        pause = min(complete, clock() + timeout_s) - clock()
        if pause > 0:
            self._sleep(pause)
        now = clock()
        due = int(np.searchsorted(self._due_s, (now - begun) * speed - past, side="right"))
        if now >= complete:
            due = max(due, last + 1)  # rounding must not hold back what was waited for
        return min(max(due, self._at), most)

    def _chunk(self, stop: int) -> Chunk:
        past = self._pass * self.timeline.pass_s(bool(self._speed))
        times = self._stream.times[self._at : stop]
        samples = self._stream.read(self._at, stop)
        self._offset_s = float(self._offsets[self._at])
        if not self._speed:
            return Chunk.of(times + past, samples)
        moved = self.timeline.into_s(times + self._offset_s)
        return Chunk.of(moved + (self.timeline.begin() + past), samples, self.timeline.clock())

    def _move_to(self, stop: int) -> None:
        self._at = stop
        if stop == self._stream.n_samples:
            self._at, self._pass = 0, self._pass + 1
            self.finished = self._pass == self._loops


def replay_sources(
    streams: Sequence[RecordedStream],
    *,
    speed: float | None = None,
    loops: int = 1,
    chunk_samples: int | np.random.Generator | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> list[ReplaySource]:
    """Return a source for each stream, all on one timeline; parameters as for ``ReplaySource``."""
    timeline = Timeline(streams, clock)
    sizes: list[int | np.random.Generator | None] = [chunk_samples] * len(streams)
    if isinstance(chunk_samples, np.random.Generator):
        sizes = list(chunk_samples.spawn(len(streams)))  # sources may be pulled by different threads
    return [
        ReplaySource(stream, speed=speed, loops=loops, chunk_samples=size, timeline=timeline)
        for stream, size in zip(streams, sizes, strict=True)
    ]


class _Pending:
    """The part of a source's newest chunk that has not been handed on, with its shared times."""

    def __init__(self, source: Source, chunk: Chunk) -> None:
        self.is_text = source.info.channel_format == "string"
        self.chunk = chunk
        self.shared: FloatArray = chunk.times + source.clock_offset_s(0.0)

    @property
    def head_s(self) -> float:
        return float(self.shared[0])

    def take(self, count: int) -> Chunk:
        """Hand on the first `count` samples."""
        whole, self.shared = self.chunk, self.shared[count:]
        self.chunk = whole.part(count)
        return whole.part(0, count)


def merge(sources: Mapping[str, Source]) -> Iterator[tuple[str, Chunk]]:
    """Pull finite sources to their end and yield (key, chunk) in time order.

    Chunks of sampled streams come in the order of their ends, as they would live. A marker (a sample of a
    string stream) comes exactly in its place: after every sample with an earlier stamp and before every
    other one, for which chunks are cut. Times are compared in the shared clock.
    """
    running = dict(sources)
    pending: dict[str, _Pending] = {}
    while True:
        for key in [key for key in running if key not in pending]:
            chunk = _next_chunk(running[key])
            if chunk is None:
                del running[key]
            else:
                pending[key] = _Pending(running[key], chunk)
        if not pending:
            return
        key, count = _first(pending)
        yield key, pending[key].take(count)
        if not len(pending[key].chunk):
            del pending[key]


def _next_chunk(source: Source) -> Chunk | None:
    """Return the next chunk with samples, None at the end of the source."""
    while not source.finished:
        chunk = source.pull(0.2)
        if len(chunk):
            return chunk
    return None


def _first(pending: Mapping[str, _Pending]) -> tuple[str, int]:
    """Return whose turn it is, and how many samples of its chunk."""
    markers = [key for key, part in pending.items() if part.is_text]
    marker = min(markers, key=lambda key: pending[key].head_s, default="")
    until = pending[marker].head_s if markers else math.inf
    # "not >=" rather than "<": a stamp that is no number must not hold its stream back for ever
    earlier = [key for key, part in pending.items() if not part.is_text and not part.head_s >= until]
    if not earlier:
        return marker, 1
    key = min(earlier, key=lambda key: float(pending[key].shared[-1]))
    later = np.flatnonzero(pending[key].shared >= until)
    return key, int(later[0]) if len(later) else len(pending[key].shared)
