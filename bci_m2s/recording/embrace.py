"""Raw data of the Empatica EmbracePlus: Avro files of a quarter or half an hour, read by fastavro.

``rawData`` of a file's record has each sensor's beginning (Unix time, µs), sampling rate and values: skin
conductance in µS, temperature in °C, acceleration in counts, of which its parameters say how many are a g,
and the Unix time (µs) of each tag (Empatica, "Raw data in the Empatica Cloud"; EmbracePlus user's manual).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci_m2s.errors import RecordingError
from bci_m2s.recording.recorded import RecordedStream, Recording
from bci_m2s.text import printable
from bci_m2s.types import MARKER_TYPE, StreamInfo

LARGEST_BYTES = 200_000_000
PER_S = 1e6  # µs
FASTEST_HZ = 1000.0
TAG = "tag"  # text of a press of the button
SENSORS = {  # field of rawData: type of the stream, label and unit
    "eda": ("Peripheral", "EDA", "microsiemens"),
    "temperature": ("Peripheral", "TEMP", "celsius"),
    "bvp": ("PPG", "BVP", ""),
}


def read_embrace(path: Path) -> Recording:
    """Read a file. Raises RecordingError where fastavro is not installed, and for a file that is none."""
    raw = _raw_data(path)
    try:
        streams = [*_sensors(raw), *_acceleration(raw), *_tags(raw)]
    except (KeyError, TypeError, ValueError, OverflowError, ZeroDivisionError) as problem:
        raise RecordingError(f"{path}: not as EmbracePlus writes it: {printable(problem, 200)}") from None
    sampled = [stream for stream in streams if not stream.is_text]
    if not sampled:
        raise RecordingError(f"{path}: no sensor of it holds a sample")
    unix_s = float(np.floor(min(stream.first_s for stream in sampled)))
    for stream in streams:
        stream.times[:] -= unix_s
    return Recording(path, tuple(streams), [], unix_s=unix_s)


def _raw_data(path: Path) -> Mapping[str, Any]:
    try:
        import fastavro
    except ImportError:
        raise RecordingError(f"{path}: Avro needs fastavro: pip install 'bci_m2s[empatica]'") from None
    if path.stat().st_size > LARGEST_BYTES:
        raise RecordingError(f"{path}: larger than {LARGEST_BYTES // 1_000_000} MB")
    try:
        with path.open("rb") as file:
            record = next(iter(fastavro.reader(file)), None)
    except Exception as problem:  # fastavro raises nearly every type on damaged files
        raise RecordingError(f"{path}: cannot be read: {printable(problem, 300)}") from None
    raw = record.get("rawData") if isinstance(record, dict) else None
    if not isinstance(raw, dict):
        raise RecordingError(f"{path}: no raw data of an EmbracePlus")
    return raw


def _sensors(raw: Mapping[str, Any]) -> Iterator[RecordedStream]:
    for field, (kind, label, unit) in SENSORS.items():
        if sensor := raw.get(field):
            yield from _stream(sensor, kind, (label,), unit, np.array([sensor["values"]], np.float32).T)


def _acceleration(raw: Mapping[str, Any]) -> Iterator[RecordedStream]:
    if sensor := raw.get("accelerometer"):
        counts = np.array([sensor[axis] for axis in "xyz"], np.float64).T
        scale = sensor["imuParams"]
        spans = [
            float(scale[f"{kind}Max"]) - float(scale[f"{kind}Min"]) for kind in ("physical", "digital")
        ]
        values = (counts * (spans[0] / spans[1])).astype(np.float32)
        yield from _stream(sensor, "ACC", ("acc_x", "acc_y", "acc_z"), "g", values)


def _stream(
    sensor: Mapping[str, Any], kind: str, labels: tuple[str, ...], unit: str, values: NDArray[np.float32]
) -> Iterator[RecordedStream]:
    rate_hz, begin_s = float(sensor["samplingFrequency"]), float(sensor["timestampStart"]) / PER_S
    if not len(values):
        return
    if not 0 < rate_hz <= FASTEST_HZ or not 0 < begin_s < 1e10:
        raise ValueError(f"{kind} begins at {begin_s:g} s, {rate_hz:g} Hz")
    values.setflags(write=False)
    units = (unit,) * len(labels)
    info = StreamInfo(f"EmbracePlus {labels[0]}", kind, rate_hz=rate_hz, labels=labels, units=units)
    times = begin_s + np.arange(len(values)) / rate_hz
    yield RecordedStream(info, times, lambda start, stop: values[start:stop])


def _tags(raw: Mapping[str, Any]) -> Iterator[RecordedStream]:
    times = np.sort(np.array((raw.get("tags") or {}).get("tagsTimeMicros") or [], np.float64)) / PER_S
    if len(times):
        texts = np.full((len(times), 1), TAG, dtype=object)
        name = "EmbracePlus tags"
        info = StreamInfo(name, MARKER_TYPE, labels=("marker",), units=("",), channel_format="string")
        yield RecordedStream(info, times, lambda start, stop: texts[start:stop])
