"""What happened in a recording as lines: markers and events, neighbours of a kind joined."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bci_m2s.review.facts import RecordedEvent, RecordingFacts
from bci_m2s.text import printable

TOGETHER_S = 1.0  # events of the same kind within this time are one line


@dataclass(frozen=True, slots=True)
class EventLine:
    """One line of the list of events; `count` of them, from `time_s` to `last_s`, are joined."""

    time_s: float
    last_s: float
    kind: str
    subject: str  # what must be the same to be joined
    text: str
    names: tuple[str, ...] = ()  # channels of quality, texts of markers
    count: int = 1

    def words(self) -> str:
        """What is printed behind time and kind."""
        if self.kind == "marker" and self.count > 1:
            often = Counter(self.names).most_common(9)
            counts = ", ".join(f"{printable(text, 30)} {count}" for text, count in often)
            ends = f"{printable(self.names[0], 30)} … {printable(self.names[-1], 30)}"
            return f"{self.count} until {self.last_s:.1f} s: {counts if often[0][1] > 1 else ends}"
        if len(self.names) > 1:
            more = f" … {len(self.names)} in all" if len(self.names) > 6 else ""
            return f"{self.subject}: {', '.join(self.names[:6])}{more}"
        until = f", the last at {self.last_s:.1f} s" if self.last_s > self.time_s else ""
        return f"{self.text} (and {self.count - 1} more{until})" if self.count > 1 else self.text


def event_lines(facts: RecordingFacts) -> list[EventLine]:
    """Markers of the senders and events of the session, in the order of time."""
    lines = [EventLine(t, t, "marker", "", text, (text,)) for t, text in facts.markers]
    for event in facts.events:
        if event.kind != "marker" or not facts.markers:  # the senders' own stamps are better
            lines.append(_event_line(event))
    return sorted(lines, key=lambda line: (math.isnan(line.time_s), line.time_s))


def _event_line(event: RecordedEvent) -> EventLine:
    subject, names = event.modality, tuple[str, ...]()
    if event.kind == "quality":
        state = str(event.fields.get("state"))
        subject = f"{event.modality}: channels {'good again' if state == 'good' else state}"
        names = (str(event.fields.get("channel")),)
    return EventLine(event.time_s, event.time_s, event.kind, subject, event.message, names)


def together(lines: Sequence[EventLine], within_s: float) -> list[EventLine]:
    """Join neighbours of one kind and subject that lie within a time; markers without a subject stay."""
    joined: list[EventLine] = []
    for line in lines:
        last = joined[-1] if joined else None
        if (
            last is not None
            and line.subject
            and (last.kind, last.subject) == (line.kind, line.subject)
            and line.time_s - last.last_s <= within_s
        ):
            joined[-1] = replace(
                last, last_s=line.last_s, names=last.names + line.names, count=last.count + line.count
            )
        else:
            joined.append(line)
    return joined
