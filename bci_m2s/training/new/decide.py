"""From wishes and what was found to a project: what is not said is asked, or the likeliest is taken."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.prompt import Prompt

from bci_m2s.errors import UsageError
from bci_m2s.text import printable
from bci_m2s.training.new.electrodes import find_electrodes
from bci_m2s.training.new.files import relative_root
from bci_m2s.training.new.look import Found
from bci_m2s.training.new.project import (
    DEFAULT_CLASSES,
    EegPart,
    EyePart,
    Measured,
    Project,
    choose_channels,
    choose_stream,
    eye_part,
    likely_baseline_s,
    measure,
)
from bci_m2s.training.new.trackers import Screen, recognise
from bci_m2s.training.new.trials import Scheme, find_scheme
from bci_m2s.types import StreamInfo

NONE = "none"


@dataclass(frozen=True)
class Wishes:
    """What the command line says; "" and None where it says nothing.

    source : recording, or folder of recordings; montage, device_eye : names of devices instead
    eeg, eye : names of streams, "none" for no such signal; screen : WIDTHxHEIGHT in cm; degrees : X,Y
    ask : whether there is somebody to ask
    """

    source: Path | None = None
    montage: str = ""
    classes: str = ""
    baseline_s: float | None = None
    eeg: str = ""
    eye: str = ""
    channels: str = ""
    screen: str = ""
    distance_cm: float | None = None
    pixels: str = ""
    degrees: str = ""
    mains_hz: float | None = None
    quick: bool = False
    ask: bool = False


class Decisions:
    """Asks, or takes what is likeliest and says so."""

    def __init__(self, wishes: Wishes, found: Found, console: Console) -> None:
        self._wishes, self._found, self._console = wishes, found, console

    def project(self, folder: Path) -> Project:
        """Everything that the files need."""
        wishes, found = self._wishes, self._found
        eeg, eye = self._eeg(), self._eye()
        if eeg is None and eye is None:
            raise UsageError(f"{found.where}: no EEG and no gaze to make a model of")
        scheme, classes, measured = self._classes()
        trial_s = 20.0 if math.isnan(measured.trial_s) else float(max(5, round(measured.trial_s)))
        root = relative_root(found.root, folder) if found.root else "data"
        return Project(
            name=re.sub(r"[^\w.-]+", "-", folder.resolve().name) or "my-model",
            classes=classes,
            scheme=scheme,
            eeg=eeg,
            eye=eye,
            root=root,
            baseline_s=self._baseline_s(measured),
            people=found.people,
            trials=measured.trials,
            trial_s=trial_s,
            lasts=measured.lasts,
            is_simulated=found.is_simulated,
            is_quick=wishes.quick,
        )

    def _eeg(self) -> EegPart | None:
        stream = self._stream("eeg", self._found.eeg, self._wishes.eeg)
        if stream is None:
            return None
        kept, left_out = find_electrodes(stream)
        wanted = self._wishes.channels
        if not wanted and len(kept) < 200:
            wanted = self._ask("channels of the EEG, separated by commas", "all")
        names = () if wanted in ("", "all") else _listed(wanted)
        channels = choose_channels(names, kept, stream.name)
        others = "; ".join(f"{label} ({why})" for label, why in left_out.items())
        self._say(
            f"eeg: {stream.describe()}, {len(channels)} electrodes", f"not used: {others}" if others else ""
        )
        mains_hz = self._wishes.mains_hz
        if mains_hz is None:
            stated = self._found.line_hz
            likely, source = (
                (50.0, "assumed; --mains 60") if math.isnan(stated) else (stated, "of the recordings")
            )
            said = f"mains: {{}} Hz is taken out ({source})"
            mains_hz = _numbers(
                self._ask("mains frequency, Hz", f"{likely:g}", said), ",", "mains", "a number"
            )[0]
        return EegPart(stream, channels, mains_hz)

    def _eye(self) -> EyePart | None:
        wanted = "" if self._wishes.montage and self._wishes.eye != NONE else self._wishes.eye
        stream = self._stream("eye", self._found.eye, wanted)
        tracker = recognise(stream) if stream else None
        if stream is None or tracker is None:
            return None
        screen, how = self._screen(tracker.gaze_unit, bool(tracker.field_deg))
        degrees = _numbers(self._wishes.degrees, ",", "--degrees", "degrees across and down, as 44.4,26.0")
        part = eye_part(stream, tracker, screen, degrees)
        columns = ", ".join(f"{column} {label}" for column, label in tracker.columns.items())
        self._say(f"eye: {stream.describe()}: {columns}", tracker.note)
        if part.degrees is not None:
            how = "as given" if degrees else how or f"of {tracker.title}"
            unit = {"pixels": "pixel"}.get(tracker.gaze_unit, "unit")
            self._say(f"eye: {part.degrees[0]} × {part.degrees[1]} degrees per {unit} of gaze, {how}")
        return part

    def _stream(self, modality: str, streams: list[StreamInfo], wanted: str) -> StreamInfo | None:
        if wanted == NONE:
            return None
        if not streams:
            if wanted:
                raise UsageError(
                    f"--{modality}: got {wanted!r}, but there is no such stream in {self._found.where}"
                )
            return None
        if not wanted and len(streams) > 1:
            names = [info.name for info in streams]
            wanted = self._ask(
                f"{modality} stream ({', '.join(names)}, {NONE})", names[0], said=f"{modality} from {{!r}}"
            )
        return None if wanted == NONE else choose_stream(wanted, streams, f"--{modality}")

    def _classes(self) -> tuple[Scheme, tuple[str, ...], Measured]:
        given = _listed(self._wishes.classes)
        texts = self._found.texts
        scheme = find_scheme(texts, given)
        likely = given or (scheme.classes if scheme else DEFAULT_CLASSES)
        if not given:
            classes = _listed(self._ask("classes, separated by commas", ", ".join(likely)))
            if classes != likely:
                scheme = find_scheme(texts, classes)
        else:
            classes = given
        if len(classes) < 2:
            raise UsageError(
                f"--classes: got {', '.join(classes)!r}, expected at least two, separated by commas"
            )
        measured = measure(self._found, scheme or Scheme())
        if scheme is not None:
            trials = ", ".join(f"{name} {measured.counts[name]}" for name in classes)
            remark = f"markers {scheme.start_text!r}, trials: {trials}"
            remark += "" if scheme.stop or measured.lasts else "; a trial lasts until the next"
        elif texts:
            some = ", ".join(repr(text) for text in dict.fromkeys(texts))
            remark = f"no marker begins a trial of them; --classes names what does: {printable(some, 200)}"
        else:
            remark = "given" if given else "assumed; --classes"
        self._say(f"classes: {', '.join(classes)}", remark)
        return scheme or Scheme(), classes, measured

    def _baseline_s(self, measured: Measured) -> float:
        likely = likely_baseline_s(measured.rest_s)
        rest = (
            ""
            if math.isnan(measured.rest_s)
            else f"the recordings rest {measured.rest_s:.0f} s before the first trial"
        )
        if self._wishes.baseline_s is None:
            said = self._ask("seconds of rest at the beginning, the baseline", f"{likely:g}")
            baseline_s = _numbers(said, ",", "baseline", "a number of seconds")[0]
        else:
            baseline_s = self._wishes.baseline_s
        self._say(
            f"baseline: {baseline_s:g} s of rest",
            rest or "assumed; --baseline" * (self._wishes.baseline_s is None),
        )
        if rest and baseline_s > measured.rest_s:
            self._console.print(
                f"note: baseline of {baseline_s:g} s, but {rest}: windows of the first trials are lost",
                style="yellow",
            )
        return baseline_s

    def _screen(self, gaze_unit: str, has_field: bool) -> tuple[Screen | None, str]:
        """The screen, and how it is known; None where degrees come from elsewhere."""
        wishes = self._wishes
        if gaze_unit == "degrees" or wishes.degrees:
            return None, ""
        if has_field and not wishes.screen and wishes.distance_cm is None:
            return None, ""
        usual = Screen()
        size = wishes.screen or self._ask(
            "width x height of the screen, cm", f"{usual.width_cm:g}x{usual.height_cm:g}"
        )
        width, height = _pair(size, "--screen", "width x height in cm, as 53x30")
        distance = wishes.distance_cm
        if distance is None:
            distance = float(
                self._ask("distance of the eyes from the screen, cm", f"{usual.distance_cm:g}")
            )
        pixels = wishes.pixels or f"{usual.width_px}x{usual.height_px}"
        if gaze_unit == "pixels" and not wishes.pixels:
            pixels = self._ask("pixels of the screen", pixels)
        across, down = _pair(pixels, "--pixels", "width x height in pixels, as 1920x1080")
        how = f"screen of {width:g} × {height:g} cm at {distance:g} cm"
        if not wishes.screen and not wishes.ask:
            how += " (assumed; --screen, --distance)"
        return Screen(width, height, distance, int(across), int(down)), how

    def _ask(self, question: str, default: str, said: str = "") -> str:
        """An answer from the terminal; the default where nobody is there, which is said."""
        if self._wishes.ask:
            return Prompt.ask(question, console=self._console, default=default).strip()
        if said:
            self._console.print(printable(said.format(default)))
        return default

    def _say(self, words: str, remark: str = "") -> None:
        self._console.print(printable(words + (f" ({remark})" if remark else "")))


def _listed(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def _numbers(text: str, sign: str, option: str, expected: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in text.split(sign)) if text else ()
    except ValueError:
        numbers = (math.nan,)
    if not all(0 <= number < 1e6 for number in numbers):
        raise UsageError(f"{option}: got {text!r}, expected {expected}")
    return numbers


def _pair(text: str, option: str, expected: str) -> tuple[float, float]:
    numbers = _numbers(text.replace("×", "x"), "x", option, expected)
    if len(numbers) != 2 or not all(numbers):
        raise UsageError(f"{option}: got {text!r}, expected {expected}")
    return numbers[0], numbers[1]
