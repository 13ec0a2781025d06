"""The rows of a CSV or TSV file, block by block.

numpy's parser reads plain numbers (44 MB/s; Python's csv with float() 11 MB/s); a block with empty cells,
words or rows of another length goes through the csv module. One column alone is cut out of its lines, which
is several times as fast, where nothing is in quotes.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bci_m2s.errors import RecordingError
from bci_m2s.text import is_number
from bci_m2s.types import FloatArray

BLOCK_BYTES = 4_000_000
LONGEST_LINE = 1_000_000
MOST_COLUMNS = 4096
HEAD_ROWS = 200  # by which columns of numbers are told from columns of texts
DELIMITERS = (",", ";", "\t")
_BLANK = re.compile(rb"(?:\r?\n){2,}")
_DECIMAL_COMMA = re.compile(r"\s*[-+]?\d+,\d+\s*")


class Block(NamedTuple):
    """Where a block of rows stands in its file: bytes from `start`, `size` of them."""

    start: int
    size: int


class TextRows:
    """A CSV or TSV file.

    Lines before the header that begin with % or # are left out. Cells are divided by comma, semicolon or
    tab; a decimal comma is known where semicolons divide.

    Attributes
    ----------
    names : of the columns
    head : the first rows, as texts

    Raises
    ------
    RecordingError
        It has no header of names, or too many columns.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            first = self._line(file).removeprefix(b"\xef\xbb\xbf")
            while first[:1] in (b"%", b"#"):
                first = self._line(file)
            self._begin = file.tell()
            lines = [self._line(file) for _ in range(HEAD_ROWS)]
        if b"\0" in first or first.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise RecordingError(f"{path}: is no text in UTF-8")
        header = first.decode("utf-8", "replace").rstrip("\r\n")
        self._delimiter = max(DELIMITERS, key=header.count) if path.suffix.lower() != ".tsv" else "\t"
        self.names = tuple(name.strip() for name in self._cells([header])[0])
        if len(self.names) > MOST_COLUMNS:
            raise RecordingError(f"{path}: {len(self.names)} columns, expected at most {MOST_COLUMNS}")
        if not any(name and not is_number(name) for name in self.names):
            raise RecordingError(f"{path}: its first line has no names of columns")
        texts = [line.decode("utf-8", "replace").rstrip("\r\n") for line in lines if line.strip()]
        rows = self._cells(texts)
        most = max((len(row) for row in rows if any(row[len(self.names) :])), default=0)
        if most:
            hint = "; decimal commas need semicolons between columns" if self._delimiter == "," else ""
            raise RecordingError(
                f"{path}: rows have {most} cells, but the first line names {len(self.names)} columns{hint}"
            )
        self._comma = self._delimiter == ";" and any(
            _DECIMAL_COMMA.fullmatch(cell) for row in rows for cell in row
        )
        self.head = [[cell.replace(",", ".") if self._comma else cell for cell in row] for row in rows]

    def blocks(self) -> Iterator[Block]:
        """Every block of the file, in order."""
        with self.path.open("rb") as file:
            file.seek(self._begin)
            while piece := file.read(BLOCK_BYTES):
                start = file.tell() - len(piece)
                if not piece.endswith(b"\n"):
                    piece += self._line(file)
                yield Block(start, len(piece))

    def numbers(self, block: Block, columns: Sequence[int]) -> FloatArray:
        """Values (n, columns) of a block, NaN where a cell holds no number."""
        content = self._content(block)
        if not content.strip():
            return np.empty((0, len(columns)))
        if self._comma:
            content = content.replace(b",", b".")
        try:
            if len(columns) == 1 and (cells := self._cut_out(content, columns[0])) is not None:
                return np.fromiter(map(float, cells), np.float64, len(cells)).reshape(-1, 1)
            made = self._parsed(content, columns, np.float64)
        except ValueError:  # a cell that holds no number, a short row, a letter that is no UTF-8
            rows = self._rows(content)
            made = np.array([[_number(row, place) for place in columns] for row in rows])
        return np.asarray(made, dtype=np.float64).reshape(-1, len(columns))

    def texts(self, block: Block, column: int) -> list[str]:
        """Texts (n) of a column, "" where a row has no such cell."""
        content = self._content(block)
        if not content.strip():
            return []
        if (cells := self._cut_out(content, column)) is not None:
            return [cell.decode("utf-8", "replace").strip() for cell in cells]
        try:
            return [str(text).strip() for text in self._parsed(content, [column], np.str_)[:, 0]]
        except ValueError:
            rows = self._rows(content)
            return [row[column].strip() if column < len(row) else "" for row in rows]

    def _cut_out(self, content: bytes, column: int) -> list[bytes] | None:
        """The cells of one column; None where quotes or rows of another length ask for a parser."""
        lines, cut = content.splitlines(), self._delimiter.encode()
        after = len(self.names) - 1 - column
        if b'"' in content or content.count(cut) != len(lines) * (len(self.names) - 1):
            return None
        try:
            if column <= after:
                return [line.split(cut, column + 1)[column] for line in lines]
            return [line.rsplit(cut, after + 1)[-1 - after] for line in lines]
        except IndexError:  # one row has more cells, another less
            return None

    def _parsed(self, content: bytes, columns: Sequence[int], kind: type) -> NDArray[Any]:
        """Raises ValueError for a row that lacks one of the columns, or a cell that is not of the kind."""
        return np.loadtxt(
            io.BytesIO(content),
            dtype=kind,
            delimiter=self._delimiter,
            usecols=list(columns),
            ndmin=2,
            comments=None,
            quotechar='"',
            encoding="utf-8",
        )

    def _content(self, block: Block) -> bytes:
        with self.path.open("rb") as file:
            file.seek(block.start)
            content = file.read(block.size)
        if b"\n\n" in content or b"\n\r\n" in content:  # numpy warns of each
            content = _BLANK.sub(b"\n", content)
        return content.lstrip(b"\r\n")

    def _rows(self, content: bytes) -> list[list[str]]:
        return self._cells(content.decode("utf-8", "replace").splitlines())

    def _cells(self, lines: list[str]) -> list[list[str]]:
        try:
            return [row for row in csv.reader(lines, delimiter=self._delimiter) if row]
        except csv.Error as problem:
            raise RecordingError(f"{self.path}: cannot be read: {problem}") from None

    def _line(self, file: io.BufferedReader) -> bytes:
        line = file.readline(LONGEST_LINE)
        if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
            raise RecordingError(f"{self.path}: a line is longer than {LONGEST_LINE} bytes")
        return line


def _number(row: list[str], place: int) -> float:
    try:
        return float(row[place])
    except (ValueError, IndexError):
        return float("nan")
