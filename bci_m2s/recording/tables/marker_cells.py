"""Markers of a table: cells of one column, of which only those that change something are kept."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bci_m2s.recording.recorded import RecordedStream
from bci_m2s.recording.tables.columns import NOTHING, Columns
from bci_m2s.recording.tables.rows import Rows
from bci_m2s.text import is_number
from bci_m2s.types import MARKER_TYPE, FloatArray, StreamInfo


class MarkerCells:
    """The column of markers, block by block.

    In a table with channels a marker is where the cell changes to something, and lasts until it changes
    again. In one without, each row is a marker, which lasts as long as a column of durations says.
    """

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._rows: list[int] = []
        self._texts: list[str] = []
        self._durations: list[FloatArray] = []
        self._before = self._cell = ""  # the newest text, and the cell as it is written
        self._n_rows = 0

    def take(self, rows: Rows, block: Any, n_rows: int) -> None:
        """Take the next block of a table, of so many rows."""
        columns = self._columns
        begin, self._n_rows = self._n_rows, self._n_rows + n_rows
        if columns.marker < 0:
            return
        for row, cell in enumerate(rows.texts(block, columns.marker), begin):
            if columns.channels and cell == self._cell:
                continue
            self._cell = cell
            text = marker_text(cell, columns.zero_is_none)
            if text != self._before or not columns.channels:
                self._rows.append(row)
                self._texts.append(text)
            self._before = text
        if not columns.channels and columns.duration >= 0:
            self._durations.append(rows.numbers(block, [columns.duration])[:, 0])

    def stream(self, name: str, times: FloatArray) -> RecordedStream:
        """The markers. times : (rows,) of the table, s, NaN where a row has none"""
        at = times[self._rows]
        if not self._columns.channels:
            lasting = np.concatenate(self._durations) if self._durations else np.full(len(at), np.nan)
        else:
            steps = np.diff(times[np.isfinite(times)])
            end_s = np.nanmax(times) + (float(np.median(steps)) if len(steps) else 0.0)
            lasting = np.append(at[1:], end_s) - at if len(at) else np.empty(0)
        spoken = [place for place, text in enumerate(self._texts) if text and np.isfinite(at[place])]
        texts = np.array([self._texts[place] for place in spoken], dtype=object).reshape(-1, 1)
        texts.setflags(write=False)
        info = StreamInfo(name, MARKER_TYPE, labels=("marker",), units=("",), channel_format="string")
        return RecordedStream(
            info, at[spoken], lambda start, stop: texts[start:stop], durations_s=lasting[spoken]
        )


def marker_text(cell: str, zero_is_none: bool) -> str:
    """A marker's text: numbers in one spelling, "" for none."""
    if cell.casefold() in NOTHING:
        return ""
    if not is_number(cell):
        return cell
    number = float(cell)
    if not math.isfinite(number) or (zero_is_none and not number):
        return ""
    return f"{number:.15g}"
