"""Time of one hop of differential entropy: the live extractor against ways that recompute a window.

Four ways compute the DE of each 250-ms hop, 62 channels at 1 kHz and five bands, in one process and on
the same samples, with equal Butterworth filters and no notch:

- ours: ``DifferentialEntropy.push`` takes the newest hop (filter state and sums are carried);
- whole window, 1 s: second-order sections, all channels at once, over the newest 1-s step;
- whole window, 5 s: the same over all five steps of a window;
- torcheeg's way: ``lfilter`` with (b, a) for each channel and band over the newest 1-s step.

Filters are designed beforehand. Before anything is timed, the ways must agree. Then each of the others
is timed in turn with ours, hop by hop.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from bci_m2s.commands.bench.benchmark import Benchmark, Figure, Round, Run, at_least
from bci_m2s.errors import BciM2sError, UsageError

if TYPE_CHECKING:
    from bci_m2s.types import FloatArray

HOP_S, STEP_S, STEPS = 0.25, 1.0, 5
SETTLE_S = 10.0  # pushed before anything is compared or timed
SAME_FORMULA_NATS = 0.01  # whole window and torcheeg's way: the (b, a) form loses digits at 1–4 Hz
SAME_SIGNAL_NATS = 0.01  # ours and whole window, 5 s: the window's filters still answer to its start
OURS, ONE_STEP, ALL_STEPS, LOOP = "ours", "whole window, 1 s", "whole window, 5 s", "torcheeg's way"

Way = Callable[[int], "FloatArray"]


def measure(run: Run) -> Iterator[Round]:
    """Milliseconds a hop of ours and of each other way, in turn; medians of the round's hops."""
    import numpy as np

    rate_hz, hops = run.count("rate"), run.count("hops")
    if rate_hz % 4:
        raise UsageError(
            f"--set rate: got {rate_hz}, expected a multiple of 4 (whole samples in {HOP_S:g} s)"
        )
    hop_n, settled_n = round(HOP_S * rate_hz), round(SETTLE_S * rate_hz)
    rng = np.random.default_rng(1)
    n = settled_n + (3 * run.rounds * hops + 1) * hop_n
    samples = rng.normal(scale=20.0, size=(n, run.count("channels")))
    ways = make_ways(samples, rate_hz, run.count("order"))
    refuse_disagreement(run, {name: way(settled_n + hop_n) for name, way in ways.items()})
    ends = iter(range(settled_n + 2 * hop_n, n + 1, hop_n))
    for _ in range(run.rounds):
        yield {
            name: time_in_turn(ways[OURS], ways[name], [next(ends) for _ in range(hops)])
            for name in (ONE_STEP, ALL_STEPS, LOOP)
        }


class Windows:
    """Ways that compute a window anew, each (end sample) → (channels, bands) of the newest step."""

    def __init__(self, samples: FloatArray, rate_hz: int, order: int) -> None:
        from scipy import signal

        from bci_m2s.features.de import SEED_BANDS_HZ

        self._samples, self._rate_hz = samples, rate_hz
        bands = SEED_BANDS_HZ.values()
        self._sections = [
            signal.butter(order, band, "bandpass", fs=rate_hz, output="sos") for band in bands
        ]
        self._unit_states = [signal.sosfilt_zi(sections) for sections in self._sections]
        self._polynomials = [signal.butter(order, band, "bandpass", fs=rate_hz) for band in bands]

    def one_step(self, end: int) -> FloatArray:
        """Second-order sections over the newest step."""
        return self._vectorised(end, 1)[:, -1]

    def all_steps(self, end: int) -> FloatArray:
        """Second-order sections over every step of the window; the newest step is returned."""
        return self._vectorised(end, STEPS)[:, -1]

    def _vectorised(self, end: int, steps: int) -> FloatArray:
        import numpy as np
        from scipy import signal

        n = round(STEP_S * self._rate_hz)
        window = np.ascontiguousarray(self._samples[end - steps * n : end].T)  # (channels, n)
        found = []
        for sections, unit_state in zip(self._sections, self._unit_states, strict=True):
            state = unit_state[:, None, :] * window[None, :, :1]
            filtered, _ = signal.sosfilt(sections, window, axis=-1, zi=state)
            found.append(entropy(filtered.reshape(len(window), steps, n).var(axis=-1)))
        return np.stack(found, axis=-1)  # (channels, steps, bands)

    def loop(self, end: int) -> FloatArray:
        """One ``lfilter`` for each channel and band over the newest step."""
        import numpy as np
        from scipy import signal

        window = self._samples[end - round(STEP_S * self._rate_hz) : end].T
        found = np.empty((len(window), len(self._polynomials)))
        for channel, values in enumerate(window):
            centred = values - values[0]  # a band-pass that starts settled on the first sample
            for band, (b, a) in enumerate(self._polynomials):
                found[channel, band] = entropy(np.var(signal.lfilter(b, a, centred)))
        return found


def entropy(variance: FloatArray) -> FloatArray:
    """Differential entropy of a Gaussian signal, nats."""
    import numpy as np

    return 0.5 * np.log(2 * np.pi * np.e * variance)


def make_ways(samples: FloatArray, rate_hz: int, order: int) -> dict[str, Way]:
    """The four ways. samples : (n, channels), µV. Ours must be called hop after hop."""
    import numpy as np

    from bci_m2s.features.de import DifferentialEntropy

    n_channels, hop_n = samples.shape[1], round(HOP_S * rate_hz)
    labels = tuple(f"E{number + 1}" for number in range(n_channels))
    extractor = DifferentialEntropy({"order": order}, labels, float(rate_hz), STEP_S, HOP_S)
    none_missing = np.zeros((hop_n, n_channels), dtype=bool)

    def ours(end: int) -> FloatArray:
        step = extractor.push(samples[end - hop_n : end], none_missing)
        return np.full((n_channels, 1), np.nan) if step is None else step.values.reshape(n_channels, -1)

    for end in range(hop_n, round(SETTLE_S * rate_hz) + 1, hop_n):
        ours(end)
    windows = Windows(samples, rate_hz, order)
    return {OURS: ours, ONE_STEP: windows.one_step, ALL_STEPS: windows.all_steps, LOOP: windows.loop}


def refuse_disagreement(run: Run, values: dict[str, FloatArray]) -> None:
    """Stop when the ways do not compute the same thing: their times would mean nothing."""
    for one, other, limit in (
        (ONE_STEP, LOOP, SAME_FORMULA_NATS),
        (OURS, ALL_STEPS, SAME_SIGNAL_NATS),
    ):
        difference = float(abs(values[one] - values[other]).max())
        if not difference <= limit:
            raise BciM2sError(
                f"features: {one} and {other} disagree by {difference:.2g} nats: nothing was timed"
            )
        run.note(f"largest difference, {one} and {other}: {difference:.2g} nats (at most {limit:g})")


def time_in_turn(one: Way, other: Way, ends: Sequence[int]) -> tuple[float, float]:
    """Median milliseconds of two ways over the end samples; who goes first changes every time."""
    from statistics import median

    spent: tuple[list[float], list[float]] = ([], [])
    for number, end in enumerate(ends):
        for which in (0, 1) if number % 2 else (1, 0):
            begun_s = time.perf_counter()
            (one, other)[which](end)
            spent[which].append(time.perf_counter() - begun_s)
    return 1e3 * median(spent[0]), 1e3 * median(spent[1])


BENCHMARK = Benchmark(
    name="features",
    question="How long does a hop of differential entropy take, against ways that recompute the window?",
    minutes=0.5,
    figures=(
        Figure(LOOP, "ms", "a loop over channels and bands, 1 s", at_least(20), is_speedup=True),
        Figure(ONE_STEP, "ms", "scipy, all channels at once, 1 s", at_least(5), is_speedup=True),
        Figure(ALL_STEPS, "ms", "scipy, all channels at once, 5 s", is_speedup=True),
    ),
    measure=measure,
    settings={"channels": 62, "rate": 1000, "order": 3, "hops": 40},
)

if __name__ == "__main__":
    from bci_m2s.commands.bench.script import main

    main(BENCHMARK)
