"""``bci-m2s montages``: the devices that can be simulated, and that files can be made for."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from bci_m2s.simulator.devices import DEVICES
from bci_m2s.training.new.trackers import TRACKERS


def list_montages(console: Console) -> None:
    """``bci-m2s montages``."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in (
        "--montage",
        "device",
        "channels",
        "rate",
        "reference",
        "LSL stream",
        "labels and unit",
    ):
        table.add_column(heading, overflow="fold")
    for device in DEVICES.values():
        sent = {(True, True): "sent", (False, False): "not sent"}.get(
            (device.has_labels, device.has_unit), "in part"
        )
        names: Sequence[str] = (
            device.name,
            device.title,
            str(len(device.channels)),
            f"{device.rate_hz:g} Hz",
        )
        stream = f"{device.stream_name} · {device.stream_type}" if device.stream_name else ""
        table.add_row(*names, device.reference, stream, sent if stream else "")
    console.print(table)
    eyes = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("--eye", "eye tracker", "gaze", "rate", "LSL stream", "note"):
        eyes.add_column(heading, overflow="fold")
    for tracker in TRACKERS.values():
        stream = f"{tracker.stream_name} · {tracker.stream_type}"
        eyes.add_row(
            tracker.name, tracker.title, tracker.gaze_unit, f"{tracker.rate_hz:g} Hz", stream, tracker.note
        )
    console.print(eyes)
