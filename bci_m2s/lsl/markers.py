"""Markers in all the shapes that senders give them: texts, codes, several channels, levels at a rate."""

from __future__ import annotations

import math
from typing import Any

from bci_m2s.types import MARKER_TYPE, FloatArray, StreamInfo

OWN_PREFIX = "bci_m2s-"  # of the types of streams that a session sends or records itself
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
    - A number is a marker of its digits ("7", "2.5"); of several channels, the first counts.
    - Numbers at a regular rate are a level: a marker is where it changes to something other than 0.
    """

    def __init__(self, info: StreamInfo) -> None:
        self._is_text = info.channel_format == "string"
        self._is_level = not self._is_text and info.rate_hz > 0
        self._level = math.nan

    def take(self, times: FloatArray, samples: Any) -> list[tuple[float, str]]:
        """Stamp and text of each marker among the next samples, times (n,), samples (n, channels)."""
        if self._is_text:
            return [(float(time_s), _text(row)) for time_s, row in zip(times, samples, strict=True)]
        markers = []
        for time_s, value in zip(times.tolist(), samples[:, 0].tolist(), strict=True):
            if self._is_level:
                before, self._level = self._level, value
                if value == before or not value or math.isnan(before):
                    continue
            if math.isfinite(value):
                markers.append((time_s, f"{value:.15g}"))
        return markers


def _text(row: Any) -> str:
    cells = [str(cell).strip() if len(row) > 1 else str(cell) for cell in row]
    if len(cells) == 1:
        return cells[0]
    spoken = next((cell for cell in cells if any(map(str.isalpha, cell))), "")
    return spoken or " ".join(filter(None, cells))
