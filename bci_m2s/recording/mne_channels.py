"""The channels of files that mne reads: what kind each is, and in which unit its values are."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

from bci_m2s.recording.bids.channels import TRIGGERS, Sidecars, by_name
from bci_m2s.recording.channel_types import type_of_label
from bci_m2s.recording.edf_header import EdfHeader
from bci_m2s.recording.triggers import TRIGGER
from bci_m2s.signal.units import MICROVOLTS, find_unit, is_stated
from bci_m2s.text import quoted

EDF = (".edf", ".bdf")
MOST_NAMES = 8  # that a note lists
STREAM_TYPES = {  # mne's kind of channel: type of the stream; every other kind is "Misc"
    "eeg": "EEG",
    "ecg": "ECG",
    "eog": "EOG",
    "emg": "EMG",
    "ecog": "iEEG",
    "seeg": "iEEG",
    "dbs": "iEEG",
    "mag": "MEG",
    "grad": "MEG",
    "ref_meg": "MEG",
    "eyegaze": "Gaze",
    "pupil": "Gaze",
    "gsr": "Peripheral",
    "resp": "Peripheral",
    "temperature": "Peripheral",
}
UNITS = {  # FIF's unit codes: name and factor
    107: ("microvolts", 1e6),
    112: ("tesla", 1.0),
    201: ("tesla/m", 1.0),
    114: ("celsius", 1.0),
    110: ("siemens", 1.0),
    7: ("radian", 1.0),
    210: ("pixel", 1.0),
}
_BRAINVISION_UNIT = re.compile(r"^Ch\d+=[^,\n]*,[^,\n]*,[^,\n]*,?([^,\n\r]*)", re.MULTILINE)
MNE_VOLTS = ("uV", "mV", "V", "\u00b5V", "\u03bcV", "\x83\xcaV")  # what mne reads rightly in EDF


def channel_units(
    raw: Any, path: Path | None, header: EdfHeader | None, notes: list[str]
) -> list[tuple[str, float]]:
    """Unit of each channel ("" where it is not stated), and what turns mne's values into it."""
    voltages = _brainvision_voltages(raw, path)
    units = _units(raw, header, notes)
    for index, factor in voltages.items():
        units[index] = ("microvolts", factor)
    return units


def _units(raw: Any, header: EdfHeader | None, notes: list[str]) -> list[tuple[str, float]]:
    """Unit of each channel, and what turns mne's values into it.

    mne takes every unit of EDF and BDF that it does not know for volts: there the file's own word counts,
    and one that nobody knows is not stated, the values standing as they are in the file.
    """
    known = [UNITS.get(int(channel["unit"]), ("", 1.0)) for channel in raw.info["chs"]]
    if header is None or len(header.signals) != len(known):
        return known
    for index, place in enumerate(header.signals):
        word = header.units[place]
        unit = find_unit(word)
        if known[index][0] != "microvolts" or word in MNE_VOLTS:
            continue
        if unit is not None and unit.is_voltage:
            known[index] = ("microvolts", unit.factor / MICROVOLTS.factor)
        else:
            known[index] = (unit.name if unit is not None else "", 1.0)
            if is_stated(word) and unit is None:
                notes.append(f"channel {raw.ch_names[index]}: unit {quoted(word)} is not known: not stated")
    return known


def _brainvision_voltages(raw: Any, path: Path | None) -> dict[int, float]:
    """Channels whose voltage mne does not know by its name, now of kind EEG, with the factor to microvolts.

    mne takes microvolts, millivolts, volts and nanovolts in its own spelling alone; others are "misc".
    """
    if path is None or path.suffix.lower() != ".vhdr":
        return {}
    words = _BRAINVISION_UNIT.findall(path.read_text("utf-8", "replace"))
    factors, kinds = {}, raw.get_channel_types()
    for index, (word, kind) in enumerate(zip(words, kinds, strict=False)):
        unit = find_unit(word)
        if kind == "misc" and unit is not None and unit.is_voltage:
            factors[index] = unit.factor / MICROVOLTS.factor
    if factors:
        names = {raw.ch_names[index]: "eeg" for index in factors}
        raw.set_channel_types(names, on_unit_change="ignore", verbose="error")
    return factors


def channel_types(raw: Any, path: Path | None, beside: Sidecars, notes: list[str]) -> list[str]:
    """Type of the stream of each channel; one of triggers becomes mne's kind for it, a bad one is noted."""
    kinds = raw.get_channel_types()
    known = [STREAM_TYPES.get(kind, "Misc") for kind in kinds]
    says_little = path is not None and path.suffix.lower() in (
        *EDF,
        ".vhdr",
    )  # every voltage is an EEG there
    by_label = dict[str, list[str]]()
    for index, name in enumerate(raw.ch_names):
        stated = by_name(beside.types, name)
        if stated and kinds[index] != TRIGGER:
            known[index] = stated
        elif says_little and known[index] == "EEG" and (named := type_of_label(name)):
            known[index] = named
            by_label.setdefault(named, []).append(name)
    notes += [f"{', '.join(names)}: {kind} by name, no EEG" for kind, names in by_label.items()]
    codes = {name: TRIGGER for name, kind in zip(raw.ch_names, known, strict=True) if kind == TRIGGERS}
    if codes:
        raw.set_channel_types(codes, on_unit_change="ignore", verbose="error")
    _note_sidecars(raw, beside, notes)
    return known


def _note_sidecars(raw: Any, beside: Sidecars, notes: list[str]) -> None:
    """Take over bad channels; what stands beside the file and does not fit it is noted."""
    bad = [name for name in raw.ch_names if by_name(dict.fromkeys(beside.bad, "bad"), name)]
    raw.info["bads"] = list(dict.fromkeys([*raw.info["bads"], *bad]))
    if bad:
        notes.append(f"bad by channels.tsv, so missing: {', '.join(bad)}")
    ends = {name.split(" ", 1)[-1] for name in raw.ch_names}
    absent = [
        name for name in beside.types if name.split(" ", 1)[-1] not in ends and name not in raw.ch_names
    ]
    if absent:
        notes.append(f"channels.tsv: not in the file: {', '.join(absent[:MOST_NAMES])}")
    rate_hz = float(raw.info["sfreq"])
    if not math.isnan(beside.rate_hz) and abs(beside.rate_hz - rate_hz) > 0.01 * rate_hz:
        notes.append(f"eeg.json says {beside.rate_hz:g} Hz; the file's {rate_hz:g} Hz counts")
