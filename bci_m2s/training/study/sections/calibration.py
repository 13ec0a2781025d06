"""Calibration: how often a method is right where it says that it is so sure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bci_m2s.files.html_page import Page
from bci_m2s.training.results.metrics import Bins, calibration_error, pooled
from bci_m2s.training.study.groups import Group, OfHead
from bci_m2s.training.study.sections.pictures import colour_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PANEL_IN = 2.5
MOST_ACROSS = 4
FEWEST = 10  # windows of a bin that is drawn
SAID = (
    "Of the test windows that a method judges with the same confidence (across), the share that it judges "
    f"right (up); on the dotted line it is as sure as it may be. Bins of fewer than {FEWEST} windows are "
    "not drawn. A method with model files has their temperature, fitted on validation windows; others have "
    "none."
)
TABLE_SAID = (
    "Expected calibration error: mean distance between confidence and accuracy in 15 bins, over all test "
    "windows of all parts and seeds; – where the method gives no probabilities, or an earlier version kept "
    "none."
)
Found = Mapping[str, Mapping[str, Bins]]  # method → direction → its bins


def bins_of(of_head: OfHead) -> dict[str, dict[str, Bins]]:
    """The bins of each method in each direction, as far as its cells keep them all."""
    found: dict[str, dict[str, Bins]] = {}
    for (method, direction), row in of_head.rows.items():
        bins = [result.figures.get("reliability") for result in row.results]
        if all(bins):
            found.setdefault(method, {})[direction] = pooled(one for one in bins if one)
    return found


def add_calibration(page: Page, group: Group, of_head: OfHead) -> None:
    """A reliability diagram for each method, and the errors as a table."""
    found = bins_of(of_head)
    if not found:
        return
    page.heading("Calibration")
    words = f"Reliability diagrams: {group.title}, {of_head.head}"
    page.picture(reliability_figure(found, of_head.directions), words, SAID)
    columns = ["method", *of_head.directions]
    page.table(columns, error_rows(found, of_head), columns[1:])
    page.paragraph(TABLE_SAID, "note")


def error_rows(found: Found, of_head: OfHead) -> list[list[str]]:
    """The expected calibration error of each method by direction."""
    rows = []
    for method in of_head.methods:
        of_method = found.get(method, {})
        texts = [
            f"{calibration_error(of_method[name]):.3f}" if name in of_method else "–"
            for name in of_head.directions
        ]
        rows.append([method, *texts])
    return rows


def reliability_figure(found: Found, directions: list[str]) -> Figure:
    """A panel per method, a line per direction."""
    from matplotlib.figure import Figure

    across = min(len(found), MOST_ACROSS)
    down = -(-len(found) // across)
    figure = Figure(figsize=(PANEL_IN * max(across, 2), PANEL_IN * down + 0.5), layout="constrained")
    shown = {}
    for number, (method, of_method) in enumerate(found.items(), 1):
        axes = figure.add_subplot(down, across, number)
        axes.plot([0, 1], [0, 1], ":", color="#777777", linewidth=0.8)
        for direction, bins in of_method.items():
            n = np.array(bins["windows"])
            drawn = n >= FEWEST
            sure, right = (np.array(bins[name])[drawn] / n[drawn] for name in ("confidence", "right"))
            colour = colour_of(directions.index(direction))
            (shown[direction],) = axes.plot(sure, right, ".-", color=colour, linewidth=1.2, markersize=5)
        axes.set_xlim(-0.03, 1.03)
        axes.set_ylim(-0.03, 1.03)
        axes.set_box_aspect(1)
        axes.set_title(method, fontsize=9)
        axes.tick_params(labelsize=7)
    figure.supxlabel("confidence", fontsize=8)
    figure.supylabel("right", fontsize=8)
    ordered = {name: shown[name] for name in directions if name in shown}
    figure.legend(ordered.values(), ordered, loc="outside upper center", ncols=3, fontsize=8, frameon=False)
    return figure
