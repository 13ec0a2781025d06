"""Seeded damage to a file's bytes: what disks, networks and hostile people do."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable

import numpy as np

NUMBERS = (0, 1, -1, 2, 7, 16, 64, 127, 128, 255, 256, 1000, 32767, 32768, 65535, 65536, 2**20, 2**24,
           2**31 - 1, -(2**31), 2**32 - 1, 2**40, 2**63 - 1, -(2**63))  # fmt: skip
WORDS = (
    b"0 -1 1e999 nan inf -0.0 99999999999 1e-400 null true no 0x10 \" ' { } [ ] &a *a !!python/object:a.b "
    b"\\u0000 \xff\xfe \xc3 \x00 <!DOCTYPE> ]]> .. / %s"
)
TEXTS = (*WORDS.split(b" "), b"\n", b"\t", b" ", b"")
HEAD_BYTES = 4096  # headers matter most: half of the damage is done within these
LONGEST = 200
DIGITS = re.compile(rb"\d+")

Rng = np.random.Generator
Damage = Callable[[bytearray, int, bytes, Rng], None]


def mutated(content: bytes, other: bytes, rng: Rng) -> bytes:
    """One to five pieces of damage. other : a second file of the kind, to splice from."""
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 6))):
        if len(data) < 2:
            break
        reach = len(data) if rng.random() < 0.5 else min(len(data), HEAD_BYTES)
        DAMAGES[int(rng.integers(len(DAMAGES)))](data, int(rng.integers(reach)), other, rng)
    return bytes(data)


def flip_bit(data: bytearray, at: int, _other: bytes, rng: Rng) -> None:
    data[at] ^= 1 << int(rng.integers(8))


def set_bytes(data: bytearray, at: int, _other: bytes, rng: Rng) -> None:
    new = rng.bytes(int(rng.integers(1, 9)))
    data[at : at + len(new)] = new


def cut(data: bytearray, at: int, _other: bytes, _rng: Rng) -> None:
    del data[at:]


def delete(data: bytearray, at: int, _other: bytes, rng: Rng) -> None:
    del data[at : at + int(rng.integers(1, LONGEST))]


def insert(data: bytearray, at: int, _other: bytes, rng: Rng) -> None:
    data[at:at] = rng.bytes(int(rng.integers(1, LONGEST)))


def copy_block(data: bytearray, at: int, _other: bytes, rng: Rng) -> None:
    """Doubled or moved over something else, as a block of a disk can be."""
    begin, length = int(rng.integers(len(data))), int(rng.integers(1, LONGEST))
    block = data[begin : begin + length]
    data[at : at + (len(block) if rng.random() < 0.5 else 0)] = block


def set_number(data: bytearray, at: int, _other: bytes, rng: Rng) -> None:
    width = int(rng.choice([1, 2, 4, 8]))
    value = NUMBERS[int(rng.integers(len(NUMBERS)))] % (1 << 8 * width)
    data[at : at + width] = value.to_bytes(width, "little" if rng.random() < 0.5 else "big")


def lie_of_length(data: bytearray, at: int, _other: bytes, rng: Rng) -> None:
    """Change the next number that could be a length by a little or a lot."""
    order = "<" if rng.random() < 0.7 else ">"
    for place in range(at, min(at + 64, len(data) - 4)):
        (value,) = struct.unpack_from(f"{order}I", data, place)
        if 0 < value <= 4 * len(data):
            lie = int(value * rng.choice([0.5, 2, 100, 1])) + int(rng.integers(-8, 9))
            struct.pack_into(f"{order}I", data, place, lie % 2**32)
            return


def set_text(data: bytearray, at: int, _other: bytes, rng: Rng) -> None:
    """Replace a number in text, or whatever stands there, by a word that parsers trip over."""
    found = DIGITS.search(data, at)
    text = TEXTS[int(rng.integers(len(TEXTS)))]
    if found and rng.random() < 0.7:
        keep = len(found[0]) if rng.random() < 0.5 else len(text)  # fixed columns stay in their place
        data[found.start() : found.start() + max(1, keep)] = text
    else:
        data[at : at + len(text)] = text


def splice(data: bytearray, at: int, other: bytes, rng: Rng) -> None:
    """The head of one file and the tail of another."""
    if other:
        data[at:] = other[int(rng.integers(len(other))) if rng.random() < 0.5 else at :]


DAMAGES: tuple[Damage, ...] = (
    flip_bit, flip_bit, set_bytes, cut, delete, insert, copy_block, set_number, set_number, lie_of_length,
    lie_of_length, set_text, set_text, splice,
)  # fmt: skip
