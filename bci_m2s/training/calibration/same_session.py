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
    if not first.n_samples or not second.n_samples:
        return False
    begin_s = max(first.first_s, second.first_s)
    one, other = (int(np.searchsorted(stream.times, begin_s)) for stream in (first, second))
    if min(first.n_samples - one, second.n_samples - other) < COMPARED:
        return False  # takes may meet
    return np.array_equal(
        first.times[one : one + COMPARED], second.times[other : other + COMPARED]
    ) and np.array_equal(
        first.read(one, one + COMPARED), second.read(other, other + COMPARED), equal_nan=True
    )
