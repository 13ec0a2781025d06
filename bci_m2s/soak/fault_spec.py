"""The stream of a fault sender, in plain fields that also fit into a command line."""

from __future__ import annotations

from dataclasses import dataclass, field

from bci_m2s.types import StreamInfo

COUNTERS = 2  # channels


@dataclass(frozen=True)
class FaultSpec:
    """What a fault sender sends without a fault.

    name, type, source_id : of the stream
    rate_hz : nominal; 0.0 for an irregular stream, which then has ``irregular_hz`` samples per second
    labels, units : one per channel; units () for microvolts everywhere
    channel_format : LSL's name of any number type
    chunk_n : samples per push
    seed, run : of the noise; the run counts restarts
    counters : channel 0 is the sample number, channel 1 the run
    marker_name : name of an additional stream of text markers; "" for none
    wait_s : how long sample 0 waits for a consumer; LSL delivers nothing that is pushed before
    """

    name: str
    type: str = "EEG"
    source_id: str = ""
    rate_hz: float = 250.0
    labels: tuple[str, ...] = ("counter", "run", "Fz", "Cz", "Pz")
    units: tuple[str, ...] = ()
    channel_format: str = "double64"
    chunk_n: int = 5
    seed: int = 0
    run: int = 0
    counters: bool = True
    marker_name: str = ""
    wait_s: float = 0.0
    irregular_hz: float = 20.0

    def info(self) -> StreamInfo:
        """The stream as LSL describes it."""
        units = self.units or ("uV",) * len(self.labels)
        return StreamInfo(
            self.name,
            self.type,
            self.source_id,
            rate_hz=self.rate_hz,
            labels=self.labels,
            units=units,
            channel_format=self.channel_format,
        )

    @property
    def samples_per_s(self) -> float:
        """Nominal number of samples per second."""
        return self.rate_hz or self.irregular_hz


@dataclass(slots=True)
class Sent:
    """What the senders of one stream sent.

    specs : by run; pushed : samples of earlier runs; refused : runs that must not make an estimate
    """

    specs: dict[int, FaultSpec]
    pushed: dict[int, int] = field(default_factory=dict)
    refused: set[int] = field(default_factory=set)

    def add(self, spec: FaultSpec, refused: bool) -> None:
        """Note a run."""
        self.specs[spec.run] = spec
        if refused:
            self.refused.add(spec.run)
