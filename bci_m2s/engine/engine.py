"""The live engine: what of a run is done by which thread, and how it ends.

One reader thread per inlet is the run's own; one that asks senders and one that reports (``acquisition``),
one for inference (``inference``) and one that owns result files and outlets (``publisher``) may serve other
runs too (``loops``). The recorder and the evidence have threads of their own, because a disk or a GPU may
block for seconds. An exception in anything that is done for this run ends it, and no other: what is queued
is finished, files are closed, and ``failure`` holds it. Only a failed GPU or model does not end a session
that is being recorded: there are no estimates any more, the recording goes on. What each thread may lose is
in ``docs/architecture.md``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from bci_m2s.engine.acquisition import Acquisition
from bci_m2s.engine.inference import Inference, Judge
from bci_m2s.engine.loops import Job, Loops
from bci_m2s.engine.overload import Overload
from bci_m2s.engine.publisher import Publisher, write_problems
from bci_m2s.engine.reporter import Reporter
from bci_m2s.engine.stream_state import StreamState
from bci_m2s.engine.workers import Workers
from bci_m2s.errors import CommandError, OutputError
from bci_m2s.pipeline.pipeline import Pipeline
from bci_m2s.sinks import Sink
from bci_m2s.sources import Source
from bci_m2s.sources.operator import OperatorMarkers
from bci_m2s.text import printable
from bci_m2s.types import Event

if TYPE_CHECKING:
    from bci_m2s.engine.evidence import Evidence
    from bci_m2s.recording.recorder import Recorder

JOIN_S = 20.0  # the recording is whole by then; a slow machine may be in the middle of 30 s of signal
INFERENCE_END_S = 0.8  # a stop waits so long for windows under way; then the recording is closed without
WRITER_END_S = 0.4
RECORDER_END_S = 5.0
EVIDENCE_END_S = 0.5
RELEASE_S = 2.0
MARK_S = 3.0  # a reader takes a marker at once; while takes change it waits for the next one's reader


class Engine:
    """Runs a pipeline on live sources, or only records them.

    Parameters
    ----------
    judge : a ``Pipeline`` that emits into `publisher`, or ``RecordOnly``
    sources : opened, one for each modality of the judge
    publisher : with its sinks attached
    clock : local clock, the same that stamps ``Chunk.received_s``
    markers : opened sources of text markers, the operator's among them (``OperatorMarkers``)
    recorder : not started yet; gets every stream as received
    evidence : computes what estimates rest on; belongs to the caller, who closes it
    about : further entries of every status report
    begun_s : when the session began that this run is a part of, local clock; None: with this run
    others : opened sources that are only recorded
    before : the session's run before, finished: what answered there goes on while `judge` settles
    loops : threads that serve other runs too; None for threads of its own

    Attributes
    ----------
    reporter : describes the state of the run, for a display
    clock : the local clock
    """

    def __init__(
        self,
        judge: Judge,
        sources: Mapping[str, Source],
        publisher: Publisher,
        clock: Callable[[], float],
        markers: Sequence[Source] = (),
        recorder: Recorder | None = None,
        evidence: Evidence | None = None,
        about: Callable[[], Mapping[str, object]] = dict,
        begun_s: float | None = None,
        others: Sequence[Source] = (),
        before: Engine | None = None,
        loops: Loops | None = None,
    ) -> None:
        self._loops, self._has_own_loops = loops or Loops(), loops is None
        publisher.wake = self._loops.writer.wake
        self.publisher, self._recorder, self._evidence = publisher, recorder, evidence
        self.clock = clock
        self._streams = {name: StreamState(source, name) for name, source in sources.items()}
        marker_streams = [StreamState(source, "markers") for source in markers]
        self._operator = next((source for source in markers if isinstance(source, OperatorMarkers)), None)
        self._workers = Workers()
        if evidence is not None and isinstance(judge, Pipeline):
            judge.on_judged = evidence.offer
        stop, wake, is_recording = self._workers.stop, self._loops.inference.wake, recorder is not None
        former = before.answering if before is not None else None
        self._inference = Inference(
            judge, self._streams, marker_streams, publisher, clock, stop, is_recording, former, wake
        )
        session_begun_s = clock() if begun_s is None else begun_s
        self.reporter = Reporter(
            self._streams, self._inference, publisher, clock, recorder, about, session_begun_s
        )
        every = [*self._streams.values(), *marker_streams]
        every += [StreamState(source, "other") for source in others]
        if before is not None:  # else answers would be without a time until clocks are compared again
            known = {id(stream.source): stream.clock_offset_s for stream in before._acquisition.streams}
            for stream in every:
                stream.clock_offset_s = known.get(id(stream.source), math.nan)
        self._acquisition: Acquisition = Acquisition(
            every,
            clock,
            self._workers,
            self._loops,
            publisher.emit,
            self._tick,
            recorder,
        )
        self._writing: Job | None = None  # None until started
        self._inferring: Job | None = None
        self._is_stuck = False
        self._lost_results: list[str] = []  # of files that were let go of before the end

    # ---- life ----

    @property
    def failure(self) -> BaseException | None:
        """What went wrong first, None while nothing did."""
        return self._workers.failure

    @property
    def inference_problem(self) -> str:
        """Why there are no estimates any more, "" while there are."""
        return self._inference.problem

    @property
    def answering(self) -> Judge:
        """The pipeline whose answers are published: its own, or while that settles the one before it."""
        return self._inference.answering

    @property
    def has_run_dry(self) -> bool:
        """Whether no source will ever give a sample again."""
        return self._inference.all_finished()

    @property
    def skipped(self) -> int:
        """Windows that were not judged because inference fell behind."""
        return sum(self._inference.judge.skipped.values())

    @property
    def overload(self) -> Overload:
        """Whether windows are skipped because the machine is too slow."""
        return self._inference.overload

    @property
    def windows(self) -> tuple[int, int]:
        """How many could have been judged so far, and how many of these were skipped."""
        return self._inference.windows

    def start(self) -> None:
        """Read, judge and publish from now on. Sources are open already, so that they could be checked."""
        if self._recorder is not None:
            self._recorder.start()
        self._acquisition.start()
        workers, loops = self._workers, self._loops
        self._writing = workers.serve(loops.writer, self.publisher.step)
        inferring = loops.inference.serve(self._inference, workers.fail)
        self._inferring = workers.follow(loops.inference.name, inferring)
        if self._evidence is not None:
            self._evidence.start(self._workers.stop, self.publisher.emit)

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
        self.publisher.emit(Event("recording_stopped", f"recording of {recorder.path.name} ends here"))
        # a writer that hangs must not keep the file from being closed
        self.publisher.release(files, RELEASE_S)
        self._acquisition.stop_recording()
        self._recorder, self.reporter.recorder, self._inference.goes_on = None, None, False
        dropped = recorder.state().lost_samples  # what comes from now on is not meant
        recorder.close(RECORDER_END_S)
        self._lost_results += write_problems(files, recorder, dropped)
        if self._lost_results:
            raise OutputError("; ".join(self._lost_results))

    def finish(self, keep_sources: bool = False) -> None:
        """Stop in the order in which data flows, wait until all is done, then close the sources.

        The recording is whole within two seconds, even where the network or a device hangs. With
        `keep_sources` another engine can go on with them, or ``close_sources`` ends them.
        """
        workers, recorder = self._workers, self._recorder
        workers.stop.set()
        self._acquisition.join_readers()
        self._inference.readers_done.set()
        self._loops.wake()
        if self._inferring is not None:
            self._inferring.done.wait(INFERENCE_END_S)
        self._inference.given_up.set()
        self.publisher.complete()
        if self._writing is not None:
            self._writing.done.wait(WRITER_END_S)
        dropped = 0
        if recorder is not None:
            dropped = recorder.state().lost_samples  # what comes after the end is not meant
            recorder.close(RECORDER_END_S)
        if self._evidence is not None:
            self._evidence.join(EVIDENCE_END_S)
        self._loops.wake()
        stuck = workers.join(JOIN_S)
        if self._has_own_loops:
            self._loops.close()
        if stuck:
            self._is_stuck = True
            workers.fail(RuntimeError(f"threads did not end: {', '.join(stuck)}"))
            return
        if self._has_own_loops:
            self._loops.join(JOIN_S)
        if not keep_sources:
            self.close_sources()
        self._note_failures(recorder, dropped)

    def close_sources(self) -> None:
        """Close the sources, once the run is finished; harmless twice."""
        if not self._is_stuck:  # an inlet must not be destroyed under a running pull: leave it as it is
            self._acquisition.close()

    def _note_failures(self, recorder: Recorder | None, dropped: int) -> None:
        """A run whose results are not all on the disk has failed, whatever else went well.

        dropped : samples that the recorder could not keep
        """
        lost = self._lost_results + write_problems(self.publisher.sinks, recorder, dropped)
        failures = (
            self._inference.failure,
            recorder.failure if recorder is not None else None,
            OutputError("; ".join(lost)) if lost else None,
        )
        for failure in failures:
            if failure is not None:
                self._workers.fail(failure)

    def _tick(self) -> None:
        recorder = self._recorder
        if recorder is not None and recorder.failure is not None:
            self._workers.fail(recorder.failure)  # a full disk is none: it may have room again
        self.reporter.tick()

    def add(self, source: Source, is_markers: bool) -> None:
        """Read another opened source from now on, as markers or only to record it. Any thread."""
        stream = StreamState(source, "markers" if is_markers else "other")
        self._acquisition.add(stream)
        if is_markers:
            self._inference.add_markers(stream)

    # ---- commands, from any thread; each raises CommandError where it is refused ----

    def mark(self, text: str, at_s: float | None = None) -> str:
        """Write a marker of the operator's; returns when it is on its way into the recording.

        at_s : the moment that it marks, local clock; None for now

        At the end of a run it waits for the next one of the session, with the stamp of this moment.
        """
        if self._operator is None:
            raise CommandError("this session takes no markers from the operator")
        self._operator.put(text, MARK_S, at_s)
        return f"marker {printable(text, 40)!r} written"

    def start_baseline(self) -> str:
        """Begin the person's baseline again, before the next samples are judged."""
        return self._inference.request(self._inference.start_baseline)

    def end_baseline(self) -> str:
        """Let the baseline be what was collected so far, where that is enough."""
        return self._inference.request(self._inference.judge.end_baseline)
