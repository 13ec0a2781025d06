"""Estimates as LSL streams of type ``Emotion``, for LabRecorder and for the experiment.

There is one stream for each head. With one head it has the pipeline's name for it, with several
``NAME-HEAD``. Channels: one probability a class, then confidence, age in ms, status code
(``types.Status``), modality code (what made it: position in the description's list), and unknown: 1 where
the confidence is too low for an answer. All float32; NaN where there is no estimate. The stamp of a sample
is the local time of the window's last sample, so it lines up with the signal.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pylsl

from bci_m2s.lsl.description import SessionDescription
from bci_m2s.lsl.formats import ANSWER_TYPE, EstimateLayout, EvidenceLayout, code_names
from bci_m2s.types import Estimate, Published


def source_id(session: SessionDescription, part: str) -> str:
    """Source id of a stream that the session sends. All of them begin with the session's id."""
    return f"{session.session_id or uuid.uuid4().hex}-{part}"


def described(
    name: str,
    stream_type: str,
    layout: EstimateLayout | EvidenceLayout,
    source: str,
    facts: Mapping[str, str],
) -> pylsl.StreamInfo:
    """An irregular stream of float32 as LSL describes it. source : its id; facts : further entries"""
    n_channels = len(layout.labels)
    info = pylsl.StreamInfo(name, stream_type, n_channels, pylsl.IRREGULAR_RATE, "float32", source)
    info.set_channel_labels(list(layout.labels))
    info.set_channel_units(list(layout.units))
    for key, value in facts.items():
        info.desc().append_child_value(key, value)
    return info


class OutletSink:
    """Publishes estimates; irregular rate, because an estimate comes when its window is complete."""

    kind = "outlet"
    problem = ""  # nothing of it can fail and be mended

    def __init__(self, folder: Path | None, session: SessionDescription) -> None:
        del folder
        self._session = session
        self._layouts = {
            head: EstimateLayout(classes, session.combinations) for head, classes in session.heads.items()
        }
        self._outlets: dict[str, Any] = {}  # by head

    def open(self) -> None:
        """Create the outlets and describe them."""
        name = self._session.outlet_name
        for head, layout in self._layouts.items():
            info = self._info(f"{name}-{head}" if len(self._layouts) > 1 else name, head, layout)
            self._outlets[head] = pylsl.StreamOutlet(info)

    def _info(self, name: str, head: str, layout: EstimateLayout) -> pylsl.StreamInfo:
        facts = {**self._session.origin, "head": head}
        info = described(name, ANSWER_TYPE, layout, source_id(self._session, head), facts)
        info.set_channel_types(ANSWER_TYPE)
        codes = info.desc().append_child("codes")
        for field, numbers in code_names(layout.combinations).items():
            listed = codes.append_child(field)
            for meaning, number in numbers.items():
                listed.append_child_value(meaning, str(number))
        return info

    def take(self, item: Published) -> None:
        """Push one sample per estimate to the stream of its head."""
        if isinstance(item, Estimate):
            self._push(item)

    def _push(self, estimate: Estimate) -> None:
        values = self._layouts[estimate.head].pack(estimate)
        stamp = estimate.stamps.last_sample_s
        stamp = pylsl.local_clock() if math.isnan(stamp) else stamp
        self._outlets[estimate.head].push_sample(values, stamp)

    def close(self) -> None:
        """Withdraw the outlets."""
        self._outlets.clear()
