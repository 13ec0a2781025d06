"""The side file of a recording: first byte, length and CRC-32 of each chunk.

A line is used only where the bytes of the recording match it: it then proves a chunk. So a damaged side
file is of less help, but never costs data.
"""

from __future__ import annotations

import re
import zlib
from array import array
from bisect import bisect_left
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np

from bci_m2s.recording import SUMS_SUFFIX

MOST_LINES = 20_000_000  # of 20 bytes each in memory; a day of 64 streams
MOST_LINE_BYTES = 100
ENTRY = np.dtype([("start", np.int64), ("length", np.int64), ("crc", np.uint32)])
LINE = re.compile(rb"(\d{1,18}) ([1-9]\d{0,17}) ([0-9a-f]{8})\n")
TRIED = 100  # chunks that are compared to see whether a side file belongs to the recording
BLOCK_BYTES = 1 << 20


class Checksums:
    """What a side file says, in the order of the recording's bytes; 20 bytes of memory a chunk."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            lines = islice(iter(lambda: file.readline(MOST_LINE_BYTES), b""), MOST_LINES)
            entries = np.fromiter(filter(None, map(_parsed, lines)), ENTRY)
        entries = entries[np.argsort(entries["start"], kind="stable")]
        # Chunks do not overlap: a line that reaches into the next one's chunk is damaged.
        sound = np.ones(len(entries), bool)
        sound[:-1] = entries["start"][:-1] + entries["length"][:-1] <= entries["start"][1:]
        entries = entries[sound]
        # Plain arrays: looking one number up in them is many times faster than in numpy's.
        self._starts, self._lengths = (array("q", entries[name].tobytes()) for name in ("start", "length"))
        self._crcs = array("I", entries["crc"].tobytes())

    def __len__(self) -> int:
        return len(self._starts)

    def at(self, start: int) -> tuple[int, int] | None:
        """Length (bytes) and CRC-32 of the chunk listed at byte `start`; None when there is none."""
        index = bisect_left(self._starts, start)
        if index == len(self._starts) or self._starts[index] != start:
            return None
        return self._lengths[index], self._crcs[index]

    def count(self, start: int, stop: int) -> int:
        """Number of chunks listed at bytes from `start` to `stop` - 1."""
        return bisect_left(self._starts, stop) - bisect_left(self._starts, start)

    def proves(self, file: BinaryIO, start: int) -> bool:
        """Whether the bytes from `start` are those of the chunk listed there."""
        entry = self.at(start)
        return entry is not None and _crc(file, start, entry[0]) == entry[1]

    def next_proved(self, file: BinaryIO, start: int, stop: int) -> int | None:
        """First byte of the first chunk that is proved and begins from `start` to `stop` - 1."""
        for index in range(bisect_left(self._starts, start), bisect_left(self._starts, stop)):
            if self.proves(file, self._starts[index]):
                return self._starts[index]
        return None

    def are_of(self, file: BinaryIO) -> bool:
        """Whether any listed chunk is in `file`; else the side file belongs to another."""
        size = file.seek(0, 2)
        held = bisect_left(self._starts, size)
        tried = range(0, held, max(1, held // TRIED))
        return any(self.proves(file, self._starts[index]) for index in tried)


def checksums_of(path: Path, file: BinaryIO) -> Checksums | None:
    """Read the side file of the recording `path`, open as `file`; None without a useful one."""
    try:
        sums = Checksums(path.with_name(path.name + SUMS_SUFFIX))
    except OSError:
        return None
    return sums if sums.are_of(file) else None


def _parsed(line: bytes) -> tuple[int, int, int] | None:
    """Return start, length and CRC-32 of a line; None for a comment or a malformed line."""
    match = LINE.fullmatch(line)
    return (int(match[1]), int(match[2]), int(match[3], 16)) if match else None


def _crc(file: BinaryIO, start: int, length: int) -> int:
    file.seek(start)
    crc, left = 0, length
    while left > 0:
        block = file.read(min(left, BLOCK_BYTES))
        if not block:
            return -1
        crc = zlib.crc32(block, crc)
        left -= len(block)
    return crc
