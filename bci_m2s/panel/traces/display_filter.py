"""Filters for the eye alone: what the screen shows is smoothed, what is recorded and judged is not."""

from __future__ import annotations

import math
from types import MappingProxyType

import numpy as np
import scipy
from numpy.typing import NDArray

from bci_m2s.signal.filters import notch_sections
from bci_m2s.signal.sections import Cascades, run_sections
from bci_m2s.types import FloatArray

OFF = "off"
# High-pass and low-pass, Hz, of each choice.
PRESETS = MappingProxyType(
    {OFF: (None, None), "0.5–45 Hz": (0.5, 45.0), "1–50 Hz": (1.0, 50.0), "1–100 Hz": (1.0, 100.0)}
)
NOTCHES = MappingProxyType({OFF: None, "50 Hz": 50.0, "60 Hz": 60.0})
ORDER = 2  # of high-pass and low-pass each: 12 dB an octave, short ringing
MOST_OF_NYQUIST = 0.95  # a corner closer to the Nyquist frequency than this leaves nothing to filter


class DisplayFilter:
    """Causal Butterworth high-pass and low-pass and a notch (IIR, quality 30) over many channels.

    State is carried from push to push, so results do not depend on how samples are cut. A channel's filter
    begins with its first sample as if that value had always been: it does not jump. A lost sample (NaN) is
    bridged inside by the last value and is NaN outside.

    Parameters
    ----------
    rate_hz : sampling rate; 0.0 (irregular) passes everything through
    n_channels : channels
    high_pass_hz, low_pass_hz, notch_hz : corners, > 0; None for none. One that is not possible below the
        Nyquist frequency is left out, and ``left_out`` says so in words ("" otherwise).
    """

    def __init__(
        self,
        rate_hz: float,
        n_channels: int,
        high_pass_hz: float | None = None,
        low_pass_hz: float | None = None,
        notch_hz: float | None = None,
    ) -> None:
        corners = {"high-pass": high_pass_hz, "low-pass": low_pass_hz, "notch": notch_hz}
        wanted = {kind: hz for kind, hz in corners.items() if hz is not None}
        over = {kind: hz for kind, hz in wanted.items() if not possible(hz, rate_hz)}
        self.left_out = _excuse(over, rate_hz)
        sections = [_sections(kind, hz, rate_hz) for kind, hz in wanted.items() if kind not in over]
        self._sections = np.vstack(sections) if sections else None
        self._cascades = None if self._sections is None else Cascades([self._sections])
        self._unit_state = None if self._sections is None else scipy.signal.sosfilt_zi(self._sections)
        self._n_channels = n_channels
        self.reset()

    @property
    def removes_offset(self) -> bool:
        """Whether a constant value comes out as zero."""
        return self._sections is not None and bool(np.any(self._sections[:, :3].sum(axis=1) == 0))

    def reset(self) -> None:
        """Begin again: the next samples have nothing to do with those before."""
        n_sections = 0 if self._sections is None else len(self._sections)
        self._state = np.zeros((self._n_channels, n_sections, 2))
        self._held = np.full(self._n_channels, np.nan)  # last value of each channel, NaN before its first

    def push(self, samples: NDArray[np.floating]) -> NDArray[np.float32]:
        """Filter the next samples: (n, channels) → (n, channels) float32; NaN where the input is NaN."""
        if self._cascades is None or not len(samples):
            return np.array(samples, dtype=np.float32)
        values = np.array(samples.T, dtype=np.float64, order="C")
        lost = np.isnan(values)
        if lost.any() or np.isnan(self._held).any():
            self._bridge(values, lost)
        self._held = values[:, -1].copy()
        values[np.isnan(self._held)] = 0.0  # without any value yet: nothing goes in, nothing comes out
        values = run_sections(self._cascades, values, self._state)[0]
        values[lost] = np.nan
        return values.T.astype(np.float32)

    def _bridge(self, values: FloatArray, lost: NDArray[np.bool_]) -> None:
        """Fill lost values (channels, n) in place, and begin the channels that have their first value."""
        n = values.shape[1]
        begins = np.isnan(self._held) & ~lost.all(axis=1)
        first = values[begins, (~lost[begins]).argmax(axis=1)]
        self._state[begins] = self._unit_state * first[:, None, None]
        self._held[begins] = first
        last_known = np.maximum.accumulate(np.where(lost, -1, np.arange(n)), axis=1)
        filled = np.take_along_axis(values, np.maximum(last_known, 0), axis=1)
        values[:] = np.where(last_known < 0, self._held[:, None], filled)


def possible(hz: float, rate_hz: float) -> bool:
    """Whether a corner at `hz` can be filtered at this rate: below 95 % of the Nyquist frequency."""
    return 0 < hz < MOST_OF_NYQUIST * rate_hz / 2


def words(preset: str, rate_hz: float) -> str:
    """What a choice of ``PRESETS`` does at this rate, in words; a part that cannot be is not named."""
    low_hz, high_hz = (hz if hz is not None and possible(hz, rate_hz) else None for hz in PRESETS[preset])
    if low_hz and high_hz:
        return preset
    if low_hz:
        return f"from {low_hz:g} Hz"
    return f"to {high_hz:g} Hz" if high_hz else OFF


def _sections(kind: str, hz: float, rate_hz: float) -> FloatArray:
    if kind == "notch":
        return notch_sections(hz, rate_hz)
    sections: FloatArray = scipy.signal.butter(ORDER, hz, kind.replace("-", ""), fs=rate_hz, output="sos")
    return sections


def _excuse(over: dict[str, float], rate_hz: float) -> str:
    if not over:
        return ""
    parts = " and ".join(f"{kind} {hz:g} Hz" for kind, hz in over.items())
    if not rate_hz > 0 or not math.isfinite(rate_hz):
        return f"no {parts}: the stream has no regular rate"
    return f"no {parts}: the Nyquist frequency is {rate_hz / 2:g} Hz"
