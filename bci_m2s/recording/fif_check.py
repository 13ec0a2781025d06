"""Refusing FIF files on which mne would never end."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from bci_m2s.errors import RecordingError
from bci_m2s.text import printable

FIF_DIRECTORY = 102  # kind of the tag that lists all others
FIF_STRUCTURES = 30  # types from here on are read one structure after the other


def refuse_bad_fif(path: Path) -> None:
    """Refuse a FIF on which mne would never end: whose chain of tags leads back into itself, or whose
    structures claim more bytes than there are.

    A tag begins with four big-endian numbers: kind, type, size of its data and position of the next tag
    (0: right behind the data, -1: none).
    """
    seen: set[int] = set()
    at = 0
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            while at >= 0 and at not in seen:
                seen.add(at)
                file.seek(at)
                head = file.read(16)
                if len(head) < 16:
                    return
                kind, _, size, following = struct.unpack(">4i", head)
                _refuse_bad_tag(path, file, at, head)
                if kind == FIF_DIRECTORY:
                    file.seek(at + 16)
                    entries = file.read(size)  # the file may end before
                    entries = entries[: len(entries) // 16 * 16]
                    for position in np.frombuffer(entries, ">i4").reshape(-1, 4)[:, 3]:
                        file.seek(max(0, int(position)))
                        _refuse_bad_tag(path, file, max(0, int(position)), file.read(16))
                at = following or at + 16 + size
    except (EOFError, zlib.error, OSError) as problem:
        raise RecordingError(f"{path}: cannot be read: {printable(problem, 300)}") from None
    if at >= 0:
        raise RecordingError(f"{path}: cannot be read: its chain of tags returns to byte {at}")


def _refuse_bad_tag(path: Path, file: Any, at: int, head: bytes) -> None:
    if len(head) < 16:
        return
    _, data_type, size, _ = struct.unpack(">4i", head)
    beyond = False
    if size > 0 and data_type & 0xFFFF >= FIF_STRUCTURES:  # plain numbers end where the file does
        file.seek(at + 16 + size - 1)
        beyond = not file.read(1)
    if size < 0 or beyond:
        raise RecordingError(f"{path}: cannot be read: the tag at byte {at} has {size} bytes")
