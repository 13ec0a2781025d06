"""What the panel says of an estimate, in words and numbers. No Qt: this is the part that decides."""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from bci_m2s.text import modality_name
from bci_m2s.types import AT_FIRST, UNKNOWN, FloatArray, Status

STALE_S = 2.0  # an answer older than this is not shown any more
RATE_OVER = 41  # answers over which the rate is measured: 10 s at 4 Hz
NO_ESTIMATE = "no estimate"
WORDS = {
    Status.FILLING: "window fills",
    Status.SETTLING: "filters settle",
    Status.BASELINE: "baseline is not complete",
    Status.GAP: "samples are missing in the window",
    Status.BAD_SIGNAL: "too much of the signal is bad",
    Status.STALE: "the signal is silent",
    Status.MISMATCH: "the stream is not what the model needs",
    Status.FAILED: "inference failed",
    Status.LATE: "the answer came too late",
    Status.DRIFT: "unknown: drift from the training",
}
_LEFT = re.compile(r"(\d+(?:\.\d+)?) s left")


@dataclass(frozen=True, slots=True)
class Answer:
    """One sample of an estimate stream, or the reason why it holds no estimate.

    head : the question that is answered; modality : what made the answer
    stamp_s : local LSL clock of the window's last sample, s
    probabilities : (classes,) float64 from 0 to 1, all NaN where there is no estimate
    confidence : the largest probability; age_ms : age of the newest sample when it was published
    status : a ``Status`` or its number; unknown : too little confidence for an answer
    reason : why there is no estimate, in words; "" lets the status speak
    """

    head: str
    modality: str
    stamp_s: float
    probabilities: FloatArray
    confidence: float
    age_ms: float
    status: Status | int
    unknown: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ShownAnswer:
    """An answer as it is shown.

    headline, number : the largest words and the number beside them; detail : the line below the bars
    tone : "ok", "muted" (expected, wait), "warn", "bad" or "frozen" (the view stands still)
    place : index of the answer among the classes, -1 where there is none
    shares : one probability per class, 0.01 steps; () where there is no estimate
    left_s : what is left to wait, s, where that is known
    """

    headline: str
    number: str = ""
    detail: str = ""
    tone: str = "ok"
    place: int = -1
    shares: tuple[float, ...] = ()
    left_s: float | None = None


@dataclass(slots=True)
class AnswerLine:
    """Newest answer of one line (a modality, or the chosen one) to one head, and when it was received.

    Moments are local LSL seconds; NaN before the first.
    """

    classes: tuple[str, ...]
    answer: Answer | None = None
    received_s: float = math.nan
    is_new: bool = False
    stamps: deque[float] = field(default_factory=lambda: deque(maxlen=RATE_OVER))

    def take(self, answer: Answer) -> None:
        """Keep an answer; older ones are forgotten."""
        self.answer, self.is_new = answer, True
        if answer.status != Status.OK or not math.isfinite(answer.stamp_s):
            return
        if self.stamps and not 0 <= answer.stamp_s - self.stamps[-1] <= STALE_S:
            self.stamps.clear()  # a rate across a hole would be none
        self.stamps.append(answer.stamp_s)

    def shown(self, now_s: float) -> ShownAnswer:
        """What is to be shown at a moment; an old answer is never shown.

        The silence is counted from the first call after an answer was taken, by the clock of the
        caller. An estimate of a moment more than ``STALE_S`` ago is not shown either.
        """
        if self.is_new or math.isnan(self.received_s):
            self.received_s, self.is_new = now_s, False
        silent_s = now_s - self.received_s
        if self.answer is None:
            return ShownAnswer(NO_ESTIMATE, detail="waiting for the first window", tone="muted")
        words = ""
        if silent_s > STALE_S:
            words = f"no estimate for {duration(silent_s)}: nothing comes from the engine"
        elif self.answer.status == Status.OK and now_s - self.answer.stamp_s > STALE_S:
            words = f"the newest one is {duration(now_s - self.answer.stamp_s)} old"
        if words:
            return ShownAnswer(NO_ESTIMATE, detail=words, tone="warn")
        return shown_answer(self.answer, self.classes, self.rate_hz)

    @property
    def rate_hz(self) -> float:
        """Estimates per second, measured from their stamps; NaN with fewer than two."""
        span_s = self.stamps[-1] - self.stamps[0] if self.stamps else 0.0
        return (len(self.stamps) - 1) / span_s if span_s > 0 else math.nan


def shown_answer(answer: Answer, classes: Sequence[str], rate_hz: float = math.nan) -> ShownAnswer:
    """Put an answer into words. classes : of its head; rate_hz : estimates per second, NaN is not shown"""
    if answer.status != Status.OK:
        return _refusal(answer)
    shares = answer.probabilities
    likeliest = int(np.argmax(shares))
    confidence = answer.confidence if math.isfinite(answer.confidence) else float(shares.max())
    number, detail = f"{confidence:.2f}", _source(answer, rate_hz)
    if answer.unknown:  # the number is not the probability of being unknown
        detail = f"({classes[likeliest]} {number}) below the model's limit\n{detail}"
    return ShownAnswer(
        headline=UNKNOWN if answer.unknown else classes[likeliest].upper(),
        number="" if answer.unknown else number,
        detail=detail,
        place=-1 if answer.unknown else likeliest,
        shares=tuple(np.round(np.clip(shares, 0, 1), 2).tolist()),
    )


def _source(answer: Answer, rate_hz: float) -> str:
    parts = [f"from {modality_name(answer.modality)}"] * bool(answer.modality)
    parts += [f"age {age(answer.age_ms / 1e3)}"] * math.isfinite(answer.age_ms)
    parts += [f"{rate_hz:.2g} Hz"] * math.isfinite(rate_hz)
    return " · ".join(parts)


def _refusal(answer: Answer) -> ShownAnswer:
    known = answer.status in list(Status)
    status = Status(answer.status) if known else Status.FAILED
    words = answer.reason or (WORDS[status] if known else f"status {answer.status}")
    tone = "muted" if status in AT_FIRST else "bad" if known and status is Status.FAILED else "warn"
    return ShownAnswer(NO_ESTIMATE, detail=words, tone=tone, left_s=seconds_left(words))


def seconds_left(reason: str) -> float | None:
    """What is left to wait, s, by a reason ("baseline, 12 s left"); None where it does not say."""
    found = _LEFT.search(reason)
    return float(found[1]) if found else None


def age(seconds: float) -> str:
    """An age that fits a glance: "6 ms", "3.2 s", "12 min"."""
    if seconds < 0.9995:
        return f"{1e3 * seconds:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def clock(seconds: float, with_hours: bool = False) -> str:
    """Time since a beginning: "12:34", "1:02:34"; `with_hours` also "0:12:34"."""
    minutes, whole = divmod(int(max(seconds, 0.0)), 60)
    if minutes >= 60 or with_hours:
        return f"{minutes // 60}:{minutes % 60:02}:{whole:02}"
    return f"{minutes}:{whole:02}"


def duration(seconds: float) -> str:
    """A silence: "3 s", "2 min", "1 h 5 min"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


@lru_cache(maxsize=256)
def legible(colour: str, ground: str, least: float = 3.0) -> str:
    """A colour moved towards black or white until it can be read on a ground.

    Parameters
    ----------
    colour, ground : "#RRGGBB"
    least : contrast to reach; 3 is what WCAG 2.2 (W3C 2023, criterion 1.4.3) asks of large text

    Returns
    -------
    "#RRGGBB", of the same hue; the colour itself where it has contrast enough
    """
    own, end = rgb(colour), np.full(3, 0.0 if luminance(ground) > 0.18 else 255.0)
    for part in np.arange(0.0, 1.01, 0.05):
        red, green, blue = np.rint((1 - part) * own + part * end).astype(int).tolist()
        made = f"#{red:02X}{green:02X}{blue:02X}"
        if contrast(made, ground) >= least:
            break
    return made


def contrast(colour: str, ground: str) -> float:
    """Contrast ratio of two colours "#RRGGBB", from 1 to 21 (WCAG 2.2)."""
    low, high = sorted((luminance(colour), luminance(ground)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    """Relative luminance of a colour "#RRGGBB", from 0 to 1 (WCAG 2.2)."""
    part = rgb(colour) / 255
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def rgb(colour: str) -> FloatArray:
    """Red, green and blue of a colour "#RRGGBB", (3,), 0 to 255."""
    return np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)], dtype=np.float64)
