"""``channels.tsv`` and ``eeg.json``: kind, unit and state of each channel, reference and line frequency."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bci_m2s.errors import RecordingError
from bci_m2s.recording.bids.files import LARGEST_BYTES, beside, read_texts
from bci_m2s.signal.reference import AVERAGE, stated_reference
from bci_m2s.signal.units import find_unit, is_stated
from bci_m2s.text import quoted

TRIGGERS = "trigger"  # in place of a type of stream: the channel holds codes
TYPES = {  # BIDS' type of a channel: type of the stream; every other is "Misc"
    "EEG": "EEG",
    "REF": "EEG",
    "EOG": "EOG",
    "HEOG": "EOG",
    "VEOG": "EOG",
    "ECG": "ECG",
    "EMG": "EMG",
    "GSR": "Peripheral",
    "EDA": "Peripheral",
    "RESP": "Peripheral",
    "TEMP": "Peripheral",
    "PPG": "Peripheral",
    "PUPIL": "Gaze",
    "EYEGAZE": "Gaze",
    "ECOG": "iEEG",
    "SEEG": "iEEG",
    "DBS": "iEEG",
    "TRIG": TRIGGERS,
}
LONGEST_LABEL = 5  # of an electrode in a stated reference; longer words are prose


@dataclass(frozen=True)
class Sidecars:
    """What stands beside a recording; empty where nothing does.

    types, units : by channel, of those for which it is stated; bad : channels whose status is bad
    reference : of the EEG, as written; line_hz, rate_hz : NaN where not stated
    """

    types: dict[str, str] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    bad: tuple[str, ...] = ()
    reference: str = ""
    line_hz: float = math.nan
    rate_hz: float = math.nan


def find_sidecars(path: Path, notes: list[str]) -> Sidecars:
    """Read what stands beside a recording; what is odd about it becomes a note."""
    made = _general(path, notes)
    types: dict[str, str] = {}
    units: dict[str, str] = {}
    bad: list[str] = []
    for file in beside(path, "channels.tsv")[-1:]:
        try:
            table = read_texts(file)
        except RecordingError as problem:
            notes.append(f"{problem}; not used")
            continue
        if "name" not in table:
            notes.append(f"{file.name}: no column 'name'; not used")
            continue
        for place, name in enumerate(table["name"]):
            stated = {column: cells[place] for column, cells in table.items()}
            if is_stated(kind := stated.get("type", "")):
                types[name] = TYPES.get(kind.upper(), "Misc")
            if is_stated(unit := stated.get("units", "")):
                units[name] = unit
            if stated.get("status", "").casefold() == "bad":
                bad.append(name)
    return Sidecars(types, units, tuple(bad), *made)


def _general(path: Path, notes: list[str]) -> tuple[str, float, float]:
    """Reference, line frequency and sampling rate of ``eeg.json``."""
    stated: dict[str, Any] = {}
    for file in beside(path, "eeg.json"):
        try:
            text = file.read_text("utf-8-sig") if file.stat().st_size < LARGEST_BYTES else ""
            found = json.loads(text)
        except (OSError, ValueError, RecursionError):
            notes.append(f"{file.name}: is no JSON; not used")
            continue
        stated |= found if isinstance(found, dict) else {}
    reference = str(stated.get("EEGReference", ""))
    reference = reference if is_stated(reference) else ""
    tokens = stated_reference(reference)
    if tokens and tokens != (AVERAGE,) and any(len(token) > LONGEST_LABEL for token in tokens):
        notes.append(f"its EEG is referred to {quoted(reference[:80])}, which names no channel: not stated")
        reference = ""
    return reference, _number(stated.get("PowerLineFrequency")), _number(stated.get("SamplingFrequency"))


def _number(value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and math.isfinite(value) else math.nan


def by_name(stated: dict[str, str], name: str) -> str:
    """What is stated for a channel under its name, or under it with its kind before it: "EEG Fp1"."""
    if name in stated:
        return stated[name]
    ends = [key for key in stated if key.split(" ", 1)[-1] == name]
    return stated[ends[0]] if len(ends) == 1 else ""


def unit_beside(own: str, factor: float, stated: str) -> tuple[str, float]:
    """Unit and factor of a channel: the file's own word counts, else what stands beside it."""
    if own or not stated:
        return own, factor
    unit = find_unit(stated)
    return (unit.name if unit is not None else ""), factor
