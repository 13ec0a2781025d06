"""What an XDF file holds, without its samples: headers, clock offsets, and the markers.

Of streams of numbers only the lengths of chunks are read, so a recording of an hour takes a fraction of a
second. A file with anything odd about it is read whole instead, and says what.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci_m2s.errors import RecordingError
from bci_m2s.recording.file_settings import FileSettings
from bci_m2s.recording.read_xdf import decode_xdf
from bci_m2s.recording.recorded import RecordedStream, Recording, file_kind, open_recording
from bci_m2s.recording.xdf_content import DamageError, RefusedError, read_header, read_length
from bci_m2s.recording.xdf_survey import OF_STREAMS
from bci_m2s.recording.xdf_writer import BOUNDARY, FILE_HEADER, MAGIC, SAMPLES, STREAM_FOOTER, STREAM_HEADER

STAMP_BYTES = 8
WITH_STREAM = (*OF_STREAMS, STREAM_HEADER)


def skim_recording(path: Path, files: Sequence[FileSettings] = ()) -> Recording:
    """A recording of which streams of numbers have their first and last stamp, and no samples.

    Formats other than XDF are opened as usual, which reads no samples either; `files` as there.

    Raises
    ------
    RecordingError
        As ``open_recording``.
    """
    if path.suffix.lower() != ".xdf" or file_kind(path) != ".xdf":
        return open_recording(path, files)
    try:
        return _skimmed(path)
    except (DamageError, RefusedError, struct.error, IndexError):
        return open_recording(path)  # says what is wrong with it
    except OSError as problem:
        raise RecordingError(f"{path}: cannot be read: {problem.strerror or problem}") from None


_Chunk = tuple[int, int, int, int, int]  # first byte, content, end, tag, stream (0 for none)


@dataclass
class _Numbers:
    """A stream of numbers whose samples are passed over: where its chunks have their content and end."""

    rate_hz: float
    record_bytes: int
    contents: list[int] = field(default_factory=list)
    end: int = 0


def _skimmed(path: Path) -> Recording:
    kept = BytesIO(MAGIC)
    kept.seek(0, 2)
    numbers: dict[int, _Numbers] = {}
    order: list[int] = []
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data[: len(MAGIC)] != MAGIC:
            raise DamageError("no magic")
        for start, content, stop, tag, stream in _chunks(data):
            if tag == SAMPLES and stream in numbers:
                numbers[stream].contents.append(content)
                numbers[stream].end = stop
                continue
            if tag == STREAM_HEADER:
                header = read_header(stream, data[content:stop])
                order.append(stream)
                if header.channel_format != "string" and not header.is_markers:
                    numbers[stream] = _Numbers(header.rate_hz, 1 + STAMP_BYTES + header.sample_bytes)
            if tag != STREAM_FOOTER:  # it repeats what the chunks say
                kept.write(data[start:stop])
        spans = {stream: _span(data, passed) for stream, passed in numbers.items()}
    kept.seek(0)
    recording = decode_xdf(path, kept)
    if len(recording.streams) != len(order):
        raise DamageError("a stream without a header")
    streams = tuple(
        _passed_over(stream, spans[number]) if number in spans else stream
        for number, stream in zip(order, recording.streams, strict=True)
    )
    return replace(recording, streams=streams)


def _chunks(data: Any) -> Iterator[_Chunk]:
    """Every chunk of a file. Raises DamageError, struct.error or IndexError for one that is not whole."""
    at, size = len(MAGIC), len(data)
    long_length, tag_and_stream = struct.Struct("<I").unpack_from, struct.Struct("<HI").unpack_from
    while at < size:
        width = data[at]
        if width == 4:  # as nearly all have it
            body = at + 5
            stop = body + long_length(data, at + 1)[0]
        else:
            length, taken = read_length(data[at : at + 9])
            body, stop = at + taken, at + taken + length
        if stop > size or stop - body < 2:
            raise DamageError("a chunk is cut")
        tag = data[body]  # a tag has two bytes, of which the second is 0
        if tag in WITH_STREAM:
            tag, stream = tag_and_stream(data, body)
            yield at, body + 6, stop, tag, stream
        elif tag in (FILE_HEADER, BOUNDARY):
            yield at, body + 2, stop, tag, 0
        else:
            raise DamageError(f"tag {tag}")
        at = stop


def _span(data: Any, passed: _Numbers) -> tuple[float, ...]:
    """First and last stamp; () of a stream without samples. A stamp that was left out is deduced."""
    counts = [_count(data, content) for content in (passed.contents[:1] + passed.contents[-1:])]
    if not any(count for count, _ in counts):
        return ()
    first_s = _stamp(data, passed.contents[0] + counts[0][1])
    content, (count, width) = passed.contents[-1], counts[-1]
    last_s = math.nan
    if passed.end - content - width == count * passed.record_bytes:  # all stamps are written out
        last_s = _stamp(data, content + width + (count - 1) * passed.record_bytes)
    if math.isnan(last_s) and passed.rate_hz:
        n_samples = sum(_count(data, content)[0] for content in passed.contents)
        last_s = first_s + (n_samples - 1) / passed.rate_hz
    return (first_s, last_s if math.isfinite(last_s) else first_s)


def _count(data: Any, content: int) -> tuple[int, int]:
    """Number of samples of a chunk, and the bytes that say so."""
    return read_length(data[content : content + 9])


def _stamp(data: Any, at: int) -> float:
    """The stamp of the sample at a byte; NaN where it is not written out."""
    return float(struct.unpack_from("<d", data, at + 1)[0]) if data[at] == STAMP_BYTES else math.nan


def _passed_over(stream: RecordedStream, span: tuple[float, ...]) -> RecordedStream:
    def read(_start: int, _stop: int) -> NDArray[Any]:
        raise RecordingError(f"stream {stream.info.name!r}: only its headers were read")

    return replace(stream, times=np.array(span, dtype=np.float64), read=read)
