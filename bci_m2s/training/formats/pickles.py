"""Pickled numpy data from elsewhere, read without running anything that the file asks for.

A pickle is a small program that may call any importable function. Here it can name only the few globals
of numpy's own pickles, and each is answered by a stand-in of this module, so not even numpy's code sees
the file's words before their shapes, types and lengths have been checked. Everything else is refused
by name.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import re
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from bci_m2s.errors import RecordingError
from bci_m2s.text import printable

MAX_BYTES = 1 << 30  # of one file or archive member; the largest file of these data sets is a tenth of it
MAX_OPCODES = 1_000_000  # operations in one pickle, objects in what it builds
MAX_DEPTH = 16
_KIND = re.compile(r"[biuf](1|2|4|8)")


class _Dtype:
    """Number type: numpy.dtype(kind, align, copy), then its state with the byte order."""

    def __init__(self, kind: Any, *_flags: Any) -> None:
        if not isinstance(kind, str) or not _KIND.fullmatch(kind):
            raise RecordingError(f"array of {kind!r}, expected plain numbers")
        self.dtype = np.dtype(kind)

    def __setstate__(self, state: Any) -> None:
        if state[1] not in ("<", ">", "|", "="):
            raise RecordingError(f"byte order {state[1]!r} is unknown")
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array:
    """An unfinished array; `value` is set once shape, type and bytes are known and agree."""

    def __init__(self, *_arguments: Any) -> None:
        self.value: Any = None

    def __setstate__(self, state: Any) -> None:
        _version, shape, dtype, fortran, data = state
        self.value = _array(data, dtype, shape, "F" if fortran else "C")


class _Buffer(_Array):
    """numpy's _frombuffer(data, dtype, shape, order) of pickle protocol 5."""

    def __init__(self, data: Any, dtype: Any, shape: Any, order: Any) -> None:
        self.value = _array(data, dtype, shape, order)


class _Scalar(_Array):
    """numpy's scalar(dtype, data)."""

    def __init__(self, dtype: Any, data: Any) -> None:
        self.value = _array(data, dtype, (), "C").item()


class _Encoded(_Array):
    """_codecs.encode(text, 'latin1'): how old protocols write bytes."""

    def __init__(self, text: Any, encoding: Any) -> None:
        if encoding not in ("latin1", "latin-1") or not isinstance(text, str):
            raise RecordingError(f"bytes in encoding {encoding!r}, expected latin1")
        self.value = text.encode("latin1")


class _Class(_Array):
    """numpy.ndarray, named as an argument of _reconstruct and never called."""


_STAND_INS: dict[tuple[str, str], type] = {
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): _Class,
    ("_codecs", "encode"): _Encoded,
}
for _core in ("numpy.core", "numpy._core"):
    _STAND_INS[f"{_core}.multiarray", "_reconstruct"] = _Array
    _STAND_INS[f"{_core}.multiarray", "scalar"] = _Scalar
    _STAND_INS[f"{_core}.numeric", "_frombuffer"] = _Buffer


def _array(data: Any, dtype: Any, shape: Any, order: Any) -> Any:
    if isinstance(data, _Encoded):
        data = data.value
    if isinstance(data, str):  # Python 2 wrote its bytes as text
        data = data.encode("latin1")
    whole = isinstance(shape, tuple) and all(type(n) is int and 0 <= n <= MAX_BYTES for n in shape)
    if not isinstance(data, bytes | bytearray) or not isinstance(dtype, _Dtype) or not whole:
        raise RecordingError("malformed array: bytes, number type or shape is not one")
    if order not in ("C", "F") or math.prod(shape) * dtype.dtype.itemsize != len(data):
        raise RecordingError(f"malformed array: {len(data)} bytes for shape {shape} of {dtype.dtype}")
    return np.frombuffer(bytes(data), dtype.dtype).reshape(shape, order=order)


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> type:
        """The stand-in for a global of numpy's pickles; anything else is refused by name."""
        if (module, name) not in _STAND_INS:
            raise RecordingError(
                f"refused: it asks for {f'{module}.{name}'!r}, which plain data never needs"
            )
        return _STAND_INS[module, name]


def load_plain(data: bytes, where: str) -> Any:
    """Read a pickle that holds only numpy arrays of numbers, dicts, lists, tuples, text and numbers.

    Parameters
    ----------
    data : the pickle, any protocol; one written by Python 2 is read as latin-1
    where : the file's name, for messages

    Returns
    -------
    The plain objects; arrays are read-only.

    Raises
    ------
    RecordingError
        When the pickle asks for any other global (which is named), holds any other kind of object, is
        damaged, or is larger than `MAX_BYTES`, `MAX_OPCODES` or `MAX_DEPTH`.
    """
    if len(data) > MAX_BYTES:
        raise RecordingError(f"{where}: {len(data)} bytes, more than the limit of {MAX_BYTES}")
    try:
        _scan(data)
        return _plain(_PlainUnpickler(io.BytesIO(data), encoding="latin1").load(), [0], 0)
    except RecordingError as problem:
        raise RecordingError(f"{where}: {problem}") from None
    except Exception as problem:  # a damaged pickle can fail in any way; it never is a bug of ours
        raise RecordingError(f"{where}: not a readable pickle: {printable(problem)}") from None


def _scan(data: bytes) -> None:
    """Refuse what would make the reader itself allocate without limit, before it runs."""
    for count, (code, argument, _place) in enumerate(pickletools.genops(data)):
        if count > MAX_OPCODES or ("PUT" in code.name and int(argument or 0) > MAX_OPCODES):
            raise RecordingError(f"more than {MAX_OPCODES} objects")


def _plain(value: Any, count: list[int], depth: int) -> Any:
    count[0] += 1
    if depth > MAX_DEPTH or count[0] > MAX_OPCODES:
        raise RecordingError("nested too deeply" if depth > MAX_DEPTH else "too many objects")
    if isinstance(value, dict):
        return {_plain(k, count, depth + 1): _plain(v, count, depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_plain(item, count, depth + 1) for item in value)
    if isinstance(value, _Array) and value.value is not None:
        return value.value
    if value is None or type(value) in (str, bytes, bool, int, float):
        return value
    raise RecordingError(f"refused: it holds a {type(value).__name__.lstrip('_')}")


def read_pickle(path: Path) -> Any:
    """Read a pickle file as `load_plain` does. Raises RecordingError, which names the file."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise RecordingError(f"{path.name}: larger than the limit of {MAX_BYTES} bytes")
        return load_plain(path.read_bytes(), path.name)
    except OSError as problem:
        raise RecordingError(f"{path.name}: {problem.strerror or problem}") from None


def read_npz(path: Path, names: Iterable[str]) -> dict[str, Any]:
    """Read arrays of a numpy archive; one that holds bytes is a pickle and read as `load_plain` does.

    Raises
    ------
    RecordingError
        When the archive is damaged, lacks a name, or a member is too large, of objects, or refused.
    """
    values: dict[str, Any] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for name in names:
                member = archive.getinfo(f"{name}.npy")
                if member.file_size > MAX_BYTES:
                    raise RecordingError(f"{path.name}: {name!r} is larger than {MAX_BYTES} bytes")
                with archive.open(member) as stream:
                    values[name] = np.lib.format.read_array(stream, allow_pickle=False)
    except KeyError as missing:
        raise RecordingError(f"{path.name}: no array {str(missing.args[0])!r}") from None
    except OSError as problem:
        raise RecordingError(f"{path.name}: {problem.strerror or problem}") from None
    except RecordingError:
        raise
    except Exception as problem:  # zip, zlib and numpy's parser of headers raise nearly every type
        raise RecordingError(f"{path.name}: not a readable npz archive: {printable(problem)}") from None
    return {
        name: load_plain(value.tobytes(), f"{path.name}: {name}") if value.dtype.kind == "S" else value
        for name, value in values.items()
    }
