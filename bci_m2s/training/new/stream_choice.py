"""Which streams a project is made of, and what their senders do not say: names, rates, clocks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rich.console import Console

from bci_m2s.errors import UsageError
from bci_m2s.lsl.channel_names import default_labels
from bci_m2s.simulator.devices import DEVICES, find_device
from bci_m2s.training.new.conversation import Conversation
from bci_m2s.training.new.look import Found
from bci_m2s.training.new.project import choose_stream
from bci_m2s.training.new.wishes import NONE, Wishes
from bci_m2s.types import StreamInfo

Facts = dict[str, Any]  # of a stream, as files state them


class StreamDecisions(Conversation):
    """Asks about streams, or takes what is likeliest and says so."""

    def __init__(self, wishes: Wishes, found: Found, console: Console) -> None:
        super().__init__(console, wishes.ask)
        self._wishes, self._found = wishes, found

    def _stream(self, modality: str, streams: list[StreamInfo], wanted: str) -> StreamInfo | None:
        if wanted == NONE:
            return None
        if not streams:
            if wanted:
                raise UsageError(
                    f"--{modality}: got {wanted!r}, but there is no such stream in {self._found.where}"
                )
            return None
        option = f"--{modality}"
        is_device = self._wishes.montage and not self._found.root
        if not wanted and (len(streams) > 1 or not is_device):
            names = [info.name for info in streams]
            wanted = self.ask(
                f"{modality} stream ({', '.join(names)}, {NONE})",
                names[0],
                said=f"{modality} from {{!r}}, one of {len(names)}; {option} NAME" if names[1:] else "",
                check=lambda text: text == NONE or choose_stream(text, streams, option),
            )
        return None if wanted == NONE else choose_stream(wanted, streams, option)

    def _is_one_of_several(self, stream: StreamInfo) -> bool:
        types = [info.type.casefold() for info in (*self._found.eeg, *self._found.eye, *self._found.skin)]
        return types.count(stream.type.casefold()) > 1

    def _with_names(self, stream: StreamInfo, facts: Facts) -> tuple[StreamInfo, Facts]:
        """A stream whose sender names no channels with those of the device that was named."""
        if stream.labels != default_labels(stream.n_channels):
            return stream, facts
        question = (
            f"the sender names no channels; its device ({', '.join(_unnamed(stream.n_channels))}, {NONE})"
        )
        name = self._wishes.montage or self.ask(
            question, NONE, check=lambda text: text == NONE or find_device(text)
        )
        if name == NONE:
            self.note(
                f"{stream.name!r} names no channels: they are ch1 … ch{stream.n_channels}; "
                "--montage DEVICE names them"
            )
            return stream, facts
        device = find_device(name)
        if len(device.channels) > stream.n_channels:
            got = f"{name!r} of {len(device.channels)} channels, expected at most {stream.n_channels}"
            raise UsageError(f"--montage: got {got}, those of {stream.name!r}")
        named = dict(zip(stream.labels, device.channels, strict=False))
        self.show(f"eeg: the sender names no channels: they are taken as {', '.join(named.values())}")
        n = len(device.channels)
        return replace(stream, labels=device.channels, units=stream.units[:n]), {**facts, "rename": named}

    def _with_clock(self, stream: StreamInfo, usual_hz: float) -> tuple[StreamInfo, Facts]:
        """A stream with its true rate, and what to do with stamps that are not LSL time."""
        stream, facts = self._with_rate(stream, usual_hz)
        if stream.name not in self._found.astray:
            return stream, facts
        self.show(f"{stream.name!r} does not stamp in LSL time: its samples are stamped when they come")
        return stream, {**facts, "stamps": "arrival"}

    def _with_rate(self, stream: StreamInfo, usual_hz: float) -> tuple[StreamInfo, Facts]:
        """A stream whose sender states no rate, or a false one, with its true one."""
        rate_hz = self._found.rates_hz.get(stream.name, 0.0 if stream.rate_hz else usual_hz)
        if not rate_hz:
            return stream, {}
        if not stream.rate_hz:
            self.show(f"{stream.name!r} has no regular rate: it is put on one of {rate_hz:.0f} Hz")
            return replace(stream, rate_hz=rate_hz), {"resample_hz": float(round(rate_hz))}
        sends = f"but sends {rate_hz:.4g} Hz" if self._found.root else "whatever its rate is"
        self.show(f"{stream.name!r} states {stream.rate_hz:g} Hz, {sends}: its rate is measured")
        return replace(stream, rate_hz=rate_hz), {"rate_hz": "auto"}


def _unnamed(n_channels: int) -> list[str]:
    """Devices whose senders name no channels."""
    fitting = [name for name, one in DEVICES.items() if not one.has_labels]
    return [name for name in fitting if len(DEVICES[name].channels) <= n_channels]
