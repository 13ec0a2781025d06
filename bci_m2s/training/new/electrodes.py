"""Which channels of an EEG stream are electrodes of the brain: never a counter, a trigger or a battery."""

from __future__ import annotations

import re
from typing import NamedTuple

from bci_m2s.signal.counter import counter_columns
from bci_m2s.signal.units import find_unit, is_stated
from bci_m2s.types import StreamInfo

# Words of a label, and what such a channel is; words end at signs, at digits, and before a capital letter.
_WORDS = {
    "counter": "counter cnt count samplecounter",
    "time stamps": "timestamp timestamps time stamp secondary",
    "trigger": "trigger triggers trig trg devicetrigger stetriggerin stesync stim sti status marker "
    "markers hardwaremarker digital event events sync",
    "state of the device": "battery bat level validation valid indicator link quality impedance "
    "interpolate interpolated packet temperature temp",
    "movement": "acc accel accelerometer gyr gyro gyroscope mag magnetometer accx accy accz",
    "auxiliary input": "aux auxiliary bip misc bipolar",
    "another signal": "ecg ekg emg eog heog veog gsr eda scr resp respiration ppg pleth spo2 pulse optics "
    "photo mic audio",
}
_KINDS = {word: kind for kind, words in _WORDS.items() for word in words.split()}


class Electrodes(NamedTuple):
    """The channels of an EEG stream.

    kept : labels of electrodes in the stream's order; left_out : label of any other, and what it is
    """

    kept: tuple[str, ...]
    left_out: dict[str, str]


def find_electrodes(info: StreamInfo) -> Electrodes:
    """Sort a stream's channels into electrodes and others, by label and by unit.

    A channel without a label, or with that of another, cannot be picked by name and is left out.
    """
    labels = [label.strip() for label in info.labels]
    folded = [label.casefold() for label in labels]
    counters = counter_columns(labels)
    kept, left_out = [], {}
    for column, label in enumerate(labels):
        why = _what_else(label, info.units[column] if column < len(info.units) else "")
        if column in counters:
            why = "counter"
        elif not label:
            why = "no label"
        elif folded.count(folded[column]) > 1:
            why = "label occurs twice"
        if why:
            left_out[label or f"channel {column + 1}"] = why
        else:
            kept.append(label)
    return Electrodes(tuple(kept), left_out)


def _what_else(label: str, unit: str) -> str:
    """What a channel that is no electrode is, "" for an electrode."""
    spaced = re.sub(r"([a-z])([A-Z])", r"\1 \2", label)
    words = re.split(r"[\W\d_]+", f"{spaced} {label}".casefold())
    kind = next((_KINDS[word] for word in words if word in _KINDS), "")
    known = find_unit(unit)
    if not kind and is_stated(unit) and (known is None or not known.is_voltage):
        return f"measured in {unit}"
    return kind
