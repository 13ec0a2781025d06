"""The type of stream that a channel belongs to by its name, where nothing else says what it is."""

from __future__ import annotations

import re

_NAMED = (
    (re.compile(r"[hv]?eog", re.IGNORECASE), "EOG"),
    (re.compile(r"e[ck]g", re.IGNORECASE), "ECG"),
    (re.compile(r"emg", re.IGNORECASE), "EMG"),
    (
        re.compile(r"gsr|eda(?![a-z])|resp|pleth|ppg|bvp|temp(?![a-z])|temperature", re.IGNORECASE),
        "Peripheral",
    ),
    (re.compile(r"acc(?![a-z])|accel|gyro", re.IGNORECASE), "ACC"),
    (re.compile(r"gaze|pupil", re.IGNORECASE), "Gaze"),
)


def type_of_label(label: str) -> str:
    """Type of the stream of a channel whose name begins with its kind ("EMG chin"); "" for any other."""
    return next((kind for pattern, kind in _NAMED if pattern.match(label.strip())), "")
