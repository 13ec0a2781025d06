"""Protocols side by side: what each method reaches with people apart, and with people and clips apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bci_m2s.files.html_page import Page
from bci_m2s.training.study.groups import Group
from bci_m2s.training.study.sections.pictures import (
    COLUMN_IN,
    NAMES_IN,
    ROW_IN,
    colour_of,
    style_of_methods,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SAID = (
    "Mean balanced accuracy over people by each protocol. Difference: less the first protocol; where the "
    "same clips train and test, a method may know the clip and not the emotion."
)


@dataclass(frozen=True)
class SideBySide:
    """One head of a data set and point of the grid. means : method and direction → protocol → mean"""

    title: str
    protocols: list[str]
    means: Mapping[tuple[str, str], Mapping[str, float]]
    directions: list[str]
    chance: float


def side_by_side(groups: Sequence[Group]) -> list[SideBySide]:
    """Every head of every data set that has figures by several protocols."""
    found = []
    for data, point in dict.fromkeys((group.data, group.point) for group in groups):
        of_data = [group for group in groups if (group.data, group.point) == (data, point)]
        heads = dict.fromkeys(one.head for group in of_data for one in group.heads)
        for head in heads:
            means: dict[tuple[str, str], dict[str, float]] = {}
            directions: dict[str, None] = {}
            classes = of_data[0].classes[head]
            for group in of_data:
                for one in (one for one in group.heads if one.head == head):
                    directions |= dict.fromkeys(one.directions)
                    for row in one.summaries:
                        means.setdefault((row.method, row.direction), {})[group.protocol] = row.mean
            protocols = [group.protocol for group in of_data]
            if len(protocols) > 1:
                at = "".join(f", {key} {value}" for key, value in point)
                title = f"{data}{at}" + (f", {head}" if len(heads) > 1 else "")
                found.append(SideBySide(title, protocols, means, list(directions), 1 / len(classes)))
    return found


def add_protocols(page: Page, groups: Sequence[Group]) -> None:
    """A picture and a table for each; nothing where each data set has one protocol."""
    found = side_by_side(groups)
    if not found:
        return
    page.section("Protocols side by side")
    for one in found:
        page.heading(one.title)
        page.picture(protocols_figure(one), f"Balanced accuracy by protocol: {one.title}", SAID)
        columns, rows = table_of(one)
        page.table(columns, rows, columns[2:])


def table_of(one: SideBySide) -> tuple[list[str], list[list[str]]]:
    """Columns and lines: each method in each direction by each protocol, and less the first."""
    first, *others = one.protocols
    columns = ["method", "direction", *one.protocols, *(f"{other} less {first}" for other in others)]
    rows = []
    for (method, direction), means in one.means.items():
        texts = [f"{means[name]:.3f}" if name in means else "–" for name in one.protocols]
        differences = [
            f"{means[other] - means[first]:+.3f}" if {first, other} <= means.keys() else "–"
            for other in others
        ]
        rows.append([method, direction, *texts, *differences])
    return columns, rows


def protocols_figure(one: SideBySide) -> Figure:
    """A panel per direction with a line per method, from its mean by one protocol to that by another."""
    from matplotlib.figure import Figure

    methods = list(dict.fromkeys(method for method, _ in one.means))
    size = (NAMES_IN + COLUMN_IN * len(one.directions), 1.2 + ROW_IN * len(methods))
    figure = Figure(figsize=size, layout="constrained")
    dots = {}
    for column, direction in enumerate(one.directions, 1):
        axes = figure.add_subplot(1, len(one.directions), column)
        for place, method in enumerate(methods):
            means = one.means.get((method, direction), {})
            axes.plot(list(means.values()), [place] * len(means), color="#bbbbbb", linewidth=2, zorder=1)
            for protocol, mean in means.items():
                colour = colour_of(one.protocols.index(protocol))
                dots[protocol] = axes.scatter([mean], [place], color=colour, s=28, zorder=2)
        style_of_methods(axes, methods if column == 1 else [""] * len(methods), direction, one.chance)
        axes.set_xlim(0, 1.02)
    figure.supxlabel("balanced accuracy", fontsize=8)
    shown = {name: dots[name] for name in one.protocols if name in dots}
    figure.legend(
        shown.values(), shown, loc="outside upper right", ncols=len(shown), fontsize=8, frameon=False
    )
    return figure
