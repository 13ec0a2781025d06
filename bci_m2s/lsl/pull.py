"""Pulls numeric chunks from an inlet with everything prepared that does not change between two pulls.

``pylsl.StreamInlet.pull_chunk`` makes its buffers and arguments anew for each of its two calls of liblsl,
which takes as long as liblsl itself where senders push every few milliseconds. Here both calls keep theirs.
They go to the same functions of liblsl, as the inlet names them.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pylsl.util import handle_error

from bci_m2s.types import FloatArray


class ChunkPull:
    """Blocks until the first sample is there, then takes all, up to a limit.

    Parameters
    ----------
    inlet : of numbers, a ``pylsl.StreamInlet``
    most : samples of one chunk
    """

    def __init__(self, inlet: Any, most: int) -> None:
        n_channels = inlet.channel_count
        self._samples = np.empty((most, n_channels), inlet.np_dtype)
        self._times = np.empty(most)
        self._problem = ctypes.c_int()
        self._call, self._n_channels = inlet.do_pull_chunk, n_channels
        self._inlet = inlet  # it ends liblsl's when nobody has it any more, and the arguments are of that
        self._wait_s = ctypes.c_double()
        self._first = self._arguments(inlet, 0, 1, self._wait_s)
        self._rest = self._arguments(inlet, 1, most - 1, ctypes.c_double(0.0))

    def _arguments(self, inlet: Any, begin: int, n: int, wait_s: ctypes.c_double) -> tuple[Any, ...]:
        """Of ``lsl_pull_chunk_*``: `n` samples into the buffers from place `begin` on."""
        samples, times = self._samples[begin:], self._times[begin:]
        into = ctypes.c_void_p(samples.ctypes.data), ctypes.c_void_p(times.ctypes.data)
        sizes = ctypes.c_size_t(n * self._n_channels), ctypes.c_size_t(n)
        return inlet.obj, *into, *sizes, wait_s, ctypes.byref(self._problem)

    def __call__(self, wait_s: float) -> tuple[FloatArray, NDArray[Any]]:
        """Stamps (n,) and samples (n, channels); the samples are a view that the next pull overwrites.

        wait_s : longest wait for the first sample. Raises what ``pull_chunk`` does: pylsl's LostError when
        the stream cannot be found again.
        """
        self._wait_s.value = wait_s
        n = self._pulled(self._first)
        if n:
            n += self._pulled(self._rest)
        return self._times[:n].copy(), self._samples[:n]

    def _pulled(self, arguments: tuple[Any, ...]) -> int:
        n_values: int = self._call(*arguments)
        if self._problem.value:
            handle_error(self._problem)
        return n_values // self._n_channels
