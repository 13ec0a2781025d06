"""The 33 eye-movement features of the SEED data sets, from raw gaze and pupil, live.

docs/features.md lists them, in the order of ``EyeMovements.names``; std is the population's (0 for one
event), and a value of which the step has no event is 0.

*Events* (``eye_events``) belong to the step in which they become certain, at most 0.1 s after their end, so
steps end to end count each once; an event keeps its true onset, up to `history_s` before the step.
Fixations that still go on count with their length so far, but not in fixations per s.

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
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from bci_m2s.errors import ContractError
from bci_m2s.features import eye_parameters as checked
from bci_m2s.features.eye_events import Events, detect_events
from bci_m2s.features.eye_parameters import BANDS_HZ, NUMBERS, PARAMETERS, WHERE
from bci_m2s.features.eye_pupil import PupilSizes
from bci_m2s.features.parameters import blocks_per_step, check_known, check_rate, numbers
from bci_m2s.types import BoolArray, FloatArray, Step

RATES_HZ = (25.0, 2500.0)
IMPOSSIBLE_DEG = 180.0  # gaze beyond this is an undeclared loss code
_MEANS = (
    *("dispersion_x", "dispersion_y", "fixation_duration", "blink_duration"),
    *("saccade_duration", "saccade_amplitude"),
)
EVENT_NAMES = (
    *(f"{name}_{statistic}" for name in _MEANS for statistic in ("mean", "std")),
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


class EyeMovements:
    """Extractor of the eye-movement features; docs/features.md defines each.

    Settings
    --------
    columns : channel labels of `gaze_x`, `gaze_y`, `pupil_x`, `pupil_y` and, optionally, `confidence`; the
        pupils may share a channel; required
    gaze_unit : `normalized`, `pixels` or `degrees`; required
    degrees_per_unit_x : degrees of visual angle per horizontal unit of gaze; required unless it is degrees
    degrees_per_unit_y : degrees of visual angle per vertical unit of gaze; required unless it is degrees
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
        check_known(WHERE, params, PARAMETERS)
        number = numbers(WHERE, params, NUMBERS)
        check_rate(WHERE, rate_hz, *RATES_HZ)
        blocks = blocks_per_step(WHERE, step_s, hop_s)
        margin_n = round(number["pupil_margin_s"] * rate_hz)
        if int(hop_s * rate_hz) <= margin_n:
            expected = f"less than a hop ({hop_s:g} s)"
            raise ContractError(WHERE, "pupil_margin_s", number["pupil_margin_s"], expected)
        self._limits = checked.event_limits(number)
        self._rate_hz, self._step_s = rate_hz, step_s
        self._columns, self._confidence = checked.columns(params.get("columns"), labels)
        self._degrees_per_unit = checked.degrees_per_unit(params)
        self._loss_values = checked.loss_values(params.get("loss_values", []))
        self._min_confidence, self._min_tracked = number["min_confidence"], number["min_tracked"]
        self._with_blinks = params.get("blink_duration", True)
        if not isinstance(self._with_blinks, bool):
            raise ContractError(WHERE, "blink_duration", repr(self._with_blinks), "true or false")

        bands_hz, bands = checked.pupil_bands(
            params.get("pupil_bands_hz", BANDS_HZ), number["pupil_trend_hz"], hop_s
        )
        history = math.ceil(round(number["history_s"] / hop_s, 9))
        self.names = _names(bands_hz, self._with_blinks)
        self.settle_s = max(bands.settle_s + (margin_n + 1) / rate_hz, number["history_s"])
        self._blocks_per_step = blocks
        self._recent: deque[tuple[FloatArray, BoolArray]] = deque(maxlen=blocks + history)
        self._pupils = PupilSizes(("pupil_x", "pupil_y"), bands, number["pupil_hold_s"], margin_n, blocks)

    @staticmethod
    def count(params: Mapping[str, Any], labels: Sequence[str]) -> int:
        """See ``Counts``."""
        del labels
        return len(_names(list(BANDS_HZ), params.get("blink_duration", True)))

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
        values = np.append(
            pupil, event_values(events, begin, len(tracked), self._rate_hz, self._step_s, self._with_blinks)
        )
        return Step(values, problem, self._pupils.crc)


def event_values(
    events: Events, begin: int, end: int, rate_hz: float, step_s: float, with_blinks: bool = True
) -> list[float]:
    """All features after the pupil's, of the events that become certain in a step.

    Parameters
    ----------
    events : with the step's, and those of the history before it
    begin, end : the step's samples, `end` not included
    rate_hz : samples per second
    step_s : length of the step
    with_blinks : whether the two features of blink duration are there

    Returns
    -------
    21 values, or 19, in the order of ``EVENT_NAMES``
    """

    def seconds(later: Any, earlier: Any) -> FloatArray:
        return np.asarray((later - earlier) / rate_hz)

    fixations, saccades, blinks = events.fixations, events.saccades, events.blinks
    fixated = fixations.known >= begin  # those that go on included
    leapt = (saccades.known >= begin) & (saccades.known < end)
    blinked = (blinks.known >= begin) & (blinks.known < end)
    fixation_s = seconds(fixations.stop, fixations.start)[fixated]
    ended = np.count_nonzero(fixations.known[fixated] < end)
    blink_s = seconds(blinks.stop, blinks.start)[blinked]
    saccade_s = _mean_std(seconds(saccades.stop, saccades.start)[leapt])
    amplitude = _mean_std(events.amplitude_deg[leapt])
    latency_s = seconds(saccades.start[1:], saccades.stop[:-1])[leapt[1:]]
    extent = events.extent_deg[fixated]
    dispersion = extent.sum(axis=1)
    return [
        *_mean_std(extent[:, 0]),
        *_mean_std(extent[:, 1]),
        *_mean_std(fixation_s),
        *(_mean_std(blink_s) if with_blinks else ()),
        *saccade_s,
        *amplitude,
        len(blink_s) / step_s,
        ended / step_s,
        fixation_s.max(initial=0.0),
        dispersion.sum(),
        dispersion.max(initial=0.0),
        np.count_nonzero(leapt) / step_s,
        saccade_s[0],
        amplitude[0],
        _mean_std(latency_s)[0],
    ]


def _mean_std(values: FloatArray) -> tuple[float, float]:
    if not len(values):
        return 0.0, 0.0
    mean = values.sum() / len(values)
    return float(mean), math.sqrt(np.square(values - mean).sum() / len(values))


def _names(bands_hz: Iterable[tuple[float, float]], with_blinks: bool) -> tuple[str, ...]:
    pupil = ("mean", "std", *(f"de_{low:g}-{high:g}hz" for low, high in bands_hz))
    names = [f"pupil_{axis}_{statistic}" for axis in "xy" for statistic in pupil]
    return (*names, *(name for name in EVENT_NAMES if with_blinks or "blink_duration" not in name))
