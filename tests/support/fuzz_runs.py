"""Runs of damaged files through a loader, each under a limit of time and all under one of memory."""

from __future__ import annotations

import contextlib
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from support.fuzz_loaders import LOADERS, Seed, attempt, write_seed
from support.fuzz_mutations import mutated

LONGEST_S = 10.0
MEMORY_BYTES = 3 << 30  # more than the process may take on top of what it has


class TooSlowError(BaseException):
    """Not an Exception: a loader that catches all of those must not catch this."""


@dataclass(frozen=True)
class Failure:
    """An example that ended in anything but data or a refusal. number : its place in the run"""

    number: int
    seed: Seed
    content: bytes
    trace: str


@dataclass
class Outcome:
    """What came of a run."""

    read: int = 0
    refused: int = 0
    failures: int = 0


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise TooSlowError in the main thread after so many seconds of its own work (not on Windows).

    Time of the processor, not of the wall: a busy machine makes no loader slow.
    """
    if not hasattr(signal, "setitimer"):
        yield
        return

    def late(_number: int, _frame: object) -> None:
        raise TooSlowError(f"longer than {seconds:g} s")

    before = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


@contextlib.contextmanager
def little_memory() -> Iterator[None]:
    """A file that only claims to be large must fail within a limit, not take the machine's memory."""
    if sys.platform != "linux":
        yield  # the other systems have no such limit
        return
    import resource

    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY_BYTES, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def run(
    name: str,
    count: int,
    seed: int,
    on_failure: Callable[[Failure], None],
    on_progress: Callable[[int, Outcome], None] = lambda _done, _outcome: None,
) -> Outcome:
    """Damage and load `count` files; example k depends on (name, seed, k) alone."""
    loader, outcome = LOADERS[name], Outcome()
    fast = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=fast if fast.is_dir() else None) as made:
        folder = Path(made)
        seeds = loader.seeds(folder)
        for one in seeds:  # what is damaged must be sound, else the run shows nothing
            write_seed(folder, one, one.wrap(one.content))
            refusal = attempt(loader, folder)
            assert not refusal, refusal
        with little_memory():
            for number in range(count):
                rng = np.random.default_rng([seed, number, *name.encode()])
                one = seeds[int(rng.integers(len(seeds)))]
                same = [other.content for other in seeds if other.name == one.name]
                content = one.wrap(mutated(one.content, same[int(rng.integers(len(same)))], rng))
                write_seed(folder, one, content)
                try:
                    with limited(LONGEST_S):
                        refusal = attempt(loader, folder)
                except (Exception, TooSlowError):
                    outcome.failures += 1
                    on_failure(Failure(number, one, content, traceback.format_exc()))
                else:
                    outcome.refused += bool(refusal)
                    outcome.read += not refusal
                on_progress(number + 1, outcome)
    return outcome
