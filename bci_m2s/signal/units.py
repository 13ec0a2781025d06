"""Units of channels under all the names that senders give them."""

from __future__ import annotations

import math
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


MICROVOLTS = Unit("microvolts", "µV", 1e-6, "V", ("microvolt", "uv", "uvolts", "uvolt", "microv"))
UNITS = (
    MICROVOLTS,
    Unit("nanovolts", "nV", 1e-9, "V", ("nanovolt", "nvolts", "nvolt")),
    Unit("millivolts", "mV", 1e-3, "V", ("millivolt", "mvolts", "mvolt")),
    Unit("volts", "V", 1.0, "V", ("volt",)),
    Unit("millimetres", "mm", 1e-3, "m", ("millimetre", "millimeters", "millimeter")),
    Unit("pixels", "px", 1.0, "", ("pixel",)),
    Unit("degrees", "°", math.pi / 180, "rad", ("degree", "deg")),
    Unit("normalized", "", 1.0, "", ("normalised", "norm")),
    Unit("seconds", "s", 1.0, "s", ("second",)),
)
# Case folding makes one of the micro sign and the Greek letter. No name is "", which is "not stated".
_NAMED = {name.casefold(): unit for unit in UNITS for name in (unit.name, unit.short, *unit.others) if name}


def find_unit(stated: str) -> Unit | None:
    """The unit that a sender states, under any of its names and in any case; None for an unknown one."""
    return _NAMED.get(stated.strip().casefold())
