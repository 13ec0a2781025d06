"""What was decided for the files: streams, channels, classes, baseline."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from bci_m2s.errors import UsageError, nearest
from bci_m2s.model.contract import WindowContract
from bci_m2s.signal.labels import electrode_names
from bci_m2s.signal.reference import stated_reference
from bci_m2s.signal.units import factor_between, find_unit
from bci_m2s.training.datasets.markers import MarkerSettings, marked_trials
from bci_m2s.training.new.look import Found
from bci_m2s.training.new.skin import SkinPart
from bci_m2s.training.new.trackers import Screen, Tracker, degrees_per_unit
from bci_m2s.training.new.trials import Scheme
from bci_m2s.training.new.window import USUAL
from bci_m2s.types import StreamInfo

DEFAULT_CLASSES = ("negative", "neutral", "positive")
BASELINE_S = 60.0
FEWEST_PEOPLE = FEWEST_TRIALS = 3  # one to train, one to validate, one to test; trials of each class
SHORTEST_BASELINE_S = 5.0
SETTLES_EEG_S, SETTLES_EYE_S = 3.0, 8.0  # before the first features, rounded up
BANDS_HZ = {"delta": (1.0, 4.0), "theta": (4.0, 8.0), "alpha": (8.0, 14.0), "beta": (14.0, 31.0)}
GAMMA_HZ = (31.0, 50.0)


@dataclass(frozen=True)
class EegPart:
    """The EEG of a model.

    stream : as it was found, with names of its channels; channels : labels that the model uses
    mains_hz : line frequency that is taken out, 0 for none
    facts : what the files state of the stream, since its sender does not, or falsely
    by_name : whether the pipeline needs its name, since there are others of its type
    """

    stream: StreamInfo
    channels: tuple[str, ...]
    mains_hz: float = 50.0
    facts: Mapping[str, Any] = field(default_factory=dict)
    by_name: bool = False

    @property
    def names(self) -> list[str]:
        """What the model calls its channels: "Fp1" for the label "EEG Fp1-Ref", which matches it."""
        named = dict(zip(self.stream.labels, electrode_names(self.stream.labels), strict=True))
        return [named[label] for label in self.channels]

    @property
    def unit(self) -> str:
        """The stream's own unit where it is a known one, else microvolts."""
        column = self.stream.labels.index(self.channels[0])
        unit = find_unit(self.stream.units[column]) if self.stream.units else None
        return {"microvolts": "uV"}.get(unit.name, unit.name) if unit else "uV"

    @property
    def reference(self) -> list[str] | str:
        """What the sender states, else `as recorded`."""
        stated = stated_reference(self.stream.reference)
        if not stated:
            return "as recorded"
        return stated[0] if stated == ("average",) else list(stated)

    @property
    def bands_hz(self) -> dict[str, tuple[float, float]]:
        """Bands of the features: the usual five, as far as the sampling rate goes."""
        rate_hz = self.rates_hz[0]
        high = min(GAMMA_HZ[1], 0.45 * rate_hz)
        bands = {name: (low, min(top, high)) for name, (low, top) in BANDS_HZ.items() if low < high}
        return bands | ({"gamma": (GAMMA_HZ[0], high)} if high > GAMMA_HZ[0] + 4 else {})

    @property
    def rates_hz(self) -> tuple[float, float]:
        """Sampling rates that the model takes: bands end at 50 Hz, so a faster one is no other signal."""
        rate_hz = self.stream.rate_hz
        slowest = math.floor(min(0.9 * rate_hz, 200.0))
        if slowest < 2.1 * max(GAMMA_HZ[1], self.mains_hz):
            slowest = math.floor(rate_hz)
        return float(slowest), float(math.ceil(max(2.0 * rate_hz, 512.0)))

    @property
    def notch_hz(self) -> list[float]:
        """Line frequencies to take out: none that the sampling rate does not hold."""
        return [self.mains_hz] if 0.0 < self.mains_hz < 0.49 * self.rates_hz[0] else []


@dataclass(frozen=True)
class EyePart:
    """The eyes of a model.

    stream : as it was found; tracker : how its channels are used
    degrees : per unit of gaze, across and down; None where gaze is in degrees
    facts : what the files state of the stream, since its sender does not, or falsely
    by_name : whether the pipeline needs its name, since there are others of its type
    """

    stream: StreamInfo
    tracker: Tracker
    degrees: tuple[float, float] | None
    facts: Mapping[str, Any] = field(default_factory=dict)
    by_name: bool = False

    @property
    def channels(self) -> tuple[str, ...]:
        """Labels that the model uses."""
        return tuple(dict.fromkeys(self.tracker.columns.values()))

    @property
    def units(self) -> tuple[str, ...]:
        """The tracker's units; "" where any will do, or where the sender states one that nobody knows."""
        names = {label: column for column, label in self.tracker.columns.items()}
        units = {
            "gaze": self.tracker.gaze_unit,
            "pupil": self.tracker.pupil_unit,
            "confidence": "normalized",
        }
        wanted = [units[names[label].split("_")[0]] for label in self.channels]
        stated = dict(zip(self.stream.labels, self.stream.units, strict=False))
        return tuple(
            unit if factor_between(stated.get(label, ""), unit) is not None else ""
            for label, unit in zip(self.channels, wanted, strict=True)
        )

    @property
    def rates_hz(self) -> tuple[float, float]:
        """Sampling rates that the model takes."""
        rate_hz = self.stream.rate_hz or self.tracker.rate_hz
        return float(math.floor(min(0.9 * rate_hz, 60.0))), float(math.ceil(max(1.1 * rate_hz, 1000.0)))


@dataclass(frozen=True)
class Project:
    """Everything that the files say.

    codes : label of a marker, and the class that it stands for, where it is not the class itself
    name : of the model; root : of the recordings, as the training file writes it
    baseline_s : seconds of rest, 0 for statistics that move along
    people : in the recordings, 0 where there are none yet; trials : trials of the session with the fewest
    trial_s, per_class : length and number of the trials of a session, for the protocol
    lasts : whether markers state how long their trial is
    is_quick : a try-out: few epochs, one seed, no controls
    window : of the model
    """

    name: str
    classes: tuple[str, ...]
    scheme: Scheme
    codes: Mapping[str, str]
    eeg: EegPart | None
    eye: EyePart | None
    root: str
    skin: SkinPart | None = None
    baseline_s: float = BASELINE_S
    people: int = 0
    trials: int = 0
    trial_s: float = 20.0
    per_class: int = 5
    lasts: bool = False
    is_simulated: bool = False
    is_quick: bool = False
    window: WindowContract = USUAL

    @property
    def parts(self) -> dict[str, EegPart | EyePart | SkinPart]:
        """The modalities that there are, by name."""
        parts = {"eeg": self.eeg, "eye": self.eye, "skin": self.skin}
        return {name: part for name, part in parts.items() if part is not None}

    @property
    def pair(self) -> list[str]:
        """Names of the modalities."""
        return list(self.parts)


@dataclass(frozen=True)
class Measured:
    """What the trials of recordings show.

    rest_s : shortest rest before the first trial, NaN without a trial; trial_s : usual length of a trial;
        short_s : three in four are at least as long
    trials : in the recording with the fewest; counts : trials of each class, over all
    lasts : whether the markers that begin a trial say how long it is, and none ends it
    """

    rest_s: float
    trial_s: float
    trials: int
    counts: Counter[str]
    lasts: bool = False
    short_s: float = math.nan


def measure(found: Found, scheme: Scheme) -> Measured:
    """Look at the trials of recordings, as training will."""
    events = [
        event for one in found.marked for event in one.events if re.fullmatch(scheme.start, event.text)
    ]
    lasts = not scheme.stop and bool(events) and all(event.lasts_s > 0 for event in events)
    duration_s: Literal["annotated"] | None = "annotated" if lasts else None
    markers = MarkerSettings(start=scheme.start, stop=scheme.stop, duration_s=duration_s)
    rests, lengths, numbers = [], [], []
    counts: Counter[str] = Counter()
    for one in found.marked:
        trials = marked_trials(one.events, one.end_s, markers, lambda _text: None)
        numbers.append(len(trials))
        counts.update(trial.label for trial in trials)
        whole = [trial for trial in trials if trial.stop_s < one.end_s]  # not cut by the recording's end
        lengths += [trial.stop_s - trial.start_s for trial in whole or trials]
        rests += [trials[0].start_s - one.begin_s] if trials else []
    lengths.sort()
    middle = lengths[len(lengths) // 2] if lengths else math.nan
    short_s = lengths[len(lengths) // 4] if lengths else math.nan
    return Measured(min(rests, default=math.nan), middle, min(numbers, default=0), counts, lasts, short_s)


def can_train(people: int, measured: Measured, labels: Sequence[str]) -> bool:
    """Whether recordings suffice: trials of each class, and people or trials to keep apart for a test."""
    fewest = min(measured.counts[label] for label in labels)
    by_trials = fewest >= FEWEST_TRIALS and measured.trials >= FEWEST_TRIALS * len(labels)
    return people > 0 and fewest > 0 and (people >= FEWEST_PEOPLE or by_trials)


def likely_baseline_s(rest_s: float, settles_s: float) -> float:
    """Length of the baseline, s, that is over before the first trial where so much rest comes before it.

    settles_s : after which the first features come. 0 where even the shortest baseline is no rest.
    """
    if math.isnan(rest_s):
        return BASELINE_S
    if rest_s < SHORTEST_BASELINE_S:
        return 0.0
    left_s = math.floor(rest_s - settles_s)
    return float(min(BASELINE_S, max(SHORTEST_BASELINE_S, left_s)))


def choose_channels(wanted: tuple[str, ...], electrodes: tuple[str, ...], stream: str) -> tuple[str, ...]:
    """The channels that were asked for, all electrodes where none were. Raises UsageError."""
    by_case = {label.casefold(): label for label in electrodes}
    for label in wanted:
        if label.casefold() not in by_case:
            raise UsageError(
                f"--channels: got {label!r}, expected electrodes of {stream!r}{nearest(label, electrodes)}"
            )
    return tuple(dict.fromkeys(by_case[label.casefold()] for label in wanted)) or electrodes


def choose_stream(wanted: str, streams: list[StreamInfo], option: str) -> StreamInfo:
    """The stream of a name or type; the first where none is named. Raises UsageError."""
    if not wanted:
        return streams[0]
    meant = [info for info in streams if wanted in (info.name, info.source_id)]
    meant = meant or [info for info in streams if info.type.casefold() == wanted.casefold()]
    if not meant:
        names = [info.name for info in streams]
        raise UsageError(
            f"{option}: got {wanted!r}, expected a stream that was found{nearest(wanted, names)}"
        )
    return meant[0]


def eye_part(
    stream: StreamInfo,
    tracker: Tracker,
    screen: Screen | None,
    degrees: tuple[float, ...],
    facts: Mapping[str, Any],
) -> EyePart:
    """The eyes with their degrees per unit: as given, of the screen, else as the tracker has them."""
    if tracker.gaze_unit == "degrees":
        return EyePart(stream, tracker, None, facts)
    if not degrees and screen is None and tracker.field_deg:
        degrees = tracker.field_deg
    if degrees:
        return EyePart(stream, tracker, (degrees[0], degrees[1]), facts)
    return EyePart(stream, tracker, degrees_per_unit(tracker.gaze_unit, screen or Screen()), facts)
