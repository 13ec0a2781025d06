"""``bci-m2s bench``: lists the benchmarks, runs them, keeps what they gave."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from bci_m2s.commands.bench.benchmark import Benchmark, NotHere, Setting
from bci_m2s.commands.bench.found import chosen, load_all
from bci_m2s.commands.bench.machine import load_now, load_warning, machine
from bci_m2s.commands.bench.result import Result, read_results, summarise
from bci_m2s.commands.bench.runner import run_benchmark
from bci_m2s.commands.bench.table import markdown, print_result
from bci_m2s.errors import BciM2sError, UsageError, nearest
from bci_m2s.files.whole import write_whole

STOPPED = 130  # what a shell calls it


@dataclass(frozen=True)
class Wishes:
    """What was typed. rounds : None for each benchmark's own; settings : texts KEY=VALUE"""

    names: list[str]
    every: bool
    rounds: int | None
    output: Path
    peer: str
    settings: list[str]
    words: Sequence[str] = ()

    @property
    def command(self) -> str:
        """As it was typed."""
        return shlex.join(["bci-m2s", *self.words])


def list_benchmarks(console: Console, output: Path, peer: str) -> None:
    """Print what there is: question, time, what is missing, and the last result."""
    results = read_results(output) if output.is_dir() else {}
    table = Table(box=None, padding=(0, 2, 1, 0))
    for heading in ("name", "question", "takes", "needs", "last result"):
        table.add_column(heading, overflow="fold")
    for benchmark in load_all():
        name = benchmark.name
        last = _last(benchmark, results[name]) if name in results else ""
        table.add_row(name, benchmark.question, f"{benchmark.minutes:g} min", _needs(benchmark, peer), last)
    console.print(table)
    console.print(f"run: bci-m2s bench NAME…, or --all; results are kept in {output}", soft_wrap=True)


def _needs(benchmark: Benchmark, peer: str) -> str:
    missing = benchmark.missing(peer)
    said = []
    for need in benchmark.needs:
        part = " for a part of it" if need.figures else ""
        said.append(f"{need.what}{part}: missing, {need.remedy}" if need in missing else need.what)
    return "\n".join(said)


def _last(benchmark: Benchmark, result: Result) -> str:
    found = [summary for figure in benchmark.figures if (summary := summarise(figure, result))]
    judged = [summary.is_reached for summary in found if summary.is_reached is not None]
    goals = f", {sum(judged)} of {len(judged)} goals" if judged else ""
    return f"{result.date[:10]}{goals}"


def run_benchmarks(console: Console, wishes: Wishes) -> int:
    """Run what is asked for, one after the other; returns 1 where one failed, ``STOPPED`` after Ctrl-C."""
    wanted = chosen(wishes.names, wishes.every)
    settings = {benchmark.name: _settings(benchmark, wishes) for benchmark in wanted}
    _refuse_another_machine(wishes.output)
    if warning := load_warning(load_now()):
        console.print(warning, style="yellow")
    failed = 0
    for benchmark in wanted:
        try:
            result = _run(console, benchmark, settings[benchmark.name], wishes)
        except NotHere as why:
            console.print(f"{benchmark.name}: not run: {why}", soft_wrap=True)
            continue
        except KeyboardInterrupt:
            console.print(f"{benchmark.name}: stopped; nothing of it is kept")
            return STOPPED
        except BciM2sError as problem:
            failed = 1
            console.print(f"error: {problem}", style="red", soft_wrap=True)
            continue
        keep(wishes.output, benchmark, result)
        print_result(console, benchmark, result)
        console.print()
    return failed


def keep(folder: Path, benchmark: Benchmark, result: Result) -> None:
    """Write the result, its picture, and the table of all results in the folder. Raises OutputError."""
    result.save(folder)
    if benchmark.draw is not None:
        found = {figure.name: summarise(figure, result) for figure in benchmark.figures}
        medians = {name: (one.ours, one.reference) for name, one in found.items() if one is not None}
        benchmark.draw(folder / f"{benchmark.name}.svg", medians)
    results = read_results(folder)
    there = [one for one in load_all() if one.name in results]
    write_whole(folder / "table.md", markdown(there, results))


def _run(console: Console, benchmark: Benchmark, settings: Mapping[str, Setting], wishes: Wishes) -> Result:
    rounds = wishes.rounds or benchmark.rounds
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(benchmark.name, total=rounds)

        def on_progress(done: int, words: str) -> None:
            shown = f"{benchmark.name}: {words}" if words else benchmark.name
            progress.update(task, completed=done, description=shown)

        return run_benchmark(benchmark, rounds, settings, wishes.peer, wishes.command, on_progress)


def _settings(benchmark: Benchmark, wishes: Wishes) -> dict[str, Setting]:
    """Its settings with the changes that it knows. Raises UsageError for what it does not take."""
    settings = dict(benchmark.settings)
    for text in wishes.settings:
        key, _, value = text.partition("=")
        if key not in settings:
            raise UsageError(f"--set: {benchmark.name}: got {text!r}{nearest(key, settings)}")
        usual = settings[key]
        try:
            settings[key] = type(usual)(value)
        except ValueError:
            kind = {int: "a whole number", float: "a number"}.get(type(usual), "text")
            raise UsageError(f"--set {key}: got {value!r}, expected {kind}") from None
    return settings


def _refuse_another_machine(folder: Path) -> None:
    """A folder's table is of one machine. Raises UsageError."""
    here = machine()
    for result in read_results(folder).values() if folder.is_dir() else ():
        for name, got in here.items():
            if got != (expected := result.machine.get(name)):
                raise UsageError(
                    f"--output {folder}: {name}: got {got}, expected {expected}: it is of another machine"
                )
