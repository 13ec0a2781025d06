"""A sender in a thread of this process: real outlets, without the start of an interpreter.

That a sender may be a process of its own: tests/sources/test_sender_process.py.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from bci_m2s.lsl.network import local_clock
from bci_m2s.sources.sender import Sender
from bci_m2s.sources.sender_process import SenderSpec, make_sources


@contextmanager
def sending(spec: SenderSpec) -> Iterator[Sender]:
    """Send what a spec says, once every stream has a consumer; the streams are there already."""
    stop = threading.Event()

    def send() -> None:
        sender.wait_for_consumers(spec.wait_s, stop)
        sender.run(spec.duration_s, stop)

    with Sender(make_sources(spec, local_clock), tag=spec.tag, linger_s=0.0) as sender:
        thread = threading.Thread(target=send, name="sender")
        thread.start()
        try:
            yield sender
        finally:
            stop.set()
            thread.join()
