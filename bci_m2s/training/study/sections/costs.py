"""What the cells of a study cost, stage by stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

from bci_m2s.files.html_page import Page
from bci_m2s.training.study.groups import Group, Outcomes
from bci_m2s.training.study.schedule import duration
from bci_m2s.training.study.sections.pictures import NAMES_IN, ROW_IN

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STAGES = {"pretrain": "#4a6fa5", "finetune": "#d0661f", "evaluate": "#3c8d5a"}
SAID = "Seconds of one core: a dot is a cell, the bar the medians of its stages, one behind the other."
Seconds = Mapping[str, Sequence[Mapping[str, float]]]  # row → its cells' seconds by stage


def seconds_of(groups: Sequence[Group], found: Outcomes) -> dict[str, list[Mapping[str, float]]]:
    """What each cell of each row took, at each point of the grid."""
    return {
        method + "".join(f", {key} {value}" for key, value in group.point): [
            outcome.cpu_s for _, outcome in found[variant]
        ]
        for group in groups
        for method, (variant, _) in group.members.items()
    }


def seconds_together(found: Outcomes) -> float:
    """Of all cells."""
    return sum(sum(outcome.cpu_s.values()) for cells in found.values() for _, outcome in cells)


def add_costs(page: Page, groups: Sequence[Group], found: Outcomes) -> None:
    """A picture and a table for each data set and protocol; every single cell is in cells.csv."""
    page.section("Cost")
    page.paragraph(f"{SAID} The figures of every single cell are in cells.csv.", "note")
    columns = (
        "method",
        "cells",
        *(f"{stage}, s" for stage in STAGES),
        "a cell, s",
        "longest, s",
        "together",
    )
    for data, protocol in dict.fromkeys((group.data, group.protocol) for group in groups):
        of_both = [group for group in groups if (group.data, group.protocol) == (data, protocol)]
        seconds, title = seconds_of(of_both, found), f"{data}, {protocol}"
        page.heading(title)
        page.picture(costs_figure(seconds), f"Seconds of one core by method and stage: {title}")
        page.table(columns, [_row(*one) for one in seconds.items()], columns[1:])


def _row(method: str, cells: Sequence[Mapping[str, float]]) -> list[str]:
    whole = [sum(one.values()) for one in cells]
    stages = [f"{value:.1f}" for value in _medians(cells)]
    return [
        method,
        str(len(cells)),
        *stages,
        f"{median(whole):.1f}",
        f"{max(whole):.1f}",
        duration(sum(whole)),
    ]


def _medians(cells: Sequence[Mapping[str, float]]) -> list[float]:
    return [median(one.get(stage, 0.0) for one in cells) for stage in STAGES]


def costs_figure(seconds: Seconds) -> Figure:
    """A line per row: a bar of its stages, a dot for each cell."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(NAMES_IN + 5.5, 1.0 + ROW_IN * len(seconds)), layout="constrained")
    axes: Any = figure.add_subplot()
    for place, cells in enumerate(seconds.values()):
        begin = 0.0
        for (stage, colour), value in zip(STAGES.items(), _medians(cells), strict=True):
            label = stage if place == 0 else None
            axes.barh(place, value, left=begin, color=colour, alpha=0.5, height=0.7, label=label)
            begin += value
        axes.plot(
            [sum(one.values()) for one in cells], [place] * len(cells), ".", color="#222222", markersize=3
        )
    axes.set_yticks(range(len(seconds)), list(seconds), fontsize=8)
    axes.set_ylim(len(seconds) - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.set_xlabel("seconds of one core", fontsize=8)
    axes.tick_params(labelsize=8)
    figure.legend(fontsize=8, frameon=False, loc="outside upper right", ncols=len(STAGES))
    return figure
