"""Eye tracking and physiology as BIDS 1.11 has them: every stream at its own rate, with its own stamps.

mne-bids 0.20 writes gaze at the rate of the EEG only; a live eye tracker has a clock of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci_m2s.handover.axis import TimeAxis
from bci_m2s.handover.gaze import CUSTOM, Eye, coordinate_system, eyes_of, gaze_unit
from bci_m2s.handover.tables import MISSING, row_blocks, sample_lines, seconds, write_json, write_tsv_gz
from bci_m2s.review.draw_signals import UNKNOWN_UNIT, unit_of
from bci_m2s.review.facts import RecordingStream
from bci_m2s.types import FloatArray

TIMESTAMP = {
    "Description": "Seconds from the first sample of the recording beside it, on the clock that all share.",
    "Units": "s",
}
SENDER = {
    "Description": "The stamp of the sample as its sender gave it, in the sender's clock.",
    "Units": "s",
}


def write_eyes(
    folder: Path, prefix: str, streams: Sequence[RecordingStream], axis: TimeAxis, has_screen: bool
) -> list[str]:
    """``physio`` and ``physioevents`` of each eye; returns the coordinate systems that were used."""
    eyes = [(stream, eye) for stream in streams for eye in eyes_of(stream)]
    systems = []
    for number, (stream, eye) in enumerate(eyes, 1):
        name = f"{prefix}_recording-eye{number}"
        at, kept = _times(stream, axis)
        system = coordinate_system(stream.info, has_screen)
        columns = ["x_coordinate", "y_coordinate", *(["pupil_size"] if eye.pupil >= 0 else [])]
        columns += _column_names(stream, eye.others)
        _write_samples(folder / f"{name}_physio.tsv.gz", stream, eye.channels, at, kept)
        about = _about(stream, at[kept], ["timestamp", *columns, "sender_time"], "eyetrack")
        about |= {"RecordedEye": eye.recorded, "SampleCoordinateSystem": system}
        if system == CUSTOM:
            about["SampleCoordinateSystemDescription"] = (
                "As the sender gives it; the distance, size and resolution of the screen were not stated."
            )
        about |= _eye_columns(stream, eye, columns)
        write_json(folder / f"{name}_physio.json", about)
        _write_eye_events(folder / f"{name}_physioevents.tsv.gz", stream, eye, axis)
        systems.append(system)
    return systems


def write_physio(
    folder: Path, prefix: str, streams: Sequence[RecordingStream], axis: TimeAxis
) -> list[str]:
    """``physio`` of every other stream; returns the labels of the recordings."""
    labels: list[str] = []
    for stream in streams:
        label = re.sub(r"[^A-Za-z0-9]", "", stream.info.type or stream.info.name).lower() or "physio"
        labels.append(label if label not in labels else f"{label}{len(labels) + 1}")
        channels = tuple(range(stream.info.n_channels))
        at, kept = _times(stream, axis)
        name, columns = f"{prefix}_recording-{labels[-1]}_physio", _column_names(stream, channels)
        _write_samples(folder / f"{name}.tsv.gz", stream, channels, at, kept)
        about = _about(stream, at[kept], ["timestamp", *columns, "sender_time"], "generic")
        for column, channel in zip(columns, channels, strict=True):
            about[column] = _channel(stream, channel)
        write_json(folder / f"{name}.json", about)
    return labels


def _times(stream: RecordingStream, axis: TimeAxis) -> tuple[FloatArray, NDArray[np.bool_]]:
    """(n,) s on the axis, and which samples have a stamp of this clock."""
    at = axis.at(stream.times_s)
    return at, np.isfinite(at)


def _write_samples(
    path: Path, stream: RecordingStream, channels: Sequence[int], at: FloatArray, kept: NDArray[np.bool_]
) -> None:
    """One row per sample: time, channels as they were sent, the sender's stamp."""

    def blocks() -> Iterator[str]:
        for start, stop in row_blocks(stream.n_samples):
            here = kept[start:stop]
            values = stream.read(start, stop)[here][:, list(channels)]
            yield sample_lines(at[start:stop][here], values, stream.times[start:stop][here], "\t", MISSING)

    write_tsv_gz(path, blocks())


def _about(stream: RecordingStream, at: FloatArray, columns: list[str], kind: str) -> dict[str, Any]:
    info = stream.info
    rate_hz = info.rate_hz or _measured_hz(at)
    return {
        "SamplingFrequency": rate_hz,
        "StartTime": round(float(at[0]), 6) + 0.0 if len(at) else 0.0,
        "Columns": columns,
        "PhysioType": kind,
        "Description": f"LSL stream {info.name!r} of type {info.type!r}; samples are as they were sent.",
        "SamplingFrequencyEffective": round(_measured_hz(at), 4),
        "timestamp": TIMESTAMP,
        "sender_time": SENDER,
    }


def _measured_hz(at: FloatArray) -> float:
    steps_s = np.diff(at)
    steps_s = steps_s[steps_s > 0]
    return float(1 / np.median(steps_s)) if len(steps_s) else 1.0


def _column_names(stream: RecordingStream, channels: Sequence[int]) -> list[str]:
    """Labels that a column can have, each once."""
    names: list[str] = []
    for channel in channels:
        plain = (
            re.sub(r"[^A-Za-z0-9_]+", "_", stream.info.labels[channel]).strip("_") or f"channel_{channel}"
        )
        reserved = ("timestamp", "sender_time", "x_coordinate", "y_coordinate", "pupil_size", *names)
        names.append(plain if plain not in reserved else f"{plain}_{channel}")
    return names


def _eye_columns(stream: RecordingStream, eye: Eye, columns: Sequence[str]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, channel in zip(columns, eye.channels, strict=True):
        label = stream.info.labels[channel]
        if channel in (eye.x, eye.y):
            unit, meaning = gaze_unit(stream.info, channel)
            made[name] = {"Description": f"Channel {label!r}: {meaning}.", "Units": unit}
        elif name == "pupil_size":
            size = "area" if "area" in label.casefold() else "diameter"
            made[name] = {
                "Description": f"Pupil {size}, channel {label!r}.",
                "Units": _unit(stream, channel),
            }
        else:
            made[name] = _channel(stream, channel)
    return made


def _channel(stream: RecordingStream, channel: int) -> dict[str, str]:
    label = stream.info.labels[channel]
    return {"Description": f"Channel {label!r}, as it was sent.", "Units": _unit(stream, channel)}


def _unit(stream: RecordingStream, channel: int) -> str:
    unit = unit_of(stream, channel)
    return {UNKNOWN_UNIT: "arbitrary", "normalized": "arbitrary", "°": "degree"}.get(unit, unit)


def _write_eye_events(path: Path, stream: RecordingStream, eye: Eye, axis: TimeAxis) -> None:
    """Where the eye was not seen, and where samples are missing; no file where neither occurs."""
    rows = [(float(at[0]), float(at[1] - at[0]), "gap", "no samples") for at in _gaps(stream, axis)]
    rows += [(at, lasts, "lost", "no gaze") for at, lasts in _lost(stream, eye, axis)]
    if not rows:
        return
    rows.sort()
    write_tsv_gz(
        path, ["\t".join([seconds(row[0]), seconds(max(row[1], 0.0)), *row[2:]]) + "\n" for row in rows]
    )
    about = {
        "Columns": ["onset", "duration", "trial_type", "message"],
        "OnsetSource": "timestamp",
        "Description": "Found in the samples: no device's own events were received.",
        "onset": {"Description": "On the clock of the column timestamp.", "Units": "s"},
        "duration": {"Description": "How long it lasts.", "Units": "s"},
        "trial_type": {
            "Description": "What it is.",
            "Levels": {"lost": "gaze is no number", "gap": "stamps leave the sampling interval"},
        },
        "message": {"Description": "The same in words."},
    }
    write_json(path.parent / path.name.replace(".tsv.gz", ".json"), about)


def _gaps(stream: RecordingStream, axis: TimeAxis) -> FloatArray:
    return np.column_stack([axis.at(stream.gaps[:, 0]), axis.at(stream.gaps[:, 1])])


def _lost(stream: RecordingStream, eye: Eye, axis: TimeAxis) -> list[tuple[float, float]]:
    """Onset and length, s, of each run of samples without gaze."""
    lost = np.zeros(stream.n_samples, bool)
    for start, stop in row_blocks(stream.n_samples):
        gaze = stream.read(start, stop)[:, [eye.x, eye.y]].astype(np.float64)
        lost[start:stop] = ~np.isfinite(gaze).all(axis=1)
    known = np.isfinite(stream.times_s)
    at, lost = axis.at(stream.times_s[known]), lost[known]
    edges = np.diff(np.concatenate([[0], lost.astype(np.int8), [0]]))
    begins, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    after = np.minimum(ends, len(at) - 1)
    return [
        (float(at[first]), float(at[last] - at[first])) for first, last in zip(begins, after, strict=True)
    ]
