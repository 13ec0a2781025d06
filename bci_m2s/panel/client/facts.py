"""What a session says of itself in its status stream, read with care: it comes from the network."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bci_m2s.lsl.description import LONGEST_SHOWN, DisplayStream, SessionDescription, StreamDescription
from bci_m2s.text import modality_name, printable

MOST_JSON = 4 << 20  # characters
MOST_STREAMS = 32
MAP_LABELS = 4  # fewer channels are no map
MOST_MAPPED_HZ = 5e6  # samples per second over all channels; more would fill the memory
SILENT_AFTER_S = 3.0  # the engine reports once per second


@dataclass(frozen=True, slots=True)
class ShownStream:
    """A raw stream of the session, and where a display finds it.

    units : one per channel; used : labels of those that the model uses, () while that is not known
    source_id, name, type : to look for on the network, "" for any
    """

    modality: str
    title: str
    rate_hz: float
    labels: tuple[str, ...]
    units: tuple[str, ...]
    source_id: str = ""
    name: str = ""
    type: str = ""
    used: tuple[str, ...] = ()


class SessionFacts(SessionDescription):
    """A session as its description tells it, and where it was found.

    uid, host, created_s : of the status stream; created_s in the clock of that host
    """

    uid: str
    host: str
    created_s: float
    coordinates: dict[str, dict[str, tuple[float, float]]]  # type: ignore[assignment]
    streams: dict[str, ShownStream]  # type: ignore[assignment]

    @property
    def combined(self) -> bool:
        """Whether estimates of several modalities make one line."""
        return self.pipeline.modality in ("auto", "fused")

    @property
    def lines(self) -> tuple[str, ...]:
        """Where estimates are shown: one place per modality, or one for all ("")."""
        return ("",) if self.combined else self.modalities


def parse_session(text: str, uid: str, host: str, created_s: float, outlet_name: str) -> SessionFacts:
    """Facts from a session's JSON; what is missing or nonsense becomes empty, never an error."""
    sent = SessionDescription.lenient(parse_object(text))
    changed = {
        "outlet_name": sent.outlet_name or outlet_name,
        "heads": {head: classes for head, classes in sent.heads.items() if classes},
        "coordinates": {head: places for head, places in sent.coordinates.items() if places},
        "streams": {name: _stream(name, sent) for name in sent.modalities},
    }
    found = {"uid": uid, "host": host, "created_s": created_s}
    return SessionFacts.model_construct(**{**dict(sent), **changed, **found})


def _stream(modality: str, sent: SessionDescription) -> ShownStream:
    stream = sent.streams.get(modality) or StreamDescription()
    where = stream.panel or DisplayStream(**stream.model_dump(include=set(DisplayStream.model_fields)))
    return ShownStream(
        modality=modality,
        title=printable(stream.name, LONGEST_SHOWN) or modality,
        rate_hz=stream.rate_hz,
        labels=stream.labels,
        units=stream.units if len(stream.units) == len(stream.labels) else ("",) * len(stream.labels),
        source_id=where.source_id,
        name=where.name if not where.source_id else "",
        type=where.type,
        used=sent.channels.get(modality, ()),
    )


# ---- which view, which name, which place ----


def is_eye_tracker(stream: ShownStream) -> bool:
    """Whether a stream has gaze or pupil in its channels."""
    return any("pupil" in label.casefold() or "gaze" in label.casefold() for label in stream.labels)


def mapped_stream(facts: SessionFacts) -> ShownStream | None:
    """The stream whose channels are drawn on the head: an EEG before anything else; None without one."""
    fit = [
        stream
        for stream in facts.streams.values()
        if not is_eye_tracker(stream)
        and len(stream.labels) >= MAP_LABELS
        and stream.rate_hz >= MAP_LABELS
        and len(stream.labels) * stream.rate_hz <= MOST_MAPPED_HZ
    ]
    return min(fit, key=lambda stream: "eeg" not in (stream.type.casefold(), stream.modality), default=None)


def line_name(facts: SessionFacts, line: str, head: str) -> str:
    """What a line of estimates is called: "EEG", "EEG · valence", "valence"."""
    parts = [modality_name(line)] * bool(line) + [head] * (len(facts.heads) > 1 or not line)
    return " · ".join(parts)


def heads_in_plane(facts: SessionFacts) -> list[str]:
    """The heads all of whose classes have a place in the valence–arousal plane."""
    return [
        head
        for head, classes in facts.heads.items()
        if all(name in facts.coordinates.get(head, {}) for name in classes)
    ]


# ---- values of unknown kind ----


def parse_object(text: str) -> dict[str, Any]:
    """A JSON object from text; {} for anything else."""
    if len(text) > MOST_JSON:
        return {}
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is a JSON object, else {}."""
    return value if isinstance(value, dict) else {}


def mappings(value: Any) -> list[Mapping[str, Any]]:
    """The JSON objects of a list, at most ``MOST_STREAMS``; anything else is left out."""
    items = value[:MOST_STREAMS] if isinstance(value, list) else []
    return [item for item in items if isinstance(item, dict)]


def marker_pairs(value: Any) -> list[tuple[float, str]]:
    """Times, s, and texts of a list of markers; what is no marker is left out."""
    pairs = [pair for pair in (value if isinstance(value, list) else []) if isinstance(pair, list)]
    markers = [(number(pair[0], math.nan), plain_text(pair[1])) for pair in pairs if len(pair) >= 2]
    return [marker for marker in markers if math.isfinite(marker[0])]


def plain_text(value: Any) -> str:
    """Text to show: printable, not long; "" for anything else."""
    return printable(value, LONGEST_SHOWN) if isinstance(value, str) else ""


def number(value: Any, otherwise: float) -> float:
    """A finite number, else `otherwise`."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return otherwise
    try:
        made = float(value)
    except OverflowError:  # JSON's integers may be as long as they like
        return otherwise
    return made if math.isfinite(made) else otherwise
