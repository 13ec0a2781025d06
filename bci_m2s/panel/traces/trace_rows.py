"""Where each channel's trace is drawn: units, scales in steps of 1-2-5, rows. Plain numbers, no Qt."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bci_m2s.panel.look.plot import step_125
from bci_m2s.panel.look.theme import Theme
from bci_m2s.panel.traces.sweep import Float32Array, Rows
from bci_m2s.signal.units import MICROVOLTS, find_unit
from bci_m2s.text import printable
from bci_m2s.types import BoolArray, FloatArray

LONGEST_UNIT = 8  # characters
ROW_SPREADS = 5.0  # height of a row, in standard deviations of its channel
CLIP_ROWS = 4.0  # a trace goes so far from the middle of its row, a blink for instance ...
BAD_CLIP_ROWS = 1.5  # ... and a bad one so far: it hides two others at most
EDGE_ROWS, EDGE_SHARE = 2.0, 0.06  # room above the first row and below the last; of all rows at most
DEFAULT_SCALES = {"µV": 100.0}  # while nothing else is known


def shown_unit(unit: str) -> tuple[str, float]:
    """Name on the screen of a stated unit, and what values are multiplied by: volts are shown as µV."""
    known = find_unit(unit)
    if known is None:
        return printable(unit, LONGEST_UNIT), 1.0
    return (MICROVOLTS.short, 1e6) if known.name == "volts" else (known.short, 1.0)


def main_unit(units: Sequence[str]) -> str:
    """The unit that most channels have; the first of them when two are as frequent."""
    return max(units, key=list(units).count) if units else ""


def fitted_scales(spread: Float32Array, units: Sequence[str], good: BoolArray) -> dict[str, float]:
    """A scale for each unit, value in its unit per row, from the spread of its good channels.

    spread : (channels,) standard deviations, NaN where unknown; good : (channels,)
    """
    scales = {}
    for unit in dict.fromkeys(units):
        mine = np.array([other == unit for other in units])
        chosen = spread[mine & good & (spread > 0)]
        if not len(chosen):
            chosen = spread[mine & (spread > 0)]
        known = len(chosen) > 0
        scales[unit] = step_125(ROW_SPREADS * float(np.median(chosen))) if known else default_scale(unit)
    return scales


def default_scale(unit: str) -> float:
    """Value per row while nothing is known of a signal."""
    return DEFAULT_SCALES.get(unit, 1.0)


def trace_rows(
    scale: FloatArray, middle: Float32Array, good: BoolArray, first: int, count: int, theme: Theme
) -> Rows:
    """Stack `count` channels from `first` on, equally high; traces of bad ones are grey and lie below.

    scale : (channels,) value per row; middle : (channels,) value in the middle of the row
    """
    number = np.arange(len(scale)) - first
    seen = (number >= 0) & (number < count)
    centre, height = row_centres(number, count), row_height(count)
    gain, reach = height / scale, height * np.where(good, CLIP_ROWS, BAD_CLIP_ROWS)
    return Rows(
        origin=centre + gain * middle,
        gain=gain,
        top=np.clip(centre - reach, 0.0, 1.0),
        bottom=np.clip(centre + reach, 0.0, 1.0),
        layers=(
            (np.flatnonzero(seen & ~good), theme.bad_trace),
            (np.flatnonzero(seen & good), theme.trace),
        ),
        cut_colour=theme.warn,
    )


def row_height(count: int) -> float:
    """Height of each of `count` rows, of the sweep's; there is some room above and below them all."""
    return 1.0 / (count + 2 * min(EDGE_ROWS, EDGE_SHARE * count))


def row_centres(number: NDArray[np.intp], count: int) -> FloatArray:
    """Middle of each row by its number from the top, of the sweep's height from its upper edge."""
    above = 0.5 + min(EDGE_ROWS, EDGE_SHARE * count)
    centres: FloatArray = (number.astype(np.float64) + above) * row_height(count)
    return centres


def placed_labels(centres: Sequence[float], height: float, urgent: Sequence[bool]) -> list[int]:
    """Which labels to draw so that none covers another: urgent ones first, the others evenly thinned.

    centres : increasing, pixels; height : of a label, pixels; urgent : one for each

    Returns the indices, in order. Urgent ones that would cover another urgent one are left out.
    """
    if not len(centres):
        return []
    row = (centres[-1] - centres[0]) / max(1, len(centres) - 1)
    every = max(1, math.ceil(height / row - 1e-6)) if row > 0 else 1
    wanted = [i for i, is_urgent in enumerate(urgent) if is_urgent] + list(range(0, len(centres), every))
    chosen: list[int] = []
    for index in dict.fromkeys(wanted):
        if all(abs(centres[index] - centres[other]) >= height - 1e-6 for other in chosen):
            chosen.append(index)
    return sorted(chosen)
