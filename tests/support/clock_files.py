"""XDF files as a recorder writes them: samples and clock offsets in the order in which they came."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bci_m2s.recording.xdf_writer import XdfWriter
from bci_m2s.types import FloatArray, StreamInfo


@dataclass(frozen=True)
class Sender:
    """One stream of such a file.

    true_s : (n,) when each sample was made, the recorder's clock
    stamps : (n,) what the sender stamped
    samples : (n, channels)
    measured : (k, 2) when each offset was measured, the recorder's clock, and what it was
    """

    info: StreamInfo
    true_s: FloatArray
    stamps: FloatArray
    samples: Any
    measured: Sequence[tuple[float, float]] = ()


def sender(
    name: str, stretches: Sequence[tuple[float, float, float]], rate_hz: float = 100.0, **described: Any
) -> Sender:
    """A sender of one channel that counts. stretches : (begin, end, offset) of each run of its clock, s

    Offsets are measured every 5 s, the first 1 s after the beginning.
    """
    true_s = np.concatenate([begin + np.arange(0, end - begin, 1 / rate_hz) for begin, end, _ in stretches])
    parts = [offset + np.zeros(round((end - begin) * rate_hz)) for begin, end, offset in stretches]
    measured = [(at, offset) for begin, end, offset in stretches for at in np.arange(begin + 1, end, 5.0)]
    info = StreamInfo(
        name, **{"type": "EEG", "rate_hz": rate_hz, "labels": ("Cz",), "units": ("uV",), **described}
    )
    samples = np.arange(len(true_s), dtype=np.float32)[:, None]
    return Sender(info, true_s, true_s - np.concatenate(parts), samples, measured)


def marks(texts: Sequence[tuple[float, str]], measured: Sequence[tuple[float, float]] = ()) -> Sender:
    """A marker stream of the recorder's clock."""
    at = np.array([when for when, _ in texts])
    info = StreamInfo("marks", "Markers", labels=("m",), units=("",), channel_format="string", host="rec")
    return Sender(info, at, at, np.array([[text] for _, text in texts], object), measured)


def record(path: Path, senders: Sequence[Sender], flush_s: float = 0.5) -> Path:
    """Write what came every `flush_s`, each stream's samples first, 0.1 s after they were made."""
    writer = XdfWriter(path)
    steps: list[tuple[float, int, Callable[[], object]]] = []
    for one in senders:
        number = writer.add_stream(one.info)
        flushed = np.ceil((one.true_s + 0.1) / flush_s) * flush_s
        cuts = np.flatnonzero(np.diff(flushed)) + 1
        for first, stop in zip([0, *cuts], [*cuts, len(flushed)], strict=True):
            at, stamps, samples = flushed[first], one.stamps[first:stop], one.samples[first:stop]
            steps.append((at, 0, lambda n=number, t=stamps, x=samples: writer.samples(n, t, x)))
        for at, offset in one.measured:
            steps.append((at, 1, lambda n=number, t=at, x=offset: writer.clock_offset(n, t, x)))
    for _, _, write in sorted(steps, key=lambda step: step[:2]):
        write()
    for number in range(1, len(senders) + 1):
        writer.footer(number)
    writer.close()
    return path
