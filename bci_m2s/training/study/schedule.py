"""Jobs several at a time, with what is done and how long it will still take."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from bci_m2s.training.study.executors import AnyJob, Executor, Job

LINE_S = 30.0  # between two lines on what runs


def run_jobs(
    jobs: Sequence[AnyJob],
    cost_s: Callable[[AnyJob], float],
    console: Console,
    execute: Executor[AnyJob],
    learn: Callable[[AnyJob], None] = lambda _: None,
    rank: Callable[[AnyJob], Any] = lambda _: 0,
) -> list[str]:
    """Run jobs that are not done; what went wrong, one line each.

    cost_s : about how long a job takes, of which the remaining time is told
    execute : where they run
    learn : called with each job that is over, as it tells `cost_s` more of those that are left
    rank : of those that wait, the one with the lowest begins next, of equals the first
    """
    begun = time.monotonic()
    left = dict.fromkeys(job for job in jobs if not job.is_done())
    total, over = len(left), dict[AnyJob, None]()
    if total < len(jobs):
        console.print(f"{len(jobs) - total} of {len(jobs)} were done before")
    wrong: list[str] = []
    with _bar(console, total) as show, _watching(list(left), console):
        for job, problem in execute(_in_turn(list(left), rank)):
            del left[job]
            over[job] = None
            learn(job)
            passed_s = time.monotonic() - begun
            left_s = passed_s * sum(map(cost_s, left)) / sum(map(cost_s, over))
            times = f"{duration(passed_s)} passed, about {duration(left_s)} left"
            show(len(over), f"{job.name}: {problem or 'done'}", times, bool(problem))
            if problem:
                wrong.append(f"{job.name}: {problem}")
    return wrong


def _in_turn(waiting: list[AnyJob], rank: Callable[[AnyJob], Any]) -> Iterator[AnyJob]:
    while waiting:
        job = min(waiting, key=rank)
        waiting.remove(job)
        yield job


@contextmanager
def _bar(console: Console, total: int) -> Iterator[Callable[[int, str, str, bool], None]]:
    """A bar on a terminal, with lines on what goes wrong above it; elsewhere a line for each job.

    Yields what is called with the number of jobs that are over, what the last gave, times, and whether
    it went wrong.
    """

    def line(number: int, what: str, times: str, _: bool) -> None:
        console.print(f"{number}/{total} {what}; {times}", markup=False, soft_wrap=True)

    if not console.is_terminal or not total:
        yield line
        return
    columns = (
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=total)

        def show(number: int, what: str, times: str, is_wrong: bool) -> None:
            progress.update(task, completed=number, description=times)
            if is_wrong:
                console.print(what, markup=False, soft_wrap=True)

        yield show


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
