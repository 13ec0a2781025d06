"""Estimates as an LSL stream of type ``Emotion``, for LabRecorder and for the experiment.

Channels: one probability a class, then confidence, age in ms, status code (``types.Status``), modality
code (position in the description's list of modalities). All float32; NaN where there is no estimate.
The stamp of a sample is the local time of the window's last sample, so it lines up with the signal.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pylsl

from bci_m2s.types import Estimate, Event, Status


class OutletSink:
    """Publishes estimates; irregular rate, because an estimate comes when its window is complete."""

    def __init__(self, folder: Path | None, session: Mapping[str, Any]) -> None:
        del folder
        self._session = session
        self._modalities = list(session["modalities"])
        self._outlet: Any = None

    def open(self) -> None:
        """Create the outlet and describe it."""
        session = self._session
        classes = list(session["classes"])
        labels = [*classes, "confidence", "age", "status", "modality"]
        units = [*["probability"] * (len(classes) + 1), "milliseconds", "code", "code"]
        info = pylsl.StreamInfo(
            session["outlet_name"],
            "Emotion",
            len(labels),
            pylsl.IRREGULAR_RATE,
            "float32",
            uuid.uuid4().hex,
        )
        info.set_channel_labels(labels)
        info.set_channel_units(units)
        info.set_channel_types("Emotion")
        description = info.desc()
        description.append_child_value("manufacturer", "bci_m2s")
        description.append_child_value("model", str(session["model"]["name"]))
        description.append_child_value("simulated", str(session["model"]["simulated"]).lower())
        codes = description.append_child("codes")
        statuses = codes.append_child("status")
        for status in Status:
            statuses.append_child_value(status.name.lower(), str(int(status)))
        modalities = codes.append_child("modality")
        for number, modality in enumerate(self._modalities):
            modalities.append_child_value(modality, str(number))
        self._outlet = pylsl.StreamOutlet(info)

    def estimate(self, estimate: Estimate, wall_s: float) -> None:
        """Push one sample."""
        del wall_s
        values = np.array(
            [
                *estimate.probabilities,
                estimate.confidence,
                1e3 * estimate.stamps.age_s,
                int(estimate.status),
                self._modalities.index(estimate.modality),
            ],
            dtype=np.float32,
        )
        stamp = estimate.stamps.last_sample_s
        self._outlet.push_sample(values, pylsl.local_clock() if math.isnan(stamp) else stamp)

    def event(self, event: Event) -> None:
        """Events are not published here."""

    def close(self) -> None:
        """Withdraw the outlet."""
        self._outlet = None
