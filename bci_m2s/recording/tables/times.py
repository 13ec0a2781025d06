"""The column of time of a table: which it is, in which unit, and whether it is one of a regular rate."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bci_m2s.errors import RecordingError, nearest
from bci_m2s.recording.file_settings import FileSettings
from bci_m2s.text import is_number
from bci_m2s.types import FloatArray

FACTORS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
ISO = "iso"
UNIX_S = (3e8, 1e10)  # 1979 to 2286: what a Unix time is, in s
CLOCKS = ("", "unix", "lsl", "system", "device", "gaze", "local")
STAMPS = tuple(f"{clock}timestamp" for clock in CLOCKS)
WORDS = ("time", *STAMPS, "t", "timestamps", "datetime", "unixtime", "lsltime", "onset")
_UNIT = re.compile(r"[\s_]*[(\[_]\s*(s|sec|seconds|ms|msec|milliseconds|us|\u00b5s|\u03bcs|ns)\s*[)\]]?$")
_SAME = {"sec": "s", "seconds": "s", "msec": "ms", "milliseconds": "ms", "\u00b5s": "us", "\u03bcs": "us"}
REGULAR = 0.5  # how far nearly every step is from the usual one, as a share of it
SHARE = 0.05  # of the steps that may be further off at each end: lost samples
ROUND = 0.0005  # a measured rate that is this near to a whole one is that
MOST_JUDGED = 100_000  # stamps by which a unit or a rate is told
FEWEST = 8  # rows of which a rate can be told


class TimeColumn(NamedTuple):
    """Where the times are, and their unit: one of ``FACTORS``, ``ISO``, or "" for what their size says."""

    place: int
    unit: str


def find_time(
    path: Path, names: Sequence[str], head: Sequence[Sequence[str]], settings: FileSettings
) -> TimeColumn:
    """The column of time. Raises RecordingError where there is none, or none that is meant."""
    plain = [_plain(name) for name in names]
    if settings.time:
        if settings.time not in names:
            hint = nearest(settings.time, names)
            raise RecordingError(f"{path}: data.files.time: no column {settings.time!r}{hint}")
        place = names.index(settings.time)
    else:
        found = [plain.index(word) for word in WORDS if word in plain]
        if not found:
            listed = ", ".join(map(repr, names[:12]))
            raise RecordingError(f"{path}: no column of time; `time:` in data.files names one of {listed}")
        place = found[0]
    if settings.time_unit:
        return TimeColumn(place, settings.time_unit)
    cells = [row[place] for row in head if place < len(row) and row[place]]
    if cells and not any(map(is_number, cells)):
        return TimeColumn(place, ISO)
    stated = _UNIT.search(names[place].casefold())
    return TimeColumn(place, _SAME.get(stated[1], stated[1]) if stated else "")


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]", "", _UNIT.sub("", name.casefold()))


def iso_seconds(cells: Sequence[str], zone: tzinfo | None = None) -> tuple[FloatArray, bool]:
    """Unix time of texts such as "2026-05-04 12:30:01.5+02:00", s, NaN for whatever is none.

    Second: whether they are of a known zone; those that state none are of `zone`, else taken as UTC.
    """
    made, zoned = np.full(len(cells), np.nan), True
    for place, cell in enumerate(cells):
        try:
            moment = datetime.fromisoformat(cell)
        except ValueError:
            continue
        if moment.tzinfo is None:
            zoned = zoned and zone is not None
            moment = moment.replace(tzinfo=zone or UTC)
        made[place] = moment.timestamp()
    return made, zoned


def unit_by_size(times: FloatArray) -> str:
    """The unit of Unix times by their size; "s" for any other."""
    middle = _middle(times)
    for unit, factor in FACTORS.items():
        if UNIX_S[0] < middle * factor < UNIX_S[1]:
            return unit
    return "s"


def is_unix(times_s: FloatArray) -> bool:
    """Whether times are Unix time, by their size."""
    return UNIX_S[0] < _middle(times_s) < UNIX_S[1]


def _middle(times: FloatArray) -> float:
    """About the middle one, 0 where there is none."""
    some = _some(times)
    some = some[np.isfinite(some)]
    return float(np.median(some)) if len(some) else 0.0


def _some(values: FloatArray) -> FloatArray:
    """At most ``MOST_JUDGED`` of many values, evenly spread."""
    return values[:: len(values) // MOST_JUDGED + 1]


def regular_rate_hz(times_s: FloatArray) -> float:
    """The sampling rate of stamps that are regular but for lost samples and rounding; 0.0 of others."""
    steps = np.diff(times_s)
    if len(steps) < FEWEST:
        return 0.0
    low, usual, high = np.quantile(_some(steps), [SHARE, 0.5, 1 - SHARE])
    if not usual > 0 or low < (1 - REGULAR) * usual or high > (1 + REGULAR) * usual:
        return 0.0
    kept = (steps >= 0) & (steps < 2 * usual)
    rate_hz = int(kept.sum()) / float(steps.sum(where=kept))
    whole = round(rate_hz)
    if whole and abs(rate_hz - whole) < ROUND * whole:
        return float(whole)
    return float(f"{rate_hz:.5g}")
