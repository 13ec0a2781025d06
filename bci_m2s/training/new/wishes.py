"""What the command line of ``bci-m2s new`` says, and its words as numbers and lists."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from bci_m2s.errors import UsageError

NONE = "none"


@dataclass(frozen=True)
class Wishes:
    """What the command line says; "" and None where it says nothing.

    source : recording, or folder of recordings; montage, device_eye : names of devices instead
    eeg, eye, skin : names of streams, "none" for no such signal; screen : WIDTHxHEIGHT in cm; degrees : X,Y
    ask : whether there is somebody to ask
    """

    source: Path | None = None
    montage: str = ""
    classes: str = ""
    baseline_s: float | None = None
    eeg: str = ""
    eye: str = ""
    channels: str = ""
    screen: str = ""
    distance_cm: float | None = None
    pixels: str = ""
    degrees: str = ""
    mains_hz: float | None = None
    skin: str = ""
    quick: bool = False
    ask: bool = False


def listed(text: str) -> tuple[str, ...]:
    """The names between commas, each once."""
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def classes_by_label(text: str) -> dict[str, str]:
    """Classes by the label that markers have for them, from "1=calm,2=tense", or "calm,tense"."""
    pairs = [part.partition("=") for part in listed(text)]
    return {label.strip(): (name or label).strip() for label, _, name in pairs}


def classes_of(text: str) -> dict[str, str]:
    """At least two classes, by the label that markers have for them. Raises UsageError."""
    named = classes_by_label(text)
    if len(set(named.values())) < 2:
        raise UsageError(f"--classes: got {text!r}, expected at least two, separated by commas")
    return named


def numbers(text: str, sign: str, option: str, expected: str) -> tuple[float, ...]:
    """The numbers between signs, 0 to 1e6; () of nothing. Raises UsageError, naming the option."""
    try:
        found = tuple(float(part) for part in text.split(sign)) if text else ()
    except ValueError:
        found = (math.nan,)
    if not all(0 <= number < 1e6 for number in found):
        raise UsageError(f"{option}: got {text!r}, expected {expected}")
    return found


def pair(text: str, option: str, expected: str) -> tuple[float, float]:
    """Two numbers above 0, as 53x30. Raises UsageError, naming the option."""
    both = numbers(text.replace("×", "x"), "x", option, expected)
    if len(both) != 2 or not all(both):
        raise UsageError(f"{option}: got {text!r}, expected {expected}")
    return both[0], both[1]
