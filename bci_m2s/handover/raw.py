"""The EEG of a session as MNE's Raw, with every row of its events as an annotation."""

from __future__ import annotations

from typing import Any

import numpy as np

from bci_m2s.handover.content import Content
from bci_m2s.recording.as_raw import stream_as_raw
from bci_m2s.review.facts import RecordingStream


def annotated_raw(content: Content, stream: RecordingStream) -> Any:
    """A stream as Raw. stream : the leading one; annotations lie on its axis."""
    raw, _ = stream_as_raw(content.facts.recording, stream)
    if stream is content.leading:
        raw.set_annotations(_annotations(content, raw.ch_names), verbose="error")
    if content.begun is not None:
        raw.set_meas_date(content.begun)
    return raw


def _annotations(content: Content, channels: list[str]) -> Any:
    """Rows of the events as MNE has them; a bad channel's row is for that channel alone."""
    import mne

    marks = content.marks
    return mne.Annotations(
        [mark.onset_s for mark in marks],
        [float(np.nan_to_num(mark.duration_s)) for mark in marks],
        [mark.text for mark in marks],
        ch_names=[[mark.channel] if mark.channel in channels else [] for mark in marks],
    )
