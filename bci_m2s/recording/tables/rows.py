"""The rows of a table, whatever its format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from bci_m2s.types import FloatArray


class Rows(Protocol):
    """A table that is read block by block.

    names : of the columns; head : the first rows, as texts
    """

    path: Path
    names: tuple[str, ...]
    head: list[list[str]]

    def blocks(self) -> Iterator[Any]:
        """Every block in order, in the format's own form."""

    def numbers(self, block: Any, columns: Sequence[int]) -> FloatArray:
        """Values (n, columns) of a block, NaN where a cell holds no number."""

    def texts(self, block: Any, column: int) -> list[str]:
        """Texts (n) of a column of a block, "" for nothing."""
