"""What a model's drift is measured by: references from training people, limits from validation people.

Windows of one person overlap and are alike, so neither counts windows: the covariance is that of people's
means plus that within people, each shrunk (Ledoit & Wolf 2004, J. Multivar. Anal. 88), and the limits are
quantiles over people and blocks drawn with replacement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci_m2s.signal.drift import RELATIVE, DriftWatch, Reference
from bci_m2s.types import BoolArray, FloatArray

SHARE = 0.02  # of the windows of a good person that may be beyond the limit
CONFIDENCE = 0.9  # that the share is not above it, as far as people and blocks were drawn by chance
BLOCK_S = 30.0
DRAWS = 300
SMOOTHING_S = 2.0
SMALLEST_SCALE = 1e-6


@dataclass(frozen=True)
class PersonWindows:
    """Windows of one person (or of one trial, where a model is of one person), in order.

    measured, relative : (n, F), means over each window's steps as measured and relative to the baseline
    begins : (n,) whether a window is the first after a break
    """

    measured: NDArray[np.float32]
    relative: NDArray[np.float32]
    begins: BoolArray

    def view(self, name: str) -> FloatArray:
        """The windows as a view has them, (n, F) float64."""
        return (self.relative if name in RELATIVE else self.measured).astype(np.float64)


def fit_reference(people: Sequence[FloatArray], every: int) -> Reference:
    """Mean and shrunken covariance of people's windows; limits are 1.

    people : (n, F) of each, NaN where unknown; every : how many windows apart two do not overlap
    """
    from sklearn.covariance import LedoitWolf

    thinned = [windows[::every] for windows in people]
    means = np.array([known_mean(windows) for windows in people])
    mean = known_mean(means)
    rows = np.concatenate(thinned)
    scale = np.sqrt(known_mean((rows - mean) ** 2))
    scale = np.where(scale > SMALLEST_SCALE, scale, 1.0)
    within = np.concatenate([windows - own for windows, own in zip(thinned, means, strict=True)]) / scale
    covariance = np.zeros((len(mean), len(mean)))
    for part in (means - mean) / scale, within:
        if len(part) > 1:
            covariance += LedoitWolf(assume_centered=True).fit(np.nan_to_num(part)).covariance_
    return Reference(mean, scale, np.linalg.inv(covariance).astype(np.float64), 1.0, 1.0)


def known_mean(rows: FloatArray) -> FloatArray:
    """Mean over rows without NaN, 0 where a column has no number. rows : (n, F)."""
    known = np.isfinite(rows)
    return np.where(known, rows, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)


def measured_distances(watch: DriftWatch, person: PersonWindows) -> FloatArray:
    """Distances of every window, (n, 2 · views): whole, largest channel, view by view."""
    rows = []
    watch.reset()
    for number, begins in enumerate(person.begins.tolist()):
        if begins:
            watch.reset()
        one = slice(number, number + 1)
        measured, relative = (
            person.measured[one].astype(np.float64),
            person.relative[one].astype(np.float64),
        )
        views = watch.measure(measured, relative).values()
        rows.append([value for view in views for value in (view.whole, float(view.channels.max()))])
    return np.array(rows)


def fit_limits(
    distances: Sequence[FloatArray],
    hop_s: float,
    share: float = SHARE,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> FloatArray:
    """Limits of the distances, (2 · views,), so that at most `share` of the windows have one beyond it.

    Each distance counts in units of its own quantile; the largest decides.

    Parameters
    ----------
    distances : (n, 2 · views) of each validation person
    confidence : quantile over the draws of the limit: people and blocks are drawn with replacement
    """
    usual = np.mean([np.quantile(rows, 1.0 - share, axis=0) for rows in distances], axis=0)
    largest = [(rows / usual).max(axis=1) for rows in distances]
    rng = np.random.default_rng(seed)
    drawn = [_draw(largest, max(1, round(BLOCK_S / hop_s)), rng) for _ in range(DRAWS)]
    factor = float(np.quantile([np.quantile(values, 1.0 - share) for values in drawn], confidence))
    return usual * factor


def _draw(people: Sequence[FloatArray], block: int, rng: np.random.Generator) -> FloatArray:
    """Values of as many people as there are, drawn with replacement, and blocks of theirs likewise."""
    parts = []
    for number in rng.integers(len(people), size=len(people)).tolist():
        values = people[number]
        starts = rng.integers(max(1, len(values) - block + 1), size=max(1, len(values) // block))
        parts.append(values[starts[:, None] + np.arange(min(block, len(values)))].ravel())
    return np.concatenate(parts)


def with_limits(references: Mapping[str, Reference], limits: FloatArray) -> dict[str, Reference]:
    """The references with their limits, in the order of the views."""
    pairs = limits.reshape(-1, 2).tolist()
    return {
        name: Reference(one.mean, one.scale, one.precision, whole, channel)
        for (name, one), (whole, channel) in zip(references.items(), pairs, strict=True)
    }
