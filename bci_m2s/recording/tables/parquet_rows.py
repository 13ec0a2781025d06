"""The rows of a Parquet file, row group by row group, read by pyarrow where that is installed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bci_m2s.errors import RecordingError
from bci_m2s.recording.tables.text_rows import HEAD_ROWS, MOST_COLUMNS
from bci_m2s.text import is_number, printable
from bci_m2s.types import FloatArray

LARGEST_GROUP = 50_000_000  # cells


class ParquetRows:
    """A Parquet file; see ``TextRows``.

    Raises RecordingError where pyarrow is not installed, and for a file that it cannot read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            from pyarrow import parquet
        except ImportError:
            raise RecordingError(f"{path}: Parquet needs pyarrow: pip install 'bci_m2s[parquet]'") from None
        try:
            self._file = parquet.ParquetFile(path)
            self.names = tuple(str(name) for name in self._file.schema_arrow.names)
            if len(self.names) > MOST_COLUMNS:
                raise RecordingError(f"{path}: {len(self.names)} columns, expected at most {MOST_COLUMNS}")
            if len(set(self.names)) < len(self.names):
                raise RecordingError(f"{path}: two columns of one name")
            self._check_groups()
            first = next(self._file.iter_batches(batch_size=HEAD_ROWS), None)
        except RecordingError:
            raise
        except Exception as problem:  # pyarrow raises its own types, and others, on damaged files
            raise RecordingError(f"{path}: cannot be read: {printable(problem, 300)}") from None
        columns = [] if first is None else [_texts(first.column(place)) for place in range(len(self.names))]
        self.head = [list(row) for row in zip(*columns, strict=True)]

    def blocks(self) -> Iterator[int]:
        """Every row group, by number."""
        yield from range(self._file.num_row_groups)

    def numbers(self, block: int, columns: Sequence[int]) -> FloatArray:
        """Values (n, columns) of a row group, NaN where a cell holds no number."""
        table = self._read(block, columns)
        made = [_numbers(table.column(place)) for place in range(len(columns))]
        return np.stack(made, axis=1) if made else np.empty((table.num_rows, 0))

    def texts(self, block: int, column: int) -> list[str]:
        """Texts (n) of a column, "" for nothing."""
        return _texts(self._read(block, [column]).column(0))

    def _read(self, block: int, columns: Sequence[int]) -> Any:
        try:
            whole = self._file.read_row_group(block, columns=[self.names[place] for place in columns])
            return whole.select([self.names[place] for place in columns])
        except Exception as problem:  # the samples may be damaged where the header was not
            raise RecordingError(f"{self.path}: cannot be read: {printable(problem, 300)}") from None

    def _check_groups(self) -> None:
        for group in range(self._file.num_row_groups):
            cells = self._file.metadata.row_group(group).num_rows * len(self.names)
            if cells > LARGEST_GROUP:
                got = f"a row group of {cells} cells, expected at most {LARGEST_GROUP}"
                raise RecordingError(f"{self.path}: {got}; write it with smaller ones (row_group_size)")


def _texts(column: Any) -> list[str]:
    """Texts of a column; times as ISO."""
    values = column.to_pylist()
    return ["" if value is None else _text(value) for value in values]


def _text(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value).strip()


def _numbers(column: Any) -> FloatArray:
    """Values of a column as float64, NaN for nothing and for what is no number."""
    kind = str(column.type)
    if kind.startswith(("int", "uint", "float", "double", "halffloat", "bool")):
        values = column.cast("int8") if kind == "bool" else column
        return np.asarray(values.to_numpy(), dtype=np.float64)
    cells = [str(value) for value in column.to_pylist()]
    return np.array([float(cell) if is_number(cell) else np.nan for cell in cells])
