"""The 33 eye-movement features of the SEED data sets, from raw gaze and pupil, live.

In the order of ``EyeMovements.names``; std is the population's (0 for one event):

* *Pupil X, then Y* (6 each; two axes of one pupil, or left and right): mean and std of the diameter over
  the step's valid samples, in the sender's unit (mm, as a rule); differential entropy ½ ln(2πe σ²) in
  0–0.2, 0.2–0.4, 0.4–0.6 and 0.6–1 Hz. σ² is the mean square of the band signal over the step: a band
  signal has zero mean by construction, and a step may be shorter than its period.
* *Dispersion X mean, std, dispersion Y mean, std*, degrees: width (largest minus smallest x) and height
  of each fixation's gaze.
* *Fixation duration mean, std*, s. *Blink duration mean, std*, s (left out with ``blink_duration: false``,
  which gives the 31 of SEED-IV). *Saccade duration mean, std*, s, *saccade amplitude mean, std*, degrees.
* *Event statistics*: blinks per s; fixations that ended per s; longest fixation, s; sum and largest of
  (width + height) over the fixations, degrees (dispersion as in Salvucci & Goldberg 2000); saccades per s;
  mean saccade duration, s, and amplitude, degrees (the same as above: the published list has both); mean
  saccade latency, s, from the end of a saccade to the beginning of the next.

``eye_events`` defines the events. An event belongs to the step in which it becomes certain, at most 0.1 s
after its end, so steps end to end count each event once; it keeps its true onset, up to `history_s` before
the step. Fixations that still go on count with their length so far, but not in fixations per s.
A value of which the step has no event is 0.

*Pupil.* Blinks and 50 ms around them, where the lid covers the pupil (Kret & Sjak-Shie 2019), are bridged
by the last valid value: a straight line would need the value after the blink. Pupil values therefore lag
50 ms. Published features remove a luminance component common to all viewers of a clip. No live viewer has
that, so a slow trend is removed instead: the lowest band begins at `pupil_trend_hz`, 0.05 Hz, and the
others reject slow changes anyway. Mean and std keep the trend; what of it is the person's or the room's
own is left to the normalisation per person. The band filters start from the first valid value, and again
after a loss of more than `pupil_hold_s` (seen at the end of a block); entropies are NaN until they settle.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import numpy as np

from bci_m2s.errors import ContractError, nearest
from bci_m2s.features.eye_events import EventLimits, Events, detect_events
from bci_m2s.features.eye_pupil import PupilSizes, SlowBands
from bci_m2s.types import BoolArray, FloatArray, Step

WHERE = "feature eye"
COLUMNS = ("gaze_x", "gaze_y", "pupil_x", "pupil_y", "confidence")
GAZE_UNITS = ("normalized", "pixels", "degrees")
RATES_HZ = (25.0, 2500.0)
IMPOSSIBLE_DEG = 180.0  # gaze beyond this is a loss code that nobody declared
BANDS_HZ = ((0.0, 0.2), (0.2, 0.4), (0.4, 0.6), (0.6, 1.0))

# Parameters that are numbers: default, smallest, largest.
_LIMITS = EventLimits()
NUMBERS: dict[str, tuple[float, float, float]] = {
    "min_confidence": (0.6, 0.0, 1.0),
    "min_tracked": (0.5, 0.01, 1.0),
    "history_s": (4.0, 1.0, 8.0),
    "velocity_deg_s": (_LIMITS.velocity_deg_s, 1.0, 1000.0),
    "saccade_min_s": (_LIMITS.saccade_min_s, 0.0, 0.1),
    "saccade_min_deg": (_LIMITS.saccade_min_deg, 0.0, 10.0),
    "fixation_min_s": (_LIMITS.fixation_min_s, 0.0, 0.5),
    "merge_gap_s": (_LIMITS.merge_gap_s, 0.0, 0.5),
    "blink_min_s": (_LIMITS.blink_min_s, 0.0, 0.5),
    "blink_max_s": (_LIMITS.blink_max_s, 0.0, 1.0),
    "pupil_trend_hz": (0.05, 0.01, 1.0),
    "pupil_hold_s": (1.0, 0.0, 10.0),
    "pupil_margin_s": (0.05, 0.0, 1.0),
}
DEGREES = ("degrees_per_unit_x", "degrees_per_unit_y")
PARAMETERS = ("columns", "gaze_unit", *DEGREES, "loss_values", "pupil_bands_hz", "blink_duration", *NUMBERS)


class EyeMovements:
    """Extractor of the eye-movement features; the module says how each is defined.

    Settings
    --------
    columns : channel labels of `gaze_x`, `gaze_y`, `pupil_x`, `pupil_y` and, optionally, `confidence`; the
        pupils may share a channel; required
    gaze_unit : `normalized`, `pixels` or `degrees`; required
    degrees_per_unit_x : visual angle per horizontal unit of gaze; required unless the unit is degrees
    degrees_per_unit_y : visual angle per vertical unit of gaze; required unless the unit is degrees
    loss_values : numbers, besides NaN, that stand for a lost sample in gaze and pupil, a list
    pupil_bands_hz : the four bands of the pupil's entropies, a list of [low, high]
    blink_duration : whether the two features of blink duration are there: 33 features, else 31
    min_confidence : samples with less confidence are lost
    min_tracked : smallest share of a step that must be tracked
    history_s : how long before a step an event may have begun
    velocity_deg_s : gaze faster than this is a saccade
    saccade_min_s : shortest saccade
    saccade_min_deg : smallest saccade
    fixation_min_s : shortest fixation
    merge_gap_s : fixations nearer than this in time are joined
    blink_min_s : shortest loss that is a blink
    blink_max_s : longest loss that is a blink
    pupil_trend_hz : slower changes of the pupil are removed
    pupil_hold_s : the pupil's filters begin again after a longer loss
    pupil_margin_s : around a loss, the pupil is not used for this long

    Parameters
    ----------
    params : the settings above; those left out have their defaults
    labels : channel labels, in the order of the samples' columns
    rate_hz : 25 to 2500 Hz
    step_s, hop_s : length of a step, a whole number of hops; a block is one hop

    Raises
    ------
    ContractError
        For an unknown, missing or impossible parameter and for a channel that is not there.
    """

    def __init__(
        self, params: dict[str, Any], labels: tuple[str, ...], rate_hz: float, step_s: float, hop_s: float
    ) -> None:
        for key in params:
            if key not in PARAMETERS:
                raise ContractError(WHERE, key, params[key], f"a known parameter{nearest(key, PARAMETERS)}")
        number = {name: _number(name, params.get(name, row[0]), *row[1:]) for name, row in NUMBERS.items()}
        _check_timing(rate_hz, step_s, hop_s, number["pupil_margin_s"])
        self._limits = _event_limits(number)
        self._rate_hz, self._step_s = rate_hz, step_s
        self._columns, self._confidence = _columns(params.get("columns"), labels)
        self._degrees_per_unit = _degrees_per_unit(params)
        self._loss_values = _loss_values(params.get("loss_values", []))
        self._min_confidence, self._min_tracked = number["min_confidence"], number["min_tracked"]
        self._with_blinks = params.get("blink_duration", True)
        if not isinstance(self._with_blinks, bool):
            raise ContractError(WHERE, "blink_duration", repr(self._with_blinks), "true or false")

        bands_hz = _bands(params.get("pupil_bands_hz", BANDS_HZ))
        bands = _slow_bands(bands_hz, number["pupil_trend_hz"], hop_s)
        margin_n = round(number["pupil_margin_s"] * rate_hz)
        blocks = round(step_s / hop_s)
        history = math.ceil(round(number["history_s"] / hop_s, 9))
        self.names = _names(bands_hz, self._with_blinks)
        self.settle_s = max(bands.settle_s + (margin_n + 1) / rate_hz, number["history_s"])
        self._blocks_per_step = blocks
        self._recent: deque[tuple[FloatArray, BoolArray]] = deque(maxlen=blocks + history)
        self._pupils = PupilSizes(("pupil_x", "pupil_y"), bands, number["pupil_hold_s"], margin_n, blocks)

    def reset(self) -> None:
        """Begin a new segment."""
        self._recent.clear()
        self._pupils.reset()

    def push(self, samples: FloatArray, missing: BoolArray) -> Step | None:
        """Take one block; see ``Extractor.push``."""
        picked = samples[:, self._columns]
        lost = missing[:, self._columns] | ~np.isfinite(picked)
        lost |= (picked[:, :, None] == self._loss_values).any(axis=2)
        gaze = picked[:, :2] * self._degrees_per_unit
        lost[:, :2] |= ~(np.abs(gaze) <= IMPOSSIBLE_DEG)
        lost_gaze = lost[:, 0] | lost[:, 1]
        if self._confidence is not None:
            lost_gaze |= missing[:, self._confidence]
            lost_gaze |= ~(samples[:, self._confidence] >= self._min_confidence)
        self._recent.append((gaze, ~lost_gaze))
        self._pupils.push(picked[:, 2:], lost[:, 2:] | lost_gaze[:, None])
        return self._step() if len(self._recent) >= self._blocks_per_step else None

    def _step(self) -> Step:
        gaze = np.concatenate([block[0] for block in self._recent])
        tracked = np.concatenate([block[1] for block in self._recent])
        n_step = sum(len(block[1]) for block in list(self._recent)[-self._blocks_per_step :])
        begin = len(tracked) - n_step
        share = tracked[begin:].mean()
        if share < self._min_tracked:
            problem = f"track lost {100 * (1 - share):.0f} % of the step"
            return Step(np.full(len(self.names), np.nan), problem, self._pupils.crc)
        events = detect_events(gaze, tracked, self._rate_hz, self._limits)
        pupil, problem = self._pupils.step(self._min_tracked)
        values = np.append(pupil, self._event_values(events, begin, len(tracked)))
        return Step(values, problem, self._pupils.crc)

    def _event_values(self, events: Events, begin: int, end: int) -> list[float]:
        """Return all features after the pupil's, of the events that become certain from begin to end."""
        fixations, saccades, blinks = events.fixations, events.saccades, events.blinks
        fixated = fixations.known >= begin  # those that go on included
        leapt = (saccades.known >= begin) & (saccades.known < end)
        blinked = (blinks.known >= begin) & (blinks.known < end)
        fixation_s = self._seconds(fixations.stop, fixations.start)[fixated]
        ended = np.count_nonzero(fixations.known[fixated] < end)
        blink_s = self._seconds(blinks.stop, blinks.start)[blinked]
        saccade_s = _mean_std(self._seconds(saccades.stop, saccades.start)[leapt])
        amplitude = _mean_std(events.amplitude_deg[leapt])
        latency_s = self._seconds(saccades.start[1:], saccades.stop[:-1])[leapt[1:]]
        extent = events.extent_deg[fixated]
        dispersion = extent.sum(axis=1)
        return [
            *_mean_std(extent[:, 0]),
            *_mean_std(extent[:, 1]),
            *_mean_std(fixation_s),
            *(_mean_std(blink_s) if self._with_blinks else ()),
            *saccade_s,
            *amplitude,
            len(blink_s) / self._step_s,
            ended / self._step_s,
            fixation_s.max(initial=0.0),
            dispersion.sum(),
            dispersion.max(initial=0.0),
            np.count_nonzero(leapt) / self._step_s,
            saccade_s[0],
            amplitude[0],
            _mean_std(latency_s)[0],
        ]

    def _seconds(self, later: Any, earlier: Any) -> FloatArray:
        return (later - earlier) / self._rate_hz


def _mean_std(values: FloatArray) -> tuple[float, float]:
    if not len(values):
        return 0.0, 0.0
    mean = values.sum() / len(values)
    return float(mean), math.sqrt(np.square(values - mean).sum() / len(values))


def _names(bands_hz: Iterable[tuple[float, float]], with_blinks: bool) -> tuple[str, ...]:
    pupil = ("mean", "std", *(f"de_{low:g}-{high:g}hz" for low, high in bands_hz))
    means = ["dispersion_x", "dispersion_y", "fixation_duration", "blink_duration"]
    means += ["saccade_duration", "saccade_amplitude"]
    if not with_blinks:
        means.remove("blink_duration")
    return (
        *(f"pupil_{axis}_{what}" for axis in "xy" for what in pupil),
        *(f"{name}_{what}" for name in means for what in ("mean", "std")),
        "blink_frequency",
        "fixation_frequency",
        "fixation_duration_longest",
        "fixation_dispersion_total",
        "fixation_dispersion_largest",
        "saccade_frequency",
        "saccade_duration_average",
        "saccade_amplitude_average",
        "saccade_latency_average",
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(name: str, value: Any, smallest: float, largest: float) -> float:
    if not _is_number(value) or not smallest <= value <= largest:
        raise ContractError(WHERE, name, repr(value), f"a number from {smallest:g} to {largest:g}")
    return float(value)


def _check_timing(rate_hz: float, step_s: float, hop_s: float, margin_s: float) -> None:
    if not RATES_HZ[0] <= rate_hz <= RATES_HZ[1]:
        raise ContractError(WHERE, "rate_hz", rate_hz, f"{RATES_HZ[0]:g} to {RATES_HZ[1]:g} Hz")
    ratio = step_s / hop_s if hop_s > 0 else 0.0
    if ratio < 1 or abs(ratio - round(ratio)) > 1e-9:
        raise ContractError(WHERE, "step_s", step_s, f"a whole number of hops of {hop_s:g} s")
    if int(hop_s * rate_hz) <= round(margin_s * rate_hz):
        raise ContractError(WHERE, "pupil_margin_s", margin_s, f"less than a hop ({hop_s:g} s)")


def _columns(mapping: Any, labels: tuple[str, ...]) -> tuple[list[int], int | None]:
    """Return the places of gaze x, y and pupil x, y, and of the confidence."""
    if not isinstance(mapping, dict):
        raise ContractError(WHERE, "columns", repr(mapping), f"a channel for each of {', '.join(COLUMNS)}")
    for name in mapping:
        if name not in COLUMNS:
            expected = f"a column that this feature knows{nearest(name, COLUMNS)}"
            raise ContractError(WHERE, f"columns.{name}", repr(mapping[name]), expected)
    places: dict[str, int] = {}
    for name in COLUMNS:
        label = mapping.get(name)
        if label is None and name == "confidence":
            continue
        if labels.count(label) != 1:
            expected = f"one channel of the stream{nearest(str(label), labels)}"
            raise ContractError(WHERE, f"columns.{name}", repr(label), expected)
        places[name] = labels.index(label)
    gaze = {places["gaze_x"], places["gaze_y"]}
    if len(gaze) < 2 or gaze & {place for name, place in places.items() if not name.startswith("gaze")}:
        raise ContractError(WHERE, "columns", mapping, "gaze_x and gaze_y in channels of their own")
    return [places[name] for name in COLUMNS[:4]], places.get("confidence")


def _degrees_per_unit(params: dict[str, Any]) -> FloatArray:
    unit = params.get("gaze_unit")
    if unit not in GAZE_UNITS:
        expected = f"one of {', '.join(GAZE_UNITS)}{nearest(str(unit), GAZE_UNITS)}"
        raise ContractError(WHERE, "gaze_unit", repr(unit), expected)
    if unit != "degrees":
        return np.array([_number(name, params.get(name), 1e-6, 360.0) for name in DEGREES])
    for name in DEGREES:
        if name in params:
            raise ContractError(WHERE, name, repr(params[name]), "nothing, gaze is in degrees already")
    return np.ones(2)


def _loss_values(values: Any) -> FloatArray:
    """Return the codes, also as a sender of float32 would round them."""
    if not isinstance(values, list | tuple) or not all(_is_number(value) for value in values):
        raise ContractError(WHERE, "loss_values", repr(values), "a list of numbers")
    codes = np.array(values, dtype=np.float64)
    with np.errstate(over="ignore"):
        return np.concatenate((codes, codes.astype(np.float32).astype(np.float64)))


def _bands(bands: Any) -> list[tuple[float, float]]:
    try:
        pairs = [(float(low), float(high)) for low, high in bands]
    except (TypeError, ValueError):
        pairs = []
    if len(pairs) != len(BANDS_HZ):
        raise ContractError(WHERE, "pupil_bands_hz", repr(bands), "four pairs [low, high] in Hz")
    return pairs


def _slow_bands(bands_hz: list[tuple[float, float]], trend_hz: float, hop_s: float) -> SlowBands:
    try:
        return SlowBands(bands_hz, trend_hz, hop_s)
    except ValueError as problem:
        expected = "four pairs [low, high], above pupil_trend_hz and up to 2 Hz"
        raise ContractError(WHERE, "pupil_bands_hz", problem, expected) from None


def _event_limits(number: dict[str, float]) -> EventLimits:
    limits = EventLimits(**{name: number[name] for name in asdict(_LIMITS)})
    if not limits.blink_min_s < limits.blink_max_s:
        expected = f"more than blink_min_s ({limits.blink_min_s:g})"
        raise ContractError(WHERE, "blink_max_s", f"{limits.blink_max_s:g}", expected)
    return limits
