"""A file that only grows, by whole records, and survives a full disk.

What cannot be written stays in memory and is tried again; a record of which only a part got through is
continued exactly there. Only when far too much waits are new records dropped, and then they are counted.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from io import FileIO
from pathlib import Path

from bci_m2s.errors import OutputError
from bci_m2s.files.access import open_private

MOST_WAITING_BYTES = 512 << 20
Sync = Callable[[int], None]  # waits until what was written to a descriptor is on the disk
RETRY_S = 1.0  # how long to leave a file alone that could not be written
LOOK_S = 1.0  # how often to look whether the file is still where it was made


class AppendFile:
    """A new file of its owner's, see ``access``.

    One thread appends, flushes and closes; any may call ``fsync`` and read the counts.

    Parameters
    ----------
    path : must not exist yet
    most_waiting_bytes : beyond this, records that cannot be written are dropped and counted
    sync : replaced where a slow disk is played

    Attributes
    ----------
    written_bytes : size of the file
    whole_bytes : where its last whole record ends
    waiting_bytes : what is queued in memory
    lost_records : how many were dropped, because memory was short or at the close

    Raises
    ------
    OutputError
        When the file exists or cannot be created.
    """

    def __init__(
        self, path: Path, most_waiting_bytes: int = MOST_WAITING_BYTES, sync: Sync = os.fsync
    ) -> None:
        self.path, self._most_waiting_bytes, self._sync = path, most_waiting_bytes, sync
        self.written_bytes = self.whole_bytes = self.waiting_bytes = self.lost_records = 0
        self._waiting: deque[bytes] = deque()
        self._begun_bytes = 0  # how much of the first waiting record is in the file already
        self._write_problem = self._sync_problem = ""  # the latter is written by whoever calls fsync
        self._place_problem, self._looked_s = "", time.monotonic()
        self._tried_s = -RETRY_S
        try:
            # unbuffered: what is written survives a kill of this process
            self._file = FileIO(path, "xb", opener=open_private)
        except OSError as problem:
            raise OutputError(f"{path}: cannot be created: {problem.strerror}") from None

    @property
    def problem(self) -> str:
        """Why the file cannot be written now, in words; "" when all is well."""
        return self._place_problem or self._write_problem or self._sync_problem

    @property
    def closed(self) -> bool:
        """Whether ``close`` has been called."""
        return self._file.closed

    def append(self, record: bytes, essential: bool = False) -> int:
        """Queue a record and return where in the file it will begin, -1 when it was dropped.

        An `essential` record (a header, without which others mean nothing) is kept whatever waits.
        """
        if not essential and self.waiting_bytes + len(record) > self._most_waiting_bytes:
            self.lost_records += 1
            return -1
        begins_at = self.written_bytes + self.waiting_bytes
        self._waiting.append(record)
        self.waiting_bytes += len(record)
        return begins_at

    def flush(self) -> bool:
        """Hand what waits to the operating system; true when nothing is left.

        While a problem stands this tries once in ``RETRY_S`` only. Raises nothing: see ``problem``.
        """
        if time.monotonic() - self._looked_s >= LOOK_S:
            self._look()
        if self._write_problem and time.monotonic() - self._tried_s < RETRY_S:
            return False
        return self._write_waiting()

    def fsync(self) -> None:
        """Wait until what was flushed is on the disk. Any thread; may block as long as the disk does."""
        try:
            self._sync(self._file.fileno())
            self._sync_problem = ""
        except ValueError:  # closed meanwhile, and so in sync
            return
        except OSError as problem:
            if self._file.closed:  # between the two: another thread has closed it, in sync
                return
            self._sync_problem = f"{self.path}: not safe on the disk: {problem.strerror}"

    def close(self) -> int:
        """Try a last time, cut off a half-written record, close; return ``lost_records``."""
        if self._file.closed:
            return self.lost_records
        if not self._write_waiting():
            self.lost_records += len(self._waiting)
            self._cut_half_record()
            self._waiting.clear()
            self.waiting_bytes = self._begun_bytes = 0
        self.fsync()
        self._look()
        self._file.close()
        return self.lost_records

    def _look(self) -> None:
        """Notice that the file was deleted, moved or replaced: writing to it goes on without an error."""
        self._looked_s = time.monotonic()
        try:
            is_here = os.path.samestat(self.path.stat(), os.fstat(self._file.fileno()))
        except OSError:
            is_here = False
        gone = "deleted, moved or replaced while it was being written; what is written now is lost"
        self._place_problem = "" if is_here else f"{self.path}: {gone}"
        if is_here and os.fstat(self._file.fileno()).st_size < self.written_bytes:
            self._place_problem = f"{self.path}: cut or overwritten while it was being written"

    def _write_waiting(self) -> bool:
        self._tried_s = time.monotonic()
        try:
            while self._waiting:
                self._write_first()
        except OSError as problem:  # full, over quota, over the size limit, broken: all may end
            self._write_problem = f"{self.path}: cannot be written: {problem.strerror}"
            return False
        self._write_problem = ""
        return True

    def _write_first(self) -> None:
        """Write the first waiting record from where it was left."""
        record = self._waiting[0]
        rest = memoryview(record)[self._begun_bytes :]
        while rest:
            written = self._file.write(rest) or 0
            self._begun_bytes += written
            self.written_bytes += written
            self.waiting_bytes -= written
            rest = rest[written:]
        self._waiting.popleft()
        self._begun_bytes = 0
        self.whole_bytes = self.written_bytes

    def _cut_half_record(self) -> None:
        try:
            self._file.truncate(self.whole_bytes)
            self.written_bytes = self.whole_bytes
        except OSError as problem:
            self._write_problem += f"; its half-written end stays: {problem.strerror}"
