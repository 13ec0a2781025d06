"""Markers of files that mne reads, as streams."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from bci_m2s.recording.bids.events import Events
from bci_m2s.recording.file_pauses import SEAMS
from bci_m2s.recording.recorded import RecordedStream
from bci_m2s.types import MARKER_TYPE, FloatArray, StreamInfo


def markers(
    name: str, times: FloatArray, texts: Any, durations_s: FloatArray | None = None
) -> RecordedStream:
    """A stream of texts in the order of time; durations_s : (n,) of each, None for none."""
    order = np.argsort(times, kind="stable")
    samples = np.array([str(texts[index]) for index in order], dtype=object)[:, None]
    samples.setflags(write=False)
    info = StreamInfo(name, MARKER_TYPE, labels=("marker",), units=("",), channel_format="string")
    lasting = None if durations_s is None else np.asarray(durations_s, dtype=np.float64)[order]
    return RecordedStream(
        info, np.asarray(times)[order], lambda start, stop: samples[start:stop], durations_s=lasting
    )


def event_markers(name: str, events: Events) -> RecordedStream:
    """The events beside a file, with their columns."""
    stream = markers(name, events.onsets_s, events.texts, events.durations_s)
    return replace(stream, columns=events.columns)


def annotate_bad(raw: Any, events: Events) -> None:
    """Let mne's Raw know of events that say what cannot be used, or where recordings were joined."""
    for onset_s, duration_s, text in zip(events.onsets_s, events.durations_s, events.texts, strict=True):
        if text.casefold().startswith("bad") or text.casefold() in SEAMS:
            raw.annotations.append(onset_s + raw.first_time, np.nan_to_num(duration_s), text)
