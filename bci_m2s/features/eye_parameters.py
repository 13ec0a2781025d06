"""The parameters of the eye-movement features, and their checks; each raises ContractError."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import numpy as np

from bci_m2s.errors import ContractError, nearest
from bci_m2s.features.eye_events import EventLimits
from bci_m2s.features.eye_pupil import SlowBands
from bci_m2s.features.parameters import column, is_number, numbers
from bci_m2s.types import FloatArray

WHERE = "feature eye"
COLUMNS = ("gaze_x", "gaze_y", "pupil_x", "pupil_y", "confidence")
GAZE_UNITS = ("normalized", "pixels", "degrees")
BANDS_HZ = ((0.0, 0.2), (0.2, 0.4), (0.4, 0.6), (0.6, 1.0))

# Parameters that are numbers: default, smallest, largest.
_LIMITS = EventLimits()
NUMBERS: dict[str, tuple[float, float, float]] = {
    "min_confidence": (0.6, 0.0, 1.0),
    "min_tracked": (0.5, 0.01, 1.0),
    "history_s": (4.0, 1.0, 8.0),
    "velocity_deg_s": (_LIMITS.velocity_deg_s, 1.0, 1000.0),
    "saccade_min_s": (_LIMITS.saccade_min_s, 0.0, 0.1),
    "saccade_min_deg": (_LIMITS.saccade_min_deg, 0.0, 10.0),
    "fixation_min_s": (_LIMITS.fixation_min_s, 0.0, 0.5),
    "merge_gap_s": (_LIMITS.merge_gap_s, 0.0, 0.5),
    "blink_min_s": (_LIMITS.blink_min_s, 0.0, 0.5),
    "blink_max_s": (_LIMITS.blink_max_s, 0.0, 1.0),
    "pupil_trend_hz": (0.05, 0.01, 1.0),
    "pupil_hold_s": (1.0, 0.0, 10.0),
    "pupil_margin_s": (0.05, 0.0, 1.0),
}
DEGREES = ("degrees_per_unit_x", "degrees_per_unit_y")
_PER_UNIT = dict.fromkeys(DEGREES, (math.nan, 1e-6, 360.0))  # required
PARAMETERS = ("columns", "gaze_unit", *DEGREES, "loss_values", "pupil_bands_hz", "blink_duration", *NUMBERS)


def columns(mapping: Any, labels: tuple[str, ...]) -> tuple[list[int], int | None]:
    """Return the channel indices of gaze x, y and pupil x, y, and of the confidence."""
    if not isinstance(mapping, dict):
        raise ContractError(WHERE, "columns", repr(mapping), f"a channel for each of {', '.join(COLUMNS)}")
    for name in mapping:
        if name not in COLUMNS:
            expected = f"a column that this feature knows{nearest(name, COLUMNS)}"
            raise ContractError(WHERE, f"columns.{name}", repr(mapping[name]), expected)
    indices: dict[str, int] = {}
    for name in COLUMNS:
        if mapping.get(name) is not None or name != "confidence":
            indices[name] = column(WHERE, f"columns.{name}", mapping.get(name), labels)
    gaze = {indices["gaze_x"], indices["gaze_y"]}
    if len(gaze) < 2 or gaze & {index for name, index in indices.items() if not name.startswith("gaze")}:
        raise ContractError(WHERE, "columns", mapping, "gaze_x and gaze_y in channels of their own")
    return [indices[name] for name in COLUMNS[:4]], indices.get("confidence")


def degrees_per_unit(params: dict[str, Any]) -> FloatArray:
    """Return visual angle per unit of gaze, horizontal and vertical."""
    unit = params.get("gaze_unit")
    if unit not in GAZE_UNITS:
        expected = f"one of {', '.join(GAZE_UNITS)}{nearest(str(unit), GAZE_UNITS)}"
        raise ContractError(WHERE, "gaze_unit", repr(unit), expected)
    if unit != "degrees":
        given = {name: params.get(name) for name in DEGREES}
        return np.array(list(numbers(WHERE, given, _PER_UNIT).values()))
    for name in DEGREES:
        if name in params:
            raise ContractError(WHERE, name, repr(params[name]), "nothing, gaze is in degrees already")
    return np.ones(2)


def loss_values(values: Any) -> FloatArray:
    """Return the codes, also as a sender of float32 would round them."""
    if not isinstance(values, list | tuple) or not all(map(is_number, values)):
        raise ContractError(WHERE, "loss_values", repr(values), "a list of numbers")
    codes = np.array(values, dtype=np.float64)
    with np.errstate(over="ignore"):
        return np.concatenate((codes, codes.astype(np.float32).astype(np.float64)))


def pupil_bands(bands: Any, trend_hz: float, hop_s: float) -> tuple[list[tuple[float, float]], SlowBands]:
    """Return the four bands, Hz, and their filters."""
    try:
        pairs = [(float(low), float(high)) for low, high in bands]
    except (TypeError, ValueError):
        pairs = []
    if len(pairs) != len(BANDS_HZ):
        raise ContractError(WHERE, "pupil_bands_hz", repr(bands), "four pairs [low, high] in Hz")
    try:
        return pairs, SlowBands(pairs, trend_hz, hop_s)
    except ValueError as problem:
        expected = "four pairs [low, high], above pupil_trend_hz and up to 2 Hz"
        raise ContractError(WHERE, "pupil_bands_hz", problem, expected) from None


def event_limits(number: dict[str, float]) -> EventLimits:
    """Return the limits of fixations, saccades and blinks."""
    limits = EventLimits(**{name: number[name] for name in asdict(_LIMITS)})
    if not limits.blink_min_s < limits.blink_max_s:
        expected = f"more than blink_min_s ({limits.blink_min_s:g})"
        raise ContractError(WHERE, "blink_max_s", f"{limits.blink_max_s:g}", expected)
    return limits
