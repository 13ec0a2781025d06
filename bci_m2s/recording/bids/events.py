"""``events.tsv``: what happened in a recording, when, and for how long."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bci_m2s.errors import RecordingError
from bci_m2s.recording.bids.files import NOT_STATED, Texts, beside, read_texts
from bci_m2s.types import FloatArray

TEXTS = ("trial_type", "value")  # a marker's text is the first of them that is stated
NO_TEXT = "n/a"


@dataclass(frozen=True)
class Events:
    """Events in the order of time.

    path : of the table; onsets_s : (n,) s from the recording's first sample
    durations_s : (n,) NaN where not stated; texts : (n,) of the markers
    columns : (n,) by column, as written
    """

    path: Path
    onsets_s: FloatArray
    durations_s: FloatArray
    texts: NDArray[np.object_]
    columns: dict[str, NDArray[np.object_]]


def find_events(path: Path, notes: list[str]) -> Events | None:
    """The events of a recording; None where it has no table of them, or one that says of none when it was.

    path : of the recording; notes : takes what is odd about the table
    """
    tables = beside(path, "events.tsv")
    if not tables:
        return None
    try:
        return read_events(tables[-1], notes)
    except RecordingError as problem:
        notes.append(f"{problem}; not used")
        return None


def read_events(path: Path, notes: list[str]) -> Events:
    """Read a table of events. Raises RecordingError for one without a column `onset`."""
    table = read_texts(path)
    if "onset" not in table:
        raise RecordingError(f"{path}: no column 'onset'; it has {', '.join(map(repr, table))}")
    onsets_s = _seconds(table["onset"])
    known = np.flatnonzero(np.isfinite(onsets_s))
    if len(known) < len(onsets_s):
        notes.append(f"{path.name}: {len(onsets_s) - len(known)} events have no onset; left out")
    if not any(name in table for name in TEXTS):
        others = ", ".join(repr(name) for name in table if name not in ("onset", "duration"))
        notes.append(
            f"{path.name}: no column 'trial_type' or 'value'; data.markers.column: one of {others}"
        )
    order = known[np.argsort(onsets_s[known], kind="stable")]
    columns = {name: np.array(cells, dtype=object)[order] for name, cells in table.items()}
    durations_s = _seconds(table["duration"])[order] if "duration" in table else np.full(len(order), np.nan)
    texts = np.array([_text(table, row) for row in order], dtype=object)
    return Events(path, onsets_s[order], durations_s, texts, columns)


def _text(table: Texts, row: int) -> str:
    stated = (table[name][row] for name in TEXTS if name in table)
    return next((text for text in stated if text not in NOT_STATED), NO_TEXT)


def _seconds(cells: list[str]) -> FloatArray:
    """Numbers, NaN for whatever is none."""
    numbers = np.full(len(cells), np.nan)
    for place, cell in enumerate(cells):
        try:
            value = float(cell)
        except ValueError:
            continue
        numbers[place] = value if math.isfinite(value) else math.nan
    return numbers
