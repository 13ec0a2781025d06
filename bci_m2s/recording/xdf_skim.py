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
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bci_m2s.errors import RecordingError
from bci_m2s.recording.file_settings import FileSettings
from bci_m2s.recording.read_xdf import decode_xdf
from bci_m2s.recording.recorded import RecordedStream, Recording, file_kind, open_recording
from bci_m2s.recording.xdf_content import DamageError, RefusedError, read_header, read_length
from bci_m2s.recording.xdf_survey import OF_STREAMS
from bci_m2s.recording.xdf_writer import BOUNDARY, FILE_HEADER, MAGIC, SAMPLES, STREAM_HEADER

STAMP_BYTES = 8


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


class _Chunk(NamedTuple):
    start: int
    content: int
    stop: int
    tag: int
    stream: int


@dataclass
class _Numbers:
    """Streams of numbers whose samples are passed over: how many there are, and their chunks' ends."""

    rate_hz: float
    record_bytes: int
    n_samples: int = 0
    first: _Chunk | None = None
    last: _Chunk | None = None
    counts: list[int] = field(default_factory=list)


def _skimmed(path: Path) -> Recording:
    kept = BytesIO(MAGIC)
    kept.seek(0, 2)
    numbers: dict[int, _Numbers] = {}
    order: list[int] = []
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data[: len(MAGIC)] != MAGIC:
            raise DamageError("no magic")
        for chunk in _chunks(data):
            if chunk.tag == STREAM_HEADER:
                header = read_header(chunk.stream, data[chunk.content : chunk.stop])
                order.append(chunk.stream)
                if header.channel_format != "string" and not header.is_markers:
                    numbers[chunk.stream] = _Numbers(header.rate_hz, 1 + STAMP_BYTES + header.sample_bytes)
            if chunk.tag == SAMPLES and chunk.stream in numbers:
                passed = numbers[chunk.stream]
                count, _ = read_length(data[chunk.content : chunk.content + 9])
                passed.n_samples += count
                passed.first, passed.last = passed.first or chunk, chunk
                passed.counts.append(count)
            else:
                kept.write(data[chunk.start : chunk.stop])
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
    while at < size:
        length, width = read_length(data[at : at + 9])
        body, stop = at + width, at + width + length
        if stop > size or length < 2:
            raise DamageError("a chunk is cut")
        (tag,) = struct.unpack_from("<H", data, body)
        if tag in OF_STREAMS or tag == STREAM_HEADER:
            (stream,) = struct.unpack_from("<I", data, body + 2)
            yield _Chunk(at, body + 6, stop, tag, stream)
        elif tag in (FILE_HEADER, BOUNDARY):
            yield _Chunk(at, body + 2, stop, tag, 0)
        else:
            raise DamageError(f"tag {tag}")
        at = stop


def _span(data: Any, passed: _Numbers) -> tuple[float, ...]:
    """First and last stamp; () of a stream without samples. A stamp that was left out is deduced."""
    if passed.first is None or passed.last is None or not passed.n_samples:
        return ()
    first_s = _stamp(data, passed.first, passed, 0)
    last_s = _stamp(data, passed.last, passed, passed.counts[-1] - 1)
    if math.isnan(last_s) and passed.rate_hz:
        last_s = first_s + (passed.n_samples - 1) / passed.rate_hz
    return (first_s, last_s if math.isfinite(last_s) else first_s)


def _stamp(data: Any, chunk: _Chunk, passed: _Numbers, index: int) -> float:
    """The stamp of a chunk's sample; NaN where that of its last is not written out."""
    count, width = read_length(data[chunk.content : chunk.content + 9])
    begin = chunk.content + width
    if index and chunk.stop - begin != count * passed.record_bytes:
        return math.nan
    at = begin + index * passed.record_bytes
    return float(struct.unpack_from("<d", data, at + 1)[0]) if data[at] == STAMP_BYTES else math.nan


def _passed_over(stream: RecordedStream, span: tuple[float, ...]) -> RecordedStream:
    def read(_start: int, _stop: int) -> NDArray[Any]:
        raise RecordingError(f"stream {stream.info.name!r}: only its headers were read")

    return replace(stream, times=np.array(span, dtype=np.float64), read=read)
