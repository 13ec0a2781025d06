"""The tables of a study: Markdown for people, CSV for everything else."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from bci_m2s.files.whole import write_whole
from bci_m2s.training.results.evaluation import Result
from bci_m2s.training.results.metrics import calibration_error
from bci_m2s.training.results.tables import markdown, markdown_table
from bci_m2s.training.study.cell import Cell, Outcome
from bci_m2s.training.study.groups import Group, Outcomes, without_figures
from bci_m2s.training.study.sections import paper_table
from bci_m2s.training.study.sections.claim_tables import claims_markdown
from bci_m2s.training.study.sections.costs import STAGES
from bci_m2s.training.study.sections.protocols import side_by_side, table_of
from bci_m2s.training.study.settings import StudySettings
from bci_m2s.training.study.variants import Variant

COLUMNS = (
    "data", "protocol", "method", "grid", "seed", "split", "head", "trained_on", "tested_on",
    "balanced_accuracy", "kappa", "f1", "oracle", "calibration_error", "windows", "wall_s",
    "cpu_s",
    *(f"{stage}_s" for stage in STAGES),
)  # fmt: skip


def write_tables(
    study: StudySettings, groups: Sequence[Group], found: Outcomes, n_cells: int, out: Path
) -> Path:
    """Write ``tables.md``, ``table.csv`` and ``cells.csv`` of the cells that are done; the first's path.

    n_cells : how many the study has
    """
    parts = [f"# {study.title}", ""]
    n_done = sum(map(len, found.values()))
    if n_done < n_cells:
        parts += [f"**Not complete**: {n_done} of {n_cells} cells.", ""]
    if empty := without_figures(found):
        parts += [*(f"- {line}" for line in empty), ""]
    parts += _protocols(groups)
    for group in groups:
        parts += _group(group)
    parts += claims_markdown(groups)
    path = out / "tables.md"
    write_whole(path, "\n".join(parts), overwrite=True)
    as_paper = (row for group in groups for one in group.heads for row in paper_table.csv_rows(group, one))
    write_whole(out / "table.csv", _csv(paper_table.COLUMNS, as_paper), overwrite=True)
    write_whole(out / "cells.csv", _csv(COLUMNS, _cells(found)), overwrite=True)
    return path


def _protocols(groups: Sequence[Group]) -> Iterator[str]:
    """Protocols side by side, where a data set has several."""
    for one in side_by_side(groups):
        yield from (f"## {one.title}: protocols side by side", "")
        yield from (*markdown_table(*table_of(one)), "")


def _group(group: Group) -> Iterator[str]:
    """The tables of one comparison, head by head: as the paper has them, then every figure."""
    yield f"## {group.title}"
    yield ""
    for one in group.heads:
        yield f"### {one.head}"
        yield ""
        yield from (*paper_table.paper_table(group, one).markdown(), "", paper_table.EXPLAINED, "")
        yield markdown(one.summaries, one.lines, one.classes, one.differences)


def _csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


def _cells(found: Outcomes) -> Iterator[list[Any]]:
    for variant, of_variant in found.items():
        for cell, outcome in of_variant:
            yield from (_row(variant, cell, outcome, result) for result in outcome.results)


def _row(variant: Variant, cell: Cell, outcome: Outcome, result: Result) -> list[Any]:
    point = "; ".join(f"{key}={value}" for key, value in variant.point)
    where = [variant.data, variant.protocol, variant.method, point, cell.seed, cell.split]
    figures = [result.figures[name] for name in ("balanced_accuracy", "kappa", "f1")]
    oracle = "" if result.oracle is None else result.oracle
    bins = result.figures.get("reliability")
    error = "" if bins is None else round(calibration_error(bins), 4)
    n_windows = sum(map(sum, result.figures["confusion"]))
    seconds = [round(sum(outcome.cpu_s.values()), 2), *(outcome.cpu_s.get(stage, "") for stage in STAGES)]
    direction = [result.head, result.trained_on, result.tested_on]
    return [*where, *direction, *figures, oracle, error, n_windows, outcome.wall_s, *seconds]
