"""``pytest --fork N``: tests are collected once; N processes forked from there share them, file by file.

What every process of pytest-xdist does for itself (importing torch, scipy, mne, Qt and all test modules) is
done once here, which is most of what a process costs. Only where there is fork, and nothing that dislikes
it: Linux.
"""

from __future__ import annotations

import gc
import importlib
import os
import tempfile
from collections import deque
from collections.abc import Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path

import pytest

from support.forked_children import Nursery

FOLDERS: list[tempfile.TemporaryDirectory[str]] = []  # kept until the process ends
LATE = (
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
    "mne.io",
)  # commands import them when called
LIVE_WORKERS = 2  # of N: those begin with the stories in real time, which wait more than they compute


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option."""
    parser.addoption("--fork", type=int, default=0, metavar="N", help="share the tests among N processes")


def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run the collected tests in forked processes, if asked to; else pytest does."""
    n_workers = session.config.getoption("fork")
    if n_workers < 1 or session.config.option.collectonly:
        return None
    if session.testsfailed and not session.config.option.continue_on_collection_errors:
        raise session.Interrupted(f"{session.testsfailed} errors during collection")
    for name in LATE:
        importlib.import_module(name)
    Parent(session).run(n_workers)
    if session.shouldfail:
        raise session.Failed(session.shouldfail)
    return True


class Parent:
    """Hands out files of tests and takes reports."""

    def __init__(self, session: pytest.Session) -> None:
        self._session = session
        self._queues = _files(session.items)
        self._workers: dict[Connection, Worker] = {}

    def run(self, n_workers: int) -> None:
        """Until every test has run."""
        base = self._session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
        for number in range(n_workers):
            ours, theirs = Pipe()
            others = list(self._workers)
            process = os.fork()
            if process == 0:
                for connection in (ours, *others):  # else nobody would see the parent's end
                    connection.close()
                _be_worker(self._session, theirs, number, base / f"worker{number}")
            theirs.close()
            self._workers[ours] = Worker(process, is_live=number < LIVE_WORKERS)
        while self._workers:
            for connection in wait(list(self._workers)):
                assert isinstance(connection, Connection)
                self._listen(connection)

    def _listen(self, connection: Connection) -> None:
        worker = self._workers[connection]
        try:
            kind, value = connection.recv()
        except (EOFError, OSError):
            self._end(connection, worker)
            return
        if kind == "next":
            connection.send(self._next(worker.is_live))
        elif kind == "start":
            worker.runs = value
            item = self._session.items[value]
            item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        elif kind == "report":
            config = self._session.config
            report = config.hook.pytest_report_from_serializable(config=config, data=value)
            self._session.config.hook.pytest_runtest_logreport(report=report)
        elif kind == "done":
            worker.runs = None

    def _next(self, is_live: bool) -> list[int]:
        """Indices of the tests of another file; none where there is no more."""
        if self._session.shouldfail or self._session.shouldstop:
            return []
        own, other = self._queues if is_live else self._queues[::-1]
        return (own or other).popleft() if own or other else []

    def _end(self, connection: Connection, worker: Worker) -> None:
        """A worker has ended; a test that it was at has brought it down."""
        del self._workers[connection]
        _, status = os.waitpid(worker.process, 0)
        if worker.runs is None and status == 0:
            return
        where = self._session.items[worker.runs or 0]
        words = f"the process that ran it ended: status {os.waitstatus_to_exitcode(status)}"
        report = pytest.TestReport(
            where.nodeid, where.location, dict.fromkeys(where.keywords, 1), "failed", words, "call"
        )
        self._session.config.hook.pytest_runtest_logreport(report=report)


class Worker:
    """A process, and the index of the test that it runs."""

    def __init__(self, process: int, is_live: bool) -> None:
        self.process, self.is_live = process, is_live
        self.runs: int | None = None


def _files(items: list[pytest.Item]) -> tuple[deque[list[int]], deque[list[int]]]:
    """Indices of the tests of each file, those in real time and the others; files with most tests first.

    Whole stories come before: they are few tests, and long.
    """
    files: dict[tuple[bool, str], list[int]] = {}
    for index, item in enumerate(items):
        is_live = item.get_closest_marker("live") is not None
        files.setdefault((is_live, item.nodeid.split("::")[0]), []).append(index)
    ordered = sorted(
        files.items(), key=lambda file: (-file[0][1].startswith("tests/stories"), -len(file[1]))
    )
    live, others = (deque(tests for (own, _), tests in ordered if own is kind) for kind in (True, False))
    return live, others


def _be_worker(session: pytest.Session, parent: Connection, number: int, folder: Path) -> None:
    """Run files of tests until there is none; never returns."""
    status = 1
    try:
        _settle_in(session, number, folder)
        Reports(session.config, parent)
        _run(session, parent)
        status = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        for folder_of_lsl in FOLDERS:
            folder_of_lsl.cleanup()
        os._exit(status)


def _settle_in(session: pytest.Session, number: int, folder: Path) -> None:
    """Make this process's own what must not be shared: captured output, folders, LSL."""
    from conftest import isolate_lsl

    plugins = session.config.pluginmanager
    os.environ["PYTEST_XDIST_WORKER"] = f"gw{number}"  # as libraries know a worker by
    folder.mkdir()
    session.config._tmp_path_factory._basetemp = folder  # type: ignore[attr-defined]
    FOLDERS.append(isolate_lsl())
    if "not nightly" in session.config.option.markexpr:
        Nursery()
    capture = plugins.getplugin("capturemanager")
    capture.stop_global_capturing()
    capture.start_global_capturing()
    plugins.unregister(name="terminalreporter")  # the parent reports
    gc.freeze()


class Reports:
    """Sends reports to the parent."""

    def __init__(self, config: pytest.Config, parent: Connection) -> None:
        self._config, self._parent = config, parent
        config.pluginmanager.register(self)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Of each phase of a test."""
        data = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        self._parent.send(("report", data))


def _run(session: pytest.Session, parent: Connection) -> None:
    """Run tests; a test is told the next one, so that fixtures last as long as they are needed."""

    def take() -> Iterator[int]:
        while tests := _ask(parent):
            yield from tests

    indices = take()
    index = next(indices, None)
    while index is not None:
        following = next(indices, None)
        item = session.items[index]
        parent.send(("start", index))
        next_item = None if following is None else session.items[following]
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=next_item)
        parent.send(("done", index))
        index = following


def _ask(parent: Connection) -> list[int]:
    parent.send(("next", None))
    answer: list[int] = parent.recv()
    return answer
