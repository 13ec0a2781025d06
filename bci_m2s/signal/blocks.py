"""Cutting a stream into segments and blocks.

A *segment* is an unbroken run of samples of a regular stream. A *block* is one hop of a segment, cut by
sample count: block k holds the samples ⌊k·hop·rate⌋ to ⌊(k+1)·hop·rate⌋ of its segment. Nothing depends on
how the samples were chunked.

A stamp that is not a number inside a segment is *repaired*: it is predicted from the sampling interval, for
up to ``LONGEST_REPAIR_S`` in a row. When the next stamp disagrees, the segment ends there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from bci_m2s.signal.breaks import Gap
from bci_m2s.types import BoolArray, Chunk, FloatArray

# Stamps may leave the nominal interval by this before there is a gap, unless a pipeline says otherwise.
GAP_S = 0.1
LONGEST_REPAIR_S = 1.0  # sender and receiver clocks cannot drift apart noticeably in that time
MOST_LOST = 1e12  # samples; a longer jump is a false stamp, not a loss


@dataclass(frozen=True, slots=True)
class Block:
    """One hop of samples. samples : (n, channels) float64, a view that the next block overwrites.

    backward_n : samples of it whose stamp is one sampling interval before that of the sample before
    """

    samples: FloatArray
    first_index: int
    last_index: int
    start_s: float
    end_s: float
    received_s: float
    number: int  # in its segment, from 0
    segment: int  # from 0
    gap: Gap | None  # the break just before this segment, None in the first
    backward_n: int = 0


class BlockCutter:
    """Turns chunks into blocks, segment by segment.

    Samples whose stamp is not known and cannot be repaired are counted and belong to no segment.

    Parameters
    ----------
    n_channels, rate_hz : of the stream, rate_hz > 0
    hop_s : length of a block
    gap_s : stamps that step further than this from the nominal sampling interval break the segment
    on_gap : called with every break
    on_repair : called with every finished run of repaired stamps: its first sample and their number
    """

    def __init__(
        self,
        n_channels: int,
        rate_hz: float,
        hop_s: float,
        gap_s: float,
        on_gap: Callable[[Gap], object] = lambda _gap: None,
        on_repair: Callable[[int, int], object] = lambda _first, _n: None,
    ) -> None:
        self._on_gap, self._on_repair = on_gap, on_repair
        self._rate_hz, self._hop_n, self._gap_s = rate_hz, hop_s * rate_hz, gap_s
        self._longest_repair_n = int(LONGEST_REPAIR_S * rate_hz)
        self._samples = np.empty((int(np.ceil(self._hop_n)) + 1, n_channels))
        self._known_s = float("nan")  # the last stamp that was a number
        self._unknown_n = 0  # samples since then
        self._repaired_n = 0  # of these, those repaired and not reported yet
        self._index = 0  # of the next sample, in the stream
        self._segment = 0
        self._gap: Gap | None = None  # what began this segment
        self._number = 0  # of the block being filled, in its segment
        self._filled = 0  # samples in it
        self._backward_n = 0  # of them, as ``Block.backward_n``
        self._start_s = 0.0
        self._broken = False  # the next sample begins a new segment, whatever its stamp
        self._counted = 0  # samples missing before it by the sender's count

    def push(self, chunk: Chunk) -> Iterator[Block]:
        """Take the next samples; yield every block that they complete, in order."""
        if not len(chunk):
            return
        known = np.isfinite(chunk.times)
        before = self._known_s + self._unknown_n / self._rate_hz
        if not self._index and known[0]:
            before = float(chunk.times[0]) - 1 / self._rate_hz
        if known.all():
            self._report_repairs()
            self._known_s, self._unknown_n = float(chunk.times[-1]), 0
            yield from self._cut(chunk, before)
            return
        chunk, placed = self._repair(chunk, known)
        kinds = np.where(known, 2, placed)
        edges = [0, *(np.flatnonzero(np.diff(kinds)) + 1), len(chunk)]
        for start, stop in pairwise(edges):
            part = chunk.part(start, stop)
            if known[start]:
                self._report_repairs()
            if placed[start]:
                yield from self._cut(part, before)
                self._repaired_n += 0 if known[start] else len(part)
            else:
                self._leave_out(part, before)
            before = float(part.times[-1])

    @property
    def missing_n(self) -> int:
        """Samples until the next block is complete, as far as no segment ends before."""
        return max(1, self._edge(self._number + 1) - self._edge(self._number) - self._filled)

    def lose(self, samples: int) -> None:
        """Note that `samples` are missing before the next one by the sender's own count.

        A new segment begins there when they last longer than ``gap_s``.
        """
        if samples / self._rate_hz > self._gap_s:
            self._broken, self._counted = self._index > 0, samples
        else:
            self._on_gap(Gap(self._known_s, 1 / self._rate_hz, samples, self._index, is_counted=True))

    def skip(self, samples: int) -> None:
        """Count samples that are not pushed; the next one begins a new segment, whatever its stamp."""
        self._report_repairs()
        self._broken = self._index > 0
        self._index += samples

    def _repair(self, chunk: Chunk, known: BoolArray) -> tuple[Chunk, BoolArray]:
        """The chunk with unknown stamps predicted, and which samples now have a stamp."""
        indices = np.arange(len(chunk))
        newest = np.maximum.accumulate(np.where(known, indices, -1))  # -1: in an earlier chunk
        unknown_n = np.where(newest >= 0, indices - newest, indices + 1 + self._unknown_n)
        known_s = np.where(newest >= 0, chunk.times[np.maximum(newest, 0)], self._known_s)
        times = known_s + unknown_n / self._rate_hz
        placed = np.isfinite(times) & (unknown_n <= self._longest_repair_n)
        if self._broken:  # the time of skipped samples is not known
            placed &= newest >= 0
        self._known_s, self._unknown_n = float(known_s[-1]), int(unknown_n[-1])
        return replace(chunk, times=times), placed

    def _report_repairs(self) -> None:
        if self._repaired_n:
            self._on_repair(self._index - self._repaired_n, self._repaired_n)
            self._repaired_n = 0

    def _leave_out(self, part: Chunk, before: float) -> None:
        """Count samples without a time; the segment ends before them."""
        self._report_repairs()
        if not self._broken:
            self._break(before, float("nan"))
        self._broken = True
        self._index += len(part)

    def _cut(self, chunk: Chunk, before: float) -> Iterator[Block]:
        """Fill blocks with the chunk. before : stamp of the sample before it, NaN when it is not known"""
        steps = np.empty(len(chunk))  # ``np.diff`` takes five times as long for a short chunk
        with np.errstate(over="ignore"):  # stamps may be of any size
            steps[0] = chunk.times[0] - before
            np.subtract(chunk.times[1:], chunk.times[:-1], out=steps[1:])
        backward = are_backward(steps, self._rate_hz)
        broken = np.flatnonzero(~(np.abs(steps - 1 / self._rate_hz) <= self._gap_s))  # NaN breaks too
        if self._broken and not (len(broken) and broken[0] == 0):
            broken = np.concatenate([[0], broken])
        self._broken = False
        start = 0
        for index in broken:
            yield from self._fill(chunk, backward, start, int(index))
            self._break(chunk.times[index] - steps[index], float(steps[index]))
            start = int(index)
        yield from self._fill(chunk, backward, start, len(chunk))

    def _break(self, after_s: float, step_s: float) -> None:
        steps = step_s * self._rate_hz
        lost = max(0, round(steps) - 1) if abs(steps) < MOST_LOST else 0  # NaN compares false
        is_counted = self._counted > lost and abs(step_s - 1 / self._rate_hz) <= self._gap_s
        lost, self._counted = max(lost, self._counted), 0
        self._gap = Gap(after_s, step_s, lost, self._index, is_counted)
        self._on_gap(self._gap)
        self._segment += 1
        self._number = self._filled = self._backward_n = 0

    def _fill(self, chunk: Chunk, backward: BoolArray, start: int, stop: int) -> Iterator[Block]:
        """Copy chunk[start:stop] into the block being filled, yielding each time it is full."""
        while start < stop:
            size = self._edge(self._number + 1) - self._edge(self._number)
            if not size:  # of a stream a little slower than a sample per hop
                self._number += 1
                continue
            take = min(stop - start, size - self._filled)
            with np.errstate(invalid="ignore"):  # a signalling NaN may occur
                self._samples[self._filled : self._filled + take] = chunk.samples[start : start + take]
            if self._filled == 0:
                self._start_s = float(chunk.times[start])
            self._backward_n += int(np.count_nonzero(backward[start : start + take]))
            start += take
            self._filled += take
            self._index += take
            if self._filled == size:
                yield self._block(size, float(chunk.times[start - 1]), float(chunk.received_s[start - 1]))
                self._number += 1
                self._filled = self._backward_n = 0

    def _edge(self, number: int) -> int:
        """Sample of the segment at which a block begins; the addend absorbs the error of hop × rate."""
        return int(number * self._hop_n + 1e-6)

    def _block(self, size: int, end_s: float, received_s: float) -> Block:
        last = self._index - 1
        return Block(
            samples=self._samples[:size],
            first_index=last - size + 1,
            last_index=last,
            start_s=self._start_s,
            end_s=end_s,
            received_s=received_s,
            number=self._number,
            segment=self._segment,
            gap=self._gap,
            backward_n=self._backward_n,
        )


def are_backward(steps_s: FloatArray, rate_hz: float) -> BoolArray:
    """Which steps between stamps, (n,) s, are one sampling interval back, as jitter hardly ever is."""
    backward: BoolArray = np.abs(steps_s + 1 / rate_hz) < 0.2 / rate_hz
    return backward
