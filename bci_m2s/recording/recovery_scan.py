"""The first of a recovery's two passes: which parts of a recording are whole and which are lost."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from bci_m2s.errors import RecordingError
from bci_m2s.recording.checksums import Checksums, checksums_of
from bci_m2s.recording.recovery_report import Damage, RecoveredStream, RecoveryReport, StreamGap
from bci_m2s.recording.xdf_content import Header
from bci_m2s.recording.xdf_survey import Piece, describe, walk
from bci_m2s.recording.xdf_writer import FILE_HEADER, MAGIC, SAMPLES, STREAM_FOOTER, STREAM_HEADER

MOST_LISTED = 200  # damaged places, and gaps of a stream, in a report; all are counted
REPORT_BYTES = 16 << 20  # between two calls of `on_progress`
NO_COUNT = -1

Progress = Callable[[str, int, int], None]


@dataclass(slots=True)
class Scan:
    """The result of the first pass. Its size does not depend on the length of the recording.

    spans, file_header : bytes of the stream headers and of the first file header
    report : what is found, as it is found
    """

    sums: Checksums | None
    headers: dict[int, Header]
    report: RecoveryReport
    streams: dict[int, RecoveredStream] = field(default_factory=dict)
    spans: dict[int, tuple[int, int]] = field(default_factory=dict)
    file_header: tuple[int, int] | None = None

    @property
    def is_whole(self) -> bool:
        """Whether nothing is damaged and every stream has a footer without another number of samples."""
        return not self.report.n_places and all(
            stream.footer_samples in (stream.samples, NO_COUNT) for stream in self.streams.values()
        )

    def take(self, piece: Piece) -> None:
        """Note one piece."""
        if piece.problem:
            self._take_damage(piece)
            return
        self.report.chunks_kept += 1
        if piece.tag == STREAM_HEADER:
            self.spans[piece.stream] = (piece.start, piece.stop)
        elif piece.tag == FILE_HEADER:
            self.file_header = self.file_header or (piece.start, piece.stop)
        elif piece.tag == SAMPLES:
            self._take_samples(piece)
        elif piece.tag == STREAM_FOOTER:
            self.stream(piece.stream).footer_samples = announced(piece.body[6:])
        elif piece.tag > STREAM_FOOTER or not piece.tag:
            self.report.unknown_chunks += 1

    def stream(self, number: int) -> RecoveredStream:
        """The state of a stream that has a header."""
        if number not in self.streams:
            header = self.headers[number]
            self.streams[number] = RecoveredStream(number, header.name, header.rate_hz)
        return self.streams[number]

    def _take_damage(self, piece: Piece) -> None:
        report = self.report
        report.n_places += 1
        report.lost_bytes += piece.stop - piece.start
        report.chunks_lost += max(1, self.sums.count(piece.start, piece.stop) if self.sums else 1)
        if "no header before it" in piece.problem:
            report.headless[piece.stream] = report.headless.get(piece.stream, 0) + 1
        if len(report.places) < MOST_LISTED:
            problem = describe(piece, report.size_bytes)
            report.places.append(Damage(report.n_places, piece.start, piece.stop, problem))

    def _take_samples(self, piece: Piece) -> None:
        stream, measured = self.stream(piece.stream), piece.measured
        stream.chunks += 1
        if measured is None or not measured.count:
            return
        step_s = 1 / stream.rate_hz if stream.rate_hz else 0.0
        damaged = self.report.n_places > stream.places_seen
        first_s = measured.first_s
        if math.isnan(first_s):  # deduced from the sample before, which may be lost
            first_s = stream.last_s + step_s
            stream.unsure += measured.count if damaged or stream.unsure_now else 0
            stream.unsure_now = damaged or stream.unsure_now
        elif damaged:
            self._note_gap(stream, first_s, step_s)
        if not math.isnan(measured.last_s):
            stream.unsure_now = False
        stream.places_seen = self.report.n_places
        stream.first_s = stream.first_s if stream.samples else first_s
        deduced_s = first_s + (measured.count - 1) * step_s
        stream.last_s = deduced_s if math.isnan(measured.last_s) else measured.last_s
        stream.samples += measured.count

    def _note_gap(self, stream: RecoveredStream, first_s: float, step_s: float) -> None:
        """Note what is missing between the stamps before and after damage."""
        missing_s = first_s - stream.last_s - step_s
        if stream.rate_hz and not math.isnan(missing_s):
            if not step_s / 2 < missing_s < math.inf:
                return  # the damage took nothing of this stream
            stream.lost_s += missing_s
        stream.n_gaps += 1
        if len(stream.gaps) < MOST_LISTED:
            stream.gaps.append(
                StreamGap(stream.places_seen + 1, self.report.n_places, stream.last_s, first_s)
            )

    def finish(self) -> None:
        """End of the file: a gap after a stream's last sample has no stamp after it."""
        for number in self.headers:
            stream = self.stream(number)
            if self.report.n_places > stream.places_seen and stream.footer_samples != stream.samples:
                stream.n_gaps += 1
                stream.open_end = True
                stream.gaps.append(
                    StreamGap(stream.places_seen + 1, self.report.n_places, stream.last_s, math.nan)
                )


def scan_recording(path: Path, file: BinaryIO, on_progress: Progress) -> Scan:
    """Walk the file; again when samples came before their header, which is then known.

    Raises RecordingError when no stream header is whole.
    """
    size = file.seek(0, 2)
    sums = checksums_of(path, file)
    scan = _scan_once(path, file, size, sums, {}, on_progress)
    if set(scan.report.headless) & set(scan.headers):
        scan = _scan_once(path, file, size, sums, scan.headers, on_progress)
    if not scan.headers:
        file.seek(0)
        begins = file.read(len(MAGIC))
        what = "" if begins == MAGIC else f"; begins with {begins!r}, an XDF file with {MAGIC!r}"
        raise RecordingError(f"{path}: nothing can be recovered: no stream header is whole{what}")
    scan.report.streams = [scan.streams[number] for number in sorted(scan.streams)]
    for number in scan.headers:
        scan.report.headless.pop(number, None)
    return scan


def _scan_once(
    path: Path,
    file: BinaryIO,
    size: int,
    sums: Checksums | None,
    headers: dict[int, Header],
    on_progress: Progress,
) -> Scan:
    scan = Scan(sums, headers, RecoveryReport(path, None, size, sums is not None))
    file.seek(0)
    begins = file.read(len(MAGIC))
    if begins != MAGIC:
        scan.take(Piece(0, len(begins), problem=f"begins with {begins!r}, expected {MAGIC!r}"))
    for piece in pieces_of(file, size, headers, sums, lambda done: on_progress("reading", done, size)):
        scan.take(piece)
    scan.finish()
    return scan


def pieces_of(
    file: BinaryIO,
    size: int,
    headers: dict[int, Header],
    sums: Checksums | None,
    on_progress: Callable[[int], None],
) -> Iterator[Piece]:
    """The pieces of the file's first `size` bytes; a recording that is still being written may grow."""
    reported = 0
    for piece in walk(file, headers, sums, size):
        yield piece
        if piece.stop - reported >= REPORT_BYTES:
            reported = piece.stop
            on_progress(reported)


def announced(xml: bytes) -> int:
    """The number of samples in a footer; ``NO_COUNT`` when it has none."""
    try:
        text = (ET.fromstring(xml).findtext("sample_count") or "").strip()
    except (ET.ParseError, ValueError, LookupError):  # the latter two: odd encodings
        return NO_COUNT
    return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else NO_COUNT
