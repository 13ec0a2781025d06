"""``estimates.csv``: one row per estimate, one column per fact, empty where there is none (NA).

With several heads a due window makes several rows, and the classes of all heads have their columns; a row
fills those of its own head.
"""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import Any

from bci_m2s.files.append_file import AppendFile
from bci_m2s.lsl.description import SessionDescription
from bci_m2s.types import Estimate, Published

COLUMNS = (
    "index",
    "modality",
    "head",
    "status",
    "reason",
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


class TableSink:
    """Writes the table. Window times are in the sender's clock, `local_s` in the LSL clock."""

    kind = "file"

    def __init__(self, folder: Path, session: SessionDescription) -> None:
        self.path = folder / "estimates.csv"
        self._heads = session.heads
        self._classes = list(dict.fromkeys(name for classes in self._heads.values() for name in classes))
        self._file: AppendFile | None = None
        self._rows = 0

    @property
    def problem(self) -> str:
        """Why rows cannot be written, "" when they can."""
        return self._file.problem if self._file else ""

    def open(self) -> None:
        """Create the file with its header. Raises OutputError."""
        self._file = AppendFile(self.path)
        self._write([*COLUMNS[:7], *(f"p_{name}" for name in self._classes), *COLUMNS[7:]])

    def take(self, item: Published) -> None:
        """Append one row per estimate and hand it to the operating system."""
        if isinstance(item, Estimate):
            self._append(item)

    def _append(self, estimate: Estimate) -> None:
        stamps = estimate.stamps
        classes = self._heads[estimate.head]
        shares = dict(zip(classes, map(float, estimate.probabilities), strict=True))
        self._write(
            [
                self._rows,
                estimate.modality,
                estimate.head,
                estimate.status.name.lower(),
                estimate.reason,
                estimate.label(classes),
                _number(estimate.confidence),
                *(_number(shares.get(name, math.nan)) for name in self._classes),
                _number(estimate.start_s),
                _number(estimate.end_s),
                estimate.first_index,
                estimate.last_index,
                _number(stamps.published_s),
                _number(stamps.wall_s),
                _number(1e3 * stamps.age_s, 3),
                _number(1e3 * (stamps.received_s - stamps.last_sample_s), 3),
                _number(1e3 * (stamps.features_s - stamps.received_s), 3),
                _number(1e3 * (stamps.inferred_s - stamps.features_s), 3),
                _number(1e3 * (stamps.published_s - stamps.inferred_s), 3),
            ]
        )
        self._rows += 1

    def _write(self, row: list[Any]) -> None:
        assert self._file is not None
        line = io.StringIO(newline="")
        csv.writer(line).writerow(row)
        self._file.append(line.getvalue().encode("utf-8", "replace"))
        self._file.flush()

    def close(self) -> None:
        """Close the file; ``problem`` stands when rows are missing from it."""
        if self._file is not None:
            self._file.close()


def _number(value: float, digits: int | None = None) -> str:
    """Shortest text that reads back to the same float, or rounded; "" for NaN."""
    if math.isnan(value):
        return ""
    return repr(value) if digits is None else f"{value:.{digits}f}"
