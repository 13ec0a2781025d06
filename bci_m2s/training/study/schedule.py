"""Tasks two at a time, with what is done and how long it will still take."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from joblib import Parallel, delayed
from rich.console import Console

from bci_m2s.training.study.work import Task, run_task

LINE_S = 30.0  # between two lines on what runs


def run_tasks(
    tasks: Sequence[Task], cost_s: Callable[[Task], float], console: Console, workers: int
) -> list[str]:
    """Run tasks that are not done; what went wrong, one line each.

    cost_s : about how long a task takes, of which the remaining time is told
    workers : how many run at once; with 1 they run in this process
    """
    begun = time.monotonic()
    left = [task for task in tasks if not task.is_done()]
    if len(left) < len(tasks):
        console.print(f"{len(tasks) - len(left)} of {len(tasks)} were done before")
    total, done, wrong = sum(map(cost_s, left)), 0.0, []
    with _watching(left, console):
        running = Parallel(
            n_jobs=workers, return_as="generator_unordered", batch_size=1, pre_dispatch=workers
        )
        for number, (task, problem) in enumerate(running(delayed(_ran)(task) for task in left), 1):
            done += cost_s(task)
            passed_s = time.monotonic() - begun
            left_s = passed_s * (total - done) / done
            console.print(
                f"{number}/{len(left)} {task.name}: {problem or 'done'}; "
                f"{duration(passed_s)} passed, about {duration(left_s)} left"
            )
            if problem:
                wrong.append(f"{task.name}: {problem}")
    return wrong


def _ran(task: Task) -> tuple[Task, str]:
    return task, run_task(task)


@contextmanager
def _watching(tasks: Sequence[Task], console: Console) -> Iterator[None]:
    """Every ``LINE_S`` a line on each task that runs: the last of its log."""
    over = threading.Event()
    since = time.time()

    def watch() -> None:
        while not over.wait(LINE_S):
            for task in tasks:
                if task.log.exists() and task.log.stat().st_mtime > since and not task.is_done():
                    lines = task.log.read_text(encoding="utf-8", errors="replace").splitlines()
                    if lines and not lines[-1].startswith("error:"):
                        console.print(f"  {task.name}: {lines[-1][:120]}", markup=False)

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
