"""Tables of texts with tabs or commas between, and the JSON beside them, as BIDS wants them."""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci_m2s.types import FloatArray

MISSING = "n/a"
BLOCK_ROWS = 20_000
_NO_NUMBER = re.compile(r"-?(?:nan|inf)")


def seconds(value: float) -> str:
    """A time in s to the microsecond; ``n/a`` for none."""
    return f"{round(value, 6) + 0.0:.6f}" if math.isfinite(value) else MISSING


def write_tsv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table with a header; what is "" is ``n/a``. Texts must hold no tab and no line's end."""
    lines = ["\t".join(columns), *("\t".join(cell or MISSING for cell in row) for row in rows)]
    path.write_text("\n".join(lines) + "\n", "utf-8")


def write_csv(path: Path, columns: Sequence[str], blocks: Iterable[str]) -> None:
    """A table with a header, and its further lines."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerow(columns)
        file.writelines(blocks)


def csv_lines(rows: Iterable[Sequence[str]]) -> str:
    """Rows of texts as lines of a CSV file."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """A JSON file to be read by people too. Raises ValueError for a number that JSON cannot hold."""
    path.write_text(json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")


def write_tsv_gz(path: Path, blocks: Iterable[str]) -> None:
    """A packed table without a header; neither name nor time of the file is in it.

    blocks : lines with tabs, each block as many as are at hand
    """
    with path.open("wb") as file, gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
        for block in blocks:
            packed.write(block.encode())


def sample_lines(
    at: FloatArray, values: NDArray[Any], stamps: FloatArray, separator: str, missing: str
) -> str:
    """Lines of samples: time to the microsecond; channels and the sender's stamp exactly.

    at, stamps : (n,) s; values : (n, channels); missing : for what is no number
    """
    kind = {"f": "%r", "i": "%d", "u": "%d"}[values.dtype.kind]
    form = separator.join(
        ["%.6f", *["%.9g" if values.dtype == np.float32 else kind] * values.shape[1], "%r"]
    )
    rows = zip((np.round(at, 6) + 0.0).tolist(), values.tolist(), stamps.tolist(), strict=True)
    lines = "\n".join([form % (time_s, *row, stamp) for time_s, row, stamp in rows])
    return _NO_NUMBER.sub(missing, lines) + ("\n" if lines else "")


def row_blocks(n_rows: int) -> Iterator[tuple[int, int]]:
    """First row and the one behind the last of each block."""
    for start in range(0, n_rows, BLOCK_ROWS):
        yield start, min(start + BLOCK_ROWS, n_rows)
