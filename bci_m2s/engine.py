"""The live engine: who runs when, and how it ends.

One reader thread an inlet: it pulls, copies into its ring, nothing else. One clock thread asks for
clock offsets. One inference thread: filters, windows, features, network. One writer thread owns files
and outlets. The engine alone makes, stops and joins them. An exception in any of them ends the run:
the others finish what is queued, files are closed, and ``failure`` holds it.

Loss policies: a ring keeps ``RING_S`` seconds for the inference thread and counts what it had to drop;
inference skips windows when it is more than ``BEHIND_S`` behind and counts them; the writer's queue is
lossless; ``Snapshot`` is the latest state only.
"""

from __future__ import annotations

import math
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from bci_m2s.pipeline import LONGEST_MARKER, Pipeline
from bci_m2s.ring import Cursor, Ring
from bci_m2s.sinks import Sink
from bci_m2s.sources import Source
from bci_m2s.tally import Tally
from bci_m2s.types import Estimate, Event, Status

RING_S = 30.0
PULL_S = 0.2  # longest wait in a pull, and so the longest that a stop waits for a reader
CLOCK_EVERY_S = 2.0
STALE_AFTER_S = 1.0
BEHIND_S = 1.0
RATE_SPAN_S = 5.0
JOIN_S = 5.0


@dataclass(frozen=True, slots=True)
class StreamHealth:
    """State of one stream. `age_s` is since the last delivery, NaN before the first."""

    modality: str
    name: str
    rate_hz: float
    measured_hz: float
    samples: int
    lost: int
    age_s: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The engine now: newest estimate of each modality and head, health of each stream."""

    latest: Mapping[tuple[str, str], Estimate]
    health: Sequence[StreamHealth]
    elapsed_s: float


class _Feed:
    """What one reader thread writes and the others read; each field has one writer."""

    def __init__(self, source: Source) -> None:
        info = source.info
        self.source = source
        self.is_text = info.channel_format == "string"
        capacity = max(1024, int(RING_S * info.rate_hz))
        self.ring = Ring(capacity, info.n_channels, object if self.is_text else _dtype(info.channel_format))
        self.cursor: Cursor = self.ring.cursor()
        self.last_received_s = math.nan  # written by the reader only
        self.clock_offset_s = math.nan  # written by the clock thread only
        self.overrun = 0  # samples that the ring lost; written by the inference thread only
        self._counts: deque[tuple[float, int]] = deque()  # (received, samples) of the last seconds

    def measured_hz(self, begun_s: float) -> float:
        """Samples a second over the last ``RATE_SPAN_S``; called by one thread, at each snapshot."""
        newest = (self.last_received_s, self.ring.total)
        if not self._counts:
            self._counts.append((begun_s, 0))
        if newest[0] > self._counts[-1][0]:
            self._counts.append(newest)
        while len(self._counts) > 2 and self._counts[0][0] < newest[0] - RATE_SPAN_S:
            self._counts.popleft()
        (first_s, first), (last_s, last) = self._counts[0], self._counts[-1]
        return (last - first) / (last_s - first_s) if last_s > first_s else math.nan


def _dtype(channel_format: str) -> str:
    return {"double64": "f8", "float32": "f4"}.get(channel_format, "f8")


class Engine:
    """Runs a pipeline on live sources.

    Parameters
    ----------
    pipeline : chunks to estimates
    sources : one opened source for each modality of the pipeline
    sinks : opened by the writer thread
    markers : an opened source of text markers, if there is one
    clock : local clock, the same that stamps ``Chunk.received_s``
    """

    def __init__(
        self,
        pipeline: Pipeline,
        sources: Mapping[str, Source],
        sinks: Sequence[Sink],
        clock: Callable[[], float],
        markers: Source | None = None,
    ) -> None:
        self.pipeline, self._sinks, self._clock = pipeline, list(sinks), clock
        self._feeds = {modality: _Feed(source) for modality, source in sources.items()}
        self._marker_feed = _Feed(markers) if markers is not None else None
        self._stop = threading.Event()
        self._readers_done = threading.Event()
        self._inference_done = threading.Event()
        self._wake = threading.Event()
        self._out: queue.SimpleQueue[Estimate | Event] = queue.SimpleQueue()
        self._stale_told_s = dict.fromkeys(self._feeds, -math.inf)
        # published last, by modality and head; written by the writer thread
        self._latest: dict[tuple[str, str], Estimate] = {}
        self._begun_s = clock()
        self.tally = Tally(pipeline.heads)
        self.markers: list[tuple[float, str]] = []  # (local time, text), written by the inference thread
        self.failure: BaseException | None = None

    # ---- life ----

    def start(self) -> None:
        """Start every thread. Sources are open already, so that they could be checked."""
        self._begun_s = self._clock()
        self._readers = [
            self._thread(f"reader-{feed.source.info.name}", self._read, feed) for feed in self._all_feeds()
        ]
        self._inference = self._thread("inference", self._infer)
        self._writer = self._thread("writer", self._write)
        self._clocks = self._thread("clock", self._ask_clocks)
        for thread in (self._writer, self._clocks, self._inference, *self._readers):
            thread.start()

    def wait(self, seconds: float) -> bool:
        """Wait; true when the engine is stopping (asked to, failed, or its sources are finished)."""
        return self._stop.wait(seconds)

    def request_stop(self) -> None:
        """Ask for the end; safe in a signal handler."""
        self._stop.set()

    def finish(self) -> None:
        """Stop and join the threads in the order in which data flows, then close the sources."""
        self._stop.set()
        for thread in self._readers:
            thread.join(JOIN_S)
        self._readers_done.set()
        self._wake.set()
        self._inference.join(JOIN_S)
        self._clocks.join(JOIN_S)
        self._inference_done.set()
        self._writer.join(JOIN_S)
        stuck = [
            t.name for t in (*self._readers, self._inference, self._clocks, self._writer) if t.is_alive()
        ]
        if stuck:  # an inlet must not be destroyed under a running pull: leave everything as it is
            self.failure = self.failure or RuntimeError(f"threads did not end: {', '.join(stuck)}")
            return
        for feed in self._all_feeds():
            feed.source.close()

    def _all_feeds(self) -> list[_Feed]:
        return [*self._feeds.values(), *([self._marker_feed] if self._marker_feed else [])]

    def _thread(self, name: str, work: Callable[..., None], *arguments: object) -> threading.Thread:
        def guarded() -> None:
            try:
                work(*arguments)
            except BaseException as problem:
                self.failure = self.failure or problem
                self._stop.set()

        return threading.Thread(target=guarded, name=name, daemon=True)

    # ---- readers ----

    def _read(self, feed: _Feed) -> None:
        source, ring, wake = feed.source, feed.ring, self._wake
        while not self._stop.is_set():
            chunk = source.pull(PULL_S)
            if not len(chunk):
                if source.finished:
                    return
                continue
            ring.write(chunk)
            feed.last_received_s = float(chunk.received_s[-1])
            wake.set()

    # ---- clock ----

    def _ask_clocks(self) -> None:
        while not self._stop.is_set():
            for feed in self._all_feeds():
                offset_s = feed.source.clock_offset_s(PULL_S)
                if not math.isnan(offset_s):
                    feed.clock_offset_s = offset_s
            for modality, feed in self._feeds.items():
                self.pipeline.clock_offset_s[modality] = feed.clock_offset_s
            self._stop.wait(CLOCK_EVERY_S)

    # ---- inference ----

    def _infer(self) -> None:
        self.event("started", "engine started")
        for modality, feed in self._feeds.items():
            info = feed.source.info
            self.event(
                "connected", f"{modality}: {info.describe()}", {"modality": modality, "uid": info.uid}
            )
        while not (self._readers_done.is_set() and self._nothing_left()):
            self._wake.wait(0.1)
            self._wake.clear()
            self._take_markers()
            for modality, feed in self._feeds.items():
                self._advance(modality, feed)
                self._tell_stale(modality, feed)
            if self._all_finished():
                self._stop.set()
        self.event("stopped", "engine stopped")

    def _nothing_left(self) -> bool:
        return all(feed.cursor.available == 0 for feed in self._feeds.values())

    def _all_finished(self) -> bool:
        return self._nothing_left() and all(feed.source.finished for feed in self._feeds.values())

    def _advance(self, modality: str, feed: _Feed) -> None:
        chunk = feed.cursor.read()
        if not len(chunk):
            return
        if feed.cursor.lost > feed.overrun:
            missed, feed.overrun = feed.cursor.lost - feed.overrun, feed.cursor.lost
            self.event("overrun", f"{modality}: inference was too slow for {missed} samples")
            self.pipeline.stages[modality].break_segment()
        behind = self._clock() - chunk.received_s[0] > BEHIND_S
        for estimate in self.pipeline.push(modality, chunk, newest_only=behind):
            self._out.put(estimate)
        self._forward_events()

    def _forward_events(self) -> None:
        for event in self.pipeline.events():
            self._out.put(replace(event, local_s=self._clock(), wall_s=time.time()))

    def _tell_stale(self, modality: str, feed: _Feed) -> None:
        """Once a second, say that a stream is silent: estimates of its own, never an old answer."""
        now_s = self._clock()
        since_s = self._begun_s if math.isnan(feed.last_received_s) else feed.last_received_s
        silent_s = now_s - since_s
        if silent_s < STALE_AFTER_S or now_s - self._stale_told_s[modality] < 1.0 or feed.source.finished:
            return
        first = self._stale_told_s[modality] < since_s
        self._stale_told_s[modality] = now_s
        reason = f"signal {silent_s:.1f} s old"
        for estimate in self.pipeline.no_estimates(modality, Status.STALE, reason):
            self._out.put(estimate)
        if first:
            self.event("stale", f"{modality}: {reason}", {"modality": modality})

    def _take_markers(self) -> None:
        feed = self._marker_feed
        if feed is None:
            return
        chunk = feed.cursor.read()
        offset_s = 0.0 if math.isnan(feed.clock_offset_s) else feed.clock_offset_s  # unknown at first
        for stamp, row in zip(chunk.times, chunk.samples, strict=True):
            local_s = float(stamp) + offset_s
            text = str(row[0])[:LONGEST_MARKER]
            self.markers.append((local_s, text))
            self.pipeline.take_marker(local_s, text)
        self._forward_events()

    # ---- writer ----

    def event(self, kind: str, message: str, fields: Mapping[str, object] | None = None) -> None:
        """Log that something happened; safe from any thread."""
        self._out.put(Event(kind, message, self._clock(), time.time(), dict(fields or {})))

    def _write(self) -> None:
        for sink in self._sinks:
            sink.open()
        try:
            while not (self._inference_done.is_set() and self._out.empty()):
                try:
                    item = self._out.get(timeout=0.1)
                except queue.Empty:
                    continue
                self._publish(item)
        finally:
            for sink in self._sinks:
                sink.close()

    def _publish(self, item: Estimate | Event) -> None:
        if isinstance(item, Event):
            for sink in self._sinks:
                sink.event(item)
            return
        published = replace(item, stamps=replace(item.stamps, published_s=self._clock()))
        wall_s = time.time()
        for sink in self._sinks:
            sink.estimate(published, wall_s)
        self.tally.add(published)
        self._latest[item.modality, item.head] = published

    # ---- state ----

    def snapshot(self) -> Snapshot:
        """The latest state, for a display; safe from any thread."""
        now_s = self._clock()
        health = []
        for modality, feed in self._feeds.items():
            info = feed.source.info
            health.append(
                StreamHealth(
                    modality,
                    info.name,
                    info.rate_hz,
                    feed.measured_hz(self._begun_s),
                    feed.ring.total,
                    self.pipeline.stages[modality].lost_samples,
                    now_s - feed.last_received_s,
                )
            )
        return Snapshot(dict(self._latest), health, now_s - self._begun_s)
