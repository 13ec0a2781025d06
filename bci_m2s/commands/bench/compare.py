"""Before and after: two results of the same machine as ratios."""

from __future__ import annotations

import math
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bci_m2s.commands.bench.benchmark import Benchmark
from bci_m2s.commands.bench.found import files, load
from bci_m2s.commands.bench.machine import load_warning
from bci_m2s.commands.bench.result import Result, difference, read_results, summarise
from bci_m2s.commands.bench.table import digits
from bci_m2s.errors import UsageError

HEADINGS = ("figure", "unit", "before", "after", "after ÷ before", "ratio before", "ratio after", "ratios")


def compare(console: Console, before: Path, after: Path) -> None:
    """Print what changed. Raises UsageError where that would say nothing: another machine, another size."""
    earlier, later = read_results(before), read_results(after)
    there = files()
    both = [name for name in earlier if name in later and name in there]
    if not both:
        raise UsageError(f"--compare: {before} and {after} have no benchmark in common")
    for name in both:
        if problem := difference(earlier[name], later[name]):
            raise UsageError(f"--compare: {name}: {problem}")
    for name in both:
        _print(console, load(there[name]), earlier[name], later[name])


def _print(console: Console, benchmark: Benchmark, before: Result, after: Result) -> None:
    table = Table(title=benchmark.name, title_justify="left", box=None)
    for heading in (
        "figure",
        "unit",
        "before",
        "after",
        "after ÷ before",
        "ratio before",
        "ratio after",
        "",
    ):
        table.add_column(heading, overflow="fold")
    for figure in benchmark.figures:
        one, other = summarise(figure, before), summarise(figure, after)
        if one is None or other is None:
            continue
        change = other.ours / one.ours if one.ours else math.nan
        table.add_row(
            figure.name,
            figure.unit,
            digits(one.ours),
            digits(other.ours),
            digits(change),
            _spread(one.ratios),
            _spread(other.ratios),
            _verdict(one.ratios, other.ratios),
        )
    console.print(table)
    for name in dict.fromkeys((*before.versions, *after.versions)):
        old, new = before.versions.get(name, ""), after.versions.get(name, "")
        if old != new:
            console.print(f"{name}: {old or 'none'} → {new or 'none'}")
    for when, result in (("before", before), ("after", after)):
        if warning := load_warning(result.load[1]):
            console.print(f"{when}: {warning}", style="yellow")


def _spread(ratios: tuple[float, float, float]) -> str:
    median, lowest, highest = ratios
    return f"{digits(median)} [{digits(lowest)}–{digits(highest)}]" if math.isfinite(median) else "–"


def _verdict(before: tuple[float, float, float], after: tuple[float, float, float]) -> str:
    """Whether the spreads of the two ratios lie apart; "" where there is no reference."""
    if not math.isfinite(before[0]) or not math.isfinite(after[0]):
        return ""
    return "apart" if after[1] > before[2] or after[2] < before[1] else "within the spread"
