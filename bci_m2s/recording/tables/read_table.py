"""A table of samples as streams and markers.

- Stamps are those of the column of time, in s. Unix time counts from the whole second in which the table
  begins, and the recording knows which that is (``Recording.unix_s``).
- Channels are grouped by type, as in EDF; a stream is regular where its stamps are, at the measured rate.
- A column of markers or labels gives a marker where its cell changes to something, which lasts until it
  changes again. In a table without channels each row is a marker.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import tzinfo
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bci_m2s.errors import RecordingError
from bci_m2s.recording.file_settings import FileSettings, find_zone
from bci_m2s.recording.recorded import RecordedStream, Recording
from bci_m2s.recording.tables.columns import Channel, Columns, sort_columns
from bci_m2s.recording.tables.marker_cells import MarkerCells
from bci_m2s.recording.tables.parquet_rows import ParquetRows
from bci_m2s.recording.tables.rows import Rows
from bci_m2s.recording.tables.text_rows import TextRows
from bci_m2s.recording.tables.times import (
    FACTORS,
    ISO,
    TimeColumn,
    find_time,
    is_unix,
    iso_seconds,
    regular_rate_hz,
    unit_by_size,
)
from bci_m2s.types import FloatArray, StreamInfo

MOST_ROWS = 200_000_000
LIKELY_MS = 1.5  # s between samples: more than that is rather milliseconds


class _Scanned(NamedTuple):
    """What one pass read of a table: of each block its place and first row, all times, and the markers."""

    blocks: list[Any]
    starts: NDArray[np.intp]
    times: FloatArray
    is_dated: bool
    cells: MarkerCells


def read_table(path: Path, settings: FileSettings | None = None) -> Recording:
    """Open a table. Raises RecordingError for one without a column of time, without rows, or damaged."""
    settings = settings or FileSettings()
    rows: Rows = ParquetRows(path) if path.suffix.lower() == ".parquet" else TextRows(path)
    has_time = bool(settings.time) or settings.rate_hz is None
    time = find_time(path, rows.names, rows.head, settings) if has_time else None
    columns = sort_columns(path, rows.names, rows.head, time, settings)
    if not columns.channels and (columns.marker < 0 or time is None):
        raise RecordingError(f"{path}: beside the time no column holds numbers or markers")
    notes: list[str] = []
    if columns.left_out:
        notes.append(f"columns without numbers, not read: {', '.join(columns.left_out[:8])}")
    zone = find_zone(settings.timezone) if settings.timezone else None
    scanned = _scan(path, rows, columns, zone)
    times, unix_s = _seconds(scanned, time, settings, notes)
    finite = np.isfinite(times)
    known = None if finite.all() else np.flatnonzero(finite)
    if known is not None:
        notes.append(f"{len(times) - len(known)} rows have no time; left out")
    if not finite.any():
        raise RecordingError(f"{path}: no row has a time")
    streams = _signals(path, rows, columns, scanned, times, known, settings)
    if columns.marker >= 0:
        streams.append(scanned.cells.stream(f"{path.stem} markers", times))
    rate_hz = streams[0].info.rate_hz
    if math.isnan(unix_s) and rate_hz and 1 / rate_hz > LIKELY_MS:
        notes.append(f"samples are {1 / rate_hz:.4g} s apart; if times are ms, data.files: time_unit: ms")
    return Recording(path, tuple(streams), notes, unix_s=unix_s)


def _scan(path: Path, rows: Rows, columns: Columns, zone: tzinfo | None) -> _Scanned:
    """One pass over the table: times, markers and durations."""
    blocks, starts, n_rows, dated = list[Any](), list[int](), 0, True
    times: list[FloatArray] = [np.empty(0)]
    cells = MarkerCells(columns)
    for block in rows.blocks():
        if columns.time is None:
            count = len(rows.numbers(block, [columns.channels[0].place]))
            made = np.arange(n_rows, n_rows + count, dtype=np.float64)
        elif columns.time.unit == ISO:
            made, zoned = iso_seconds(rows.texts(block, columns.time.place), zone)
            dated = dated and zoned
        else:
            made = rows.numbers(block, [columns.time.place])[:, 0]
        blocks.append(block)
        starts.append(n_rows)
        times.append(made)
        n_rows += len(made)
        if n_rows > MOST_ROWS:
            raise RecordingError(f"{path}: more than {MOST_ROWS} rows")
        cells.take(rows, block, len(made))
    return _Scanned(blocks, np.array(starts, np.intp), _concatenated(times, n_rows), dated, cells)


def _concatenated(parts: list[FloatArray], n: int) -> FloatArray:
    """Arrays of n numbers together as one; the list is emptied, so that no two of each are in memory."""
    whole, at = np.empty(n), n
    while parts:
        part = parts.pop()
        at -= len(part)
        whole[at : at + len(part)] = part
    return whole


def _seconds(
    scanned: _Scanned, time: TimeColumn | None, settings: FileSettings, notes: list[str]
) -> tuple[FloatArray, float]:
    """Stamps in s, and the Unix time of stamp 0, NaN where the table does not say it."""
    if time is None:
        return scanned.times / (settings.rate_hz or 1.0), math.nan
    times = scanned.times
    unit = time.unit or unit_by_size(times)
    times *= FACTORS.get(unit, 1.0)
    if not is_unix(times):
        return times, math.nan
    if not scanned.is_dated:
        notes.append("its times state no time zone: of no known date; `timezone:` in data.files says it")
        return times, math.nan  # as they are: other tables of the session may have the same
    begin_s = float(np.floor(np.nanmin(times)))
    times -= begin_s
    return times, begin_s


def _signals(
    path: Path,
    rows: Rows,
    columns: Columns,
    scanned: _Scanned,
    times: FloatArray,
    known: NDArray[np.intp] | None,
    settings: FileSettings,
) -> list[RecordedStream]:
    if not columns.channels:
        return []
    rate_hz = settings.rate_hz if columns.time is None else None
    stamps = times if known is None else times[known]
    rate_hz = regular_rate_hz(stamps) if rate_hz is None else rate_hz
    read = _reader(rows, columns.channels, scanned)
    streams = []
    for kind in dict.fromkeys(channel.type for channel in columns.channels):
        picks = [place for place, channel in enumerate(columns.channels) if channel.type == kind]
        info = StreamInfo(
            path.stem,
            kind,
            rate_hz=rate_hz,
            labels=tuple(columns.channels[pick].label for pick in picks),
            units=tuple(columns.channels[pick].unit for pick in picks),
        )
        streams.append(RecordedStream(info, stamps, _picked(read, picks, known, len(stamps))))
    return streams


def _reader(
    rows: Rows, channels: tuple[Channel, ...], scanned: _Scanned
) -> Callable[[int, int], NDArray[np.float32]]:
    """A reader of rows that keeps the last block; blocks of one file are read one at a time."""
    places, lock = [channel.place for channel in channels], Lock()
    lengths = np.diff([*scanned.starts, len(scanned.times)])
    kept_number, kept = -1, np.empty((0, len(places)), np.float32)

    def block(number: int) -> NDArray[np.float32]:
        nonlocal kept_number, kept
        if number != kept_number:
            with np.errstate(over="ignore"):  # beyond float32 is no signal: infinite, so missing
                kept = rows.numbers(scanned.blocks[number], places).astype(np.float32)
            kept_number = number
            if len(kept) != lengths[number]:
                raise RecordingError(f"{rows.path}: changed since it was opened")
        return kept

    def read(start: int, stop: int) -> NDArray[np.float32]:
        with lock:
            parts = [np.empty((0, len(places)), np.float32)]
            number = int(np.searchsorted(scanned.starts, start, side="right")) - 1
            while start < stop:
                first = int(scanned.starts[number])
                part = block(number)[start - first : stop - first]
                parts.append(part)
                start, number = start + len(part), number + 1
            return np.concatenate(parts)

    return read


def _picked(
    read: Callable[[int, int], NDArray[np.float32]],
    picks: list[int],
    known: NDArray[np.intp] | None,
    n: int,
) -> Callable[[int, int], NDArray[np.float32]]:
    """A reader of some channels, of the n rows that have a time; known : which, None for all of them"""

    def read_picked(start: int, stop: int) -> NDArray[np.float32]:
        stop = min(stop, n)
        if start >= stop:
            return read(0, 0)[:, picks]
        if known is None:
            return read(start, stop)[:, picks]
        first = int(known[start])
        return read(first, int(known[stop - 1]) + 1)[known[start:stop] - first][:, picks]

    return read_picked
