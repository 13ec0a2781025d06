"""The content of single XDF chunks, read without trusting it: stream headers, footers, samples."""

from __future__ import annotations

import math
import struct
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from xml.parsers import expat

import numpy as np

from bci_m2s.lsl.markers import MARKER_TYPES
from bci_m2s.recording.xdf_writer import NUMBERS
from bci_m2s.text import printable, quoted

VALUE_BYTES = {name: np.dtype(code).itemsize for name, code in NUMBERS.items()}
MOST_IN_STREAM = 65_535
DEEPEST_XML = 64


class DamageError(Exception):
    """A chunk that cannot be used; the message says why."""


class RefusedError(Exception):
    """A chunk that makes the whole file untrustworthy for a reader; the message says why."""


@dataclass(slots=True)
class Header:
    """The fields of a stream header that the survey needs."""

    n_channels: int
    channel_format: str
    rate_hz: float = 0.0
    name: str = ""
    n_samples: int = 0
    stream_type: str = ""

    @property
    def is_markers(self) -> bool:
        """Whether its type is one of markers."""
        return self.stream_type.casefold() in MARKER_TYPES

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample of numbers, without its stamp."""
        return self.n_channels * VALUE_BYTES[self.channel_format]


@dataclass(frozen=True, slots=True)
class Measured:
    """Samples of one chunk: their number, first and last stamp (s; NaN: to be deduced)."""

    count: int
    first_s: float = math.nan
    last_s: float = math.nan


def read_length(data: bytes) -> tuple[int, int]:
    """Read a length: one byte with its width (1, 4 or 8), then the length itself.

    Returns the length and the number of bytes read. Raises DamageError.
    """
    width = data[0] if data else 0
    if width not in (1, 4, 8) or len(data) < 1 + width:
        raise DamageError(f"no length where one is expected (got {data[:9].hex(' ') or 'nothing'})")
    return int.from_bytes(data[1 : 1 + width], "little"), 1 + width


def read_header(stream: int, content: bytes) -> Header:
    """Read a stream header's XML. Raises RefusedError for one that no reader should follow."""
    try:
        text = content.decode("utf-8", "replace")  # as pyxdf does
        check_xml(text)
        root = ET.fromstring(text)
    except (DamageError, RefusedError) as problem:
        raise RefusedError(f"stream {stream}: header: {problem}") from None
    if root.tag != "info":
        raise RefusedError(f"stream {stream}: header: got element {root.tag[:40]!r}, expected 'info'")
    fields = {
        child.tag: (child.text or "").strip() for child in reversed(root)
    }  # the first of twins counts
    return _checked_header(f"stream {stream} {quoted(fields.get('name', ''), 80)}", fields)


def with_blank_name(content: bytes) -> bytes:
    """A stream header's XML, which ``read_header`` has read, with a blank for its name."""
    root = ET.fromstring(content.decode("utf-8", "replace"))
    name = root.find("name")
    if name is None:
        name = ET.SubElement(root, "name")
    name.text = " "
    return ET.tostring(root, "utf-8")


def _checked_header(where: str, fields: dict[str, str]) -> Header:
    count, rate = fields.get("channel_count", ""), fields.get("nominal_srate", "")
    if not count.isdecimal() or not 1 <= int(count[:9]) <= MOST_IN_STREAM or len(count) > 9:
        raise RefusedError(
            f"{where}: channel_count: got {count[:40]!r}, expected between 1 and {MOST_IN_STREAM}"
        )
    try:
        rate_hz = float(rate)
    except ValueError:
        rate_hz = math.nan
    if not 0 <= rate_hz < math.inf:
        raise RefusedError(
            f"{where}: nominal_srate: got {rate[:40]!r}, expected a finite number of at least 0"
        )
    channel_format = fields.get("channel_format", "")
    if channel_format != "string" and channel_format not in VALUE_BYTES:
        known = ", ".join([*VALUE_BYTES, "string"])
        raise RefusedError(f"{where}: channel_format: got {channel_format[:40]!r}, expected one of {known}")
    name, stream_type = fields.get("name", ""), fields.get("type", "")
    return Header(int(count), channel_format, rate_hz, name, stream_type=stream_type)


def check_xml(text: str | bytes) -> None:
    """Refuse XML that is malformed, nests without end, or declares entities (they can expand to gigabytes).

    Raises DamageError when malformed, RefusedError when it declares a document type: no XDF writer
    does so, and without one no entity can be declared.
    """
    depth = 0

    def open_element(_name: str, _attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > DEEPEST_XML:
            raise DamageError(f"XML nested deeper than {DEEPEST_XML}")

    def close_element(_name: str) -> None:
        nonlocal depth
        depth -= 1

    def refuse(*_declaration: object) -> None:
        raise RefusedError("XML header declares a document type (DOCTYPE); entities are not read")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = open_element, close_element
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(text, True)
    except (expat.ExpatError, ValueError, LookupError) as problem:  # the latter two: odd encodings
        raise DamageError(f"not XML: {printable(problem)}") from None


def measure(content: bytes, header: Header) -> Measured:
    """Measure the samples of a chunk, which must fill it exactly. Raises DamageError."""
    count, at = read_length(content[:9])
    if header.channel_format != "string":
        uniform = _all_stamped(content, at, count, header.n_channels * VALUE_BYTES[header.channel_format])
        if uniform:
            return uniform
    return _walk_samples(content, at, count, header)


def _all_stamped(content: bytes, at: int, count: int, width: int) -> Measured | None:
    """Measure numbers that all have a stamp, the usual case, at once; None in other cases."""
    record = 9 + width
    if not count or len(content) - at != count * record:
        return None
    flags = np.frombuffer(content, np.uint8, offset=at)[::record]
    if not (flags > 0).all():
        return None
    (first_s,) = struct.unpack_from("<d", content, at + 1)
    (last_s,) = struct.unpack_from("<d", content, at + 1 + (count - 1) * record)
    return Measured(count, first_s, last_s)


def _walk_samples(content: bytes, at: int, count: int, header: Header) -> Measured:
    """Measure texts, or numbers of which some have no stamp of their own."""
    width = header.n_channels * VALUE_BYTES.get(header.channel_format, 0)
    step_s = 1 / header.rate_hz if header.rate_hz else 0.0
    end, first_s, last_s = len(content), math.nan, math.nan
    for number in range(count):
        if content[at : at + 1] > b"\0":  # a stamp, else a 0: to be deduced
            last_s = struct.unpack_from("<d", content, at + 1)[0] if at + 9 <= end else math.nan
            first_s = first_s if number else last_s
            at += 9
        else:
            last_s += step_s
            at += 1
        if header.channel_format == "string":
            for _ in range(header.n_channels):
                length, prefix = read_length(content[at : at + 9])
                at += prefix + length
        else:
            at += width
        if at > end:
            break
    if at != end:
        raise DamageError(f"its {count} samples do not fill its {end} bytes")
    return Measured(count, first_s, last_s)
