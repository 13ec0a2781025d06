"""Pictures of the answers for the report: confusion, ages, self-reports."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bci_m2s.colours import class_colour
from bci_m2s.handover.marks import rating_scales
from bci_m2s.handover.signal_figures import new_figure
from bci_m2s.handover.votes import Votes
from bci_m2s.recording.trials import GuidedTrial
from bci_m2s.review.draw_answers import label
from bci_m2s.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_CLASSES = 12
LARGEST_ANSWER = 1e6  # no scale has more


def confusion_figure(votes: Sequence[Votes]) -> Figure:
    """Trials by label and vote, one matrix per line."""
    figure = new_figure(max(3.6 * len(votes), 4.0), 3.6)
    for place, line in enumerate(votes):
        axes = figure.add_subplot(1, len(votes), place + 1)
        counts, names = line.confusion[:MOST_CLASSES, :MOST_CLASSES], line.classes[:MOST_CLASSES]
        axes.imshow(counts, cmap="Blues", vmin=0, vmax=max(int(counts.max()), 1))
        for row, column in np.ndindex(counts.shape):
            colour = "white" if counts[row, column] > counts.max() / 2 else "black"
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour)
        shown = [label(name, 12) for name in names]
        axes.set_xticks(range(len(names)), shown, fontsize=8, rotation=30)
        axes.set_yticks(range(len(names)), shown, fontsize=8)
        axes.set_xlabel("answer")
        axes.set_ylabel("label" if not place else "")
        axes.set_title(label(line.line, 30), fontsize=9)
    return figure


def age_figure(times_s: FloatArray, ages_ms: FloatArray, end_s: float) -> Figure:
    """Age of the newest sample of each estimate when it was published."""
    figure = new_figure(11, 2.4)
    axes = figure.add_subplot()
    axes.plot(times_s, ages_ms, ".", ms=2.5, color="#4477AA")
    axes.set_xlim(0, max(end_s, 1.0))
    axes.set_ylim(0, max(float(np.nanmax(ages_ms)) * 1.05, 1.0))
    axes.set_xlabel("seconds from the start")
    axes.set_ylabel("age, ms")
    return figure


def rating_figure(trials: Sequence[GuidedTrial], labels: Sequence[str], end_s: float) -> Figure | None:
    """Numeric self-reports over the session, coloured by the trial's label; None without any.

    labels : all of them, in the order of their colours
    """
    from matplotlib.patches import Patch

    scales = {scale: _numbers(trials, scale) for scale in rating_scales(trials)}
    scales = {scale: values for scale, values in scales.items() if np.isfinite(values).any()}
    if not scales:
        return None
    shown = {trial.label for trial in trials}
    figure = new_figure(11, 0.7 + 1.3 * len(scales))
    for place, (scale, values) in enumerate(scales.items()):
        axes = figure.add_subplot(len(scales), 1, place + 1)
        for trial, value in zip(trials, values, strict=True):
            colour = class_colour(labels.index(trial.label))
            if trial.duration_s > 0:
                axes.axvspan(
                    trial.start_s, trial.stop_s, color=colour, alpha=0.15 if trial.excluded else 0.3, lw=0
                )
            if math.isfinite(value):
                at = trial.stop_s if math.isfinite(trial.stop_s) else trial.start_s
                axes.plot(
                    at,
                    value,
                    "o",
                    color=colour,
                    markeredgecolor="black",
                    fillstyle="none" if trial.excluded else "full",
                )
        axes.set_xlim(0, max(end_s, 1.0))
        spread = max(float(np.nanmax(values) - np.nanmin(values)), 1.0)
        axes.set_ylim(np.nanmin(values) - 0.15 * spread, np.nanmax(values) + 0.15 * spread)
        axes.set_ylabel(label(scale, 16), fontsize=9)
        axes.tick_params(labelbottom=place == len(scales) - 1)
        if not place:
            patches = [
                Patch(color=class_colour(n), label=label(name, 16))
                for n, name in enumerate(labels)
                if name in shown
            ]
            axes.legend(
                handles=patches, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=8
            )
    axes.set_xlabel("seconds from the start")
    return figure


def _numbers(trials: Sequence[GuidedTrial], scale: str) -> FloatArray:
    made = []
    for trial in trials:
        try:
            value = float(trial.ratings.get(scale, "nan"))
        except ValueError:
            value = math.nan
        made.append(value if abs(value) < LARGEST_ANSWER else math.nan)
    return np.array(made)
