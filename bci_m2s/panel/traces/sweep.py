"""A sweep in numbers: samples become columns of pixels, columns become coverage. No Qt here.

The picture of a sweep is written like an old oscilloscope's: a column of pixels stands for `column_s`
seconds, the column of a moment is its time divided by `column_s`, modulo the picture's width. Columns count
from the clock's zero, so a moment has the same place however the samples came.

A trace is the straight line through its samples. A column holds the least and the largest value of that
line within it, so neighbouring columns always touch, and a slow stream is drawn as a line as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bci_m2s.panel.client.answers import rgb
from bci_m2s.signal.blocks import GAP_S
from bci_m2s.types import FloatArray

Float32Array = NDArray[np.float32]
IntArray = NDArray[np.int64]
LEVELS = 256  # of coverage, 0 to 255


def gap_s(rate_hz: float) -> float:
    """Longest step between two samples that a line is drawn over, s; `rate_hz` 0.0 means irregular."""
    return max(GAP_S, 3.0 / rate_hz) if rate_hz > 0 else 5 * GAP_S


class Batch(NamedTuple):
    """Columns with their extremes.

    numbers : (k,) increasing, from the clock's zero; low, high : (k, channels) float32, NaN when empty
    """

    numbers: IntArray
    low: Float32Array
    high: Float32Array


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Where values are drawn: y = origin − gain · value, kept within top and bottom.

    origin, gain, top, bottom : (channels,) in heights of the picture, from its upper edge
    layers : channels and their colour, "#RRGGBB"; later ones lie above
    shade : channel whose columns over 0.5 get another ground; None for none
    cut_colour : of the ends of strokes that go on beyond top or bottom, "" for that of the trace
    """

    origin: FloatArray
    gain: FloatArray
    top: FloatArray
    bottom: FloatArray
    layers: tuple[tuple[NDArray[np.intp], str], ...]
    shade: int | None = None
    cut_colour: str = ""


class Columns:
    """Turns samples into columns, push by push; the result does not depend on how they are cut.

    Parameters
    ----------
    column_s : seconds that a column stands for, > 0
    longest_s : samples further apart than this are not joined; the columns between them stay empty
    """

    def __init__(self, column_s: float, longest_s: float) -> None:
        if not column_s > 0 or not longest_s > 0:
            raise ValueError(f"column_s, longest_s: got {column_s}, {longest_s}, expected more than 0")
        self._column_s, self._longest_s = column_s, longest_s
        self.reset()

    def reset(self) -> None:
        """Forget what came."""
        self._last: tuple[FloatArray, Float32Array] | None = None  # newest sample: (1,) and (1, channels)
        self._open: tuple[Float32Array, Float32Array] | None = None  # extremes so far of its column

    def number(self, time_s: float) -> int:
        """Column of a moment, counted from the clock's zero."""
        return int(np.floor(time_s / self._column_s))

    def push(self, times: FloatArray, samples: Float32Array) -> Batch:
        """Take the next samples; what is known now of every column that they touch.

        times : (n,) s, n > 0, finite; one that goes back counts as the one before it
        samples : (n, channels) float32; NaN is empty and joined with nothing

        The first column may have been given before, with less in it; the last one is not complete yet.
        """
        if self._last is not None:
            times = np.concatenate((self._last[0], times))
            samples = np.concatenate((self._last[1], samples))
        times = np.maximum.accumulate(times)
        inside = np.floor(times / self._column_s).astype(np.int64)
        borders, crossed = self._borders(times, inside, samples)
        batch = _extremes(
            np.concatenate((inside, borders - 1, borders)), np.concatenate((samples, crossed, crossed))
        )
        if self._open is not None:
            batch.low[0] = np.fmin(batch.low[0], self._open[0])
            batch.high[0] = np.fmax(batch.high[0], self._open[1])
        self._last = times[-1:].copy(), samples[-1:].copy()
        self._open = batch.low[-1].copy(), batch.high[-1].copy()
        return batch

    def _borders(
        self, times: FloatArray, inside: IntArray, samples: Float32Array
    ) -> tuple[IntArray, Float32Array]:
        """Where lines cross from one column to the next: (m,) the later column, (m, channels) values."""
        step_s = np.diff(times)
        count = np.where(step_s <= self._longest_s, np.diff(inside), 0)
        before = np.repeat(np.arange(len(count)), count)
        nth = np.arange(len(before)) - np.repeat(np.cumsum(count) - count, count)
        border = inside[before] + 1 + nth
        share = np.clip((border * self._column_s - times[before]) / step_s[before], 0.0, 1.0)
        start = samples[before]
        return border, start + share.astype(np.float32)[:, None] * (samples[before + 1] - start)


def _extremes(numbers: IntArray, values: Float32Array) -> Batch:
    order = np.argsort(numbers, kind="stable")
    numbers, values = numbers[order], values[order]
    first = np.flatnonzero(np.diff(numbers, prepend=numbers[0] - 1))
    return Batch(
        numbers[first], np.fmin.reduceat(values, first, axis=0), np.fmax.reduceat(values, first, axis=0)
    )


class Page:
    """The columns that are on the screen: one sweep, of which the oldest are overwritten.

    Parameters
    ----------
    width : columns of the picture
    n_channels : channels
    ahead : columns that are kept empty before the newest, fewer than `width`

    Attributes
    ----------
    low, high : (width, channels) float32, NaN where empty, by place in the picture
    newest : number of the newest column; None while there is none
    """

    def __init__(self, width: int, n_channels: int, ahead: int) -> None:
        self.width, self.ahead = width, min(ahead, width - 1)
        self.low = np.full((width, n_channels), np.nan, dtype=np.float32)
        self.high = self.low.copy()
        self.newest: int | None = None

    def clear(self) -> None:
        """Empty all columns."""
        self.low[:], self.high[:], self.newest = np.nan, np.nan, None

    @property
    def oldest(self) -> int:
        """Number of the oldest column that is still shown; 0 while there is none."""
        return 0 if self.newest is None else self.newest + self.ahead + 1 - self.width

    def put(self, batch: Batch) -> range:
        """Write columns down; the numbers of all that look different now, those ahead included."""
        changed = self.advance(int(batch.numbers[-1]))
        shown = batch.numbers >= self.oldest
        numbers, places = batch.numbers[shown], batch.numbers[shown] % self.width
        self.low[places], self.high[places] = batch.low[shown], batch.high[shown]
        first = int(numbers[0]) if len(numbers) else changed.start
        return range(min(first, changed.start), changed.stop)

    def advance(self, number: int) -> range:
        """Move on to a column, emptying those passed and ahead of it; the numbers of the columns emptied.

        A column that is not newer than the newest changes nothing: the range is empty.
        """
        if self.newest is not None and number <= self.newest:
            end = self.newest + self.ahead + 1
            return range(end, end)
        first = number + self.ahead + 1 - self.width
        if self.newest is not None:
            first = max(first, self.newest + 1)
        self.newest = number
        emptied = range(first, number + self.ahead + 1)
        for part in self.places(emptied):
            self.low[part] = self.high[part] = np.nan
        return emptied

    def places(self, numbers: range) -> Iterator[slice]:
        """Where columns are in the picture: at most two slices of places."""
        if not numbers:
            return
        if len(numbers) >= self.width:
            yield slice(0, self.width)
            return
        first, stop = numbers.start % self.width, (numbers.stop - 1) % self.width + 1
        if first < stop:
            yield slice(first, stop)
        else:
            yield slice(first, self.width)
            yield slice(0, stop)

    def middle(self) -> Float32Array:
        """Median of each channel's extremes, 0 where it has none: (channels,)."""
        return np.nan_to_num(_median(np.concatenate((self.low, self.high))))

    def spread(self) -> Float32Array:
        """Median absolute deviation of each channel's extremes, times 1.4826; NaN where it has none.

        The factor makes it the standard deviation where values are normally distributed (Rousseeuw &
        Croux 1993, "Alternatives to the median absolute deviation"). (channels,)
        """
        both = np.concatenate((self.low, self.high))
        return np.float32(1.4826) * _median(np.abs(both - _median(both)))


def _median(values: Float32Array) -> Float32Array:
    """Median of each column's known values, NaN where there is none; (n, channels) → (channels,)."""
    known = np.count_nonzero(~np.isnan(values), axis=0)
    ordered = np.sort(values, axis=0)  # NaN last
    middle: Float32Array = ordered[np.maximum(known - 1, 0) // 2, np.arange(values.shape[1])]
    return middle


def coverage(top: FloatArray, bottom: FloatArray, height: int) -> NDArray[np.uint8]:
    """How much of each pixel is covered by vertical strokes, one column of pixels for each row given.

    Parameters
    ----------
    top, bottom : (k, channels), pixels from the upper edge, top <= bottom; NaN where there is no stroke
    height : pixels

    Returns
    -------
    NDArray[np.uint8]
        (height, k) from 0 to ``LEVELS`` - 1. A pixel that a stroke covers in part gets that part, so
        slowly rising lines look smooth.
    """
    k = len(top)
    column, channel = np.nonzero(~np.isnan(top))
    edges = np.concatenate((top[column, channel], bottom[column, channel]))
    edges = np.clip(edges, 0, height)
    whole = np.floor(edges).astype(np.int64)
    part = edges - whole
    sign = np.repeat((1.0, -1.0), len(column))
    place = whole * k + np.concatenate((column, column))
    # Covered so far, from the top down: a stroke begins with a step up and ends with a step down.
    steps = np.bincount(
        np.concatenate((place, place + k)),
        np.concatenate((sign * (1 - part), sign * part)),
        minlength=(height + 2) * k,
    )
    covered = np.cumsum(steps.reshape(-1, k)[:height], axis=0)
    return (np.clip(covered, 0.0, 1.0) * (LEVELS - 1) + 0.5).astype(np.uint8)


@lru_cache(maxsize=64)
def shades(grounds: tuple[str, ...], colour: str) -> NDArray[np.uint32]:
    """Pixels from each ground colour to `colour`: (grounds, ``LEVELS``), 0xffRRGGBB; colours "#RRGGBB"."""
    level = np.linspace(0.0, 1.0, LEVELS)[:, None]
    start = np.array([rgb(ground) for ground in grounds])[:, None]  # (grounds, 1, 3)
    mixed = np.rint(start + level * (rgb(colour) - start)).astype(np.uint32)
    pixels: NDArray[np.uint32] = (
        np.uint32(0xFF000000) | mixed[..., 0] << 16 | mixed[..., 1] << 8 | mixed[..., 2]
    )
    return pixels
