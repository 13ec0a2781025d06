"""Causal filters whose state is carried from block to block.

Every filter is a cascade of second-order sections (stable where a single high-order polynomial is
not: 1–4 Hz at 2048 Hz), runs over each sample once and starts from the *first sample*: its state is
that of a stream which had always had this value, so a constant electrode offset causes no transient.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from functools import lru_cache

import numpy as np
import scipy

from bci_m2s.signal.sections import Cascades, run_sections
from bci_m2s.types import FloatArray

SETTLED_ENERGY = 1e-4  # share of an impulse response's energy that may still be to come (1 % in RMS)
# Sections in one pass that take hardly longer than one: each sample waits for the one before it, and
# meanwhile the processor does the other sections.
AT_ONCE = 4


def band_sections(low_hz: float, high_hz: float, rate_hz: float, order: int) -> FloatArray:
    """Second-order sections of a Butterworth filter; a band from 0 Hz is a low-pass.

    Raises
    ------
    ValueError
        When a cut-off is not finite, not in order, or not below the Nyquist frequency.
    """
    if not 0 <= low_hz < high_hz < rate_hz / 2:
        raise ValueError(
            f"{low_hz:g}–{high_hz:g} Hz at {rate_hz:g} Hz (possible: 0 <= low < high < {rate_hz / 2:g} Hz)"
        )
    if low_hz == 0:
        return scipy.signal.butter(order, high_hz, "lowpass", fs=rate_hz, output="sos")
    return scipy.signal.butter(order, (low_hz, high_hz), "bandpass", fs=rate_hz, output="sos")


def notch_sections(line_hz: float, rate_hz: float, quality: float = 30.0) -> FloatArray:
    """Second-order section that removes a line frequency (`line_hz` / `quality` wide)."""
    if not 0 < line_hz < rate_hz / 2:
        raise ValueError(f"notch {line_hz:g} Hz at {rate_hz:g} Hz: expected 0 < notch < {rate_hz / 2:g} Hz")
    return scipy.signal.tf2sos(*scipy.signal.iirnotch(line_hz, quality, fs=rate_hz))


def impulse_response(sections: FloatArray, n: int) -> FloatArray:
    """What the first `n` samples after a single 1 are, (n,)."""
    impulse = np.zeros((1, n))
    impulse[0, 0] = 1.0
    return run_sections(Cascades([sections]), impulse, np.zeros((1, len(sections), 2)))[0, 0]


def settle_s(sections: FloatArray, rate_hz: float, longest_s: float = 60.0) -> float:
    """Seconds until all but ``SETTLED_ENERGY`` of the impulse response has passed."""
    span_s = 2.0
    while True:
        energy = np.cumsum(impulse_response(sections, int(span_s * rate_hz)) ** 2)
        settled = int(np.searchsorted(energy, (1 - SETTLED_ENERGY) * energy[-1])) + 1
        if settled < len(energy) / 2 or span_s >= longest_s:
            return settled / rate_hz
        span_s *= 2


class SectionFilters:
    """Filters side by side over many channels, state carried; ``reset`` begins a new segment.

    filters : of each its cascades, (sections, 6), one behind the other; each of those starts from the first
        sample that reaches it, and gives the bits that it gives as a filter of its own
    """

    def __init__(self, filters: Sequence[Sequence[FloatArray]]) -> None:
        self.cascades = Cascades([np.vstack(stages) for stages in filters])
        # (sections, 2) of each: the answer to a constant 1
        self._stages = [[(one, scipy.signal.sosfilt_zi(one)) for one in stages] for stages in filters]
        self._state: FloatArray | None = None  # (channels, sections, 2)

    def reset(self) -> None:
        """Forget the past; the next sample counts as the value that had always been there."""
        self._state = None

    def apply(self, samples: FloatArray) -> FloatArray:
        """Filter the next samples. samples : (channels, n) → (filters, channels, n), a new array."""
        samples = np.asarray(samples, dtype=np.float64)
        if samples.shape[-1] == 0:
            return np.empty((len(self._stages), *samples.shape))
        if self._state is None:
            begun = [_begun(stages, samples[:, :1]) for stages in self._stages]
            self._state = np.concatenate(begun, axis=1)
        return run_sections(self.cascades, samples, self._state)


def _begun(stages: Sequence[tuple[FloatArray, FloatArray]], first: FloatArray) -> FloatArray:
    """A filter's state before the first sample, (channels, 1), as if that had always been there."""
    states = []
    for sections, unit_state in stages:
        states.append(unit_state * first[:, :, None])
        first = run_sections(Cascades([sections]), first, states[-1].copy())[0]
    return np.concatenate(states, axis=1)


class FilterBank:
    """Notches, then several bands side by side.

    Parameters
    ----------
    bands_hz : (low, high) of each band
    rate_hz : sampling rate
    order : Butterworth order (a band-pass has twice as many poles)
    notch_hz : line frequencies removed first
    """

    def __init__(
        self,
        bands_hz: Sequence[tuple[float, float]],
        rate_hz: float,
        order: int = 3,
        notch_hz: Sequence[float] = (),
    ) -> None:
        bands = tuple((low, high) for low, high in bands_hz)
        notches, side_by_side, self.settle_s = _designed(bands, rate_hz, order, tuple(notch_hz))
        self._notches, self._bands = [copy(one) for one in notches], copy(side_by_side)

    def reset(self) -> None:
        """Begin a new segment."""
        for stage in (*self._notches, self._bands):
            stage.reset()

    def apply(self, samples: FloatArray) -> FloatArray:
        """samples : (channels, n) → (bands, channels, n), a new array."""
        for notch in self._notches:
            samples = notch.apply(samples)[0]
        return self._bands.apply(samples)


@lru_cache(maxsize=64)  # each session asks for the same few, and a design takes as long as many blocks
def _designed(
    bands_hz: tuple[tuple[float, float], ...], rate_hz: float, order: int, notch_hz: tuple[float, ...]
) -> tuple[list[SectionFilters], SectionFilters, float]:
    """Notches and bands at rest, to be copied, and how long they settle.

    Notches that fit into ``AT_ONCE`` with each band are part of the bands, and not there by themselves.
    """
    notches = [notch_sections(line, rate_hz) for line in notch_hz]
    bands = [band_sections(low, high, rate_hz, order) for low, high in bands_hz]
    together = SectionFilters([[*notches, band] for band in bands])
    settled_s = max(settle_s(cascade, rate_hz) for cascade in together.cascades.each)
    if together.cascades.counts.max() <= AT_ONCE:
        return [], together, settled_s
    return [SectionFilters([[one]]) for one in notches], SectionFilters([[one] for one in bands]), settled_s
