"""``bci-m2s bench`` on made-up benchmarks: listing, running, keeping, comparing. Nothing here is timed."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.command_line import bci, refused

from bci_m2s.commands.bench import found, machine, runner
from bci_m2s.commands.bench.benchmark import Figure, at_least, at_most
from bci_m2s.commands.bench.result import Result, difference, read_result, summarise
from bci_m2s.commands.bench.table import digits
from bci_m2s.lsl.child import JsonChild, Message

HEAD = """\
import os, time
from bci_m2s.commands.bench.benchmark import *

def measure(run):
    {body}

BENCHMARK = Benchmark(
    name="{name}",
    question="How fast is {name}?",
    minutes=2,
    figures=(
        Figure("speed", "ms", "the plain way", at_least(3), is_speedup=True),
        Figure("cost", "MB", goal=at_most(80, of_ratio=False)),
        Figure("peer", "ms", "a peer", at_most(1)),
    ),
    measure=measure,
    needs=({needs}),
    rounds=2,
    settings={{"size": 3, "way": "usual"}},
)
"""
MEASURE = """\
print("what a library says")
    run.step("what comes next")
    run.note(f"size {run.count('size')}, [{run.settings['way']}], peer {run.peer or 'none'}")
    for number in range(run.rounds):
        yield {"speed": (2.0, 4.0 + 2 * number), "cost": 90 + number}"""
MISSING = 'package("no_such_package", "pip install it"),'
MISSING_IN_PART = 'package("no_such_package", "pip install it", ("peer",)),'

Make = Callable[..., None]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Writes a made-up benchmark, among those that are found."""
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    monkeypatch.setattr(found, "folder", lambda _kind: folder)
    (folder / "a_part.py").write_text("raise RuntimeError('no benchmark')\n", encoding="utf-8")

    def write(name: str, body: str = MEASURE, needs: str = "") -> None:
        (folder / f"{name}.py").write_text(HEAD.format(name=name, body=body, needs=needs), encoding="utf-8")

    return write


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Where results go."""
    return tmp_path / "kept"


def words(text: str) -> str:
    """With one space wherever there are some: a table folds its lines."""
    return " ".join(text.split())


def test_the_list_says_what_there_is_and_what_is_missing(make: Make, kept: Path) -> None:
    make("first")
    make("second", needs=MISSING)
    make("third", needs=MISSING_IN_PART)
    shown = words(bci("bench", "--output", kept).stdout)
    assert "first How fast is first? 2 min" in shown
    assert shown.count("2 min") == 3
    assert "no_such_package: missing, pip install it" in shown
    assert "no_such_package for a part of it: missing" in shown
    assert "a_part" not in shown


def test_a_run_keeps_every_round_and_the_list_then_has_its_result(make: Make, kept: Path) -> None:
    make("first")
    done = bci("bench", "first", "--rounds", "3", "--set", "size=7", "--output", kept)
    assert done.returncode == 0, done.stdout + done.stderr
    written = json.loads((kept / "first.json").read_text(encoding="utf-8"))
    assert written["rounds"] == [{"speed": [2.0, 4.0 + 2 * n], "cost": [90.0 + n]} for n in range(3)]
    assert written["settings"] == {"size": 7, "way": "usual"}
    assert written["notes"] == ["size 7, [usual], peer none"]
    assert written["command"].startswith("bci-m2s bench first --rounds 3 --set size=7")
    assert written["machine"] == machine.machine()
    assert written["versions"]["numpy"]
    assert written["versions"]["bci_m2s"].startswith("0.")
    assert len(written["load"]) == 2
    assert written["date"].endswith("+00:00")
    listed = words(bci("bench", "--output", kept).stdout)
    assert f"{written['date'][:10]}, 1 of 2 goals" in listed


def test_the_tables_have_median_spread_goal_and_what_was_not_measured(make: Make, kept: Path) -> None:
    make("first", needs=MISSING_IN_PART)
    make("second")
    done = bci("bench", "--all", "--rounds", "3", "--output", kept)
    shown = words(done.stdout)
    assert "speed ms 2.00 6.00: the plain way 3.00 [2.00–4.00] ≥ 3 × reached" in shown
    assert "cost MB 91.0 ≤ 80 MB missed" in shown
    assert "peer ms not measured a peer ≤ 1 ×" in shown
    assert "no_such_package is missing: pip install it" in shown
    assert "note: size 3, [usual], peer none" in shown
    assert "what a library says" not in done.stdout + done.stderr
    table = (kept / "table.md").read_text(encoding="utf-8")
    row = "| speed | ms | 2.00 | 6.00: the plain way | 3.00 [2.00–4.00] | ≥ 3 × | reached |"
    assert table.count(row) == 2
    assert table.count("### ") == 2
    assert "- size 3, [usual], peer none" in table
    assert "Python" in table


def test_what_cannot_be_run_here_is_said_in_words_and_the_others_run(make: Make, kept: Path) -> None:
    make("a", needs=MISSING)
    make("b", body="raise NotHere('there is no such device')\n    yield {}")
    make("c")
    done = bci("bench", "--all", "--output", kept)
    assert done.returncode == 0
    assert "a: not run: no_such_package is missing: pip install it" in done.stdout
    assert "b: not run: there is no such device" in done.stdout
    assert [path.name for path in sorted(kept.iterdir())] == ["c.json", "table.md"]


def test_one_that_fails_is_told_with_the_end_of_its_log_and_the_others_run(make: Make, kept: Path) -> None:
    make("a", body="yield {'cost': 1.0}\n    print('on the way')\n    raise ValueError('a bug')")
    make("b", body="yield {'costs': 1.0}")
    make("c")
    done = bci("bench", "--all", "--output", kept)
    assert done.returncode == 1
    assert "error: benchmark a: it ended\non the way\n" in done.stdout
    assert "ValueError: a bug" in done.stdout
    assert "error: benchmark b: measured what it does not declare: costs" in done.stdout
    assert [path.name for path in sorted(kept.iterdir())] == ["c.json", "table.md"]


def test_ctrl_c_ends_its_process_and_keeps_nothing_of_it(
    make: Make, kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, follow = tmp_path / "begun", runner._next
    make("a")
    make(
        "b", body=f"open({str(begun)!r}, 'w').write(str(os.getpid()))\n    time.sleep(600)\n    yield {{}}"
    )

    def press(child: JsonChild, log: Path) -> Message:
        if child.name == "benchmark a":
            return follow(child, log)
        while not begun.is_file() or not begun.read_text():
            time.sleep(0.01)
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "_next", press)
    done = bci("bench", "a", "b", "--output", kept)
    assert done.returncode == 130
    assert "b: stopped; nothing of it is kept" in done.stdout
    assert [path.name for path in sorted(kept.iterdir())] == ["a.json", "table.md"]
    with pytest.raises(ProcessLookupError):
        os.kill(int(begun.read_text()), 0)


def test_a_busy_machine_is_said_before_and_after(
    make: Make, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make("a")
    monkeypatch.setattr(machine.os, "getloadavg", lambda: (1000.0, 0.0, 0.0))
    assert bci("bench", "a", "--output", kept).stdout.count("load 1000.0 on") == 2
    monkeypatch.setattr(machine.os, "getloadavg", lambda: (0.0, 0.0, 0.0))
    assert "others were busy" not in bci("bench", "a", "--output", kept).stdout


def test_wrong_words_are_refused(make: Make, kept: Path) -> None:
    make("first")
    assert "benchmark 'frist': there is none of that name; nearest: 'first'" in refused("bench", "frist")
    assert "--set: first: got 'sise=3'; nearest: 'size'" in refused("bench", "first", "--set", "sise=3")
    assert "--set size: got 'x', expected a whole number" in refused("bench", "first", "--set", "size=x")
    assert "expected two results alone" in refused("bench", "first", "--compare", kept, kept)
    assert "cannot be read" in refused("bench", "--compare", kept / "a.json", kept / "b.json")


def result(**changes: object) -> Result:
    """A made-up one."""
    machine = {"processor": "P", "cores": "2", "system": "Linux", "Python": "3.11.7", "GPU": "none"}
    rounds = [{"speed": [2.0, 4.0]}, {"speed": [2.0, 6.0]}]
    made = Result(
        "first", "bci-m2s bench first", "2026-01-01", machine, {"torch": "2.6"}, (0.1, 0.2), {}, rounds
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def test_before_and_after_are_ratios(make: Make, tmp_path: Path) -> None:
    make("first")
    before = result().save(tmp_path / "before")
    faster = [{"speed": [1.0, 4.0]}, {"speed": [0.5, 6.0]}]
    after = result(rounds=faster, versions={"torch": "2.7"}).save(tmp_path / "after")
    for places in ((before, after), (before.parent, after.parent)):
        shown = words(bci("bench", "--compare", *places).stdout)
        assert "speed ms 2.00 0.750 0.375 2.50 [2.00–3.00] 8.00 [4.00–12.0] apart" in shown
        assert "torch: 2.6 → 2.7" in shown
    assert "within the spread" in words(bci("bench", "--compare", before, before).stdout)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"machine": {**result().machine, "processor": "Q"}}, "processor: got Q, expected P"),
        ({"machine": {**result().machine, "cores": "8"}}, "cores: got 8, expected 2"),
        ({"machine": {**result().machine, "GPU": "H200"}}, "GPU: got H200, expected none"),
        ({"settings": {"size": 4}}, "setting size: got 4, expected nothing"),
    ],
)
def test_other_machines_and_sizes_are_not_compared(
    make: Make, tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    make("first")
    before, after = result().save(tmp_path / "before"), result(**changes).save(tmp_path / "after")
    assert difference(result(), result(**changes)) == said
    assert refused("bench", "--compare", before, after) == f"error: --compare: first: {said}\n"


def test_a_folder_of_another_machine_takes_no_results(make: Make, kept: Path) -> None:
    make("first")
    result().save(kept)
    said = refused("bench", "first", "--output", kept)
    assert f"--output {kept}: processor: got {machine.machine()['processor']}, expected P" in said


def test_a_result_comes_back_as_it_was_also_where_it_is_no_number(tmp_path: Path) -> None:
    made = result(rounds=[{"speed": [math.nan, 4.0]}], load=(math.nan, 1.0), notes=[], missing=[])
    path = made.save(tmp_path)
    assert "NaN" not in path.read_text(encoding="utf-8")
    back = read_result(path)
    assert math.isnan(back.rounds[0]["speed"][0])
    assert math.isnan(back.load[0])
    assert replace(back, rounds=(), load=(0, 0)) == replace(made, rounds=(), load=(0, 0))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"layout": 1}', '{"layout": 9}'])
def test_what_is_no_result_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text, encoding="utf-8")
    assert str(path) in refused("bench", "--compare", path, path)


def test_goals_are_of_the_ratio_or_of_the_figure() -> None:
    one = result()

    def reached(figure: Figure) -> bool | None:
        summary = summarise(figure, one)
        assert summary is not None
        return summary.is_reached

    assert reached(Figure("speed", "ms", "plain", at_least(2.5), is_speedup=True)) is True
    assert reached(Figure("speed", "ms", "plain", at_least(2.6), is_speedup=True)) is False
    assert reached(Figure("speed", "ms", "plain", at_most(0.5))) is True
    assert reached(Figure("speed", "ms", "plain", at_most(0.4))) is False
    assert reached(Figure("speed", "ms", "plain", at_most(2, of_ratio=False))) is True
    assert reached(Figure("speed", "ms", "plain")) is None
    assert summarise(Figure("other", "ms"), one) is None


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0"), (1234.5, "1234"), (12.345, "12.3"), (0.01234, "0.0123"), (math.nan, "–")],
)
def test_three_digits_count(value: float, shown: str) -> None:
    assert digits(value) == shown
