"""Whether two recordings hold the same moments: copies, saved anew or not, or two recorders' files."""

from __future__ import annotations

import numpy as np

from bci_m2s.pipeline.recorded_windows import RecordedRun
from bci_m2s.recording.recorded import RecordedStream

COMPARED = 256  # samples from the first moment on that is in both


def holds_same_moments(first: RecordedRun, second: RecordedRun) -> bool:
    """Whether every stream of one signal has samples with the same stamps and values in both recordings."""
    shared = [name for name in first.streams if name in second.streams]
    return bool(shared) and all(
        _same(first.streams[name].stream, second.streams[name].stream) for name in shared
    )


def _same(first: RecordedStream, second: RecordedStream) -> bool:
    """Stamps are compared as the sender gave them: two recorders measure different clock offsets."""
    streams = first, second
    if not all(stream.n_samples for stream in streams):
        return False
    begin_s = max(stream.first_s for stream in streams)
    starts = [int(np.searchsorted(stream.times, begin_s)) for stream in streams]
    if min(stream.n_samples - start for stream, start in zip(streams, starts, strict=True)) < COMPARED:
        return False  # takes may meet
    parts = [(stream, start, start + COMPARED) for stream, start in zip(streams, starts, strict=True)]
    return np.array_equal(*(stream.times[start:stop] for stream, start, stop in parts)) and np.array_equal(
        *(stream.read(start, stop) for stream, start, stop in parts), equal_nan=True
    )
