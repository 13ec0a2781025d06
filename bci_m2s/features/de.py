"""Differential entropy of EEG bands, one value per channel and band.

For a Gaussian signal of variance σ² the differential entropy is ½ ln(2πe σ²) (Shi, Jiao & Lu 2013,
"Differential entropy feature for EEG-based vigilance estimation"; Duan, Zhu & Lu 2013). The signal in
microvolts is filtered causally into bands; σ² is the variance within the step. Each block of one hop is
filtered and summed once, and a step adds up the sums of its blocks, so overlapping steps share the work.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from bci_m2s.errors import ContractError
from bci_m2s.features.coupling import MeasuresBand, coupling_band
from bci_m2s.features.parameters import check_known, is_number, line_frequencies
from bci_m2s.signal.filters import FilterBank
from bci_m2s.signal.interpolation import Interpolation
from bci_m2s.signal.quality import name_channels
from bci_m2s.text import quoted
from bci_m2s.types import BoolArray, FloatArray, Step

SEED_BANDS_HZ = {
    "delta": (1.0, 4.0),
    "theta": (4.0, 8.0),
    "alpha": (8.0, 14.0),
    "beta": (14.0, 31.0),
    "gamma": (31.0, 50.0),
}
SMALLEST_VARIANCE = (
    1e-6  # µV²; keeps the logarithm finite for a flat line (a nanovolt is real noise's floor)
)
WHERE = "feature de"
HIGHEST_ORDER = 12  # of the Butterworth filters
FEWEST_FLAT = 16  # equal samples in a row that are no chance of a coarse converter
DEFAULTS: dict[str, Any] = {"bands_hz": SEED_BANDS_HZ, "order": 3, "notch_hz": []}


class _Sums(NamedTuple):
    n: int
    first: FloatArray  # Σx, (bands, channels)
    second: FloatArray  # Σx², (bands, channels)
    flat: BoolArray  # (channels,) the raw signal did not move
    missing: BoolArray  # (channels,) a sample is missing here or so shortly before that it still echoes
    filled: Sequence[int] = ()  # channels that were interpolated
    coupling: Any = None  # what `coupling.sums` gave
    is_clean: bool = False  # nothing of it is flat, missing or filled


def _unmoved(samples: FloatArray) -> BoolArray:
    """Which columns never change, (channels,); a column whose ends differ needs no closer look."""
    flat = samples[-1] == samples[0]
    if flat.any():
        flat[flat] = (samples[:, flat] == samples[0, flat]).all(axis=0)
    return flat


def _bands(given: Any) -> dict[str, tuple[float, float]]:
    """The bands of a contract. Raises ContractError."""
    if not isinstance(given, Mapping) or not given:
        raise ContractError(WHERE, "bands_hz", quoted(given, 80), "{name: [low, high]}")
    for name, limits in given.items():
        if not isinstance(limits, list | tuple) or len(limits) != 2 or not all(map(is_number, limits)):
            raise ContractError(WHERE, f"bands_hz.{name}", quoted(limits, 80), "numbers [low, high], Hz")
    return {str(name): (float(low), float(high)) for name, (low, high) in given.items()}


class DifferentialEntropy:
    """Extractor of DE features, channel-major: (channels × bands) flattened, band fastest.

    Settings
    --------
    bands_hz : name and cut-offs of each band, {name: [low, high]}
    order : order of the Butterworth filters, 1 to 12
    notch_hz : line frequencies to remove, a list

    Parameters
    ----------
    params : the settings above that differ from their defaults
    labels : channel names
    rate_hz, step_s, hop_s : sampling rate, length of a step, distance between steps

    Raises
    ------
    ContractError
        For unknown parameters and for a cut-off at or above the Nyquist frequency.
    """

    interpolation: Interpolation | None = None  # see ``Interpolates``
    coupling: MeasuresBand | None = None  # see ``Couples``

    def __init__(
        self, params: dict[str, Any], labels: tuple[str, ...], rate_hz: float, step_s: float, hop_s: float
    ) -> None:
        check_known(WHERE, params, DEFAULTS)
        chosen = {**DEFAULTS, **params}
        order = chosen["order"]
        if not is_number(order) or order not in range(1, HIGHEST_ORDER + 1):
            expected = f"a whole number from 1 to {HIGHEST_ORDER}"
            raise ContractError(WHERE, "order", quoted(order), expected)
        notch_hz, bands = line_frequencies(WHERE, chosen["notch_hz"], rate_hz), _bands(chosen["bands_hz"])
        try:
            self._bank = FilterBank(list(bands.values()), rate_hz, int(order), notch_hz)
        except ValueError as problem:
            expected = "cut-offs below the Nyquist frequency"
            raise ContractError(WHERE, "bands_hz", problem, expected) from None
        self.names = tuple(f"{label}.{band}" for label in labels for band in bands)
        self.settle_s = self._bank.settle_s
        self._coupled = coupling_band(bands)
        self.coupled = list(bands)[self._coupled]
        self._labels = labels
        self.causes: Sequence[str] = ("no samples",) * len(labels)  # see ``NamesCauses``
        self._blocks_per_step = round(step_s / hop_s)
        self._settle_n = int(np.ceil(self.settle_s * rate_hz))
        self.reset()

    @staticmethod
    def count(params: Mapping[str, Any], labels: Sequence[str]) -> int:
        """See ``Counts``."""
        return len(labels) * len(params.get("bands_hz", SEED_BANDS_HZ))

    def reset(self) -> None:
        """Begin a new segment."""
        self._bank.reset()
        self._recent: deque[_Sums] = deque(maxlen=self._blocks_per_step)
        self._held = np.zeros(len(self._labels))  # last good value of each channel
        self._echo_n = np.zeros(len(self._labels), dtype=np.int64)  # samples for which a loss still echoes
        self._was_flat = np.zeros(len(self._labels), dtype=bool)  # that loss was a flat line
        self._nothing = np.zeros(len(self._labels), dtype=bool)  # nobody writes to it

    def push(self, samples: FloatArray, missing: BoolArray) -> Step | None:
        """Take one block in microvolts; see ``Extractor.push``."""
        is_clean = not (self._echo_n.any() or missing.any())  # the usual case, for which little is done
        if is_clean:
            lost = self._nothing
            self._held = samples[-1].copy()  # the block's buffer is used again
        else:
            samples, lost = self._after_losses(samples, missing)
        flat = _unmoved(samples)
        if not is_clean or flat.any():
            is_clean = False
            self._echo_of_flat(flat, np.logical_or.reduce(missing, axis=0), len(samples))
        filling = None if self.interpolation is None else self.interpolation.plan(lost | flat)
        bands = self._bank.apply(samples.T)
        first, second, coupling = bands.sum(axis=-1), np.einsum("bcn,bcn->bc", bands, bands), None
        if self.coupling is not None:  # measured of nothing that is interpolated
            at = self._coupled
            coupling = self.coupling.sums(bands[at], second[at].copy(), ~(lost | flat))
        filled: list[int] = []
        if filling is not None:
            filled = filling.filled.tolist()
            for band, sums, squares in zip(bands, first, second, strict=True):
                made = filling.apply(band)
                sums[filled], squares[filled] = made.sum(axis=-1), np.einsum("cn,cn->c", made, made)
            lost, is_clean = lost.copy(), False
            lost[filled] = flat[filled] = False
        self._recent.append(_Sums(len(samples), first, second, flat, lost, filled, coupling, is_clean))
        return self._step() if len(self._recent) == self._blocks_per_step else None

    def _after_losses(self, samples: FloatArray, missing: BoolArray) -> tuple[FloatArray, BoolArray]:
        """A block as it is filtered, and its channels that are missing, (channels,)."""
        echoing, missed = self._echo_n > 0, np.logical_or.reduce(missing, axis=0)
        if missed.any():
            samples = self._hold(samples, missing)
        else:
            self._echo_n = np.maximum(self._echo_n - len(samples), 0)
            self._held = samples[-1].copy()
        return samples, echoing | missed

    def _hold(self, samples: FloatArray, missing: BoolArray) -> FloatArray:
        """Replace missing samples by the last good one, so that NaN never enters a filter's state."""
        n = len(samples)
        rows = np.where(missing, -1, np.arange(n)[:, None])
        last_good = np.maximum.accumulate(rows, axis=0)  # (n, channels), -1 before the first good one
        columns = np.arange(samples.shape[1])
        filled = np.where(last_good >= 0, samples[np.maximum(last_good, 0), columns], self._held)
        self._held = filled[-1]
        last_lost = np.where(missing, np.arange(n)[:, None], -1).max(axis=0)
        fresh_echo = np.where(last_lost >= 0, self._settle_n - (n - 1 - last_lost), 0)
        self._echo_n = np.maximum(np.maximum(self._echo_n - n, fresh_echo), 0)
        return filled

    def _echo_of_flat(self, flat: BoolArray, missed: BoolArray, n: int) -> None:
        """A flat line ends with a jump, as a loss does: what follows is missing while it echoes.

        flat, missed : (channels,), of a block of n samples: it did not move, it misses a sample
        """
        fresh = flat & ~missed & (n >= FEWEST_FLAT)
        self._echo_n[fresh] = self._settle_n
        self._was_flat = fresh | (self._was_flat & (self._echo_n > 0) & ~missed)

    def _step(self) -> Step:
        blocks = self._recent
        n, newest = sum([block.n for block in blocks]), blocks[-1]
        first = reduce(np.add, [block.first for block in blocks])
        second = reduce(np.add, [block.second for block in blocks])
        variance = second / n - (first / n) ** 2
        floored = np.maximum(variance, SMALLEST_VARIANCE)
        entropy = 0.5 * np.log(2 * np.pi * np.e * floored)  # (bands, channels)
        crc = zlib.crc32(newest.second.data, zlib.crc32(newest.first.data))
        if variance.min() > SMALLEST_VARIANCE and all(block.is_clean for block in blocks):
            return Step(entropy.T.ravel(), filters_crc=crc, coupling=self._coupling())
        flat = reduce(np.logical_and, [block.flat for block in blocks])
        flat = flat | (variance <= SMALLEST_VARIANCE).any(axis=0)  # a number that says nothing
        lost = reduce(np.logical_or, [block.missing for block in blocks])
        bad = flat | lost
        filled = sorted({channel for block in blocks for channel in block.filled})
        words = f"interpolated: {', '.join(self._labels[channel] for channel in filled)}" if filled else ""
        coupling = self._coupling()
        if not bad.any():
            return Step(entropy.T.ravel(), filters_crc=crc, filled=words, coupling=coupling)
        entropy[:, bad] = np.nan
        return Step(entropy.T.ravel(), self._problem_of(flat, lost), crc, words, coupling)

    def _coupling(self) -> FloatArray | None:
        blocks = [block.coupling for block in self._recent if block.coupling is not None]
        return self.coupling.measure(blocks) if self.coupling is not None and blocks else None

    def _problem_of(self, flat: BoolArray, lost: BoolArray) -> str:
        bad = np.flatnonzero(flat | lost)
        of_flat = self._was_flat | ~lost
        causes = {channel: "flat" if of_flat[channel] else self.causes[channel] for channel in bad.tolist()}
        return f"{len(bad)} of {len(self._labels)} channels bad ({name_channels(self._labels, causes)})"
