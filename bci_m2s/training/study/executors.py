"""Where jobs run: in processes of this computer, or on the workers of a Dask cluster."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from joblib import Parallel, delayed

from bci_m2s.errors import UsageError
from bci_m2s.text import printable

CONNECT_S = 20.0


class Job(Protocol):
    """What can be run in another process, on another machine too: it is sent there."""

    @property
    def name(self) -> str:
        """For lines of progress."""
        ...

    @property
    def log(self) -> Path:
        """File with what it prints."""
        ...

    def is_done(self) -> bool:
        """Whether its result is on the disk, whole."""
        ...

    def run(self) -> str:
        """Do what is left; "", or what went wrong in one line."""
        ...


AnyJob = TypeVar("AnyJob", bound=Job)
# jobs → each with what went wrong, as they end
Executor = Callable[[Sequence[AnyJob]], Iterator[tuple[AnyJob, str]]]


def run_locally(jobs: Sequence[AnyJob], workers: int) -> Iterator[tuple[AnyJob, str]]:
    """Run jobs in processes of this computer.

    workers : how many at once; with 1 they run in this process
    """
    running = Parallel(n_jobs=workers, return_as="generator_unordered", batch_size=1, pre_dispatch=workers)
    with warnings.catch_warnings():
        # a worker that has read more data than before is replaced by joblib; no job is lost
        warnings.filterwarnings("ignore", "A worker stopped while some jobs were given", UserWarning)
        yield from running(delayed(_ran)(job) for job in jobs)


def run_on_dask(jobs: Sequence[AnyJob], scheduler: str) -> Iterator[tuple[AnyJob, str]]:
    """Run jobs on the workers of a Dask cluster that is there.

    A worker that ends takes one job with it, which another one goes on with. joblib's own Dask backend
    gives nothing before all jobs have ended, so it is not used.

    scheduler : its address, "tcp://host:8786"

    Raises
    ------
    UsageError
        Dask is not installed, or nobody answers at the address.
    """
    try:
        from dask.distributed import Client, KilledWorker, as_completed
    except ImportError:
        raise UsageError('--executor dask: needs Dask: pip install "bci_m2s[dask]"') from None
    try:
        client = Client(scheduler, timeout=CONNECT_S)
    except (OSError, ValueError) as problem:
        words = f"--scheduler: {scheduler}: no scheduler answers: {printable(problem, 200)}"
        raise UsageError(words) from None
    with client:
        # a cell is not a function of what it is sent: two with equal arguments are two
        jobs_of = {client.submit(_ran, job, pure=False): job for job in jobs}
        try:
            for future in as_completed(jobs_of):
                job = jobs_of[future]
                try:
                    yield job, future.result()[1]
                except KilledWorker as problem:
                    yield job, f"its workers ended again and again: {printable(problem, 200)}"
                except Exception as problem:  # of unpickling, where the worker has no bci_m2s
                    yield job, f"{type(problem).__name__}: {printable(problem, 200)}"
        finally:
            client.cancel(list(jobs_of))


def _ran(job: AnyJob) -> tuple[AnyJob, str]:
    return job, job.run()
