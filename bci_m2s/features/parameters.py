"""Checks of what a contract gives to an extractor; each raises ContractError naming the field."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from bci_m2s.errors import ContractError, nearest
from bci_m2s.text import quoted

LARGEST = 1e300  # beyond it a whole number is no float
Limits = Mapping[str, tuple[float, float, float]]  # name: default, smallest, largest


def check_known(where: str, params: Mapping[str, Any], known: Collection[str]) -> None:
    """Refuse a parameter that the extractor does not have."""
    for key in params:
        if key not in known:
            raise ContractError(where, key, params[key], f"a known parameter{nearest(key, known)}")


def is_number(value: object) -> bool:
    """Whether it is a finite number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST


def numbers(where: str, params: Mapping[str, Any], limits: Limits) -> dict[str, float]:
    """Return every number of `limits`, as given or by default."""
    chosen = {}
    for name, (default, smallest, largest) in limits.items():
        value = params.get(name, default)
        if not is_number(value) or not smallest <= value <= largest:
            expected = f"a number from {smallest:g} to {largest:g}"
            raise ContractError(where, name, quoted(value, 80), expected)
        chosen[name] = float(value)
    return chosen


def line_frequencies(where: str, values: Any, rate_hz: float) -> list[float]:
    """Return the mains frequencies that are to be removed, Hz."""
    highest_hz = 0.49 * rate_hz
    is_list = isinstance(values, list | tuple)
    if not is_list or not all(is_number(value) and 1.0 <= value <= highest_hz for value in values):
        expected = f"a list of line frequencies as [50], each 1 to {highest_hz:g} Hz"
        raise ContractError(where, "notch_hz", quoted(values, 80), expected)
    return [float(value) for value in values]


def column(where: str, field: str, label: object, labels: tuple[str, ...]) -> int:
    """Return the index of the one channel that has this label."""
    if not isinstance(label, str) or labels.count(label) != 1:
        expected = f"one channel of the stream{nearest(str(label), labels)}"
        raise ContractError(where, field, repr(label), expected)
    return labels.index(label)


def blocks_per_step(where: str, step_s: float, hop_s: float, window_s: float = math.inf) -> int:
    """Return how many blocks make a step, which is no longer than the window that it looks back over."""
    ratio = step_s / hop_s if hop_s > 0 else 0.0
    if ratio < 1 or abs(ratio - round(ratio)) > 1e-9:
        raise ContractError(where, "step_s", step_s, f"a whole number of hops of {hop_s:g} s")
    if window_s < step_s:
        raise ContractError(where, "window_s", f"{window_s:g}", f"at least a step ({step_s:g} s)")
    return round(ratio)


def check_rate(where: str, rate_hz: float, smallest_hz: float, largest_hz: float) -> None:
    """Refuse a sampling rate for which the filters are not made."""
    if not smallest_hz <= rate_hz <= largest_hz:
        raise ContractError(where, "rate_hz", rate_hz, f"{smallest_hz:g} to {largest_hz:g} Hz")
