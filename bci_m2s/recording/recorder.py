"""The recorder: everything that arrives, in one XDF file, written by a thread of its own.

Nobody waits for that thread, since a disk may block for seconds; ``fsync`` has another one because it
blocks longest. The queue loses nothing up to a limit of memory; ``lost_samples`` counts the rest.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci_m2s.files.append_file import MOST_WAITING_BYTES, Sync
from bci_m2s.recording.disk import STAMP_BYTES, Growth
from bci_m2s.recording.xdf_writer import XdfWriter, check_samples, sample_record
from bci_m2s.types import Chunk, FloatArray, StreamInfo

FLUSH_S = 0.2  # with the duration of a flush, below the half second that a kill may lose
SYNC_S = 1.0
SYNC_JOIN_S = 2.0
CHUNK_BYTES = 500  # what a waiting chunk costs beside its samples
MOST_CHUNK_BYTES = 1 << 20  # one Samples chunk; what is damaged by one bad byte stays small


@dataclass(frozen=True, slots=True)
class RecorderState:
    """The recorder now.

    waiting_bytes : in memory only, on their way
    lost_samples : dropped because too much waited, or after the end
    problem : why nothing can be written now; "" without a problem
    free_bytes : free space; NaN when not known
    seconds_left : until the disk is full at the present rate; NaN when not known
    elapsed_s : since the recording began
    """

    path: Path
    bytes_written: int
    samples_written: int
    waiting_bytes: int
    lost_samples: int
    problem: str
    free_bytes: float
    seconds_left: float
    elapsed_s: float = 0.0


@dataclass(frozen=True, slots=True)
class _Samples:
    stream: int
    times: FloatArray
    samples: NDArray[Any]
    n_bytes: int


class Recorder:
    """Writes streams to a new XDF file. Every method may be called by any thread.

    Parameters
    ----------
    path : must not exist
    clock : local clock, the same that stamps ``Chunk.received_s``
    most_waiting_bytes : memory for data that wait for the disk; beyond it samples are dropped
    sync : waits until a descriptor's file is on the disk; replaced to simulate a slow disk

    Attributes
    ----------
    failure : the error that ended a thread of the recorder; None without one

    Raises
    ------
    OutputError
        When the file exists or cannot be created.
    """

    def __init__(
        self,
        path: Path,
        clock: Callable[[], float],
        most_waiting_bytes: int = MOST_WAITING_BYTES,
        sync: Sync = os.fsync,
    ) -> None:
        self.path, self.clock = path, clock
        self._begun_s = clock()
        self.failure: BaseException | None = None
        self._most_waiting_bytes = most_waiting_bytes
        # ``samples`` checks the limit: the writer's own is wider. Only the thread uses it after ``start``.
        self._writer = XdfWriter(path, 2 * most_waiting_bytes, sync)
        self._lock = threading.Lock()  # guards what follows, up to the empty line
        self._queue: deque[_Samples | Callable[[], object]] = deque()  # samples, and calls of the writer
        self._infos: list[StreamInfo] = []
        self._accepted = self._queued_bytes = self._lost = 0  # the first and last in samples
        self._open = True

        self._growth = Growth()
        self._free_bytes = math.nan  # written by the sync thread only
        self._stuck = ""  # written by the thread that closes
        self._closing, self._sync_wanted, self._sync_end = (threading.Event() for _ in range(3))
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._sync_thread = threading.Thread(target=self._sync, name="recorder-sync", daemon=True)

    # ---- any thread ----

    def start(self) -> None:
        """Start writing; what was queued before is kept."""
        self._begun_s = self.clock()
        self._sync_thread.start()
        self._thread.start()

    def add_stream(self, info: StreamInfo, description_xml: str = "") -> int:
        """Announce a stream and return its number in this file. Raises OutputError (format, channels)."""
        sample_record(info)
        with self._lock:
            self._infos.append(info)
            self._queue.append(partial(self._writer.add_stream, info, description_xml))
            return len(self._infos)

    def samples(self, stream: int, chunk: Chunk) -> bool:
        """Copy a chunk for the file; false when it was dropped, which is counted.

        Raises OutputError when it does not fit the stream's description.
        """
        n = len(chunk)
        info = self._infos[stream - 1]
        check_samples(info, chunk.times, chunk.samples)
        if not n:
            return True
        times, samples = np.array(chunk.times, np.float64), np.array(chunk.samples)
        n_bytes = CHUNK_BYTES + STAMP_BYTES * n + _value_bytes(samples)
        with self._lock:
            waiting = self._queued_bytes + self._writer.waiting_bytes
            if not self._open or waiting + n_bytes > self._most_waiting_bytes:
                self._lost += n
                return False
            self._queue.append(_Samples(stream, times, samples, n_bytes))
            self._queued_bytes += n_bytes
            self._accepted += n
        return True

    def clock_offset(self, stream: int, measured_local_s: float, offset_s: float) -> None:
        """Record a measured clock offset; NaN (no measurement) is left out."""
        with self._lock:
            if self._open and math.isfinite(offset_s):
                self._queue.append(partial(self._writer.clock_offset, stream, measured_local_s, offset_s))

    def state(self) -> RecorderState:
        """The present state, for displays and the log."""
        writer = self._writer
        return RecorderState(
            self.path,
            writer.bytes_written,
            writer.samples_written,
            writer.waiting_bytes + self._queued_bytes,
            writer.lost_samples + self._lost,
            self._problem(),
            self._free_bytes,
            self._growth.seconds_left(self._free_bytes),
            self.clock() - self._begun_s,
        )

    def close(self, timeout_s: float = 5.0) -> None:
        """Write what is queued and the footers, sync, end the threads. Harmless twice.

        When the disk blocks longer than `timeout_s` the threads are left alone, and ``state`` reports it.
        """
        with self._lock:
            self._open = False
        if self._thread.ident is None:  # never started
            if not self._closing.is_set():
                self._closing.set()
                self._drain()
            return
        self._closing.set()
        self._thread.join(timeout_s)
        late = self._thread.is_alive()
        self._stuck = f"{self.path}: not finished after {timeout_s:g} s: the disk is slow" if late else ""

    def _problem(self) -> str:
        if self.failure is not None:
            return f"{self.path}: recorder failed: {type(self.failure).__name__}: {self.failure}"
        return self._stuck or self._writer.problem

    # ---- the recorder's thread ----

    def _run(self) -> None:
        try:
            synced_s = time.monotonic()
            while not self._closing.wait(FLUSH_S):
                self._write_queued()
                if time.monotonic() - synced_s >= SYNC_S:
                    synced_s = time.monotonic()
                    if not self._writer.problem:  # marks that cannot be written would fill the memory
                        self._writer.boundary()
                    self._sync_wanted.set()
                self._writer.flush()
                self._growth.add(time.monotonic(), self._writer.bytes_written + self._writer.waiting_bytes)
            self._sync_end.set()
            self._sync_wanted.set()
            self._drain()  # first, since a sync may block; one still in progress finds its file closed
            self._sync_thread.join(SYNC_JOIN_S)
        except BaseException as problem:
            self._fail(problem)

    def _drain(self) -> None:
        """Write everything queued and end the file; ``close`` has ended the queue."""
        self._write_queued()
        self._writer.close()

    def _fail(self, problem: BaseException) -> None:
        """Keep what can be kept, count the rest as lost, accept nothing more."""
        self.failure = self.failure or problem
        with self._lock:
            self._open = False
            self._lost += self._accepted - self._writer.samples_written
            self._queue.clear()
            self._queued_bytes = 0
        self._sync_end.set()
        self._sync_wanted.set()
        with contextlib.suppress(Exception):  # the first failure is the one to report
            self._writer.close()

    def _write_queued(self) -> None:
        """Write what is queued now, with the chunks of a stream joined; order within a stream is kept."""
        groups: dict[int, list[_Samples]] = {}
        sizes: dict[int, int] = {}
        for _ in range(len(self._queue)):  # later items wait for the next flush
            item = self._queue.popleft()
            if not isinstance(item, _Samples):
                item()
                continue
            groups.setdefault(item.stream, []).append(item)
            sizes[item.stream] = sizes.get(item.stream, 0) + item.n_bytes
            if sizes[item.stream] >= MOST_CHUNK_BYTES:
                self._write_samples(groups.pop(item.stream))
                sizes[item.stream] = 0
        for stream in sorted(groups):  # senders' streams come before the estimates made from them
            self._write_samples(groups[stream])

    def _write_samples(self, group: list[_Samples]) -> None:
        times = np.concatenate([item.times for item in group])
        samples = np.concatenate([item.samples for item in group])
        written = self._writer.samples(group[0].stream, times, samples)
        with self._lock:
            self._queued_bytes -= sum(item.n_bytes for item in group)
            if not written:
                self._accepted -= len(times)

    # ---- the sync thread ----

    def _sync(self) -> None:
        try:
            while not self._sync_end.is_set():
                with contextlib.suppress(OSError):  # a folder that vanished: writing will report it
                    self._free_bytes = float(shutil.disk_usage(self.path.parent).free)
                self._sync_wanted.wait()
                self._sync_wanted.clear()
                if not self._sync_end.is_set():
                    self._writer.fsync()
        except BaseException as problem:
            self.failure = self.failure or problem


def _value_bytes(samples: NDArray[Any]) -> int:
    """Bytes of values in the file."""
    if samples.dtype != object:
        return samples.nbytes
    return sum(2 + len(str(value).encode("utf-8", "replace")) for value in samples.flat)
