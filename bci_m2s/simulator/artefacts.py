"""What an EEG amplifier picks up besides the brain: lids, eyes, muscle and mains.

docs/simulator.md has the findings behind each. Blinks and eye movement are those that the eye tracker sees.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import scipy.fft

from bci_m2s.simulator.cortex import dipole_field
from bci_m2s.simulator.gaze import Eyes
from bci_m2s.simulator.noise import ColouredNoise, Seeds, SlowNoise, Use
from bci_m2s.types import FloatArray

LEFT_EYE, RIGHT_EYE = (-0.23, 0.66, -0.26), (0.23, 0.66, -0.26)
BLINK_UV = 110.0  # at Fpz
EYE_UV_PER_DEG = 2.0  # at Fpz for a vertical, at F7 and F8 for a horizontal movement
BLINK_WIDTH = 2.0  # length of the potential, in units of the time that the pupil is covered
REFERENCE_PLACE = np.array([[0.0, 0.97, 0.24]])  # about Fpz
SIDE_PLACE = np.array([[0.80, 0.55, -0.10]])  # about F8

MUSCLES = ((-0.93, 0.25, -0.25), (0.93, 0.25, -0.25), (-0.40, 0.90, 0.10), (0.40, 0.90, 0.10))
MUSCLE_RADIUS = 0.88
MUSCLE_UV = 0.6  # lasting part over the muscle, root mean square
BURST_UV = (5.0, 20.0)
BURST_S = (0.2, 1.5)
BURST_SLOT_S = 10.0  # one burst at most in each, of each muscle
BURST_CHANCE = 0.25
LEVEL_SPACING_S = 12.0

LINE_UV = 0.6


class EyeArtefacts:
    """Blinks and eye movement: three signals, and how each channel sees them.

    field : (channels, 3) µV for a blink of strength 1 and for one degree to the right and up
    """

    def __init__(self, positions: FloatArray, eyes: Eyes) -> None:
        self._eyes = eyes
        up = _eye_field(positions, (0.0, 0.0, 1.0)) / _eye_field(REFERENCE_PLACE, (0.0, 0.0, 1.0))
        right = _eye_field(positions, (1.0, 0.0, 0.0)) / _eye_field(SIDE_PLACE, (1.0, 0.0, 0.0))
        self.field = np.stack([BLINK_UV * up, EYE_UV_PER_DEG * right, EYE_UV_PER_DEG * up], axis=1)

    def signals(self, times: FloatArray) -> FloatArray:
        """Return blink strength, degrees right and degrees up at sorted `times`: (3, n)."""
        out = np.zeros((3, len(times)))
        for blink in self._eyes.blinks(times[0] - 1.0, times[-1] + 0.3):
            width_s = BLINK_WIDTH * blink.duration_s
            start_s = blink.start_s - 0.2 * width_s
            out[0] += blink.strength * _blink_shape((times - start_s) / width_s)
        out[1:] = self._eyes.gaze(times).T
        return out


def _eye_field(positions: FloatArray, direction: tuple[float, float, float]) -> FloatArray:
    eyes = np.array([LEFT_EYE, RIGHT_EYE])
    field: FloatArray = dipole_field(positions, eyes, np.array([direction, direction])).sum(axis=1)
    return field


def _blink_shape(u: FloatArray) -> FloatArray:
    """Return a smooth pulse from 0 at u = 0 over 1 at u = 1/3 to 0 at u = 1."""
    rise = 0.5 - 0.5 * np.cos(3.0 * np.pi * np.clip(u, 0.0, 1.0 / 3.0))
    fall = 0.5 + 0.5 * np.cos(1.5 * np.pi * (np.clip(u, 1.0 / 3.0, 1.0) - 1.0 / 3.0))
    return rise * fall


class Muscle:
    """Four muscles: their signals, and how each channel sees them. field : (channels, 4)."""

    def __init__(self, positions: FloatArray, seeds: Seeds, block: int, rate_hz: float) -> None:
        sources = MUSCLE_RADIUS * np.array(MUSCLES) / np.linalg.norm(MUSCLES, axis=1, keepdims=True)
        self.field = np.clip(dipole_field(positions, sources, np.array(MUSCLES)), -1.0, 1.0)
        self._noise = ColouredNoise(
            seeds, Use.MUSCLE, _muscle_density(block, rate_hz), [slice(None)], block, rate_hz
        )
        self._level = SlowNoise(seeds, Use.MUSCLE, LEVEL_SPACING_S, (4,), part=1)
        self._seeds = seeds
        self._burst = lru_cache(maxsize=8)(self._draw_bursts)

    def signals(self, index: int, times: FloatArray, knots: FloatArray, weights: FloatArray) -> FloatArray:
        """Return the muscles' activity in block `index`, µV: (4, n).

        knots : (k,) s, coarse times in the block; weights : (k, n) carry values there to `times`
        """
        lasting = (MUSCLE_UV * np.exp(0.3 * self._level(knots))).T @ weights
        return self._noise.block(index)[0] * (lasting + self._envelope(times))

    def _envelope(self, times: FloatArray) -> FloatArray:
        out = np.zeros((4, len(times)))
        first, last = times[0] - BURST_S[1], times[-1]
        for slot in range(max(0, int(first // BURST_SLOT_S)), int(last // BURST_SLOT_S) + 1):
            for muscle, start_s, length_s, size_uv in self._burst(slot):
                u = np.clip((times - start_s) / length_s, 0.0, 1.0)
                out[muscle] += size_uv * np.sin(np.pi * u) ** 2
        return out

    def _draw_bursts(self, slot: int) -> list[tuple[int, float, float, float]]:
        rng = self._seeds.rng(Use.MUSCLE_BURST, slot)
        chosen = np.flatnonzero(rng.random(4) < BURST_CHANCE)
        start_s = BURST_SLOT_S * slot + rng.uniform(0.0, BURST_SLOT_S, 4)
        length_s, size_uv = rng.uniform(*BURST_S, 4), rng.uniform(*BURST_UV, 4)
        return [(int(m), float(start_s[m]), float(length_s[m]), float(size_uv[m])) for m in chosen]


def _muscle_density(block: int, rate_hz: float) -> FloatArray:
    """Return the muscles' density, scaled to a variance of 1 up to 500 Hz: (4, bins)."""
    frequencies = scipy.fft.rfftfreq(2 * block, 1.0 / rate_hz)
    fine = np.arange(0.5, 500.0, 0.5)
    density = _muscle_shape(frequencies) / (np.sum(_muscle_shape(fine)) * 0.5)
    return np.tile(density, (4, 1))


def _muscle_shape(frequencies: FloatArray) -> FloatArray:
    """Rise to about 30 Hz, flat, fall beyond 100 Hz."""
    rise = (frequencies / 30.0) ** 4
    return rise / (1.0 + rise) / (1.0 + (frequencies / 100.0) ** 2)


class Mains:
    """Line noise: sines, cosines, and how each channel sees them. field : (channels, signals)."""

    def __init__(self, n_channels: int, seeds: Seeds, line_hz: float, rate_hz: float) -> None:
        self._frequencies = [f for f in (line_hz, 3.0 * line_hz) if 0.0 < f < 0.5 * rate_hz]
        rng = seeds.rng(Use.LINE)
        size = LINE_UV * np.exp(0.4 * rng.standard_normal((n_channels, len(self._frequencies))))
        size *= np.array([1.0, 0.3])[: len(self._frequencies)]
        phase = rng.uniform(-0.6, 0.6, size.shape) + rng.uniform(0.0, 2.0 * math.pi)
        self.field = math.sqrt(2.0) * np.hstack([size * np.cos(phase), size * np.sin(phase)])
        self._swell = SlowNoise(seeds, Use.LINE, 20.0, part=1)

    def signals(self, times: FloatArray, knots: FloatArray, weights: FloatArray) -> FloatArray:
        """Return the unit sines of all harmonics, then the cosines: (signals, n)."""
        angles = 2.0 * math.pi * np.outer(self._frequencies, times)
        swell = np.exp(0.15 * self._swell(knots)) @ weights
        return swell * np.vstack([np.sin(angles), np.cos(angles)])
