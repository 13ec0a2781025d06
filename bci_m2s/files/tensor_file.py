"""Named arrays and text in one safetensors file: careful reading, atomic writing.

A file from elsewhere is data and nothing more: it is read once, its sizes are checked before anything is
allocated for them, and no pickle is ever opened. Format: eight bytes with the header's length (little
endian), the header as JSON, the numbers.
"""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci_m2s.errors import ModelError, OutputError
from bci_m2s.files.whole import write_whole
from bci_m2s.text import printable, quoted

MAX_HEADER_BYTES = 2**20
MAX_FILE_BYTES = 2**29  # 512 MiB; the 62-channel model of two modalities takes 20 MB
NUMBER_TYPES = ("F16", "F32", "F64", "I64")
# How other files begin. A pickle of protocol 2 to 5 names its protocol in the second byte.
OTHER_FORMATS = (
    *((bytes([0x80, protocol]), "a pickle") for protocol in (2, 3, 4, 5)),
    (b"PK\x03\x04", "a zip archive (torch.save writes such files, with a pickle inside)"),
    (b"\x89HDF", "an HDF5 file"),
)

Arrays = dict[str, NDArray[Any]]


def read_tensors(path: Path) -> tuple[dict[str, str], Arrays]:
    """Return the header's texts and the arrays of a file; the arrays are read-only.

    Raises
    ------
    ModelError
        In one line with the path: missing, empty, not a file, too large, truncated, damaged, another
        format, or numbers other than float16, float32, float64 and int64.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    raw, header = _read(path)
    for name, entry in header.items():
        kind = entry.get("dtype") if isinstance(entry, dict) else None
        if name != "__metadata__" and kind not in NUMBER_TYPES:
            expected = f"expected one of {', '.join(NUMBER_TYPES)}"
            raise ModelError(f"{path}: tensor {quoted(name)} holds {quoted(kind)}, {expected}")
    try:
        tensors = load(raw)
    except (SafetensorError, ValueError) as problem:  # ValueError: more dimensions than numpy has
        raise ModelError(f"{path}: truncated or damaged: {printable(problem)}") from None
    for array in tensors.values():
        array.flags.writeable = False
    return _texts(path, header), tensors


def read_texts(path: Path) -> dict[str, str]:
    """Return the header's texts only. Raises ModelError like ``read_tensors``."""
    return _texts(path, _read(path)[1])


def _texts(path: Path, header: dict[str, Any]) -> dict[str, str]:
    texts = header.get("__metadata__", {})
    if not isinstance(texts, dict) or not all(isinstance(text, str) for text in texts.values()):
        raise ModelError(f"{path}: header: __metadata__ must map names to texts")
    return texts


def _read(path: Path) -> tuple[bytes, dict[str, Any]]:
    raw = read_bytes(path)
    return raw, _header(path, raw)


def read_bytes(path: Path) -> bytes:
    """A whole file. Raises ModelError: missing, not a file, or larger than MAX_FILE_BYTES."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a pipe could wait for ever
            raise ModelError(f"{path}: not a file")
        if status.st_size > MAX_FILE_BYTES:
            raise ModelError(f"{path}: {status.st_size} bytes, at most {MAX_FILE_BYTES} are read")
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES)
    except (OSError, ValueError) as problem:  # ValueError: a NUL in the path
        reason = getattr(problem, "strerror", None) or problem
        raise ModelError(f"{path}: cannot be read: {reason}") from None


def _header(path: Path, raw: bytes) -> dict[str, Any]:
    if not raw:
        raise ModelError(f"{path}: the file is empty")
    length = int.from_bytes(raw[:8], "little")
    if raw[8:9] != b"{" or length > MAX_HEADER_BYTES:
        for start, name in OTHER_FORMATS:
            if raw.startswith(start):
                raise ModelError(
                    f"{path}: this is {name}, which is not opened; models are safetensors files"
                )
    if len(raw) < 8:
        raise ModelError(f"{path}: truncated: {len(raw)} bytes")
    if length > MAX_HEADER_BYTES:
        limit = f"at most {MAX_HEADER_BYTES} are read"
        raise ModelError(f"{path}: the header would have {length} bytes, {limit}; not a safetensors model")
    if 8 + length > len(raw):
        raise ModelError(f"{path}: truncated: the header has {length} bytes, the file {len(raw)}")
    try:
        header = strict_json(raw[8 : 8 + length].decode())
    except ValueError as problem:
        raise ModelError(f"{path}: the header is not valid JSON: {printable(problem)}") from None
    if not isinstance(header, dict):
        raise ModelError(f"{path}: the header is not a JSON object")
    return header


def strict_json(text: str) -> Any:
    """Parse JSON; raise ValueError also for duplicate keys, NaN, Infinity and endless nesting."""
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"duplicate key {quoted(next(key for key in keys if keys.count(key) > 1))}")
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def write_tensors(
    path: Path,
    tensors: Mapping[str, NDArray[Any]],
    texts: Mapping[str, str],
    *,
    overwrite: bool = False,
    private: bool = False,
) -> None:
    """Write a file so that `path` holds all of it or what it held before, see ``write_whole``.

    Raises
    ------
    OutputError
        The file exists and `overwrite` is false, or it cannot be written.
    """
    from safetensors.numpy import save

    data = save({name: np.asarray(array, order="C") for name, array in tensors.items()}, dict(texts))
    header_bytes = int.from_bytes(data[:8], "little")
    if header_bytes > MAX_HEADER_BYTES:
        raise OutputError(
            f"{path}: the header has {header_bytes} bytes, at most {MAX_HEADER_BYTES} are read"
        )
    write_whole(path, data, overwrite=overwrite, private=private)
