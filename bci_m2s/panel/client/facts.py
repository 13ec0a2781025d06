"""What a session says of itself in its status stream, read with care: it comes from the network."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from bci_m2s.lsl.formats import HIGHEST_RATE_HZ
from bci_m2s.text import printable

MOST_JSON = 4 << 20  # characters
LONGEST_TEXT = 200
MOST_ITEMS = 4096
SILENT_AFTER_S = 3.0  # the engine reports once a second
Coordinates = Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """A raw stream of the session, and where a display finds it.

    source_id, uid, name, type : what to look for on the network; "" where it does not matter
    """

    modality: str
    title: str
    rate_hz: float
    labels: tuple[str, ...]
    units: tuple[str, ...]
    source_id: str = ""
    uid: str = ""
    name: str = ""
    type: str = ""


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """A session as its description tells it.

    uid, host, created_s : of the status stream; created_s in the clock of that host
    session_id : names the engine's commands, see ``control``; "" where it takes none
    heads : class names of each head; coordinates : of the classes in the valence–arousal plane, by head
    combinations : what an estimate can be made of, in the order of the outlet's codes
    combined : estimates of several modalities make one line
    """

    uid: str
    host: str
    created_s: float
    outlet_name: str
    session_id: str = ""
    model: str = ""
    simulated: bool = False
    mode: str = "live"
    heads: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    coordinates: Mapping[str, Coordinates] = field(default_factory=lambda: MappingProxyType({}))
    modalities: tuple[str, ...] = ()
    combinations: tuple[str, ...] = ()
    combined: bool = False
    streams: Mapping[str, StreamFacts] = field(default_factory=lambda: MappingProxyType({}))
    features: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    said: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}), compare=False)

    @property
    def lines(self) -> tuple[str, ...]:
        """Estimates are shown in so many places: one for each modality, or one for all ("")."""
        return ("",) if self.combined else self.modalities


def read_session(text: str, uid: str, host: str, created_s: float, outlet_name: str) -> SessionFacts:
    """Facts from a session's JSON; what is missing or nonsense becomes empty, never an error."""
    said = parse_object(text)
    model = mapping(said.get("model"))
    heads = {
        plain_text(head): texts(classes)
        for head, classes in limited(mapping(said.get("heads")))
        if texts(classes)
    }
    coordinates = {
        plain_text(head): _coordinates(mapping(places))
        for head, places in limited(mapping(said.get("coordinates")))
        if mapping(places)
    }
    modalities = texts(said.get("modalities"))
    pipeline = mapping(said.get("pipeline"))
    streams = mapping(said.get("streams"))
    return SessionFacts(
        uid=uid,
        host=host,
        created_s=created_s,
        outlet_name=plain_text(said.get("outlet_name")) or outlet_name,
        session_id=plain_text(said.get("session_id")),
        model=plain_text(model.get("name")),
        simulated=bool(model.get("simulated")) or bool(said.get("simulated_signals")),
        mode=plain_text(said.get("mode")) or "live",
        heads=heads,
        coordinates=coordinates,
        modalities=modalities,
        combinations=texts(said.get("voices")) or modalities,
        combined=pipeline.get("modality") in ("auto", "fused"),
        streams={name: _stream(name, mapping(streams.get(name))) for name in modalities},
        features={plain_text(name): texts(names) for name, names in limited(mapping(said.get("features")))},
        said=said,
    )


def _stream(modality: str, said: Mapping[str, Any]) -> StreamFacts:
    where = mapping(said.get("panel")) or said
    labels = texts(said.get("labels"))
    rate_hz = number(said.get("rate_hz"), 0.0)
    units = texts(said.get("units"))
    return StreamFacts(
        modality=modality,
        title=plain_text(said.get("name")) or modality,
        rate_hz=rate_hz if 0 <= rate_hz <= HIGHEST_RATE_HZ else 0.0,
        labels=labels,
        units=units if len(units) == len(labels) else ("",) * len(labels),
        source_id=raw_text(where.get("source_id")),
        uid=raw_text(where.get("uid")) if not where.get("source_id") else "",
        name=raw_text(where.get("name")) if not where.get("source_id") else "",
        type=raw_text(where.get("type")),
    )


def _coordinates(said: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    places = {}
    for name, place in limited(said):
        if isinstance(place, Sequence) and not isinstance(place, str) and len(place) == 2:
            valence, arousal = (number(value, math.nan) for value in place)
            if abs(valence) <= 1 and abs(arousal) <= 1:  # false for NaN
                places[plain_text(name)] = (valence, arousal)
    return places


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


def limited(values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The items of an object, not more than can be shown."""
    return list(values.items())[:MOST_ITEMS]


def raw_text(value: Any) -> str:
    """The value if it is text, else ""."""
    return value[:LONGEST_TEXT] if isinstance(value, str) else ""


def plain_text(value: Any) -> str:
    """Text to show: printable, not long; "" for anything else."""
    return printable(raw_text(value))


def texts(value: Any) -> tuple[str, ...]:
    """A list of texts to show; () for anything else."""
    return tuple(plain_text(one) for one in value[:MOST_ITEMS]) if isinstance(value, list) else ()


def number(value: Any, otherwise: float) -> float:
    """A finite number, else `otherwise`."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return otherwise
    try:
        made = float(value)
    except OverflowError:  # JSON's integers may be as long as they like
        return otherwise
    return made if math.isfinite(made) else otherwise
