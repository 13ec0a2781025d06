"""XDF 1.0, written so that the file is readable whenever writing stops.

XDF (github.com/sccn/xdf/wiki/Specifications) is a sequence of chunks, each with its length in front, then a
tag, then content. Chunks are only appended. A second file has one line per chunk with its position and
CRC-32, written after the chunk itself: a recovery can check what is intact.
"""

from __future__ import annotations

import math
import os
import struct
import zlib
from array import array
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci_m2s.errors import OutputError
from bci_m2s.files.append_file import MOST_WAITING_BYTES, AppendFile, Sync
from bci_m2s.recording import SUMS_SUFFIX
from bci_m2s.recording.xdf_headers import DECLARATION, footer_xml, readable, stream_xml
from bci_m2s.types import FloatArray, StreamInfo

MAGIC = b"XDF:"
FILE_HEADER, STREAM_HEADER, SAMPLES, CLOCK_OFFSET, BOUNDARY, STREAM_FOOTER = range(1, 7)
BOUNDARY_MARK = bytes.fromhex("43a546dccbf5410fb30ed5467383cbe4")  # the specification's UUID
NUMBERS = {"int8": "i1", "int16": "<i2", "int32": "<i4", "int64": "<i8"}
NUMBERS |= {"float32": "<f4", "double64": "<f8"}
SUMS_HEADING = b"# checksums of an XDF file, one line a chunk: first byte, length, CRC-32 (hex)\n"
MOST_FOOTER_OFFSETS = 4096  # the chunks hold all of them; a footer repeats some, evenly spaced


@dataclass(slots=True)
class _Stream:
    """A stream of the file and the contents of its footer.

    offset_times_s, offsets_s : what the footer repeats; as numbers side by side, a day of them is no matter
    """

    info: StreamInfo
    record: np.dtype[Any] | None  # one sample in a chunk; None for text
    count: int = 0
    first_s: float = math.nan
    last_s: float = math.nan
    offset_times_s: array[float] = field(default_factory=lambda: array("d"))
    offsets_s: array[float] = field(default_factory=lambda: array("d"))
    offsets_seen: int = 0
    offsets_stride: int = 1


class XdfWriter:
    """A new XDF file and its checksums; one thread writes, any may call ``fsync`` and read the counts.

    Nothing raises for a full or broken disk: data wait in memory (see ``AppendFile``) and ``problem`` gives
    the cause.

    Parameters
    ----------
    path : must not exist, nor PATH.sums
    most_waiting_bytes : memory for waiting data; beyond it samples are dropped

    Attributes
    ----------
    samples_written : samples that were accepted, of all streams
    lost_samples : samples that were dropped or could not be written until the close

    Raises
    ------
    OutputError
        When a file exists or cannot be created.
    """

    def __init__(
        self, path: Path, most_waiting_bytes: int = MOST_WAITING_BYTES, sync: Sync = os.fsync
    ) -> None:
        self.path = path
        self._data = AppendFile(path, most_waiting_bytes, sync)
        try:
            self._sums = AppendFile(path.with_name(path.name + SUMS_SUFFIX), most_waiting_bytes, sync)
        except OutputError:
            self._data.close()
            path.unlink()  # ours, and empty
            raise
        self._streams: list[_Stream] = []
        self._unsummed: deque[tuple[int, bytes, int]] = deque()  # end in the file, line, samples in it
        self.samples_written = self.lost_samples = 0
        self._sums.append(SUMS_HEADING)
        self._data.append(MAGIC, essential=True)
        made = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S%z")  # as LabRecorder writes it: +0000
        header = f"{DECLARATION}<info><version>1.0</version><datetime>{made}</datetime></info>"
        self._chunk(FILE_HEADER, header.encode(), essential=True)

    # ---- state ----

    @property
    def problem(self) -> str:
        """Why something cannot be written now; "" without a problem."""
        return self._data.problem or self._sums.problem

    @property
    def bytes_written(self) -> int:
        """Size of the XDF file."""
        return self._data.written_bytes

    @property
    def waiting_bytes(self) -> int:
        """Bytes in memory only."""
        return self._data.waiting_bytes + self._sums.waiting_bytes

    # ---- content ----

    def add_stream(self, info: StreamInfo, description_xml: str = "") -> int:
        """Write a stream's header and return its id, 1 for the first.

        Parameters
        ----------
        info : with the channel count and format in which samples are written
        description_xml : the sender's own description; used as the header when it is XML and agrees with
            `info`, else the header is made from `info`

        Raises
        ------
        OutputError
            For a channel format that XDF does not know, or no channel.
        """
        self._streams.append(_Stream(info, sample_record(info)))
        header = readable(description_xml, info) or stream_xml(info)
        self._stream_chunk(STREAM_HEADER, len(self._streams), header.encode(), essential=True)
        return len(self._streams)

    def samples(self, stream: int, times: FloatArray, samples: NDArray[Any]) -> bool:
        """Write one Samples chunk; false when it had to be dropped, which is counted.

        times : (n,) s, the sender's clock, kept bit for bit; samples : (n, channels)
        """
        n = len(times)
        if not n:
            return True
        entry = self._streams[stream - 1]
        content = _text_content(times, samples) if entry.record is None else _content(entry, times, samples)
        if not self._stream_chunk(SAMPLES, stream, _varlen(n) + content, n):
            self.lost_samples += n
            return False
        self.samples_written += n
        entry.count += n
        finite = times[np.isfinite(times)]
        if len(finite):
            entry.first_s = float(finite[0]) if math.isnan(entry.first_s) else entry.first_s
            entry.last_s = float(finite[-1])
        return True

    def clock_offset(self, stream: int, measured_s: float, offset_s: float) -> None:
        """Write a clock offset measured at `measured_s`, local clock, s; `offset_s` is added to stamps.

        As LabRecorder does, the moment is written in the sender's clock: `measured_s` - `offset_s`.
        """
        entry = self._streams[stream - 1]
        pair = (measured_s - offset_s, offset_s)
        self._stream_chunk(CLOCK_OFFSET, stream, struct.pack("<dd", *pair))
        if entry.offsets_seen % entry.offsets_stride == 0:
            entry.offset_times_s.append(pair[0])
            entry.offsets_s.append(pair[1])
        entry.offsets_seen += 1
        if len(entry.offsets_s) >= MOST_FOOTER_OFFSETS:
            entry.offset_times_s, entry.offsets_s = entry.offset_times_s[::2], entry.offsets_s[::2]
            entry.offsets_stride *= 2

    def boundary(self) -> None:
        """Write the mark at which a reader can continue after damage."""
        self._chunk(BOUNDARY, BOUNDARY_MARK)

    def footer(self, stream: int) -> None:
        """Write a stream's footer; nothing of the stream may follow."""
        entry = self._streams[stream - 1]
        offsets = zip(entry.offset_times_s, entry.offsets_s, strict=True)
        xml = footer_xml(entry.count, entry.first_s, entry.last_s, offsets)
        self._stream_chunk(STREAM_FOOTER, stream, xml.encode(), essential=True)

    # ---- to the disk ----

    def flush(self) -> bool:
        """Pass everything to the operating system; true when nothing is left in memory."""
        done = self._data.flush()
        self._add_sums()
        return self._sums.flush() and done

    def fsync(self) -> None:
        """Wait until flushed data are on the disk. Any thread may call it."""
        self._data.fsync()
        self._sums.fsync()

    def close(self) -> None:
        """Write footers, flush, sync; what cannot be written is cut at a chunk's end. Harmless twice."""
        if self._data.closed:
            return
        for number in range(1, len(self._streams) + 1):
            self.footer(number)
        self.flush()  # all of it, before the first sync that may block
        self._data.close()
        self._add_sums()
        unwritten = sum(n for _, _, n in self._unsummed)
        self.lost_samples += unwritten
        self.samples_written -= unwritten
        self._unsummed.clear()
        self._sums.close()

    def _stream_chunk(
        self, tag: int, stream: int, content: bytes, n_samples: int = 0, essential: bool = False
    ) -> bool:
        return self._chunk(tag, struct.pack("<I", stream) + content, n_samples, essential)

    def _chunk(self, tag: int, content: bytes, n_samples: int = 0, essential: bool = False) -> bool:
        chunk = chunk_of(tag, content)
        begins_at = self._data.append(chunk, essential)
        if begins_at < 0:
            return False
        line = f"{begins_at} {len(chunk)} {zlib.crc32(chunk):08x}\n".encode()
        self._unsummed.append((begins_at + len(chunk), line, n_samples))
        return True

    def _add_sums(self) -> None:
        """Queue the checksums of the chunks that are completely in the file."""
        while self._unsummed and self._unsummed[0][0] <= self._data.whole_bytes:
            self._sums.append(self._unsummed.popleft()[1])


# ---- chunks and their content ----


def chunk_of(tag: int, content: bytes) -> bytes:
    """A whole chunk: its length, its tag, its content."""
    return _varlen(len(content) + 2) + struct.pack("<H", tag) + content


def sample_record(info: StreamInfo) -> np.dtype[Any] | None:
    """One sample of a stream in a chunk: stamp width, stamp, values; None for text.

    Raises OutputError for a format that XDF does not know, or no channel.
    """
    if info.n_channels < 1:
        raise OutputError(f"stream {info.name!r}: channels: got 0, expected at least 1")
    if info.channel_format == "string":
        return None
    if info.channel_format not in NUMBERS:
        known = ", ".join([*NUMBERS, "string"])
        raise OutputError(
            f"stream {info.name!r}: channel format: got {info.channel_format!r}, expected one of {known}"
        )
    values = (NUMBERS[info.channel_format], (info.n_channels,))
    return np.dtype([("stamp_bytes", "u1"), ("time", "<f8"), ("values", *values)])


def check_samples(info: StreamInfo, times: FloatArray, samples: NDArray[Any]) -> None:
    """Refuse samples that do not fit their stream. Raises OutputError naming got and expected."""
    expected = (len(times), info.n_channels)
    if samples.shape != expected:
        raise OutputError(f"stream {info.name!r}: samples: got shape {samples.shape}, expected {expected}")
    if info.channel_format != "string" and not np.can_cast(samples.dtype, NUMBERS[info.channel_format]):
        raise OutputError(
            f"stream {info.name!r}: samples: got {samples.dtype}, which {info.channel_format} cannot hold"
        )


def _content(stream: _Stream, times: FloatArray, samples: NDArray[Any]) -> bytes:
    check_samples(stream.info, times, samples)
    records = np.empty(len(times), stream.record)
    records["stamp_bytes"] = 8
    records["time"] = times
    records["values"] = samples
    return records.tobytes()


def _text_content(times: FloatArray, samples: NDArray[Any]) -> bytes:
    parts = []
    for time_s, row in zip(times, samples, strict=True):
        parts.append(struct.pack("<Bd", 8, time_s))
        for value in row:
            text = str(value).encode("utf-8", "replace")
            parts += (_varlen(len(text)), text)
    return b"".join(parts)


def _varlen(number: int) -> bytes:
    """A number with its width in front: 1, 4 or 8 bytes."""
    if number < 1 << 8:
        return struct.pack("<BB", 1, number)
    return struct.pack("<BI", 4, number) if number < 1 << 32 else struct.pack("<BQ", 8, number)
