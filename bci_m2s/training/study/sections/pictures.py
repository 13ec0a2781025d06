"""Pictures of a study: people by method, confusion matrices, a surface over two settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bci_m2s.training.results.summary import Summary
from bci_m2s.training.study.groups import OfHead
from bci_m2s.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROW_IN, COLUMN_IN, NAMES_IN = 0.32, 2.3, 1.9
DOT = 1e-3  # a line so short is a dot
OURS, OTHERS = "#d0661f", "#4a6fa5"
COLOURS = (
    OURS,
    OTHERS,
    "#3c8d5a",
    "#8d5ba6",
    "#b59a1c",
    "#3fa7b5",
    "#c2527f",
    "#6b6b6b",
    "#7a4b2a",
    "#9bbf4a",
)


def colour_of(number: int) -> str:
    """Of the row with this number; they come again where there are more rows than colours."""
    return COLOURS[number % len(COLOURS)]


def people_figure(of_head: OfHead) -> Figure:
    """A panel per direction with a line per method: a dot for each person, bar and interval of the mean."""
    from matplotlib.figure import Figure

    methods, directions = of_head.methods, of_head.directions
    size = (NAMES_IN + COLUMN_IN * len(directions), 0.9 + ROW_IN * len(methods))
    figure = Figure(figsize=size, layout="constrained")
    for column, direction in enumerate(directions, 1):
        axes = figure.add_subplot(1, len(directions), column)
        for one in of_head.summaries:
            if one.direction == direction:
                row = of_head.rows[one.method, direction]
                _line(axes, methods.index(one.method), one, row.grid().mean(axis=0))
        style_of_methods(
            axes, methods if column == 1 else [""] * len(methods), direction, 1 / len(of_head.classes)
        )
        axes.set_xlim(0, 1.02)
    figure.supxlabel("balanced accuracy", fontsize=8)
    return figure


def style_of_methods(axes: Any, methods: Sequence[str], title: str, chance: float) -> None:
    """Methods from top to bottom, and a dotted line at chance. methods : "" where a panel has no names"""
    axes.axvline(chance, color="#777777", linestyle=":", linewidth=0.8)
    axes.set_yticks(range(len(methods)), methods, fontsize=8)
    axes.set_ylim(len(methods) - 0.5, -0.5)
    axes.set_title(title, fontsize=9)
    axes.tick_params(labelsize=8)


def _line(axes: Any, place: int, one: Summary, people: FloatArray) -> None:
    colour = OURS if place == 0 else OTHERS
    axes.barh(place, one.mean, color=colour, alpha=0.25, height=0.7)
    axes.plot([one.low, one.high], [place, place], color=colour, linewidth=2)
    # spread a little, the same way each time, so that equal people are seen
    spread = place + 0.22 * np.sin(np.arange(len(people)) * 2.4)
    draw_dots(axes, people, spread, colour)


def draw_dots(axes: Any, across: FloatArray, up: FloatArray, colour: str) -> None:
    """Dots at places (n,) each, as one path: a marker each makes large files."""
    dots = np.column_stack([across, across + DOT, np.full(len(across), np.nan)]).ravel()
    axes.plot(dots, np.repeat(up, 3), color=colour, linewidth=2.5, solid_capstyle="round")


def surface_figure(
    values: FloatArray, down: tuple[str, Sequence[Any]], across: tuple[str, Sequence[Any]]
) -> Figure:
    """A heat map, (rows, columns), with its numbers. down, across : a key, and its values"""
    from matplotlib.figure import Figure

    figure = Figure(
        figsize=(1.6 + 0.8 * values.shape[1], 1.3 + 0.5 * values.shape[0]), layout="constrained"
    )
    axes = figure.add_subplot()
    axes.imshow(values, cmap="viridis", aspect="auto")
    middle = np.nanmean(values)
    for (i, j), value in np.ndenumerate(values):
        if not np.isnan(value):
            colour = "black" if value > middle else "white"
            axes.text(j, i, f"{value:.3f}", ha="center", va="center", color=colour, fontsize=9)
    axes.set_xticks(range(len(across[1])), [str(one) for one in across[1]])
    axes.set_yticks(range(len(down[1])), [str(one) for one in down[1]])
    axes.set_xlabel(across[0], fontsize=9)
    axes.set_ylabel(down[0], fontsize=9)
    return figure
