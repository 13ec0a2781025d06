"""What other threads want done in a thread that owns something, one after the other, with an answer."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as LateError

from bci_m2s.errors import CommandError

ANSWER_S = 2.0


class Orders:
    """A queue of things to do. Any thread asks; the owning thread does them between two pieces of its work.

    wake : set when there is something to do
    """

    def __init__(self, wake: threading.Event) -> None:
        self._wake = wake
        self._waiting: queue.SimpleQueue[tuple[Callable[[], str], Future[str]]] = queue.SimpleQueue()
        self._over = ""  # why nothing is carried out any more; written by the owning thread

    def ask(self, what: Callable[[], str], timeout_s: float = ANSWER_S) -> str:
        """Have `what` done by the owning thread; return what it returns.

        Raises
        ------
        CommandError
            `what` raised it, the thread has ended, or it did not come to it in time. Then it is never done,
            unless the message says that it has begun.
        """
        answer: Future[str] = Future()
        self._waiting.put((what, answer))
        if self._over:  # after the put: either this is seen, or ``end`` finds what was put
            self._refuse()
        self._wake.set()
        try:
            return answer.result(timeout_s)
        except LateError:
            if answer.cancel():
                words = f"the engine did not come to it within {timeout_s:g} s; not done"
                raise CommandError(words) from None
        try:
            return answer.result(timeout_s)  # it began at the last moment
        except LateError:
            raise CommandError(f"begun, but not done after {2 * timeout_s:g} s; see the terminal") from None

    def carry_out(self, refused: Callable[[str], None]) -> None:
        """Do what is waiting. refused : told in words of each CommandError. By the owning thread."""
        for _ in range(self._waiting.qsize()):
            what, answer = self._waiting.get()
            if not answer.set_running_or_notify_cancel():
                continue
            try:
                done = what()
            except CommandError as problem:
                refused(str(problem))
                answer.set_exception(problem)
            except BaseException as problem:
                answer.set_exception(CommandError(f"{type(problem).__name__}: {problem}"))
                raise
            else:
                answer.set_result(done)

    def end(self, why: str) -> None:
        """Refuse what waits and all that comes. By the owning thread, as the last thing."""
        self._over = why
        self._refuse()

    def _refuse(self) -> None:
        while True:
            try:
                _, answer = self._waiting.get_nowait()
            except queue.Empty:
                return
            if answer.set_running_or_notify_cancel():
                answer.set_exception(CommandError(self._over))
