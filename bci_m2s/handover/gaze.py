"""Which channels of a stream are gaze, and of which eye: by the words in their labels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bci_m2s.review.draw_signals import EYE_TYPES
from bci_m2s.review.facts import RecordingStream
from bci_m2s.signal.units import find_unit
from bci_m2s.types import StreamInfo

ON_SCREEN, IN_WORLD, CUSTOM = "gaze-on-screen", "gaze-in-world", "custom"
_GLASSES = re.compile(r"neon|invisible|pupil_capture|pupil core|glasses", re.IGNORECASE)
_GAZE = {"gaze", "por", "norm", "pos", "eye", "left", "right", "l", "r"}
_OTHER = {"pupil", "diameter", "confidence", "normal", "normal0", "normal1", "center", "centre", "point"}
_OTHER |= {"3d", "origin", "acc", "gyro", "head"}
_LEFT, _RIGHT = {"left", "l", "diameter1", "eye1"}, {"right", "r", "diameter0", "eye0"}  # as Pupil Core
BIDS_UNITS = {"pixels": "pixel", "degrees": "degree", "radians": "rad", "normalized": "arbitrary"}


@dataclass(frozen=True, slots=True)
class Eye:
    """One gaze signal of a stream.

    recorded : "left", "right", or "cyclopean" for one signal of both eyes
    x, y : numbers of their channels; pupil : of its own, -1 without one; others : what else belongs to it
    """

    recorded: str
    x: int
    y: int
    pupil: int
    others: tuple[int, ...]

    @property
    def channels(self) -> tuple[int, ...]:
        """In the order of BIDS' columns: x, y, pupil where there is one, others."""
        return (self.x, self.y, *((self.pupil,) if self.pupil >= 0 else ()), *self.others)


def eyes_of(stream: RecordingStream) -> list[Eye]:
    """The gaze signals of a stream, the left eye first; none where it has no gaze or no sample."""
    info = stream.info
    if stream.is_text or not stream.n_samples:
        return []
    words = [_words(label) for label in info.labels]
    typed = info.type.casefold() in EYE_TYPES
    if not (typed or any("gaze" in one or "pupil" in one for one in words)):
        return []
    found: dict[str, Eye] = {}
    for side in ("left", "right", "cyclopean"):
        x, y = (_gaze(words, side, axis, typed) for axis in "xy")
        if x >= 0 and y >= 0:
            found[side] = Eye(side, x, y, _pupil(words, side), ())
    if "left" in found or "right" in found:
        found.pop("cyclopean", None)
    return _with_others(list(found.values()), words)


def coordinate_system(info: StreamInfo, has_screen: bool) -> str:
    """BIDS' name for what gaze is relative to.

    Glasses look into the world; an angle, or a screen that nobody has measured, is a system of its own.
    """
    if _GLASSES.search(f"{info.name} {info.type} {info.source_id}"):
        return IN_WORLD
    return ON_SCREEN if has_screen else CUSTOM


def gaze_unit(info: StreamInfo, channel: int) -> tuple[str, str]:
    """BIDS' unit of a coordinate, and what it means in words."""
    stated = info.units[channel] if info.units else ""
    unit = find_unit(stated)
    name = unit.name if unit is not None else "normalized" if not stated.strip() else ""
    meaning = {
        "normalized": "share of the field of view or screen, 0 to 1, as the sender has it",
        "pixels": "pixels of the screen or of the scene camera, as the sender has them",
    }.get(name, "as the sender has it")
    return BIDS_UNITS.get(name, stated or "arbitrary"), meaning


def _words(label: str) -> set[str]:
    """The words of a label: "leftEyeX" and "left_eye_x" have the same."""
    spaced = re.sub(r"([a-z])([A-Z])", r"\1 \2", label)
    return {word for word in re.split(r"[^A-Za-z0-9]+|(?<=pos)(?=[xy]$)", spaced.casefold()) if word}


def _side(words: set[str]) -> str:
    return "left" if words & _LEFT else "right" if words & _RIGHT else "cyclopean"


def _gaze(words: Sequence[set[str]], side: str, axis: str, typed: bool) -> int:
    """Number of the channel with this coordinate; -1 for none."""
    for number, one in enumerate(words):
        is_gaze = one & _GAZE or (typed and one == {axis})
        if axis in one and is_gaze and not one & _OTHER and _side(one) == side:
            return number
    return -1


def _pupil(words: Sequence[set[str]], side: str) -> int:
    """Number of the eye's own pupil: a signal of both eyes has none where each eye has one."""
    sizes = [n for n, one in enumerate(words) if any("pupil" in w or "diameter" in w for w in one)]
    own = [number for number in sizes if _side(words[number]) == side]
    return own[0] if own else -1


def _with_others(eyes: list[Eye], words: Sequence[set[str]]) -> list[Eye]:
    """Give what belongs to no eye alone to each, what belongs to one to that one."""
    taken = {number for eye in eyes for number in (eye.x, eye.y, eye.pupil)}
    complete = []
    for eye in eyes:
        rest = [
            number
            for number, one in enumerate(words)
            if number not in taken and (len(eyes) == 1 or _side(one) in (eye.recorded, "cyclopean"))
        ]
        complete.append(Eye(eye.recorded, eye.x, eye.y, eye.pupil, tuple(rest)))
    return complete
