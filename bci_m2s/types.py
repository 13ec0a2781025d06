"""The data that moves through bci_m2s, as plain frozen records.

Shapes are written (n, channels): n samples in time order, one column per channel. Times are float64
seconds. Two clocks occur: the *sender's* (the stamps of a stream, as sent) and the *local* one (the
LSL clock of this machine); ``clock_offset_s`` added to a sender stamp gives local time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

MARKER_TYPE = "Markers"  # of streams of texts, as LSL and XDF have it
TRIAL_START, TRIAL_STOP = "trial/start/", "trial/stop/"  # markers of trials; the class follows
LONGEST_MARKER = 1000  # characters that are kept in memory; markers come from the network
UNKNOWN = "unknown"  # the label of an estimate that is less confident than its head demands
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """What a sender says of its stream.

    ``rate_hz`` 0.0 means irregular (markers). ``labels`` and ``units`` have one entry per channel; where
    the sender did not say, a label is ch1 … chN and a unit "". ``uid`` is new at each start of a sender,
    ``source_id`` stays. ``channel_format`` is of LSL: float32, double64, int8, int16, int32, int64, string.
    ``reference`` is what channels are referred to: labels, "average", "" where nobody said.
    ``remark`` says what is odd about the sender's description. ``missing_channels`` is what is done about
    channels of a model that the stream lacks: refuse, interpolate, training_mean.
    """

    name: str
    type: str
    source_id: str = ""
    uid: str = ""
    host: str = ""
    rate_hz: float = 0.0
    labels: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    channel_format: str = "float32"
    reference: str = ""
    remark: str = ""
    missing_channels: str = "refuse"

    @property
    def n_channels(self) -> int:
        """Number of channels."""
        return len(self.labels)

    def describe(self) -> str:
        """One line for people: name, type, rate and channel count."""
        rate = f"{self.rate_hz:g} Hz" if self.rate_hz else "irregular"
        channels = f"{self.n_channels} channel{'' if self.n_channels == 1 else 's'}"
        return f"{self.name!r} ({self.type}, {rate}, {channels})"


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive samples of one stream, as received.

    times : (n,) float64, the sender's clock, s
    samples : (n, channels), the stream's own number type; object (str) for a string stream
    received_s : (n,) float64, local clock when the sample was handed over; NaN when not live
    sent_s : (n,) float64, what the sender stamped, where `times` are of the arrival; None elsewhere
    """

    times: FloatArray
    samples: NDArray[Any]
    received_s: FloatArray
    sent_s: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.times)

    @staticmethod
    def of(times: Any, samples: Any, received_s: float = float("nan")) -> Chunk:
        """Build a chunk from arrays and one moment of reception."""
        stamps = np.asarray(times, dtype=np.float64)
        return Chunk(stamps, np.asarray(samples), np.full(len(stamps), received_s))

    def part(self, start: int, stop: int | None = None) -> Chunk:
        """Samples `start` to `stop` (not with it), as views."""
        part = slice(start, stop)
        sent_s = None if self.sent_s is None else self.sent_s[part]
        return Chunk(self.times[part], self.samples[part], self.received_s[part], sent_s)

    @staticmethod
    def empty(n_channels: int, dtype: Any = np.float32) -> Chunk:
        """A chunk without samples."""
        return Chunk(np.empty(0), np.empty((0, n_channels), dtype), np.empty(0))


class Status(IntEnum):
    """Why there is an estimate or none. The number is what the LSL outlet carries."""

    OK = 0  #: there is an estimate
    FILLING = 1  #: the window is not full yet
    SETTLING = 2  #: a filter still answers to its start
    BASELINE = 3  #: the person's baseline is not complete
    GAP = 4  #: samples are missing or stamps jumped inside the window
    BAD_SIGNAL = 5  #: too many features are missing: bad channels, track loss
    STALE = 6  #: the newest sample is too old, or none ever came
    MISMATCH = 7  #: the stream no longer is what the model's contract asks for, or who sends is in doubt
    FAILED = 8  #: inference cannot go on (the device failed); the recording does
    LATE = 9  #: the answer came too long after its samples: this process or its machine stood still
    DRIFT = 10  #: the features are further from those of the training than the limit


AT_FIRST = (Status.FILLING, Status.SETTLING, Status.BASELINE)  # every session begins with these
BY_THE_CLOCK = (Status.STALE, Status.FAILED)  # once a second, without samples; others come with every hop


@dataclass(frozen=True, slots=True)
class Step:
    """Features of one step of raw samples.

    values : (F,) float64, NaN where a feature cannot be known (bad channel, track loss)
    problem : says in words why values are NaN; "" when none is
    filled : which channels' values were interpolated from others, in words; "" for none
    filters_crc : CRC-32 of what the filters gave for the newest block, see ``Trace``
    coupling : (K,) how channels go together, see ``features.coupling``; None where it is not measured
    """

    values: FloatArray
    problem: str = ""
    filters_crc: int = 0
    filled: str = ""
    coupling: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class Trace:
    """CRC-32 of what each stage made for a window: a replay that differs can say where it began to.

    samples : the newest block of raw samples, in the contract's order; filters : what the extractor's
    filters gave for it; features : the (T, F) input of the network, 0 when there is none
    """

    samples: int = 0
    filters: int = 0
    features: int = 0


@dataclass(frozen=True, slots=True)
class Window:
    """A window that is due, with its features when it is valid.

    ``first_index`` and ``last_index`` count the samples of the stream since the pipeline began (both
    inclusive); ``start_s`` and ``end_s`` are their stamps in the sender's clock. ``features`` is (T, F)
    float64, None when ``status`` is not OK. ``filled`` says which of them rest on no channel of their own.
    ``coupling`` is (T, K) of the same steps, None where it is not measured.
    ``drift`` is their distance from the training's as a share of its limit, NaN where it is not measured.
    """

    modality: str
    first_index: int
    last_index: int
    start_s: float
    end_s: float
    received_s: float
    status: Status
    reason: str = ""
    features: FloatArray | None = None
    trace: Trace = Trace()
    filled: str = ""
    drift: float = float("nan")
    coupling: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class Stamps:
    """When an estimate passed each stage: local clock, s; NaN where a stage was not passed.

    wall_s : POSIX time of the publication, s
    """

    last_sample_s: float = float("nan")
    received_s: float = float("nan")
    features_s: float = float("nan")
    inferred_s: float = float("nan")
    published_s: float = float("nan")
    wall_s: float = float("nan")

    @property
    def age_s(self) -> float:
        """Age of the newest sample when the estimate was published; a stamp a little ahead is of now."""
        return max(self.published_s - self.last_sample_s, 0.0)

    @property
    def stages_s(self) -> tuple[float, float, float, float]:
        """How long transport, features, inference and publication took; NaN where that is not known."""
        return (
            max(self.received_s - self.last_sample_s, 0.0),
            self.features_s - self.received_s,
            self.inferred_s - self.features_s,
            self.published_s - self.inferred_s,
        )


@dataclass(frozen=True, slots=True)
class Estimate:
    """One answer of the model, or the reason why there is none.

    modality : what made it; two names joined by "+" where two were averaged
    head : the question that is answered, "emotion" or "valence" for instance
    probabilities : (classes,) float64, sums to 1; all NaN unless ``status`` is OK
    confidence : the largest probability; NaN unless ``status`` is OK
    end_s : stamp of the window's last sample in the sender's clock
    unknown : ``status`` is OK, but the confidence is below what the head demands for an answer
    parts : the estimates that were averaged, one per modality; () where one modality made it
    filled : what was interpolated, or replaced by the training mean, in words; "" for nothing
    drift : distance of the features from the training's as a share of its limit; NaN where not measured
    """

    modality: str
    head: str
    first_index: int
    last_index: int
    start_s: float
    end_s: float
    status: Status
    reason: str
    probabilities: FloatArray
    confidence: float
    stamps: Stamps = field(default_factory=Stamps)
    unknown: bool = False
    trace: Trace = Trace()
    parts: tuple[Estimate, ...] = ()
    filled: str = ""
    drift: float = float("nan")

    @property
    def class_index(self) -> int:
        """Index of the most probable class, -1 when there is no estimate or it is unknown."""
        return int(np.argmax(self.probabilities)) if self.status is Status.OK and not self.unknown else -1

    def label(self, classes: Sequence[str]) -> str:
        """The answer's name among its head's classes, "unknown", or "" when there is none."""
        if self.status is not Status.OK:
            return ""
        return UNKNOWN if self.unknown else classes[self.class_index]

    def words(self, classes: Sequence[str]) -> str:
        """The answer with the probability of its class: "neutral 0.71", "unknown (negative 0.42)"; "" when
        there is none.
        """
        if self.status is not Status.OK:
            return ""
        likeliest = f"{classes[int(np.argmax(self.probabilities))]} {self.confidence:.2f}"
        return f"{UNKNOWN} ({likeliest})" if self.unknown else likeliest


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: connected, gap, baseline complete, marker ...

    local_s : local LSL clock, s (NaN when not live); wall_s : POSIX time, s. Both are NaN until an event
        is published: what notices it may have no clock.
    """

    kind: str
    message: str
    local_s: float = float("nan")
    wall_s: float = float("nan")
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StatusReport:
    """The state of a session as plain JSON values; local_s : local LSL clock, s; wall_s : POSIX time, s."""

    local_s: float
    wall_s: float
    values: dict[str, Any]


Published = Estimate | Event | StatusReport  # what sinks are given
Emit = Callable[[Event], None]  # takes what happens, the moment it is noticed


def no_listener(_event: Event) -> None:
    """Where nobody listens, as in training and evaluation: an ``Emit`` that forgets."""
