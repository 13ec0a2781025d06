"""The EEG: patches of cortex, artefacts, drift and amplifier noise, mixed to the channels.

Samples are made in blocks of one second that can be had in any order. Within a block the log
amplitudes of all patches and bands follow the state and the nuisances linearly between knots an eighth
of a second apart; blocks share their end knots, so nothing jumps at a seam.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np
import scipy.fft

from bci_m2s.simulator.artefacts import EyeArtefacts, Mains, Muscle
from bci_m2s.simulator.cortex import BAND_EDGES_HZ, N_NUISANCE, Cortex
from bci_m2s.simulator.gaze import Eyes
from bci_m2s.simulator.noise import ColouredNoise, Float32Array, Seeds, SlowNoise, Use
from bci_m2s.simulator.state import Schedule
from bci_m2s.types import FloatArray

KNOTS = 8  # parts of a block between which amplitudes are interpolated
NUISANCE_SPACING_S = 5.0
DRIFT_SPACING_S = 90.0
DRIFT_GAIN = 0.7  # of the minutes' drift against the seconds' nuisance
CONTACT_UV = 6.0  # slow potentials of an electrode on the skin
CONTACT_SPACING_S = 6.0
AMPLIFIER_UV = 0.35  # white noise of a channel, root mean square in 100 Hz
MOST_MULTIPLICATIONS = 2**17
GAIN_SPREAD = 0.03  # of a channel's gain, by its contact in this session


class Electroencephalogram:
    """Raw EEG of one subject in one session, µV, against a distant reference."""

    def __init__(
        self, schedule: Schedule, eyes: Eyes, seeds: Seeds, positions: FloatArray, rate_hz: float
    ) -> None:
        settings = schedule.settings
        self.rate_hz = rate_hz
        self.block = round(rate_hz)  # samples made at a time
        self.cortex = Cortex(positions, seeds, settings.effect)
        self._schedule, self._seeds = schedule, seeds
        frequencies = scipy.fft.rfftfreq(2 * self.block, 1.0 / rate_hz)
        edges = np.searchsorted(frequencies, BAND_EDGES_HZ)
        bands = [slice(a, b) for a, b in pairwise(edges)]
        density = self.cortex.density(frequencies)
        self._activity = ColouredNoise(seeds, Use.CORTEX, density, bands, self.block, rate_hz)
        self._nuisance = SlowNoise(seeds, Use.NUISANCE, NUISANCE_SPACING_S, (N_NUISANCE,))
        self._drift = SlowNoise(seeds, Use.DRIFT, DRIFT_SPACING_S, (N_NUISANCE,))
        n_channels = len(positions)
        self._contact = SlowNoise(seeds, Use.ELECTRODE, CONTACT_SPACING_S, (n_channels,))
        self._eyes = EyeArtefacts(self.cortex.positions, eyes)
        self._muscle = Muscle(self.cortex.positions, seeds, self.block, rate_hz)
        self._mains = Mains(n_channels, seeds, settings.line_hz, rate_hz)
        self._mixing = self._mix(settings.artefacts)
        self._white_uv = np.float32(AMPLIFIER_UV * np.sqrt(rate_hz / 200.0))
        self._weights = _interpolation(self.block)
        self.make_block = lru_cache(maxsize=4)(self._make_block)

    def _mix(self, artefacts: float) -> Float32Array:
        """Return the weights of all signals in all channels: (signals, channels)."""
        rng = self._seeds.rng(Use.ELECTRODE, part=1)
        gain = np.exp(GAIN_SPREAD * rng.standard_normal(len(self.cortex.positions)))
        fields = [
            self.cortex.lead_field,
            artefacts * self._eyes.field,
            artefacts * self._muscle.field,
            self._mains.field,
        ]
        return np.ascontiguousarray((gain[:, None] * np.hstack(fields)).T, dtype=np.float32)

    def _make_block(self, index: int) -> Float32Array:
        """Return block `index` from 0 up: (block, channels), µV."""
        times = (index * self.block + np.arange(self.block)) / self.rate_hz
        knots = (index + np.arange(KNOTS + 1) / KNOTS) * self.block / self.rate_hz
        signals = np.vstack(
            [
                self._patches(index, knots),
                self._eyes.signals(times),
                self._muscle.signals(index, times, knots, self._weights),
                self._mains.signals(times, knots, self._weights),
            ]
        ).astype(np.float32)
        rng = self._seeds.rng(Use.AMPLIFIER, index)
        out = self._white_uv * rng.standard_normal((self.block, self._mixing.shape[1]), dtype=np.float32)
        out += _product(signals.T, self._mixing)
        contact = (CONTACT_UV * self._contact(knots)).astype(np.float32)
        out += _product(self._weights.T.astype(np.float32), contact)
        return out

    def _patches(self, index: int, knots: FloatArray) -> Float32Array:
        """Return the patches' activity: (patches, block)."""
        cortex = self.cortex
        nuisance = self._nuisance(knots) + DRIFT_GAIN * self._drift(knots)
        log_gain = cortex.state_gain @ self._schedule.latent(knots).T
        log_gain += cortex.nuisance_gain @ nuisance.T + cortex.offset[..., None]
        gain = np.exp(log_gain).astype(np.float32).reshape(-1, len(knots))
        activity = self._activity.block(index)
        activity *= _product(gain, self._weights.astype(np.float32)).reshape(activity.shape)
        summed: Float32Array = activity.sum(axis=0)
        return summed


def _product(left: Float32Array, right: Float32Array) -> Float32Array:
    """Return ``left @ right``, with the same bits whatever the number of BLAS threads.

    OpenBLAS divides a product of more than 2**18 multiplications among threads, and sums in another
    order for each number of them; slices stay below that.
    """
    rows = max(1, MOST_MULTIPLICATIONS // right.size)
    out = np.empty((len(left), right.shape[1]), dtype=np.float32)
    for start in range(0, len(left), rows):
        np.matmul(left[start : start + rows], right, out=out[start : start + rows])
    return out


def _interpolation(block: int) -> FloatArray:
    """Return weights that carry values at the knots to the samples of a block: (KNOTS + 1, block)."""
    position = KNOTS * np.arange(block) / block
    return np.maximum(0.0, 1.0 - np.abs(position - np.arange(KNOTS + 1)[:, None]))
