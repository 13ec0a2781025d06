"""Tables of events as BIDS derivatives have them: gzipped, tab-separated, names above the numbers."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bci_m2s.errors import RecordingError
from bci_m2s.text import is_number, printable, quoted
from bci_m2s.types import FloatArray

LARGEST_BYTES = 50_000_000  # of a table, unpacked
EARLIEST_S = -1.0  # an event may have begun just before its recording
EMPTY = ("", "n/a")
DAMAGED = (OSError, EOFError, zlib.error, UnicodeDecodeError)


def read_events(path: Path, columns: Sequence[str], last_s: float) -> FloatArray:
    """The columns of a table, in order of its first one, which is a time; the second too where it ends so.

    Parameters
    ----------
    columns : names, the first "…time" or "timestamp"
    last_s : latest time that is possible, s

    Returns
    -------
    (n, len(columns)), NaN where a cell is empty

    Raises
    ------
    RecordingError
        With the file, line and column, what is there and what was expected.
    """
    lines = _lines(path)
    names = lines[0].split("\t") if lines else []
    for column in columns:
        if names.count(column) != 1:
            got = quoted(", ".join(names), 120)
            raise RecordingError(f"{path.name}:1: got the columns {got}, expected {', '.join(columns)}")
    cells = [line.split("\t") for line in lines[1:]]
    for number, row in enumerate(cells, 2):
        if len(row) != len(names):
            raise RecordingError(f"{path.name}:{number}: got {len(row)} cells, expected {len(names)}")
    rows = np.full((len(cells), len(columns)), np.nan)
    for index, column in enumerate(columns):
        at = names.index(column)
        rows[:, index] = _numbers(path, column, [row[at] for row in cells])
    _check_times(path, rows, columns, last_s)
    rows[np.isinf(rows)] = np.nan
    return rows[np.argsort(rows[:, 0], kind="stable")]


def _numbers(path: Path, column: str, cells: list[str]) -> FloatArray:
    """The cells of a column, (n,), NaN where one is empty. Raises RecordingError."""
    try:
        return np.array(cells, dtype=np.float64)
    except ValueError:  # one is empty, or no number
        values = np.full(len(cells), np.nan)
        for number, cell in enumerate(cells):
            if is_number(cell):
                values[number] = float(cell)
            elif cell.strip() not in EMPTY:
                text = f"{column}: got {quoted(cell, 40)}, expected a number"
                raise RecordingError(f"{path.name}:{number + 2}: {text}") from None
        return values


def _check_times(path: Path, rows: FloatArray, columns: Sequence[str], last_s: float) -> None:
    """Times (n, columns) within the recording, and no event that ends before it begins."""
    times = [index for index, column in enumerate(columns) if "time" in column]
    for index in times:
        wrong = np.flatnonzero(~((rows[:, index] >= EARLIEST_S) & (rows[:, index] <= last_s)))  # NaN too
        if len(wrong):
            got = f"{columns[index]}: got {rows[wrong[0], index]:g}, expected seconds up to {last_s:g}"
            raise RecordingError(f"{path.name}:{wrong[0] + 2}: {got}")
    if len(times) > 1 and len(wrong := np.flatnonzero(rows[:, 1] < rows[:, 0])):
        got, begun = rows[wrong[0], 1], rows[wrong[0], 0]
        text = f"{columns[1]}: got {got:g}, expected {columns[0]} ({begun:g}) or later"
        raise RecordingError(f"{path.name}:{wrong[0] + 2}: {text}")


def _lines(path: Path) -> list[str]:
    try:
        with gzip.open(path) as file:  # what it says of its size may be a lie
            content = file.read(LARGEST_BYTES + 1)
        if len(content) > LARGEST_BYTES:
            raise RecordingError(f"{path.name}: larger than {LARGEST_BYTES // 1_000_000} MB unpacked")
        return content.decode("utf-8").splitlines()
    except DAMAGED as problem:
        raise RecordingError(f"{path.name}: cannot be read: {printable(problem, 200)}") from None
