"""Confusion matrices as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def shares_figure(titles: Sequence[str], counts: Sequence[object], classes: Sequence[str]) -> Figure:
    """Confusion matrices side by side, each row (the truth) in per cent."""
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
    return figure
