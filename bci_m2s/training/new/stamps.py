"""Streams whose stamps are not LSL time, as muse-lsl and BlueMuse send Unix time unless told otherwise."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress

from bci_m2s.errors import StreamError
from bci_m2s.recording.clock_warnings import other_clocks
from bci_m2s.recording.recorded import Recording
from bci_m2s.types import StreamInfo

LOOK_S = 2.0  # for samples of all streams: some senders deliver once a second


def astray_on_network(infos: Sequence[StreamInfo]) -> Iterator[str]:
    """Names of the streams whose stamps cannot be LSL time; one that sends nothing is not judged."""
    from bci_m2s.sources.lsl import LslSource

    with ExitStack() as opened:
        sources = []
        for info in infos:
            source = LslSource(uid=info.uid, wait_s=LOOK_S)
            opened.callback(source.close)
            with suppress(StreamError):  # it has gone
                source.open()
                source.clock_offset_s(1.0)
                sources.append(source)
        limit_s = time.monotonic() + LOOK_S
        while sources and time.monotonic() < limit_s:
            for source in list(sources):
                if len(source.pull(0.05)):
                    sources.remove(source)
                    if source.stamps_problem():
                        yield source.info.name


def astray_in_recording(recording: Recording) -> Iterator[str]:
    """Names of the signals whose stamps are far from all others, where the file shows when they came."""
    for stream, _ in other_clocks(recording.raw_streams):
        if not stream.is_markers:
            with suppress(StreamError):
                recording.stamped(stream, "arrival")
                yield stream.info.name
