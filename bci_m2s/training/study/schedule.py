"""Jobs several at a time, with what is done and how long it will still take."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console

from bci_m2s.training.study.executors import AnyJob, Executor, Job

LINE_S = 30.0  # between two lines on what runs


def run_jobs(
    jobs: Sequence[AnyJob],
    cost_s: Callable[[AnyJob], float],
    console: Console,
    execute: Executor[AnyJob],
) -> list[str]:
    """Run jobs that are not done; what went wrong, one line each.

    cost_s : about how long a job takes, of which the remaining time is told
    execute : where they run
    """
    begun = time.monotonic()
    left = [job for job in jobs if not job.is_done()]
    if len(left) < len(jobs):
        console.print(f"{len(jobs) - len(left)} of {len(jobs)} were done before")
    total, done, wrong = sum(map(cost_s, left)), 0.0, []
    with _watching(left, console):
        for number, (job, problem) in enumerate(execute(left), 1):
            done += cost_s(job)
            passed_s = time.monotonic() - begun
            left_s = passed_s * (total - done) / done
            console.print(
                f"{number}/{len(left)} {job.name}: {problem or 'done'}; "
                f"{duration(passed_s)} passed, about {duration(left_s)} left"
            )
            if problem:
                wrong.append(f"{job.name}: {problem}")
    return wrong


@contextmanager
def _watching(jobs: Sequence[Job], console: Console) -> Iterator[None]:
    """Every ``LINE_S`` a line on each job that runs: the last of its log."""
    over = threading.Event()
    since = time.time()

    def watch() -> None:
        while not over.wait(LINE_S):
            for job in jobs:
                if job.log.exists() and job.log.stat().st_mtime > since and not job.is_done():
                    lines = job.log.read_text(encoding="utf-8", errors="replace").splitlines()
                    if lines and not lines[-1].startswith("error:"):
                        console.print(f"  {job.name}: {lines[-1][:120]}", markup=False)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def duration(seconds: float) -> str:
    """In words: "40 s", "12 min", "3 h 20 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
