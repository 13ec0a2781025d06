"""A sender in a thread of this process: real outlets, without the start of an interpreter.

That a sender may be a process of its own: tests/sources/test_sender_process.py.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bci_m2s.lsl.network import local_clock, shared_network
from bci_m2s.sources.sender import Sender
from bci_m2s.sources.sender_process import SenderSpec, make_sources

LIMIT_S = 120.0


def _forget() -> None:
    """Wait until this process remembers no sender of an earlier test, which has the same name."""
    until = time.monotonic() + LIMIT_S
    while any(raw.name().startswith("Simulated") for raw in shared_network().streams().values()):
        assert time.monotonic() < until, "a sender of an earlier test is still there"
        time.sleep(0.1)


@contextmanager
def sending(spec: SenderSpec) -> Iterator[Sender]:
    """Send what a spec says, once every stream has a consumer; the streams are there already."""
    stop = threading.Event()

    def send() -> None:
        sender.wait_for_consumers(spec.wait_s, stop)
        sender.run(spec.duration_s, stop)

    _forget()
    with Sender(make_sources(spec, local_clock), tag=spec.tag, linger_s=0.0) as sender:
        thread = threading.Thread(target=send, name="sender")
        thread.start()
        try:
            yield sender
        finally:
            stop.set()
            thread.join()
