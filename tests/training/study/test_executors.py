"""The same study in this process and on a Dask cluster of two workers, of which one is killed."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest
import yaml
from rich.console import Console
from support.command_line import refused
from support.small_study import small_study

from bci_m2s.errors import UsageError
from bci_m2s.training.study.command import run_study
from bci_m2s.training.study.executors import run_locally, run_on_dask

LONGEST_S = 120.0


@pytest.fixture
def study(tmp_path):
    return small_study(tmp_path)


@pytest.fixture
def cluster(tmp_path):
    """Address of a scheduler, and two workers, each with one thread."""
    found = tmp_path / "scheduler.json"
    started = []

    def start(program, *arguments):
        with (tmp_path / f"{program}-{len(started)}.log").open("w") as log:
            command = [sys.executable, "-m", f"distributed.cli.{program}", *arguments, "--no-dashboard"]
            process = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=subprocess.STDOUT)
        started.append(process)
        return process

    place = ["--scheduler-file", str(found)]
    try:
        start("dask_scheduler", "--host", "127.0.0.1", "--port", "0", *place)
        until(found.exists)
        alone = ["--nthreads", "1", "--no-nanny", "--host", "127.0.0.1"]
        workers = [start("dask_worker", *place, *alone) for _ in range(2)]
        yield yaml.safe_load(found.read_text())["address"], workers
    finally:
        for process in started:
            process.kill()
            process.wait()


def until(is_so):
    ends_s = time.monotonic() + LONGEST_S
    while not is_so():
        assert time.monotonic() < ends_s
        time.sleep(0.02)


def run(path, out, execute):
    console = Console(file=io.StringIO(), width=300)
    status = run_study(path, out, console, execute, resume=False)
    assert status == 0, console.file.getvalue()
    with (out / "cells.csv").open(newline="") as file:
        rows = [{key: row[key] for key in row if not key.endswith("_s")} for row in csv.DictReader(file)]
    return (out / "tables.md").read_text(), rows


@pytest.mark.nightly
def test_a_killed_worker_costs_its_cell_only_and_the_table_is_the_local_one(study, cluster, tmp_path):
    address, workers = cluster
    out, killed, over = tmp_path / "dask", [], threading.Event()

    def kill():
        """One of the workers, while both have begun."""
        until(lambda: over.is_set() or len(list(out.rglob("log.txt"))) > 1)
        workers[0].send_signal(signal.SIGKILL)
        killed.append(len(list(out.rglob("cell.json"))))

    beside = threading.Thread(target=kill)
    beside.start()
    try:
        on_cluster = run(study, out, partial(run_on_dask, scheduler=address))
    finally:
        over.set()
        beside.join()
    assert killed[0] < 8
    assert workers[0].wait(LONGEST_S) == -signal.SIGKILL
    assert on_cluster == run(study, tmp_path / "here", partial(run_locally, workers=1))


@pytest.mark.nightly
@pytest.mark.skipif(
    sys.platform == "win32", reason="Ctrl-C for a group of processes is another thing there"
)
@pytest.mark.parametrize("stop", ["Ctrl-C", "SIGTERM"])
def test_what_stops_it_leaves_whole_cells_and_no_process(study, tmp_path, stop):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "bci_m2s", "study", str(study), "--output", str(out), "--workers", "2"]

    def start(*more):
        """In a group of its own, which takes Ctrl-C although this one may be in the background."""
        return subprocess.Popen(
            [*command, *more],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.default_int_handler),
        )

    running = start()
    try:
        until(lambda: running.poll() is not None or list(out.rglob("cell.json")))
        if stop == "Ctrl-C":  # goes to all of the terminal's processes, and SIGTERM to one
            os.killpg(running.pid, signal.SIGINT)
        else:
            running.terminate()
        printed, _ = running.communicate(timeout=LONGEST_S)
        assert running.returncode == 130, printed
        assert "of 8 cells done; --resume runs the others" in printed
        assert "Traceback" not in printed
        until(lambda: not is_group(running.pid))
    finally:
        if is_group(running.pid):
            os.killpg(running.pid, signal.SIGKILL)
    found = [json.loads(path.read_text()) for path in out.rglob("cell.json")]
    assert 0 < len(found) < 8
    assert all(one["results"] for one in found)
    again = start("--resume")
    printed, _ = again.communicate(timeout=LONGEST_S)
    assert again.returncode == 0, printed
    assert f"{len(found)} of 8 were done before" in printed


@pytest.mark.skipif(sys.platform == "win32", reason="a process keeps the number of a parent that is gone")
def test_a_worker_ends_with_the_study_however_that_ended(tmp_path):
    """Else its cell would be run twice, by it and by --resume."""
    waits = (
        "import os, sys, time\n"
        "from dataclasses import dataclass\n"
        "from pathlib import Path\n"
        "from support.study_jobs import Job\n"
        "from bci_m2s.training.study.executors import run_locally\n"
        "class Waits(Job):\n"
        "    def run(self):\n"
        "        (self.folder / self.name).write_text(str(os.getpid()))\n"
        "        time.sleep(300)\n"
        "list(run_locally([Waits(name, Path(sys.argv[1])) for name in 'ab'], 2))\n"
    )
    folders = os.pathsep.join(map(str, (Path(__file__).parents[2], *sys.path)))
    command = [sys.executable, "-c", waits, str(tmp_path)]
    running = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": folders}, start_new_session=True)
    numbers = [tmp_path / name for name in "ab"]
    try:
        until(
            lambda: running.poll() is not None or all(one.exists() and one.read_text() for one in numbers)
        )
        assert running.poll() is None
        workers = [int(one.read_text()) for one in numbers]
        running.kill()
        running.wait()
        until(lambda: not any(map(is_process, workers)))
    finally:
        if is_group(running.pid):
            os.killpg(running.pid, signal.SIGKILL)


def is_process(number):
    """Whether it runs; one that nobody has waited for does not."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(number)], capture_output=True, text=True).stdout
    return state.strip()[:1] not in ("", "Z")


def is_group(number):
    """Whether a process of the group is left."""
    try:
        os.killpg(number, 0)
    except ProcessLookupError:
        return False
    return True


def test_an_address_at_which_nobody_answers_is_named(monkeypatch):
    monkeypatch.setattr("bci_m2s.training.study.executors.CONNECT_S", 0.2)
    with pytest.raises(UsageError, match=r"--scheduler: tcp://127\.0\.0\.1:9: no scheduler answers"):
        next(run_on_dask([], "tcp://127.0.0.1:9"))
    with pytest.raises(UsageError, match="--scheduler: nonsense: no scheduler answers"):
        next(run_on_dask([], "nonsense"))


def test_an_address_at_which_nobody_answers_is_named_before_features_are_computed(monkeypatch, tmp_path):
    monkeypatch.setattr("bci_m2s.training.study.executors.CONNECT_S", 0.2)
    options = ["--executor", "dask", "--scheduler", "tcp://127.0.0.1:9", "--output", tmp_path / "out"]
    assert "--scheduler: tcp://127.0.0.1:9: no scheduler answers" in refused("study", "simulated", *options)
    assert not (tmp_path / "out").exists()
