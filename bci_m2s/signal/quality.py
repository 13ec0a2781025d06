"""Is a stream what it says it is? The effective sampling rate, and what each channel's signal is worth.

A channel is judged block by block, so nothing depends on chunks or on what comes later.
``docs/quality.md`` says when it is lost, railed, flat, implausible or noisy; the first that applies is its
state.
Extractors judge flat signals by themselves; that state is for displays.

Differences and counts of extreme values are the simplest of the checks for bad channels and clipping that
Bigdely-Shamlo et al. 2015 (PREP, Front. Neuroinform. 9:16) and Nolan et al. 2010 (FASTER, J. Neurosci.
Methods 192) compare channels by; theirs look at whole recordings, these at what has come so far.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci_m2s.signal.blocks import GAP_S, Block, are_backward
from bci_m2s.signal.plausible import CAUSE, SHORTEST_S, Amplitudes
from bci_m2s.signal.reference import NO_REFERENCE
from bci_m2s.signal.units import find_unit
from bci_m2s.types import BoolArray, Emit, Event, FloatArray, no_listener

SPAN_S = 10.0  # of a segment's newest signal, over which the rate is measured ...
LEAST_S = 5.0  # ... once there is this much: jitter of stamps is then far below a percent
DOUBTFUL = 0.01  # relative difference that is worth a warning
FEWEST_STEPS = 10  # between stamps, for a rate of all of them
REVERSED = 0.3  # share of samples; half of them where a sender hands over two at a time, the newest first
WRONG = 0.05  # relative difference that makes features wrong: filters are designed for the nominal rate


@dataclass(frozen=True, slots=True)
class RateVerdict:
    """Effective rate (NaN while unknown) and its consequence.

    reversed_share : of samples that are stamped before their predecessor; 0 below ``REVERSED``
    """

    effective_hz: float = float("nan")
    doubtful: bool = False
    wrong: bool = False
    reversed_share: float = 0.0

    def describe(self, nominal_hz: float) -> str:
        """In words."""
        if self.reversed_share:
            return (
                f"{100 * self.reversed_share:.0f} % of the samples are stamped before the one they follow: "
                "does the sender hand over the newest first?"
            )
        return f"effective rate {self.effective_hz:.4g} Hz, nominal {nominal_hz:g} Hz"


def _verdict(
    effective_hz: float, nominal_hz: float, backward: float, slack: float = 0.0, doubtful: float = DOUBTFUL
) -> RateVerdict:
    """backward : share of samples; slack : relative, by which a rate may be off besides"""
    if backward >= REVERSED:
        return RateVerdict(effective_hz, True, True, backward)
    off = abs(effective_hz / nominal_hz - 1) - slack
    return RateVerdict(effective_hz, off > doubtful, off > WRONG)


def rate_verdict(nominal_hz: float, times: FloatArray) -> RateVerdict:
    """The verdict on all stamps of a stream, (n,) s, gaps left out; unknown for less than a second.

    Where there is less than ``LEAST_S``, only a wrong rate is doubtful. Samples that share a stamp count
    with the step that follows it.
    """
    steps_s = np.diff(times[np.isfinite(times)])
    moved = np.flatnonzero(steps_s)
    moves_s, sizes = steps_s[moved], np.diff(moved, prepend=-1)
    if not len(moves_s) or not nominal_hz > 0:
        return RateVerdict()
    backward = float(np.mean(are_backward(steps_s, nominal_hz)))
    usual_s = float(np.median(moves_s / sizes)) * sizes
    steady = np.abs(moves_s - usual_s) <= GAP_S  # jitter is left out on both sides
    span_s = float(moves_s[steady].sum())
    if span_s < 1.0 or np.count_nonzero(steady) < FEWEST_STEPS:
        return RateVerdict()
    effective_hz = float(sizes[steady].sum()) / span_s
    return _verdict(effective_hz, nominal_hz, backward, doubtful=DOUBTFUL if span_s >= LEAST_S else WRONG)


class RateGuard:
    """Compares samples with stamps, block by block. Depends on stamps alone, not on arrival.

    Parameters
    ----------
    nominal_hz : of the sender, > 0
    hop_s : length of a block
    jitter_s : how far a stamp may be from its time, as a pipeline allows; it is no wrong rate
    """

    def __init__(self, nominal_hz: float, hop_s: float, jitter_s: float = 0.0) -> None:
        self._nominal_hz, self._jitter_s = nominal_hz, jitter_s
        # last sample, its stamp and samples that are stamped backwards, of each block
        self._blocks: deque[tuple[int, float, int]] = deque(maxlen=max(2, round(SPAN_S / hop_s) + 1))

    def push(self, block: Block) -> RateVerdict:
        """Take the next block; the verdict on the newest ``SPAN_S`` seconds of its segment."""
        if block.number == 0:
            self._blocks.clear()
        self._blocks.append((block.last_index, block.end_s, block.backward_n))
        (first_index, first_s, _), (last_index, last_s, _) = self._blocks[0], self._blocks[-1]
        n = last_index - first_index
        if n / self._nominal_hz < LEAST_S:
            return RateVerdict()
        span_s = last_s - first_s
        effective_hz = n / span_s if span_s > 0 else float("inf")
        backward = sum(block[2] for block in self._blocks) / n
        slack = self._jitter_s / span_s if span_s > 0 else 0.0
        return _verdict(effective_hz, self._nominal_hz, backward, slack)


GOOD, LOST, FLAT, RAILED, NOISY, IMPLAUSIBLE = range(6)
STATES = ("good", "lost", "flat", "railed", "noisy", "implausible")
CAUSES = ("", "no samples", "", "railed", "noisy", "")  # of missing samples, as a reason names them
NOT_SENT = "not sent"  # of a channel that the stream has not
_ORDER = (
    NOT_SENT,
    "no samples",
    CAUSE,
    "railed",
    "noisy",
    "flat",
    NO_REFERENCE,
)  # in which a reason names them, by its beginning

LOSS_LIMIT = 1e7  # larger magnitudes are a device's loss code (1e8 is a common one), never a signal
COMPARABLE = 4  # channels of one unit that are compared with each other ...
FEWEST_GOOD = 2  # ... while at least this many of them are good
USUAL_S = 60.0  # other channels are compared with their own last good seconds ...
LEARN_S = 2.0  # ... once there are this many
REPORT_AFTER_S = 1.0  # a state is told, on a display too, when it has lasted this long: blinks are not
REPORT_EVERY_S = 5.0  # between two reports of one channel, at least


class ChannelQuality:
    """Judges each channel of a modality, block by block; see the module.

    Parameters
    ----------
    labels, units : of the channels, in the contract's order
    hop_s : length of a block
    sentinels : exact values that mean loss; each also as float32 rounds it
    limit : |x| above it is loss
    railed_share : 0..1 of a block's samples at its extremes; 0 for off
    rails : (low, high) of the converter in the channels' unit; at or beyond is railed
    noisy_ratio : multiple of the usual difference that is noisy; 0 for off
    amplitudes : what each channel can have at all; None for anything
    factors : (C,), what samples were multiplied by; `sentinels` and `limit` are of before that
    absent : (C,) channels that the stream has not: lost, which is no event
    emit : gets an event "quality" for each change of a channel that lasts
    """

    def __init__(
        self,
        labels: Sequence[str],
        units: Sequence[str],
        hop_s: float,
        *,
        sentinels: Sequence[float] = (),
        limit: float = LOSS_LIMIT,
        railed_share: float = 0.0,
        rails: tuple[float, float] | None = None,
        noisy_ratio: float = 0.0,
        amplitudes: Amplitudes | None = None,
        factors: FloatArray | None = None,
        absent: BoolArray | None = None,
        emit: Emit = no_listener,
    ) -> None:
        self.labels, self._emit = tuple(labels), emit
        scale = np.ones(len(labels)) if factors is None else factors
        self._limit, self._railed_share, self._rails = limit * scale, railed_share, rails
        self._noisy_ratio, self._amplitudes = noisy_ratio, amplitudes
        # Blocks without a plausible amplitude, and from how many on a channel has none.
        self._outside_for = np.zeros(len(labels), dtype=np.int64)
        self._outside_from = max(1, round(SHORTEST_S / hop_s))
        self._sentinels = [code * scale for code in loss_codes(sentinels)]
        self._voltage = np.array([unit is not None and unit.is_voltage for unit in map(find_unit, units)])
        folded = np.array([unit.strip().casefold() for unit in units])
        groups = [np.flatnonzero(folded == unit) for unit in np.unique(folded)]
        self._groups = [group for group in groups if len(group) >= COMPARABLE]
        self._alone = [int(index) for group in groups if len(group) < COMPARABLE for index in group]
        self._usual_n, self._learn_n = round(USUAL_S / hop_s), max(1, round(LEARN_S / hop_s))
        self._report_after, self._report_every = (
            max(1, int(REPORT_AFTER_S / hop_s)),
            round(REPORT_EVERY_S / hop_s),
        )
        n = len(labels)
        self.states: NDArray[np.int8] = np.zeros(n, dtype=np.int8)  # of the newest block, in ``STATES``
        self.lasting: NDArray[np.int8] = np.zeros(n, dtype=np.int8)  # that lasted ``REPORT_AFTER_S``
        self.causes = [CAUSES[LOST]] * n  # why samples of each channel were last missing
        self._lasted = np.zeros(n, dtype=np.int64)  # blocks for which each state has held
        self._bad_for = np.zeros(n, dtype=np.int64)  # blocks since each channel was good
        self._reported = np.zeros(n, dtype=np.int8)
        self._reported_ago = np.full(n, self._report_every)
        self._hidden_ago = np.full(n, 1 << 40)  # blocks since each channel was railed or noisy
        self._never_used, self._judged = np.ones(n, dtype=bool), 0  # so far; blocks
        self._absent = np.zeros(n, dtype=bool) if absent is None else absent
        for channel in np.flatnonzero(self._absent).tolist():
            self.lasting[channel] = self._reported[channel] = LOST
            self.causes[channel], self._never_used[channel] = NOT_SENT, False
        self.reset()

    def reset(self) -> None:
        """Begin a new segment: the usual differences are learnt again."""
        self._usual = {index: _RunningMedian(self._usual_n) for index in self._alone}

    def push(self, block: Block) -> BoolArray:
        """Judge the next block; return which of its samples are missing, (n, channels)."""
        samples = block.samples
        with np.errstate(invalid="ignore"):  # NaN compares false, so it counts as missing
            low, high = samples.min(axis=0), samples.max(axis=0)  # NaN where a sample is
            missing: BoolArray
            if ((high <= self._limit) & (low >= -self._limit)).all():  # as nearly always: two passes less
                missing = np.zeros(samples.shape, dtype=bool)
            else:
                missing = ~(np.abs(samples) <= self._limit)
        for code in self._sentinels:
            missing |= samples == code
        states = np.zeros(len(self.labels), dtype=np.int8)
        flat = samples[-1] == samples[0]
        if flat.any():
            flat[flat] = (samples[:, flat] == samples[0, flat]).all(axis=0)
            states[flat & self._voltage] = FLAT
        if missing.any():
            states[missing.any(axis=0)] = LOST
        if self._railed_share or self._rails:
            states[(states != LOST) & self._railed(samples, low, high, flat)] = RAILED
        if self._noisy_ratio and len(samples) > 1:
            states[self._noisy(samples, (states == GOOD) & ~flat)] = NOISY
        if self._amplitudes is not None:
            outside = self._amplitudes.outside(samples)
            self._outside_for += 1
            self._outside_for[~outside] = 0
            if outside.any():
                long_enough = self._outside_for >= self._outside_from
                states[long_enough & ~np.isin(states, (LOST, FLAT, RAILED))] = IMPLAUSIBLE
        hidden = states >= RAILED
        if hidden.any():
            missing[:, hidden] = True
        if self._never_used.any():
            self._never_used &= missing.all(axis=0) | (states == FLAT) | (self._outside_for > 0)
        self._judged += 1
        self._hidden_ago += 1
        self._hidden_ago[hidden] = 0
        self._remember(states, block)
        return missing

    @property
    def never_used(self) -> dict[str, str]:
        """Channels of which no sample was used since the beginning, and why; none in the first second."""
        long_enough = self._judged >= self._report_after
        never = np.flatnonzero(self._never_used).tolist() if long_enough else []
        return {self.labels[at]: "flat" if self.states[at] == FLAT else self.causes[at] for at in never}

    def hidden(self, blocks: int) -> str:
        """Channels that were railed or noisy in the newest `blocks` blocks, as a text; "" for none."""
        recent = np.flatnonzero(self._hidden_ago < blocks).tolist()
        return name_channels(self.labels, {index: self.causes[index] for index in recent})

    def _railed(self, samples: FloatArray, low: FloatArray, high: FloatArray, flat: BoolArray) -> BoolArray:
        """Which channels, (channels,), are railed. low, high : (channels,) extremes of the samples"""
        railed = np.zeros(len(high), dtype=bool)
        if self._rails:
            railed |= (low <= self._rails[0]) | (high >= self._rails[1])
        if self._railed_share:
            extreme = (samples == high) | (samples == low)
            count = extreme.view(np.int8).sum(axis=0, dtype=np.int32)
            railed |= ~flat & (count >= self._railed_share * len(samples))
        return railed

    def _noisy(self, samples: FloatArray, judged: BoolArray) -> BoolArray:
        """Which of the judged channels, (channels,), are noisy."""
        with np.errstate(invalid="ignore", over="ignore"):  # of lost samples, which are not judged
            steps = samples[1:] - samples[:-1]
            power = np.einsum("nc,nc->c", steps, steps) / len(steps)
        most = np.full(len(power), np.inf)
        for group in self._groups:
            good = power[group[judged[group]]]
            if len(good) >= FEWEST_GOOD:
                most[group] = _median(good)
        for index, usual in self._usual.items():
            if usual.n >= self._learn_n:
                most[index] = usual.value
        noisy: BoolArray = judged & (power > most * self._noisy_ratio**2)
        for index, usual in self._usual.items():
            if judged[index] and not noisy[index]:
                usual.push(float(power[index]))
        return noisy

    def _remember(self, states: NDArray[np.int8], block: Block) -> None:
        changed = states != self.states
        self.states = states
        self._lasted += 1
        self._lasted[changed] = 1
        self._bad_for += 1
        self._bad_for[states == GOOD] = 0
        lasts = np.maximum(self._lasted, self._bad_for) >= self._report_after  # now lost, now noisy: bad
        self.lasting = np.where(lasts, states, self.lasting)
        self._reported_ago += 1
        if changed.any():
            for index in np.flatnonzero(changed & ~self._absent):
                self.causes[index] = CAUSES[states[index]] or self.causes[index]
        implausible = np.flatnonzero(states == IMPLAUSIBLE)
        if len(implausible) and self._amplitudes is not None:
            cause = self._amplitudes.explain(block.samples, implausible.tolist())
            for channel in implausible.tolist():
                self.causes[channel] = cause
        due = self.lasting != self._reported
        for index in np.flatnonzero(due & (self._reported_ago >= self._report_every)) if due.any() else ():
            now, was = STATES[self.lasting[index]], STATES[self._reported[index]]
            message = f"channel {self.labels[index]} {now}" + (" again" if now == "good" else "")
            message += f": {self.causes[index]}" if now == "implausible" else ""
            fields = {
                "at_sample": block.last_index,
                "channel": self.labels[index],
                "state": now,
                "was": was,
            }
            self._emit(Event("quality", message, fields=fields))
            self._reported[index], self._reported_ago[index] = self.lasting[index], 0


def loss_codes(sentinels: Sequence[float]) -> list[float]:
    """The values that mean loss, each also as float32 rounds it."""
    return sorted({*map(float, sentinels), *(float(np.float32(code)) for code in sentinels)})


def name_channels(labels: Sequence[str], causes: dict[int, str], most: int = 4) -> str:
    """Channels by what is wrong with them: "railed: Fp1; noisy: T7, T8". causes : by index in `labels`."""
    named: dict[str, list[str]] = {}
    for index, cause in causes.items():
        named.setdefault(cause, []).append(labels[index])
    return "; ".join(
        f"{cause}: {', '.join(names[:most])}" + (", …" if len(names) > most else "")
        for cause, names in sorted(named.items(), key=lambda item: _rank(item[0]))
    )


def say_never_used(channels: Mapping[str, str], most: int = 8) -> str:
    """Channels of which nothing was used, in a line; "" for none. channels : label: why"""
    named: dict[str, list[str]] = {}
    for label, cause in channels.items():
        named.setdefault(cause, []).append(label)
    return "; ".join(
        f"{', '.join(labels[:most])}{f' and {len(labels) - most} more' if len(labels) > most else ''}: "
        f"missing throughout ({cause})"
        for cause, labels in named.items()
    )


def _rank(cause: str) -> int:
    return next(rank for rank, beginning in enumerate(_ORDER) if cause.startswith(beginning))


class _RunningMedian:
    """The median of the newest `most` values, the lower of two middle ones."""

    def __init__(self, most: int) -> None:
        self._most, self._values, self._sorted = most, deque[float](), list[float]()

    @property
    def n(self) -> int:
        return len(self._values)

    @property
    def value(self) -> float:
        return self._sorted[(len(self._sorted) - 1) // 2]

    def push(self, value: float) -> None:
        self._values.append(value)
        insort(self._sorted, value)
        if len(self._values) > self._most:
            del self._sorted[bisect_left(self._sorted, self._values.popleft())]


def _median(values: FloatArray) -> float:
    """Median without ``np.median``'s overhead, the lower of two middle values."""
    middle = (len(values) - 1) // 2
    return float(np.partition(values, middle)[middle])
