"""The estimates of a session as a picture: probabilities, the modality behind them, and gaps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bci_m2s.review.facts import Answers, RecordingFacts
from bci_m2s.text import printable
from bci_m2s.types import FloatArray, Status

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Tol's schemes "muted" and "bright", set apart from the colours of classes
MAKER_COLOURS = ("#332288", "#999933", "#882255", "#44AA99", "#DDCC77", "#117733")
STATUS_COLOURS = {
    Status.FILLING: "#DDDDDD",
    Status.SETTLING: "#BBBBBB",
    Status.BASELINE: "#888888",
    Status.GAP: "#000000",
    Status.BAD_SIGNAL: "#AA3377",
    Status.STALE: "#EE8866",
    Status.MISMATCH: "#CCBB44",
    Status.FAILED: "#EE3333",
    Status.LATE: "#66CCEE",
    Status.DRIFT: "#228833",
}
UNKNOWN_COLOUR = "#BBEEFF"
MOST_CLASSES = 8  # in a legend
Mask = np.ndarray[Any, np.dtype[np.bool_]]


def lines_of(facts: RecordingFacts) -> list[tuple[str, Answers]]:
    """The lines of estimates: one per head, or per modality where each has its own."""
    lines = []
    for answers in facts.answers:
        present = [maker for maker in range(len(answers.makers)) if (answers.maker == maker).any()]
        if len(present) > 1 and side_by_side(facts, answers):
            lines += [(f"{answers.head} from {answers.makers[m]}", answers.of_maker(m)) for m in present]
        elif len(answers.times_s):
            lines.append((answers.head, answers))
    return lines


def side_by_side(facts: RecordingFacts, answers: Answers) -> bool:
    """Whether each modality has its own estimates; where the file does not say, whether they alternate."""
    mode = facts.session.pipeline.modality if facts.session is not None else ""
    if mode in ("each", "auto", "fused"):
        return bool(mode == "each")
    return bool(np.count_nonzero(np.diff(answers.maker)) > len(answers.maker) / 3)


def runs_of(times_s: FloatArray, mask: Mask) -> list[tuple[int, int, float]]:
    """Return (first, stop, end_s) of each run of lines in `mask`.

    A line holds until the next one, but not longer than usual: a silence ends a run.
    """
    if not len(times_s):
        return []
    usual_s = float(np.median(np.diff(times_s))) if len(times_s) > 1 else 1.0
    silent = np.append(np.diff(times_s) > 2 * usual_s, True)
    ends_s = np.where(silent, times_s + usual_s, np.append(times_s[1:], 0.0))
    begins = mask & ~np.concatenate([[False], mask[:-1] & ~silent[:-1]])
    finishes = mask & (silent | ~np.append(mask[1:], False))
    pairs = zip(np.flatnonzero(begins).tolist(), np.flatnonzero(finishes).tolist(), strict=True)
    return [(first, last + 1, float(ends_s[last])) for first, last in pairs]


def label(text: object, longest: int) -> str:
    """Text from outside for a picture: bounded, no formula, no character that the font lacks."""
    known = "".join(sign if sign < "ʰ" or sign in "Ωμ–…" else "?" for sign in printable(text, longest))
    return known.replace("$", r"\$")


def legend(axes: Axes, entries: Sequence[tuple[str, str]], columns: int = 1, top: float = 1.0) -> None:
    """Words beside their colours, to the right of an axis. top : of its height."""
    from matplotlib.patches import Patch

    patches = [Patch(facecolor=colour, label=words) for words, colour in entries]
    if not patches:
        return
    axes.legend(
        handles=patches,
        loc="upper left",
        bbox_to_anchor=(1.004, top),
        fontsize=8,
        frameon=False,
        handlelength=1.0,
        handleheight=0.8,
        handletextpad=0.4,
        labelspacing=0.2,
        borderaxespad=0,
        ncols=columns,
        columnspacing=0.8,
    )


def thinned(positions: FloatArray, spacing: float, first: Iterable[int] = ()) -> list[int]:
    """Indices of `positions` at least `spacing` apart, chosen in order, those of `first` before."""
    free, chosen = np.ones(len(positions), bool), []
    wanted = list(first)
    while free.any():
        index = next((candidate for candidate in wanted if free[candidate]), int(np.argmax(free)))
        chosen.append(index)
        free &= np.abs(positions - positions[index]) >= spacing
    return sorted(chosen)


def draw_answers(axes: Axes, answers: Answers, colours: Sequence[str]) -> None:
    """Probabilities stacked; hatched where there is no estimate."""
    axes.patch.set(facecolor="white", hatch="////", edgecolor="#DDDDDD")
    times_s, shares = _steps(answers)
    low = np.zeros(len(times_s))
    chosen = [colours[index % len(colours)] for index in range(len(answers.classes))]
    for index, colour in enumerate(chosen):
        high = low + shares[:, index]
        axes.fill_between(
            times_s, low, high, where=np.isfinite(high), step="post", color=colour, linewidth=0
        )
        low = high
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 0.5, 1])
    axes.set_ylabel("probability", fontsize=8)
    names = [label(name, 22) for name in answers.classes]
    # in the order of the stack: the last class on top
    legend(axes, list(zip(names, chosen, strict=True))[::-1][:MOST_CLASSES])


def _steps(answers: Answers) -> tuple[FloatArray, FloatArray]:
    """Times and probabilities, each run closed by its end and a NaN: no line continues over a silence."""
    times: list[FloatArray] = [np.empty(0)]
    shares: list[FloatArray] = [np.empty((0, len(answers.classes)))]
    for first, stop, end_s in runs_of(answers.times_s, answers.made):
        run = np.clip(answers.probabilities[first:stop], 0, 1)
        times += [answers.times_s[first:stop], np.full(2, end_s)]
        shares += [run, run[-1:], np.full_like(run[-1:], np.nan)]
    return np.concatenate(times), np.concatenate(shares)


def draw_makers(axes: Axes, answers: Answers) -> None:
    """Upper strip: the modality behind the estimate. Lower strip: why there is none, or "unknown"."""
    entries = []
    for maker, name in enumerate(answers.makers):
        colour = MAKER_COLOURS[maker % len(MAKER_COLOURS)]
        if _strip(axes, answers, answers.made & (answers.maker == maker), 1.05, colour):
            entries.append((f"made by {label(name, 14)}", colour))
    for status, colour in STATUS_COLOURS.items():
        if _strip(axes, answers, answers.status == status, 0.0, colour):
            entries.append((status.name.lower().replace("_", " "), colour))
    if _strip(axes, answers, answers.made & answers.unknown, 0.0, UNKNOWN_COLOUR):
        entries.append(("unknown", UNKNOWN_COLOUR))
    axes.set_ylim(0, 2)
    axes.set_yticks([0.5, 1.5], ["no answer", "made by"])
    legend(axes, entries, columns=2, top=1.15)


def _strip(axes: Axes, answers: Answers, mask: Mask, low: float, colour: str) -> bool:
    """Draw the runs of `mask` as a bar; whether there are any."""
    times_s = answers.times_s
    spans = [
        (float(times_s[first]), end_s - float(times_s[first])) for first, _, end_s in runs_of(times_s, mask)
    ]
    if spans:
        axes.broken_barh(spans, (low, 0.95), facecolors=colour)
    return bool(spans)
