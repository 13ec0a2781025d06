"""The inference thread of a live session: new samples through the pipeline, and what to say without."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from bci_m2s.engine.calls import Calls
from bci_m2s.engine.stream_state import STALE_AFTER_S, StreamState
from bci_m2s.errors import BciM2sError, DeviceError, ModelError
from bci_m2s.pipeline.pipeline import Pipeline
from bci_m2s.sources.operator import ORIGIN, OperatorMarkers
from bci_m2s.types import Chunk, Estimate, Event, Status

BEHIND_S = 1.0
MOST_MARKERS = 10_000


class Inference:
    """What the inference thread does until the readers are done and nothing is left.

    Parameters
    ----------
    pipeline : chunks to estimates; this thread alone uses it
    streams : one for each modality of the pipeline
    markers : of the marker streams
    put : takes estimates and events
    clock : local clock
    stop : set when the session ends; set by this thread when every source has finished
    goes_on : a failed GPU or model ends the estimates but not the session

    Attributes
    ----------
    wake : set by a reader when there is something new
    readers_done : set when no sample will come any more
    problem : why there are no estimates any more, "" while there are
    failure : what ended them
    markers_seen : (local time, text, origin) of the newest markers; origin: ``ORIGIN`` or the stream's name
    """

    def __init__(
        self,
        pipeline: Pipeline,
        streams: Mapping[str, StreamState],
        markers: Sequence[StreamState],
        put: Callable[[Estimate | Event], None],
        clock: Callable[[], float],
        stop: threading.Event,
        goes_on: bool,
    ) -> None:
        self._pipeline, self._streams, self._marker_streams = pipeline, streams, markers
        self._put, self._clock, self._stop, self.goes_on = put, clock, stop, goes_on
        self._begun_s = clock()
        self._hop_n = {
            modality: max(1, round(pipeline.hop_s * stream.source.info.rate_hz))
            for modality, stream in streams.items()
        }
        self._stale_told_s = dict.fromkeys(streams, -math.inf)
        self.wake, self.readers_done = threading.Event(), threading.Event()
        self.heads = pipeline.heads
        self.problem = ""
        self.failure: BciM2sError | None = None
        self.markers_seen: deque[tuple[float, str, str]] = deque(maxlen=MOST_MARKERS)
        self._calls = Calls(self.wake)

    @property
    def chosen(self) -> str | None:
        """What estimates come from now, see ``Pipeline.chosen``."""
        return self._pipeline.chosen

    @property
    def skipped(self) -> int:
        """Windows that were not judged because inference fell behind."""
        return sum(self._pipeline.skipped.values())

    def lost_samples(self, modality: str) -> int:
        """Samples missing in the gaps of a stream, by the stamps."""
        return self._pipeline.stages[modality].lost_samples

    def bad_channels(self, modality: str) -> dict[str, str]:
        """State of each channel that is not good now, by label."""
        return self._pipeline.stages[modality].bad_channels

    def baseline(self, modality: str) -> tuple[str, float]:
        """State of a person's baseline and what is left, s: see ``ModalityStage.baseline``."""
        return self._pipeline.stages[modality].baseline

    def start_baseline(self) -> str:
        """Begin a new baseline before the next samples are judged; any thread. Raises CommandError."""
        return self._calls.request(self._pipeline.start_baseline)

    def end_baseline(self) -> str:
        """End the baseline before the next samples are judged; any thread. Raises CommandError."""
        return self._calls.request(self._pipeline.end_baseline)

    def run(self) -> None:
        """The thread's work."""
        self._begun_s = self._clock()
        self._say("started", "engine started")
        for modality, stream in self._streams.items():
            info = stream.source.info
            fields = {"modality": modality, "uid": info.uid, "host": info.host}
            self._say("connected", f"{modality}: {info.describe()}", fields)
        self._forward_events()
        try:
            while not (self.readers_done.is_set() and self._nothing_left()):
                self.wake.wait(0.1)
                self.wake.clear()
                self._carry_out()
                for modality, stream in self._streams.items():
                    self._advance(modality, stream)
                    self._tell_stale(modality, stream)
                if self._all_finished():
                    self._stop.set()
        except (DeviceError, ModelError) as problem:
            self._go_on_without(problem)
        self._carry_out()  # markers that came at the end
        self._calls.end("the session has ended, or a recording is about to begin: then try again")
        self._say("stopped", "engine stopped")

    def _go_on_without(self, problem: BciM2sError) -> None:
        """The GPU or the model failed: a recording goes on without estimates, anything else ends."""
        self.failure, self.problem = problem, str(problem)
        self._say("inference_failed", self.problem)
        if not self.goes_on:
            self._stop.set()
        self._calls.end(f"there are no estimates any more: {self.problem}")
        while not self._stop.wait(1.0):
            for modality in self._streams:
                self._put_none(modality, Status.FAILED, self.problem)
            self._take_markers()
            self._forward_events()
            if all(stream.source.finished for stream in self._streams.values()):
                self._stop.set()

    def _nothing_left(self) -> bool:
        return all(stream.cursor.available == 0 for stream in self._streams.values())

    def _all_finished(self) -> bool:
        return self._nothing_left() and all(stream.source.finished for stream in self._streams.values())

    def _advance(self, modality: str, stream: StreamState) -> None:
        chunk = self._read(modality, stream)
        if not len(chunk):
            return
        stage = self._pipeline.stages[modality]
        self._pipeline.clock_offset_s[modality] = stream.clock_offset_s
        stage.refuse(stream.problem)
        if stream.cursor.lost > stream.overrun:
            missed, stream.overrun = stream.cursor.lost - stream.overrun, stream.cursor.lost
            self._say("overrun", f"{modality}: inference was too slow for {missed} samples")
            stage.skip(missed)
        behind = self._clock() - chunk.received_s[0] > BEHIND_S
        for estimate in self._pipeline.push(modality, chunk, newest_only=behind):
            self._put(estimate)
        self._forward_events()

    def _read(self, modality: str, stream: StreamState) -> Chunk:
        """What is new. After a moment's delay little by little, so that no stream gets ahead of the others:
        where one is chosen of them, the others would seem to have stopped.
        """
        hop_n = self._hop_n[modality]
        if hop_n < stream.cursor.available < BEHIND_S * stream.source.info.rate_hz:
            self.wake.set()
            return stream.cursor.read(hop_n)
        return stream.cursor.read()

    def _forward_events(self) -> None:
        for event in self._pipeline.events():
            self._put(replace(event, local_s=self._clock(), wall_s=time.time()))

    def _put_none(self, modality: str, status: Status, reason: str) -> None:
        for estimate in self._pipeline.no_estimates(modality, status, reason):
            self._put(estimate)

    def _tell_stale(self, modality: str, stream: StreamState) -> None:
        """Once a second, say that a stream is silent: estimates of its own, never an old answer.

        Samples whose stamps are no numbers make no window either; they are silence that is recorded.
        """
        now_s = self._clock()
        silent_s = stream.silent_s(now_s, self._begun_s)
        stage = self._pipeline.stages[modality]
        unplaced_s = (stage.samples - stage.placed) / stage.info.rate_hz - stage.hop_s
        age = f"signal {silent_s:.1f} s old"
        if unplaced_s > silent_s:
            silent_s, age = unplaced_s, f"stamps unusable for {unplaced_s:.1f} s"
        if silent_s < STALE_AFTER_S or now_s - self._stale_told_s[modality] < 1.0 or stream.source.finished:
            return
        first = self._stale_told_s[modality] < now_s - silent_s
        self._stale_told_s[modality] = now_s
        reason = age + (f"; {stream.problem}" if stream.problem else "")
        self._put_none(modality, Status.STALE, reason)
        if first:
            self._say("stale", f"{modality}: {reason}", {"modality": modality})
        self._forward_events()

    def _carry_out(self) -> None:
        """What takes effect between samples: markers and the operator's commands."""
        self._take_markers()
        self._calls.carry_out(lambda words: self._say("command_refused", words))
        self._forward_events()

    def _take_markers(self) -> None:
        for stream in self._marker_streams:
            chunk = stream.cursor.read()
            if stream.cursor.lost > stream.overrun:
                missed, stream.overrun = stream.cursor.lost - stream.overrun, stream.cursor.lost
                self._say("overrun", f"markers: inference was too slow for {missed} of them")
            offset_s = (
                0.0 if math.isnan(stream.clock_offset_s) else stream.clock_offset_s
            )  # unknown at first
            origin = ORIGIN if isinstance(stream.source, OperatorMarkers) else stream.source.info.name
            for stamp, row in zip(chunk.times, chunk.samples, strict=True):
                local_s = float(stamp) + offset_s
                text = str(row[0])
                self.markers_seen.append((local_s, text, origin))
                self._pipeline.take_marker(local_s, text, origin)

    def _say(self, kind: str, message: str, fields: Mapping[str, object] | None = None) -> None:
        self._put(Event(kind, message, self._clock(), time.time(), dict(fields or {})))
