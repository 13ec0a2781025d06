"""How late this machine is: what a limit of time has to allow for while other work takes the cores."""

from __future__ import annotations

import threading
import time

TICK_S = 0.01


class Lateness:
    """A context manager; its thread sleeps for a hundredth of a second again and again.

    worst_s : the longest that it was woken too late, s
    """

    def __init__(self) -> None:
        self.worst_s = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lateness")

    def __enter__(self) -> Lateness:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            begun_s = time.monotonic()
            if self._over.wait(TICK_S):
                return
            self.worst_s = max(self.worst_s, time.monotonic() - begun_s - TICK_S)
