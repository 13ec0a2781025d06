"""Exports of the Empatica E4 as they come: a folder or a zip of ACC.csv, BVP.csv, EDA.csv, HR.csv, IBI.csv,
TEMP.csv and tags.csv, or these files with the person before their names.

The first line of each is when it begins, in Unix time, the second its sampling rate. In IBI.csv the second
column is the interval, the first when it ended, s from the beginning; tags.csv has the Unix time of each
press of the button (info.txt in each export). Skin conductance and temperature, both of 4 Hz, are one
stream of type ``Peripheral``, so that one modality can have both.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bci_m2s.errors import RecordingError
from bci_m2s.recording.e4_files import IBI, MEMBERS, SENSORS, TAGS, members
from bci_m2s.recording.recorded import RecordedStream, Recording
from bci_m2s.text import is_number, printable
from bci_m2s.types import MARKER_TYPE, FloatArray, StreamInfo

LARGEST_BYTES = 500_000_000  # of one file, unpacked
MOST_MEMBERS = 1000
PER_G = 64.0  # counts of ACC.csv
ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError)
TAG = "tag"  # text of a press of the button


class Signal(NamedTuple):
    """What a file of an export holds."""

    type: str
    labels: tuple[str, ...]
    unit: str
    factor: float = 1.0


SIGNALS = {
    "EDA.csv": Signal("Peripheral", ("EDA",), "microsiemens"),
    "TEMP.csv": Signal("Peripheral", ("TEMP",), "celsius"),
    "BVP.csv": Signal("PPG", ("BVP",), ""),
    "ACC.csv": Signal("ACC", ("acc_x", "acc_y", "acc_z"), "g", 1 / PER_G),
    "HR.csv": Signal("HR", ("HR",), "bpm"),
}
assert tuple(SIGNALS) == SENSORS


def read_e4(path: Path) -> Recording:
    """Read an export. Raises RecordingError for a zip that is none, and for a damaged one."""
    files = dict(_contents(path))
    notes: list[str] = []
    signals = {name: _signal(path, name, files[name]) for name in SIGNALS if files.get(name, b"").strip()}
    signals = {name: made for name, made in signals.items() if len(made.values)}
    if not signals:
        raise RecordingError(
            f"{path}: no export of an Empatica E4: none of {', '.join(SIGNALS)} with samples"
        )
    unix_s = float(np.floor(min(made.begin_s for made in signals.values())))
    streams = [_stream(path, made, unix_s) for made in _joined(signals)]
    streams += list(_intervals(path, files.get(IBI, b""), unix_s))
    streams += list(_tags(path, files.get(TAGS, b""), unix_s))
    absent = [name for name in MEMBERS if name not in files]
    if absent:
        notes.append(f"not in it: {', '.join(absent)}")
    return Recording(path, tuple(streams), notes, unix_s=unix_s)


class _Made(NamedTuple):
    signal: Signal
    units: tuple[str, ...]
    begin_s: float
    rate_hz: float
    values: NDArray[np.float32]


def _contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file of an export; nothing is unpacked to the disk."""
    if path.suffix.lower() != ".zip":
        for name, file in members(path):
            if file.stat().st_size > LARGEST_BYTES:
                raise RecordingError(f"{file}: larger than {LARGEST_BYTES // 1_000_000} MB")
            yield name, file.read_bytes()
        return
    try:
        with zipfile.ZipFile(path) as archive:
            packed_files = archive.infolist()
            if len(packed_files) > MOST_MEMBERS:
                raise RecordingError(f"{path}: {len(packed_files)} files, expected at most {MOST_MEMBERS}")
            for member in packed_files:
                name = PurePosixPath(member.filename).name
                if name not in MEMBERS or "__MACOSX" in member.filename:
                    continue
                with archive.open(member) as packed:  # what its directory says of the size may be a lie
                    content = packed.read(LARGEST_BYTES + 1)
                if len(content) > LARGEST_BYTES:
                    raise RecordingError(f"{path}: {name} is larger than {LARGEST_BYTES // 1_000_000} MB")
                yield name, content
    except ZIP_ERRORS as problem:
        raise RecordingError(f"{path}: cannot be read: {printable(problem, 300)}") from None


def _signal(path: Path, name: str, content: bytes) -> _Made:
    signal = SIGNALS[name]
    try:
        rows = np.loadtxt(io.BytesIO(content), delimiter=",", ndmin=2, comments=None)
    except ValueError as problem:
        raise RecordingError(f"{path}: {name}: cannot be read: {printable(problem, 200)}") from None
    if rows.shape[1] != len(signal.labels) or len(rows) < 2:
        raise RecordingError(f"{path}: {name}: {rows.shape[1]} columns, expected {len(signal.labels)}")
    begin_s, rate_hz = float(rows[0, 0]), float(rows[1, 0])
    if not 0 < rate_hz <= 1000 or not 0 < begin_s < 1e10:
        got = f"begins at {begin_s:g}, {rate_hz:g} Hz"
        raise RecordingError(f"{path}: {name}: {got}; expected a Unix time and a rate to 1000 Hz")
    units = (signal.unit,) * len(signal.labels)
    return _Made(signal, units, begin_s, rate_hz, (rows[2:] * signal.factor).astype(np.float32))


def _joined(signals: dict[str, _Made]) -> Iterator[_Made]:
    """Skin conductance and temperature as one where they begin together at one rate."""
    skin, warmth = signals.get("EDA.csv"), signals.get("TEMP.csv")
    together = skin is not None and warmth is not None and skin[2:4] == warmth[2:4]
    if skin is not None and warmth is not None and together:
        n = min(len(skin.values), len(warmth.values))
        both = Signal("Peripheral", skin.signal.labels + warmth.signal.labels, "")
        values = np.concatenate([skin.values[:n], warmth.values[:n]], axis=1)
        yield _Made(both, skin.units + warmth.units, skin.begin_s, skin.rate_hz, values)
    for name, made in signals.items():
        if not (together and name in ("EDA.csv", "TEMP.csv")):
            yield made


def _stream(path: Path, made: _Made, unix_s: float) -> RecordedStream:
    info = StreamInfo(
        f"{path.stem} {made.signal.type}" if path.suffix.lower() == ".zip" else f"E4 {made.signal.type}",
        made.signal.type,
        rate_hz=made.rate_hz,
        labels=made.signal.labels,
        units=made.units,
    )
    times: FloatArray = made.begin_s - unix_s + np.arange(len(made.values)) / made.rate_hz
    values = made.values
    values.setflags(write=False)
    return RecordedStream(info, times, lambda start, stop: values[start:stop])


def _intervals(path: Path, content: bytes, unix_s: float) -> Iterator[RecordedStream]:
    """Intervals between beats, stamped with the second beat."""
    lines = [line.split(",") for line in content.decode("latin-1").splitlines() if line.strip()]
    if len(lines) < 2:
        return
    if not is_number(lines[0][0]):
        raise RecordingError(f"{path}: {IBI}: its first line does not say when it begins")
    rows = [line for line in lines[1:] if len(line) == 2 and all(map(is_number, line))]
    begin_s = float(lines[0][0])
    times = np.array([begin_s - unix_s + float(row[0]) for row in rows])
    values = np.array([[float(row[1])] for row in rows], dtype=np.float32).reshape(-1, 1)
    values.setflags(write=False)
    info = StreamInfo("E4 IBI", "IBI", labels=("IBI",), units=("seconds",))
    yield RecordedStream(info, times, lambda start, stop: values[start:stop])


def _tags(path: Path, content: bytes, unix_s: float) -> Iterator[RecordedStream]:
    lines = [line.strip() for line in content.decode("latin-1").splitlines() if line.strip()]
    if not lines:
        return
    if not all(map(is_number, lines)):
        raise RecordingError(f"{path}: {TAGS}: expected the Unix time of each press of the button")
    times = np.sort(np.array(lines, dtype=np.float64) - unix_s)
    texts = np.full((len(times), 1), TAG, dtype=object)
    info = StreamInfo("E4 tags", MARKER_TYPE, labels=("marker",), units=("",), channel_format="string")
    yield RecordedStream(info, times, lambda start, stop: texts[start:stop])
