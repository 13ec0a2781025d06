"""From wishes and what was found to a project: what is not said is asked, or the likeliest is taken."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

from bci_m2s.errors import UsageError
from bci_m2s.model.contract import WindowContract
from bci_m2s.text import printable
from bci_m2s.training.new.electrodes import find_electrodes
from bci_m2s.training.new.files import relative_root
from bci_m2s.training.new.project import (
    DEFAULT_CLASSES,
    SETTLES_EEG_S,
    SETTLES_EYE_S,
    EegPart,
    EyePart,
    Measured,
    Project,
    can_train,
    choose_channels,
    eye_part,
    likely_baseline_s,
    measure,
)
from bci_m2s.training.new.skin import SETTLES_S, USUAL_HZ, SkinPart
from bci_m2s.training.new.stream_choice import StreamDecisions
from bci_m2s.training.new.trackers import Screen, recognise
from bci_m2s.training.new.trials import Scheme, find_scheme
from bci_m2s.training.new.window import USUAL, fit_window, length_s, protocol_trial_s
from bci_m2s.training.new.wishes import classes_of, listed, numbers, pair

MOST_ASKED = 200  # channels that somebody may want to choose from

ALL = "all"
SIZE = ("--screen", "width x height in cm, as 53x30")
PIXELS = ("--pixels", "width x height in pixels, as 1920x1080")


class Decisions(StreamDecisions):
    """Asks, or takes what is likeliest and says so."""

    def project(self, folder: Path) -> Project:
        """Everything that the files need."""
        wishes, found = self._wishes, self._found
        eeg, eye = self._eeg(), self._eye()
        skin = self._skin(is_alone=eeg is None and eye is None)
        if eeg is None and eye is None and skin is None:
            raise UsageError(f"{found.where}: no EEG, gaze or skin conductance to make a model of")
        settles_s = SETTLES_S if skin else SETTLES_EYE_S if eye else SETTLES_EEG_S
        scheme, named, measured = self._classes()
        window = self._window(measured)
        is_enough = found.root is not None and can_train(found.people, measured, tuple(named))
        root = relative_root(found.root, folder) if found.root and is_enough else "data"
        if found.root and not is_enough:
            self.note(
                f"{found.where}: taken as an example, since there is too little to train on; "
                f"training.yaml expects your recordings in {folder / root}"
            )
        return Project(
            name=re.sub(r"[^\w.-]+", "-", folder.resolve().name) or "my-model",
            classes=tuple(dict.fromkeys(named.values())),
            scheme=scheme,
            codes={} if all(label == name for label, name in named.items()) else named,
            eeg=eeg,
            eye=eye,
            skin=skin,
            root=root,
            baseline_s=self._baseline_s(measured.rest_s if is_enough else math.nan, settles_s),
            people=found.people if is_enough else 0,
            trials=measured.trials,
            trial_s=protocol_trial_s(measured.trial_s, window),
            lasts=measured.lasts,
            is_simulated=found.is_simulated,
            is_quick=wishes.quick,
            window=window,
        )

    def _eeg(self) -> EegPart | None:
        stream = self._stream("eeg", self._found.eeg, self._wishes.eeg)
        if stream is None:
            return None
        stream, facts = self._with_names(*self._with_clock(stream, 0.0))
        kept, left_out = find_electrodes(stream)
        wanted = self._wishes.channels
        if not wanted and len(kept) < MOST_ASKED:
            question = "channels of the EEG, separated by commas"
            wanted = self.ask(question, ALL, check=lambda text: _chosen(text, kept, stream.name))
        channels = _chosen(wanted, kept, stream.name)
        others = "; ".join(f"{label} ({why})" for label, why in left_out.items())
        self.show(
            f"eeg: {stream.describe()}, {len(channels)} electrodes", f"not used: {others}" if others else ""
        )
        return EegPart(stream, channels, self._mains_hz(), facts, self._is_one_of_several(stream))

    def _mains_hz(self) -> float:
        if self._wishes.mains_hz is not None:
            return self._wishes.mains_hz
        stated, likely, source = self._found.line_hz, 50.0, "assumed; --mains 60"
        if not math.isnan(stated):
            likely, source = stated, "of the recordings"
        said = f"mains: {{}} Hz is taken out ({source})"
        return self.number("mains frequency, Hz", likely, said)

    def _eye(self) -> EyePart | None:
        wanted = "" if self._found.root is None and self._wishes.montage else self._wishes.eye
        stream = self._stream("eye", self._found.eye, wanted)
        tracker = recognise(stream) if stream else None
        if stream is None or tracker is None:
            return None
        stream, facts = self._with_clock(stream, tracker.rate_hz)
        screen, how = self._screen(tracker.gaze_unit, bool(tracker.field_deg))
        degrees = numbers(self._wishes.degrees, ",", "--degrees", "degrees across and down, as 44.4,26.0")
        part = eye_part(stream, tracker, screen, degrees, facts)
        part = replace(part, by_name=self._is_one_of_several(stream))
        columns = ", ".join(f"{column} {label}" for column, label in tracker.columns.items())
        self.show(f"eye: {stream.describe()}: {columns}", tracker.note)
        if part.degrees is not None:
            how = "as given" if degrees else how or f"of {tracker.title}"
            unit = {"pixels": "pixel"}.get(tracker.gaze_unit, "unit")
            self.show(f"eye: {part.degrees[0]} × {part.degrees[1]} degrees per {unit} of gaze, {how}")
        return part

    def _skin(self, is_alone: bool) -> SkinPart | None:
        """Skin conductance where it is all there is, or where it was asked for."""
        wanted, streams = self._wishes.skin, self._found.skin
        if not is_alone and not wanted:
            for info in streams:
                self.note(f"skin: {info.describe()}: not used; --skin {info.name!r} uses it")
            return None
        stream = self._stream("skin", streams, wanted)
        if stream is None:
            return None
        stream, facts = self._with_clock(stream, USUAL_HZ)
        part = SkinPart(stream, facts, self._is_one_of_several(stream))
        others = ", ".join(label for label in stream.labels if label != part.channel)
        self.show(f"skin: {stream.describe()}: {part.channel}", f"not used: {others}" if others else "")
        return part

    def _classes(self) -> tuple[Scheme, dict[str, str], Measured]:
        """How markers name trials; the class of each of their labels, in the order of the model."""
        named = classes_of(self._wishes.classes) if self._wishes.classes else {}
        texts = self._found.texts
        scheme = find_scheme(texts, tuple(named))
        if not named:
            likely = scheme.classes if scheme else DEFAULT_CLASSES
            question = "classes, separated by commas"
            named = classes_of(self.ask(question, ", ".join(likely), check=classes_of))
            if tuple(named) != likely:
                scheme = find_scheme(texts, tuple(named))
        measured = measure(self._found, scheme or Scheme())
        if scheme is not None:
            trials = ", ".join(f"{name} {measured.counts[label]}" for label, name in named.items())
            remark = f"markers {scheme.start_text!r}, trials: {trials}"
            remark += "" if scheme.stop or measured.lasts else "; a trial lasts until the next"
        elif texts:
            some = ", ".join(repr(text) for text in dict.fromkeys(texts))
            remark = f"no marker begins a trial of them; --classes names what does: {printable(some, 200)}"
        else:
            remark = "given" if self._wishes.classes else "assumed; --classes"
        self.show(f"classes: {', '.join(dict.fromkeys(named.values()))}", remark)
        return scheme or Scheme(), named, measured

    def _window(self, measured: Measured) -> WindowContract:
        """As long as three in four trials hold."""
        shortest = f"trials have {measured.short_s:.3g} s"
        window = fit_window(measured.short_s)
        if window is None:
            self.note(
                f"{shortest}, too short for a window: record longer ones, {length_s(USUAL) + 1:g} s or more"
            )
            return USUAL
        if window != USUAL:
            self.show(
                f"window: {window.steps} × {window.step_s:g} s", f"{shortest}; longer ones train better"
            )
        return window

    def _baseline_s(self, rest_s: float, settles_s: float) -> float:
        likely = likely_baseline_s(rest_s, settles_s)
        rest = ""
        if not math.isnan(rest_s):
            rest = f"the recordings rest {rest_s:.0f} s before the first trial"
        if self._wishes.baseline_s is None:
            baseline_s = self.number("seconds of rest at the beginning, the baseline", likely)
        else:
            baseline_s = self._wishes.baseline_s
        self.show(
            f"baseline: {baseline_s:g} s of rest"
            if baseline_s
            else "no baseline: statistics that move along",
            rest or "assumed; --baseline" * (self._wishes.baseline_s is None),
        )
        if rest and baseline_s and baseline_s + settles_s > rest_s + 1.0:
            whole = f"baseline of {baseline_s:g} s, and {settles_s:g} s until the first features"
            self.note(f"{whole}, but {rest}: windows of the first trials are lost")
        return baseline_s

    def _screen(self, gaze_unit: str, has_field: bool) -> tuple[Screen | None, str]:
        """The screen, and how it is known; None where degrees come from elsewhere."""
        wishes = self._wishes
        if gaze_unit == "degrees" or wishes.degrees:
            return None, ""
        if has_field and not wishes.screen and wishes.distance_cm is None:
            return None, ""
        usual = Screen()
        size = wishes.screen or self.ask(
            "width x height of the screen, cm",
            f"{usual.width_cm:g}x{usual.height_cm:g}",
            check=lambda text: pair(text, *SIZE),
        )
        width, height = pair(size, *SIZE)
        distance = wishes.distance_cm
        if distance is None:
            distance = self.number("distance of the eyes from the screen, cm", usual.distance_cm)
        pixels = wishes.pixels or f"{usual.width_px}x{usual.height_px}"
        if gaze_unit == "pixels" and not wishes.pixels:
            pixels = self.ask("pixels of the screen", pixels, check=lambda text: pair(text, *PIXELS))
        across, down = pair(pixels, *PIXELS)
        how = f"screen of {width:g} × {height:g} cm at {distance:g} cm"
        if not wishes.screen and not wishes.ask:
            how += " (assumed; --screen, --distance)"
        return Screen(width, height, distance, int(across), int(down)), how


def _chosen(text: str, electrodes: tuple[str, ...], stream: str) -> tuple[str, ...]:
    return choose_channels(() if text in ("", ALL) else listed(text), electrodes, stream)
