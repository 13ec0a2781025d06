"""Status reports: what a run knows of itself, once per second and at once when it changed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from bci_m2s.engine.health import Snapshot, StreamHealth, signature, status_report
from bci_m2s.engine.inference import Inference
from bci_m2s.engine.publisher import Publisher, write_problems
from bci_m2s.engine.stream_state import RATE_SPAN_S, StreamState
from bci_m2s.types import Event, StatusReport

if TYPE_CHECKING:
    from bci_m2s.recording.recorder import Recorder

REPORT_EVERY_S = 1.0
REPORTED_MARKERS = 20


class Reporter:
    """Describes a run. Every method but ``tick`` may be called by any thread.

    Parameters
    ----------
    streams : by modality
    inference : whose state is reported
    publisher : takes the reports, and knows the latest results
    clock : local clock
    recorder : None where nothing is recorded
    about : further entries of every status report
    begun_s : when the session began, local clock

    Attributes
    ----------
    recorder : set to None once nothing is recorded any more
    """

    def __init__(
        self,
        streams: Mapping[str, StreamState],
        inference: Inference,
        publisher: Publisher,
        clock: Callable[[], float],
        recorder: Recorder | None,
        about: Callable[[], Mapping[str, object]],
        begun_s: float,
    ) -> None:
        self._streams, self._inference, self._publisher = streams, inference, publisher
        self._clock, self.recorder, self._about, self._begun_s = clock, recorder, about, begun_s
        self._disk_problem = ""
        self._reported: tuple[float, object] = (-math.inf, None)  # when, and what stood then

    def snapshot(self) -> Snapshot:
        """The latest state, for a display."""
        now_s, recorder = self._clock(), self.recorder  # the recorder may be let go of meanwhile
        inference = self._inference
        problems = [
            inference.problem,
            inference.overload.words,
            *(sink.problem for sink in self._publisher.sinks),
        ]
        problems += [
            f"markers {stream.source.info.name!r}: {stream.problem}"
            for stream in self._inference.marker_streams
            if stream.problem
        ]
        return Snapshot(
            dict(self._publisher.latest),
            [self._health(stream, now_s) for stream in self._streams.values()],
            now_s - self._begun_s,
            self._inference.answering.chosen,
            recorder.state() if recorder is not None else None,
            [problem for problem in problems if problem],
            self._publisher.history.newest_markers(REPORTED_MARKERS),
        )

    def report(self, snapshot: Snapshot | None = None) -> StatusReport:
        """The state as a display gets it, now or of a snapshot."""
        values = status_report(snapshot or self.snapshot(), self._inference.judge.heads)
        return StatusReport(self._clock(), time.time(), {**values, **self._about()})

    def tick(self) -> None:
        """Publish a report where one is due. One thread calls this, often."""
        self._report_disk()
        now_s, snapshot = self._clock(), self.snapshot()
        state = signature(snapshot)
        reported_s, before = self._reported
        if state != before or now_s - reported_s >= REPORT_EVERY_S:
            self._reported = (now_s, state)
            self._publisher.put(self.report(snapshot))

    def _health(self, stream: StreamState, now_s: float) -> StreamHealth:
        silent_s = now_s - stream.last_received_s
        info, state = stream.source.info, self._inference.judge.state(stream.name)
        measured_hz = stream.measured_hz() if silent_s < RATE_SPAN_S else math.nan
        if state.on_grid and not math.isnan(measured_hz):
            measured_hz = info.rate_hz  # however often its samples come
        return StreamHealth(
            stream.name,
            info.name,
            info.rate_hz,
            measured_hz,
            stream.ring.total,
            state.lost_samples,
            silent_s,
            stream.problem,
            state.bad_channels,
            stream.clock_offset_s,
            state.baseline,
            state.baseline_left_s,
            state.drift,
        )

    def _report_disk(self) -> None:
        """An event when writing begins to fail and when it works again."""
        problem = "; ".join(write_problems(self._publisher.sinks, self.recorder))
        if problem != self._disk_problem:
            self._disk_problem = problem
            message = problem or "files can be written again"
            self._publisher.emit(Event("disk", message, fields={"problem": problem}))
