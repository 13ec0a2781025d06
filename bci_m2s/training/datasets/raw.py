"""Raw signals of data files as streams that are read when their samples are needed.

Until then a segment holds a path and a few names, so a whole data set can be listed, sent to other
processes and looked up in a cache of features without loading a sample.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci_m2s.errors import RecordingError
from bci_m2s.training.datasets.layout import RawStream, numbers, step_rows
from bci_m2s.types import Chunk, StreamInfo

CHUNK_S = 10.0
LOW_HIGH = ("low", "high")
Samples = NDArray[np.float32]


@dataclass(frozen=True)
class RegularChunks:
    """Chunks of evenly spaced samples, the first at 0 s.

    load : returns (n, channels) float32; called at each reading. Raises RecordingError when the file is
        damaged where its header did not show it
    """

    load: Callable[[], Samples]
    rate_hz: float

    def __call__(self) -> Iterator[Chunk]:
        """Read from the first sample."""
        samples = self.load()
        size = max(1, round(CHUNK_S * self.rate_hz))
        for start in range(0, len(samples), size):
            piece = samples[start : start + size]
            yield Chunk.of((start + np.arange(len(piece))) / self.rate_hz, piece)


def regular_stream(
    load: Callable[[], Samples],
    name: str,
    stream_type: str,
    rate_hz: float,
    labels: Sequence[str],
    units: Sequence[str],
) -> RawStream:
    """A stream of evenly spaced samples that begins at 0 s. load : see ``RegularChunks``."""
    info = StreamInfo(name, stream_type, rate_hz=rate_hz, labels=tuple(labels), units=tuple(units))
    return RawStream(info, RegularChunks(load, rate_hz))


def sample_rows(values: Any, n_channels: int) -> Samples:
    """Samples of a file, (n, n_channels), n ≥ 1, as float32. Raises RecordingError for anything else."""
    rows = step_rows(values, n_channels, "samples")
    with np.errstate(over="ignore"):  # beyond float32 becomes infinite, which later stages take as missing
        return rows.astype(np.float32)


def rated(
    names: Sequence[str], ratings: Any, threshold: float, lowest: float, highest: float
) -> dict[str, int]:
    """Class of each rating: 1 ("high") above `threshold`, else 0 ("low").

    Raises RecordingError for another number of ratings than names, or a rating outside the scale.
    """
    values = numbers(ratings).ravel()
    if len(values) != len(names):
        raise RecordingError(f"{len(values)} ratings, expected {len(names)}")
    for name, value in zip(names, values, strict=True):
        if not lowest <= value <= highest:  # NaN too
            raise RecordingError(f"{name} rated {value:g}, expected between {lowest:g} and {highest:g}")
    return {name: int(value > threshold) for name, value in zip(names, values, strict=True)}
