"""Estimates and events as further streams of the recording, for ``verify`` to hold a replay against.

Every head has one double64 stream: a probability for each class, confidence, status, unknown, modality;
then for each modality M where its window lay and the CRC-32 of what each stage made of it (see
``types.Trace``); then age, and the stamps of the window's last sample in the local and in the sender's
clock. NaN: M had no part.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from bci_m2s.recording import ESTIMATES_TYPE, EVENTS_TYPE
from bci_m2s.recording.recorder import Recorder
from bci_m2s.recording.xdf_headers import stream_xml
from bci_m2s.sinks.events import event_line
from bci_m2s.types import Chunk, Estimate, Event, Published, Status, StatusReport, StreamInfo

OFFSET_EVERY_S = 5.0
OF_EACH_MODALITY = ("first_sample", "last_sample", "samples_crc", "filters_crc", "features_crc")


class RecordSink:
    """A sink that hands results to a recorder; the recorder outlives it and is closed by its owner.

    Parameters
    ----------
    recorder : may be started or not
    session : what ``session.yaml`` holds; heads with their classes, modalities and the model are used
    """

    problem = ""  # the recorder tells of its own

    def __init__(self, recorder: Recorder, session: Mapping[str, Any]) -> None:
        self._recorder, self._session = recorder, session
        self._modalities = list(session["modalities"])
        # what an estimate can be made of
        self._combinations = list(session.get("voices", self._modalities))
        self._streams: dict[str, int] = {}  # by head
        self._events = 0
        self._offset_s = -math.inf  # when offsets were noted last

    def open(self) -> None:
        """Announce the streams."""
        heads = self._session["heads"]
        for head, classes in heads.items():
            name = f"bci_m2s-{head}" if len(heads) > 1 else "bci_m2s"
            info = self._estimates_info(name, list(classes))
            self._streams[head] = self._recorder.add_stream(info, stream_xml(info, self._description(head)))
        info = StreamInfo(
            "bci_m2s events", EVENTS_TYPE, labels=("event",), units=("json",), channel_format="string"
        )
        self._events = self._recorder.add_stream(info, stream_xml(info, {"manufacturer": "bci_m2s"}))
        # what is needed to replay the session, first of all
        text = json.dumps({"kind": "session", "session": self._session}, ensure_ascii=False, default=str)
        self._record(self._events, math.nan, np.array([[text]], object))

    def take(self, item: Published) -> None:
        """Record estimates, stamped with their window's last sample in the local clock, and events.

        Reports only say when to note that these streams are in the local clock: readers look for offsets.
        """
        match item:
            case Estimate():
                self._record_estimate(item)
            case Event():  # the line that ``events.jsonl`` has
                self._record(self._events, item.local_s, np.array([[event_line(item)]], object))
            case StatusReport() if item.local_s - self._offset_s >= OFFSET_EVERY_S:
                self._offset_s = item.local_s
                for stream in (*self._streams.values(), self._events):
                    self._recorder.clock_offset(stream, item.local_s, 0.0)

    def _record_estimate(self, estimate: Estimate) -> None:
        stamps = estimate.stamps
        values = [
            *estimate.probabilities,
            estimate.confidence,
            float(estimate.status),
            float(estimate.unknown),
            self._modality_code(estimate),
            *self._traces(estimate),
            stamps.age_s,
            stamps.last_sample_s,
            estimate.end_s,
        ]
        stamp_s = stamps.last_sample_s if math.isfinite(stamps.last_sample_s) else stamps.published_s
        self._record(self._streams[estimate.head], stamp_s, np.array([values], np.float64))

    def close(self) -> None:
        """Nothing to let go: the recorder goes on."""

    def _record(self, stream: int, stamp_s: float, samples: np.ndarray[Any, Any]) -> None:
        stamp_s = stamp_s if math.isfinite(stamp_s) else self._recorder.clock()
        self._recorder.samples(stream, Chunk.of([stamp_s], samples, stamp_s))

    def _modality_code(self, estimate: Estimate) -> float:
        return self._combinations.index(estimate.modality)

    def _traces(self, estimate: Estimate) -> list[float]:
        parts = {part.modality: part for part in estimate.parts or (estimate,)}
        values: list[float] = []
        for modality in self._modalities:
            part = parts.get(modality)
            if part is None:
                values += [math.nan] * len(OF_EACH_MODALITY)
                continue
            trace = part.trace
            values += (part.first_index, part.last_index, trace.samples, trace.filters, trace.features)
        return values

    def _estimates_info(self, name: str, classes: list[str]) -> StreamInfo:
        traces = [f"{what}.{modality}" for modality in self._modalities for what in OF_EACH_MODALITY]
        rest = ["confidence", "status", "unknown", "modality", *traces, "age_s", "last_sample_s", "end_s"]
        units = (*["probability"] * len(classes), *map(_unit, rest))
        return StreamInfo(
            name, ESTIMATES_TYPE, labels=(*classes, *rest), units=units, channel_format="double64"
        )

    def _description(self, head: str) -> dict[str, Any]:
        model = self._session["model"]
        return {
            "manufacturer": "bci_m2s",
            "model": model["name"],
            "simulated": str(model["simulated"]).lower(),
            "head": head,
            "codes": {
                "status": {status.name.lower(): int(status) for status in Status},
                # "+" cannot be in the name of an XML element
                "modality": {
                    name.replace("+", "_and_"): code for code, name in enumerate(self._combinations)
                },
            },
        }


def _unit(label: str) -> str:
    if label == "confidence":
        return "probability"
    if label.endswith("_s"):
        return "seconds"
    return "samples" if "_sample." in label else "code"
