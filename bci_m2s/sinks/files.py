"""``estimates.csv``, one row per estimate, one column per fact, and ``events.jsonl``, one event per line.

In the table a field is empty where there is nothing (NA). With several heads a due window makes several
rows, and the classes of all heads have their columns; a row fills those of its own head.
"""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import Any

from bci_m2s.files.append_file import AppendFile
from bci_m2s.lsl.description import SessionDescription
from bci_m2s.lsl.formats import event_line
from bci_m2s.sinks import Sink
from bci_m2s.types import Estimate, Event, Published

COLUMNS = (
    "index",
    "modality",
    "head",
    "status",
    "reason",
    "filled",
    "drift",
    "label",
    "confidence",
    "window_start_s",
    "window_end_s",
    "first_sample",
    "last_sample",
    "local_s",
    "wall_s",
    "age_ms",
    "transport_ms",
    "features_ms",
    "inference_ms",
    "publish_ms",
)


class _LineSink(Sink):
    """A file that grows line by line; each is handed to the operating system at once."""

    kind = "file"

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: AppendFile | None = None

    @property
    def problem(self) -> str:
        """Why lines cannot be written, "" when they can; stands after ``close`` when some are missing."""
        return self._file.problem if self._file else ""

    def open(self) -> None:
        """Create the file. Raises OutputError."""
        self._file = AppendFile(self.path)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _append(self, line: str) -> None:
        assert self._file is not None
        self._file.append(line.encode("utf-8", "replace"))
        self._file.flush()


class EventSink(_LineSink):
    """Appends events, with both clocks; `local_s` is null where the session is not live."""

    def __init__(self, folder: Path, session: SessionDescription) -> None:
        del session
        super().__init__(folder / "events.jsonl")

    def take(self, item: Published) -> None:
        """Append one line per event."""
        if isinstance(item, Event):
            self._append(event_line(item) + "\n")


class TableSink(_LineSink):
    """Writes the table. Window times are in the sender's clock, `local_s` in the LSL clock."""

    def __init__(self, folder: Path, session: SessionDescription) -> None:
        super().__init__(folder / "estimates.csv")
        self._heads = session.heads
        self._classes = list(dict.fromkeys(name for classes in self._heads.values() for name in classes))
        self._rows = 0

    def open(self) -> None:
        """Create the file with its header. Raises OutputError."""
        super().open()
        self._write([*COLUMNS[:9], *(f"p_{name}" for name in self._classes), *COLUMNS[9:]])

    def take(self, item: Published) -> None:
        """Append one row per estimate."""
        if not isinstance(item, Estimate):
            return
        stamps, classes = item.stamps, self._heads[item.head]
        shares = dict(zip(classes, map(float, item.probabilities), strict=True))
        self._write(
            [
                self._rows,
                item.modality,
                item.head,
                item.status.name.lower(),
                item.reason,
                item.filled,
                _number(item.drift, 4),
                item.label(classes),
                _number(item.confidence),
                *(_number(shares.get(name, math.nan)) for name in self._classes),
                _number(item.start_s),
                _number(item.end_s),
                item.first_index,
                item.last_index,
                _number(stamps.published_s),
                _number(stamps.wall_s),
                *(_number(1e3 * spent_s, 3) for spent_s in (stamps.age_s, *stamps.stages_s)),
            ]
        )
        self._rows += 1

    def _write(self, row: list[Any]) -> None:
        line = io.StringIO(newline="")
        csv.writer(line).writerow(row)
        self._append(line.getvalue())


def _number(value: float, digits: int | None = None) -> str:
    """Shortest text that reads back to the same float, or rounded; "" for NaN."""
    if math.isnan(value):
        return ""
    return repr(value) if digits is None else f"{value:.{digits}f}"
