"""The live engine: who runs when, and how it ends.

One reader thread an inlet and one for clocks (``acquisition``), one inference thread (``inference``), one
writer thread that owns result files and outlets. The recorder has threads of its own: a disk may block for
seconds, and estimates must not wait for it. The engine alone makes, stops and joins them. An exception in
any of them ends the run: the others finish what is queued, files are closed, and ``failure`` holds it. Only
a failed GPU or model does not end a session that is being recorded: there are no estimates any more, the
recording goes on.

Loss policies: the recorder is lossless or loud; a ring keeps ``feed.RING_S`` seconds for the inference
thread and counts what it had to drop; inference skips windows when it is more than ``inference.BEHIND_S``
behind and counts them; the writer's queue is lossless; ``Snapshot`` is the latest state only.
"""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from bci_m2s.acquisition import Acquisition
from bci_m2s.errors import OutputError
from bci_m2s.feed import RATE_SPAN_S, Feed
from bci_m2s.health import Snapshot, StreamHealth, signature, status_report
from bci_m2s.inference import Inference
from bci_m2s.observer import Observer
from bci_m2s.pipeline import Pipeline
from bci_m2s.sinks import Sink
from bci_m2s.sources import Source
from bci_m2s.tally import Tally
from bci_m2s.types import Estimate, Event, StatusReport
from bci_m2s.workers import Workers

if TYPE_CHECKING:
    from bci_m2s.sinks.recorder import Recorder

REPORT_EVERY_S = 1.0
JOIN_S = 5.0
INFERENCE_END_S = 0.8  # a stop waits so long for windows under way; then the recording is closed without
WRITER_END_S = 0.4
RECORDER_END_S = 5.0


class Engine:
    """Runs a pipeline on live sources, or only records them.

    Parameters
    ----------
    pipeline : chunks to estimates; None to record only
    sources : opened, one for each modality of the pipeline; any when only recording
    sinks : opened by the writer thread
    clock : local clock, the same that stamps ``Chunk.received_s``
    markers : an opened source of text markers, if there is one
    recorder : not started yet; gets every stream as received
    """

    def __init__(
        self,
        pipeline: Pipeline | None,
        sources: Mapping[str, Source],
        sinks: Sequence[Sink],
        clock: Callable[[], float],
        markers: Source | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        self._sinks, self._clock, self._recorder = list(sinks), clock, recorder
        self._feeds = {name: Feed(source, name) for name, source in sources.items()}
        marker_feed = Feed(markers, "markers") if markers is not None else None
        self._workers = Workers()
        self._out: queue.SimpleQueue[Estimate | Event | StatusReport] = queue.SimpleQueue()
        self._work: Inference | Observer
        if pipeline is None:
            self._work = Observer(self._feeds, self._out.put, clock, self._workers.stop)
        else:
            goes_on = recorder is not None
            self._work = Inference(
                pipeline, self._feeds, marker_feed, self._out.put, clock, self._workers.stop, goes_on
            )
        every = [*self._feeds.values(), *([marker_feed] if marker_feed else [])]
        self._acquisition = Acquisition(
            every, clock, self._workers, self.event, self._work.wake, self._report, recorder
        )
        # published last, see ``Snapshot.latest``; written by the writer thread
        self._latest: dict[tuple[str, str], Estimate] = {}
        self._inference_done = False
        self._writing: threading.Thread | None = None  # None until started
        self._inferring: threading.Thread | None = None
        self._begun_s = clock()
        self._disk_problem = ""
        self._reported: tuple[float, object] = (-math.inf, None)  # when, and what stood then
        self.tally = Tally(self._work.heads)

    # ---- life ----

    @property
    def failure(self) -> BaseException | None:
        """What went wrong first, None while nothing did."""
        return self._workers.failure

    def start(self) -> None:
        """Start every thread. Sources are open already, so that they could be checked."""
        self._begun_s = self._clock()
        if self._recorder is not None:
            self._recorder.start()
        self._acquisition.start()
        self._writing = self._workers.start("writer", self._write)
        self._inferring = self._workers.start("inference", self._work.run)

    def wait(self, seconds: float) -> bool:
        """Wait; true when the engine is stopping (asked to, failed, or its sources are finished)."""
        return self._workers.stop.wait(seconds)

    def request_stop(self) -> None:
        """Ask for the end; safe in a signal handler."""
        self._workers.stop.set()

    def finish(self) -> None:
        """Stop and join the threads in the order in which data flows, then close the sources.

        The recording is whole within two seconds, even where the network or a device hangs.
        """
        workers = self._workers
        workers.stop.set()
        self._acquisition.join_readers()
        self._work.readers_done.set()
        self._work.wake.set()
        if self._inferring is not None:
            self._inferring.join(INFERENCE_END_S)
        self._inference_done = True
        if self._writing is not None:
            self._writing.join(WRITER_END_S)
        dropped = 0
        if self._recorder is not None:
            dropped = self._recorder.state().lost_samples  # what comes after the end is not meant
            self._recorder.close(RECORDER_END_S)
        stuck = workers.join(JOIN_S)
        if stuck:  # an inlet must not be destroyed under a running pull: leave everything as it is
            workers.fail(RuntimeError(f"threads did not end: {', '.join(stuck)}"))
            return
        self._acquisition.close()
        self._note_failures(dropped)

    def _note_failures(self, dropped: int) -> None:
        """A run whose results are not all on the disk has failed, whatever else went well.

        dropped : samples that the recorder could not keep
        """
        problems = self._write_problems()
        if self._recorder is not None and dropped and not problems:  # the disk came back too late
            problems = [
                f"{self._recorder.path}: {dropped} samples could not wait for the disk and are lost"
            ]
        found = (
            self._work.failure,
            self._recorder.failure if self._recorder is not None else None,
            OutputError("; ".join(problems)) if problems else None,
        )
        for problem in found:
            if problem is not None:
                self._workers.fail(problem)

    # ---- state ----

    @property
    def markers(self) -> list[tuple[float, str]]:
        """The newest markers, oldest first: (local time, text)."""
        return list(self._work.markers_seen)

    @property
    def skipped(self) -> int:
        """Windows that were not judged because inference fell behind."""
        return self._work.skipped

    def snapshot(self) -> Snapshot:
        """The latest state, for a display; safe from any thread."""
        now_s = self._clock()
        problems = [self._work.problem] if self._work.problem else []
        problems += [sink.problem for sink in self._sinks if sink.problem]
        return Snapshot(
            dict(self._latest),
            [self._health(feed, now_s) for feed in self._feeds.values()],
            now_s - self._begun_s,
            self._work.chosen,
            self._recorder.state() if self._recorder else None,
            problems,
        )

    def _health(self, feed: Feed, now_s: float) -> StreamHealth:
        info = feed.source.info
        return StreamHealth(
            feed.name,
            info.name,
            info.rate_hz,
            feed.measured_hz(self._begun_s) if now_s - feed.last_received_s < RATE_SPAN_S else math.nan,
            feed.ring.total,
            self._work.lost_samples(feed.name),
            now_s - feed.last_received_s,
            feed.problem,
            self._work.bad_channels(feed.name),
        )

    def _report(self) -> None:
        """Report the state once a second, and at once when it changed. One thread asks, often."""
        self._tell_disk()
        if self._recorder is not None and self._recorder.failure is not None:
            self._workers.fail(self._recorder.failure)  # a full disk is none: it may have room again
        now_s, snapshot = self._clock(), self.snapshot()
        state = signature(snapshot)
        reported_s, before = self._reported
        if state != before or now_s - reported_s >= REPORT_EVERY_S:
            self._reported = (now_s, state)
            self._out.put(StatusReport(now_s, time.time(), status_report(snapshot, self._work.heads)))

    def _tell_disk(self) -> None:
        """An event when writing begins to fail and when it works again."""
        problem = "; ".join(self._write_problems())
        if problem != self._disk_problem:
            self._disk_problem = problem
            self.event("disk", problem or "files can be written again", {"problem": problem})

    def _write_problems(self) -> list[str]:
        problems = [sink.problem for sink in self._sinks if sink.problem]
        if self._recorder is not None and (state := self._recorder.state()).problem:
            problems.append(state.problem)
        return problems

    # ---- writer ----

    def event(self, kind: str, message: str, fields: Mapping[str, object] | None = None) -> None:
        """Log that something happened; safe from any thread."""
        self._out.put(Event(kind, message, self._clock(), time.time(), dict(fields or {})))

    def _write(self) -> None:
        try:
            for sink in self._sinks:
                sink.open()
            while not (self._inference_done and self._out.empty()):
                try:
                    item = self._out.get(timeout=0.1)
                except queue.Empty:
                    continue
                self._publish(item)
        finally:
            for sink in self._sinks:
                sink.close()

    def _publish(self, item: Estimate | Event | StatusReport) -> None:
        if isinstance(item, Event):
            for sink in self._sinks:
                sink.event(item)
            return
        if isinstance(item, StatusReport):
            for sink in self._sinks:
                sink.report(item)
            return
        published = replace(item, stamps=replace(item.stamps, published_s=self._clock()))
        wall_s = time.time()
        for sink in self._sinks:
            sink.estimate(published, wall_s)
        self.tally.add(published)
        place = item.modality if self._work.chosen is None else ""
        self._latest[place, item.head] = published
