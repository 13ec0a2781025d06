"""What is run, what goes wrong, how long it will still take; a process that is killed."""

import io
import json
import re
import sys
from functools import partial

import pytest
from rich.console import Console
from support.study_jobs import Job

from bci_m2s.training.study import schedule
from bci_m2s.training.study.cell import Cell
from bci_m2s.training.study.costs import Costs
from bci_m2s.training.study.executors import ENDED, run_locally
from bci_m2s.training.study.schedule import run_jobs


def cell(folder, method, data="one", cpu_s=None):
    """A cell that took `cpu_s` in two stages, or is not done."""
    made = Cell("x", folder, folder, folder / f"{data} {method} {cpu_s}", 0, "all", data, method)
    if cpu_s is not None:
        made.folder.mkdir()
        stages = {"pretrain": cpu_s / 4, "evaluate": cpu_s * 3 / 4}
        (made.folder / "cell.json").write_text(json.dumps({"results": [], "protocol": {}, "cpu_s": stages}))
    return made


def test_a_cell_takes_what_its_like_took(tmp_path):
    slow, quick = cell(tmp_path, "M2S", cpu_s=100.0), cell(tmp_path, "linear", cpu_s=2.0)
    costs = Costs([cell(tmp_path, "M2S"), cell(tmp_path, "linear")])
    assert costs.cost_s(cell(tmp_path, "M2S")) == 1.0  # none is over
    costs.learn(slow)
    assert costs.cost_s(cell(tmp_path, "linear")) == 100.0  # of the same data
    costs.learn(quick)
    costs.learn(quick)  # counts once
    costs.learn(cell(tmp_path, "M2S", cpu_s=50.0))
    assert costs.cost_s(cell(tmp_path, "linear")) == 2.0
    assert costs.cost_s(cell(tmp_path, "M2S")) == 75.0
    assert costs.cost_s(slow) == 100.0  # its own
    assert costs.cost_s(cell(tmp_path, "CCA")) == pytest.approx(152 / 3)
    assert costs.cost_s(cell(tmp_path, "M2S", "other")) == pytest.approx(152 / 3)


def test_cells_that_are_done_before_tell_too(tmp_path):
    """Those that --resume finds on the disk, but none that is damaged."""
    done, damaged = cell(tmp_path, "M2S", cpu_s=100.0), cell(tmp_path, "M2S", cpu_s=1.0)
    (damaged.folder / "cell.json").write_text("{")
    assert Costs([done, damaged]).cost_s(cell(tmp_path, "M2S")) == 100.0


def test_the_time_left_is_that_of_what_is_left(tmp_path, monkeypatch):
    """A job of 1 s is over after 10 s on this slow computer: two of 1 s and one of 100 s take 1020 s."""
    jobs = [Job(name, tmp_path) for name in ("a", "b", "c", "slow")]
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr(schedule.time, "monotonic", lambda: next(clock))
    learnt = []
    console = Console(file=io.StringIO(), width=200)

    def cost_s(job):
        return 100.0 if job.name == "slow" and learnt else 1.0

    run_jobs(jobs, cost_s, console, partial(run_locally, workers=1), learnt.append)
    lines = console.file.getvalue().splitlines()
    assert lines[0] == "1/4 a: done; 10 s passed, about 17 min left"
    assert lines[-1] == "4/4 slow: done; 40 s passed, about 0 s left"
    assert learnt == jobs


def test_of_those_that_wait_the_longest_that_is_known_begins_next(tmp_path):
    """What is learnt of one job changes who is next."""
    jobs = [Job(name, tmp_path) for name in ("a1", "b1", "c1", "a2", "b2", "c2")]
    takes_s: dict[str, float] = {}
    begun = []

    def execute(waiting):
        for job in waiting:
            begun.append(job.name)
            yield job, ""

    def learn(job):
        takes_s[job.name[0]] = {"a": 1.0, "b": 9.0, "c": 5.0}[job.name[0]]

    run_jobs(
        jobs,
        lambda _: 1.0,
        Console(file=io.StringIO()),
        execute,
        learn,
        lambda job: (job.name[1], -takes_s.get(job.name[0], 1.0)),
    )
    assert begun == ["a1", "b1", "c1", "b2", "c2", "a2"]


def test_a_terminal_has_a_bar_and_lines_on_what_went_wrong(tmp_path):
    console = Console(file=io.StringIO(), width=200, force_terminal=True, color_system=None)
    jobs = [Job("good", tmp_path), Job("bad", tmp_path / "no-such-folder")]

    def execute(left):
        for job in left:
            yield job, "" if job.name == "good" else "no [such] folder"

    assert run_jobs(jobs, lambda _: 1.0, console, execute) == ["bad: no [such] folder"]
    printed = console.file.getvalue()
    assert "bad: no [such] folder" in printed
    assert "good: done" not in printed
    assert re.search(r"2/2 .*passed, about 0 s left", printed)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_killed_process_of_this_computer_costs_its_job_alone(tmp_path):
    jobs = [Job(f"job {number}", tmp_path, dies=number == 1) for number in range(5)]
    console = Console(file=io.StringIO(), width=200)
    wrong = run_jobs(jobs, lambda _: 1.0, console, partial(run_locally, workers=2))
    assert wrong == [f"job 1: {ENDED}"]
    assert [job.is_done() for job in jobs] == [True, False, True, True, True]
