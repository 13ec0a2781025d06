"""What a file states of one stream, whatever its sender says: of a pipeline and of a training alike."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from bci_m2s.errors import StreamError
from bci_m2s.lsl.formats import HIGHEST_RATE_HZ
from bci_m2s.signal.blocks import GAP_S
from bci_m2s.signal.labels import renamed
from bci_m2s.signal.rates import steady_rate
from bci_m2s.types import FloatArray, StreamInfo

RateHz = Annotated[float, Field(ge=0, le=HIGHEST_RATE_HZ, allow_inf_nan=False)]
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
    rate_hz: RateHz | Literal["auto"] = 0.0
    """Sampling rate, where the sender states none or a wrong one; 0 for what it states, `auto` to measure
    it by the first 5 s of stamps."""
    resample_hz: RateHz = 0.0
    """Puts an irregular stream on a regular grid of this rate; 0 for a stream that has a rate."""
    reference: Name = ""
    """What channels are referred to, whatever the sender states: `average`, or labels (`A1 A2`)."""
    missing_channels: Literal["refuse", "interpolate", "training_mean"] = "refuse"
    """What is done about channels of the model that the stream lacks, up to its `max_missing`: `refuse` the
    stream, `interpolate` them from the others, or take the mean of the training data."""
    bad_channels: Literal["training_mean", "interpolate"] = "training_mean"
    """What stands for a channel that is bad, up to the model's `max_missing`."""

    def applied_to(self, info: StreamInfo, stamps: FloatArray | None = None) -> StreamInfo:
        """The description with what this file says of the stream.

        stamps : its first ones, where its rate is to be measured; None leaves what the sender states

        Raises
        ------
        StreamError
            `rename` does not fit the labels, or stamps have no rate.
        """
        labels = renamed(info.labels, self.rename, f"stream {info.name!r}")
        return replace(
            info,
            labels=labels,
            units=(self.unit,) * len(labels) if self.unit else info.units,
            rate_hz=self._rate_hz(info, stamps),
            reference=self.reference or info.reference,
            missing_channels=self.missing_channels,
        )

    def _rate_hz(self, info: StreamInfo, stamps: FloatArray | None) -> float:
        if self.resample_hz:
            return self.resample_hz
        if self.rate_hz != "auto":
            return self.rate_hz or info.rate_hz
        if stamps is None:
            return info.rate_hz
        try:
            return steady_rate(stamps)
        except ValueError as problem:
            raise StreamError(
                f"stream {info.name!r}: rate_hz: got {problem}, expected a steady rate; `resample_hz` puts "
                "an irregular stream on a regular grid"
            ) from None


NOTHING_STATED = StreamFacts()
