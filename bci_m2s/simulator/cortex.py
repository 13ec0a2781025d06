"""What one person's brain is like: sources, spectra, and how the state and nuisances change them.

docs/simulator.md has the findings behind each part.
"""

from __future__ import annotations

import math

import numpy as np

from bci_m2s.simulator.noise import Seeds, Use
from bci_m2s.types import FloatArray

N_PATCHES = 32
LOWEST_Z = -0.45  # patches cover the sphere from here up
SOURCE_RADIUS = 0.62
TILT = 0.25  # radians, one standard deviation
MAP_WIDTH = 0.7  # length over which random maps are smooth, in radii

# Edges in Hz of delta, theta, alpha, beta and gamma, and of what is above. That has no state: a scalp's
# signal there is mostly muscle, which would make its level one number that tells it.
BAND_EDGES_HZ = (0.0, 4.0, 8.0, 14.0, 31.0, 50.0, math.inf)
N_BANDS = len(BAND_EDGES_HZ) - 1
DELTA, THETA, ALPHA, BETA, GAMMA, ABOVE = range(N_BANDS)

BACKGROUND_UV2 = 5.5  # density of one patch at 1 Hz, µV²/Hz
ALPHA_UV2 = 9.0  # largest density of the alpha peak of one patch
ALPHA_WIDTH_HZ = 0.9

VALENCE, AROUSAL = 0, 1
LEFT_FRONT, RIGHT_FRONT = (-0.55, 0.75, 0.35), (0.55, 0.75, 0.35)
MID_FRONT, LEFT_TEMPLE, RIGHT_TEMPLE = (0.0, 0.75, 0.65), (-0.97, 0.05, -0.1), (0.97, 0.05, -0.1)
BACK, CENTRE = (0.0, -0.85, 0.5), (0.0, 0.2, 1.0)
# State, band, where, change of log amplitude for each unit of valence or arousal.
FINDINGS = (
    (VALENCE, ALPHA, LEFT_FRONT, -1.0),
    (VALENCE, ALPHA, RIGHT_FRONT, 1.0),
    (VALENCE, THETA, MID_FRONT, 0.8),
    (VALENCE, BETA, LEFT_TEMPLE, 0.5),  # no more, or the temples' level alone tells the class
    (VALENCE, BETA, RIGHT_TEMPLE, 0.5),
    (VALENCE, GAMMA, LEFT_TEMPLE, 0.5),
    (VALENCE, GAMMA, RIGHT_TEMPLE, 0.5),
    (AROUSAL, ALPHA, BACK, -1.0),
    (AROUSAL, GAMMA, BACK, 0.8),
    (AROUSAL, THETA, BACK, 0.6),
    (AROUSAL, DELTA, BACK, 0.3),
    (AROUSAL, BETA, CENTRE, 0.6),
)
FINDING_WIDTH = 0.6
STATE_GAIN = 0.32  # change of log amplitude by a finding of weight 1
OWN_SHARE = 0.4  # of the state's variance over patches that is the person's own
N_NUISANCE = 5
NUISANCE_GAIN = 0.10
SESSION_GAIN = 0.12
CAP_SHIFT = 0.03  # radians


class Cortex:
    """Patches of one subject in one session, and how electrodes see them.

    state_gain : (bands, patches, 2) change of log amplitude for each unit of valence and arousal
    nuisance_gain : (bands, patches, N_NUISANCE) the same for unit nuisance processes
    offset : (bands, patches) log amplitude of this session
    lead_field : (channels, patches), µV at an electrode for 1 µV at the patch's own place
    """

    def __init__(self, positions: FloatArray, seeds: Seeds, effect: float) -> None:
        person, session = seeds.person(Use.PERSON_BRAIN), seeds.rng(Use.SESSION_BRAIN)
        self.patches = fibonacci_cap(N_PATCHES, LOWEST_Z)
        smooth = _smoother(self.patches)
        self.alpha_hz = float(np.clip(10.1 + 0.8 * person.standard_normal(), 8.7, 11.8))
        self.exponent = person.uniform(1.0, 1.6)
        self._alpha_power = ALPHA_UV2 * math.exp(0.6 * person.standard_normal())
        self._background = BACKGROUND_UV2 * np.exp(
            0.25 * person.standard_normal() + 0.3 * smooth @ person.standard_normal(N_PATCHES)
        )
        response = effect * STATE_GAIN * math.exp(0.15 * person.standard_normal())
        self.state_gain = response * _state_maps(self.patches, smooth, person)
        tilted = self.patches + TILT * person.standard_normal((N_PATCHES, 3))
        self._moments = tilted / np.linalg.norm(tilted, axis=1, keepdims=True)
        self.nuisance_gain = NUISANCE_GAIN * _random_maps(smooth, person, N_NUISANCE)
        self.offset = SESSION_GAIN * _random_maps(smooth, session, 1)[..., 0]
        self.positions = _turned(positions, CAP_SHIFT * session.standard_normal(3))
        self.lead_field = dipole_field(self.positions, SOURCE_RADIUS * self.patches, self._moments)

    def density(self, frequencies: FloatArray) -> FloatArray:
        """Return each patch's one-sided power density at rest, µV²/Hz: (patches, n)."""
        background = np.maximum(frequencies, 1.0) ** -self.exponent
        behind = 0.12 + 0.88 / (1.0 + np.exp(6.0 * (self.patches[:, 1] + 0.25)))  # 1 at the back
        bump = np.exp(-0.5 * ((frequencies - self.alpha_hz) / ALPHA_WIDTH_HZ) ** 2)
        return self._background[:, None] * background + self._alpha_power * np.outer(behind, bump)


def dipole_field(positions: FloatArray, sources: FloatArray, moments: FloatArray) -> FloatArray:
    """Return the potential of current dipoles in an unbounded conductor: (positions, sources).

    Scaled to 1 on the unit sphere straight above a radial source.
    """
    apart = positions[:, None, :] - sources[None, :, :]
    distance = np.linalg.norm(apart, axis=2)
    depth = 1.0 - np.linalg.norm(sources, axis=1)
    return np.einsum("csx,sx->cs", apart, moments) / distance**3 * depth**2


def fibonacci_cap(n: int, lowest_z: float) -> FloatArray:
    """Return n positions spread evenly over the unit sphere above `lowest_z`: (n, 3)."""
    z = 1.0 - (1.0 - lowest_z) * (np.arange(n) + 0.5) / n
    angle = np.pi * (3.0 - math.sqrt(5.0)) * np.arange(n)
    radius = np.sqrt(1.0 - z**2)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1)


def _kernel(positions: FloatArray, others: FloatArray, width: float) -> FloatArray:
    distance2: FloatArray = np.sum((positions[:, None, :] - others[None, :, :]) ** 2, axis=2)
    weights: FloatArray = np.exp(-0.5 * distance2 / width**2)
    return weights


def _smoother(patches: FloatArray) -> FloatArray:
    """Return a matrix that turns independent normal numbers into a smooth map of unit variance."""
    covariance = _kernel(patches, patches, MAP_WIDTH) + 1e-6 * np.eye(len(patches))
    return np.asarray(np.linalg.cholesky(covariance), dtype=np.float64)


def _random_maps(smooth: FloatArray, rng: np.random.Generator, n: int) -> FloatArray:
    return smooth @ rng.standard_normal((N_BANDS, len(smooth), n))


def _state_maps(patches: FloatArray, smooth: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return shared and own maps together: (bands, patches, 2)."""
    shared = np.zeros((N_BANDS, len(patches), 2))
    for state, band, where, weight in FINDINGS:
        centre = np.array([where]) / np.linalg.norm(where)
        shared[band, :, state] += weight * _kernel(patches, centre, FINDING_WIDTH)[:, 0]
    own = _random_maps(smooth, rng, 2)
    own[ABOVE] = 0.0
    own *= np.sqrt(np.mean(shared**2, axis=(0, 1)) / np.mean(own**2, axis=(0, 1)))
    return math.sqrt(1.0 - OWN_SHARE) * shared + math.sqrt(OWN_SHARE) * own


def _turned(positions: FloatArray, angles: FloatArray) -> FloatArray:
    """Return positions after a small turn about x, y and z."""
    turned = positions + np.cross(angles, positions)
    return turned / np.linalg.norm(turned, axis=1, keepdims=True)
