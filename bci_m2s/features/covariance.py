"""How channels vary together in one band, for classifiers on covariance matrices.

The upper triangle of the covariance of the filtered samples within a step, row after row, in squared units;
about 0 is taken as the mean, which a band-pass leaves. Of 19 channels 190 numbers. Filters, gaps and flat
lines are those of ``de``: a step with a channel that cannot be used is NaN altogether.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from bci_m2s.errors import ContractError
from bci_m2s.features.de import DifferentialEntropy
from bci_m2s.features.parameters import check_known, is_number
from bci_m2s.text import quoted
from bci_m2s.types import BoolArray, FloatArray, Step

WHERE = "feature covariance"
DEFAULTS: dict[str, Any] = {"band_hz": [1.0, 45.0], "order": 3, "notch_hz": []}


class _ProductSums(NamedTuple):
    n: int
    products: FloatArray  # of every two channels
    good: BoolArray  # (channels,)


class _Products:
    """Measures the covariance, as ``coupling.MeasuresBand``."""

    def __init__(self, n_channels: int) -> None:
        self._upper = np.triu_indices(n_channels)

    def sums(self, band: FloatArray, squares: FloatArray, good: BoolArray) -> _ProductSums:
        """Of a block. band : (C, n), filtered; good : (C,) channels to be used"""
        del squares
        return _ProductSums(band.shape[1], (band @ band.T)[self._upper], good)

    def measure(self, blocks: Sequence[_ProductSums]) -> FloatArray:
        """The upper triangle; NaN where a channel is not good throughout."""
        values = np.sum([block.products for block in blocks], axis=0)
        known = np.logical_and.reduce([block.good for block in blocks]).all()
        n = sum(block.n for block in blocks)
        return np.asarray(values / n if known else np.full(len(values), np.nan))


class Covariance:
    """Extractor of covariances, the upper triangle of (channels, channels).

    Settings
    --------
    band_hz : cut-offs of the band, [low, high]
    order : order of the Butterworth filter, 1 to 12
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

    def __init__(
        self, params: dict[str, Any], labels: tuple[str, ...], rate_hz: float, step_s: float, hop_s: float
    ) -> None:
        check_known(WHERE, params, DEFAULTS)
        chosen = {**DEFAULTS, **params}
        band = chosen["band_hz"]
        if not isinstance(band, list | tuple) or len(band) != 2 or not all(map(is_number, band)):
            raise ContractError(WHERE, "band_hz", quoted(band, 80), "numbers [low, high], Hz")
        filtered = {"bands_hz": {"band": band}, "order": chosen["order"], "notch_hz": chosen["notch_hz"]}
        self._filtered = DifferentialEntropy(filtered, labels, rate_hz, step_s, hop_s)
        self._filtered.coupling = _Products(len(labels))
        self.settle_s = self._filtered.settle_s
        self.names = tuple(f"{one} with {other}" for i, one in enumerate(labels) for other in labels[i:])

    @staticmethod
    def count(params: Mapping[str, Any], labels: Sequence[str]) -> int:
        """See ``Counts``."""
        del params
        return len(labels) * (len(labels) + 1) // 2

    @property
    def causes(self) -> Sequence[str]:
        """See ``NamesCauses``."""
        return self._filtered.causes

    @causes.setter
    def causes(self, causes: Sequence[str]) -> None:
        self._filtered.causes = causes

    def reset(self) -> None:
        """Begin a new segment."""
        self._filtered.reset()

    def push(self, samples: FloatArray, missing: BoolArray) -> Step | None:
        """Take one block; see ``Extractor.push``."""
        step = self._filtered.push(samples, missing)
        if step is None or step.coupling is None:
            return None
        values = step.coupling if not step.problem else np.full(len(self.names), np.nan)
        return Step(values, step.problem, step.filters_crc)
