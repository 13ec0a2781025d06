"""The stream of a guided session in its recording: its trials are in this one, whatever others mark."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from bci_m2s.lsl.formats import OPERATOR_ID
from bci_m2s.recording.recorded import RecordedStream, Recording
from bci_m2s.recording.trials import is_guided

Stream = TypeVar("Stream", bound=RecordedStream)


def guided_stream(streams: Iterable[Stream]) -> Stream | None:
    """The one that a guided session wrote its own markers into; None where none is guided.

    Others may have such markers too, as where an older session is played into this one: what a session
    wrote itself comes first.
    """
    found = sorted(_guided(streams), key=lambda stream: stream.info.source_id != OPERATOR_ID)
    return found[0] if found else None


def guided_markers(recording: Recording) -> list[tuple[float, str]]:
    """Stamp, s, and text of each marker of a guided session, in their order; [] of another recording."""
    stream = guided_stream(recording.streams)
    return [] if stream is None else list(zip(stream.times.tolist(), _texts(stream), strict=True))


def trial_streams(recording: Recording, column: str = "") -> tuple[RecordedStream, ...]:
    """The marker streams that say what the trials were: of a guided session its own alone, else all.

    column : see ``Recording.markers_by``; one that is named is of another grammar, so all are meant
    """
    own = None if column else guided_stream(recording.streams)
    return recording.markers_by(column) if own is None else (own.as_markers(),)


def own_markers(markers: Iterable[tuple[float, str, str]]) -> list[tuple[float, str]]:
    """Stamp and text of the markers of a guided session's own origin; of all where none is guided.

    markers : stamp, s, text and origin of each
    """
    markers = list(markers)
    own = {origin for _, text, origin in markers if is_guided([text])}
    return [(at_s, text) for at_s, text, origin in markers if not own or origin in own]


def _guided(streams: Iterable[Stream]) -> Iterator[Stream]:
    for stream in streams:
        if stream.is_text and stream.is_markers and is_guided(_texts(stream)):
            yield stream


def _texts(stream: RecordedStream) -> list[str]:
    return [str(row[0]) for row in stream.read(0, stream.n_samples)]
