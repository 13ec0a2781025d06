"""Losses of a training as a table and as a picture."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

Rows = Sequence[dict[str, float]]


def write_curves(path: Path, rows: Rows, title: str, panels: Sequence[Sequence[str]]) -> None:
    """Write `path`.csv with every column, and `path`.png with one panel for each group of columns.

    Columns that the rows do not have are left out.
    """
    if not rows:
        return
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with path.with_suffix(".csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    _draw(path.with_suffix(".png"), rows, title, panels)


def _draw(path: Path, rows: Rows, title: str, panels: Sequence[Sequence[str]]) -> None:
    from matplotlib.figure import Figure

    shown = [[name for name in panel if name in rows[-1]] for panel in panels]
    shown = [panel for panel in shown if panel]
    figure = Figure(figsize=(4.2 * len(shown), 3.4), layout="constrained")
    figure.suptitle(title)
    epochs = [row["epoch"] for row in rows]
    for column, names in enumerate(shown, 1):
        axes = figure.add_subplot(1, len(shown), column)
        for name in names:
            dashed = "--" if name.startswith("validation") else "-"
            values = [row.get(name, float("nan")) for row in rows]
            axes.plot(epochs, values, dashed, label=name.replace("_", " "))
        axes.set_xlabel("epoch")
        axes.legend(fontsize=8, frameon=False)
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)


def draw_confusions(
    path: Path, titles: Sequence[str], counts: Sequence[object], classes: Sequence[str]
) -> None:
    """Draw confusion matrices side by side, each row (the truth) in per cent."""
    import numpy as np
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.0 * len(titles), 3.2), layout="constrained")
    for column, (title, matrix_counts) in enumerate(zip(titles, counts, strict=True), 1):
        matrix = np.asarray(matrix_counts, dtype=float)
        shares = 100 * matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
        axes = figure.add_subplot(1, len(titles), column)
        axes.imshow(shares, vmin=0, vmax=100, cmap="Blues")
        for (i, j), share in np.ndenumerate(shares):
            colour = "white" if share > 60 else "black"
            axes.text(j, i, f"{share:.0f}", ha="center", va="center", color=colour, fontsize=9)
        axes.set_xticks(range(len(classes)), classes, rotation=30, ha="right", fontsize=8)
        axes.set_yticks(range(len(classes)), classes if column == 1 else [""] * len(classes), fontsize=8)
        axes.set_title(title, fontsize=9)
        axes.set_xlabel("estimate, % of the truth", fontsize=8)
    figure.savefig(path, dpi=110)
