"""A stream with known samples and the faults that can be injected into it. No network, no thread.

Sample k of a run is always the same for the same seed, however samples are cut into chunks. A fault holds
for a range of sample numbers, and the reply to its command gives that range: [first, last).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci_m2s.errors import StreamError, nearest
from bci_m2s.recording.xdf_writer import NUMBERS
from bci_m2s.soak.fault_spec import COUNTERS, FaultSpec
from bci_m2s.types import FloatArray

NOISE_N = 4096  # samples after which the noise repeats
NOISE_UV = 12.0  # standard deviation, of the order of resting EEG
FOR_EVER = 2**62
Fault = Callable[[FloatArray, NDArray[np.int64]], Any]  # values and sample numbers → values


class FaultyStream:
    """Samples and stamps of one run, as they fall due, with the faults of ``command``.

    Parameters
    ----------
    spec : the stream
    started_s : moment and stamp of sample 0, in the clock of ``take``

    Attributes
    ----------
    made : samples that fell due so far: the number of the next one
    skipped : ranges [first, last) of sample numbers that are not sent
    """

    def __init__(self, spec: FaultSpec, started_s: float) -> None:
        self.spec, self.made = spec, 0
        self.skipped: list[tuple[int, int]] = []
        rng = np.random.default_rng((spec.seed, spec.run))
        self._noise = NOISE_UV * rng.standard_normal((NOISE_N, len(spec.labels)))
        self._jitter = rng.standard_normal(NOISE_N)
        # the current part of the timetable: sample `base` at `base_s`, then one per `step_s`
        self._base, self._base_s, self._step_s = 0, started_s, 1.0 / spec.samples_per_s
        self._normal_again = FOR_EVER  # the sample from which the rate is nominal again
        self._stamp_faults: list[tuple[int, int, Fault]] = []
        self._sample_faults: list[tuple[int, int, Fault]] = []
        self._paused: str = ""  # "", "keep" or "skip"
        self._hold_n = 0
        self._chunk_n = spec.chunk_n

    def command(self, name: str, now_s: float, **arguments: Any) -> tuple[int, int]:
        """Inject a fault; return the range [first, last) of sample numbers for which it holds.

        Raises StreamError for an unknown command, and for arguments that it cannot take.
        """
        known = [word.removeprefix("_do_") for word in dir(self) if word.startswith("_do_")]
        if name not in known:
            raise StreamError(f"fault sender: command: got {name!r}{nearest(name, known)}")
        self._now_s = now_s
        first_last: tuple[int, int]
        try:
            first_last = getattr(self, f"_do_{name}")(**arguments)
        except (TypeError, ValueError) as problem:
            raise StreamError(f"fault sender: {name}: {problem}") from None
        return first_last

    # ---- samples ----

    def take(self, now_s: float) -> tuple[FloatArray, NDArray[Any]]:
        """Make the samples that are due: stamps (n,) and samples (n, channels) to push, in whole chunks."""
        due = self._due(now_s) - self.made
        if self._paused or due < max(self._hold_n, self._chunk_n):
            return self._make(self.made)
        self._hold_n = 0
        return self._make(self.made + due // self._chunk_n * self._chunk_n)

    def _make(self, stop: int) -> tuple[FloatArray, NDArray[Any]]:
        parts = []
        while self.made < stop:  # in two parts where the rate changes
            until = min(stop, self._normal_again)
            numbers = np.arange(self.made, until)
            parts.append((numbers, self._base_s + (numbers - self._base) * self._step_s))
            self.made = until
            if until == self._normal_again:
                self._set_rate(until, self.spec.samples_per_s)
                self._normal_again = FOR_EVER
        numbers = np.concatenate([part[0] for part in parts]) if parts else np.empty(0, np.int64)
        stamps = np.concatenate([part[1] for part in parts]) if parts else np.empty(0)
        samples = self.true_samples(numbers)
        for first, last, fault in self._stamp_faults:
            _inject(fault, stamps, numbers, first, last)
        for first, last, fault in self._sample_faults:
            _inject(fault, samples, numbers, first, last)
        sent = np.ones(len(numbers), bool)
        for first, last in self.skipped:
            sent &= (numbers < first) | (numbers >= last)
        return stamps[sent], samples[sent].astype(NUMBERS[self.spec.channel_format])

    def true_samples(self, numbers: NDArray[np.int64]) -> FloatArray:
        """The samples of these numbers without any fault: (n, channels) float64, uV."""
        samples = self._noise[numbers % NOISE_N].copy()
        if self.spec.counters:
            samples[:, 0], samples[:, 1] = numbers, self.spec.run
        return samples

    def _due(self, now_s: float) -> int:
        """Number of samples that are due by now."""
        due = self._base + math.floor((now_s - self._base_s) / self._step_s + 1e-6) + 1
        if due <= self._normal_again:
            return max(due, self.made)
        over_s = now_s - self._base_s - (self._normal_again - self._base) * self._step_s
        return self._normal_again + math.floor(over_s * self.spec.samples_per_s + 1e-6) + 1

    def _set_rate(self, at: int, samples_per_s: float) -> None:
        self._base_s += (at - self._base) * self._step_s
        self._base, self._step_s = at, 1.0 / samples_per_s

    def _range(self, n: float) -> tuple[int, int]:
        if not n >= 1:
            raise ValueError(f"got {n} samples, expected at least 1")
        return self.made, self.made + int(n)

    def _span(self, seconds: float) -> tuple[int, int]:
        return self._range(round(seconds / self._step_s))

    # ---- flow ----

    def _do_pause(self, keep: bool = False) -> tuple[int, int]:
        """Send nothing until ``resume``; then, with `keep`, all at once, else only what follows."""
        self._paused = "keep" if keep else "skip"
        return self.made, FOR_EVER

    def _do_resume(self) -> tuple[int, int]:
        first = self.made
        if self._paused == "skip":
            last = self._due(self._now_s)
            self.skipped.append((first, last))
            self._make(last)
        self._paused = ""
        return first, self.made

    def _do_burst(self, n: int) -> tuple[int, int]:
        """Hold back the next `n` samples, then send them at once."""
        self._hold_n = int(n)
        return self._range(n)

    def _do_drop(self, n: int) -> tuple[int, int]:
        """Lose the next `n` samples between the headset and the network."""
        self.skipped.append(self._range(n))
        return self.skipped[-1]

    def _do_rate_factor(self, factor: float) -> tuple[int, int]:
        """Send at `factor` times the nominal rate, with stamps to match, until the next rate."""
        if not 0 < factor < math.inf:
            raise ValueError(f"factor: got {factor}, expected more than 0")
        self._set_rate(self.made, factor * self.spec.samples_per_s)
        self._normal_again = FOR_EVER
        return self.made, FOR_EVER

    def _do_flood(self, samples_per_s: float, seconds: float) -> tuple[int, int]:
        """Send at another rate for a while."""
        self._do_rate_factor(samples_per_s / self.spec.samples_per_s)
        first, self._normal_again = self._span(seconds)
        return first, self._normal_again

    def _do_chunk_size(self, n: int) -> tuple[int, int]:
        first, _ = self._range(n)
        self._chunk_n = int(n)
        return first, FOR_EVER

    # ---- stamps ----

    def _fault_of_stamps(self, span: tuple[int, int], fault: Fault) -> tuple[int, int]:
        self._stamp_faults.append((*span, fault))
        return span

    def _do_nan_stamps(self, n: int) -> tuple[int, int]:
        return self._fault_of_stamps(self._range(n), lambda stamps, _: np.full_like(stamps, math.nan))

    def _do_backward_stamp(self, seconds: float, n: int = 1) -> tuple[int, int]:
        return self._fault_of_stamps(self._range(n), lambda stamps, _: stamps - seconds)

    def _do_jump_stamp(self, seconds: float) -> tuple[int, int]:
        return self._fault_of_stamps((self.made, FOR_EVER), lambda stamps, _: stamps + seconds)

    def _do_constant_stamps(self, n: int) -> tuple[int, int]:
        stamp = self._base_s + (self.made - self._base) * self._step_s
        return self._fault_of_stamps(self._range(n), lambda stamps, _: np.full_like(stamps, stamp))

    def _do_jitter(self, sd_s: float, seconds: float) -> tuple[int, int]:
        return self._fault_of_stamps(
            self._span(seconds), lambda stamps, k: stamps + sd_s * self._jitter[k % NOISE_N]
        )

    # ---- samples ----

    def _fault_of_samples(
        self, channels: Sequence[int], seconds: float, fault: Fault, whole_numbers: bool = True
    ) -> tuple[int, int]:
        columns = self._columns(channels)
        if not whole_numbers and self.spec.channel_format.startswith("int"):
            raise ValueError(
                f"channel_format: got {self.spec.channel_format}, expected double64 or float32"
            )

        def on_channels(samples: FloatArray, numbers: NDArray[np.int64]) -> FloatArray:
            changed = samples.copy()
            changed[:, columns] = fault(samples[:, columns], numbers)
            return changed

        span = self._span(seconds)
        self._sample_faults.append((*span, on_channels))
        return span

    def _columns(self, channels: Sequence[int]) -> list[int]:
        """Channels that may be changed: those without a counter."""
        free, end = COUNTERS if self.spec.counters else 0, len(self.spec.labels)
        columns = [int(channel) for channel in channels]
        if not columns or not all(free <= column < end for column in columns):
            raise ValueError(f"channels: got {columns}, expected between {free} and {end - 1}")
        return columns

    def _do_nan_samples(self, channels: Sequence[int], seconds: float) -> tuple[int, int]:
        return self._fault_of_samples(channels, seconds, lambda x, _: np.full_like(x, math.nan), False)

    def _do_sentinel(self, value: float, channels: Sequence[int], seconds: float) -> tuple[int, int]:
        """The value of a device without a signal: 0, -1, 1e8."""
        return self._fault_of_samples(
            channels, seconds, lambda x, _: np.full_like(x, value), float(value).is_integer()
        )

    def _do_rail(self, channels: Sequence[int], seconds: float, value: float = 187500.0) -> tuple[int, int]:
        """The amplifier's limits in turn: `value` and -`value`, 50 samples each."""
        return self._fault_of_samples(
            channels, seconds, lambda x, k: np.where(k // 50 % 2, -value, value)[:, None] + 0 * x
        )

    def _do_flat(self, channels: Sequence[int], seconds: float) -> tuple[int, int]:
        """The value of the first sample, repeated."""
        columns = self._columns(channels)
        first = self._noise[self.made % NOISE_N, columns]
        return self._fault_of_samples(columns, seconds, lambda x, _: np.broadcast_to(first, x.shape))

    def _do_noise(self, channels: Sequence[int], factor: float, seconds: float) -> tuple[int, int]:
        return self._fault_of_samples(channels, seconds, lambda x, _: x * factor)


def _inject(fault: Fault, values: FloatArray, numbers: NDArray[np.int64], first: int, last: int) -> None:
    """Change the values of samples first to last (exclusive)."""
    changed = (numbers >= first) & (numbers < last)
    if changed.any():
        values[changed] = fault(values[changed], numbers[changed])
