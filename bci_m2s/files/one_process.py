"""A folder that one process works in at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from bci_m2s.errors import UsageError

LOCK = ".lock"


@contextmanager
def held(folder: Path, what: str) -> Iterator[None]:
    """Keep other processes out of a folder; the lock goes with the process, however that ends.

    what : is done in the folder, "this session is running"

    Raises UsageError where another process has it. Where files cannot be locked nothing is held: a network
    drive may know no locks.
    """
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise UsageError(f"{folder}: {what}, in another process") from None
    except (OSError, NotImplementedError):
        pass
    try:
        yield
    finally:
        lock.release()
