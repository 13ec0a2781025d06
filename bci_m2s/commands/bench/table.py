"""Results as tables: for the terminal, and as Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bci_m2s.commands.bench.benchmark import Benchmark, Figure
from bci_m2s.commands.bench.machine import describe, load_warning
from bci_m2s.commands.bench.result import Result, Summary, summarise

HEADINGS = ("figure", "unit", "ours", "reference", "ratio", "goal", "")
NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Row:
    """One figure in words; is_reached : None without a goal, or without figures."""

    cells: tuple[str, ...]
    is_reached: bool | None


def rows(benchmark: Benchmark, result: Result | None) -> Iterator[Row]:
    """One row per figure of a benchmark, the unmeasured ones too."""
    for figure in benchmark.figures:
        summary = summarise(figure, result) if result is not None else None
        reached = summary.is_reached if summary is not None else None
        yield Row(_cells(figure, summary), reached)


def _cells(figure: Figure, summary: Summary | None) -> tuple[str, ...]:
    goal = figure.goal
    wanted = "" if goal is None else f"{goal}{' ×' if goal.of_ratio else f' {figure.unit}'}"
    if summary is None:
        return figure.name, figure.unit, NOT_MEASURED, figure.reference, "", wanted, ""
    reference = ratio = ""
    if math.isfinite(summary.reference):
        reference = f"{digits(summary.reference)}: {figure.reference}"
    if math.isfinite(summary.ratios[0]):
        median, lowest, highest = map(digits, summary.ratios)
        ratio = f"{median} [{lowest}–{highest}]"
    verdict = {None: "", True: "reached", False: "missed"}[summary.is_reached]
    return figure.name, figure.unit, digits(summary.ours), reference, ratio, wanted, verdict


def digits(value: float) -> str:
    """Three of them that count."""
    if not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    places = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{min(places, 4)}f}"


def print_result(console: Console, benchmark: Benchmark, result: Result) -> None:
    """The table of one run, then what belongs to it."""
    table = Table(title=f"{benchmark.name}: {benchmark.question}", title_justify="left", box=None)
    for heading in HEADINGS:
        table.add_column(heading, overflow="fold", justify="left")
    for row in rows(benchmark, result):
        style = {None: "", True: "green", False: "yellow"}[row.is_reached]
        table.add_row(*row.cells[:-1], Text(row.cells[-1], style))
    console.print(table)
    for words in (*result.notes, *(f"not measured in part: {words}" for words in result.missing)):
        console.print(f"note: {words}", soft_wrap=True)
    console.print(conditions(result), soft_wrap=True)
    if warning := load_warning(result.load[1]):
        console.print(warning, style="yellow")


def conditions(result: Result) -> str:
    """Rounds, machine, load, versions and date in a line."""
    known = ", ".join(f"{name} {what}" for name, what in result.versions.items() if what)
    load = f"load {result.load[0]:.1f} before, {result.load[1]:.1f} at most"
    rounds = f"{len(result.rounds)} round{'' if len(result.rounds) == 1 else 's'}"
    return f"{rounds}, {result.date[:10]}; {describe(result.machine)}; {load}; {known}"


def markdown(benchmarks: Sequence[Benchmark], results: Mapping[str, Result]) -> str:
    """Tables of all benchmarks, with those that were not run: every goal stays in sight."""
    parts = []
    for benchmark in benchmarks:
        result = results.get(benchmark.name)
        lines = [f"### {benchmark.name}", "", benchmark.question, ""]
        lines += ["| figure | unit | ours | reference | ratio, median [lowest–highest] | goal | |"]
        lines += ["|---|---|---|---|---|---|---|"]
        lines += [f"| {' | '.join(_escaped(row.cells))} |" for row in rows(benchmark, result)]
        lines += [""]
        if result is not None:
            said = [*result.notes, *result.missing, load_warning(result.load[1])]
            lines += [f"{conditions(result)}. `{result.command}`", ""]
            lines += [f"- {words}" for words in said if words]
            lines += [""] if any(said) else []
        parts.append("\n".join(lines))
    return "\n".join(parts)


def _escaped(cells: Sequence[str]) -> list[str]:
    return [cell.replace("|", "\\|") for cell in cells]
