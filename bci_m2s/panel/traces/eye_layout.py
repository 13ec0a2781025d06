"""What an eye tracker's channels are, when the track is lost, and what a row's range is. No Qt here."""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bci_m2s.features.eye_events import EventLimits
from bci_m2s.panel.look.plot import step_125
from bci_m2s.panel.traces.sweep import Float32Array
from bci_m2s.panel.traces.trace_rows import shown_unit
from bci_m2s.types import BoolArray, FloatArray

GAZE_WORDS = ("gaze", "norm_pos", "por")  # how trackers call where somebody looks
PUPIL_WORDS = ("pupil", "diameter")
MOST_PLAIN_ROWS = 6  # of a stream whose channels have other names
CONFIDENT = 0.6  # below it a sample does not count, as in ``features.eye``
BLINK_S = EventLimits().blink_min_s, EventLimits().blink_max_s
SMALLEST_SPAN = {
    "mm": 1.0,
    "px": 200.0,
    "°": 10.0,
}  # of a row, in its unit: noise shall not look like movement
MARGIN = 0.15  # of the range that values have, left free above and below


@dataclass(frozen=True, slots=True)
class EyeRow:
    """One row of the view. channels : drawn in it; kind : "gaze", "pupil" or "" for anything else."""

    name: str
    unit: str
    channels: tuple[int, ...]
    kind: str = ""


@dataclass(frozen=True, slots=True)
class EyeLayout:
    """The rows of a stream; confidence : its channel, None where there is none."""

    rows: tuple[EyeRow, ...]
    confidence: int | None = None

    def channels(self, kind: str) -> list[int]:
        """All channels of a kind of row."""
        return [channel for row in self.rows if row.kind == kind for channel in row.channels]


def eye_layout(labels: Sequence[str], units: Sequence[str]) -> EyeLayout:
    """Find gaze x, gaze y, pupils and confidence by the channels' names.

    labels, units : one per channel. A stream without gaze and pupil gets a row for each of its first
    ``MOST_PLAIN_ROWS`` channels.
    """
    names = [label.casefold() for label in labels]
    shown = [shown_unit(unit)[0] for unit in units]
    rows = []
    for axis in "xy":
        found = [i for i, name in enumerate(names) if _is_gaze(name, axis)]
        if found:
            rows.append(EyeRow(f"gaze {axis}", shown[found[0]], (found[0],), "gaze"))
    pupils = [i for i, name in enumerate(names) if any(word in name for word in PUPIL_WORDS)][:2]
    if pupils:
        rows.append(EyeRow("pupil", shown[pupils[0]], tuple(pupils), "pupil"))
    if not rows:
        plain = [EyeRow(str(labels[i]), shown[i], (i,)) for i in range(min(len(labels), MOST_PLAIN_ROWS))]
        return EyeLayout(tuple(plain))
    sure = [i for i, name in enumerate(names) if "confidence" in name]
    return EyeLayout(tuple(rows), sure[0] if sure else None)


def _is_gaze(name: str, axis: str) -> bool:
    return any(word in name for word in GAZE_WORDS) and axis in re.split(r"[^a-z]+", name)


def shown_values(layout: EyeLayout, samples: Float32Array) -> tuple[Float32Array, BoolArray, BoolArray]:
    """What of samples is drawn, where gaze is lost, and where no pupil is seen.

    samples : (n, channels), NaN where lost → (n, channels) with NaN for unseen pupils, (n,), (n,).
    A pupil of 0 or less is what trackers send for one that they do not see.
    """
    values, n = samples.copy(), len(samples)
    gaze, pupils = layout.channels("gaze"), layout.channels("pupil")
    values[:, pupils] = np.where(values[:, pupils] > 0, values[:, pupils], np.nan)
    lost, unseen = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    if gaze:
        lost |= np.isnan(values[:, gaze]).any(axis=1)
    if pupils:
        unseen |= np.isnan(values[:, pupils]).all(axis=1)
    if layout.confidence is not None:
        lost |= ~(values[:, layout.confidence] >= CONFIDENT)
    return values, lost, unseen


class Losses:
    """When the track was lost, chunk by chunk: (start, stop) in s; the last may go on."""

    def __init__(self) -> None:
        self.spans: deque[tuple[float, float]] = deque(maxlen=200)
        self.since_s = math.nan  # of the loss that goes on, NaN while the eyes are tracked
        self._newest_s = math.nan

    def clear(self) -> None:
        """Forget all."""
        self.spans.clear()
        self.since_s = self._newest_s = math.nan

    def push(self, times: FloatArray, lost: BoolArray, after_gap: bool) -> None:
        """Take the next samples, (n,) each, n > 0; a gap in the stream ends what went on before it."""
        if after_gap and not math.isnan(self.since_s):
            self._end(self._newest_s)
        changes = np.flatnonzero(np.diff(lost, prepend=not math.isnan(self.since_s)))
        for at in changes:
            if lost[at]:
                self.since_s = float(times[at])
            else:
                self._end(float(times[at]))
        self._newest_s = float(times[-1])

    def _end(self, stop_s: float) -> None:
        self.spans.append((self.since_s, stop_s))
        self.since_s = math.nan


def loss_word(length_s: float) -> str:
    """What a loss of such a length is called; "" for one that is too short to be a blink."""
    if length_s < BLINK_S[0] - 1e-6:
        return ""
    return "blink" if length_s <= BLINK_S[1] + 1e-6 else f"lost {length_s:.1f} s"


def row_range(values: Float32Array, unit: str, kind: str) -> tuple[float, float] | None:
    """Least and largest value of a row, round numbers; None when no value is known.

    values : what is on the screen, any shape. Gaze without a unit that stays near 0 to 1 gets the screen's
    edges, 0 and 1; else 98 % of the values fit, and some room is left.
    """
    known = values[~np.isnan(values)]
    if not len(known):
        return None
    low, high = (float(edge) for edge in np.percentile(known, (1, 99)))
    if kind == "gaze" and not unit and low >= -0.25 and high <= 1.25:
        return 0.0, 1.0
    span = max((high - low) * (1 + 2 * MARGIN), SMALLEST_SPAN.get(unit, 0.1 * abs(high + low) / 2), 1e-6)
    middle, step = (low + high) / 2, step_125(span / 20)
    return (
        float(f"{math.floor((middle - span / 2) / step) * step:.12g}"),
        float(f"{math.ceil((middle + span / 2) / step) * step:.12g}"),
    )


def still_fits(values: Float32Array, now: tuple[float, float], unit: str, kind: str) -> bool:
    """Whether a range may stay: no need for a wider one, and none for one a third as wide."""
    wanted = row_range(values, unit, kind)
    if wanted is None:
        return True
    inside = now[0] <= wanted[0] + 1e-9 and wanted[1] <= now[1] + 1e-9
    return inside and 3 * (wanted[1] - wanted[0]) >= now[1] - now[0]
