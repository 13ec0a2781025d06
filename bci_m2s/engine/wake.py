"""Wakes one thread that sleeps, as an event does, in a fraction of an event's time."""

from __future__ import annotations

import os
import queue
import select
import sys
import weakref


class QueueWake:
    """Set by any thread, waited for by one. ``threading.Event`` is written in Python; this waits in C."""

    def __init__(self) -> None:
        self._set: queue.SimpleQueue[None] = queue.SimpleQueue()

    def set(self) -> None:
        """Have the thread that waits, or will wait, go on; once, however often this was called."""
        if self._set.empty():  # what is there still will wake it after this
            self._set.put(None)

    def wait(self, timeout_s: float) -> bool:
        """Sleep until it is set, then clear it; false when the time is over."""
        try:
            self._set.get(timeout=timeout_s)
        except queue.Empty:
            return False
        while not self._set.empty():  # two threads may have set it at the same time
            self._set.get()
        return True


if sys.platform == "linux":

    class FileWake:
        """As ``QueueWake``. Whoever sets it lets go of the interpreter meanwhile, so the thread that wakes,
        often on the same core and at once, does not have to sleep again until it gets that.
        """

        def __init__(self) -> None:
            self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            self._poll = select.poll()
            self._poll.register(self._fd, select.POLLIN)
            closing = weakref.finalize(self, os.close, self._fd)
            closing.atexit = False  # threads that outlive the interpreter may wait still

        def set(self) -> None:
            """See ``QueueWake.set``."""
            os.eventfd_write(self._fd, 1)

        def wait(self, timeout_s: float) -> bool:
            """See ``QueueWake.wait``."""
            if not self._poll.poll(1e3 * timeout_s):
                return False
            os.eventfd_read(self._fd)
            return True

    Wake = FileWake
else:
    Wake = QueueWake
