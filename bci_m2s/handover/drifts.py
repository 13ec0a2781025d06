"""How much of a session was beyond the limit of drift, and what drove it: from the events that say so."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bci_m2s.review.facts import RecordedEvent, RecordingFacts
from bci_m2s.text import printable

MOST_NAMED = 3
LONGEST_NAME = 60
FATES = {  # by the pipeline's `drift`
    "refuse": "they have no estimate",
    "note": "their estimates were kept, each with a note",
}
_MORE = re.compile(r"and \d+ more")


@dataclass(frozen=True, slots=True)
class Drifted:
    """Of one modality.

    windows : beyond the limit; hop_s : time between two; times : how often the limit was passed
    fate : what became of these windows, in words
    drivers : windows by what drove them, a channel with its bands or a feature
    """

    windows: int
    hop_s: float
    times: int
    fate: str
    drivers: Mapping[str, int] = field(default_factory=dict)

    @property
    def driven_by(self) -> str:
        """What drove it most, in words."""
        named = Counter(self.drivers).most_common(MOST_NAMED)
        more = len(self.drivers) - len(named)
        return "; ".join(name for name, _ in named) + (f"; and {more} more" if more > 0 else "")

    def plus(self, other: Drifted) -> Drifted:
        """Of both together, one take and another."""
        fates = dict.fromkeys((self.fate, other.fate))
        return Drifted(
            self.windows + other.windows,
            self.hop_s,
            self.times + other.times,
            " or ".join(fates),
            Counter(self.drivers) + Counter(other.drivers),
        )


def drifted(facts: RecordingFacts) -> dict[str, Drifted]:
    """What there was of drift, by modality; nothing of one whose windows all were within the limit."""
    session = facts.session
    if session is None:
        return {}
    try:
        hop_s = float(session.window["hop_s"])
    except (KeyError, TypeError, ValueError):
        return {}
    fate = FATES.get(str(session.pipeline.values().get("drift")), FATES["refuse"])
    found = {}
    for name, stream in facts.modality_streams().items():
        hop_n = hop_s * session.streams[name].info().rate_hz
        events = [event for event in facts.events if event.modality == name]
        windows, drivers = 0, Counter[str]()
        spans = _spans(events, stream.n_samples) if hop_n > 0 else []
        for first, last, driving in spans:
            n = max(1, round((last - first) / hop_n))
            windows += n
            drivers.update(dict.fromkeys(driving, n))
        if windows:
            found[name] = Drifted(windows, hop_s, len(spans), fate, drivers)
    return found


def drifted_in(takes: Iterable[RecordingFacts]) -> dict[str, Drifted]:
    """Of all takes together."""
    found: dict[str, Drifted] = {}
    for facts in takes:
        for name, one in drifted(facts).items():
            found[name] = found[name].plus(one) if name in found else one
    return found


def _spans(events: Iterable[RecordedEvent], n_samples: int) -> list[tuple[int, int, list[str]]]:
    """From the first window beyond the limit to the first within it again: samples, and what drove it."""
    spans = []
    begun: tuple[int, list[str]] | None = None
    for event in events:
        at, driving = event.fields.get("at_sample"), _names(event.fields.get("drivers"))
        if not isinstance(at, int):
            continue
        if event.kind == "drift_started":
            begun = at, driving
        elif event.kind == "drift_ended" and begun is not None:
            spans.append((begun[0], at, list(dict.fromkeys(begun[1] + driving))))
            begun = None
    if begun is not None:
        spans.append((begun[0], n_samples, begun[1]))
    return spans


def _names(drivers: object) -> list[str]:
    """Channels with their bands, as ``DriftWatch`` names them."""
    if not isinstance(drivers, str):
        return []
    parts = (printable(part.strip(), LONGEST_NAME) for part in drivers.split(";"))
    return [part for part in parts if part and not _MORE.fullmatch(part)]
