"""The eye tracker: gaze on the screen, pupil diameters, confidence, and track loss.

Columns: ``gaze_x`` from 0 (left) to 1 (right) and ``gaze_y`` from 0 (top) to 1 (bottom) of a screen
that is ``gaze.SCREEN_DEG`` wide and high, so 1.0 in x is 35 degrees and 1.0 in y is 20 degrees;
``pupil_left`` and ``pupil_right``, mm; ``confidence`` from 0 to 1. Gaze and pupil are NaN when the
track is lost. docs/simulator.md has the findings behind each part.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from bci_m2s.simulator.gaze import SCREEN_DEG, Eyes
from bci_m2s.simulator.noise import Float32Array, Seeds, SlowNoise, Use
from bci_m2s.simulator.state import Schedule
from bci_m2s.types import BoolArray, FloatArray

LABELS = ("gaze_x", "gaze_y", "pupil_left", "pupil_right", "confidence")
UNITS = ("normalized", "normalized", "mm", "mm", "normalized")

CALIBRATION_DEG = 0.5
DRIFT_DEG = 0.10  # of the eye within fixations
NOISE_DEG = 0.12
NOISE_MM = 0.015
AROUSAL_MM = 0.28
AROUSAL_SPREAD_MM = 0.05
AROUSAL_DELAYS_S = (0.5, 1.0, 1.5, 2.0)
LIGHT_TRIAL_MM = 0.20
LIGHT_WITHIN_MM = 0.10
HIPPUS_MM = {0.5: 0.03, 1.2: 0.04, 4.0: 0.06, 12.0: 0.07}  # knot spacing (s): spread
PUPIL_MM = (2.0, 8.0)

LOSS_SLOT_S = 30.0
LOSS_CHANCE = 0.5
LOSS_S = (0.45, 0.9)
EDGE_S = 0.03


class EyeTracker:
    """Raw eye-tracker samples of one subject in one session."""

    def __init__(self, schedule: Schedule, eyes: Eyes, seeds: Seeds, rate_hz: float) -> None:
        self.rate_hz = rate_hz
        self.block = round(rate_hz)  # samples made at a time
        person, session = seeds.person(Use.PERSON_PUPIL), seeds.rng(Use.SESSION_EYES)
        self._pupil_mm = person.uniform(3.2, 4.6) + 0.15 * session.standard_normal()
        self._arousal_mm = AROUSAL_MM + AROUSAL_SPREAD_MM * person.standard_normal()
        self._arousal_mm *= schedule.settings.effect
        self._unequal_mm = 0.1 * person.standard_normal()  # left and right differ (anisocoria)
        self._offset_deg = CALIBRATION_DEG * session.standard_normal(2)
        self._schedule, self._eyes, self._seeds = schedule, eyes, seeds
        self._light = SlowNoise(seeds, Use.LUMINANCE, 3.0)
        self._drift = SlowNoise(seeds, Use.GAZE_DRIFT, 0.4, (2,))
        self._hippus = [
            (mm, SlowNoise(seeds, Use.HIPPUS, spacing_s, part=part))
            for part, (spacing_s, mm) in enumerate(HIPPUS_MM.items())
        ]
        self._clip_light = lru_cache(maxsize=64)(self._draw_light)
        self._loss = lru_cache(maxsize=8)(self._draw_loss)
        self.make_block = lru_cache(maxsize=4)(self._make_block)

    def _make_block(self, index: int) -> Float32Array:
        """Return block `index` from 0 up: (block, 5)."""
        times = (index * self.block + np.arange(self.block)) / self.rate_hz
        rng = self._seeds.rng(Use.TRACKER, index)
        noise = rng.standard_normal((self.block, 5))
        lost, edge = self._lost(times)
        degrees = self._eyes.gaze(times) + self._offset_deg + DRIFT_DEG * self._drift(times)
        degrees += NOISE_DEG * noise[:, :2]
        pupil = self._pupil(times)
        out = np.empty((self.block, 5), dtype=np.float32)
        out[:, 0] = 0.5 + degrees[:, 0] / SCREEN_DEG[0]
        out[:, 1] = 0.5 - degrees[:, 1] / SCREEN_DEG[1]
        out[:, 2] = pupil + 0.5 * self._unequal_mm + NOISE_MM * noise[:, 2]
        out[:, 3] = pupil - 0.5 * self._unequal_mm + NOISE_MM * noise[:, 3]
        out[lost, :4] = np.nan
        out[:, 4] = np.clip(0.97 - 0.4 * edge - 0.015 * np.abs(noise[:, 4]), 0.0, 1.0)
        out[lost, 4] = 0.0
        return out

    def _pupil(self, times: FloatArray) -> FloatArray:
        """Return the mean diameter of both pupils, mm: (n,)."""
        light = LIGHT_TRIAL_MM * self._schedule.pull(times, self._clip_light, 1)[:, 0]
        light += LIGHT_WITHIN_MM * self._light(times)
        past = np.maximum(times - np.array(AROUSAL_DELAYS_S)[:, None], 0.0)
        late = self._schedule.latent(past.ravel())[:, 1].reshape(past.shape).mean(axis=0)
        unrest = sum(mm * noise(times) for mm, noise in self._hippus)
        pupil = self._pupil_mm - light + self._arousal_mm * late + unrest
        return np.clip(pupil, *PUPIL_MM)

    def _draw_light(self, trial: int) -> FloatArray:
        return self._seeds.rng(Use.LUMINANCE, trial, part=1).standard_normal(1)

    def _lost(self, times: FloatArray) -> tuple[BoolArray, BoolArray]:
        """Return where the track is lost, and where it is about to be or just was: two (n,)."""
        lost, edge = np.zeros((2, len(times)), dtype=bool)
        for start_s, stop_s in self._losses(times[0] - 2.0, times[-1] + EDGE_S):
            lost |= (times >= start_s) & (times < stop_s)
            edge |= (times >= start_s - EDGE_S) & (times < stop_s + EDGE_S)
        return lost, edge & ~lost

    def _losses(self, start_s: float, stop_s: float) -> list[tuple[float, float]]:
        """Return start and end (s) of the track losses near the interval."""
        blinks = [(b.start_s, b.start_s + b.duration_s) for b in self._eyes.blinks(start_s, stop_s + 1e-9)]
        for slot in range(max(0, int(start_s // LOSS_SLOT_S)), int(stop_s // LOSS_SLOT_S) + 1):
            blinks += self._loss(slot)
        return blinks

    def _draw_loss(self, slot: int) -> list[tuple[float, float]]:
        rng = self._seeds.rng(Use.TRACK_LOSS, slot)
        begin_s = LOSS_SLOT_S * slot + rng.uniform(0.0, LOSS_SLOT_S)
        return [(begin_s, begin_s + rng.uniform(*LOSS_S))] if rng.random() < LOSS_CHANCE else []
