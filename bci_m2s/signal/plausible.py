"""What amplitude a channel can have at all: values in another unit than the model's are never answered.

A voltage is judged by its standard deviation within a hop, in which offsets do not count; a pupil, a skin
conductance, a temperature or a normalised coordinate by its mean. A contract may have limits that were
learnt from training data, which narrow those of the stream type. Both are generous: they find
factors of a thousand, not poor signals. Orders of magnitude are those of textbooks (EEG: Niedermeyer and
Lopes da Silva 2005, 10 to 100 µV; ECG: Malmivuo and Plonsey 1995, about 1 mV).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bci_m2s.signal.units import UNITS, Unit, find_unit
from bci_m2s.types import BoolArray, FloatArray

CAUSE = "amplitude"  # how every reason begins
# By stream type, without case: the least and largest standard deviation within a hop, V.
SPREADS_V = {"eeg": (5e-8, 5e-3), "ecg": (2e-6, 2e-2), "eog": (5e-8, 1e-2), "emg": (5e-8, 2e-2)}
ANY_VOLTAGE_V = (5e-8, 2e-2)
USUAL_V = {"eeg": 2e-5, "ecg": 2e-4}  # what a sound signal has about, V
LEVELS = {  # by unit: least and largest mean of a hop in that unit
    "normalized": (-10.0, 10.0),
    "microsiemens": (0.0, 200.0),
    "celsius": (5.0, 60.0),
}
PUPIL_MM = (0.5, 15.0)
SHORTEST_S = 0.25  # of signal on which a channel is judged
MARGIN = 30.0  # between what training data had and a limit that is learnt from them
Limits = Mapping[str, tuple[float, float]]  # by the contract's unit: least and largest amplitude


@dataclass(frozen=True, slots=True)
class Amplitudes:
    """Limits of each channel, (C,), NaN where there is none; and what they are limits of.

    spread_low, spread_high : of the standard deviation; level_low, level_high : of the mean
    units : of the channels; usual_v : what a voltage usually has, V
    factors : what the sender's values were multiplied by to have these units
    """

    spread_low: FloatArray
    spread_high: FloatArray
    level_low: FloatArray
    level_high: FloatArray
    units: tuple[Unit | None, ...]
    usual_v: float
    factors: FloatArray

    @property
    def are_voltages(self) -> BoolArray:
        """Which channels, (C,), are voltages."""
        return np.array([unit is not None and unit.is_voltage for unit in self.units])

    def measure(self, samples: FloatArray) -> FloatArray:
        """Amplitude of each channel, (C,), in a block of samples, (n, C): what the limits are limits of."""
        level, spread = _moments(samples)
        return np.where(self.are_voltages, spread, level)

    def outside(self, samples: FloatArray) -> BoolArray:
        """Which channels, (C,), have no plausible amplitude in a block of samples, (n, C)."""
        level, spread = _moments(samples)
        with np.errstate(invalid="ignore"):  # NaN compares false
            wrong: BoolArray = (spread < self.spread_low) | (spread > self.spread_high)
            wrong |= (level < self.level_low) | (level > self.level_high)
        return wrong

    def explain(self, samples: FloatArray, channels: Sequence[int]) -> str:
        """Why these channels are not used: "amplitude 2e-05 µV; would be 20 µV if the sender sends volts".

        samples : a block of samples, (n, C); the middle one of the channels gives the figure
        """
        unit = self.units[channels[0]]
        picked = samples[:, list(channels)]
        if unit is None or not unit.is_voltage:
            value = float(np.median(picked.mean(axis=0)))
            return f"{CAUSE} {_figure(value)} {unit.short or unit.name if unit else ''} cannot be".replace(
                "  ", " "
            )
        value = float(np.median(picked.std(axis=0)))
        text = f"{CAUSE} {_figure(value)} {unit.short}"
        factor = float(self.factors[channels[0]])
        meant, words = min(
            _meant(value, unit, factor),
            key=lambda guess: abs(_decades(guess[0] * unit.factor, self.usual_v)),
        )
        if abs(_decades(meant * unit.factor, self.usual_v)) < 2:
            text += f"; would be {_figure(meant)} {unit.short} if {words}"
        return text


def _meant(value: float, unit: Unit, factor: float) -> Iterator[tuple[float, str]]:
    """What a voltage would be under every mistake of its sender, and that mistake in words.

    factor : what the sender's values were multiplied by to have the unit
    """
    for other in UNITS:
        if other.is_voltage and not math.isclose(other.factor, unit.factor * factor):
            yield value / factor * other.factor / unit.factor, f"the sender sends {other.name}"
    if factor == 1.0:  # a file's reader may have converted before
        yield value * 1e-6, "what is called volts is microvolts"


def _decades(value_v: float, usual_v: float) -> float:
    return math.log10(max(value_v, 1e-300) / usual_v)


def amplitude_limits(
    stream_type: str,
    labels: Sequence[str],
    units: Sequence[str],
    learnt: Limits | None = None,
    factors: FloatArray | None = None,
) -> Amplitudes:
    """The limits for the channels of a contract.

    learnt : by unit, from training data; they narrow those of the stream type
    factors : (C,), what the sender's values were multiplied by to have `units`; None for nothing
    """
    kind = stream_type.casefold()
    known = tuple(find_unit(unit) for unit in units)
    spreads, levels = [], []
    for label, name, unit in zip(labels, units, known, strict=True):
        spread = level = (math.nan, math.nan)
        if unit is not None and unit.is_voltage:
            low_v, high_v = SPREADS_V.get(kind, ANY_VOLTAGE_V)
            spread = (low_v / unit.factor, high_v / unit.factor)
        elif unit is not None and unit.base == "m" and "pupil" in label.casefold():
            level = (PUPIL_MM[0] * 1e-3 / unit.factor, PUPIL_MM[1] * 1e-3 / unit.factor)
        elif unit is not None:
            level = LEVELS.get(unit.name, level)
        low, high = (learnt or {}).get(
            name, (-math.inf, math.inf)
        )  # NaN stays: what has no limit gets none
        spreads.append((np.maximum(spread[0], low), np.minimum(spread[1], high)))
        levels.append((np.maximum(level[0], low), np.minimum(level[1], high)))
    spread_low, spread_high = np.array(spreads).T
    level_low, level_high = np.array(levels).T
    usual_v = USUAL_V.get(kind, USUAL_V["eeg"])
    factors = np.ones(len(labels)) if factors is None else factors
    return Amplitudes(spread_low, spread_high, level_low, level_high, known, usual_v, factors)


def learn_limits(seen: FloatArray, units: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Limits by unit from what training data had.

    Parameters
    ----------
    seen : (n, C, 2), least and largest usual amplitude of each channel, in n recordings; NaN where none
    units : of the channels

    Returns
    -------
    dict
        ``MARGIN`` times beyond what was seen, on both sides; a unit of which nothing was seen is left out.
    """
    limits = {}
    for unit in dict.fromkeys(units):
        values = seen[:, [column for column, name in enumerate(units) if name == unit]]
        values = values[np.isfinite(values).all(axis=-1)]
        if not len(values):
            continue
        low, high = float(values[:, 0].min()), float(values[:, 1].max())
        reach = MARGIN * max(abs(low), abs(high))
        if reach:
            limits[unit] = (low / MARGIN, reach) if low > 0 else (-reach, reach)
    return limits


def _moments(samples: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation of each channel, (C,), of (n, C) samples."""
    with np.errstate(invalid="ignore", over="ignore"):  # of lost samples
        level = samples.sum(axis=0) / len(samples)  # what ``mean`` does, without its overhead
        centred = samples - level
        return level, np.sqrt(np.einsum("nc,nc->c", centred, centred) / len(samples))


def _figure(value: float) -> str:
    """One significant digit, without an exponent where people can count the zeros."""
    if value == 0 or not 1e-9 < abs(value) < 1e9:
        return f"{value:.1g}"
    return np.format_float_positional(value, precision=1, fractional=False, trim="-")
