"""Runs cascades of second-order sections over many channels: compiled where possible, else by scipy.

Both give the same bits. ``sections.c`` is compiled when the package is installed (``hatch_build.py``) and
takes a fourth of scipy's time for 62 channels, since it filters several side by side. Without a compiler,
or where scipy's own build rounds in another way, scipy's loop is used.
"""

from __future__ import annotations

import ctypes
import platform
import zlib
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import scipy

from bci_m2s.types import FloatArray

SOURCE = Path(__file__).with_suffix(".c")
LIBRARY = SOURCE.with_name("libsections.so")
MOST_SECTIONS = 32  # as in the source
# Compilers for these have no fused multiply-add unless asked, so every build of scipy rounds as ours does.
WITHOUT_FUSED = ("x86_64", "amd64")


class Cascades:
    """Cascades that run side by side over the same samples.

    each : (sections, 6) of each
    n_sections : of all together; a state is (channels, n_sections, 2), cascade after cascade
    """

    def __init__(self, each: Sequence[FloatArray]) -> None:
        self.each = [np.ascontiguousarray(sections, dtype=np.float64) for sections in each]
        self.coefficients = np.concatenate(self.each)
        self.n_sections = len(self.coefficients)
        self.counts = np.array([len(sections) for sections in self.each], dtype=np.intc)
        # to the compiled loop: asking an array where it lies takes as long as filtering some samples
        self.addresses = self.counts.ctypes.data, self.coefficients.ctypes.data

    def parts(self, state: FloatArray) -> list[FloatArray]:
        """Each cascade's own part of a state, as views."""
        return np.split(state, np.cumsum(self.counts)[:-1], axis=1)


Loop = Callable[[Cascades, FloatArray, FloatArray], FloatArray]


def run_sections(cascades: Cascades, samples: FloatArray, state: FloatArray) -> FloatArray:
    """Filter samples by the fastest loop that there is.

    samples : (channels, n), in any order; state : (channels, n_sections, 2), C order, moves on; both
    float64. Returns (cascades, channels, n), a new array.
    """
    return _loop()(cascades, samples, state)  # found on use: scipy's loop takes a second to import


def by_scipy(cascades: Cascades, samples: FloatArray, state: FloatArray) -> FloatArray:
    """See ``run_sections``."""
    results = []
    for sections, part in zip(cascades.each, cascades.parts(state), strict=True):
        filtered, after = scipy.signal.sosfilt(sections, samples, axis=-1, zi=np.moveaxis(part, 0, 1))
        part[:] = np.moveaxis(after, 0, 1)
        results.append(filtered)
    return np.stack(results)


def scipys_own() -> Loop | None:
    """The loop below ``signal.sosfilt``; None where it does not do the same.

    Checking and reordering its arguments costs ``sosfilt`` as much time as filtering 62 channels x
    0.25 s. The loop itself is private to scipy, so it is used only where it proves to do the same.
    """
    try:
        from scipy.signal._sosfilt import _sosfilt as in_place
    except ImportError:
        return None

    def run(cascades: Cascades, samples: FloatArray, state: FloatArray) -> FloatArray:
        results = np.empty((len(cascades.each), *samples.shape))
        for sections, part, filtered in zip(cascades.each, cascades.parts(state), results, strict=True):
            filtered[:], after = samples, part.copy()
            in_place(sections, filtered, after)
            part[:] = after
        return results

    return run if same_bits(run) else None


def compiled(library: Path = LIBRARY) -> Loop | None:
    """The compiled loop; None where there is none, or not of this source."""
    try:
        code = ctypes.CDLL(str(library))
        if code.source() & 0xFFFFFFFF != zlib.crc32(SOURCE.read_bytes()):
            return None
    except (OSError, AttributeError):
        return None
    run_c, pointer, number, step = code.filter, ctypes.c_void_p, ctypes.c_int, ctypes.c_ssize_t
    run_c.argtypes = [number, *[pointer] * 3, *[step] * 2, *[number] * 2, *[pointer] * 2]
    run_c.restype = None

    def run(cascades: Cascades, samples: FloatArray, state: FloatArray) -> FloatArray:
        n_cascades, (channels, n) = len(cascades.each), samples.shape
        if cascades.n_sections > MOST_SECTIONS and cascades.counts.max() > MOST_SECTIONS:
            return by_scipy(cascades, samples, state)
        filtered = np.empty((n_cascades, channels, n))
        by_channel, by_sample = samples.strides
        if (by_channel | by_sample) % 8:  # a column of a table whose rows are no whole number of doubles
            samples = np.ascontiguousarray(samples)
            by_channel, by_sample = samples.strides
        run_c(
            *(n_cascades, *cascades.addresses, samples.ctypes.data, by_channel // 8, by_sample // 8),
            *(channels, n, state.ctypes.data, filtered.ctypes.data),
        )
        return filtered

    if platform.machine().lower() not in WITHOUT_FUSED and not same_bits(run):
        return None
    return run


def same_bits(loop: Loop) -> bool:
    """Whether a loop does what ``by_scipy`` does, bit for bit, tried on a little noise."""
    rng = np.random.default_rng(0)
    sections = rng.normal(scale=0.5, size=(4, 6))
    sections[:, 3] = 1.0
    cascades, samples = Cascades([sections[:3], sections[3:]]), rng.normal(size=(3, 40))
    states = [np.ones((3, 4, 2)) for _ in range(2)]
    try:
        ours, theirs = (run(cascades, samples, z) for run, z in zip((by_scipy, loop), states, strict=True))
    except (TypeError, ValueError):
        return False
    return np.array_equal(ours, theirs) and np.array_equal(states[0], states[1])


@cache
def _loop() -> Loop:
    return compiled() or scipys_own() or by_scipy
