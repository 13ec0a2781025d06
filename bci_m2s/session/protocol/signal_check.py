"""The signal check: which channels of the model are good, what is wrong with the others, and what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bci_m2s.engine.health import StreamHealth
from bci_m2s.text import modality_name

ADVICE = {
    "lost": "no samples: is the device on, near enough, and the electrode plugged in?",
    "railed": "beyond the amplifier's range: press the electrode on, add gel, check ground and reference",
    "flat": "does not change: is the electrode connected? has it touched its neighbour (gel bridge)?",
    "noisy": "muscle or bad contact: relax the jaw, part the hair, add gel, lower the impedance",
    "implausible": "its amplitude fits no such signal: check the unit and the gain that the sender states",
}
SETTLED_S = 1.0  # of samples before a channel that was never bad counts as good


@dataclass(frozen=True, slots=True)
class StreamCheck:
    """One stream at one moment.

    n_good, n : channels of the model that are good, and all of them
    bad : state of each other channel
    problem : why the whole stream cannot be used, "" when it can
    """

    modality: str
    n_good: int
    n: int
    bad: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""

    @property
    def share(self) -> float:
        """Of good channels, 0 to 1; 0 where the stream cannot be used."""
        return 0.0 if self.problem else self.n_good / max(1, self.n)

    def describe(self) -> list[str]:
        """One line for the stream, and one per kind of fault with what to do."""
        name = modality_name(self.modality)
        if self.problem:
            return [f"{name}: {self.problem}"]
        lines = [f"{name}: {self.n_good} of {self.n} channels good"]
        for state in dict.fromkeys(self.bad.values()):
            labels = [label for label, own in self.bad.items() if own == state]
            listed = ", ".join(labels[:8]) + (f" and {len(labels) - 8} more" if len(labels) > 8 else "")
            lines.append(f"  {listed} {state}: {ADVICE.get(state, 'look at its signal')}")
        return lines


def check_streams(
    health: Sequence[StreamHealth], channels: Mapping[str, Sequence[str]]
) -> list[StreamCheck]:
    """Every stream of the model. channels : that it needs, by modality"""
    return [_check(stream, channels[stream.modality]) for stream in health if stream.modality in channels]


def _check(stream: StreamHealth, channels: Sequence[str]) -> StreamCheck:
    problem = stream.problem
    if not problem and stream.samples < SETTLED_S * stream.rate_hz:
        problem = "waiting for its first samples"
    elif not problem and stream.is_silent:
        problem = f"silent for {stream.age_s:.0f} s: is the device on and its program sending?"
    folded = {label.casefold() for label in channels}
    bad = {label: state for label, state in stream.bad_channels.items() if label.casefold() in folded}
    return StreamCheck(stream.modality, len(channels) - len(bad), len(channels), bad, problem)
