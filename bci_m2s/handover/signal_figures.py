"""Pictures of the signals for the report: bad channels over time, spectra, the scalp."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bci_m2s.handover.marks import Mark
from bci_m2s.handover.power import Power
from bci_m2s.recording.as_raw import mne_info
from bci_m2s.review.draw_answers import label
from bci_m2s.review.draw_signals import unit_of
from bci_m2s.review.facts import RecordingStream
from bci_m2s.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STATES = {"BAD_lost": "#000000", "BAD_flat": "#4477AA", "BAD_railed": "#EE6677", "BAD_noisy": "#CCBB44"}
OTHER = "#AAAAAA"
MOST_SHOWN = 40
FEW_CHANNELS = 8  # have lines of their own colour
RESOLUTION = 48  # points across a map
FEWEST_ON_SCALP = 8  # positions; with fewer a map is made of what lies between


def new_figure(width_in: float, height_in: float) -> Figure:
    """A figure that no window shows."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def bad_channel_figure(marks: Sequence[Mark], gaps: FloatArray, end_s: float) -> Figure:
    """Spans in which channels were bad, those first that were so for longest. gaps : (k, 2) s."""
    from matplotlib.patches import Patch

    length_s: dict[str, float] = {}
    for mark in marks:
        length_s[mark.channel] = length_s.get(mark.channel, 0.0) + mark.duration_s
    shown = sorted(length_s, key=lambda name: -round(length_s[name]))[:MOST_SHOWN]
    figure = new_figure(11, 1.2 + 0.2 * max(len(shown), 3))
    axes = figure.add_subplot()
    for row, name in enumerate(shown):
        for mark in (mark for mark in marks if mark.channel == name):
            colour = STATES.get(mark.text, OTHER)
            axes.broken_barh([(mark.onset_s, mark.duration_s)], (row - 0.4, 0.8), facecolors=colour)
    for first_s, last_s in gaps:
        axes.axvspan(first_s, last_s, color="#DDDDDD", zorder=0)
    axes.set_yticks(range(len(shown)), [label(name, 14) for name in shown], fontsize=8)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xlim(0, max(end_s, 1.0))
    axes.set_xlabel("seconds from the start")
    present = dict.fromkeys(mark.text for mark in marks)
    entries = [
        Patch(color=STATES.get(text, OTHER), label=label(text.removeprefix("BAD_"), 20)) for text in present
    ]
    entries += [Patch(color="#DDDDDD", label="gap")] if len(gaps) else []
    axes.legend(handles=entries, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=8)
    return figure


def spectrum_figure(stream: RecordingStream, power: Power) -> Figure:
    """Mean spectrum of each channel."""
    figure = new_figure(11, 3.4)
    axes = figure.add_subplot()
    some = (power.frequencies_hz >= 0.5) & (power.frequencies_hz <= 0.45 * stream.info.rate_hz)
    at_hz = power.frequencies_hz[some]
    with np.errstate(divide="ignore"):
        values = 10 * np.log10(power.spectrum[:, some])
    for name, line in zip(stream.info.labels, values, strict=True):
        if len(values) <= FEW_CHANNELS:
            axes.plot(at_hz, line, lw=0.9, label=label(name, 12))
        else:
            axes.plot(at_hz, line, lw=0.6, color="#4477AA", alpha=0.5)
    usable = np.isfinite(values).all(axis=1)  # a flat channel has no logarithm
    if usable.any():
        axes.plot(at_hz, np.median(values[usable], axis=0), color="black", lw=1.4, label="median")
        axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    axes.set_xlim(0, float(min(at_hz[-1], 100.0)))
    axes.set_xlabel("Hz")
    axes.set_ylabel(f"dB re 1 {label(unit_of(stream), 12)}²/Hz")
    return figure


def scalp_figure(stream: RecordingStream, power: Power, rows: Mapping[str, FloatArray]) -> Figure | None:
    """Maps of the bands, one row per entry of `rows`: (channels, bands) in dB; None for too few positions.

    The first row is as it is, the others are differences and share a scale about 0.
    """
    info = mne_info(stream.info, stream.info.rate_hz)
    picks = [
        number
        for number, (one, kind) in enumerate(zip(info["chs"], info.get_channel_types(), strict=True))
        if kind == "eeg" and np.isfinite(one["loc"][:3]).all() and np.any(one["loc"][:3])
    ]
    if len(picks) < FEWEST_ON_SCALP:
        return None
    figure = new_figure(11, 1.9 * len(rows) + 0.3)
    grid = figure.subplots(len(rows), len(power.bands), squeeze=False)
    differences = [np.abs(values[picks]) for values in list(rows.values())[1:]]
    finite = np.concatenate([one[np.isfinite(one)] for one in differences]) if differences else np.empty(0)
    limit = float(finite.max()) if len(finite) else 1.0
    for line, (name, values) in enumerate(rows.items()):
        for column, (band, edges) in enumerate(power.bands.items()):
            scale = (-limit, limit) if line else _limits(values[picks, column])
            image = _map(
                grid[line, column],
                values[picks, column],
                info,
                picks,
                scale,
                "RdBu_r" if line else "viridis",
            )
            if not line:
                grid[line, column].set_title(f"{label(band, 12)}\n{edges[0]:g}–{edges[1]:g} Hz", fontsize=9)
            last = column == len(power.bands) - 1
            if image is not None and (not line or last):
                bar = figure.colorbar(image, ax=grid[line, column], shrink=0.6)
                bar.ax.tick_params(labelsize=7)
                bar.set_label("dB" if last else "", fontsize=8)
        grid[line, 0].text(
            -0.12,
            0.5,
            label(name, 30),
            rotation=90,
            ha="right",
            va="center",
            transform=grid[line, 0].transAxes,
            fontsize=9,
        )
    return figure


def _limits(values: FloatArray) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    return (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)


def _map(
    axes: Axes, values: FloatArray, info: Any, picks: list[int], limits: tuple[float, float], colours: str
) -> Any:
    import mne

    usable = np.isfinite(values)
    if usable.sum() < FEWEST_ON_SCALP:
        axes.axis("off")
        axes.text(0.5, 0.5, "too little\nusable signal", ha="center", va="center", fontsize=8)
        return None
    chosen = [pick for pick, is_usable in zip(picks, usable, strict=True) if is_usable]
    image, _ = mne.viz.plot_topomap(
        values[usable],
        mne.pick_info(info, chosen),
        axes=axes,
        show=False,
        contours=0,
        cmap=colours,
        vlim=limits,
        sensors="k,",
        res=RESOLUTION,
    )
    return image


def band_figure(stream: RecordingStream, power: Power, values: FloatArray) -> Figure:
    """Mean band power per channel, for caps with few electrodes. values : (channels, bands) dB."""
    figure = new_figure(11, 2.8)
    axes = figure.add_subplot()
    places = np.arange(len(power.bands))
    width = 0.8 / stream.info.n_channels
    for channel, name in enumerate(stream.info.labels):
        axes.plot(
            places + (channel - stream.info.n_channels / 2) * width,
            values[channel],
            "o",
            label=label(name, 12),
        )
    axes.set_xticks(places, [label(band, 12) for band in power.bands])
    axes.set_ylabel(f"dB re 1 {label(unit_of(stream), 12)}²/Hz")
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure
