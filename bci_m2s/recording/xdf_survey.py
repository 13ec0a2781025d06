"""The chunks of an XDF file, each checked before it is used.

A chunk is whole when its length fits into the file, its XML is plain XML, and its samples fill it exactly.
After a damaged length the walk continues at the next boundary chunk, which recorders write every few
seconds for this purpose, or at the next chunk that its checksum proves, where the recording has a side
file of them.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from bci_m2s.errors import RecordingError
from bci_m2s.recording.checksums import Checksums
from bci_m2s.recording.recorded import recover_hint
from bci_m2s.recording.xdf_content import (
    DamageError,
    Header,
    Measured,
    RefusedError,
    check_xml,
    measure,
    read_header,
    read_length,
    with_blank_name,
)
from bci_m2s.recording.xdf_writer import (
    BOUNDARY,
    BOUNDARY_MARK,
    CLOCK_OFFSET,
    FILE_HEADER,
    MAGIC,
    SAMPLES,
    STREAM_FOOTER,
    STREAM_HEADER,
)

OF_STREAMS = (SAMPLES, CLOCK_OFFSET, STREAM_FOOTER)
BLOCK_BYTES = 1 << 20
FEWEST_LAGS, LARGEST_SPREAD_S = 3, 1.0  # recorders write twice a second or so
LARGE_BYTES = 64 << 20  # a larger chunk is accepted only without a boundary inside it


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the file: a whole chunk, or something that cannot be used.

    start, stop : bytes in the file; pieces follow each other without a gap
    tag, stream : 0 where there is none or it cannot be known
    body : tag and content of a whole chunk, b"" otherwise
    measured : of a whole Samples chunk
    problem : why it cannot be used; "" for a whole chunk
    framed : its end is certain, so that it is one chunk
    refused : a reader should refuse the whole file for it
    """

    start: int
    stop: int
    tag: int = 0
    stream: int = 0
    body: bytes = b""
    measured: Measured | None = None
    problem: str = ""
    framed: bool = True
    refused: bool = False


@dataclass(slots=True)
class Survey:
    """The result of a walk: byte ranges of whole chunks, stream headers, and descriptions of damage.

    named : where a header without a stream's name begins, and a chunk that pyxdf can read in its place
    lags_s : by stream, how far its newest stamp was behind the recorder's clock, at each clock offset
    offset_places : by stream, how many of its samples stand before each of its clock offsets
    """

    whole: list[tuple[int, int]] = field(default_factory=list)
    headers: dict[int, Header] = field(default_factory=dict)
    damage: list[str] = field(default_factory=list)
    named: dict[int, bytes] = field(default_factory=dict)
    lags_s: dict[int, list[float]] = field(default_factory=dict)
    offset_places: dict[int, list[int]] = field(default_factory=dict)
    _newest_s: dict[int, float] = field(default_factory=dict)

    def note_time(self, piece: Piece) -> None:
        """Learn from the order of the file when samples came: a clock offset says what time it was."""
        if piece.measured and math.isfinite(piece.measured.last_s):
            self._newest_s[piece.stream] = piece.measured.last_s
        elif piece.tag == CLOCK_OFFSET:
            self.offset_places.setdefault(piece.stream, []).append(self.headers[piece.stream].n_samples)
            now_s = sum(struct.unpack_from("<dd", piece.body, 6))
            for stream, newest_s in self._newest_s.items():
                self.lags_s.setdefault(stream, []).append(now_s - newest_s)

    def behind_s(self, stream: int) -> float:
        """How far a stream's stamps are behind the recorder's clock, s; NaN where that does not show.

        Samples come a little late, never early, so that it is the least lag. A file that was not written
        while samples came shows in lags that differ, or in none.
        """
        lags_s = sorted(self.lags_s.get(stream, []))
        if len(lags_s) < FEWEST_LAGS or lags_s[len(lags_s) // 2] - lags_s[0] > LARGEST_SPREAD_S:
            return math.nan
        return lags_s[0]


def survey_chunks(path: Path, file: BinaryIO) -> Survey:
    """Walk the chunks. Raises RecordingError for what makes the whole file untrustworthy."""
    size = file.seek(0, 2)
    file.seek(0)
    magic = file.read(len(MAGIC))
    if magic != MAGIC:
        raise RecordingError(
            f"{path}: not an XDF file: begins with {magic!r}, expected {MAGIC!r}; if it is a damaged one: "
            f"{recover_hint(path)}"
        )
    survey = Survey()
    headless: dict[int, int] = {}  # stream id: first chunk without a header
    for piece in walk(file, survey.headers):
        if piece.refused:
            raise RecordingError(f"{path}: {piece.problem}")
        if not piece.problem:
            if piece.tag == STREAM_HEADER and piece.stream in headless:
                raise RecordingError(
                    f"{path}: stream {piece.stream}: samples at byte {headless[piece.stream]} come before "
                    "its header"
                )
            survey.whole.append((piece.start, piece.stop))
            survey.note_time(piece)
            if piece.tag == STREAM_HEADER and not survey.headers[piece.stream].name:
                survey.named[piece.start] = _with_name(piece.body)
            if piece.measured:
                survey.headers[piece.stream].n_samples += piece.measured.count
            continue
        if piece.tag in OF_STREAMS and piece.stream not in survey.headers:
            headless.setdefault(piece.stream, piece.start)
        survey.damage.append(describe(piece, size))
    for stream_id, first in headless.items():
        survey.damage.append(f"stream {stream_id}: its samples are left out: no header (from byte {first})")
    return survey


def _with_name(body: bytes) -> bytes:
    """A chunk of a stream header whose name is a blank: pyxdf fails where there is none."""
    content = body[:6] + with_blank_name(body[6:])
    return b"\x04" + struct.pack("<I", len(content)) + content


def describe(piece: Piece, size: int) -> str:
    """Describe the problem of a piece of a file of `size` bytes."""
    if piece.framed:
        return f"chunk at byte {piece.start} is left out: {piece.problem}"
    lost = "the rest is lost" if piece.stop == size else f"{piece.stop - piece.start} bytes are skipped"
    return f"damaged at byte {piece.start}: {piece.problem}; {lost}"


def walk(
    file: BinaryIO, headers: dict[int, Header], sums: Checksums | None = None, size: int | None = None
) -> Iterator[Piece]:
    """Yield the pieces of a file behind its magic, in order.

    Memory: the largest chunk. Never raises for what is in the file.

    Parameters
    ----------
    headers : stream headers by id; those that the walk finds are added. With one that is given, samples
        that come before their header can be read
    sums : checksums of the chunks, where the recording has them
    size : walk over this many bytes only; None for the whole file
    """
    size = file.seek(0, 2) if size is None else size
    at, seen = min(len(MAGIC), size), set[int]()
    while at < size:
        piece = _piece(file, at, size, headers, seen, sums)
        yield piece
        at = piece.stop


def _piece(
    file: BinaryIO, at: int, size: int, headers: dict[int, Header], seen: set[int], sums: Checksums | None
) -> Piece:
    tag, stream = 0, 0
    try:
        body_at, stop = _chunk_bounds(file, at, size, sums)
    except DamageError as problem:
        boundary = _after_boundary(file, at, size)
        proved = sums.next_proved(file, at + 1, boundary) if sums else None
        stop = boundary if proved is None else proved  # where the walk can continue
        return Piece(at, stop, problem=str(problem), framed=False)
    file.seek(body_at)
    body = file.read(stop - body_at)
    try:
        tag, stream = _tag_and_stream(body)
        known = sums.at(at) if sums else None
        if known and sums and not (known[0] == stop - at and sums.proves(file, at)):
            raise DamageError("its bytes do not match its checksum")
        return Piece(at, stop, tag, stream, body, _examine(headers, seen, at, body, tag, stream))
    except DamageError as problem:
        # A boundary inside shows that the length is wrong; the chunks after it may be whole.
        inside = body.find(BOUNDARY_MARK) if tag != BOUNDARY else -1
        if inside >= 0:
            beyond = body_at + inside + len(BOUNDARY_MARK)
            return Piece(at, beyond, problem=str(problem), framed=False)
        return Piece(at, stop, tag, stream, problem=str(problem))
    except RefusedError as problem:
        return Piece(at, stop, tag, stream, problem=str(problem), refused=True)


def _chunk_bounds(file: BinaryIO, at: int, size: int, sums: Checksums | None) -> tuple[int, int]:
    """Return where a chunk's tag begins and where the chunk ends."""
    file.seek(at)
    length, width = read_length(file.read(9))
    body_at = at + width
    stop = body_at + length
    known = sums.at(at) if sums else None
    if known and known[0] != stop - at and sums and sums.next_proved(file, at + 1, at + known[0] + 1):
        raise DamageError(f"a chunk of {length} bytes is announced, its checksum is of {known[0]}")
    if stop > size:
        raise DamageError(f"a chunk of {length} bytes is announced, {size - body_at} are left")
    if length < 2:
        raise DamageError(f"a chunk of {length} bytes is announced, expected at least 2")
    if sums and sums.next_proved(file, at + 1, stop):
        raise DamageError(f"a chunk of {length} bytes is announced, but another begins inside it")
    if length > LARGE_BYTES and _after_boundary(file, body_at, stop) < stop:
        raise DamageError(f"a chunk of {length} bytes is announced, but a boundary lies inside it")
    return body_at, stop


def _after_boundary(file: BinaryIO, at: int, size: int) -> int:
    """Return the first byte after the next boundary chunk before `size`, `size` when there is none."""
    overlap = len(BOUNDARY_MARK) - 1
    while at < size:
        file.seek(at)
        offset = file.read(min(BLOCK_BYTES + overlap, size - at)).find(BOUNDARY_MARK)
        if offset >= 0:
            return at + offset + len(BOUNDARY_MARK)
        at += BLOCK_BYTES
    return size


def _tag_and_stream(body: bytes) -> tuple[int, int]:
    """Return a chunk's tag and the stream that it belongs to, 0 where it belongs to none."""
    tag = int.from_bytes(body[:2], "little")
    if tag in (FILE_HEADER, BOUNDARY) or not FILE_HEADER <= tag <= STREAM_FOOTER:
        return tag, 0
    if len(body) < 6:
        raise DamageError(f"{len(body)} bytes, expected at least 6")
    return tag, struct.unpack_from("<I", body, 2)[0]


def _examine(
    headers: dict[int, Header], seen: set[int], at: int, body: bytes, tag: int, stream: int
) -> Measured | None:
    """Check one chunk's content and note its header or samples. Raises DamageError, RefusedError."""
    if tag == FILE_HEADER:
        check_xml(body[2:])
    elif tag == BOUNDARY and body[2:] != BOUNDARY_MARK:
        raise DamageError("a boundary without its mark")
    elif tag == STREAM_HEADER:
        if stream in seen:
            raise RefusedError(f"stream {stream}: second header (at byte {at}), expected one")
        headers[stream] = read_header(stream, body[6:])
        seen.add(stream)
    elif tag in OF_STREAMS:
        if stream not in headers:
            raise DamageError(f"stream {stream} has no header before it")
        if tag == SAMPLES:
            return measure(body[6:], headers[stream])
        if tag == STREAM_FOOTER:
            check_xml(body[6:])
        elif len(body) != 22:
            raise DamageError(f"a clock offset of {len(body) - 6} bytes, expected 16")
    return None


def whole_chunks(file: BinaryIO, survey: Survey) -> BinaryIO:
    """Return a file in memory of the magic and the whole chunks alone, every stream with a name."""
    copy = BytesIO(MAGIC)
    copy.seek(0, 2)
    for start, stop in survey.whole:
        file.seek(start)
        copy.write(survey.named.get(start) or file.read(stop - start))
    return copy
