"""A study as one HTML file: pictures first, then tables, what it cost, and what made it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from bci_m2s.files.html_page import Page
from bci_m2s.files.whole import write_whole
from bci_m2s.training.experiment import library_versions
from bci_m2s.training.results.confusion import shares_figure
from bci_m2s.training.results.evaluation import Result
from bci_m2s.training.results.metrics import balanced_accuracy
from bci_m2s.training.results.summary import Difference, Summary, differences, rows_of, summarise
from bci_m2s.training.settings import TrainingSettings
from bci_m2s.training.study.groups import Group, Outcomes, row_name
from bci_m2s.training.study.pictures import people_figure, surface_figure
from bci_m2s.training.study.schedule import duration
from bci_m2s.training.study.settings import StudySettings
from bci_m2s.training.study.variants import Variant

PICTURE = (
    "A dot is a person, over all parts and seeds; the bar is the mean over people, the line its 95 % "
    "interval over people and seeds; dotted: chance."
)
COLUMNS = ("method", "direction", "balanced accuracy", "95 % interval", "kappa", "F1", "people", "seeds")
LESS = ("direction", "less", "difference", "95 % interval", "p (Holm)", "people")


def write_report(
    study: StudySettings,
    variants: Mapping[Variant, TrainingSettings],
    found: Outcomes,
    groups: Sequence[Group],
    n_cells: int,
    out: Path,
    command: Sequence[str],
) -> Path:
    """Write ``report.html``.

    n_cells : how many cells the study has; command : that made it
    """
    page = Page(study.title)
    n_done = sum(map(len, found.values()))
    cpu_s = sum(sum(outcome.cpu_s.values()) for of_one in found.values() for _, outcome in of_one)
    page.figures(
        [
            (str(n_done), f"of {n_cells} cells"),
            (str(len(study.methods)), "methods"),
            (str(study.seeds), "seeds"),
            (duration(cpu_s), "on one core"),
        ]
    )
    for group in groups:
        _show(page, group)
    if len(study.grid) > 1:
        _show_grid(page, study, groups)
    _show_costs(page, variants, found)
    top = [f"Made by: {shlex.join(command)}"]
    top += ["Versions: " + ", ".join(f"{name} {version}" for name, version in library_versions().items())]
    warnings = [] if n_done == n_cells else [f"Not complete: {n_done} of {n_cells} cells."]
    warnings += [
        f"{data} is simulated: its figures say nothing about people."
        for data in dict.fromkeys(
            variant.data for variant, settings in variants.items() if settings.contract.simulated
        )
    ]
    path = out / "report.html"
    write_whole(path, page.html(top, warnings), overwrite=True)
    return path


def _show(page: Page, group: Group) -> None:
    """One comparison: a picture per head, confusion matrices of the first method, tables."""
    page.section(group.title)
    for line in group.lines:
        page.paragraph(line, "note")
    for head, classes in group.classes.items():
        results = [result for result in group.results if result.head == head]
        if not results:
            continue
        if len(group.classes) > 1:
            page.heading(head)
        summaries, rows = summarise(results, group.main), rows_of(results)
        words = f"Balanced accuracy of every person by method and direction: {group.title}, {head}"
        page.picture(people_figure(summaries, rows, 1 / len(classes)), words, PICTURE)
        own = [one for one in summaries if one.method == group.main]
        page.picture(
            shares_figure([one.direction for one in own], [one.confusion for one in own], classes),
            f"Confusion matrices of {group.main}",
            f"{group.main}: of each class (rows), the per cent that was taken for each (columns).",
        )
        page.table(COLUMNS, [_figure_cells(one) for one in summaries], COLUMNS[2:])
        if compared := differences(results, group.main):
            page.paragraph(f"{group.main} less each other method, on the same people:")
            page.table(LESS, [_difference_cells(one) for one in compared], LESS[2:])


def _figure_cells(one: Summary) -> list[str]:
    interval = f"{one.low:.3f} to {one.high:.3f}"
    numbers = [f"{one.mean:.3f}", interval, f"{one.kappa:.3f}", f"{one.f1:.3f}", str(one.people)]
    return [one.method, one.direction, *numbers, str(one.seeds)]


def _difference_cells(one: Difference) -> list[str]:
    interval = f"{one.low:+.3f} to {one.high:+.3f}"
    return [one.direction, one.rival, f"{one.mean:+.3f}", interval, f"{one.p_holm:.3f}", str(one.people)]


def _show_grid(page: Page, study: StudySettings, groups: Sequence[Group]) -> None:
    """The first method's mean over the first two keys of the grid, direction by direction."""
    page.section("Grid")
    down, across = list(study.grid)[:2]
    for data, protocol in dict.fromkeys((group.data, group.protocol) for group in groups):
        means: dict[str, dict[tuple[Any, Any], float]] = {}
        for group in groups:
            if (group.data, group.protocol) == (data, protocol):
                point = dict(group.point)
                for direction, mean in _means(group.results, group.main).items():
                    means.setdefault(direction, {})[point[down], point[across]] = mean
        for direction, of_point in means.items():
            surface = np.array(
                [
                    [of_point.get((row, column), np.nan) for column in study.grid[across]]
                    for row in study.grid[down]
                ]
            )
            figure = surface_figure(surface, (down, study.grid[down]), (across, study.grid[across]))
            page.picture(figure, f"Heat map of {direction}", f"{data}, {protocol}: {direction}")


def _means(results: Sequence[Result], method: str) -> dict[str, float]:
    """A method's balanced accuracy by direction, mean over people, of the first head."""
    rows = rows_of(results)
    first = next(iter(rows))[0]
    return {
        direction: float(row.grid(balanced_accuracy).mean())
        for (head, name, direction), row in rows.items()
        if (head, name) == (first, method)
    }


def _show_costs(page: Page, variants: Mapping[Variant, TrainingSettings], found: Outcomes) -> None:
    page.section("Cost")
    rows = []
    for variant, of_variant in found.items():
        seconds = [sum(outcome.cpu_s.values()) for _, outcome in of_variant]
        if seconds:
            name = variant.name.replace(variant.method, row_name(variant, variants[variant]))
            rows.append([name, str(len(seconds)), f"{median(seconds):.1f}", duration(sum(seconds))])
    columns = ("training file", "cells", "seconds of one core per cell, median", "together")
    page.table(columns, rows, columns[1:])
