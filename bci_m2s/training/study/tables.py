"""The tables of a study: Markdown for people, CSV for everything else."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bci_m2s.files.whole import write_whole
from bci_m2s.training.results.evaluation import Result
from bci_m2s.training.results.summary import differences, summarise
from bci_m2s.training.results.tables import markdown
from bci_m2s.training.study.cell import Cell, Outcome
from bci_m2s.training.study.groups import Group, Outcomes
from bci_m2s.training.study.settings import StudySettings
from bci_m2s.training.study.variants import Variant

COLUMNS = (
    "data", "protocol", "method", "grid", "seed", "split", "head", "trained_on", "tested_on",
    "balanced_accuracy", "kappa", "f1", "oracle", "windows", "cpu_s",
)  # fmt: skip


def write_tables(
    study: StudySettings, groups: Sequence[Group], found: Outcomes, n_cells: int, out: Path
) -> Path:
    """Write ``tables.md`` and ``cells.csv`` of the cells that are done; returns the first's path.

    n_cells : how many the study has
    """
    parts = [f"# {study.title}", ""]
    n_done = sum(map(len, found.values()))
    if n_done < n_cells:
        parts += [f"**Not complete**: {n_done} of {n_cells} cells.", ""]
    for group in groups:
        parts += _group(group)
    path = out / "tables.md"
    write_whole(path, "\n".join(parts), overwrite=True)
    write_whole(out / "cells.csv", _csv(found), overwrite=True)
    return path


def _group(group: Group) -> Iterator[str]:
    """The tables of one comparison, head by head."""
    yield f"## {group.title}"
    yield ""
    for head, classes in group.classes.items():
        of_head = [result for result in group.results if result.head == head]
        if of_head:
            yield f"### {head}"
            yield ""
            compared = differences(of_head, group.main)
            yield markdown(summarise(of_head, group.main), group.lines, classes, compared)


def _csv(found: Outcomes) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for variant, of_variant in found.items():
        for cell, outcome in of_variant:
            writer.writerows(_row(variant, cell, outcome, result) for result in outcome.results)
    return text.getvalue()


def _row(variant: Variant, cell: Cell, outcome: Outcome, result: Result) -> list[Any]:
    point = "; ".join(f"{key}={value}" for key, value in variant.point)
    where = [variant.data, variant.protocol, variant.method, point, cell.seed, cell.split]
    figures = [result.figures[name] for name in ("balanced_accuracy", "kappa", "f1")]
    oracle = "" if result.oracle is None else result.oracle
    n_windows = sum(map(sum, result.figures["confusion"]))
    cpu_s = round(sum(outcome.cpu_s.values()), 2)
    return [
        *where, result.head, result.trained_on, result.tested_on, *figures, oracle, n_windows, cpu_s
    ]  # fmt: skip
