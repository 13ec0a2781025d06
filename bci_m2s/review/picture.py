"""A recording as one picture: estimates, the modalities behind them, gaps, bad channels, and signals."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bci_m2s.errors import OutputError
from bci_m2s.files.whole import write_whole
from bci_m2s.review.draw_answers import (
    STATUS_COLOURS,
    draw_answers,
    draw_makers,
    label,
    legend,
    lines_of,
    thinned,
)
from bci_m2s.review.draw_signals import BAD_COLOUR, draw_eye, draw_overview, is_eye, overview_stream
from bci_m2s.review.facts import RecordedEvent, RecordingFacts, RecordingStream
from bci_m2s.text import printable
from bci_m2s.types import FloatArray, Status

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH_IN, HEIGHT_IN, DPI = 16.0, 9.0, 100  # 1600 x 900 pixels
LEFT, RIGHT = 0.085, 0.865  # edges of every panel; legends stand to the right
MOST_LINES = 4  # of answers, and of streams
MARKER_LINE: dict[str, Any] = {"color": "#444444", "lw": 0.6, "alpha": 0.5, "zorder": 3}
MARKER_CHARACTERS = 26
MARKER_SPACING = 0.016  # of the width: labels closer than this would overlap
STALE_COLOUR = STATUS_COLOURS[Status.STALE]
FULL_HEIGHT = 7.6  # of all panels together, in units of which the others have about one
TICK_STEPS_S = (30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)


def check_picture(path: Path) -> None:
    """Raise OutputError when `path` is in use, has no folder, or is not called .png."""
    if path.suffix.lower() != ".png":
        raise OutputError(f"{path}: picture: got the ending {path.suffix!r}, expected '.png'")
    if path.exists():
        raise OutputError(f"{path}: exists already; nothing is overwritten")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: no such folder: {path.parent}")


def save_picture(path: Path, figure: Figure) -> None:
    """Write a figure as PNG. Raises OutputError; never overwrites, never draws into half a file."""
    check_picture(path)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=DPI)
    write_whole(path, content.getvalue(), overwrite=False)


def session_figure(
    facts: RecordingFacts, class_colours: Sequence[str], progress: Callable[[str], None]
) -> Figure:
    """Draw a recording.

    Parameters
    ----------
    class_colours : of classes, in their order
    progress : called with a text at each stage

    Returns
    -------
    Figure
        1600 x 900 pixels. Its axes are labelled "markers", "answers LINE", "makers LINE",
        "stream NAME", "overview" and "eye", each only where the file has something for it.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    lines = dict(lines_of(facts)[:MOST_LINES])
    strips = facts.modality_streams() or _regular(facts)
    overview = overview_stream(facts)
    eye = next((stream for stream in facts.raw_streams if is_eye(stream)), None)
    figure = Figure(figsize=(WIDTH_IN, HEIGHT_IN), dpi=DPI)
    FigureCanvasAgg(figure)
    figure.suptitle(_title(facts), x=LEFT, y=0.985, ha="left", fontsize=13, fontweight="bold")
    heights = _heights(
        bool(facts.markers), list(lines), list(strips), overview is not None, eye is not None
    )
    axes = _panels(figure, heights, facts.end_s)
    for name, answers in lines.items():
        draw_answers(axes[f"answers {name}"], answers, class_colours)
        _inside_title(axes[f"answers {name}"], name)
        draw_makers(axes[f"makers {name}"], answers)
    for name, stream in strips.items():
        events = [event for event in facts.events if event.modality in (name, stream.info.name)]
        _draw_stream(axes[f"stream {name}"], name, stream, events, checked=bool(facts.answers))
    if overview:
        progress(f"reading {printable(overview.info.name, 60)}")
        bad = {str(event.fields.get("channel")) for event in facts.events if event.kind == "quality"}
        draw_overview(axes["overview"], overview, facts.end_s, bad)
    if eye:
        progress(f"reading {printable(eye.info.name, 60)}")
        draw_eye(axes["eye"], eye, max(facts.end_s, 1.0))
    _draw_markers(list(axes.values()), facts)
    progress("drawing")
    return figure


def _heights(
    markers: bool, lines: Sequence[str], strips: Sequence[str], overview: bool, eye: bool
) -> list[tuple[str, float]]:
    """Name and relative height of each panel, from the top."""
    parts: list[tuple[str, float]] = [("markers", 0.9 if markers else 0.1)]
    for name in lines:
        parts += [(f"answers {name}", 1.5), (f"makers {name}", 0.45)]
    parts += [(f"stream {name}", 0.45) for name in strips]
    below = [("eye", 0.8)] if eye else []
    if overview:  # takes the rest of the height
        left = FULL_HEIGHT - sum(height for _, height in [*parts, *below])
        parts.append(("overview", max(left, 2.2)))
    return parts + below


def _regular(facts: RecordingFacts) -> dict[str, RecordingStream]:
    """Streams with a rate, by type and number, for a file that names no modalities."""
    streams = [stream for stream in facts.raw_streams if stream.is_regular and stream.n_samples]
    names = [stream.info.type or stream.info.name for stream in streams]
    numbered = [f"{name} {names[:index].count(name) + 1}" for index, name in enumerate(names)]
    short = [name if names.count(name) == 1 else other for name, other in zip(names, numbered, strict=True)]
    return dict(list(zip(short, streams, strict=True))[:MOST_LINES])


def _title(facts: RecordingFacts) -> str:
    path, model = facts.recording.path, facts.session.model_name if facts.session is not None else ""
    words = [f"{path.parent.name}/{path.name}" if path.name == "session.xdf" else path.name]
    words += [f"model {model}"] if model else []
    words += [f"SIMULATED: {' and '.join(facts.simulated)}"] if facts.simulated else []
    return "    ".join(label(word, 80) for word in words)


# ---- axes ----


def _panels(figure: Figure, parts: Sequence[tuple[str, float]], end_s: float) -> dict[str, Axes]:
    """One panel under the other on a common time axis, which the lowest one shows."""
    share = min(1.0, sum(height for _, height in parts) / FULL_HEIGHT)  # few panels are not enlarged
    grid = figure.add_gridspec(
        len(parts),
        1,
        height_ratios=[height for _, height in parts],
        left=LEFT,
        right=RIGHT,
        top=0.945,
        bottom=0.945 - 0.88 * share,
        hspace=0.14,
    )
    axes: dict[str, Axes] = {}
    for index, (name, _) in enumerate(parts):
        panel = figure.add_subplot(grid[index], label=name)
        panel.set_xlim(0, max(end_s, 1.0))
        lowest = index == len(parts) - 1
        panel.tick_params(labelsize=8, labelbottom=lowest, bottom=lowest)
        axes[name] = panel
    for edge in ("top", "left", "right"):
        axes["markers"].spines[edge].set_visible(False)
    axes["markers"].set_yticks([])
    _time_axis(panel, max(end_s, 1.0))
    return axes


def _time_axis(axes: Axes, end_s: float) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    if end_s < 300:
        axes.xaxis.set_major_locator(MaxNLocator(20, steps=[1, 2, 5, 10]))
        axes.set_xlabel("seconds from the start", fontsize=9)
        return
    step_s = next((step for step in TICK_STEPS_S if step >= end_s / 20), 28_800)
    axes.set_xticks(np.arange(0, end_s, step_s))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda t, _: f"{int(t) // 60}:{int(t) % 60:02d}"))
    axes.set_xlabel("min:s from the start", fontsize=9)


def _inside_title(axes: Axes, words: str) -> None:
    """A panel's name in its upper left corner, readable on any colour."""
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 2}
    axes.text(0.004, 0.94, label(words, 60), transform=axes.transAxes, fontsize=9, va="top", bbox=box)


# ---- contents of the panels ----


def _draw_markers(axes: Sequence[Axes], facts: RecordingFacts) -> None:
    """A line through every panel at each moment with markers; as many texts as do not overlap."""
    texts: dict[float, list[str]] = {}
    for time_s, text in facts.markers:
        texts.setdefault(round(time_s, 3), []).append(text)
    times_s = np.array(list(texts), np.float64)
    if not len(times_s):
        return
    labelled = thinned(times_s, MARKER_SPACING * max(facts.end_s, 1.0))
    for panel in axes:  # only those with a text: too many lines would hide the rest
        panel.vlines(times_s[labelled], 0, 1, transform=panel.get_xaxis_transform(), **MARKER_LINE)
    axes[0].vlines(times_s, 0, 0.06, transform=axes[0].get_xaxis_transform(), **MARKER_LINE)
    for index in labelled:
        words = label(", ".join(texts[float(times_s[index])]), MARKER_CHARACTERS)
        transform = axes[0].get_xaxis_transform()
        axes[0].text(times_s[index], 0.04, words, transform=transform, rotation=36, fontsize=7, va="bottom")
    title = f"markers\n{len(labelled)} of {len(times_s)}" if len(labelled) < len(times_s) else "markers"
    axes[0].set_ylabel(title, fontsize=8, rotation=0, ha="right", va="bottom", y=0)


def bad_counts(events: Iterable[RecordedEvent]) -> tuple[FloatArray, FloatArray]:
    """Moments, s, and the number of bad channels of one stream from then on; begins with 0 at 0 s."""
    bad: set[str] = set()
    times_s, counts = [0.0], [0.0]
    for event in events:
        if event.kind == "quality":
            channel = str(event.fields.get("channel"))
            (bad.discard if event.fields.get("state") == "good" else bad.add)(channel)
            times_s.append(event.time_s)
            counts.append(float(len(bad)))
    return np.array(times_s), np.array(counts)


def _draw_stream(
    axes: Axes, name: str, facts: RecordingStream, events: Sequence[RecordedEvent], checked: bool
) -> None:
    """Gaps in black over the number of bad channels (where a session checked them); lines where it went
    stale."""
    times_s, counts = bad_counts(events)
    end_s = axes.get_xlim()[1]
    axes.fill_between(
        np.append(times_s, end_s), np.append(counts, counts[-1]), step="post", color=BAD_COLOUR, linewidth=0
    )
    top = max(float(counts.max()), 1.0)
    # an edge keeps a short gap of a long session visible
    gaps = [(first, last - first) for first, last in facts.gaps]
    axes.broken_barh(gaps, (0, top), facecolors="black", edgecolors="black", linewidth=0.8)
    stale = [event.time_s for event in events if event.kind == "stale"]
    axes.vlines(stale, 0.5 * top, top, color=STALE_COLOUR, lw=2.5, zorder=4)
    axes.set_ylim(0, top)
    axes.set_yticks([0, top] if checked else [])
    what = "bad channels" if checked else "gaps"
    axes.set_ylabel(
        f"{label(name, 16)}\n{what}", fontsize=8, rotation=0, ha="right", va="center", labelpad=6
    )
    entries = [("bad channels", BAD_COLOUR, counts.any()), ("gap", "black", len(facts.gaps))]
    entries.append(("stale from here", STALE_COLOUR, len(stale)))
    legend(axes, [(text, colour) for text, colour, occurs in entries if occurs])
    if not (counts.any() or len(facts.gaps) or stale):
        words = "no gap, no bad channel" if checked else "no gap"
        axes.text(1.008, 0.5, words, transform=axes.transAxes, fontsize=8, va="center")
