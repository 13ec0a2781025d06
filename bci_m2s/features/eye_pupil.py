"""Two pupil diameters: blinks bridged, thinned, split into slow bands by causal filters.

``eye`` says what is bridged and removed, and why. The bands end at 1 Hz, so the filters need no
1000 samples per second: each block is averaged into bins of about 1/16 s first (a gain of 0.99 at 1 Hz),
whatever the sampling rate. All bands of a block are then one small matrix product: outputs and next
state are linear in the state before and the block's bins.
"""

from __future__ import annotations

import math
import zlib
from collections import deque
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import scipy

from bci_m2s.signal.filters import impulse_response
from bci_m2s.types import BoolArray, FloatArray

BINS_PER_S = 16.0
HIGHEST_HZ = 2.0  # averaging over a bin leaves 0.97 of it
SECTIONS = 2  # second-order, in each band
SETTLED_ENERGY = 0.005  # share of an impulse response's energy still to come; 0.2-Hz bands are slow
LONGEST_RESPONSE_S = 100.0
FLAT_POWER = 1e-12  # smallest mean square that is a signal: a micrometre, squared, when the unit is mm


class SlowBands:
    """Band filters over bins of two diameters, block by block.

    Parameters
    ----------
    bands_hz : (low, high) of each, at most 2 Hz
    trend_hz : where a band begins that would begin at 0 Hz
    hop_s : length of a block; it becomes ``bins`` bins

    Raises
    ------
    ValueError
        When the cut-offs of a band are not in order or too high.
    """

    def __init__(self, bands_hz: Sequence[tuple[float, float]], trend_hz: float, hop_s: float) -> None:
        self.bins = max(1, round(BINS_PER_S * hop_s))
        rate_hz = self.bins / hop_s
        self.settle_bins, self._matrix = _designed(tuple(bands_hz), trend_hz, rate_hz, self.bins)
        self.settle_s = self.settle_bins / rate_hz
        self._state = np.zeros((len(bands_hz), 2 * SECTIONS, 2))  # bands, state, diameters

    def reset(self, columns: BoolArray) -> None:
        """Empty the state of the chosen diameters (2,): as if their input had always been 0."""
        self._state[:, :, columns] = 0.0

    def squares(self, bins: FloatArray) -> FloatArray:
        """Filter a block. bins : (bins, 2) → sums of squares (2, bands)."""
        inputs = np.broadcast_to(bins, (len(self._matrix), *bins.shape))
        result = self._matrix @ np.concatenate((self._state, inputs), axis=1)
        self._state = result[:, self.bins :]
        return np.square(result[:, : self.bins]).sum(axis=1).T


@lru_cache(maxsize=64)  # each session asks for the same few
def _designed(
    bands_hz: tuple[tuple[float, float], ...], trend_hz: float, rate_hz: float, bins: int
) -> tuple[int, FloatArray]:
    """Bins until all bands have settled, and the matrix of a block, which nobody writes to."""
    sections = [_sections(low_hz, high_hz, trend_hz, rate_hz) for low_hz, high_hz in bands_hz]
    settled = max(_settling(band, int(LONGEST_RESPONSE_S * rate_hz)) for band in sections)
    return settled, np.stack([_block_matrix(band, bins) for band in sections])


def _sections(low_hz: float, high_hz: float, trend_hz: float, rate_hz: float) -> FloatArray:
    """Bessel band-pass: of its width it rings least, so it settles first.

    The pupil's spectrum falls steeply, so a band above others needs order 2 to keep slow changes out.
    The lowest has none below it but the trend; order 1 settles sooner.
    """
    order = SECTIONS if low_hz > 0 else 1
    low_hz = low_hz if low_hz > 0 else trend_hz
    if not 0 < low_hz < high_hz <= HIGHEST_HZ:
        raise ValueError(f"{low_hz:g}–{high_hz:g} Hz (possible: 0 < low < high <= {HIGHEST_HZ:g} Hz)")
    sections = scipy.signal.bessel(
        order, (low_hz, high_hz), "bandpass", fs=rate_hz, norm="mag", output="sos"
    )
    unchanged = np.tile([1.0, 0.0, 0.0, 1.0, 0.0, 0.0], (SECTIONS - order, 1))
    return np.vstack([sections, unchanged])


def _settling(sections: FloatArray, longest: int) -> int:
    """Samples until all but ``SETTLED_ENERGY`` of the impulse response's energy has passed."""
    energy = np.cumsum(impulse_response(sections, longest) ** 2)
    return int(np.searchsorted(energy, (1 - SETTLED_ENERGY) * energy[-1])) + 1


def _block_matrix(sections: FloatArray, bins: int) -> FloatArray:
    """Matrix from (state, inputs) to (outputs, next state), found by filtering each unit vector."""
    n_state = 2 * len(sections)
    inputs = np.eye(n_state + bins)[:, n_state:]  # one experiment a row
    states = np.eye(n_state + bins)[:, :n_state].reshape(-1, len(sections), 2).swapaxes(0, 1)
    outputs, after = scipy.signal.sosfilt(sections, inputs, axis=-1, zi=states)
    return np.hstack([outputs, after.swapaxes(0, 1).reshape(-1, n_state)]).T


class _Block(NamedTuple):
    n: int
    tracked: FloatArray  # (2,) samples that were not lost
    valid: FloatArray  # (2,) of these, samples that are not near a loss either
    first: FloatArray  # (2,) sum over the valid samples
    second: FloatArray  # (2,) sum of their squares
    squares: FloatArray  # (2, bands) of the filtered bins, NaN while the filters settle


class PupilSizes:
    """Mean, std and band entropies of two diameters over the last `blocks` blocks.

    Parameters
    ----------
    names : of the two, for messages
    bands : filters; this object keeps their state
    hold_s : longest loss that the last value bridges
    margin_n : samples dropped on each side of a loss; everything lags by as many
    blocks : how many blocks make a step
    """

    def __init__(
        self, names: tuple[str, str], bands: SlowBands, hold_s: float, margin_n: int, blocks: int
    ) -> None:
        self._names, self._bands, self._margin_n = names, bands, margin_n
        self._hold_bins = math.floor(hold_s * bands.settle_bins / bands.settle_s + 1e-9)
        self._recent: deque[_Block] = deque(maxlen=blocks)
        self.reset()

    def reset(self) -> None:
        """Begin a new segment."""
        self._recent.clear()
        self._bands.reset(np.ones(2, dtype=bool))
        # Samples from before the segment: not known, but no loss that would spoil their neighbours.
        self._tail = np.full((2 * self._margin_n, 2), np.nan), np.ones((2 * self._margin_n, 2), dtype=bool)
        self._running = np.zeros(2, dtype=bool)  # whether the filters have begun
        self._origin = np.zeros(2)  # the first valid bin since then
        self._last = np.zeros(2)  # the last valid bin
        self._held = np.zeros(2, dtype=np.int64)  # bins since the last valid one
        self._age = np.zeros(2, dtype=np.int64)  # bins since the filters began

    def push(self, diameter: FloatArray, lost: BoolArray) -> None:
        """Take one block. diameter, lost : (n, 2); diameter is finite where not lost."""
        diameter, tracked, valid = self._pad(diameter, ~lost)
        measured = np.where(valid, diameter, 0.0)
        n, bins = len(measured), self._bands.bins
        edges = np.arange(bins) * n // bins
        count, total = np.add.reduceat(valid, edges, dtype=np.float64), np.add.reduceat(measured, edges)
        squares = self._filter(total / np.maximum(count, 1.0), count > 0)
        second = np.einsum("nc,nc->c", measured, measured)
        self._recent.append(
            _Block(n, tracked.sum(axis=0), count.sum(axis=0), total.sum(axis=0), second, squares)
        )

    @property
    def crc(self) -> int:
        """CRC-32 of the newest block's sums and filtered squares."""
        _, _, _, first, second, squares = self._recent[-1]
        return zlib.crc32(np.concatenate((first, second, squares.ravel())).data)

    def step(self, min_share: float) -> tuple[FloatArray, str]:
        """Return values (2, 2 + bands), NaN where unknown, and why.

        A diameter is known when at least `min_share` of the step's samples are tracked.
        """
        sums = [np.add.reduce(part) for part in zip(*self._recent, strict=True)]
        n, tracked, valid, first, second, squares = sums
        share = tracked / n
        power = squares / (len(self._recent) * self._bands.bins)
        lost = (share < min_share) | (valid == 0)
        settling = np.isnan(power).any(axis=1)
        flat = (power < FLAT_POWER).any(axis=1)
        power[flat] = np.nan
        mean = first / np.maximum(valid, 1.0)
        std = np.sqrt(np.maximum(second / np.maximum(valid, 1.0) - mean**2, 0.0))
        values = np.column_stack((mean, std, 0.5 * np.log(2 * np.pi * np.e * power)))
        values[lost] = np.nan
        problems = []
        for column, name in enumerate(self._names):
            if lost[column]:
                problems.append(f"{name} lost {100 * (1 - share[column]):.0f} % of the step")
            elif settling[column]:
                problems.append(f"{name} filters settle after a start or a loss")
            elif flat[column]:
                problems.append(f"{name} is flat")
        return values, "; ".join(problems)

    def _pad(self, diameter: FloatArray, tracked: BoolArray) -> tuple[FloatArray, BoolArray, BoolArray]:
        """Return as many samples, `margin_n` late: diameters, tracked, and valid (no loss is near)."""
        margin, n = self._margin_n, len(diameter)
        diameter = np.concatenate((self._tail[0], diameter))
        tracked = np.concatenate((self._tail[1], tracked))
        self._tail = diameter[n:], tracked[n:]
        losses = np.zeros((len(tracked) + 1, 2))
        np.cumsum(~tracked, axis=0, out=losses[1:])
        now = slice(margin, margin + n)
        no_loss_near = losses[2 * margin + 1 :] == losses[:n]
        return diameter[now], tracked[now], no_loss_near & np.isfinite(diameter[now])

    def _filter(self, bins: FloatArray, known: BoolArray) -> FloatArray:
        """Run the filters over (bins, 2); return (2, bands) sums of squares, NaN while they settle."""
        order = np.arange(len(bins))[:, None]
        starts = ~self._running & known.any(axis=0)
        first = known.argmax(axis=0)
        settled = self._running & (self._age >= self._bands.settle_bins)
        if starts.any():
            self._origin = np.where(starts, bins[first, (0, 1)], self._origin)
            self._last = np.where(starts, self._origin, self._last)
            self._age = np.where(starts, -first, self._age)
            self._running |= starts
        newest = np.maximum.accumulate(np.where(known, order, -1), axis=0)
        held = np.where(newest >= 0, bins[newest, (0, 1)], self._last)
        squares = self._bands.squares(np.where(self._running, held - self._origin, 0.0))
        self._last, self._age = held[-1], self._age + len(bins)
        self._held = np.where(newest[-1] >= 0, len(bins) - 1 - newest[-1], self._held + len(bins))
        stops = self._running & (self._held > self._hold_bins)
        if stops.any():
            self._running &= ~stops
            self._bands.reset(stops)
        squares[~settled] = np.nan
        return squares
