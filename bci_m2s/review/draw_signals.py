"""Hours of a recorded signal as a few hundred columns, and how they are drawn."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bci_m2s.review.draw_answers import label, legend, thinned
from bci_m2s.review.facts import RecordingFacts, RecordingStream
from bci_m2s.signal.quality import LOSS_LIMIT
from bci_m2s.signal.units import find_unit
from bci_m2s.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

UNKNOWN_UNIT = "unit unknown"
BLOCK_VALUES = 4_000_000  # read at once
MOST_DRAWN = 512  # more are not drawn
IMAGE_COLUMNS = 800  # at most, and a column is a second or more
ROUNDING = 1e-12  # of the mean square
LINE_COLUMNS = 1400  # points of a drawn line
CHANNEL_SPACING_PX = 11  # names closer than this would overlap
FLAT_COLOUR, OVER_COLOUR, BAD_COLOUR = "#000000", "#FF3333", "#CC3311"
EYE_COLOURS = ("#332288", "#999933")
EYE_TYPES = ("gaze", "pupil", "eye", "eyetracker")


@dataclass(frozen=True, slots=True, eq=False)
class Binned:
    """A signal in columns of equal length.

    edges_s : (columns + 1,) from the session's start, s
    mean, rms : (columns, channels) in the stream's unit, rms about the column's own mean; NaN where a
        column has fewer than two samples
    """

    edges_s: FloatArray
    mean: FloatArray
    rms: FloatArray


def binned(facts: RecordingStream, end_s: float, column_s: float, loss_is_zero: bool = False) -> Binned:
    """Reduce a numeric stream to columns of `column_s` from 0 to `end_s`.

    NaN and magnitudes over ``quality.LOSS_LIMIT`` (loss codes) do not count, and with `loss_is_zero`
    neither do values that are not positive: eye trackers send them for a pupil that they do not see.
    """
    n_columns = max(1, int(np.ceil(end_s / column_s)))
    n_channels = min(facts.info.n_channels, MOST_DRAWN)
    count, total, squares = (np.zeros((n_columns, n_channels)) for _ in range(3))
    block = max(1, BLOCK_VALUES // max(1, facts.info.n_channels))
    centre: FloatArray | None = None
    for start in range(0, facts.n_samples, block):
        stop = min(start + block, facts.n_samples)
        values = np.asarray(facts.read(start, stop))[:, :n_channels].astype(np.float64)
        timed = np.isfinite(facts.times_s[start:stop])
        column = np.clip((facts.times_s[start:stop][timed] / column_s).astype(np.int64), 0, n_columns - 1)
        values = values[timed]
        if not len(values):
            continue
        with np.errstate(invalid="ignore"):
            lost = ~(np.abs(values) < LOSS_LIMIT) | (loss_is_zero & (values <= 0))
        known = np.where(lost, 0.0, values)
        if centre is None:  # near the mean, so that a large offset loses no digits of the variance
            centre = known.sum(axis=0) / np.maximum((~lost).sum(axis=0), 1)
        known = np.where(lost, 0.0, known - centre)
        # samples of a column are adjacent: sum each run, then add the runs
        runs = np.concatenate([[0], np.flatnonzero(np.diff(column)) + 1])
        for sums, terms in ((count, ~lost), (total, known), (squares, known**2)):
            np.add.at(sums, column[runs], np.add.reduceat(terms, runs, axis=0, dtype=np.float64))
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(count > 1, total / count, np.nan)
        variance = squares / count - mean**2
        # what remains of a constant is the rounding of the sums: no signal
        rms = np.sqrt(np.where(variance > ROUNDING * squares / count, variance, 0.0 * mean))
    edges_s: FloatArray = np.arange(n_columns + 1, dtype=np.float64) * column_s
    return Binned(edges_s, mean + (0.0 if centre is None else centre), rms)


def is_eye(facts: RecordingStream) -> bool:
    """Whether a stream is of an eye tracker, by type or by the names of its channels."""
    info = facts.info
    named = any("pupil" in name.casefold() for name in info.labels)
    return facts.is_regular and facts.n_samples > 1 and (info.type.casefold() in EYE_TYPES or named)


def eye_columns(facts: RecordingStream) -> tuple[str, list[int]]:
    """What to draw of an eye stream: "pupil" or "gaze", and which channels (the first ones else)."""
    names = [name.casefold() for name in facts.info.labels]
    for word in ("pupil", "diameter", "gaze"):
        columns = [column for column, name in enumerate(names) if word in name]
        if columns:
            return ("gaze" if word == "gaze" else "pupil"), columns[:2]
    return "eye", list(range(min(2, len(names))))


def overview_stream(facts: RecordingFacts) -> RecordingStream | None:
    """The stream whose signal is drawn: EEG where there is some, else the one with most channels."""
    regular = [stream for stream in facts.raw_streams if stream.is_regular and stream.n_samples > 1]
    signals = [stream for stream in regular if not is_eye(stream)]
    eeg = [stream for stream in signals if stream.info.type.casefold() == "eeg"]
    return max(eeg or signals, key=lambda stream: stream.info.n_channels, default=None)


def unit_of(facts: RecordingStream, channel: int = 0) -> str:
    """The unit of a channel as people write it; ``UNKNOWN_UNIT`` where the sender did not say."""
    stated = facts.info.units[channel] if facts.info.units else ""
    known = find_unit(stated)
    return (known.short or known.name if known else stated) or UNKNOWN_UNIT


# ---- drawing ----


def draw_overview(axes: Axes, facts: RecordingStream, end_s: float, bad: Collection[str]) -> None:
    """RMS of each second and channel as an image, logarithmic between robust limits; white: no samples."""
    from matplotlib import colormaps
    from matplotlib.colors import LogNorm
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    signal = binned(facts, end_s, max(1.0, end_s / IMAGE_COLUMNS))
    info, rms = facts.info, signal.rms.T  # (channels, columns)
    alive = rms[np.isfinite(rms) & (rms > 0)]
    low, high = np.percentile(alive, [2, 98]) if len(alive) else (1.0, 10.0)
    low = min(low, high / 4)
    colours = colormaps["viridis"].with_extremes(under=FLAT_COLOUR, over=OVER_COLOUR, bad="white")
    # a flat channel has no logarithm: it gets the colour below the scale, with everything far below it
    image = axes.pcolormesh(
        signal.edges_s,
        np.arange(len(rms) + 1),
        np.ma.masked_invalid(np.where(rms == 0, low * 1e-9, rms)),
        norm=LogNorm(low / 4, high * 2),
        cmap=colours,
        rasterized=True,
    )
    axes.set_ylim(len(rms), 0)
    _channel_labels(axes, info.labels[: len(rms)], bad)
    column_s = float(signal.edges_s[1] - signal.edges_s[0])
    bar_axes = axes.inset_axes((1.008, 0.0, 0.013, 1.0))
    bar = axes.figure.colorbar(image, cax=bar_axes, extend="both")
    bar.ax.yaxis.set(
        major_locator=LogLocator(subs=(1, 2, 5)),
        minor_locator=NullLocator(),
        major_formatter=FuncFormatter(lambda value, _: f"{value:g}"),
    )
    bar.ax.tick_params(labelsize=8)
    each = "each second" if column_s == 1.0 else f"each {column_s:.3g} s"
    bar.set_label(
        f"RMS of {each}, {label(unit_of(facts), 16)}\n(black: flat, white: no samples)", fontsize=8
    )
    axes.set_ylabel(f"{label(info.name, 30)}, channel", fontsize=8, labelpad=14)


def _channel_labels(axes: Axes, labels: Sequence[str], bad: Collection[str]) -> None:
    """As many names as fit; channels that were bad come first and are highlighted."""
    middles: FloatArray = np.arange(len(labels), dtype=np.float64) + 0.5
    first = [index for index, name in enumerate(labels) if name in bad]
    spacing = CHANNEL_SPACING_PX / axes.get_window_extent().height * len(labels)
    shown = thinned(middles, spacing, first)
    axes.set_yticks(middles[shown], [label(labels[index], 10) for index in shown], fontsize=7)
    for tick, index in zip(axes.get_yticklabels(), shown, strict=True):
        if labels[index] in bad:
            tick.set(color=BAD_COLOUR, fontweight="bold")


def draw_eye(axes: Axes, facts: RecordingStream, end_s: float) -> None:
    """Pupil, or gaze where there is no pupil; nothing where the eye was not seen."""
    quantity, columns = eye_columns(facts)
    signal = binned(facts, end_s, max(end_s / LINE_COLUMNS, 0.05), loss_is_zero=quantity == "pupil")
    middles_s = (signal.edges_s[1:] + signal.edges_s[:-1]) / 2
    names = [label(facts.info.labels[column], 16) for column in columns]
    for column, name, colour in zip(columns, names, EYE_COLOURS, strict=False):
        axes.plot(middles_s, signal.mean[:, column], color=colour, lw=0.8, label=name)
    unit = unit_of(facts, columns[0]) if columns else ""
    axes.set_ylabel(f"{quantity}, {label(unit, 12)}", fontsize=8)
    legend(axes, list(zip(names, EYE_COLOURS, strict=False)))
