"""Several files of one session as one recording, all on the clock of the first."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci_m2s.errors import RecordingError
from bci_m2s.recording.e4_files import is_export
from bci_m2s.recording.file_settings import FileSettings, settings_for
from bci_m2s.recording.recorded import TABLES, RecordedStream, Recording, open_recording

LEFT_OUT = "left out: "  # how the warning begins that a file was
AROUND_S = 120.0  # of a watch's hours, what is kept before and after the recording that it belongs to


def open_together(
    paths: Sequence[Path],
    files: Sequence[FileSettings] = (),
    open_one: Callable[[Path, Sequence[FileSettings]], Recording] = open_recording,
) -> Recording:
    """Open files that were recorded together.

    Times of the first file stay. Another file is brought to them by the dates of both; by `offset_s` where
    that is stated; tables without dates are taken as of one clock. A file that cannot be is left out with a
    warning.

    Raises RecordingError where the first file cannot be read.
    """
    first = open_one(paths[0], files)
    streams, warnings = list(first.streams), list(first.warnings)
    for path in paths[1:]:
        try:
            other = open_one(path, files)
            shift_s = _shift_s(first, other, files, warnings)
            found = [_moved(stream, shift_s) for stream in other.streams]
            _check_overlap(first, path, found)
            if is_export(path):
                found = [_around(stream, _span(first)) for stream in found]
                streams, found = _continued(streams, found)
        except RecordingError as problem:
            warnings.append(f"{LEFT_OUT}{str(problem).removeprefix(f'{path.parent}/')}")
            continue
        streams += [stream for stream in found if stream.n_samples]
        warnings += [f"{path.name}: {warning}" for warning in other.warnings]
    return replace(first, streams=tuple(streams), warnings=warnings)


def _shift_s(first: Recording, other: Recording, files: Sequence[FileSettings], notes: list[str]) -> float:
    """What is added to the other's stamps. Raises RecordingError where nothing says it."""
    stated = settings_for(other.path, files).offset_s
    if stated is not None:
        return stated
    shift_s = other.unix_s - first.unix_s
    are_tables = all(
        one.path.suffix.lower() in TABLES and not is_export(one.path) for one in (first, other)
    )
    if math.isfinite(shift_s) and are_tables:  # of one computer
        return shift_s
    if math.isfinite(shift_s):
        later = "after" if shift_s >= 0 else "before"
        notes.append(
            f"{other.path.name}: by the dates of both, its time 0 is {abs(shift_s):.3f} s {later} that of "
            f"{first.path.name}; as exact as their clocks were set"
        )
        return shift_s
    if are_tables and math.isnan(first.unix_s) and math.isnan(other.unix_s):
        return 0.0
    undated = first.path if math.isnan(first.unix_s) else other.path
    raise RecordingError(
        f"{other.path}: cannot be laid beside {first.path.name}: {undated.name} has no date in a known "
        "time zone; data.files: `timezone` (EDF, BrainVision) or `offset_s`"
    )


def _moved(stream: RecordedStream, shift_s: float) -> RecordedStream:
    return replace(stream, times=stream.times + shift_s) if shift_s else stream


def _span(recording: Recording) -> tuple[float, float]:
    """When the samples of a recording begin and end, s."""
    found = [stream for stream in recording.streams if stream.n_samples]
    times = [stream.times[[0, -1]] + stream.offsets_s()[[0, -1]] for stream in found]
    return (float(np.nanmin(times)), float(np.nanmax(times))) if times else (math.nan, math.nan)


def _around(stream: RecordedStream, span: tuple[float, float]) -> RecordedStream:
    """What lies in or near a span."""
    begin = int(np.searchsorted(stream.times, span[0] - AROUND_S))
    end = int(np.searchsorted(stream.times, span[1] + AROUND_S))
    return replace(stream, times=stream.times[begin:end], read=_later(stream.read, begin))


def _later(read: Callable[[int, int], NDArray[Any]], begin: int) -> Callable[[int, int], NDArray[Any]]:
    return lambda start, stop: read(begin + start, begin + stop)


def _continued(
    streams: list[RecordedStream], found: list[RecordedStream]
) -> tuple[list[RecordedStream], list[RecordedStream]]:
    """Streams, of which some go on with those found, and those found that go on with none.

    A watch writes a file each half an hour.
    """
    rest = []
    for later in (stream for stream in found if stream.n_samples):
        before = [place for place, one in enumerate(streams) if _goes_on(one, later)]
        if before:
            streams[before[-1]] = _joined(streams[before[-1]], later)
        else:
            rest.append(later)
    return streams, rest


def _goes_on(one: RecordedStream, later: RecordedStream) -> bool:
    return one.info == later.info and bool(one.n_samples) and bool(one.times[-1] < later.times[0])


def _joined(one: RecordedStream, later: RecordedStream) -> RecordedStream:
    n = one.n_samples

    def read(start: int, stop: int) -> NDArray[Any]:
        parts = [one.read(start, min(stop, n)) if start < n else one.read(0, 0)]
        parts += [later.read(max(start - n, 0), stop - n)] if stop > n else []
        return np.concatenate(parts)

    return replace(one, times=np.concatenate([one.times, later.times]), read=read)


def _check_overlap(first: Recording, path: Path, streams: Sequence[RecordedStream]) -> None:
    begin_s, end_s = _span(first)
    times = [stream.times[[0, -1]] for stream in streams if stream.n_samples]
    if not times or np.max(times) < begin_s or np.min(times) > end_s:
        raise RecordingError(
            f"{path}: no sample of it lies within {first.path.name}; data.files: `timezone` or `offset_s`"
        )
