"""Where jobs run: in processes of this computer, or on the workers of a Dask cluster."""

from __future__ import annotations

import os
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TypeVar

from joblib.externals.loky import ProcessPoolExecutor

from bci_m2s.errors import UsageError
from bci_m2s.text import printable

CONNECT_S = 20.0
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
LOOK_S = 1.0  # between two looks at whether the study is still there
ENDED = "its process ended, killed or out of memory; --resume runs it"


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
# jobs → each with what went wrong, as they end; the next is asked for when there is room for it
Executor = Callable[[Iterable[AnyJob]], Iterator[tuple[AnyJob, str]]]


def run_locally(jobs: Iterable[AnyJob], workers: int) -> Iterator[tuple[AnyJob, str]]:
    """Run jobs in processes of this computer, each on one core.

    A process that ends takes its job with it, and another one is started for the next: each is an executor
    of its own, as one with several processes gives up all of their jobs.

    workers : how many at once; with 1 they run in this process
    """
    if workers == 1:
        for job in jobs:
            yield _ran(job)
        return
    with warnings.catch_warnings():
        # a process that has read more data than before is replaced by loky; no job is lost
        warnings.filterwarnings("ignore", "A worker stopped while some jobs were given", UserWarning)
        yield from _run_in_processes(jobs, workers)


def _run_in_processes(jobs: Iterable[AnyJob], workers: int) -> Iterator[tuple[AnyJob, str]]:
    waiting, running = iter(jobs), dict[Future[Any], tuple[AnyJob, Any]]()
    idle: list[Any] = []
    try:
        while True:
            for job in islice(waiting, workers - len(running)):
                executor = idle.pop() if idle else _executor()
                running[executor.submit(_ran, job)] = job, executor
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                job, executor = running.pop(future)
                problem = _outcome(future)
                if problem == ENDED:
                    executor.shutdown(kill_workers=True)
                    executor = _executor()
                idle.append(executor)
                yield job, problem
    finally:
        for executor in (*idle, *(executor for _, executor in running.values())):
            executor.shutdown(kill_workers=True)


def _executor() -> ProcessPoolExecutor:
    """One process; what it calls keeps to one core, too."""
    return ProcessPoolExecutor(
        max_workers=1,
        env=dict.fromkeys(THREADS, "1"),
        initializer=_end_with,
        initargs=(os.getpid(),),
    )


def _end_with(study: int) -> None:
    """End this process soon after the one that started it, however that ended.

    It would finish its cell for nobody, while ``--resume`` runs the same one, and then wait for ever. On
    Windows a process keeps the number of a parent that is gone, so there it stays.
    """

    def watch() -> None:
        while os.getppid() == study:
            time.sleep(LOOK_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _outcome(future: Future[tuple[AnyJob, str]]) -> str:
    try:
        return future.result()[1]
    except BrokenProcessPool:
        return ENDED


def run_on_dask(jobs: Iterable[AnyJob], scheduler: str) -> Iterator[tuple[AnyJob, str]]:
    """Run jobs on the workers of a Dask cluster that is there.

    A worker that ends takes one job with it, which another one goes on with. joblib's own Dask backend
    gives nothing before all jobs have ended, so it is not used.

    scheduler : its address, "tcp://host:8786"

    Raises
    ------
    UsageError
        As ``check_scheduler``.
    """
    with _client(scheduler) as client:
        from dask.distributed import KilledWorker, as_completed

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


def check_scheduler(scheduler: str) -> None:
    """Say what is wrong before the features are computed, which may take long.

    Raises
    ------
    UsageError
        Dask is not installed, or nobody answers at the address.
    """
    with _client(scheduler):
        pass


def _client(scheduler: str) -> Any:
    try:
        from dask.distributed import Client
        from distributed.comm.addressing import get_address_host_port
    except ImportError:
        raise UsageError('--executor dask: needs Dask: pip install "bci_m2s[dask]"') from None
    try:
        # first: a client that never connected is closed when it is collected as garbage, and if that is
        # while another one starts, it waits for itself
        socket.create_connection(get_address_host_port(scheduler), CONNECT_S).close()
        return Client(scheduler, timeout=CONNECT_S)
    except (OSError, ValueError) as problem:
        words = f"--scheduler: {scheduler}: no scheduler answers: {printable(problem, 200)}"
        raise UsageError(words) from None


def _ran(job: AnyJob) -> tuple[AnyJob, str]:
    return job, job.run()
