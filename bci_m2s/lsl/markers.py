"""Markers in all the shapes that senders give them: texts, codes, several channels, levels at a rate."""

from __future__ import annotations

from typing import Any

import numpy as np

from bci_m2s.types import MARKER_TYPE, BoolArray, FloatArray, StreamInfo

OWN_PREFIX = "bci_m2s-"  # of the types of streams that a session sends or records itself
LARGEST_CODE = 1e8  # a time since 1970 is larger in any unit; device codes have 24 bits at most
MARKER_TYPES = (MARKER_TYPE.casefold(), "marker", "event", "events", "trigger", "triggers", "stim")


def is_marker_stream(info: StreamInfo) -> bool:
    """Whether a stream is one of markers: by its type, or as irregular texts that are no result."""
    if info.type.casefold() in MARKER_TYPES:
        return True
    ours = info.type.startswith(OWN_PREFIX)
    return info.channel_format == "string" and info.rate_hz == 0 and not ours


class MarkerReader:
    """One stream's samples as markers; keeps what it needs of earlier samples.

    - A text is a marker as it stands; of several channels, the first that holds a letter, else all of them
      joined by blanks.
    - A number is a marker of its digits ("7", "2.5"); of several channels, the first that is not 0. One
      beyond ``LARGEST_CODE`` is a time, and counts where there is nothing else.
    - Numbers at a regular rate are levels, one a channel: a marker is where one changes to something other
      than 0; where several do at once, the first of them.
    """

    def __init__(self, info: StreamInfo) -> None:
        self._is_text = info.channel_format == "string"
        self._is_level = not self._is_text and info.rate_hz > 0
        self._levels: FloatArray = np.full(info.n_channels, np.nan)

    def take(self, times: FloatArray, samples: Any) -> list[tuple[float, str]]:
        """Stamp and text of each marker among the next samples, times (n,), samples (n, channels)."""
        if self._is_text:
            return [(float(time_s), _text(row)) for time_s, row in zip(times, samples, strict=True)]
        numbers = np.asarray(samples, dtype=np.float64)
        counts = self._level_changes(numbers) if self._is_level else _codes(numbers)
        columns = counts.argmax(axis=1) if numbers.size else np.zeros(len(numbers), np.intp)
        rows = np.arange(len(numbers))
        values = numbers[rows, columns]
        wanted = np.isfinite(values)
        if self._is_level:
            wanted &= counts.any(axis=1)
        return [(float(times[row]), f"{values[row]:.15g}") for row in rows[wanted].tolist()]

    def _level_changes(self, numbers: FloatArray) -> BoolArray:
        """Where levels, (n, channels), change to something other than 0; the newest are kept."""
        before = np.vstack([self._levels, numbers])[:-1]
        if len(numbers):
            self._levels = numbers[-1].copy()
        return (numbers != before) & (numbers != 0) & np.isfinite(numbers) & ~np.isnan(before)


def _codes(numbers: FloatArray) -> BoolArray:
    """Which numbers, (n, channels), may be a marker: not 0, and no time where there is a code beside it."""
    given = np.isfinite(numbers) & (numbers != 0)
    codes = given & (np.abs(numbers) <= LARGEST_CODE)
    return np.where(codes.any(axis=1, keepdims=True), codes, given)


def _text(row: Any) -> str:
    cells = [str(cell).strip() if len(row) > 1 else str(cell) for cell in row]
    if len(cells) == 1:
        return cells[0]
    spoken = next((cell for cell in cells if any(map(str.isalpha, cell))), "")
    return spoken or " ".join(filter(None, cells))
