"""Values of MATLAB 5 files from their bytes; see ``matlab``.

Every length is checked against the bytes that are there before anything is allocated.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci_m2s.training.formats.pickles import MAX_DEPTH

NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
TEXTS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
MATRIX, COMPRESSED = 14, 15
CELL, STRUCT, CHAR, OPAQUE = 1, 2, 4, 17
NUMERIC_CLASSES = range(6, 16)
COMPLEX_FLAG = 0x800

Shape = tuple[int, ...]


class DamageError(Exception):
    """The bytes are not what they claim to be; the message says why."""


@dataclass(frozen=True)
class Unread:
    """A value of a kind that no data set needs, such as a function or a sparse array."""

    kind: str


def read_tag(data: bytes, order: str) -> tuple[int, int]:
    """Type and size of an element from its 8 bytes."""
    kind, size = struct.unpack(order + "II", data)
    return kind, size


class Elements:
    """Elements one after the other: a tag with type and size, the data, filling to 8 bytes."""

    def __init__(self, data: memoryview, order: str) -> None:
        self.order = order
        self._data, self._at = data, 0

    @property
    def left(self) -> int:
        """Bytes that have not been read."""
        return len(self._data) - self._at

    def element(self) -> tuple[int, memoryview]:
        """Type and data of the next element."""
        kind, size = read_tag(bytes(self._data[self._at : self._at + 8]), self.order)
        start = self._at + 8
        if kind >> 16:  # a small element: size and type share four bytes, the data are in the other four
            kind, size, start = kind & 0xFFFF, kind >> 16, self._at + 4
            if size > 4:
                raise DamageError(f"small element of {size} bytes")
            self._at += 8
        else:
            self._at = start + size + -size % 8
        if start + size > len(self._data):
            raise DamageError(f"element of {size} bytes, {len(self._data) - start} are left")
        self._at = min(self._at, len(self._data))
        return kind, self._data[start : start + size]

    def numbers(self) -> NDArray[Any]:
        """The next element as one row of numbers."""
        kind, data = self.element()
        if kind not in NUMBERS:
            raise DamageError(f"element of type {kind}, expected numbers")
        return np.frombuffer(data, np.dtype(self.order + NUMBERS[kind]))


def read_description(data: Elements) -> tuple[str, Shape, int, bool]:
    """Name, shape, class, and whether complex: what every variable begins with."""
    flags = data.numbers()
    if len(flags) == 2 and int(flags[0]) & 0xFF == OPAQUE:  # an object; the rest is laid out otherwise
        return "", (1, 1), OPAQUE, False
    dimensions = data.numbers()
    if len(flags) != 2 or flags.dtype.itemsize != 4 or not 2 <= len(dimensions) <= 32:
        raise DamageError("a variable without class or dimensions")
    shape = tuple(int(n) for n in dimensions)
    if min(shape) < 0:
        raise DamageError(f"shape {shape}")
    _, name = data.element()
    return bytes(name).decode("latin-1"), shape, int(flags[0]) & 0xFF, bool(int(flags[0]) & COMPLEX_FLAG)


def read_matrix(data: Elements, depth: int) -> tuple[str, Shape, Any]:
    """Name, shape and value of a variable, cell or field."""
    if depth > MAX_DEPTH:
        raise DamageError(f"nested more than {MAX_DEPTH} deep")
    if not data.left:  # how an empty cell is written
        return "", (0, 0), np.empty((0, 0))
    name, shape, kind, is_complex = read_description(data)
    count = 1
    for n in shape:
        count *= n
    if kind in NUMERIC_CLASSES and not is_complex:
        values = data.numbers()
        if len(values) != count:
            raise DamageError(f"{len(values)} numbers for shape {shape}")
        return name, shape, values.reshape(shape, order="F")
    if kind == CHAR:
        return name, shape, _text(data, shape)
    if kind == CELL:
        return name, shape, _filled(shape, _nested(data, count, depth))
    if kind == STRUCT:
        return name, shape, _structs(data, shape, count, depth)
    return name, shape, Unread("complex numbers" if is_complex else f"class {kind}")


def _nested(data: Elements, count: int, depth: int) -> list[Any]:
    """Values of the next `count` elements, each a matrix of its own."""
    if count > data.left // 8:  # each has a tag of 8 bytes
        raise DamageError(f"{count} values are announced, {data.left} bytes are left")
    values = []
    for _ in range(count):
        kind, content = data.element()
        if kind != MATRIX:
            raise DamageError(f"element of type {kind}, expected a value")
        values.append(read_matrix(Elements(content, data.order), depth + 1)[2])
    return values


def _structs(data: Elements, shape: Shape, count: int, depth: int) -> Any:
    width = data.numbers()
    _, names = data.element()
    if len(width) != 1 or width[0] < 1 or len(names) % int(width[0]):
        raise DamageError("a struct without the names of its fields")
    step = int(width[0])
    fields = [
        bytes(names[at : at + step]).split(b"\0")[0].decode("latin-1") for at in range(0, len(names), step)
    ]
    if not fields and count > 1:
        raise DamageError("structs without fields")
    values = _nested(data, count * len(fields), depth)
    rows = [
        dict(zip(fields, values[at * len(fields) : (at + 1) * len(fields)], strict=True))
        for at in range(count)
    ]
    return rows[0] if count == 1 else _filled(shape, rows)


def _filled(shape: Shape, values: list[Any]) -> Any:
    if not values:
        return np.empty(0, dtype=object)  # shapes like (0, 2³¹) are allowed and say nothing
    array = np.empty(len(values), dtype=object)
    for number, value in enumerate(values):
        array[number] = value
    return array.reshape(shape, order="F")


def _text(data: Elements, shape: Shape) -> Any:
    kind, content = data.element()
    if kind not in TEXTS:
        raise DamageError(f"text of type {kind}")
    if len(shape) != 2 or shape[0] != 1:
        return Unread("several rows of text")
    endian = {"utf-16": "-le", "utf-32": "-le"} if data.order == "<" else {"utf-16": "-be", "utf-32": "-be"}
    return bytes(content).decode(TEXTS[kind] + endian.get(TEXTS[kind], ""))
