"""The tables of a study: Markdown for people, CSV for everything else."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bci_m2s.files.whole import write_whole
from bci_m2s.training.check.training_file import count
from bci_m2s.training.methods import METHODS
from bci_m2s.training.results.evaluation import Result
from bci_m2s.training.results.summary import differences, summarise
from bci_m2s.training.results.tables import markdown
from bci_m2s.training.settings import TrainingSettings
from bci_m2s.training.study.cell import Cell, Outcome, read_outcome
from bci_m2s.training.study.settings import PageSettings
from bci_m2s.training.study.variants import Variant

APPROXIMATE = " (approximate)"
COLUMNS = (
    "data", "protocol", "method", "grid", "seed", "split", "head", "trained_on", "tested_on",
    "balanced_accuracy", "kappa", "f1", "oracle", "windows", "cpu_s",
)  # fmt: skip
Outcomes = Mapping[Variant, Sequence[tuple[Cell, Outcome]]]


def write_tables(
    study: PageSettings, variants: Mapping[Variant, TrainingSettings], cells: Sequence[Cell], out: Path
) -> Path:
    """Write ``tables.md`` and ``cells.csv`` of the cells that are done; returns the first's path."""
    found = read_outcomes(variants, cells)
    parts = [f"# {study.title}", ""]
    n_done = sum(len(of_variant) for of_variant in found.values())
    if n_done < len(cells):
        parts += [f"**Not complete**: {n_done} of {len(cells)} cells.", ""]
    for group, names in _groups(variants).items():
        if any(found[variant] for variant in names):
            parts += _group(group, {variant: found[variant] for variant in names}, variants)
    path = out / "tables.md"
    write_whole(path, "\n".join(parts), overwrite=True)
    write_whole(out / "cells.csv", _csv(found), overwrite=True)
    return path


def read_outcomes(variants: Mapping[Variant, TrainingSettings], cells: Sequence[Cell]) -> Outcomes:
    """What the cells of each training file gave, as far as they are done."""
    found: dict[Variant, list[tuple[Cell, Outcome]]] = {variant: [] for variant in variants}
    by_file = {variant.file.absolute(): variant for variant in variants}
    for cell in cells:
        outcome = read_outcome(cell)
        if outcome is not None:
            found[by_file[cell.training]].append((cell, outcome))
    return found


def row_name(variant: Variant, settings: TrainingSettings) -> str:
    """What the tables call a method: rows without released code behind them are marked."""
    is_approximate = METHODS[settings.finetune.method].approximate
    return f"{variant.method}{APPROXIMATE if is_approximate else ''}"


def _groups(variants: Mapping[Variant, TrainingSettings]) -> dict[str, list[Variant]]:
    """Training files whose methods are compared, under a heading."""
    groups: dict[str, list[Variant]] = {}
    for variant in variants:
        point = "".join(f", {key} {value}" for key, value in variant.point)
        groups.setdefault(f"{variant.data}, {variant.protocol}{point}", []).append(variant)
    return groups


def _group(title: str, found: Outcomes, variants: Mapping[Variant, TrainingSettings]) -> Iterator[str]:
    """The tables of one comparison, head by head."""
    results = [
        replace(result, method=row_name(variant, variants[variant]))
        for variant, of_variant in found.items()
        for _, outcome in of_variant
        for result in outcome.results
    ]
    first = next(iter(found))
    main, settings = row_name(first, variants[first]), variants[first]
    lines = next((outcome.protocol for one in found.values() for _, outcome in one), {})
    yield f"## {title}"
    yield ""
    for head, classes in settings.contract.class_names.items():
        of_head = [result for result in results if result.head == head]
        if of_head:
            yield f"### {head}"
            yield ""
            kept = [*_who(of_head, lines.get(head, [])), *_of_every_part(lines.get(head, []))]
            yield markdown(summarise(of_head, main), kept, classes, differences(of_head, main))


def _of_every_part(lines: Sequence[str]) -> list[str]:
    """The lines of a protocol that do not differ from part to part."""
    return [line for line in lines if not line.startswith(("People:", "Tested:", "Seeds:"))]


def _who(results: Sequence[Result], lines: Sequence[str]) -> Iterator[str]:
    """Who tested over all parts. lines : the protocol of one part"""
    n_parts = len({result.split for result in results})
    people = {person for result in results for person in result.figures["by_subject"]}
    yield f"Tested: {count(len(people), 'person', 'people')}"
    of_one = next((line.removeprefix("People: ") for line in lines if line.startswith("People:")), "")
    if of_one:
        turns = f"{n_parts} parts test in turn, of one: " if n_parts > 1 else ""
        yield f"{turns}{of_one}"


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
