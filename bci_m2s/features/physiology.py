"""Features of peripheral physiology, live: skin, breath, pulse, temperature, muscles and eyes.

docs/features.md defines each feature; they come in the order given there, of any subset of signals. A
logarithm turns a gain into an offset, which the normalisation per person takes out.

A signal's values are NaN, with a reason, when half of its samples in the step or more than
1 − `min_tracked` of its window are lost; when a breath, muscle or eye signal is flat; when a
plethysmogram shows no regular pulse. The other signals' values stay.
"""

from __future__ import annotations

import math
import zlib
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bci_m2s.errors import ContractError, nearest
from bci_m2s.features.parameters import (
    blocks_per_step,
    check_known,
    check_rate,
    column,
    line_frequencies,
    numbers,
)
from bci_m2s.features.physiology_signals import BodySignal, Timing, signals
from bci_m2s.signal.rates import TOLERANCE
from bci_m2s.types import BoolArray, FloatArray, Step

WHERE = "feature physiology"
ONE = ("gsr", "respiration", "plethysmograph", "temperature")  # kinds with one channel
MANY = ("emg", "eog")  # kinds with a list of channels
SIZES = {
    "gsr": 5,
    "respiration": 5,
    "plethysmograph": 4,
    "temperature": 2,
    "emg": 1,
    "eog": 2,
}  # of a channel
SMALLEST_RATE_HZ = {
    "gsr": 4.0,
    "respiration": 8.0,
    "plethysmograph": 25.0,
    "temperature": 1.0,
    "emg": 64.0,
    "eog": 32.0,
}
FASTEST_HZ = 10_000.0
LEAST_OF_SAMPLE = 0.99  # of a sample that a block holds at least; a rate may be a little below the nominal
LEAST_OF_STEP = 0.5

# Parameters that are numbers: default, smallest, largest.
NUMBERS: dict[str, tuple[float, float, float]] = {
    "window_s": (15.0, 8.0, 300.0),
    "min_tracked": (0.5, 0.1, 1.0),
}


class PeripheralPhysiology:
    """Extractor of features of peripheral signals; docs/features.md defines each.

    Settings
    --------
    columns : any of `gsr`, `respiration`, `plethysmograph`, `temperature` with a channel label, `emg` and
        `eog` with a list of labels; required
    notch_hz : line frequencies to remove from EMG, a list
    window_s : how far all values but the energies look back
    min_tracked : smallest share of a signal's window that must be known

    Parameters
    ----------
    params : the settings above; those left out have their defaults
    labels : channel labels, in the order of the samples' columns
    rate_hz : up to 10 kHz; at least 1 Hz with temperature alone, 4 with skin conductance, 8 with
        respiration, 25 with a plethysmograph, 32 with EOG, 64 with EMG; a sample per hop in any case
    step_s, hop_s : length of a step, a whole number of hops and at most `window_s`; a block is one hop

    Raises
    ------
    ContractError
        For an unknown, missing or impossible parameter, a channel that is not there, an impossible rate.
    """

    def __init__(
        self, params: dict[str, Any], labels: tuple[str, ...], rate_hz: float, step_s: float, hop_s: float
    ) -> None:
        check_known(WHERE, params, ("columns", "notch_hz", *NUMBERS))
        number = numbers(WHERE, params, NUMBERS)
        check_rate(WHERE, rate_hz, LEAST_OF_SAMPLE / hop_s, FASTEST_HZ)
        self._blocks = blocks_per_step(WHERE, step_s, hop_s, number["window_s"])
        self._min_tracked = number["min_tracked"]
        timing = Timing(rate_hz, hop_s, self._blocks, number["window_s"])
        notch_hz = line_frequencies(WHERE, params.get("notch_hz", []), rate_hz)
        self._signals: list[BodySignal] = []
        self._titles: list[str] = []  # what messages call each signal
        columns: list[int] = []
        for kind, chosen in _channels(params.get("columns"), labels).items():
            least_hz = SMALLEST_RATE_HZ[kind] * (1 - TOLERANCE)
            check_rate(f"{WHERE}: {kind}", rate_hz, least_hz, FASTEST_HZ)
            self._signals += signals(kind, chosen, notch_hz if kind == "emg" else [], timing)
            self._titles += [kind if kind in ONE else f"{kind} {label}" for label in chosen]
            columns += [labels.index(label) for label in chosen]
        self._columns = columns
        self.names: tuple[str, ...] = tuple(name for signal in self._signals for name in signal.names)
        self.settle_s = max(
            max(signal.window_s - step_s, 0.0) + signal.settle_s for signal in self._signals
        )
        self._recent: deque[tuple[int, FloatArray]] = deque(maxlen=self._blocks)
        self.reset()

    @staticmethod
    def count(params: Mapping[str, Any], labels: Sequence[str]) -> int:
        """See ``Counts``."""
        chosen = _channels(params.get("columns"), tuple(labels))
        return sum(SIZES[kind] * len(picked) for kind, picked in chosen.items())

    def reset(self) -> None:
        """Begin a new segment."""
        self._recent.clear()
        for signal in self._signals:
            signal.reset()

    def push(self, samples: FloatArray, missing: BoolArray) -> Step | None:
        """Take one block; see ``Extractor.push``."""
        picked = samples[:, self._columns]
        lost = missing[:, self._columns] | ~np.isfinite(picked)
        for index, signal in enumerate(self._signals):
            signal.push(picked[:, index], lost[:, index])
        self._recent.append((len(picked), lost.sum(axis=0)))
        return self._step() if len(self._recent) == self._blocks else None

    def _step(self) -> Step:
        taken = sum(n for n, _ in self._recent)
        lost = sum((part for _, part in self._recent), np.zeros(len(self._columns))) / taken
        values: list[float] = []
        problems = []
        crc = 0
        for signal, share, title in zip(self._signals, lost, self._titles, strict=True):
            known: list[float] | str = f"lost {100 * share:.0f} % of the step"
            if share < LEAST_OF_STEP:
                known = signal.values(self._min_tracked)
            if isinstance(known, str):
                problems.append(f"{title} {known}")
                known = [math.nan] * len(signal.names)
            values += known
            crc = zlib.crc32(signal.newest.data, crc)
        return Step(np.array(values), "; ".join(problems), crc)


def _channels(mapping: Any, labels: tuple[str, ...]) -> dict[str, list[str]]:
    """Return the labels of each kind that is there, in the order of the features."""
    kinds = (*ONE, *MANY)
    if not isinstance(mapping, dict) or not mapping:
        raise ContractError(WHERE, "columns", repr(mapping), f"a channel for any of {', '.join(kinds)}")
    for kind, value in mapping.items():
        if kind not in kinds:
            expected = f"a signal that this feature knows{nearest(str(kind), kinds)}"
            raise ContractError(WHERE, f"columns.{kind}", repr(value), expected)
    chosen = {}
    for kind in kinds:
        if kind not in mapping:
            continue
        value = mapping[kind]
        if kind in MANY and (not isinstance(value, list | tuple) or not value):
            raise ContractError(WHERE, f"columns.{kind}", repr(value), "a list of channels of the stream")
        chosen[kind] = list(value) if kind in MANY else [value]
        for label in chosen[kind]:
            column(WHERE, f"columns.{kind}", label, labels)
        if len(set(chosen[kind])) < len(chosen[kind]):
            raise ContractError(WHERE, f"columns.{kind}", repr(value), "every channel once")
    return chosen
