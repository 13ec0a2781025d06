"""Figures of a calibration: an interval over trials, chance by permutation, how many trials are needed."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from bci_m2s.training.calibration.nested import balanced, standard_error
from bci_m2s.types import FloatArray

Indices = NDArray[np.int64]
N_BOOTSTRAP = 2000
POWER = 0.8


def interval(shares: FloatArray, labels: Indices, generator: np.random.Generator) -> tuple[float, float]:
    """95 % interval of the balanced accuracy: percentiles of a bootstrap over the trials of each class.

    Parameters
    ----------
    shares : (t,) share of each trial's windows that was right; labels : (t,)
    """
    means = np.zeros(N_BOOTSTRAP)
    present = np.unique(labels)
    for label in present:
        own = shares[labels == label]
        means += own[generator.integers(len(own), size=(N_BOOTSTRAP, len(own)))].mean(axis=1)
    low, high = np.percentile(means / len(present), [2.5, 97.5])
    return float(low), float(high)


def p_value(observed: float, null: FloatArray) -> float:
    """(1 + permutations at least as good) / (1 + permutations) (Phipson & Smyth 2010)."""
    return float((1 + np.count_nonzero(null >= observed - 1e-9)) / (1 + len(null)))


def trials_needed(
    shares: FloatArray, labels: Indices, n_classes: int, null: FloatArray, alpha: float
) -> int | None:
    """Number of trials with which an effect as large as the one seen is found in 8 of 10 sessions.

    n · ((z₁₋α σ₀ + z₀.₈ σ₁) / (seen − chance))², where σ₀ is the spread of the permutations and σ₁ the
    standard error of what was seen, both with n trials: the usual formula for a share against chance, with
    spreads that were measured instead of those of a binomial.

    Parameters
    ----------
    null : balanced accuracies of permutations

    Returns
    -------
    A multiple of the number of classes; None where what was seen is not above the mean of the permutations
    """
    seen, chance = float(balanced(shares, labels, n_classes)), float(null.mean())
    effect = seen - chance
    if effect <= 1e-3:
        return None
    spread = float(standard_error(shares, labels, n_classes))
    ratio = (norm.ppf(1 - alpha) * float(null.std()) + norm.ppf(POWER) * spread) / effect
    return math.ceil(len(labels) * ratio**2 / n_classes) * n_classes


def trials_for_gain(gains: FloatArray, labels: Indices, n_classes: int, errors: float) -> int | None:
    """Number of trials with which a gain as large as the one seen is found in 8 of 10 sessions.

    Parameters
    ----------
    gains : (t,) of each trial, own model against base model
    errors : how many standard errors a gain has to be

    Returns
    -------
    A multiple of the number of classes; None where no gain was seen
    """
    seen = float(balanced(gains, labels, n_classes))
    if seen <= 1e-3:
        return None
    ratio = (errors + norm.ppf(POWER)) * float(standard_error(gains, labels, n_classes)) / seen
    return math.ceil(len(labels) * ratio**2 / n_classes) * n_classes
