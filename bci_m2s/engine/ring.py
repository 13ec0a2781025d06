"""A ring buffer with one writer and any number of independent readers.

A write costs its chunk, never the ring's length. Each ``Cursor`` has its own position, so readers do
not take samples from one another. No lock: the writer alone changes ``_claimed`` and ``_total``, and
a reader checks after its copy that nothing it copied was overwritten meanwhile (a sequence lock).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bci_m2s.types import Chunk


class Ring:
    """The last `capacity` samples of one stream.

    Parameters
    ----------
    capacity : samples kept, at least 1
    n_channels : columns
    dtype : number type of the samples (object for strings)
    """

    def __init__(self, capacity: int, n_channels: int, dtype: Any = np.float32) -> None:
        if capacity < 1:
            raise ValueError(f"capacity: got {capacity}, expected at least 1")
        self.capacity = capacity
        self._times = np.empty(capacity)
        self._received_s = np.empty(capacity)
        self._samples = np.empty((capacity, n_channels), dtype)
        # Safe without a lock: one thread writes both numbers, and reading a Python int is atomic.
        self._claimed = 0  # samples whose places may be in use by a write that is under way
        self._total = 0  # samples completely written

    @property
    def total(self) -> int:
        """Samples written since the ring was made."""
        return self._total

    def write(self, chunk: Chunk) -> None:
        """Append a chunk; one longer than the ring leaves its end."""
        n = len(chunk)
        kept = min(n, self.capacity)
        self._claimed = self._total + n
        first = (self._total + n - kept) % self.capacity
        head = min(kept, self.capacity - first)
        self._put(chunk, n - kept, first, head)
        if head < kept:
            self._put(chunk, n - kept + head, 0, kept - head)
        self._total = self._claimed

    def _put(self, chunk: Chunk, start: int, first: int, n: int) -> None:
        """Copy `n` samples from place `start` of the chunk to place `first` of the ring."""
        source, target = slice(start, start + n), slice(first, first + n)
        self._times[target] = chunk.times[source]
        self._received_s[target] = chunk.received_s[source]
        self._samples[target] = chunk.samples[source]

    def cursor(self) -> Cursor:
        """A new reader that begins with the next sample to be written."""
        return Cursor(self)

    def _copy(self, start: int, stop: int) -> Chunk:
        first = start % self.capacity
        n = stop - start
        if first + n <= self.capacity:
            part = slice(first, first + n)
            return Chunk(
                self._times[part].copy(), self._samples[part].copy(), self._received_s[part].copy()
            )
        places = np.arange(first, first + n) % self.capacity
        return Chunk(self._times[places], self._samples[places], self._received_s[places])


class Cursor:
    """One reader's position in a ring. ``lost`` counts samples overwritten before it read them."""

    def __init__(self, ring: Ring) -> None:
        self._ring = ring
        self._next = ring.total
        self.lost = 0

    @property
    def available(self) -> int:
        """Samples written and not yet read by this cursor, as far as they still exist."""
        return min(self._ring.total - self._next, self._ring.capacity)

    def read(self, most: int | None = None) -> Chunk:
        """Return a copy of the unread samples (at most `most`), oldest first; empty when none.

        Samples that the writer overtook are counted in ``lost`` and left out.
        """
        ring = self._ring
        while True:
            stop = ring._total
            start = max(self._next, stop - ring.capacity)
            if most is not None:
                stop = min(stop, start + most)
            chunk = ring._copy(start, stop)
            if ring._claimed - ring.capacity <= start:  # nothing of it was overwritten during the copy
                self.lost += start - self._next
                self._next = stop
                return chunk
