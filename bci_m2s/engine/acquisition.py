"""Samples in: one reader thread per inlet, and what is asked of senders, counted and reported.

A reader pulls, hands the raw chunk to the recorder, copies it into its ring and wakes whoever waits. The
thread that asks for clocks and for who sends serves all streams of all runs, every call of it with a time
limit; no report waits for a sender that does not answer.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from bci_m2s.engine.stream_state import StreamState
from bci_m2s.engine.workers import Workers
from bci_m2s.lsl.formats import sent_stamps_info
from bci_m2s.types import Chunk, Emit, Event, FloatArray

if TYPE_CHECKING:
    from bci_m2s.engine.loops import Loops
    from bci_m2s.recording.recorder import Recorder

PULL_S = 0.2  # longest wait in a pull, and so the longest that a stop waits for a reader
CLOCK_EVERY_S = 2.0


class Acquisition:
    """Reads every stream until the workers stop.

    Parameters
    ----------
    streams : streams, opened
    clock : local clock
    workers : whose stop ends all of this
    loops : whose threads ask senders and report
    emit : gets events about senders
    tick : called a few times per second by one thread, which asks nobody
    recorder : gets every chunk as received, and every clock offset as measured
    """

    def __init__(
        self,
        streams: Sequence[StreamState],
        clock: Callable[[], float],
        workers: Workers,
        loops: Loops,
        emit: Emit,
        tick: Callable[[], None],
        recorder: Recorder | None = None,
    ) -> None:
        self._streams, self._clock, self._workers, self._emit = list(streams), clock, workers, emit
        self._loops, self._tick, self._recorder = loops, tick, recorder
        self._asked_s: dict[int, float] = {}  # when a stream's sender last told its clock
        self._readers: list[threading.Thread] = []
        self._starting, self._is_started = threading.Lock(), False

    @property
    def streams(self) -> Sequence[StreamState]:
        """Every stream that is read."""
        return self._streams

    def start(self) -> None:
        """Announce the streams to the recorder and start the threads."""
        with self._starting:
            for stream in self._streams:
                self._announce(stream)
            self._workers.serve(self._loops.senders, self._ask)
            self._workers.serve(self._loops.reports, self._count)
            for stream in self._streams:
                self._start_reader(stream)
            self._is_started = True

    def add(self, stream: StreamState) -> None:
        """Read another stream too; any thread."""
        with self._starting:
            # after the stop nobody would wait for its reader; a take that follows reads it
            if self._is_started and not self._workers.stop.is_set():
                self._announce(stream)
                self._start_reader(stream)
            self._streams.append(stream)

    def _announce(self, stream: StreamState) -> None:
        recorder = self._recorder
        if recorder is not None:
            stream.recorded_as = recorder.add_stream(stream.source.info, stream.source.description_xml)
            stream.stamps_recorded_as = -1

    def _start_reader(self, stream: StreamState) -> None:
        self._readers.append(self._workers.start(f"reader-{stream.source.info.name}", self._read, stream))

    def join_readers(self) -> None:
        """After the stop: wait until no sample comes any more."""
        with self._starting:
            readers = [*self._readers]
        for thread in readers:
            thread.join(PULL_S + 0.3)

    def stop_recording(self) -> None:
        """Hand nothing more to the recorder; a chunk may be on its way still. Everything else goes on."""
        self._recorder = None

    def close(self) -> None:
        """Close every source. No thread may run any more: an inlet dies hard under a running pull."""
        for stream in self._streams:
            stream.source.close()

    def _read(self, stream: StreamState) -> None:
        source, wake, stop = stream.source, self._loops.inference.wake, self._workers.stop
        while not stop.is_set():
            chunk = source.pull(PULL_S)
            if not len(chunk):
                if source.finished:
                    return
                continue
            recorder = self._recorder  # whoever stops the recording sets it to None, once
            if recorder is not None:
                recorder.samples(stream.recorded_as, chunk)
                if chunk.sent_s is not None:
                    self._record_stamps(recorder, stream, chunk.times, chunk.sent_s)
            stream.write(chunk)
            if stream.is_wanted:
                wake.set()

    def _record_stamps(
        self, recorder: Recorder, stream: StreamState, times: FloatArray, sent_s: FloatArray
    ) -> None:
        """Keep what the sender stamped beside samples that were stamped on arrival."""
        if stream.stamps_recorded_as < 0:
            stream.stamps_recorded_as = recorder.add_stream(sent_stamps_info(stream.source.info))
        recorder.samples(stream.stamps_recorded_as, Chunk.of(times, sent_s[:, None]))

    def _count(self) -> bool:
        """By the thread that reports."""
        if self._workers.stop.is_set():
            return False
        for stream in self._streams:
            stream.count()
        self._tick()
        return True

    def _ask(self) -> bool:
        """By the thread that asks senders."""
        stop, asked_s = self._workers.stop, self._asked_s
        for number, stream in enumerate(self._streams):
            is_due = self._clock() - asked_s.get(number, -math.inf) >= CLOCK_EVERY_S
            if not stop.is_set() and is_due and self._ask_clock(stream):
                asked_s[number] = self._clock()  # else soon again: liblsl needs a moment at first
        for stream in self._streams:
            self._ask_sender(stream)
        return not stop.is_set()

    def _ask_clock(self, stream: StreamState) -> bool:
        offset_s = stream.source.clock_offset_s(PULL_S)
        if math.isnan(offset_s):
            return False
        stream.clock_offset_s = offset_s
        recorder = self._recorder
        if recorder is not None:
            recorder.clock_offset(stream.recorded_as, self._clock(), offset_s)
        return True

    def _ask_sender(self, stream: StreamState) -> None:
        problem = stream.source.problem()
        if problem != stream.problem:
            stream.problem = problem
            message = (
                f"{stream.name}: {problem or 'the sender is the one that was opened, or its successor'}"
            )
            self._report_sender(message, modality=stream.name, problem=problem)
        for notice in stream.source.notices():
            self._report_sender(f"{stream.name}: {notice}", modality=stream.name)

    def _report_sender(self, message: str, **fields: Any) -> None:
        self._emit(Event("sender", message, fields=fields))
