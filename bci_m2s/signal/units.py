"""Units of channels under all the names that senders and files give them.

The words were collected from senders, file formats and other tools: any case, hyphens and blanks, brackets,
plural or not, a micro sign whose two bytes of UTF-8 were read as two letters, and the codes of mne-lsl.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit.

    name : as contracts and recordings write it; short : as people do
    factor : multiplies a value to make it one of `base`; base : the SI unit, "" where there is none
    others : further names, in lower case
    """

    name: str
    short: str
    factor: float
    base: str
    others: tuple[str, ...]

    @property
    def is_voltage(self) -> bool:
        """Whether it measures a voltage."""
        return self.base == "V"


# Of the last two the first is Shift JIS, the second has lost the one sign that no ASCII has.
MICROVOLTS = Unit(
    "microvolts", "µV", 1e-6, "V", ("uv", "uvolt", "\u03bcvolt", "microv", "-6", "\x83êv", "\ufffdv")
)
UNITS = (
    MICROVOLTS,
    Unit("nanovolts", "nV", 1e-9, "V", ("nvolt", "nanov", "-9")),
    Unit("millivolts", "mV", 1e-3, "V", ("mvolt", "milliv", "-3")),
    Unit("volts", "V", 1.0, "V", ("0",)),  # mne-lsl states the exponent of ten of a volt
    Unit("metres", "m", 1.0, "m", ("meter",)),
    Unit("millimetres", "mm", 1e-3, "m", ("millimeter",)),
    Unit("pixels", "px", 1.0, "", ()),
    Unit("degrees", "°", math.pi / 180, "rad", ("deg",)),
    Unit("radians", "rad", 1.0, "rad", ()),
    Unit("normalized", "", 1.0, "", ("normalised", "norm", "screencoord")),  # App-TobiiPro
    Unit("seconds", "s", 1.0, "s", ("sec",)),
    Unit("milliseconds", "ms", 1e-3, "s", ("msec",)),
    Unit("siemens", "", 1.0, "S", ()),
    Unit("microsiemens", "µS", 1e-6, "S", ("umho", "us")),
    Unit("celsius", "°C", 1.0, "°C", ("degc", "c")),
)
# Words that people write where no unit is known; "not stated" is what they mean.
NOT_STATED = frozenset(("", "n/a", "na", "nan", "none", "null", "unknown", "unspecified", "undefined", "?"))
# UTF-8 read as Latin-1, folded
_MANGLED = {
    "â\u03bc": "\u03bc",
    "î\u03bc": "\u03bc",
    "î¼": "\u03bc",
    "â°": "°",
}


def _fold(word: str) -> str:
    """One spelling of a word: no case, brackets, hyphens, blanks or plural; a sign before digits stays."""
    folded = word.strip().strip("()[]{}").casefold()
    for mangled, sign in _MANGLED.items():
        folded = folded.replace(mangled, sign)
    folded = re.sub(r"[\s_]|-(?!\d)", "", folded)
    return folded[:-1] if len(folded) > 3 and folded.endswith("s") else folded


# Case folding makes one of the micro sign and the Greek letter.
_NAMED = {_fold(name): unit for unit in UNITS for name in (unit.name, unit.short, *unit.others) if name}


def find_unit(stated: str) -> Unit | None:
    """The unit that a sender or a file states, under any of its names; None for an unknown one."""
    return _NAMED.get(_fold(stated))


def is_stated(stated: str) -> bool:
    """Whether a word states a unit at all: "", "n/a", "unknown" and their like do not."""
    return stated.strip().casefold() not in NOT_STATED


def factor_between(stated: str, wanted: str) -> float | None:
    """What turns a value in one unit into one in another; None where that cannot be known.

    1.0 where both are one unit, or no unit is asked for or stated.
    """
    if not wanted or not is_stated(stated):
        return 1.0
    have, want = find_unit(stated), find_unit(wanted)
    if have is None or want is None:
        return 1.0 if stated.strip().casefold() == wanted.strip().casefold() else None
    if have is want:
        return 1.0
    return have.factor / want.factor if have.base and have.base == want.base else None
