"""Colour scales of the topography: which colour a value has, and which range is shown."""

from __future__ import annotations

import math

import numpy as np
import pyqtgraph as pg

from bci_m2s.panel.look.theme import Theme
from bci_m2s.types import FloatArray

# Blue and orange can be told apart with every common kind of colour blindness. Middle and ends by theme.
_DIVERGING = {"dark": ("#F0A04B", "#1B2129", "#5BB4FF"), "light": ("#A04D00", "#F6F6F4", "#0B55B0")}
_FEWEST_SHOWN = 0.5  # a range is narrowed when values fill less of it, else its numbers would dance


def sequential() -> pg.ColorMap:
    """Cividis (Nuñez, Anderton & Renslow 2018), perceptually uniform."""
    return pg.colormap.get("cividis")


def diverging(theme: Theme) -> pg.ColorMap:
    """Against, nothing, for; the middle is nearly the theme's surface."""
    return pg.ColorMap((0.0, 0.5, 1.0), _DIVERGING[theme.name])


def power_limits(values: FloatArray, shown: tuple[float, float] | None) -> tuple[float, float]:
    """Range in whole decibels; the one that is `shown` stays while it fits. values : without NaN."""
    low, high = math.floor(float(values.min())), math.ceil(float(values.max()))
    if high - low < 2:
        low, high = low - 1, high + 1
    if shown is None or values.min() < shown[0] or values.max() > shown[1]:
        return float(low), float(high)
    return shown if high - low >= _FEWEST_SHOWN * (shown[1] - shown[0]) else (float(low), float(high))


def evidence_limits(values: FloatArray, shown: tuple[float, float] | None) -> tuple[float, float]:
    """Range symmetric about zero, with ends that are round numbers."""
    largest = max(float(np.abs(values).max()), 1e-9)
    if shown is not None and _FEWEST_SHOWN / 2 * shown[1] <= largest <= shown[1]:
        return shown
    power = 10.0 ** math.floor(math.log10(largest))
    steps = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0)
    end = next(factor * power for factor in steps if largest <= factor * power * (1 + 1e-9))
    return -end, end
