"""``bci-m2s simulate``, and sending any sources as LSL streams until Ctrl-C."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from bci_m2s.session.terminal.run import stop_on_signals
from bci_m2s.simulator.settings import SimulatorSettings
from bci_m2s.sources import Source


def simulate_as_lsl(settings: SimulatorSettings, subject: int, session: int, duration_s: float) -> None:
    """``bci-m2s simulate``."""
    from bci_m2s.lsl.network import local_clock
    from bci_m2s.sources.simulated import SimulatedSource
    from bci_m2s.sources.timeline import Timeline

    print("signals are simulated")
    fixed: Mapping[str, Any] = {"subject": subject, "session": session, "speed": 1.0}
    timeline = Timeline(clock=local_clock)
    send(
        [
            SimulatedSource(settings, stream=stream, timeline=timeline, **fixed)
            for stream in ("eeg", "eye", "markers")
        ],
        duration_s,
    )


def send(sources: Sequence[Source], duration_s: float) -> None:
    """Offer sources as LSL streams until they end, `duration_s` has passed (0: no limit) or Ctrl-C."""
    from bci_m2s.sources.sender import Sender

    stop = threading.Event()
    with stop_on_signals(stop), Sender(sources) as sender:
        for info in sender.infos:
            print(f"sending {info.describe()}, source id {info.source_id!r}", flush=True)
        print("Ctrl-C ends", flush=True)
        counts = sender.run(duration_s or None, stop)
        for info, count in zip(sender.infos, counts, strict=True):
            print(f"sent {count} samples of {info.name!r} ({info.type})")
