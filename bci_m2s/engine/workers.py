"""What ends together: when a thread or job of a run fails, all stop, and the failure is kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from bci_m2s.engine.loops import Job, Loop


class Workers:
    """Named threads, and jobs of threads that serve other runs too, around one stop event.

    Attributes
    ----------
    stop : set when the session ends, for whatever reason
    failure : the first exception that ended a thread
    """

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.failure: BaseException | None = None
        self._threads: list[threading.Thread] = []
        self._jobs: list[tuple[str, Job]] = []

    def start(self, name: str, work: Callable[..., None], *arguments: object) -> threading.Thread:
        """Run `work` in a thread of its own; an exception in it stops all."""

        def guarded() -> None:
            try:
                work(*arguments)
            except BaseException as problem:
                self.fail(problem)

        thread = threading.Thread(target=guarded, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def serve(self, loop: Loop, step: Callable[[], bool]) -> Job:
        """Have steps of this run done by a thread that serves others too; see ``Job``."""
        return self.follow(loop.name, loop.add(Job(step, self.fail)))

    def follow(self, name: str, job: Job) -> Job:
        """Count a job among what must end; returns it."""
        self._jobs.append((name, job))
        return job

    def fail(self, problem: BaseException) -> None:
        """Keep the first failure and ask all to stop."""
        self.failure = self.failure or problem
        self.stop.set()

    def join(self, timeout_s: float) -> list[str]:
        """Wait for all, at most `timeout_s` together; return the names of those that still run."""
        until = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        for _, job in self._jobs:
            job.done.wait(max(0.0, until - time.monotonic()))
        running = [thread.name for thread in self._threads if thread.is_alive()]
        return running + [name for name, job in self._jobs if not job.done.is_set()]
