"""Inference of one run: new samples to whoever judges them, and what to publish where there are none.

The thread that does this, for every run of the process, is in ``loops``.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bci_m2s.engine.calls import Calls
from bci_m2s.engine.handover import Handover
from bci_m2s.engine.overload import Overload
from bci_m2s.engine.publisher import Publisher
from bci_m2s.engine.record_only import RecordOnly
from bci_m2s.engine.stream_state import STALE_AFTER_S, StreamState, silent_after_s
from bci_m2s.engine.wake import Wake
from bci_m2s.errors import BciM2sError
from bci_m2s.pipeline.due import Due
from bci_m2s.pipeline.pipeline import Pipeline
from bci_m2s.sources.operator import ORIGIN, OperatorMarkers
from bci_m2s.types import Chunk, Estimate, Event, Status

STALE_EVERY_S = 1.0
LOOK_EVERY_S = 0.1
BEHIND_S = 1.0
WAIT_S = 0.25  # for a whole block
FAILED_EVERY_S = 1.0

Judge = Pipeline | RecordOnly  # what the inference thread feeds


class Inference:
    """What the inference thread does for a run until the readers are done and nothing is left.

    In each round ``prepare``, for each modality ``collect`` and ``complete``, then ``look``.

    Parameters
    ----------
    judge : of the samples; this thread alone uses it, but for its state
    streams : one for each modality of the judge
    markers : marker streams
    publisher : takes estimates and events
    clock : local clock
    stop : set when the session ends; set here when every source has finished
    goes_on : a failed GPU or model ends the estimates but not the session
    former : the pipeline of the run before, which answers while `judge` settles; None for none
    wake : has the inference thread begin a round; set when there is something new

    Attributes
    ----------
    is_alone : whether the thread serves no other run: then samples are worked on as they come, so that
        little is left to do when a window is due. Else whole blocks are waited for, which takes a fraction
        of the processor time, and everybody waits for everybody's.
    due : windows of the newest samples, collected and not yet completed
    overload : whether windows are skipped because the machine is too slow
    readers_done : set when no sample will come any more
    problem : why there are no estimates any more, "" while there are
    failure : what ended them
    """

    def __init__(
        self,
        judge: Judge,
        streams: Mapping[str, StreamState],
        markers: Sequence[StreamState],
        publisher: Publisher,
        clock: Callable[[], float],
        stop: threading.Event,
        goes_on: bool,
        former: Judge | None = None,
        wake: Wake | None = None,
    ) -> None:
        self.judge, self._streams, self.marker_streams = judge, streams, list(markers)
        self._publisher, self._clock, self._stop, self.goes_on = publisher, clock, stop, goes_on
        self._begun_s = clock()
        self._handover: Handover | None = None
        if isinstance(former, Pipeline) and isinstance(judge, Pipeline):
            self._handover = Handover(former, list(streams), clock, publisher.emit)
        self._hop_n = {
            modality: max(1, round(judge.hop_s * stream.source.info.rate_hz))
            for modality, stream in streams.items()
        }
        self._looked_s = -math.inf
        self._stale_reported_s = dict.fromkeys(streams, -math.inf)
        self.wake, self.readers_done = wake or Wake(), threading.Event()
        self.is_alone = True
        self.due: list[Due] = []
        self._asked: list[tuple[Judge, list[Due]]] = []  # the same, by whoever collected them
        self._has_begun, self._failed_said_s = False, -math.inf
        self.given_up = threading.Event()  # what is still to be judged at the end is not waited for
        self.problem = ""
        self.failure: BciM2sError | None = None
        self.overload, self._overrun_windows = Overload(), 0
        self._calls = Calls(self.wake)

    def request(self, work: Callable[[], str]) -> str:
        """Have `work` done before the next samples are judged; any thread. See ``Calls.request``."""
        return self._calls.request(work)

    def add_markers(self, stream: StreamState) -> None:
        """Heed another marker stream; any thread."""
        self.marker_streams.append(stream)

    def start_baseline(self) -> str:
        """Begin the person's baseline again; nobody answers without it. By ``request``."""
        self._handover = None
        return self.judge.start_baseline()

    @property
    def answering(self) -> Judge:
        """Whose answers are published. Any thread."""
        handover = self._handover
        return self.judge if handover is None else handover.former

    @property
    def modalities(self) -> list[str]:
        """In the order in which they are judged."""
        return list(self._streams)

    # ---- the inference thread ----

    def prepare(self) -> None:
        """What takes effect between samples: markers and the operator's commands."""
        if not self._has_begun:
            self._begin()
        self._take_markers()
        self._calls.carry_out(lambda words: self._emit("command_refused", words))

    def _begin(self) -> None:
        self._has_begun, self._begun_s = True, self._clock()
        for modality, stream in self._streams.items():
            info = stream.source.info
            message = f"{modality}: {info.describe()}"
            self._emit("connected", message, modality=modality, uid=info.uid, host=info.host)

    def collect(self, modality: str) -> None:
        """Take what is new of a stream; what is ``due`` then is to be judged and completed."""
        self.due, self._asked = [], []
        stream = self._streams.get(modality)
        if stream is None or self.problem or self.given_up.is_set():
            return
        if not (stream.is_wanted or (stream.cursor.available and self.readers_done.is_set())):
            return  # somebody else's samples woke this thread
        chunk = self._read(modality, stream)
        missed = stream.newly_overrun()
        if missed:
            self._emit("overrun", f"{modality}: inference was too slow for {missed} samples")
            self._overrun_windows += missed // self._hop_n[modality]
        behind = self._clock() - chunk.received_s[0] > BEHIND_S
        for judge in self._judges():
            judge.refuse(modality, stream.problem)
            if missed:
                judge.skip(modality, missed)
            due = judge.collect(modality, chunk, stream.clock_offset_s, newest_only=behind)
            self._asked.append((judge, due))
            self.due += due
        stream.wanted_n = 1 if self.is_alone else self._wanted_n(modality)
        if stream.is_wanted:  # what came meanwhile: its reader went by the number before
            self.wake.set()

    def _wanted_n(self, modality: str) -> int:
        """Samples until a block of anybody who judges is complete, but a moment's at most."""
        most = max(1, int(WAIT_S * self._streams[modality].source.info.rate_hz))
        return min(most, *(judge.missing_n(modality) for judge in self._judges()))

    def complete(self, modality: str) -> None:
        """Publish what was made of the windows that were judged. Raises what the network failed with."""
        asked, self.due, self._asked = self._asked, [], []
        if asked:
            self._publish(modality, [judge.complete(due) for judge, due in asked])

    def look(self) -> bool:
        """What the clock brings; false when the run is over, its last words said."""
        if self.problem:
            return self._look_without()
        self._look_for_silence()
        self._look_for_overload()
        if self._nothing_left() and self.all_finished():
            self._stop.set()
        if self.readers_done.is_set() and (self._nothing_left() or self.given_up.is_set()):
            self._end()
            return False
        return True

    def _end(self) -> None:
        self.prepare()  # markers that came at the end
        self._calls.end("the session has ended, or a recording is about to begin: then try again")
        self._emit("stopped", "engine stopped")

    def go_on_without(self, problem: BciM2sError) -> None:
        """The GPU or the model failed: a recording goes on without estimates, anything else ends."""
        self.failure, self.problem = problem, str(problem)
        self.due, self._asked, self._failed_said_s = [], [], self._clock()
        self._emit("inference_failed", self.problem)
        if not self.goes_on:
            self._stop.set()
        self._calls.end(f"there are no more estimates: {self.problem}")

    def _look_without(self) -> bool:
        """As ``look``, where there are no more estimates."""
        if self._stop.is_set():
            self._end()
            return False
        if self._clock() - self._failed_said_s >= FAILED_EVERY_S:
            self._failed_said_s = self._clock()
            for modality in self._streams:
                self._put_none(modality, Status.FAILED, self.problem)
            if self.all_finished():
                self._stop.set()
        return True

    def _nothing_left(self) -> bool:
        return all(stream.cursor.available == 0 for stream in self._streams.values())

    def all_finished(self) -> bool:
        """Whether no source will ever give a sample again."""
        return all(stream.source.finished for stream in self._streams.values())

    def _judges(self) -> list[Judge]:
        """Whoever judges the samples: with a handover both pipelines."""
        handover = self._handover
        return [self.judge] if handover is None else [self.judge, handover.former]

    def _publish(self, modality: str, made: Sequence[list[Estimate]]) -> None:
        """made : by each of those who judge"""
        handover = self._handover
        published = made[0] if handover is None else handover.published(modality, made[1], made[0])
        if published is made[0]:
            for estimate in published:
                self._publisher.put(estimate)
        else:
            self._publisher.put_apart(made[0], published)
        if handover is not None and handover.is_over:
            self._handover = None

    def _read(self, modality: str, stream: StreamState) -> Chunk:
        """What is new. After a moment's delay little by little, so that no stream gets ahead of the others:
        where one is chosen of them, the others would seem to have stopped.
        """
        hop_n = self._hop_n[modality]
        if hop_n < stream.cursor.available < BEHIND_S * stream.source.info.rate_hz:
            self.wake.set()
            return stream.cursor.read(hop_n)
        return stream.cursor.read()

    def _put_none(self, modality: str, status: Status, reason: str) -> None:
        made = [judge.no_estimates(modality, status, reason) for judge in self._judges()]
        self._publish(modality, made)

    def _look_for_silence(self) -> None:
        now_s = self._clock()
        if now_s - self._looked_s >= LOOK_EVERY_S:
            self._looked_s = now_s
            for modality, stream in self._streams.items():
                self._report_stale(modality, stream, now_s)

    @property
    def windows(self) -> tuple[int, int]:
        """How many could have been judged so far, and how many of these were skipped. Any thread."""
        judge, lost = self.judge, self._overrun_windows
        return judge.judgeable + lost, judge.judgeable_skipped + lost

    def _look_for_overload(self) -> None:
        due, skipped = self.windows
        if words := self.overload.look(self._clock(), due, skipped):
            kind = "overloaded" if self.overload.words else "keeps_up"
            self._emit(kind, words, windows=due, skipped=skipped)

    def _report_stale(self, modality: str, stream: StreamState, now_s: float) -> None:
        """Once per second, report that a stream is silent: estimates of its own, never an old answer.

        Samples whose stamps are no numbers make no window either; they are silence that is recorded.
        """
        silent_s = stream.silent_s(now_s, self._begun_s)
        age = f"signal {silent_s:.1f} s old"
        unplaced_s = self.judge.state(modality).unplaced_s
        if unplaced_s > silent_s:
            silent_s, age = unplaced_s, f"stamps unusable for {unplaced_s:.1f} s"
        reported_s = self._stale_reported_s[modality]
        allowed_s = silent_after_s(stream.source.info.rate_hz, STALE_AFTER_S)
        if silent_s < allowed_s or now_s - reported_s < STALE_EVERY_S or stream.source.finished:
            return
        self._stale_reported_s[modality] = now_s
        reason = age + (f"; {stream.problem}" if stream.problem else "")
        self._put_none(modality, Status.STALE, reason)
        if reported_s < now_s - silent_s:  # this silence was not reported before
            self._emit("stale", f"{modality}: {reason}", modality=modality)

    def _take_markers(self) -> None:
        for stream in filter(lambda stream: stream.cursor.available, [*self.marker_streams]):
            chunk = stream.cursor.read()
            if missed := stream.newly_overrun():
                self._emit("overrun", f"markers: inference was too slow for {missed} of them")
            offset_s = 0.0 if math.isnan(stream.clock_offset_s) else stream.clock_offset_s  # at first
            origin = ORIGIN if isinstance(stream.source, OperatorMarkers) else stream.source.info.name
            for stamp_s, text in stream.markers.take(chunk.times, chunk.samples):
                for judge in {self.judge, self.answering}:
                    judge.take_marker(stamp_s + offset_s, text, origin)

    def _emit(self, kind: str, message: str, **fields: Any) -> None:
        self._publisher.emit(Event(kind, message, fields=fields))
