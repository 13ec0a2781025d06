"""Learning curves: losses of pre-training and validation of the classifiers, over the cells of a row."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bci_m2s.files.html_page import Page
from bci_m2s.training.methods.epochs import validation_loss
from bci_m2s.training.settings import TrainingSettings
from bci_m2s.training.study.groups import Group, Outcomes
from bci_m2s.training.study.sections.pictures import colour_of
from bci_m2s.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PANEL_IN = (3.7, 2.9)
MOST_ACROSS = 4
PRETRAINING, VALIDATION = "pre-training loss", "pre-training loss on validation pairs"
SAID = (
    "Mean over the cells of a method, the band one standard deviation over them; a cell that ends earlier "
    "counts as long as it lasts. Losses of other weights are on other scales. Methods that keep no curves "
    "are not shown."
)
Curves = dict[str, dict[str, list[FloatArray]]]  # panel → method → a curve for each cell


@dataclass(frozen=True)
class Mean:
    """Of several curves by epoch. sd : 0 where one is left"""

    mean: FloatArray
    sd: FloatArray


def mean_curve(curves: Sequence[FloatArray]) -> Mean:
    """Mean and standard deviation by epoch; each curve counts as long as it lasts."""
    longest = max(map(len, curves))
    grid = np.full((len(curves), longest), np.nan)
    for row, curve in zip(grid, curves, strict=True):
        row[: len(curve)] = curve
    n = np.count_nonzero(~np.isnan(grid), axis=0)
    mean = np.nansum(grid, axis=0) / np.maximum(n, 1)
    squares = np.nansum((grid - mean) ** 2, axis=0)
    mean[n == 0] = np.nan
    return Mean(mean, np.sqrt(squares / np.maximum(n - 1, 1)))


def curves_of(group: Group, found: Outcomes) -> Curves:
    """What the cells of a comparison keep of their training."""
    curves: Curves = {}
    for method, (variant, settings) in group.members.items():
        for cell, _ in found[variant]:
            for folder in sorted(cell.folder.glob("*/seed-*")):
                for panel, values in _of_training(folder, settings):
                    if not np.all(np.isnan(values)):
                        curves.setdefault(panel, {}).setdefault(method, []).append(values)
    return curves


def _of_training(folder: Path, settings: TrainingSettings) -> Iterator[tuple[str, FloatArray]]:
    if rows := _read(folder / "pretrain.csv"):
        yield PRETRAINING, np.array([row.get("total", math.nan) for row in rows])
        yield VALIDATION, np.array([validation_loss(row, settings.pretrain) for row in rows])
    for name in settings.pair:
        if rows := _read(folder / f"finetune-{name}.csv"):
            panel = f"classifier of {name}: balanced accuracy on validation"
            yield panel, np.array([row.get("validation", math.nan) for row in rows])


def _read(path: Path) -> list[Mapping[str, float]]:
    """Rows of a table of curves; none where it is not there or is damaged, since it is no result."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [
                {name: float(text) for name, text in row.items() if text} for row in csv.DictReader(file)
            ]
    except (OSError, ValueError, TypeError, AttributeError):
        return []


def add_curves(page: Page, group: Group, found: Outcomes) -> None:
    """A panel for each kind of curve, a line for each method."""
    curves = curves_of(group, found)
    if curves:
        page.heading("Learning curves")
        page.picture(curves_figure(curves, list(group.members)), f"Learning curves: {group.title}", SAID)


def curves_figure(curves: Curves, methods: Sequence[str]) -> Figure:
    """A panel per kind of curve. methods : of the tables, whose colours stay from panel to panel"""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    across = min(len(curves), MOST_ACROSS)
    down = -(-len(curves) // across)
    figure = Figure(figsize=(PANEL_IN[0] * across, PANEL_IN[1] * down + 0.5), layout="constrained")
    shown: dict[str, Any] = {}
    for number, (panel, of_panel) in enumerate(curves.items(), 1):
        axes = figure.add_subplot(down, across, number)
        for method, of_method in of_panel.items():
            one, place = mean_curve(of_method), methods.index(method)
            colour, place = colour_of(place), len(methods) - place + 2  # the first method lies on top
            epochs = np.arange(1, len(one.mean) + 1)
            marker = "." if len(epochs) < 3 else ""
            (shown[method],) = axes.plot(
                epochs, one.mean, marker=marker, color=colour, linewidth=1.4, zorder=place
            )
            axes.fill_between(epochs, one.mean - one.sd, one.mean + one.sd, color=colour, alpha=0.08)
        axes.set_title(panel, fontsize=9)
        axes.set_xlabel("epoch", fontsize=8)
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.3)
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    ordered = {name: shown[name] for name in methods if name in shown}
    figure.legend(
        ordered.values(), ordered, loc="outside lower center", ncols=min(6, len(ordered)), fontsize=8,
        frameon=False,
    )  # fmt: skip
    return figure
