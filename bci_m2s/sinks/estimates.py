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

import numpy as np
import pylsl

from bci_m2s.types import Estimate, Published, Status


def source_id(session: Mapping[str, Any], part: str) -> str:
    """Source id of a stream that the session sends. All of them begin with the session's id."""
    return f"{session.get('session_id') or uuid.uuid4().hex}-{part}"


class OutletSink:
    """Publishes estimates; irregular rate, because an estimate comes when its window is complete."""

    kind = "outlet"
    problem = ""  # nothing of it can fail and be mended

    def __init__(self, folder: Path | None, session: Mapping[str, Any]) -> None:
        del folder
        self._session = session
        self._combinations = list(session["voices"])
        self._outlets: dict[str, Any] = {}  # by head

    def open(self) -> None:
        """Create the outlets and describe them."""
        heads, name = self._session["heads"], self._session["outlet_name"]
        for head, classes in heads.items():
            info = self._info(f"{name}-{head}" if len(heads) > 1 else name, head, list(classes))
            self._outlets[head] = pylsl.StreamOutlet(info)

    def _info(self, name: str, head: str, classes: list[str]) -> pylsl.StreamInfo:
        session = self._session
        labels = [*classes, "confidence", "age", "status", "modality", "unknown"]
        units = [*["probability"] * (len(classes) + 1), "milliseconds", "code", "code", "code"]
        info = pylsl.StreamInfo(
            name,
            "Emotion",
            len(labels),
            pylsl.IRREGULAR_RATE,
            "float32",
            source_id(session, head),
        )
        info.set_channel_labels(labels)
        info.set_channel_units(units)
        info.set_channel_types("Emotion")
        description = info.desc()
        description.append_child_value("manufacturer", "bci_m2s")
        description.append_child_value("model", str(session["model"]["name"]))
        description.append_child_value("simulated", str(session["model"]["simulated"]).lower())
        description.append_child_value("head", head)
        codes = description.append_child("codes")
        statuses = codes.append_child("status")
        for status in Status:
            statuses.append_child_value(status.name.lower(), str(int(status)))
        modalities = codes.append_child("modality")
        for number, combination in enumerate(self._combinations):
            # "+" cannot be in the name of an XML element
            modalities.append_child_value(combination.replace("+", "_and_"), str(number))
        return info

    def take(self, item: Published) -> None:
        """Push one sample per estimate to the stream of its head."""
        if isinstance(item, Estimate):
            self._push(item)

    def _push(self, estimate: Estimate) -> None:
        values = np.array(
            [
                *estimate.probabilities,
                estimate.confidence,
                1e3 * estimate.stamps.age_s,
                int(estimate.status),
                self._combinations.index(estimate.modality),
                estimate.unknown,
            ],
            dtype=np.float32,
        )
        stamp = estimate.stamps.last_sample_s
        stamp = pylsl.local_clock() if math.isnan(stamp) else stamp
        self._outlets[estimate.head].push_sample(values, stamp)

    def close(self) -> None:
        """Withdraw the outlets."""
        self._outlets.clear()
