"""XDF files: pyxdf decodes the chunks that the survey found whole.

pyxdf trusts every length, count and header, so ``xdf_survey`` checks them first. When all chunks are whole,
and every stream has a name, pyxdf reads the file, else a copy in memory without the damaged ones, and the
recording's warnings list what is missing. Stamps are the sender's own: neither clock synchronisation nor
dejittering is applied.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyxdf

from bci_m2s.errors import RecordingError
from bci_m2s.lsl.channel_names import NAMED_BY, Described, channel_names
from bci_m2s.recording.recorded import RecordedStream, Recording, recover_hint
from bci_m2s.recording.xdf_survey import Survey, survey_chunks, whole_chunks
from bci_m2s.recording.xdf_writer import NUMBERS
from bci_m2s.text import printable
from bci_m2s.types import StreamInfo

MOST_WARNINGS = 20


def read_xdf(path: Path) -> Recording:
    """Load an XDF file. Raises RecordingError as ``open_recording``."""
    with path.open("rb") as file:
        return decode_xdf(path, file)


def decode_xdf(path: Path, file: BinaryIO) -> Recording:
    """Load what `file` holds, the XDF file at `path` or parts of it. Raises as ``open_recording``."""
    with _pyxdf_messages() as messages:
        survey = survey_chunks(path, file)
        if not survey.headers:
            why = survey.damage[0] if survey.damage else "the file ends after its first 4 bytes"
            raise RecordingError(f"{path}: holds no stream: {why}; if it is damaged: {recover_hint(path)}")
        source = whole_chunks(file, survey) if survey.damage or survey.named else file
        source.seek(0)
        try:
            with np.errstate(all="ignore"):  # pyxdf divides by a duration that may be 0
                raw, _ = pyxdf.load_xdf(source, synchronize_clocks=False, dejitter_timestamps=False)
        except Exception as problem:  # whatever a parser may raise on an unchecked file
            raise RecordingError(f"{path}: cannot be decoded: {printable(problem, 300)}") from None
    warnings = survey.damage[:MOST_WARNINGS] + messages
    if len(survey.damage) > MOST_WARNINGS:
        warnings.append(f"... and {len(survey.damage) - MOST_WARNINGS} more places of damage")
    streams = tuple(_stream(stream, survey, warnings) for stream in raw)
    return Recording(path, streams, warnings, damaged=len(survey.damage))


def _stream(raw: dict[str, Any], survey: Survey, warnings: list[str]) -> RecordedStream:
    """Turn pyxdf's stream into ours."""
    info = _info(raw["info"], warnings)
    times = np.asarray(raw["time_stamps"], dtype=np.float64)
    if info.channel_format == "string":
        samples = np.empty((len(times), info.n_channels), dtype=object)
        samples[:] = raw["time_series"] if len(times) else samples
    else:
        samples = np.asarray(raw["time_series"], dtype=NUMBERS[info.channel_format])
    expected = survey.headers[raw["info"]["stream_id"]].n_samples
    if len(times) != expected:
        warnings.append(f"stream {info.name!r}: {expected} samples in the file, {len(times)} decoded")
    odd = int(np.count_nonzero(~np.isfinite(times)))
    if odd:
        warnings.append(f"stream {info.name!r}: {odd} stamps are not finite numbers")
    samples.setflags(write=False)
    offsets = np.column_stack([raw["clock_times"], raw["clock_values"]]).astype(np.float64)
    number = raw["info"]["stream_id"]
    places = survey.offset_places.get(number, [])[: len(offsets)]  # pyxdf may leave out the last offset
    return RecordedStream(
        info,
        times,
        lambda start, stop: samples[start:stop],
        offsets.reshape(-1, 2),
        survey.behind_s(number),
        offset_places=np.array(places, np.intp),
    )


def _info(fields: dict[str, Any], warnings: list[str]) -> StreamInfo:
    name, n_channels = _text(fields, "name"), int(_text(fields, "channel_count"))
    groups = (_child(fields, "desc") or {}).get("channels", [])
    entries = [entry for group in groups if isinstance(group, dict) for entry in group.get("channel", [])]
    described = [Described(*(_text(entry, key) for key in NAMED_BY)) for entry in entries]
    labels, units, remark = channel_names(described, n_channels)
    if remark:
        warnings.append(f"stream {name!r}: {remark}")
    given = _child(_child(fields, "desc"), "reference")
    is_average = _text(given, "common_average").casefold() in ("yes", "true", "1")
    return StreamInfo(
        name=name,
        type=_text(fields, "type"),
        source_id=_text(fields, "source_id"),
        uid=_text(fields, "uid"),
        host=_text(fields, "hostname"),
        rate_hz=float(_text(fields, "nominal_srate")),
        labels=labels,
        units=units,
        channel_format=_text(fields, "channel_format"),
        reference="average" if is_average else _text(given, "label"),
        remark=remark,
    )


def _child(fields: Any, name: str) -> Any:
    """An element of pyxdf's, which wraps every one in a list."""
    children = fields.get(name) if isinstance(fields, dict) else None
    return children[0] if children else None


def _text(fields: Any, name: str) -> str:
    text = _child(fields, name)
    return text.strip() if isinstance(text, str) else ""


@contextmanager
def _pyxdf_messages() -> Iterator[list[str]]:
    """Collect pyxdf's log messages, without tracebacks, instead of printing them."""
    messages: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(f"pyxdf: {printable(record.getMessage(), 300)}")

    logger, handler = logging.getLogger(pyxdf.pyxdf.__name__), Collect(logging.WARNING)
    propagated, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield messages
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagated
