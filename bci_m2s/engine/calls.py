"""Calls into a thread that owns something: done between two pieces of its work, each with a reply."""

from __future__ import annotations

import queue
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as LateError

from bci_m2s.engine.wake import Wake
from bci_m2s.errors import CommandError

REPLY_S = 2.0


class Calls:
    """A queue of calls. Any thread requests one; the owning thread carries them out one after another.

    wake : set when a call waits
    """

    def __init__(self, wake: Wake) -> None:
        self._wake = wake
        self._waiting: queue.SimpleQueue[tuple[Callable[[], str], Future[str]]] = queue.SimpleQueue()
        self._over = ""  # why nothing is carried out any more; written by the owning thread

    def request(self, work: Callable[[], str], timeout_s: float = REPLY_S) -> str:
        """Have `work` done by the owning thread; return what it returns.

        Raises
        ------
        CommandError
            `work` raised it, the thread has ended, or it did not come to it in time. Then it is never done,
            unless the message says that it has begun.
        """
        reply: Future[str] = Future()
        self._waiting.put((work, reply))
        if self._over:  # after the put: either this is seen, or ``end`` finds what was put
            self._refuse()
        self._wake.set()
        try:
            return reply.result(timeout_s)
        except LateError:
            if reply.cancel():
                words = f"the engine did not get to it within {timeout_s:g} s; not done"
                raise CommandError(words) from None
        try:
            return reply.result(timeout_s)  # it began at the last moment
        except LateError:
            raise CommandError(
                f"started, but not done after {2 * timeout_s:g} s; see the terminal"
            ) from None

    def carry_out(self, on_refused: Callable[[str], None]) -> None:
        """Do what is waiting. on_refused : gets the words of each CommandError. By the owning thread."""
        for _ in range(self._waiting.qsize()):
            work, reply = self._waiting.get()
            if not reply.set_running_or_notify_cancel():
                continue
            try:
                reply.set_result(work())
            except CommandError as problem:
                on_refused(str(problem))
                reply.set_exception(problem)
            except BaseException as problem:  # of any kind: who requested must not wait for ever
                reply.set_exception(CommandError(f"{type(problem).__name__}: {problem}"))
                raise

    def end(self, why: str) -> None:
        """Refuse what waits and all that comes. By the owning thread, as the last thing."""
        self._over = why
        self._refuse()

    def _refuse(self) -> None:
        while True:
            try:
                _, reply = self._waiting.get_nowait()
            except queue.Empty:
                return
            if reply.set_running_or_notify_cancel():
                reply.set_exception(CommandError(self._over))
