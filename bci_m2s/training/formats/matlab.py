"""Variables of MATLAB files, versions 5 to 7, from files that nobody has checked.

scipy's reader crashes the interpreter on some damaged files (18 of 4,000), and in a process of its own it
takes twice the time (docs/LOG.md, 2026-11-28). So this one reads the little that data sets need: arrays of
numbers, texts, cells and structs. Format: MathWorks, "MAT-File Format", chapter 1, Level 5 MAT-files.

An array comes as a numpy array of the stored number type, a text of one row as str, a struct as dict
(1 × 1) or array of dicts, a cell as array of objects. What else a file may hold comes as ``Unread``.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np

from bci_m2s.errors import RecordingError
from bci_m2s.training.formats.matlab_values import (
    COMPRESSED,
    MATRIX,
    DamageError,
    Elements,
    Shape,
    read_description,
    read_matrix,
    read_tag,
)
from bci_m2s.training.formats.pickles import MAX_BYTES

HEADER_BYTES = 128
HEAD_BYTES = 4096  # of a variable, for its class, shape and name
Result = TypeVar("Result")


@dataclass(frozen=True)
class _Entry:
    """A variable in the file: where its bytes are, and how many there will be when expanded."""

    at: int
    stored: int
    size: int
    compressed: bool
    order: str  # "<" or ">"


def mat_shapes(path: Path) -> dict[str, Shape]:
    """Shape of every variable of a MATLAB file; their values are not read.

    Raises
    ------
    RecordingError
        When the file is missing, damaged, or of version 7.3.
    """
    return _guarded(path, lambda file: {name: shape for name, shape, _ in _variables(file)})


def read_mat(path: Path, names: Iterable[str], limit: int | None = None) -> dict[str, Any]:
    """Read variables of a MATLAB file (version 5 to 7); names that it lacks are left out.

    limit : most bytes that they may take; None: ``pickles.MAX_BYTES``

    Raises
    ------
    RecordingError
        When the file is missing, damaged, of version 7.3, or the variables are larger than the limit.
    """
    return _guarded(path, partial(_read, wanted=set(names), limit=MAX_BYTES if limit is None else limit))


def member(held: Any, name: str) -> Any:
    """Value of a field of a 1 × 1 MATLAB struct. Raises RecordingError when it has no such field."""
    if not isinstance(held, dict) or name not in held:
        raise RecordingError(f"no field {name!r}")
    return held[name]


def cells(values: Any, count: int = 0) -> list[Any]:
    """Contents of a row or column of MATLAB cells. Raises RecordingError for anything else."""
    is_cells = isinstance(values, np.ndarray) and values.dtype == object
    if not is_cells or values.size != max(values.shape):
        raise RecordingError(f"holds {type(values).__name__}, expected a row or column of cells")
    if count and values.size != count:
        raise RecordingError(f"{values.size} cells, expected {count}")
    return list(values.reshape(-1))


def _guarded(path: Path, read: Callable[[BinaryIO], Result]) -> Result:
    try:
        with path.open("rb") as file:
            return read(file)
    except FileNotFoundError:
        raise RecordingError("no such file") from None
    except OSError as problem:
        raise RecordingError(f"cannot be read: {problem.strerror or problem}") from None
    except (DamageError, ValueError, struct.error, zlib.error) as problem:
        raise RecordingError(f"not a readable MATLAB file: {problem}") from None


def _read(file: BinaryIO, wanted: set[str], limit: int) -> dict[str, Any]:
    values: dict[str, Any] = {}
    size = 0
    for name, _, entry in _variables(file):
        if name not in wanted or name in values:
            continue
        size += entry.size
        if size > limit:
            raise RecordingError(f"arrays larger than {limit} bytes")
        _, _, values[name] = read_matrix(Elements(_content(file, entry), entry.order), depth=0)
        if len(values) == len(wanted):
            break
    return values


def _variables(file: BinaryIO) -> Iterator[tuple[str, Shape, _Entry]]:
    """Yield name, shape and entry of each variable, in the order of the file."""
    total = file.seek(0, 2)
    file.seek(0)
    order = _byte_order(file.read(HEADER_BYTES))
    at = HEADER_BYTES
    while at < total:
        file.seek(at)
        kind, stored = read_tag(file.read(8), order)
        if kind not in (MATRIX, COMPRESSED):
            raise DamageError(f"element of type {kind} at byte {at}, expected a variable")
        if stored > total - at - 8:
            raise DamageError(f"{stored} bytes are announced at byte {at}, {total - at - 8} are left")
        head = file.read(min(stored, HEAD_BYTES))
        size = stored
        if kind == COMPRESSED:
            head = zlib.decompressobj().decompress(head, HEAD_BYTES)
            inner, size = read_tag(head[:8], order)
            if inner != MATRIX:
                raise DamageError(f"compressed element of type {inner} at byte {at}, expected a variable")
            head = head[8:]
        entry = _Entry(at + 8, stored, size, kind == COMPRESSED, order)
        name, shape, _, _ = read_description(Elements(memoryview(head), order))
        yield name, shape, entry
        at += 8 + stored


def _byte_order(header: bytes) -> str:
    if len(header) < HEADER_BYTES:
        raise DamageError(f"{len(header)} bytes, expected at least {HEADER_BYTES}")
    order = {b"IM": "<", b"MI": ">"}.get(header[126:128])
    if order is None:
        raise DamageError("no header of a MATLAB 5 file")
    version = struct.unpack(order + "H", header[124:126])[0]
    if version == 0x200 or header.startswith(b"MATLAB 7.3"):
        raise RecordingError("MATLAB 7.3 file; save it again with -v7")
    if version != 0x100:
        raise DamageError(f"version {version:#x}, expected 0x100")
    return order


def _content(file: BinaryIO, entry: _Entry) -> memoryview:
    """Bytes of a variable, expanded."""
    file.seek(entry.at)
    data = file.read(entry.stored)
    if not entry.compressed:
        return memoryview(data)
    expander = zlib.decompressobj()
    whole = expander.decompress(data, entry.size + 9)  # one more than is announced shows the stream's end
    if len(whole) != entry.size + 8 or not expander.eof:
        raise DamageError(f"{entry.size} bytes are announced, but the compressed data hold another number")
    return memoryview(whole)[8:]
