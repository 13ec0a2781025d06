"""A readable copy of a damaged XDF file, with every whole chunk in it.

The file is read twice, chunk by chunk, so that its size does not matter: once to find what is whole and
what is lost, once to copy. The copy begins with all headers, and has a new footer for each stream whose own
is missing or counts lost samples. The original is never written to.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from bci_m2s.errors import OutputError, RecordingError
from bci_m2s.files.whole import whole_file
from bci_m2s.lsl.formats import parse_line
from bci_m2s.recording.recovery_report import RecoveryReport
from bci_m2s.recording.recovery_scan import Progress, Scan, announced, pieces_of, scan_recording
from bci_m2s.recording.xdf_headers import footer_xml
from bci_m2s.recording.xdf_writer import FILE_HEADER, MAGIC, STREAM_FOOTER, STREAM_HEADER, chunk_of
from bci_m2s.text import printable

BLOCK_BYTES = 1 << 20
PLAIN_FILE_HEADER = b'<?xml version="1.0"?><info><version>1.0</version></info>'


def recover(
    path: str | Path,
    out: str | Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> RecoveryReport:
    """Write a readable copy of a damaged XDF file; a whole file is left as it is and none is written.

    With a side file of checksums (PATH.sums) the next whole chunk after damage is found sooner, and a chunk
    that does not match its checksum is left out although its structure is whole.

    Parameters
    ----------
    path : the recording, never written to
    out : the copy; NAME-recovered.xdf beside `path` by default
    overwrite : whether `out` may be replaced
    progress : called repeatedly with the phase ("reading", "copying"), bytes done and bytes in total

    Returns
    -------
    RecoveryReport
        ``out`` of it is None when the file is whole.

    Raises
    ------
    RecordingError
        The file cannot be read, or no stream header is left in it.
    OutputError
        The copy exists, is the recording itself, or cannot be written.
    """
    path = Path(path)
    out = Path(out) if out is not None else path.with_name(f"{path.stem}-recovered{path.suffix}")
    on_progress = progress or (lambda _phase, _done, _size: None)
    if "\0" in f"{path}{out}":
        raise RecordingError(f"{str(path)!r}, {str(out)!r}: not file names")
    try:
        if path.exists() and not path.is_file():
            raise RecordingError(f"{path}: is not a regular file")
        with path.open("rb") as file:
            scan = scan_recording(path, file, on_progress)
            if scan.is_whole:
                return scan.report
            if out.exists() and out.samefile(path):
                raise OutputError(f"{out}: is the recording itself, which is never written to")
            with whole_file(out, overwrite=overwrite, private=True) as copy:
                _write_copy(
                    scan, file, copy, lambda done: on_progress("copying", done, scan.report.size_bytes)
                )
    except OSError as problem:
        raise RecordingError(f"{path}: cannot be read: {problem.strerror or problem}") from None
    scan.report.out = out
    if scan.report.has_no_end:
        scan.report.beyond = list(_log_beyond(path.with_name("events.jsonl")))
    return scan.report


def _log_beyond(log: Path) -> Iterator[str]:
    """When and why writing failed, and when the session ended, by its log; nothing where there is none."""
    try:
        with log.open(encoding="utf-8", errors="replace") as file:
            events = [parse_line(line) for line in file]
    except (OSError, ValueError):
        return
    disk = next((event for event in events if event.get("kind") == "disk"), None)
    for event in [disk, events[-1]] if disk is not None else []:
        yield f"{log.name}, {printable(event.get('utc'), 40)}: {printable(event.get('message'), 300)}"


def _write_copy(scan: Scan, file: BinaryIO, copy: BinaryIO, on_progress: Callable[[int], None]) -> None:
    copy.write(MAGIC)
    if scan.file_header is None:
        copy.write(chunk_of(FILE_HEADER, PLAIN_FILE_HEADER))
    for span in ([scan.file_header] if scan.file_header else []) + list(scan.spans.values()):
        _copy_span(file, copy, *span)
    has_footer = set[int]()
    for piece in pieces_of(file, scan.report.size_bytes, dict(scan.headers), scan.sums, on_progress):
        if piece.problem or piece.tag in (FILE_HEADER, STREAM_HEADER):
            continue
        if piece.tag == STREAM_FOOTER:
            stream = scan.streams[piece.stream]
            if piece.stream in has_footer or announced(piece.body[6:]) != stream.samples:
                continue
            has_footer.add(piece.stream)
        _copy_span(file, copy, piece.start, piece.stop)
    for number, stream in scan.streams.items():
        if number not in has_footer:
            xml = footer_xml(stream.samples, stream.first_s, stream.last_s)
            copy.write(chunk_of(STREAM_FOOTER, struct.pack("<I", number) + xml.encode()))


def _copy_span(file: BinaryIO, copy: BinaryIO, start: int, stop: int) -> None:
    file.seek(start)
    while start < stop:
        block = file.read(min(BLOCK_BYTES, stop - start))
        if not block:
            raise OSError("the recording became shorter while it was read")
        copy.write(block)
        start += len(block)
