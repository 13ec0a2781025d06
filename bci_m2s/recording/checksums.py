"""The side file of a recording: for each chunk its first byte, its length and the CRC-32 of all of it.

A line counts only for what it says truly: it proves a chunk when the bytes of the recording match it. So a
damaged side file costs its help, never data that it does not speak of.
"""

from __future__ import annotations

import re
import zlib
from array import array
from bisect import bisect_left
from pathlib import Path
from typing import BinaryIO

import numpy as np

from bci_m2s.recording import SUMS_SUFFIX

MOST_LINES = 20_000_000  # of 20 bytes each in memory; a day of 64 streams
MOST_LINE_BYTES = 100
LINE = re.compile(rb"(\d{1,18}) ([1-9]\d{0,17}) ([0-9a-f]{8})\n")
TRIED = 100  # so many chunks are looked at to see whether a side file is of this recording
BLOCK_BYTES = 1 << 20


class Checksums:
    """What a side file says, in the order of the recording's bytes; 20 bytes of memory a chunk."""

    def __init__(self, path: Path) -> None:
        starts, lengths, crcs = array("q"), array("q"), array("I")
        with path.open("rb") as file:
            for _ in range(MOST_LINES):
                line = file.readline(MOST_LINE_BYTES)
                if not line:
                    break
                entry = _parsed(line)
                if entry:
                    starts.append(entry[0])
                    lengths.append(entry[1])
                    crcs.append(entry[2])
        order = np.argsort(np.array(starts, np.int64), kind="stable")
        begins, sizes = np.array(starts, np.int64)[order], np.array(lengths, np.int64)[order]
        # Chunks do not overlap: a line that reaches into the next one's chunk is damaged.
        sound = np.ones(len(order), bool)
        sound[:-1] = begins[:-1] + sizes[:-1] <= begins[1:]
        # Plain arrays: looking one number up in them is many times faster than in numpy's.
        self._starts = array("q", begins[sound].tobytes())
        self._lengths = array("q", sizes[sound].tobytes())
        self._crcs = array("I", np.array(crcs, np.uint32)[order][sound].tobytes())

    def __len__(self) -> int:
        return len(self._starts)

    def at(self, start: int) -> tuple[int, int] | None:
        """Length (bytes) and CRC-32 of the chunk that is said to begin at byte `start`."""
        place = bisect_left(self._starts, start)
        if place == len(self._starts) or self._starts[place] != start:
            return None
        return self._lengths[place], self._crcs[place]

    def count(self, start: int, stop: int) -> int:
        """How many chunks are said to begin at a byte from `start` to `stop` - 1."""
        return bisect_left(self._starts, stop) - bisect_left(self._starts, start)

    def proves(self, file: BinaryIO, start: int) -> bool:
        """Whether the bytes from `start` are those of the chunk that is said to begin there."""
        said = self.at(start)
        return said is not None and _crc(file, start, said[0]) == said[1]

    def next_proved(self, file: BinaryIO, start: int, stop: int) -> int | None:
        """First byte of the first chunk that is proved and begins from `start` to `stop` - 1."""
        for place in range(bisect_left(self._starts, start), bisect_left(self._starts, stop)):
            if self.proves(file, self._starts[place]):
                return self._starts[place]
        return None

    def are_of(self, file: BinaryIO) -> bool:
        """Whether any chunk that is said to stand in `file` does; else the side file is of another."""
        size = file.seek(0, 2)
        held = bisect_left(self._starts, size)
        tried = range(0, held, max(1, held // TRIED))
        return any(self.proves(file, self._starts[place]) for place in tried)


def checksums_of(path: Path, file: BinaryIO) -> Checksums | None:
    """Read the side file of the recording `path`, open as `file`; None when there is none of use."""
    try:
        sums = Checksums(path.with_name(path.name + SUMS_SUFFIX))
    except OSError:
        return None
    return sums if sums.are_of(file) else None


def _parsed(line: bytes) -> tuple[int, int, int] | None:
    """Return start, length and CRC-32 of a line; None for a comment or what is none."""
    found = LINE.fullmatch(line)
    return (int(found[1]), int(found[2]), int(found[3], 16)) if found else None


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
