"""What a file states of one stream, whatever its sender says: of a pipeline and of a training alike."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from bci_m2s.lsl.formats import HIGHEST_RATE_HZ
from bci_m2s.signal.blocks import GAP_S
from bci_m2s.signal.labels import renamed
from bci_m2s.types import StreamInfo

Name = Annotated[str, Field(max_length=256)]
Seconds = Annotated[float, Field(gt=0, le=86400, allow_inf_nan=False)]


class StreamFacts(BaseModel):
    """What a file states of one stream. Every key is checked, so that a misspelt one is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    gap_s: Seconds = GAP_S
    """A stamp that deviates from the sampling interval by more begins a new segment."""
    rename: dict[Name, Name] = {}
    """The stream's label: the model's label. A `*` on both sides is the same text: `"EEG *-Ref": "*"`."""
    unit: Name = ""
    """Unit of every channel, whatever the sender states; empty for what it states."""
    rate_hz: Annotated[float, Field(ge=0, le=HIGHEST_RATE_HZ, allow_inf_nan=False)] = 0.0
    """Sampling rate, where the sender states none or a wrong one; 0 for what it states."""
    reference: Name = ""
    """What channels are referred to, whatever the sender states: `average`, or labels (`A1 A2`)."""

    def applied_to(self, info: StreamInfo) -> StreamInfo:
        """The description with what this file says of the stream. Raises StreamError for a wrong label."""
        labels = renamed(info.labels, self.rename, f"stream {info.name!r}")
        return replace(
            info,
            labels=labels,
            units=(self.unit,) * len(labels) if self.unit else info.units,
            rate_hz=self.rate_hz or info.rate_hz,
            reference=self.reference or info.reference,
        )
