"""The threads that serve every run of this process: a loop each, over jobs that come and go.

A job is what one run has done by such a thread. It does a step at a time and never waits, so no run delays
another; its exception ends its own run and none of the others.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bci_m2s.engine.wake import Wake
from bci_m2s.errors import DeviceError, ModelError
from bci_m2s.pipeline.due import judge

if TYPE_CHECKING:
    from bci_m2s.engine.inference import Inference

LOOK_S = 0.1  # what has a clock of its own is looked at this often
GATHER_S = 0.004  # else every delivery of every stream would be a round through all jobs
AT_ONCE_S = 0.1  # so long windows are collected; then they are answered, however many are left to collect
ASK_EVERY_S = 0.2
TICK_EVERY_S = 0.2


@dataclass(slots=True, eq=False)
class Job:
    """What a thread does for one run.

    step : a part of it; false when all is done
    fail : gets the exception that ended it
    done : set when there is nothing more to do
    """

    step: Callable[[], bool]
    fail: Callable[[BaseException], None]
    done: threading.Event = field(default_factory=threading.Event)


class Loop:
    """A thread that goes through its jobs each time it is woken, and every so often.

    It runs while there are jobs, and until ``close``.

    Parameters
    ----------
    name : of the thread
    every_s : longest time between two rounds
    rest_s : shortest time between two rounds where there are several jobs

    Attributes
    ----------
    wake : set by whoever has something for a job
    """

    def __init__(self, name: str, every_s: float, rest_s: float = 0.0) -> None:
        self.name, self._every_s, self._rest_s = name, every_s, rest_s
        self.wake = Wake()
        self._jobs: list[Job] = []
        self._changing = threading.Lock()  # guards `_jobs` and `_thread`
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def add(self, job: Job) -> Job:
        """Serve another job from now on; returns it. Any thread."""
        with self._changing:
            self._jobs = [*self._jobs, job]
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
                self._thread.start()
        self.wake.set()
        return job

    def close(self) -> None:
        """End the thread once every job is done."""
        self._is_closed = True
        self.wake.set()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end of the thread; whether it has ended."""
        if self._thread is not None:
            self._thread.join(timeout_s)
        return self._thread is None or not self._thread.is_alive()

    def _run(self) -> None:
        while self._jobs or not self._is_closed:
            self.wake.wait(self._every_s)
            self.round(self._jobs)
            if len(self._jobs) > 1 and self._rest_s:
                time.sleep(self._rest_s)

    def round(self, jobs: Sequence[Job]) -> None:
        """Do a step of every job."""
        for job in jobs:
            if not self.attempt(job, job.step):
                self.remove(job)

    def attempt(self, job: Job, step: Callable[[], bool]) -> bool:
        """Do a step; false when the job is over, which an exception ends."""
        try:
            return step()
        except BaseException as problem:
            job.fail(problem)
            return False

    def remove(self, job: Job) -> None:
        """Serve a job no more."""
        with self._changing:
            self._jobs = [one for one in self._jobs if one is not job]
        job.done.set()


class InferenceLoop(Loop):
    """Has the windows that are due in all runs judged together, modality by modality.

    On a machine that is too slow for all of them each run still gets its turn in each round, and its answer
    soon after its samples were read: who is first in a round does not wait for who is last.

    clock : in seconds
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__("inference", LOOK_S, GATHER_S)
        self._clock = clock
        self._works: dict[Job, Inference] = {}
        self._served: Sequence[Job] = ()  # the jobs of the round before, and what they come to
        self._inferences: list[tuple[Job, Inference]] = []
        self._modalities: list[str] = []
        self._looked_s = -math.inf

    def serve(self, work: Inference, fail: Callable[[BaseException], None]) -> Job:
        """Serve a run's inference; see ``add``."""
        job = Job(work.look, fail)
        self._works[job] = work
        return self.add(job)

    def round(self, jobs: Sequence[Job]) -> None:
        """What takes effect between samples, then the new samples of each modality, then the rest: that not
        each time, as it asks what time it is.
        """
        if jobs is not self._served:
            self._begin_serving(jobs)
        for job, work in self._inferences:
            self._guarded(job, work, work.prepare)
        for modality in self._modalities:
            self._judge(modality)
        is_time = self._clock() - self._looked_s >= LOOK_S / 2
        if is_time:
            self._looked_s = self._clock()
        for job, work in self._inferences:
            if job.done.is_set() or not (is_time or work.readers_done.is_set()):
                continue
            if not self.attempt(job, job.step):
                self.remove(job)

    def _begin_serving(self, jobs: Sequence[Job]) -> None:
        self._served, self._inferences = jobs, [(job, self._works[job]) for job in jobs]
        self._modalities = list(
            dict.fromkeys(name for _, work in self._inferences for name in work.modalities)
        )
        for _, work in self._inferences:
            work.is_alone = len(jobs) == 1

    def _judge(self, modality: str) -> None:
        waiting: list[tuple[Job, Inference]] = []
        begun_s = self._clock()
        for job, work in self._inferences:
            if job.done.is_set():
                continue
            self._guarded(job, work, work.collect, modality)
            waiting.append((job, work))
            if self._clock() - begun_s >= AT_ONCE_S:
                self._answer(modality, waiting)
                waiting, begun_s = [], self._clock()
        self._answer(modality, waiting)

    def _answer(self, modality: str, works: Sequence[tuple[Job, Inference]]) -> None:
        """Have what was collected judged and completed."""
        if due := [due for job, work in works if not job.done.is_set() for due in work.due]:
            judge(due)
        for job, work in works:
            if not job.done.is_set():
                self._guarded(job, work, work.complete, modality)

    def _guarded(self, job: Job, work: Inference, step: Callable[..., None], *arguments: object) -> None:
        """A step of one run; of a failed GPU or model its recording need not end."""
        try:
            step(*arguments)
        except (DeviceError, ModelError) as problem:
            work.go_on_without(problem)
        except BaseException as problem:
            job.fail(problem)
            self.remove(job)

    def remove(self, job: Job) -> None:
        """Serve a job no more."""
        super().remove(job)
        self._works.pop(job, None)


class Loops:
    """The shared threads of a process: one for inference, one that writes, one that asks senders, one that
    reports. Each begins with its first job.
    """

    def __init__(self) -> None:
        self.inference = InferenceLoop()
        self.writer = Loop("writer", LOOK_S)
        self.senders = Loop("senders", ASK_EVERY_S)
        self.reports = Loop("reports", TICK_EVERY_S)

    @property
    def every(self) -> list[Loop]:
        """All of them, in the order in which data flows."""
        return [self.senders, self.reports, self.inference, self.writer]

    def wake(self) -> None:
        """Have every job looked at now."""
        for loop in self.every:
            loop.wake.set()

    def close(self) -> None:
        """Let each end once its jobs are done."""
        for loop in self.every:
            loop.close()

    def join(self, timeout_s: float) -> None:
        """Wait for each that was closed to end."""
        for loop in self.every:
            loop.join(timeout_s)
