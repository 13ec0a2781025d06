"""Runs a cascade of second-order sections over many channels: compiled where possible, else by scipy.

Both give the same bits. ``sections.c`` is compiled when the package is installed (``hatch_build.py``) and
takes a fourth of scipy's time for 62 channels, since it filters several side by side. Without a compiler,
or where scipy's own build rounds in another way, scipy's loop is used.
"""

from __future__ import annotations

import ctypes
import platform
import zlib
from collections.abc import Callable
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

Loop = Callable[[FloatArray, FloatArray, FloatArray], FloatArray]


def run_sections(sections: FloatArray, samples: FloatArray, state: FloatArray) -> FloatArray:
    """Filter samples by the fastest loop that there is.

    sections : (sections, 6), C order; samples : (channels, n), in any order; state : (channels, sections,
    2), C order, moves on; all float64. Returns (channels, n), a new array.
    """
    return _loop()(sections, samples, state)  # found on use: scipy's loop takes a second to import


def by_scipy(sections: FloatArray, samples: FloatArray, state: FloatArray) -> FloatArray:
    """See ``run_sections``."""
    filtered, after = scipy.signal.sosfilt(sections, samples, axis=-1, zi=np.moveaxis(state, 0, 1))
    state[:] = np.moveaxis(after, 0, 1)
    return np.ascontiguousarray(filtered)


def scipys_own() -> Loop | None:
    """The loop below ``signal.sosfilt``; None where it does not do the same.

    Checking and reordering its arguments costs ``sosfilt`` as much time as filtering 62 channels x
    0.25 s. The loop itself is private to scipy, so it is used only where it proves to do the same.
    """
    try:
        from scipy.signal._sosfilt import _sosfilt as in_place
    except ImportError:
        return None

    def run(sections: FloatArray, samples: FloatArray, state: FloatArray) -> FloatArray:
        filtered = np.array(samples, dtype=np.float64, order="C")
        in_place(sections, filtered, state)
        return filtered

    return run if same_bits(run) else None


def compiled(library: Path = LIBRARY) -> Loop | None:
    """The compiled loop; None where there is none, or not of this source."""
    try:
        code = ctypes.CDLL(str(library))
        if code.source() & 0xFFFFFFFF != zlib.crc32(SOURCE.read_bytes()):
            return None
    except (OSError, AttributeError):
        return None
    run_c, pointer, step = code.filter, ctypes.c_void_p, ctypes.c_ssize_t
    run_c.argtypes = [
        pointer,
        ctypes.c_int,
        pointer,
        step,
        step,
        ctypes.c_int,
        ctypes.c_int,
        pointer,
        pointer,
    ]
    run_c.restype = None

    def run(sections: FloatArray, samples: FloatArray, state: FloatArray) -> FloatArray:
        if len(sections) > MOST_SECTIONS:
            return by_scipy(sections, samples, state)
        channels, n = samples.shape
        filtered = np.empty((channels, n))
        steps = (stride // 8 for stride in samples.strides)
        sizes = (*steps, channels, n)
        addresses = (array.ctypes.data for array in (state, filtered))
        run_c(sections.ctypes.data, len(sections), samples.ctypes.data, *sizes, *addresses)
        return filtered

    if platform.machine().lower() not in WITHOUT_FUSED and not same_bits(run):
        return None
    return run


def same_bits(loop: Loop) -> bool:
    """Whether a loop does what ``by_scipy`` does, bit for bit, tried on a little noise."""
    rng = np.random.default_rng(0)
    sections = rng.normal(scale=0.5, size=(3, 6))
    sections[:, 3] = 1.0
    samples = rng.normal(size=(3, 40))
    states = [np.ones((3, 3, 2)) for _ in range(2)]
    try:
        ours, theirs = (run(sections, samples, z) for run, z in zip((by_scipy, loop), states, strict=True))
    except (TypeError, ValueError):
        return False
    return np.array_equal(ours, theirs) and np.array_equal(states[0], states[1])


@cache
def _loop() -> Loop:
    return compiled() or scipys_own() or by_scipy
