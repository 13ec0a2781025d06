"""The report's section on signals: streams, bad channels, spectra, the scalp."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from bci_m2s.features.de import SEED_BANDS_HZ
from bci_m2s.files.html_page import Page
from bci_m2s.handover.drifts import drifted
from bci_m2s.handover.power import WINDOW_S, Power, power_of
from bci_m2s.handover.signal_figures import bad_channel_figure, band_figure, scalp_figure, spectrum_figure
from bci_m2s.handover.summary import Summary
from bci_m2s.review.draw_signals import overview_stream
from bci_m2s.review.facts import RecordingStream
from bci_m2s.text import modality_name
from bci_m2s.types import FloatArray


def add_signals(page: Page, found: Summary) -> None:
    """Streams, bad channels, spectra, maps."""
    page.section(found.titled("Signals"))
    columns = [
        "stream",
        "type",
        "Hz, stated",
        "Hz, measured",
        "channels",
        "samples",
        "length",
        "gaps",
        "lost",
        "bad",
    ]
    page.table(columns, [_stream_row(found, stream) for stream in found.facts.raw_streams], columns[2:])
    for ended in found.facts.raw_streams:
        if ended.early_s:
            page.paragraph(f"{ended.info.name}: {ended.ended_words}.", "warning")
    if not found.lines:
        page.paragraph("Channels were not checked: no model ran.", "note")
    for name, marks in found.bad.items():
        if marks:
            page.heading(f"{modality_name(name)}: channels that were bad")
            figure = bad_channel_figure(marks, found.modalities[name].gaps, found.facts.end_s)
            page.picture(figure, f"spans of bad channels of {name}")
        elif found.lines:
            page.paragraph(f"{modality_name(name)}: no channel was bad for a second or more.")
    _add_drift(page, found)
    stream = overview_stream(found.facts)
    if stream is not None and stream.info.type.casefold() == "eeg":
        _add_power(page, found, stream)


def _add_drift(page: Page, found: Summary) -> None:
    """Windows whose features were unlike those of the model's training."""
    rows = [
        [
            modality_name(name),
            str(one.windows),
            clock(one.windows * one.hop_s),
            str(one.times),
            one.driven_by or "–",
            one.fate,
        ]
        for name, one in drifted(found.facts).items()
    ]
    if rows:
        page.heading("Drift: windows beyond the model's limit")
        columns = ["signal", "windows", "together", "times", "driven most by", "what became of them"]
        page.table(columns, rows, columns[1:4])


def _stream_row(found: Summary, stream: RecordingStream) -> list[str]:
    info = stream.info
    modality = next((name for name, one in found.modalities.items() if one is stream), "")
    regular = stream.is_regular
    return [
        *(info.name, info.type, f"{info.rate_hz:g}" if info.rate_hz else "irregular"),
        *(
            "–" if math.isnan(stream.rate_hz) else f"{stream.rate_hz:.2f}",
            str(info.n_channels),
            str(stream.n_samples),
        ),
        *(clock(stream.length_s), str(len(stream.gaps)) if regular else "–"),
        f"{stream.lost_s:.1f} s" if regular else "–",
        f"{100 * found.bad_share(modality):.1f} %" if modality and found.lines else "–",
    ]


def _add_power(page: Page, found: Summary, stream: RecordingStream) -> None:
    modality = next((name for name, one in found.modalities.items() if one is stream), "")
    power = power_of(stream, found.bad.get(modality, []), _bands(found, modality))
    if power is None or not power.bands:
        page.paragraph("No stretch of the EEG is long enough for a spectrum.", "note")
        return
    page.heading("Spectra")
    text = (
        "Mean over 2 s windows (Hann) without gap and bad channel; one line per channel. A peak at 50 or "
        "60 Hz is mains."
    )
    page.picture(spectrum_figure(stream, power), "power spectra of the EEG", text)
    rows = _power_rows(found, power)
    figure = scalp_figure(stream, power, rows)
    page.heading("Power of the bands" if figure is None else "Power on the scalp")
    if figure is None:
        page.picture(band_figure(stream, power, rows["whole session"]), "band power per channel")
        return
    text = (
        "Top: mean over the session. Below: the label's trials minus the mean of all labels. Positions are "
        "those of the standard montage. Differences are described, not tested: muscles and eye movements "
        "follow trials too."
    )
    page.picture(figure, "band power on the scalp", text)


def _power_rows(found: Summary, power: Power) -> dict[str, FloatArray]:
    """Whole session, and each label's trials minus all trials."""
    rows = {"whole session": power.mean_db(np.ones(len(power.starts_s), bool))}
    inside = {
        label: _within(
            power.starts_s, [(one.start_s, one.stop_s) for one in found.labelled if one.label == label]
        )
        for label in dict.fromkeys(one.label for one in found.labelled)
    }
    if len(inside) < 2 or len(inside) > 4:
        return rows
    means = {label: power.mean_db(chosen) for label, chosen in inside.items()}
    middle = np.mean(list(means.values()), axis=0)
    return rows | {f"{label} minus all": values - middle for label, values in means.items()}


def _within(starts_s: FloatArray, spans: Sequence[tuple[float, float]]) -> np.ndarray:
    chosen = np.zeros(len(starts_s), bool)
    for start_s, stop_s in spans:
        chosen |= (starts_s >= start_s) & (starts_s + WINDOW_S <= stop_s)
    return chosen


def _bands(found: Summary, modality: str) -> dict[str, tuple[float, float]]:
    """Those of the model's contract, else the usual ones."""
    session = found.facts.session
    stated = session.bands.get(modality) if session is not None else None
    bands: dict[str, tuple[float, float]] = {}
    for name, edges in stated.items() if isinstance(stated, dict) else ():
        if (
            isinstance(edges, list | tuple)
            and len(edges) == 2
            and all(isinstance(e, int | float) for e in edges)
        ):
            bands[str(name)] = (float(edges[0]), float(edges[1]))
    return bands if 0 < len(bands) <= 8 else dict(SEED_BANDS_HZ)


def clock(seconds: float) -> str:
    """A length of time, minutes in front where it is long."""
    if math.isnan(seconds):
        return "–"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"
