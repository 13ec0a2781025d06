"""Skin conductance as a modality of a new model: which channel it is, in which unit, at which rates."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bci_m2s.signal.units import factor_between
from bci_m2s.types import StreamInfo

SETTLES_S = 16.0  # before the first features: they look back 15 s
SLOWEST_HZ, FASTEST_HZ = 4.0, 64.0  # an Empatica's; that of fast amplifiers
USUAL_HZ = 4.0  # where the sender states none
_CONDUCTANCE = re.compile(r"(?i)(.*[\W_])?(eda|gsr|scl|electrodermal|galvanic|skin.?conductance)([\W_].*)?")


@dataclass(frozen=True)
class SkinPart:
    """The skin conductance of a model.

    stream : as it was found
    facts : what the files state of the stream, since its sender does not, or falsely
    by_name : whether the pipeline needs its name, since there are others of its type
    """

    stream: StreamInfo
    facts: Mapping[str, Any] = field(default_factory=dict)
    by_name: bool = False

    @property
    def channel(self) -> str:
        """Label of the channel that the model uses. A temperature drifts with time, whatever is felt."""
        return conductance(self.stream)[0]

    @property
    def unit(self) -> str:
        """uS where the sender's unit is one of conductance, else ""."""
        stated = dict(zip(self.stream.labels, self.stream.units, strict=False)).get(self.channel, "")
        return "uS" if factor_between(stated, "uS") is not None else ""

    @property
    def rates_hz(self) -> tuple[float, float]:
        """Sampling rates that the model takes: skin changes slowly, so a faster one is no other signal."""
        rate_hz = self.stream.rate_hz or USUAL_HZ
        return SLOWEST_HZ, float(math.ceil(max(1.1 * rate_hz, FASTEST_HZ)))


def conductance(info: StreamInfo) -> list[str]:
    """Labels of a stream's channels of skin conductance, the likeliest first.

    >>> conductance(StreamInfo("watch", "Peripheral", rate_hz=4.0, labels=("EDA", "TEMP")))
    ['EDA']
    """
    if info.channel_format == "string" or info.rate_hz < 0:
        return []
    return [label for label in info.labels if _CONDUCTANCE.fullmatch(label.strip())]
