"""A program that records two streams until it is killed, and notes in a file how much it was given.

Arguments: the recording, and the file: samples of both streams, and how late this machine was, µs (int64).
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import NoReturn

import numpy as np

from bci_m2s.recording.recorder import Recorder
from bci_m2s.types import Chunk, StreamInfo

INFOS = (
    StreamInfo("amp", "EEG", "a", rate_hz=250.0, labels=tuple("nabcdefg"), units=("",) * 8),
    StreamInfo("fast", "Misc", "b", rate_hz=1000.0, labels=("n",), units=("",), channel_format="double64"),
)


def record(path: Path, counts_file: str) -> NoReturn:
    """Record counts; say "ready" first."""
    given = np.memmap(counts_file, np.int64, "r+", shape=(3,))
    recorder = Recorder(path, time.monotonic)
    recorder.start()
    streams = [recorder.add_stream(info) for info in INFOS]
    print("ready", flush=True)
    begun = time.monotonic()
    while True:
        for place, info in enumerate(INFOS):
            due = int((time.monotonic() - begun) * info.rate_hz)
            counts = np.arange(given[place], due)
            if len(counts):
                kind = "f8" if info.channel_format == "double64" else "f4"
                values = np.repeat(counts[:, None], info.n_channels, axis=1).astype(kind)
                recorder.samples(streams[place], Chunk.of(counts / info.rate_hz, values, time.monotonic()))
                given[place] = due
        asleep = time.monotonic()
        time.sleep(0.01)
        given[2] = max(given[2], 1e6 * (time.monotonic() - asleep - 0.01))


if __name__ == "__main__":
    record(Path(sys.argv[1]), sys.argv[2])
