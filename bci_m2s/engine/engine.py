"""The live engine: who runs when, and how it ends.

One reader thread per inlet and one for clocks (``acquisition``), one inference thread (``inference``), one
writer thread that owns result files and outlets. The recorder has threads of its own: a disk may block for
seconds, and estimates must not wait for it. ``evidence`` has one too, which nothing waits for
and whose failure ends nothing else. The engine alone makes, stops and joins them. An exception in any
other ends the run: the others finish what is queued, files are closed, and ``failure`` holds it. Only a
failed GPU or model does not end a session that is being recorded: there are no estimates any more, the
recording goes on.

Loss policies: the recorder is lossless or loud; a ring keeps ``stream.RING_S`` seconds for the inference
thread and counts what it had to drop; inference skips windows when it is more than ``inference.BEHIND_S``
behind and counts them; the writer's queue is lossless; ``Snapshot`` and evidence are the latest only.
"""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bci_m2s.engine.acquisition import Acquisition
from bci_m2s.engine.health import Snapshot, StreamHealth, signature, status_report
from bci_m2s.engine.history import History
from bci_m2s.engine.inference import Inference
from bci_m2s.engine.observer import Observer
from bci_m2s.engine.statistics import Statistics
from bci_m2s.engine.stream_state import RATE_SPAN_S, StreamState
from bci_m2s.engine.workers import Workers
from bci_m2s.errors import CommandError, OutputError
from bci_m2s.pipeline.pipeline import Pipeline
from bci_m2s.sinks import Sink
from bci_m2s.sources import Source
from bci_m2s.sources.operator import OperatorMarkers
from bci_m2s.text import printable
from bci_m2s.types import Estimate, Event, StatusReport

if TYPE_CHECKING:
    from bci_m2s.engine.evidence import Evidence
    from bci_m2s.recording.recorder import Recorder

REPORT_EVERY_S = 1.0
JOIN_S = 5.0
INFERENCE_END_S = 0.8  # a stop waits so long for windows under way; then the recording is closed without
WRITER_END_S = 0.4
RECORDER_END_S = 5.0
EVIDENCE_END_S = 0.5
LEAVE_S = 2.0
MARK_S = 3.0  # a reader takes a marker at once; while takes change it waits for the next one's reader
TOLD_MARKERS = 20  # in a report


@dataclass(frozen=True, slots=True, eq=False)
class _Leave:
    """In the writer's queue: these sinks get nothing of what comes behind it."""

    sinks: Sequence[Sink]
    done: threading.Event = field(default_factory=threading.Event)


class Engine:
    """Runs a pipeline on live sources, or only records them.

    Parameters
    ----------
    pipeline : chunks to estimates; None to record only
    sources : opened, one for each modality of the pipeline; any when only recording
    sinks : opened by the writer thread
    clock : local clock, the same that stamps ``Chunk.received_s``
    markers : opened sources of text markers, the operator's among them (``OperatorMarkers``)
    recorder : not started yet; gets every stream as received
    evidence : says what estimates rest on; belongs to the caller, who closes it
    about : further entries of every status report
    begun_s : when the session began that this run is a part of, local clock; None: with this run
    history : of the run before in the same session, to go on with; None for a new one
    """

    def __init__(
        self,
        pipeline: Pipeline | None,
        sources: Mapping[str, Source],
        sinks: Sequence[Sink],
        clock: Callable[[], float],
        markers: Sequence[Source] = (),
        recorder: Recorder | None = None,
        evidence: Evidence | None = None,
        about: Callable[[], Mapping[str, object]] = dict,
        begun_s: float | None = None,
        history: History | None = None,
    ) -> None:
        self._sinks, self._clock, self._recorder = list(sinks), clock, recorder
        self._evidence, self._about, self._session_begun_s = evidence, about, begun_s
        self._streams = {name: StreamState(source, name) for name, source in sources.items()}
        marker_streams = [StreamState(source, "markers") for source in markers]
        self._operator = next((one for one in markers if isinstance(one, OperatorMarkers)), None)
        self._workers = Workers()
        self._out: queue.SimpleQueue[Estimate | Event | StatusReport | _Leave] = queue.SimpleQueue()
        self._work: Inference | Observer
        if pipeline is None:
            self._work = Observer(self._streams, self._out.put, clock, self._workers.stop)
        else:
            goes_on = recorder is not None
            pipeline.judged = evidence.offer if evidence is not None else None
            self._work = Inference(
                pipeline, self._streams, marker_streams, self._out.put, clock, self._workers.stop, goes_on
            )
        every = [*self._streams.values(), *marker_streams]
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
        self._stuck, self._lost_results = False, list[str]()  # of files that were let go of before the end
        self.statistics = Statistics(self._work.heads)
        hop_s = pipeline.hop_s if pipeline is not None else 1.0
        self.history = history or History(self._work.heads, hop_s)

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
        if self._evidence is not None:
            self._evidence.start(self._workers.stop, self.event)

    def wait(self, seconds: float) -> bool:
        """Wait; true when the engine is stopping (asked to, failed, or its sources are finished)."""
        return self._workers.stop.wait(seconds)

    def request_stop(self) -> None:
        """Ask for the end; safe in a signal handler."""
        self._workers.stop.set()

    def stop_recording(self, files: Sequence[Sink]) -> None:
        """Let go of the recorder and of sinks that belong to it, without a pause for everything else.

        First they get no more results, then the readers hand over no more samples: every estimate in the
        recording has its samples there. Returns when the file is whole. Any thread but the engine's own.

        Raises
        ------
        CommandError
            Nothing is being recorded, or the engine is ending.
        OutputError
            Not everything could be written. The run fails with it at its end, too.
        """
        recorder = self._recorder
        if recorder is None or self._workers.stop.is_set():
            raise CommandError("nothing is being recorded" if recorder is None else "the run is ending")
        leave = _Leave(files)
        self.event("recording_stopped", f"recording of {recorder.path.name} ends here")
        self._out.put(leave)
        leave.done.wait(LEAVE_S)  # a writer that hangs must not keep the file from being closed
        self._acquisition.stop_recording()
        self._recorder, self._work.goes_on = None, False
        dropped = recorder.state().lost_samples  # what comes from now on is not meant
        recorder.close(RECORDER_END_S)
        self._lost_results += _problems_of(files, recorder, dropped)
        if self._lost_results:
            raise OutputError("; ".join(self._lost_results))

    def finish(self, keep_sources: bool = False) -> None:
        """Stop and join the threads in the order in which data flows, then close the sources.

        The recording is whole within two seconds, even where the network or a device hangs. With
        `keep_sources` another engine can go on with them, or ``close_sources`` ends them.
        """
        workers, recorder = self._workers, self._recorder
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
        if recorder is not None:
            dropped = recorder.state().lost_samples  # what comes after the end is not meant
            recorder.close(RECORDER_END_S)
        if self._evidence is not None:
            self._evidence.join(EVIDENCE_END_S)
        stuck = workers.join(JOIN_S)
        if stuck:
            self._stuck = True
            workers.fail(RuntimeError(f"threads did not end: {', '.join(stuck)}"))
            return
        if not keep_sources:
            self.close_sources()
        self._note_failures(recorder, dropped)

    def close_sources(self) -> None:
        """Close the sources, once the run is finished; harmless twice."""
        if not self._stuck:  # an inlet must not be destroyed under a running pull: leave it as it is
            self._acquisition.close()

    def _note_failures(self, recorder: Recorder | None, dropped: int) -> None:
        """A run whose results are not all on the disk has failed, whatever else went well.

        dropped : samples that the recorder could not keep
        """
        problems = self._lost_results + _problems_of(self._sinks, recorder, dropped)
        found = (
            self._work.failure,
            recorder.failure if recorder is not None else None,
            OutputError("; ".join(problems)) if problems else None,
        )
        for problem in found:
            if problem is not None:
                self._workers.fail(problem)

    # ---- commands, from any thread; each raises CommandError where it is refused ----

    def mark(self, text: str) -> str:
        """Write a marker of the operator's; returns when it is on its way into the recording.

        At the end of a run it waits for the next one of the session, with the stamp of this moment.
        """
        if self._operator is None:
            raise CommandError("this session takes no markers of the operator's")
        self._operator.put(text, MARK_S)
        return f"marker {printable(text, 40)!r} written"

    def start_baseline(self) -> str:
        """Begin the person's baseline anew, before the next samples are judged."""
        return self._work.start_baseline()

    def end_baseline(self) -> str:
        """Let the baseline be what was collected so far, where that is enough."""
        return self._work.end_baseline()

    # ---- state ----

    @property
    def markers(self) -> list[tuple[float, str, str]]:
        """The newest markers, oldest first: (local time, text, origin)."""
        return list(self._work.markers_seen)

    @property
    def has_run_dry(self) -> bool:
        """Whether no source will ever give a sample again."""
        return all(stream.source.finished for stream in self._streams.values())

    @property
    def inference_problem(self) -> str:
        """Why there are no estimates any more, "" while there are."""
        return self._work.problem

    @property
    def skipped(self) -> int:
        """Windows that were not judged because inference fell behind."""
        return self._work.skipped

    def snapshot(self) -> Snapshot:
        """The latest state, for a display; safe from any thread."""
        now_s = self._clock()
        problems = [self._work.problem] if self._work.problem else []
        problems += [sink.problem for sink in self._sinks if sink.problem]
        recorder = self._recorder  # may be let go of meanwhile, here and below
        return Snapshot(
            dict(self._latest),
            [self._health(stream, now_s) for stream in self._streams.values()],
            now_s - (self._begun_s if self._session_begun_s is None else self._session_begun_s),
            self._work.chosen,
            recorder.state() if recorder is not None else None,
            problems,
            self.history.newest_markers(TOLD_MARKERS),
        )

    def _health(self, stream: StreamState, now_s: float) -> StreamHealth:
        info = stream.source.info
        return StreamHealth(
            stream.name,
            info.name,
            info.rate_hz,
            stream.measured_hz(self._begun_s) if now_s - stream.last_received_s < RATE_SPAN_S else math.nan,
            stream.ring.total,
            self._work.lost_samples(stream.name),
            now_s - stream.last_received_s,
            stream.problem,
            self._work.bad_channels(stream.name),
            stream.clock_offset_s,
            *self._work.baseline(stream.name),
        )

    def _report(self) -> None:
        """Report the state once a second, and at once when it changed. One thread asks, often."""
        self._tell_disk()
        recorder = self._recorder
        if recorder is not None and recorder.failure is not None:
            self._workers.fail(recorder.failure)  # a full disk is none: it may have room again
        now_s, snapshot = self._clock(), self.snapshot()
        state = signature(snapshot)
        reported_s, before = self._reported
        if state != before or now_s - reported_s >= REPORT_EVERY_S:
            self._reported = (now_s, state)
            self._out.put(self.report(snapshot))

    def report(self, snapshot: Snapshot | None = None) -> StatusReport:
        """The state as a display gets it, now or of a snapshot; safe from any thread."""
        values = status_report(snapshot or self.snapshot(), self._work.heads)
        return StatusReport(self._clock(), time.time(), {**values, **self._about()})

    def _tell_disk(self) -> None:
        """An event when writing begins to fail and when it works again."""
        problem = "; ".join(self._write_problems())
        if problem != self._disk_problem:
            self._disk_problem = problem
            self.event("disk", problem or "files can be written again", {"problem": problem})

    def _write_problems(self) -> list[str]:
        return _problems_of(self._sinks, self._recorder)

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

    def _publish(self, item: Estimate | Event | StatusReport | _Leave) -> None:
        if isinstance(item, _Leave):
            self._sinks = [sink for sink in self._sinks if sink not in item.sinks]
            for sink in item.sinks:
                sink.close()
            item.done.set()
            return
        if isinstance(item, Estimate):
            stamps = replace(item.stamps, published_s=self._clock(), wall_s=time.time())
            item = replace(item, stamps=stamps)
        for sink in self._sinks:
            sink.take(item)
        if isinstance(item, Estimate):
            self.statistics.add(item)
            place = item.modality if self._work.chosen is None else ""
            self._latest[place, item.head] = item
            self.history.add(item, place)
        elif isinstance(item, Event) and item.kind == "marker":
            self.history.mark(item.fields["marker_s"], item.message, item.fields["origin"])


def _problems_of(sinks: Sequence[Sink], recorder: Recorder | None, dropped: int = 0) -> list[str]:
    """What is not on the disk, in words. dropped : samples that the recorder could not keep."""
    problems = [sink.problem for sink in sinks if sink.problem]
    if recorder is None:
        return problems
    if problem := recorder.state().problem:
        problems.append(problem)
    elif dropped and not problems:  # the disk came back too late
        problems.append(f"{recorder.path}: {dropped} samples could not wait for the disk and are lost")
    return problems
