"""Where the eyes look and when the lids close: events that the tracker and frontal EEG share.

docs/simulator.md has the findings behind them. The path is made in pieces of 10 s. A piece starts where
the one before ends, with a saccade, so any piece can be made without those before it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from bci_m2s.simulator.noise import Seeds, SlowNoise, Use
from bci_m2s.simulator.state import Schedule
from bci_m2s.types import FloatArray

# The screen is 35° wide and 20° high (16:9 seen from about 0.85 m when 0.53 m wide).
SCREEN_DEG = (35.0, 20.0)
MARGIN_DEG = 1.5  # fixations stay this far from the edge

PIECE_S = 10.0
STATE_STEP_S = 0.5  # the path reads the state this often
LAST_FIXATION_S = 0.3  # least time left for the last fixation of a piece
FIXATION_S = (0.08, 1.5)
BLINK_SLOT_S = 2.0
BLINK_MARGIN_S = 0.25

# Change of the logarithm for each unit of valence and arousal, and its spread between people.
FIXATION_EFFECT = (0.0, -0.22)
WIDTH_EFFECT = (0.30, 0.18)
BLINK_EFFECT = (0.0, -0.25)
EFFECT_SPREAD = 0.08
# Spread of the clip's own pace and width.
CLIP_SPREAD = (0.10, 0.12)


@dataclass(frozen=True, slots=True)
class Movements:
    """Eye movements in order of time. Before the first, gaze rests at ``origin_deg[0]``.

    start_s, duration_s : (m,); origin_deg, target_deg : (m, 2), degrees right and up of the middle
    """

    start_s: FloatArray
    duration_s: FloatArray
    origin_deg: FloatArray
    target_deg: FloatArray


@dataclass(frozen=True, slots=True)
class Blink:
    """One blink. The lid covers the pupil from ``start_s`` for ``duration_s``."""

    start_s: float
    duration_s: float
    strength: float  # about 1; scales the potential in the EEG


class Eyes:
    """Scan path and blinks of one subject in one session."""

    def __init__(self, schedule: Schedule, seeds: Seeds) -> None:
        effect = schedule.settings.effect
        person = seeds.person(Use.PERSON_EYES)
        spread = EFFECT_SPREAD * person.standard_normal((3, 2))
        means = np.array([FIXATION_EFFECT, WIDTH_EFFECT, BLINK_EFFECT])
        self._effects = effect * (means + spread)  # fixation, width, blink by valence, arousal
        self._fixation_s = 0.27 * math.exp(0.12 * person.standard_normal())
        self._width_deg = 4.2 * math.exp(0.12 * person.standard_normal())
        self._blinks_per_min = person.uniform(8.0, 22.0)
        self._blink_s = person.uniform(0.12, 0.18)
        self._schedule, self._seeds = schedule, seeds
        # Pace and width also wander within a session, whatever is shown.
        self._wander = SlowNoise(seeds, Use.GAZE_DRIFT, 15.0, (2,), part=1)
        self._piece = lru_cache(maxsize=8)(self._draw_piece)
        self._blink = lru_cache(maxsize=64)(self._draw_blink)
        self._clip = lru_cache(maxsize=64)(self._draw_clip)

    def gaze(self, times: FloatArray) -> FloatArray:
        """Return gaze at sorted `times` (n,), s: (n, 2), degrees right and up of the middle."""
        pieces = np.floor(times / PIECE_S).astype(np.int64)
        out = np.empty((len(times), 2))
        for piece in np.unique(pieces):
            chosen = pieces == piece
            out[chosen] = _follow(self._piece(int(piece)), times[chosen])
        return out

    def blinks(self, start_s: float, stop_s: float) -> list[Blink]:
        """Return the blinks that begin in [start_s, stop_s), in order."""
        slots = range(max(0, math.floor(start_s / BLINK_SLOT_S)), math.floor(stop_s / BLINK_SLOT_S) + 1)
        blinks = [blink for slot in slots if (blink := self._blink(slot)) is not None]
        return [blink for blink in blinks if start_s <= blink.start_s < stop_s]

    def _draw_blink(self, slot: int) -> Blink | None:
        rng = self._seeds.rng(Use.BLINK, slot)
        start_s = BLINK_SLOT_S * slot + rng.uniform(BLINK_MARGIN_S, BLINK_SLOT_S - BLINK_MARGIN_S)
        state = self._schedule.latent(np.array([start_s]))[0]
        rate = self._blinks_per_min * math.exp(float(self._effects[2] @ state))
        if rng.random() > rate * BLINK_SLOT_S / 60.0:
            return None
        duration_s = self._blink_s * math.exp(0.2 * rng.standard_normal())
        return Blink(start_s, min(max(duration_s, 0.08), 0.3), math.exp(0.2 * rng.standard_normal()))

    def _draw_piece(self, index: int) -> Movements:
        rng = self._seeds.rng(Use.SCAN_PATH, index)
        start_s, stop_s = PIECE_S * index, PIECE_S * (index + 1)
        grid = np.arange(start_s, stop_s, STATE_STEP_S, dtype=np.float64)
        median_s, width_deg = self._statistics(grid)
        start, goal = self._start_deg(index), self._start_deg(index + 1)
        now = start_s
        rows: list[tuple[float, float, FloatArray, FloatArray]] = []
        while True:
            at = min(int((now - start_s) / STATE_STEP_S), len(grid) - 1)
            fixation = median_s[at] * math.exp(0.4 * rng.standard_normal())
            now += min(max(fixation, FIXATION_S[0]), FIXATION_S[1])
            if now > stop_s - LAST_FIXATION_S:
                break
            target = _on_screen(0.5 * start + math.sqrt(0.75) * width_deg[at] * rng.standard_normal(2))
            duration_s = _saccade_s(start, target)
            rows.append((now, duration_s, start, target))
            start, now = target, now + duration_s
        duration_s = _saccade_s(start, goal)
        rows.append((stop_s - duration_s, duration_s, start, goal))
        starts, durations, origins, targets = zip(*rows, strict=True)
        return Movements(np.array(starts), np.array(durations), np.array(origins), np.array(targets))

    def _statistics(self, times: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return median fixation (s) and scan width (degrees) at each time."""
        logs = self._schedule.latent(times) @ self._effects[:2].T
        logs += self._schedule.pull(times, self._clip, 2) + 0.06 * self._wander(times)
        return self._fixation_s * np.exp(logs[:, 0]), self._width_deg * np.exp(logs[:, 1])

    def _draw_clip(self, trial: int) -> FloatArray:
        """Return how one clip paces and widens the scan, in logarithms: (2,)."""
        return np.array(CLIP_SPREAD) * self._seeds.rng(Use.CLIP, trial).standard_normal(2)

    def _start_deg(self, piece: int) -> FloatArray:
        draw = self._seeds.rng(Use.SCAN_START, piece).standard_normal(2)
        return _on_screen(self._width_deg * draw)


def _follow(path: Movements, times: FloatArray) -> FloatArray:
    at = np.maximum(np.searchsorted(path.start_s, times, side="right") - 1, 0)
    u = np.clip((times - path.start_s[at]) / path.duration_s[at], 0.0, 1.0)
    done = u**3 * (10.0 + u * (6.0 * u - 15.0))
    return path.origin_deg[at] + done[:, None] * (path.target_deg[at] - path.origin_deg[at])


def _saccade_s(origin: FloatArray, target: FloatArray) -> float:
    return 0.021 + 0.0022 * math.dist(origin, target)


def _on_screen(place_deg: FloatArray) -> FloatArray:
    limit = 0.5 * np.array(SCREEN_DEG) - MARGIN_DEG
    return np.clip(place_deg, -limit, limit)
