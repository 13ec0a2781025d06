"""Power of the EEG over time and scalp, of samples that can be used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bci_m2s.handover.marks import Mark
from bci_m2s.review.facts import RecordingStream
from bci_m2s.signal.quality import LOSS_LIMIT
from bci_m2s.types import FloatArray

WINDOW_S = 2.0
BLOCK_VALUES = 8_000_000
FEWEST_WINDOWS = 3


@dataclass(frozen=True, slots=True, eq=False)
class Power:
    """Spectra in windows of ``WINDOW_S`` without overlap.

    starts_s : (n,) of each window, s of the session
    frequencies_hz : (f,); spectrum : (channels, f) mean over usable windows, unit² / Hz
    bands : name and limits, Hz; power : (n, channels, bands) mean density, NaN where it cannot be used
    """

    starts_s: FloatArray
    frequencies_hz: FloatArray
    spectrum: FloatArray
    bands: Mapping[str, tuple[float, float]]
    power: FloatArray

    def mean_db(self, chosen: np.ndarray) -> FloatArray:
        """(channels, bands) mean of 10 log10 over the windows chosen (n,) bool; NaN below 3 usable ones."""
        with np.errstate(divide="ignore", invalid="ignore"):
            values = 10 * np.log10(self.power[chosen])
        usable = np.isfinite(values)
        sums = np.where(usable, values, 0.0).sum(axis=0)
        counts = usable.sum(axis=0)
        return np.where(counts >= FEWEST_WINDOWS, sums / np.maximum(counts, 1), np.nan)


def power_of(
    stream: RecordingStream, bad: Sequence[Mark], bands: Mapping[str, tuple[float, float]]
) -> Power | None:
    """Power of a stream; None where no window is whole.

    bad : spans of channels on the session's own axis; bands : those above half the rate are left out
    """
    rate_hz = stream.info.rate_hz
    size = round(WINDOW_S * rate_hz)
    first = _window_starts(stream, size)
    if size < 8 or not len(first):
        return None
    frequencies: FloatArray = np.asarray(np.fft.rfftfreq(size, 1 / rate_hz), np.float64)
    kept = {name: edges for name, edges in bands.items() if edges[1] <= rate_hz / 2}
    inside = [(frequencies >= low) & (frequencies < high) for low, high in kept.values()]
    taper = np.hanning(size + 1)[:-1]
    scale = 2 / (rate_hz * np.sum(taper**2))
    usable = _usable(stream, stream.times_s[first], bad)
    n_channels = stream.info.n_channels
    power = np.full((len(first), n_channels, len(kept)), np.nan)
    total, count = np.zeros((n_channels, len(frequencies))), np.zeros(n_channels)
    at_once = max(1, BLOCK_VALUES // (size * n_channels))
    for begin in range(0, len(first), at_once):
        part = slice(begin, begin + at_once)
        values = np.stack(
            [np.asarray(stream.read(start, start + size), np.float64) for start in first[part]]
        )
        usable[part] &= (np.abs(values) < LOSS_LIMIT).all(axis=1)
        values = np.where(usable[part][:, None], values, 0.0)
        values -= values.mean(axis=1, keepdims=True)
        density = (
            scale * np.abs(np.fft.rfft(values * taper[:, None], axis=1)) ** 2
        )  # (windows, f, channels)
        for band, chosen in enumerate(inside):
            power[part, :, band] = np.where(usable[part], density[:, chosen].mean(axis=1), np.nan)
        total += density.sum(axis=0).T
        count += usable[part].sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        spectrum = np.where(count[:, None] > 0, total / count[:, None], np.nan)
    return Power(stream.times_s[first], frequencies, spectrum, kept, power)


def _window_starts(stream: RecordingStream, size: int) -> np.ndarray:
    """Numbers of the first samples of windows that hold no gap."""
    known = np.isfinite(stream.times_s)
    first = np.arange(0, stream.n_samples - size + 1, max(size, 1))
    ends = first + size - 1
    length_s = stream.times_s[ends] - stream.times_s[first]
    whole = (
        known[first] & known[ends] & (np.abs(length_s - (size - 1) / stream.info.rate_hz) < 0.05 * WINDOW_S)
    )
    return first[whole]


def _usable(stream: RecordingStream, starts_s: FloatArray, bad: Iterable[Mark]) -> np.ndarray:
    """(windows, channels): whether a window lies outside the spans in which a channel was bad."""
    usable = np.ones((len(starts_s), stream.info.n_channels), bool)
    place = {label: number for number, label in enumerate(stream.info.labels)}
    for mark in bad:
        if mark.channel in place:
            touched = (starts_s < mark.onset_s + mark.duration_s) & (
                starts_s + WINDOW_S > mark.onset_s - 1.0
            )
            usable[touched, place[mark.channel]] = False
    return usable
