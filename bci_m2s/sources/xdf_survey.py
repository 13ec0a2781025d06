"""What an XDF file really holds: a walk over its chunks that trusts nothing.

XDF is a row of chunks, each with its length in front, then a tag, then content that depends on the tag
(format: github.com/sccn/xdf/wiki/Specifications). A chunk is whole when its length fits into the file, its
XML is plain XML, and its samples fill it exactly. What is behind a damaged length is found again at the
next boundary chunk, which recorders write every few seconds for this purpose.
"""

from __future__ import annotations

import math
import struct
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import BinaryIO
from xml.parsers import expat

from bci_m2s.errors import RecordingError
from bci_m2s.sources.recorded import one_line

MAGIC = b"XDF:"
FILE_HEADER, STREAM_HEADER, SAMPLES, CLOCK_OFFSET, BOUNDARY, STREAM_FOOTER = range(1, 7)
BOUNDARY_MARK = bytes.fromhex("43a546dccbf5410fb30ed5467383cbe4")
VALUE_BYTES = {"int8": 1, "int16": 2, "int32": 4, "int64": 8, "float32": 4, "double64": 8}
MOST_CHANNELS = 65_535
DEEPEST_XML = 64


class _DamageError(Exception):
    """A chunk that cannot be used; the message says why."""


@dataclass(slots=True)
class Header:
    """What the survey needs to know of a stream."""

    n_channels: int
    channel_format: str
    n_samples: int = 0


@dataclass(slots=True)
class Survey:
    """What the walk found: byte ranges of whole chunks, stream headers, and damage in words."""

    whole: list[tuple[int, int]] = field(default_factory=list)
    headers: dict[int, Header] = field(default_factory=dict)
    headless: dict[int, int] = field(default_factory=dict)  # stream id: first chunk without a header
    damage: list[str] = field(default_factory=list)


def survey_chunks(path: Path, file: BinaryIO) -> Survey:
    """Walk the chunks. Raises RecordingError for what makes the whole file untrustworthy."""
    size = file.seek(0, 2)
    file.seek(0)
    magic = file.read(len(MAGIC))
    if magic != MAGIC:
        raise RecordingError(f"{path}: not an XDF file: begins with {magic!r}, expected {MAGIC!r}")
    survey, at = Survey(), len(MAGIC)
    while at < size:
        try:
            body_at, stop = _chunk_bounds(file, at, size)
        except _DamageError as problem:
            beyond = _after_boundary(file, at, size)
            lost = "the rest is lost" if beyond == size else f"{beyond - at} bytes are skipped"
            survey.damage.append(f"damaged at byte {at}: {problem}; {lost}")
            at = beyond
            continue
        try:
            file.seek(body_at)
            _examine(survey, at, file.read(stop - body_at))
            survey.whole.append((at, stop))
        except _DamageError as problem:
            survey.damage.append(f"chunk at byte {at} is left out: {problem}")
        except RecordingError as problem:
            raise RecordingError(f"{path}: {problem}") from None
        at = stop
    for stream_id, first in survey.headless.items():
        survey.damage.append(f"stream {stream_id}: its samples are left out: no header (from byte {first})")
    return survey


def _chunk_bounds(file: BinaryIO, at: int, size: int) -> tuple[int, int]:
    """Return where a chunk's tag begins and where the chunk ends."""
    file.seek(at)
    length, width = _varlen(file.read(9))
    body_at = at + width
    stop = body_at + length
    if stop > size:
        raise _DamageError(f"a chunk of {length} bytes is announced, {size - body_at} are left")
    if length < 2:
        raise _DamageError(f"a chunk of {length} bytes is announced, expected at least 2")
    return body_at, stop


def _varlen(data: bytes) -> tuple[int, int]:
    """Read a length: one byte that says how wide it is (1, 4 or 8), then the length itself."""
    width = data[0] if data else 0
    if width not in (1, 4, 8) or len(data) < 1 + width:
        raise _DamageError(f"no length where one is expected (got {data[:9].hex(' ') or 'nothing'})")
    return int.from_bytes(data[1 : 1 + width], "little"), 1 + width


def _after_boundary(file: BinaryIO, at: int, size: int) -> int:
    """Return the first byte behind the next boundary chunk, the file's end when there is none."""
    block, overlap = 1 << 20, len(BOUNDARY_MARK) - 1
    while at < size:
        file.seek(at)
        found = file.read(block + overlap).find(BOUNDARY_MARK)
        if found >= 0:
            return at + found + len(BOUNDARY_MARK)
        at += block
    return size


def _examine(survey: Survey, at: int, body: bytes) -> None:
    """Check one chunk, tag included, and note what it tells. Raises _DamageError, RecordingError."""
    tag = int.from_bytes(body[:2], "little")
    if tag in (FILE_HEADER, BOUNDARY) or tag > STREAM_FOOTER:
        if tag == FILE_HEADER:
            _refuse_hostile_xml(body[2:])
        return
    if len(body) < 6:
        raise _DamageError(f"{len(body)} bytes, expected at least 6")
    stream_id, content = struct.unpack_from("<I", body, 2)[0], body[6:]
    if tag == STREAM_HEADER:
        _note_header(survey, stream_id, at, content)
    elif stream_id not in survey.headers:
        survey.headless.setdefault(stream_id, at)
        raise _DamageError(f"stream {stream_id} has no header before it")
    elif tag == SAMPLES:
        header = survey.headers[stream_id]
        header.n_samples += _count_samples(content, header)
    elif tag == CLOCK_OFFSET and len(content) != 16:
        raise _DamageError(f"a clock offset of {len(content)} bytes, expected 16")
    elif tag == STREAM_FOOTER:
        _refuse_hostile_xml(content)


def _note_header(survey: Survey, stream_id: int, at: int, content: bytes) -> None:
    if stream_id in survey.headers:
        raise RecordingError(f"stream {stream_id}: second header (at byte {at}), expected one")
    if stream_id in survey.headless:
        first = survey.headless[stream_id]
        raise RecordingError(f"stream {stream_id}: samples at byte {first} come before its header")
    try:
        text = content.decode("utf-8", "replace")  # as pyxdf does
        _refuse_hostile_xml(text)
        root = ET.fromstring(text)
    except _DamageError as problem:
        raise RecordingError(f"stream {stream_id}: header: {problem}") from None
    if root.tag != "info":
        raise RecordingError(f"stream {stream_id}: header: got element {root.tag[:40]!r}, expected 'info'")
    fields = {
        child.tag: (child.text or "").strip() for child in reversed(root)
    }  # the first of twins counts
    survey.headers[stream_id] = _checked_header(f"stream {stream_id} {fields.get('name', '')!r}", fields)


def _checked_header(where: str, fields: dict[str, str]) -> Header:
    count, rate = fields.get("channel_count", ""), fields.get("nominal_srate", "")
    if not count.isdecimal() or not 1 <= int(count[:9]) <= MOST_CHANNELS or len(count) > 9:
        raise RecordingError(f"{where}: channel_count: got {count[:40]!r}, expected 1 to {MOST_CHANNELS}")
    try:
        rate_hz = float(rate)
    except ValueError:
        rate_hz = math.nan
    if not 0 <= rate_hz < math.inf:
        raise RecordingError(f"{where}: nominal_srate: got {rate[:40]!r}, expected a number from 0 up")
    channel_format = fields.get("channel_format", "")
    if channel_format != "string" and channel_format not in VALUE_BYTES:
        known = ", ".join([*VALUE_BYTES, "string"])
        raise RecordingError(
            f"{where}: channel_format: got {channel_format[:40]!r}, expected one of {known}"
        )
    return Header(int(count), channel_format)


def _refuse_hostile_xml(text: str | bytes) -> None:
    """Refuse XML that is malformed, nests without end, or declares entities (they can expand to gigabytes).

    Raises _DamageError when malformed, RecordingError when it declares a document type: no XDF writer
    does so, and without one no entity can be declared.
    """
    depth = 0

    def open_element(_name: str, _attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > DEEPEST_XML:
            raise _DamageError(f"XML nested deeper than {DEEPEST_XML}")

    def close_element(_name: str) -> None:
        nonlocal depth
        depth -= 1

    def refuse(*_declaration: object) -> None:
        raise RecordingError("XML header declares a document type (DOCTYPE); entities are not read")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = open_element, close_element
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(text, True)
    except (expat.ExpatError, ValueError, LookupError) as problem:  # the latter two: odd encodings
        raise _DamageError(f"not XML: {one_line(problem)}") from None


def _count_samples(content: bytes, header: Header) -> int:
    """Walk the samples of a chunk, which must fill it exactly, and return their number."""
    count, at = _varlen(content[:9])
    width = header.n_channels * VALUE_BYTES.get(header.channel_format, 0)
    end = len(content)
    for _ in range(count):
        at += 9 if content[at : at + 1] > b"\0" else 1  # a stamp, or a sign that it is to be deduced
        if header.channel_format == "string":
            for _ in range(header.n_channels):
                length, prefix = _varlen(content[at : at + 9])
                at += prefix + length
        else:
            at += width
        if at > end:
            break
    if at != end:
        raise _DamageError(f"its {count} samples do not fill its {end} bytes")
    return count


def whole_chunks(file: BinaryIO, survey: Survey) -> BinaryIO:
    copy = BytesIO(MAGIC)
    copy.seek(0, 2)
    for start, stop in survey.whole:
        file.seek(start)
        copy.write(file.read(stop - start))
    return copy
