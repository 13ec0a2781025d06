"""Heart beats in an electrocardiogram, found causally in the manner of Pan & Tompkins (1985).

J. Pan & W. J. Tompkins, "A real-time QRS detection algorithm", IEEE Trans. Biomed. Eng. 32(3), 230–236:
band-pass 5–15 Hz, slope, square, mean over 150 ms; a peak of this *energy* is a beat when it rises above
a threshold between the levels of recent beats and of recent other peaks. docs/features.md has the rules.
Nothing here knows which way up the lead is. A beat is known 0.3 to 0.5 s after its R peak, one found by
search back later.
"""

from __future__ import annotations

import statistics
import zlib
from collections import deque
from typing import NamedTuple

import numpy as np
import scipy

from bci_m2s.signal.filters import FilterBank, band_sections, impulse_response
from bci_m2s.types import BoolArray, FloatArray

QRS_BAND_HZ = (5.0, 15.0)
SHAPE_BAND_HZ = (2.0, 25.0)
ORDER = 2
ENERGY_S = 0.15  # length of the moving mean
REFRACTORY_S = 0.2
T_WAVE_S, T_WAVE_SHARE = 0.36, 0.4
LEARN_S = 3.0
LONGEST_RR_S = 2.0  # 30 beats per minute
KEPT_S = 5.0  # signal kept for beats that are found late: search back looks 1.66 x 2 s back
REMEMBERED = 8  # beats, and other peaks, that make the levels
THRESHOLD = 0.3  # between the level of other peaks (0) and that of beats (1)
PATIENCE = 1.66  # mean intervals without a beat until search back
STILL_SHARE = 1e-6  # of a beat's energy; less is no signal at all
NEAR_LOSS_S = 0.05  # a loss so close to an R peak spoils it
LEAN_MEMORY = 0.8  # of the mean side to which beats point
LEAN_FLIP = 0.05  # how far it must point to the other side until R is looked for there


class Beat(NamedTuple):
    """One heart beat.

    position : samples from the segment's start to the R peak, fractional
    height : of the R peak at 2–25 Hz, > 0, in the signal's unit
    joined : the interval from the beat before is whole: no sample lost, R on the same side
    """

    position: float
    height: float
    joined: bool


class _Candidate(NamedTuple):
    position: int
    energy: float


class BeatDetector:
    """Finds beats block by block; state is carried, ``reset`` begins a new segment.

    Parameters
    ----------
    rate_hz : sampling rate, above 50 Hz
    block_s : length of the longest block
    """

    def __init__(self, rate_hz: float, block_s: float) -> None:
        self._rate_hz = rate_hz
        self._bank = FilterBank((QRS_BAND_HZ, SHAPE_BAND_HZ), rate_hz, ORDER)
        self._mean_n = max(1, round(ENERGY_S * rate_hz))
        self._refractory_n = round(REFRACTORY_S * rate_hz)
        self._delay_n = _delay(QRS_BAND_HZ, rate_hz) - _delay(SHAPE_BAND_HZ, rate_hz)
        self._kept_n = int((KEPT_S + block_s) * rate_hz) + 1
        self.settle_s = self._bank.settle_s + ENERGY_S
        self.reset()

    def reset(self) -> None:
        """Begin a new segment."""
        self._bank.reset()
        self.crc = 0
        self._n = 0  # samples taken
        self._decided = 0  # candidates before this sample have been judged
        self._lost_until = 0  # the last loss ended before this sample
        self._slope_from = 0.0
        self._squares = np.zeros(self._mean_n - 1)  # the moving mean's past
        self._energy = np.zeros(self._kept_n)  # ends at the newest sample, as do the next two
        self._shape = np.zeros(self._kept_n)
        self._lost = np.zeros(self._kept_n, dtype=bool)
        self._beat_levels: deque[float] = deque(maxlen=REMEMBERED)
        self._other_levels: deque[float] = deque(maxlen=REMEMBERED)
        self._intervals: deque[int] = deque(maxlen=REMEMBERED)
        self._passed_over: list[_Candidate] = []  # since the last beat
        self._last: _Candidate | None = None
        self._last_r = -np.inf
        self._learn_from = 0
        self._lean, self._side = 0.0, 0.0  # side: 1 R points up, -1 down, 0 not known yet

    def push(self, samples: FloatArray, lost: BoolArray) -> list[Beat]:
        """Take the next samples; return the beats that became known, in order.

        samples : (n,), finite; lost : (n,), true where a sample is made up
        """
        self._extend(samples, lost)
        beats: list[Beat] = []
        for candidate in self._candidates():
            self._learn(candidate.position, beats)
            self._judge(candidate, beats)
        self._search_back(self._decided, beats)
        self._learn(self._decided, beats)
        return beats

    def clarity(self) -> float:
        """Energy of recent beats over that between beats (20th percentile of what is kept).

        Stretches where nothing moves, a bridged loss for instance, are left out.
        """
        if not self._beat_levels:
            return 0.0
        level = statistics.median(self._beat_levels)
        known = self._energy[-min(self._n, self._kept_n) :]
        known = known[known > STILL_SHARE * level]
        fifth = len(known) // 5
        return level / float(np.partition(known, fifth)[fifth]) if len(known) else 0.0

    def _extend(self, samples: FloatArray, lost: BoolArray) -> None:
        """Filter a block and append it to what is kept."""
        n = len(samples)
        narrow, shape = filtered = self._bank.apply(samples[None])[:, 0]
        self.crc = zlib.crc32(filtered.data)  # of the newest block
        slope = np.diff(narrow, prepend=self._slope_from if self._n else narrow[0]) * self._rate_hz
        squares = np.concatenate((self._squares, slope**2))
        sums = np.concatenate(([0.0], np.cumsum(squares)))
        energy = np.maximum(sums[self._mean_n :] - sums[: -self._mean_n], 0.0) / self._mean_n
        self._slope_from, self._squares = narrow[-1], squares[n:]
        self._energy = np.concatenate((self._energy, energy))[-self._kept_n :]
        self._shape = np.concatenate((self._shape, shape))[-self._kept_n :]
        self._lost = np.concatenate((self._lost, lost))[-self._kept_n :]
        if lost.any():
            self._lost_until = self._n + n - int(np.argmax(lost[::-1]))
        self._n += n

    def _candidates(self) -> list[_Candidate]:
        """Maxima of the energy whose whole neighbourhood has come since the last call."""
        first, self._decided = self._decided, max(self._decided, self._n - self._refractory_n)
        start = max(self._n - self._kept_n, first - self._refractory_n, 0)
        energy = self._energy[start - self._n :]
        highest = scipy.ndimage.maximum_filter1d(energy, 2 * self._refractory_n + 1, mode="constant")
        rises = energy > np.append(0.0, energy[:-1])  # of equal neighbours the first
        positions = np.flatnonzero((energy == highest) & rises) + start
        chosen = positions[
            (positions >= first) & (positions < self._decided) & ~self._lost[positions - self._n]
        ]
        return [_Candidate(int(position), float(self._energy[position - self._n])) for position in chosen]

    def _threshold(self) -> float:
        other = statistics.median(self._other_levels) if self._other_levels else 0.0
        return other + THRESHOLD * max(statistics.median(self._beat_levels) - other, 0.0)

    def _judge(self, candidate: _Candidate, beats: list[Beat]) -> None:
        if not self._beat_levels:
            self._passed_over.append(candidate)
            return
        self._search_back(candidate.position, beats)
        if candidate.energy > self._threshold() and not self._is_t_wave(candidate):
            self._accept(candidate, beats)
        else:
            self._other_levels.append(candidate.energy)
            self._passed_over.append(candidate)

    def _is_t_wave(self, candidate: _Candidate) -> bool:
        if self._last is None or candidate.position - self._last.position > T_WAVE_S * self._rate_hz:
            return False
        return candidate.energy < T_WAVE_SHARE * self._last.energy

    def _search_back(self, until: int, beats: list[Beat]) -> None:
        """Take candidates that were passed over, while beats are overdue at sample `until`."""
        while self._last is not None and self._intervals and self._beat_levels:
            begin = self._last.position
            if begin < self._lost_until:
                return  # the beat may be among the lost samples
            if until - begin <= PATIENCE * sum(self._intervals) / len(self._intervals):
                return
            least, earliest = self._threshold() / 2, begin + T_WAVE_S * self._rate_hz
            late = [peak for peak in self._passed_over if peak.position > earliest and peak.energy > least]
            if not late:
                return
            self._accept(max(late, key=lambda peak: peak.energy), beats)

    def _learn(self, until: int, beats: list[Beat]) -> None:
        """Learn the levels at the start, and again when beats stay away; `until` is the sample reached."""
        half = int(LEARN_S / 2 * self._rate_hz)
        begin = max(self._learn_from, self._lost_until, 0 if self._last is None else self._last.position)
        while until - begin >= 2 * half:
            self._forget(begin)
            early = [peak.energy for peak in self._passed_over if peak.position < begin + half]
            late = [
                peak.energy
                for peak in self._passed_over
                if begin + half <= peak.position < begin + 2 * half
            ]
            begin = self._learn_from = begin + half
            if early and late:
                self._beat_levels.append(min(max(early), max(late)))  # an artefact may be in one of them
                again, self._passed_over, self._learn_from = self._passed_over, [], until
                for candidate in again:
                    self._judge(candidate, beats)
                return

    def _forget(self, before: int) -> None:
        """Drop the levels and the candidates before a sample."""
        self._beat_levels.clear()
        self._other_levels.clear()
        self._intervals.clear()
        self._passed_over = [peak for peak in self._passed_over if peak.position >= before]

    def _accept(self, candidate: _Candidate, beats: list[Beat]) -> None:
        if (
            self._last is not None
            and candidate.position - self._last.position <= LONGEST_RR_S * self._rate_hz
        ):
            self._intervals.append(candidate.position - self._last.position)
        self._last = candidate
        self._beat_levels.append(candidate.energy)
        self._passed_over = [peak for peak in self._passed_over if peak.position > candidate.position]
        beats.append(self._locate(candidate.position))

    def _locate(self, position: int) -> Beat:
        """Find the R peak of a beat whose energy is highest at `position`."""
        offset = self._n - self._kept_n  # sample at which what is kept begins
        middle = position - offset - self._delay_n - self._mean_n / 2
        reach = self._mean_n / 2 + NEAR_LOSS_S / 2 * self._rate_hz
        first, last = max(1, int(middle - reach)), min(self._kept_n - 2, int(middle + reach))
        stretch = self._shape[first : last + 1]
        flipped = self._turn(float(stretch.max()), float(stretch.min()))
        top = first + int(np.argmax(self._side * stretch))
        before, peak, after = self._side * self._shape[top - 1 : top + 2]
        bend = before - 2 * peak + after
        shift = float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5)) if bend < 0 else 0.0
        r_position = offset + top + shift
        joined = not flipped and self._is_whole(self._last_r, r_position)
        self._last_r = r_position
        return Beat(r_position, max(float(peak - 0.25 * (before - after) * shift), 0.0), joined)

    def _turn(self, up: float, down: float) -> bool:
        """Follow the side to which beats point; return whether it changed."""
        lean = (up + down) / max(up - down, 1e-300)
        self._lean = LEAN_MEMORY * self._lean + (1 - LEAN_MEMORY) * lean if self._side else lean
        if self._side and self._lean * self._side > -LEAN_FLIP:
            return False
        self._side = 1.0 if self._lean >= 0 else -1.0
        return True

    def _is_whole(self, r_before: float, r_position: float) -> bool:
        offset, margin = self._n - self._kept_n, NEAR_LOSS_S * self._rate_hz
        if r_before - margin < offset:
            return False
        return not self._lost[int(r_before - margin) - offset : int(r_position + margin) + 1 - offset].any()


def _delay(band_hz: tuple[float, float], rate_hz: float) -> int:
    """Samples by which a filter delays a short wave: the centre of its impulse response's energy."""
    energy = impulse_response(band_sections(*band_hz, rate_hz, ORDER), round(2 * rate_hz)) ** 2
    return round(float(np.arange(len(energy)) @ energy / energy.sum()))
