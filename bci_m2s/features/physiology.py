"""Features of peripheral physiology, live: skin, breath, pulse, temperature, muscles and eyes.

After the feature lists of Koelstra et al. 2012 ("DEAP: a database for emotion analysis using physiological
signals", IEEE Trans. Affective Computing 3(1), 18–31) and Kim & André 2008 ("Emotion recognition based on
physiological changes in music listening", IEEE TPAMI 30(12), 2067–2083), as far as they can be known
without the future. Any subset of signals; the features come in this order. "Unit" is the stream's own.

=============================  =========  ==============================================================
name                           unit       what
=============================  =========  ==============================================================
gsr_mean                       unit       mean skin conductance (or resistance, if that is sent)
gsr_slope_per_s                unit/s     slope of the straight line through it
gsr_range                      unit       largest less smallest, after a moving mean of 1 s
gsr_falling_share              0 to 1     share of the window in which it falls
gsr_peaks_per_min              1/min      peaks that stand out by a tenth of the range: skin responses
respiration_rate_per_min       1/min      highest peak of the spectrum, 0.1 to 0.7 Hz
respiration_centroid_hz        Hz         centroid of the spectrum, 0.05 to 2 Hz
respiration_depth              unit       95th less 5th percentile, straight line removed
respiration_sd                 unit       standard deviation, straight line removed
respiration_slow_quick_ln      ln         energy at 0.05–0.25 Hz over that at 0.25–2 Hz
pulse_rate_bpm                 1/min      60 / mean interval between systolic peaks (Elgendi et al. 2013)
pulse_sdnn_ms, pulse_rmssd_ms  ms         deviation of the intervals, and of neighbours, as in ``ecg``
pulse_amplitude_ln             ln unit    median height of the pulse at 0.5–8 Hz
temperature_mean               unit       mean
temperature_slope_per_s        unit/s     slope of the straight line
emg_LABEL_energy_ln            ln unit²   mean square at 20–200 Hz (or 0.45 × rate) over the step
eog_LABEL_energy_ln            ln unit²   mean square at 0.5–35 Hz (or 0.45 × rate) over the step
eog_LABEL_blinks_per_min       1/min      pulses of 0.04–0.5 s at 1–10 Hz, 5 robust deviations high
=============================  =========  ==============================================================

All but the energies look back over the newest `window_s`. A logarithm turns a gain into an offset, which
the normalisation per person takes out. A plethysmogram may be either way up.

A signal's values are NaN, with a reason, when half of its samples in the step or more than
1 − `min_tracked` of its window are lost; when a breath, muscle or eye signal is flat; when a
plethysmogram shows no regular pulse. The other signals' values stay.
"""

from __future__ import annotations

import math
import zlib
from collections import deque
from typing import Any

import numpy as np

from bci_m2s.errors import ContractError, nearest
from bci_m2s.features.parameters import blocks_per_step, check_known, check_rate, column, numbers
from bci_m2s.features.physiology_signals import BodySignal, Timing, signals
from bci_m2s.types import BoolArray, FloatArray, Step

WHERE = "feature physiology"
ONE = ("gsr", "respiration", "plethysmograph", "temperature")  # kinds with one channel
MANY = ("emg", "eog")  # kinds with a list of channels
SMALLEST_RATE_HZ = {"plethysmograph": 25.0, "emg": 64.0, "eog": 32.0}
RATES_HZ = (8.0, 10_000.0)
LEAST_OF_STEP = 0.5

# Parameters that are numbers: default, smallest, largest.
NUMBERS: dict[str, tuple[float, float, float]] = {
    "window_s": (15.0, 8.0, 300.0),
    "min_tracked": (0.5, 0.1, 1.0),
}


class PeripheralPhysiology:
    """Extractor of features of peripheral signals; the module says how each is defined.

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
    rate_hz : 8 Hz to 10 kHz; at least 25 with a plethysmograph, 32 with EOG, 64 with EMG
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
        check_rate(WHERE, rate_hz, *RATES_HZ)
        self._blocks = blocks_per_step(WHERE, step_s, hop_s, number["window_s"])
        self._min_tracked = number["min_tracked"]
        timing = Timing(rate_hz, hop_s, self._blocks, number["window_s"])
        notch_hz = _notches(params.get("notch_hz", []), rate_hz)
        self._signals: list[BodySignal] = []
        self._said: list[str] = []  # what messages call each signal
        columns: list[int] = []
        for kind, chosen in _channels(params.get("columns"), labels).items():
            check_rate(f"{WHERE}: {kind}", rate_hz, SMALLEST_RATE_HZ.get(kind, RATES_HZ[0]), RATES_HZ[1])
            self._signals += signals(kind, chosen, notch_hz if kind == "emg" else [], timing)
            self._said += [kind if kind in ONE else f"{kind} {label}" for label in chosen]
            columns += [labels.index(label) for label in chosen]
        self._columns = columns
        self.names: tuple[str, ...] = tuple(name for one in self._signals for name in one.names)
        self.settle_s = max(max(one.window_s - step_s, 0.0) + one.settle_s for one in self._signals)
        self._recent: deque[tuple[int, FloatArray]] = deque(maxlen=self._blocks)
        self.reset()

    def reset(self) -> None:
        """Begin a new segment."""
        self._recent.clear()
        for one in self._signals:
            one.reset()

    def push(self, samples: FloatArray, missing: BoolArray) -> Step | None:
        """Take one block; see ``Extractor.push``."""
        picked = samples[:, self._columns]
        lost = missing[:, self._columns] | ~np.isfinite(picked)
        for place, one in enumerate(self._signals):
            one.push(picked[:, place], lost[:, place])
        self._recent.append((len(picked), lost.sum(axis=0)))
        return self._step() if len(self._recent) == self._blocks else None

    def _step(self) -> Step:
        taken = sum(n for n, _ in self._recent)
        lost = sum((part for _, part in self._recent), np.zeros(len(self._columns))) / taken
        values: list[float] = []
        problems = []
        for one, share, said in zip(self._signals, lost, self._said, strict=True):
            got: list[float] | str = f"lost {100 * share:.0f} % of the step"
            if share < LEAST_OF_STEP:
                got = one.values(self._min_tracked)
            if isinstance(got, str):
                problems.append(f"{said} {got}")
                got = [math.nan] * len(one.names)
            values += got
        crc = 0
        for one in self._signals:
            crc = zlib.crc32(one.newest.data, crc)
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


def _notches(values: Any, rate_hz: float) -> list[float]:
    if not isinstance(values, list | tuple):
        raise ContractError(WHERE, "notch_hz", repr(values), "a list of line frequencies")
    limits = {f"notch_hz[{place}]": (50.0, 1.0, 0.49 * rate_hz) for place in range(len(values))}
    given = dict(zip(limits, values, strict=True))
    return list(numbers(WHERE, given, limits).values())
