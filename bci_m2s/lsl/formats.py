"""What this package sends over LSL and records: stream types, limits, and the place of each number.

Whoever writes such a stream and whoever reads it does so through this module.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from bci_m2s.types import Estimate, Event, FloatArray, Status, StreamInfo, Trace

# Types of a session's own streams on the network.
ANSWER_TYPE = "Emotion"  # estimates, one stream per head
STATUS_TYPE = "bci_m2s-status"  # JSON objects
STATUS_PART = "status"  # behind the session's name and a dash in its name, behind its id in its source id
EVIDENCE_PART = "evidence"  # the same, before a dash and the modality
EVIDENCE_TYPE = "bci_m2s-evidence"  # what estimates rest on, one stream per modality
RAW_TYPE = "bci_m2s-raw"  # samples for a display; no program may take it for the source itself
OWN_TYPES = (STATUS_TYPE, EVIDENCE_TYPE, RAW_TYPE)  # of no use to anybody else
# Types of the streams that a session adds to its recording.
ESTIMATES_TYPE = "bci_m2s-estimates"  # one double64 stream per head
EVENTS_TYPE = "bci_m2s-events"  # one string stream, a JSON object per sample
SENT_STAMPS_TYPE = "bci_m2s-sent-stamps"  # a sender's own stamps, where its stream was stamped on arrival
OPERATOR_ID = "bci_m2s-operator"  # source id of a session's own markers
RESULT_TYPES = (ESTIMATES_TYPE, EVENTS_TYPE, SENT_STAMPS_TYPE)

# liblsl allocates its buffers from what a sender claims, before the first sample comes. Audio of 192 kHz is
# the fastest that anybody sends; a contract may ask for as much as a stream may have.
HIGHEST_RATE_HZ = 200_000.0
# For the same reason. High-density probes have fewer than 4000 channels. It is the largest number allowed,
# to whoever sends and to whoever reads.
MOST_CHANNELS = 4095


# ---- estimates on the network ----


@dataclass(frozen=True, slots=True)
class SentEstimate:
    """One sample of a stream of type ``ANSWER_TYPE``, as it may come from anyone.

    probabilities : (classes,); age_s : of the newest sample; combination : what made it, "" for an unknown
    code; status : code, maybe none of ``Status``
    """

    probabilities: FloatArray
    confidence: float
    age_s: float
    status: int
    combination: str
    unknown: bool


@dataclass(frozen=True, slots=True)
class EstimateLayout:
    """Channels of one head's stream of estimates: probabilities of the classes, then five more.

    classes : of the head; combinations : what an estimate can be made of, in the order of their codes
    """

    classes: tuple[str, ...]
    combinations: tuple[str, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the channels."""
        return (*self.classes, "confidence", "age", "status", "modality", "unknown")

    @property
    def units(self) -> tuple[str, ...]:
        """Units of the channels."""
        return (*["probability"] * (len(self.classes) + 1), "milliseconds", "code", "code", "code")

    def pack(self, estimate: Estimate) -> np.ndarray[Any, np.dtype[np.float32]]:
        """An estimate as a sample, (channels,); NaN where there is none."""
        code = self.combinations.index(estimate.modality)
        age_ms = 1e3 * estimate.stamps.age_s
        rest = (estimate.confidence, age_ms, int(estimate.status), code, estimate.unknown)
        return np.array([*estimate.probabilities, *rest], dtype=np.float32)

    def unpack(self, sample: Sequence[float]) -> SentEstimate:
        """What a sample of ``labels`` says. Raises ValueError for another number of channels."""
        values = np.asarray(sample, dtype=np.float64)
        if len(values) != len(self.labels):
            raise ValueError(f"estimates: got {len(values)} channels, expected {len(self.labels)}")
        probabilities, (confidence, age_ms, status, code, unknown) = values[:-5], values[-5:].tolist()
        name = _named(self.combinations, code)
        return SentEstimate(probabilities, confidence, age_ms / 1e3, _code(status), name, unknown == 1)


# ---- what estimates rest on ----


def evidence_channels(features: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Labels and units of a stream of type ``EVIDENCE_TYPE``: one per feature, then head and class."""
    return (*features, "head", "class"), (*["nats"] * len(features), "code", "code")


def pack_evidence(values: FloatArray, head: int, class_index: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A sample of an evidence stream, (F + 2,). values : (F,) nats; head, class_index : positions."""
    return np.array([*values, head, class_index], dtype=np.float32)


def unpack_evidence(sample: Sequence[float]) -> tuple[FloatArray, int, int]:
    """Values, head and class of a sample; -1 for a position that is none."""
    values = np.asarray(sample, dtype=np.float64)
    head, class_index = map(_code, values[-2:].tolist())
    return values[:-2], head, class_index


# ---- estimates in a recording ----

TRACED = ("samples", "filters", "features")
OF_EACH_MODALITY = ("first_sample", "last_sample", *(f"{stage}_crc" for stage in TRACED))
NEEDED = ("confidence", "status", "unknown", "modality")


@dataclass(frozen=True, slots=True)
class RecordedWindow:
    """Where one modality's window lay in its stream, and what each stage made of it."""

    first_sample: int
    last_sample: int
    trace: Trace


@dataclass(frozen=True, slots=True)
class RecordedEstimate:
    """One sample of a stream of type ``ESTIMATES_TYPE``.

    combination : what made it, "" for an unknown code; windows : by modality, those that had a part
    last_sample_s, end_s : stamp of the newest sample in the local and in the sender's clock
    """

    probabilities: FloatArray
    confidence: float
    status: int
    unknown: bool
    combination: str
    windows: Mapping[str, RecordedWindow]
    age_s: float
    last_sample_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class RecordLayout:
    """Channels of one head's recorded estimates, all double64, NaN where a modality had no part.

    classes : of the head; modalities : of the session; combinations : in the order of their codes
    """

    classes: tuple[str, ...]
    modalities: tuple[str, ...]
    combinations: tuple[str, ...]

    @staticmethod
    def read(labels: Sequence[str], combinations: Sequence[str] = ()) -> RecordLayout:
        """The layout of a recorded stream by the labels of its channels.

        combinations : as the session says; () for the modalities themselves

        Raises ValueError when a channel is missing or they are in another order.
        """
        missing = [label for label in NEEDED if label not in labels]
        if missing:
            raise ValueError(f"got no channel {missing[0]!r}, expected it")
        first = f"{OF_EACH_MODALITY[0]}."
        modalities = tuple(label.removeprefix(first) for label in labels if label.startswith(first))
        classes = tuple(labels[: list(labels).index("confidence")])
        layout = RecordLayout(classes, modalities, tuple(combinations) or modalities)
        for got, expected in zip((*labels, ""), layout.labels, strict=False):
            if got != expected:
                raise ValueError(f"got channel {got!r}, expected {expected!r}")
        return layout

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the channels."""
        windows = [f"{name}.{modality}" for modality in self.modalities for name in OF_EACH_MODALITY]
        return (*self.classes, *NEEDED, *windows, "age_s", "last_sample_s", "end_s")

    @property
    def units(self) -> tuple[str, ...]:
        """Units of the channels."""
        windows = ["samples", "samples", "code", "code", "code"] * len(self.modalities)
        shares = ["probability"] * (len(self.classes) + 1)
        return (*shares, "code", "code", "code", *windows, "seconds", "seconds", "seconds")

    def pack(self, estimate: Estimate) -> FloatArray:
        """An estimate as a sample, (channels,)."""
        stamps, code = estimate.stamps, self.combinations.index(estimate.modality)
        parts = {part.modality: part for part in estimate.parts or (estimate,)}
        values = [*estimate.probabilities, estimate.confidence, estimate.status, estimate.unknown, code]
        for modality in self.modalities:
            part = parts.get(modality)
            if part is None:
                values += [math.nan] * len(OF_EACH_MODALITY)
            else:
                crcs = (part.trace.samples, part.trace.filters, part.trace.features)
                values += [part.first_index, part.last_index, *crcs]
        return np.array([*values, stamps.age_s, stamps.last_sample_s, estimate.end_s], dtype=np.float64)

    def unpack(self, sample: FloatArray) -> RecordedEstimate:
        """What a sample of ``labels`` says, as it may come from anyone."""
        n = len(self.classes)
        confidence, status, unknown, code, *rest = sample[n:].tolist()
        windows, size = {}, len(OF_EACH_MODALITY)
        for number, modality in enumerate(self.modalities):
            values = rest[number * size : (number + 1) * size]
            if all(map(math.isfinite, values)):
                first, last, *crcs = map(int, values)
                windows[modality] = RecordedWindow(first, last, Trace(*crcs))
        name = _named(self.combinations, code)
        stamps = rest[len(self.modalities) * size :][:3]
        return RecordedEstimate(sample[:n], confidence, _code(status), unknown > 0, name, windows, *stamps)


# ---- events in a recording, and in events.jsonl ----

EVENTS_INFO = StreamInfo(
    "bci_m2s events", EVENTS_TYPE, labels=("event",), units=("json",), channel_format="string"
)


def sent_stamps_info(info: StreamInfo) -> StreamInfo:
    """The stream that keeps what a sender stamped, in s of its own clock, beside one stamped on arrival."""
    return replace(
        info,
        name=f"{info.name} sent stamps",
        type=SENT_STAMPS_TYPE,
        labels=("sent",),
        units=("seconds",),
        channel_format="double64",
    )


def session_line(session: Mapping[str, Any]) -> str:
    """The first line of a recording's events: the session's description."""
    return json.dumps({"kind": "session", "session": session}, ensure_ascii=False, default=str)


def event_line(event: Event) -> str:
    """Return an event as one line of JSON, without its end of line; numbers that are none are null."""
    line = {
        "kind": event.kind,
        "message": event.message,
        "local_s": event.local_s,
        "wall_s": event.wall_s,
        "utc": datetime.fromtimestamp(event.wall_s, UTC).isoformat(timespec="milliseconds"),
        **event.fields,
    }
    known = {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in line.items()
    }
    return json.dumps(known, ensure_ascii=False, default=str, allow_nan=False)


def parse_line(text: str) -> dict[str, Any]:
    """The JSON object of a line. Raises ValueError for anything else."""
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


# ---- what all have ----


def code_names(combinations: Sequence[str]) -> dict[str, dict[str, int]]:
    """What the codes of estimates mean, for the description of a stream: {channel: {meaning: code}}."""
    return {
        "status": {status.name.lower(): int(status) for status in Status},
        # "+" cannot be in the name of an XML element
        "modality": {name.replace("+", "_and_"): code for code, name in enumerate(combinations)},
    }


def _code(value: float) -> int:
    """A code; -1 for what is no whole number from 0 up."""
    return int(value) if 0 <= value < 1e6 and value.is_integer() else -1


def _named(names: Sequence[str], value: float) -> str:
    code = _code(value)
    return names[code] if 0 <= code < len(names) else ""
