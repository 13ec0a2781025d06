"""What a session's streams and heads call for: which view, which name, which place. Pure functions."""

from __future__ import annotations

from bci_m2s.panel.client.answers import modality_name
from bci_m2s.panel.client.facts import SessionFacts, StreamFacts

MAP_LABELS = 4  # fewer channels are no map
MOST_MAPPED_HZ = 5e6  # samples a second over all channels; more would fill the memory


def is_eye_tracker(stream: StreamFacts) -> bool:
    """Whether a stream has gaze or pupil in its channels."""
    return any("pupil" in label.casefold() or "gaze" in label.casefold() for label in stream.labels)


def mapped_stream(facts: SessionFacts) -> StreamFacts | None:
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
