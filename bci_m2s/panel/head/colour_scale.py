"""Colour scales of the topography: which colour a value has, and which range is shown."""

from __future__ import annotations

import math

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PyQt6.QtGui import QColor

from bci_m2s.panel.look.theme import Theme
from bci_m2s.types import FloatArray

LEVELS = 256
# Blue against orange is told apart by every common kind of colour blindness. Middle and ends by theme.
_DIVERGING = {"dark": ("#F0A04B", "#1B2129", "#5BB4FF"), "light": ("#A04D00", "#F6F6F4", "#0B55B0")}
_FEWEST_SHOWN = 0.5  # a range is narrowed when values fill less of it, else its numbers would dance


def sequential() -> NDArray[np.uint8]:
    """Cividis (Nuñez, Anderton & Renslow 2018), perceptually uniform; RGBA, (LEVELS, 4)."""
    table: NDArray[np.uint8] = pg.colormap.get("cividis").getLookupTable(nPts=LEVELS, alpha=True)
    return np.ascontiguousarray(table, dtype=np.uint8)


def diverging(theme: Theme) -> NDArray[np.uint8]:
    """Against, nothing, for; the middle is nearly the theme's surface. RGBA, (LEVELS, 4)."""
    anchors = np.array([QColor(colour).getRgb() for colour in _DIVERGING[theme.name]], dtype=np.float64)
    at = np.linspace(0.0, 2.0, LEVELS)
    columns = [np.interp(at, [0.0, 1.0, 2.0], anchors[:, part]) for part in range(4)]
    return np.rint(np.column_stack(columns)).astype(np.uint8)


def coloured(
    values: FloatArray, limits: tuple[float, float], table: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Colours of values, (…, 4); those outside the limits get the ends' colours."""
    low, high = limits
    level = (values - low) * ((len(table) - 1) / max(high - low, 1e-12))
    return table[np.clip(np.rint(level), 0, len(table) - 1).astype(np.intp)]


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
