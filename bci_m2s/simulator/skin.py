"""Skin conductance: a level that drifts, and responses that come more often, and larger, with arousal.

docs/simulator.md has the findings behind each part.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from bci_m2s.simulator.noise import Float32Array, Seeds, SlowNoise, Use
from bci_m2s.simulator.state import Schedule

LABELS, UNITS = ("GSR",), ("microsiemens",)

LEVEL_US, LEVEL_SPREAD = 5.0, 0.4  # of people; the spread is of the logarithm
DRIFT, DRIFT_SPACING_S = 0.06, 40.0  # share of the level
NOISE_US = 0.004
PER_MIN, PER_MIN_OF_AROUSAL = 9.0, 14.0  # responses; the second at an arousal of 1
MOST_PER_MIN = 40.0
HEIGHT_US, HEIGHT_SPREAD, HEIGHT_OF_AROUSAL = 0.25, 0.5, 0.6
LATENCY_S, RISE_S, RECOVERY_S = 1.5, 0.75, 3.0
LONGEST_S = 20.0  # after that nothing is left of a response
SLOT_S = 1.0  # has one response at most
PEAK = (RISE_S / RECOVERY_S) ** (RISE_S / (RECOVERY_S - RISE_S)) * (1.0 - RISE_S / RECOVERY_S)


class SkinConductance:
    """Raw skin conductance of one subject in one session."""

    def __init__(self, schedule: Schedule, seeds: Seeds, rate_hz: float) -> None:
        self.rate_hz = rate_hz
        self.block = round(4 * rate_hz)  # samples made at a time
        person, session = seeds.person(Use.PERSON_SKIN), seeds.rng(Use.SESSION_SKIN)
        self._level_us = LEVEL_US * np.exp(
            LEVEL_SPREAD * person.standard_normal() + 0.15 * session.standard_normal()
        )
        self._height_us = HEIGHT_US * np.exp(0.3 * person.standard_normal())
        self._schedule, self._seeds = schedule, seeds
        self._drift = SlowNoise(seeds, Use.SKIN_DRIFT, DRIFT_SPACING_S)
        self._response = lru_cache(maxsize=64)(self._draw_response)
        self.make_block = lru_cache(maxsize=4)(self._make_block)

    def _make_block(self, index: int) -> Float32Array:
        """Return block `index` from 0 up: (block, 1), µS."""
        times = (index * self.block + np.arange(self.block)) / self.rate_hz
        skin = self._level_us * (1.0 + DRIFT * self._drift(times))
        slots = range(max(0, int((times[0] - LONGEST_S) // SLOT_S)), int(times[-1] // SLOT_S) + 1)
        for slot in slots:
            begin_s, height_us = self._response(slot)
            past_s = times - begin_s
            shape = np.exp(-past_s.clip(0.0) / RECOVERY_S) - np.exp(-past_s.clip(0.0) / RISE_S)
            skin += height_us / PEAK * np.where(past_s < LONGEST_S, shape, 0.0)
        skin += NOISE_US * self._seeds.rng(Use.SKIN_NOISE, index).standard_normal(self.block)
        return np.maximum(skin, 0.05).astype(np.float32)[:, None]

    def _draw_response(self, slot: int) -> tuple[float, float]:
        """When the response of a slot begins, s, and its height, µS; 0 where there is none."""
        rng = self._seeds.rng(Use.SKIN_RESPONSE, slot)
        at_s = SLOT_S * (slot + rng.random())
        arousal = self._schedule.settings.effect * float(self._schedule.latent(np.array([at_s]))[0, 1])
        per_min = float(np.clip(PER_MIN + PER_MIN_OF_AROUSAL * arousal, 0.0, MOST_PER_MIN))
        height_us = self._height_us * np.exp(
            HEIGHT_SPREAD * rng.standard_normal() + HEIGHT_OF_AROUSAL * arousal
        )
        return at_s + LATENCY_S, float(height_us * (rng.random() < per_min * SLOT_S / 60.0))
