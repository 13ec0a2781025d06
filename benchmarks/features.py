"""Time of one hop of differential entropy: the live extractor against ways that recompute a window.

Four ways compute the DE of each 250-ms hop, 62 channels at 1 kHz and five bands, in one process and on
the same samples, with equal Butterworth filters and no notch:

- ``stateful``: ``DifferentialEntropy.push`` takes the newest hop (filter state and sums are carried);
- ``window 1 s``: second-order sections, all channels at once, over the newest 1-s step;
- ``window 5 s``: the same over all five steps of a window;
- ``plain loop``: ``lfilter`` with (b, a) for each channel and band over the newest 1-s step, the way in
  which offline toolboxes such as torcheeg do it.

Filters are designed beforehand. Before anything is timed, the ways must agree. Then each of the others
is timed in turn with the stateful one, hop by hop.

    python benchmarks/features.py
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # read when numpy is loaded

import numpy as np  # noqa: E402
from machine import describe_machine, load_now, load_warning  # noqa: E402
from scipy import signal  # noqa: E402

from bci_m2s.features.de import SEED_BANDS_HZ, DifferentialEntropy  # noqa: E402
from bci_m2s.types import FloatArray  # noqa: E402

HOP_S, STEP_S, STEPS = 0.25, 1.0, 5
SETTLE_S = 10.0  # pushed before anything is compared or timed
SAME_FORMULA_NATS = 0.01  # window 1 s and plain loop: the (b, a) form loses digits at 1–4 Hz
SAME_SIGNAL_NATS = 0.01  # stateful and window 5 s: the window's filters still answer to its start
SHOWN = ("stateful", "window 1 s", "window 5 s", "plain loop")

Way = Callable[[int], FloatArray]


def entropy(variance: FloatArray) -> FloatArray:
    """Differential entropy of a Gaussian signal, nats."""
    return 0.5 * np.log(2 * np.pi * np.e * variance)


class Windows:
    """Ways that compute a window anew, each (end sample) → (channels, bands) of the newest step."""

    def __init__(self, samples: FloatArray, rate_hz: int, order: int) -> None:
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
        window = self._samples[end - round(STEP_S * self._rate_hz) : end].T
        found = np.empty((len(window), len(self._polynomials)))
        for channel, values in enumerate(window):
            centred = values - values[0]  # a band-pass that starts settled on the first sample
            for band, (b, a) in enumerate(self._polynomials):
                found[channel, band] = entropy(np.var(signal.lfilter(b, a, centred)))
        return found


def make_ways(samples: FloatArray, rate_hz: int, order: int) -> dict[str, Way]:
    """The four ways. samples : (n, channels), µV. The stateful one must be called hop after hop."""
    n_channels, hop_n = samples.shape[1], round(HOP_S * rate_hz)
    labels = tuple(f"E{number + 1}" for number in range(n_channels))
    extractor = DifferentialEntropy({"order": order}, labels, float(rate_hz), STEP_S, HOP_S)
    none_missing = np.zeros((hop_n, n_channels), dtype=bool)

    def stateful(end: int) -> FloatArray:
        step = extractor.push(samples[end - hop_n : end], none_missing)
        values = np.full((n_channels, len(SEED_BANDS_HZ)), np.nan)
        return values if step is None else step.values.reshape(n_channels, -1)

    for end in range(hop_n, round(SETTLE_S * rate_hz) + 1, hop_n):
        stateful(end)
    windows = Windows(samples, rate_hz, order)
    return dict(zip(SHOWN, (stateful, windows.one_step, windows.all_steps, windows.loop), strict=True))


def refuse_disagreement(values: dict[str, FloatArray]) -> None:
    """Stop when the ways do not compute the same thing: their times would mean nothing."""
    for one, other, limit in (
        ("window 1 s", "plain loop", SAME_FORMULA_NATS),
        ("stateful", "window 5 s", SAME_SIGNAL_NATS),
    ):
        difference = float(np.abs(values[one] - values[other]).max())
        print(f"largest difference, {one} and {other}: {difference:.2g} nats (at most {limit:g})")
        if not difference <= limit:
            sys.exit(f"{one} and {other} disagree: nothing was timed")


def time_in_turn(one: Way, other: Way, ends: Sequence[int]) -> tuple[FloatArray, FloatArray]:
    """Seconds of two ways at each end sample, (ends,) each; who goes first changes every time."""
    spent: tuple[list[float], list[float]] = ([], [])
    for number, end in enumerate(ends):
        for which in (0, 1) if number % 2 else (1, 0):
            begun_s = time.perf_counter()
            (one, other)[which](end)
            spent[which].append(time.perf_counter() - begun_s)
    return np.array(spent[0]), np.array(spent[1])


def print_table(ways: dict[str, Way], ends: Sequence[int]) -> None:
    """Time every way in turn with the stateful one; the ratio is the median of the single hops' ratios."""
    head = f"{'DE of one hop':<13}{'median ms':>10}{'p95 ms':>8}"
    print(f"\n{head}{'stateful ms':>12}{'ratio':>7}{'quartiles':>12}")
    for name in SHOWN[1:]:
        stateful_s, spent_s = time_in_turn(ways["stateful"], ways[name], ends)
        median_ms, p95_ms = np.percentile(spent_s, [50, 95]) * 1e3
        low, ratio, high = np.percentile(spent_s / stateful_s, [25, 50, 75])
        own_ms = float(np.median(stateful_s)) * 1e3
        spread = f"{low:.1f}–{high:.1f}"
        print(f"{name:<13}{median_ms:>10.2f}{p95_ms:>8.2f}{own_ms:>12.2f}{ratio:>7.1f}{spread:>12}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Check, time and print."""
    parser = argparse.ArgumentParser(description="Time one hop of DE features, ours and three others.")
    parser.add_argument("--channels", type=int, default=62)
    parser.add_argument("--rate", type=int, default=1000, help="Hz")
    parser.add_argument("--order", type=int, default=3, help="Butterworth order of every way")
    parser.add_argument("--hops", type=int, default=200, help="hops timed")
    options = parser.parse_args(arguments)
    if options.rate % 4:
        parser.error(f"--rate: got {options.rate}, expected a multiple of 4 (whole samples in {HOP_S:g} s)")
    hop_n = round(HOP_S * options.rate)
    settled_n = round(SETTLE_S * options.rate)
    rng = np.random.default_rng(1)
    samples = rng.normal(scale=20.0, size=(settled_n + (options.hops + 1) * hop_n, options.channels))
    ways = make_ways(samples, options.rate, options.order)
    print(describe_machine())
    print(
        f"{options.channels} channels, {options.rate} Hz, {len(SEED_BANDS_HZ)} bands, "
        f"order {options.order}, no notch, hop {HOP_S:g} s, {options.hops} hops, load {load_now():.1f}"
    )
    refuse_disagreement({name: way(settled_n + hop_n) for name, way in ways.items()})
    ends = range(settled_n + 2 * hop_n, len(samples) + 1, hop_n)
    print_table(ways, ends)
    if warning := load_warning(load_now()):
        print(f"\n{warning}")


if __name__ == "__main__":
    main()
