"""A recording as one picture: answers, what made them, gaps, bad channels, and the signals themselves."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bci_m2s.errors import OutputError, printable
from bci_m2s.session_facts import Answers, RecordedEvent, SessionFacts, StreamFacts
from bci_m2s.session_signals import Binned, binned, is_eye, overview_stream, pupil_columns, unit_of
from bci_m2s.types import FloatArray, Status

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Progress = Callable[[str], None]

WIDTH_IN, HEIGHT_IN, DPI = 16.0, 9.0, 100  # 1600 x 900 pixels
LEFT, RIGHT = 0.085, 0.865  # edges of every panel; legends stand to the right
MOST_LINES = 4  # panels of answers
MOST_LABEL = 26  # characters of a marker
MOST_COLUMNS = 800  # of the signal's image; a column is a second or more
LINE_COLUMNS = 1400  # points of a drawn line
# Tol's "muted" and "bright" schemes, apart from the colours of classes
MAKER_COLOURS = ("#332288", "#88CCEE", "#999933", "#882255", "#44AA99", "#DDCC77")
STATUS_COLOURS = {
    Status.FILLING: "#DDDDDD",
    Status.SETTLING: "#BBBBBB",
    Status.BASELINE: "#888888",
    Status.GAP: "#000000",
    Status.BAD_SIGNAL: "#AA3377",
    Status.STALE: "#EE8866",
    Status.MISMATCH: "#CCBB44",
    Status.FAILED: "#EE3333",
}
UNKNOWN_COLOUR = "#99DDFF"
STALE_COLOUR = STATUS_COLOURS[Status.STALE]
Spans = list[tuple[float, float]]  # (start, width), s


def check_picture(path: Path) -> None:
    """Raise OutputError when `path` is in use, has no folder, or is not called .png."""
    if path.suffix.lower() != ".png":
        raise OutputError(f"{path}: picture: got the ending {path.suffix!r}, expected '.png'")
    if path.exists():
        raise OutputError(f"{path}: exists already; nothing is overwritten")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: no such folder: {path.parent}")


def save_picture(path: Path, figure: Figure) -> None:
    """Write a figure as PNG. Raises OutputError; never overwrites, never leaves half a file."""
    check_picture(path)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=DPI)
    try:
        with path.open("xb") as file:
            file.write(content.getvalue())
    except OSError as problem:
        raise OutputError(f"{path}: cannot be written: {problem.strerror}") from None


def session_figure(facts: SessionFacts, class_colours: Sequence[str], progress: Progress) -> Figure:
    """Draw a recording.

    Parameters
    ----------
    class_colours : of classes, in their order
    progress : told in words what is being done

    Returns
    -------
    Figure
        1600 x 900 pixels; its axes are called "markers", "answers ...", "makers ...", "stream NAME",
        "overview" and "eye" (``Axes.get_label``), each only where the file holds something for it.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    lines = lines_of(facts)
    strips = facts.modality_streams() or _regular(facts)
    shown, eye = overview_stream(facts), next((one for one in facts.raw_streams if is_eye(one)), None)
    parts: list[tuple[float, str]] = [(0.9 if facts.markers else 0.1, "markers")]
    for title, _ in lines:
        parts += [(1.5, f"answers {title}"), (0.42, f"makers {title}")]
    parts += [(0.42, f"stream {name}") for name in strips]
    parts += [(3.0, "overview")] if shown else []
    parts += [(0.8, "eye")] if eye else []
    figure = Figure(figsize=(WIDTH_IN, HEIGHT_IN), dpi=DPI)
    FigureCanvasAgg(figure)
    figure.suptitle(_title(facts), x=LEFT, y=0.985, ha="left", fontsize=13, fontweight="bold")
    axes = _panels(figure, parts, facts)
    for number, (title, answers) in enumerate(lines):
        _draw_answers(axes[f"answers {title}"], answers, class_colours, title)
        _draw_makers(axes[f"makers {title}"], answers, with_legend=number == 0)
    for number, (name, one) in enumerate(strips.items()):
        _draw_stream(axes[f"stream {name}"], name, one, facts.events, with_legend=number == 0)
    if shown:
        progress(f"reading {printable(shown.stream.info.name)[:60]}")
        seconds = max(1.0, facts.end_s / MOST_COLUMNS)
        bad = {str(event.fields.get("channel")) for event in facts.events if event.kind == "quality"}
        _draw_overview(axes["overview"], shown, binned(shown, facts.end_s, seconds), seconds, bad)
    if eye:
        _draw_eye(axes["eye"], eye, binned(eye, facts.end_s, facts.end_s / LINE_COLUMNS, loss_is_zero=True))
    _draw_markers(axes, facts)
    progress("drawing")
    return figure


def lines_of(facts: SessionFacts) -> list[tuple[str, Answers]]:
    """What to draw as one line of answers: a head, or a head of one modality where they answer side by side."""
    lines = []
    for answers in facts.answers:
        present = [maker for maker in range(len(answers.makers)) if (answers.maker == maker).any()]
        if len(present) > 1 and side_by_side(facts, answers):
            lines += [(f"{answers.head}, {answers.makers[m]}", answers.of_maker(m)) for m in present]
        elif len(answers.times_s):
            lines.append((answers.head, answers))
    return lines[:MOST_LINES]


def side_by_side(facts: SessionFacts, answers: Answers) -> bool:
    """Whether modalities answer each for itself; where the file does not say, whether they take turns."""
    mode = facts.said("pipeline", "modality")
    if mode in ("each", "auto", "fused"):
        return bool(mode == "each")
    return bool(np.count_nonzero(np.diff(answers.maker)) > len(answers.maker) / 3)


def _regular(facts: SessionFacts) -> dict[str, StreamFacts]:
    found = [one for one in facts.raw_streams if one.is_regular and len(one.times_s)]
    return {f"{one.stream.info.type} {place}" if place else one.stream.info.type: one
            for place, one in enumerate(found[:MOST_LINES])}  # fmt: skip


def _title(facts: SessionFacts) -> str:
    model = facts.said("model", "name")
    words = [facts.recording.path.name, f"model {model}" if model else ""]
    made_up = "SIMULATED " + " and ".join(facts.simulated) if facts.simulated else ""
    return "   ".join(label(word, 90) for word in (*words, made_up) if word)


def label(text: object, longest: int) -> str:
    """Someone else's words for a picture: bounded, no formula, no sign that the font lacks."""
    known = "".join(sign if sign < "ʰ" or sign in "µΩ–…°" else "?" for sign in printable(text))
    known = known if len(known) <= longest else known[: longest - 1] + "…"
    return known.replace("$", r"\$")


# ---- axes ----


def _panels(figure: Figure, parts: Sequence[tuple[float, str]], facts: SessionFacts) -> dict[str, Axes]:
    """One axis under the other on a common time axis, labelled at the lowest."""
    heights = [height for height, _ in parts]
    grid = figure.add_gridspec(
        len(parts), 1, height_ratios=heights, left=LEFT, right=RIGHT, top=0.945, bottom=0.065, hspace=0.16
    )
    axes: dict[str, Axes] = {}
    for place, (_, name) in enumerate(parts):
        one = figure.add_subplot(grid[place], label=name)
        one.set_xlim(0, max(facts.end_s, 1e-3))
        one.tick_params(labelsize=8, labelbottom=place == len(parts) - 1, bottom=place == len(parts) - 1)
        axes[name] = one
    _time_axis(one, facts.end_s)
    markers = axes["markers"]
    markers.set_axis_off()
    return axes


def _time_axis(axes: Axes, end_s: float) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    if end_s < 300:
        axes.xaxis.set_major_locator(MaxNLocator(17))
        axes.set_xlabel("seconds from the start", fontsize=9)
        return
    most_s = end_s / 17
    steps = (30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
    step_s = next((step for step in steps if step >= most_s), 28800)
    axes.set_xticks(np.arange(0, end_s, step_s))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda t, _: f"{int(t) // 60}:{int(t) % 60:02d}"))
    axes.set_xlabel("min:s from the start", fontsize=9)


def _legend(axes: Axes, entries: Sequence[tuple[str, str]], columns: int = 1) -> None:
    from matplotlib.patches import Patch

    patches = [Patch(facecolor=colour, label=words) for words, colour in entries]
    axes.legend(
        handles=patches,
        loc="upper left",
        bbox_to_anchor=(1.005, 1.05),
        fontsize=8,
        frameon=False,
        handlelength=1.0,
        handleheight=0.8,
        labelspacing=0.25,
        borderpad=0,
        ncols=columns,
        columnspacing=1.0,
    )


def _side_title(axes: Axes, words: str) -> None:
    axes.set_ylabel(words, fontsize=8, rotation=0, ha="right", va="center", labelpad=8)


# ---- answers ----


def hold_s(times_s: FloatArray) -> float:
    """How long an answer stands: the usual time from one to the next."""
    return float(np.median(np.diff(times_s))) if len(times_s) > 1 else 1.0


def spans(times_s: FloatArray, here: np.ndarray[Any, Any]) -> Spans:
    """(start, width) of each run of answers that are `here`; one stands until the next, or as usual."""
    if not len(times_s):
        return []
    usual_s = hold_s(times_s)
    ends = np.append(np.minimum(times_s[1:], times_s[:-1] + 2 * usual_s), times_s[-1] + usual_s)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], here.astype(np.int8), [0]])))
    late = np.flatnonzero(np.diff(times_s) > 2 * usual_s) + 1  # silence ends a run too
    found: Spans = []
    for first, behind in edges.reshape(-1, 2).tolist():
        cuts = [first, *late[(late > first) & (late < behind)].tolist(), behind]
        found += [
            (float(times_s[a]), float(ends[b - 1] - times_s[a])) for a, b in zip(cuts, cuts[1:], strict=False)
        ]
    return found


def _draw_answers(axes: Axes, answers: Answers, colours: Sequence[str], title: str) -> None:
    """Probabilities stacked; hatched where there is no estimate."""
    axes.patch.set(facecolor="white", hatch="////", edgecolor="#DDDDDD")
    times_s, shares = _with_breaks(answers)
    low = np.zeros(len(times_s))
    chosen = [colours[place % len(colours)] for place in range(len(answers.classes))]
    for place, colour in enumerate(chosen):
        high = low + shares[:, place]
        axes.fill_between(
            times_s, low, high, where=np.isfinite(high), step="post", color=colour, linewidth=0
        )
        low = high
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 0.5, 1])
    axes.set_ylabel("probability", fontsize=8)
    axes.set_title(label(title, 60), fontsize=9, loc="left", pad=3)
    names = [label(name, 22) for name in answers.classes]
    _legend(axes, list(zip(names, chosen, strict=True))[::-1][:10])


def _with_breaks(answers: Answers) -> tuple[FloatArray, FloatArray]:
    """Times and probabilities as steps, a NaN behind each run: an answer never reaches over a silence."""
    times: list[FloatArray] = [np.empty(0)]
    shares: list[FloatArray] = [np.empty((0, len(answers.classes)))]
    for start_s, width_s in spans(answers.times_s, answers.made):
        first, behind = np.searchsorted(answers.times_s, [start_s, start_s + width_s - 1e-9])
        run = slice(int(first), int(behind))
        end_s = start_s + width_s
        times.append(np.concatenate([answers.times_s[run], [end_s, end_s]]))
        last = answers.probabilities[run][-1:]
        shares.append(np.concatenate([answers.probabilities[run], last, np.full_like(last, np.nan)]))
    return np.concatenate(times), np.concatenate(shares)


def _draw_makers(axes: Axes, answers: Answers, with_legend: bool) -> None:
    """Upper strip: what made the estimate. Lower strip: why there is none, or that it is unknown."""
    entries = []
    for maker, name in enumerate(answers.makers):
        here = spans(answers.times_s, answers.made & (answers.maker == maker))
        if here:
            colour = MAKER_COLOURS[maker % len(MAKER_COLOURS)]
            axes.broken_barh(here, (1.05, 0.95), facecolors=colour)
            entries.append((f"made by {label(name, 14)}", colour))
    reasons = [(status.name.lower().replace("_", " "), colour, answers.status == status)
               for status, colour in STATUS_COLOURS.items()]  # fmt: skip
    reasons.append(("unknown", UNKNOWN_COLOUR, answers.made & answers.unknown))
    for words, colour, mask in reasons:
        here = spans(answers.times_s, mask)
        if here:
            axes.broken_barh(here, (0, 0.95), facecolors=colour)
            entries.append((words, colour))
    axes.set_ylim(0, 2)
    axes.set_yticks([0.5, 1.5], ["no answer", "made by"])
    if with_legend or True:
        _legend(axes, entries, columns=2)
