"""Classification by ridge regression, written so that labels enter linearly.

A score is a weighted sum of the training trials' targets, and the weights do not depend on the labels. So a
thousand permutations of labels cost a product of matrices, not a thousand fits.

Sources: Hoerl & Kennard 1970 (ridge regression); Hastie, Tibshirani & Buja 1994, "Flexible discriminant
analysis by optimal scoring" (regression on class indicators as discriminant analysis).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci_m2s.signal.normalise import SMALLEST_STD
from bci_m2s.types import FloatArray

Indices = NDArray[np.int64]
PENALTY = 1.0  # correlations between features count half; docs/LOG.md has what others gave


def targets(labels: Indices, n_classes: int) -> FloatArray:
    """What a regression is to give for each trial: indicator of its class / share of the class, minus 1.

    A score then estimates p(class | signal) / p(class) − 1, so that the largest one is the most probable
    class if all were equally frequent.

    Parameters
    ----------
    labels : (..., trials) class indices

    Returns
    -------
    (..., trials, classes)
    """
    indicator = np.eye(n_classes)[labels]
    share = indicator.mean(axis=-2, keepdims=True)
    return np.asarray(indicator / np.maximum(share, 1e-9) - 1.0)


@dataclass(frozen=True)
class Ridge:
    """A regression of trial targets on the rows of training windows, before the targets are known.

    mean, std : (D,) of the training rows, every trial weighing the same
    dual : (D, trials): weights of the standardised features for each training trial's target
    """

    mean: FloatArray
    std: FloatArray
    dual: FloatArray

    def smoother(self, rows: FloatArray) -> FloatArray:
        """Rows (m, D) → (m, trials): their scores are this times the training trials' targets."""
        return np.asarray(((rows - self.mean) / self.std) @ self.dual)

    def linear(self, target: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Weights (D, classes) and intercept (classes,) on rows as they are. target : (trials, classes)"""
        weights = (self.dual @ target) / self.std[:, None]
        return weights, -self.mean @ weights


def fit_ridge(rows: FloatArray, trials: Indices, n_trials: int, penalty: float = PENALTY) -> Ridge:
    """Prepare a regression on training windows; every trial weighs the same, however many windows it has.

    Parameters
    ----------
    rows : (n, D) finite
    trials : (n,) the trial of each row, 0 to n_trials - 1
    penalty : added to the variance of each feature, as a share of their mean variance
    """
    counts = np.bincount(trials, minlength=n_trials)
    weight = 1.0 / np.maximum(counts[trials], 1)
    weight /= weight.sum()
    mean = weight @ rows
    centred = rows - mean
    std = np.sqrt(weight @ centred**2)
    std[std < SMALLEST_STD] = 1.0
    root = np.sqrt(weight)
    design = centred / std * root[:, None]
    indicator = np.zeros((len(rows), n_trials))
    indicator[np.arange(len(rows)), trials] = root
    strength = penalty * float((design**2).sum()) / rows.shape[1]
    if len(rows) < rows.shape[1]:
        gram = design @ design.T
        dual = design.T @ np.linalg.solve(gram + strength * np.eye(len(gram)), indicator)
    else:
        gram = design.T @ design
        dual = np.linalg.solve(gram + strength * np.eye(len(gram)), design.T @ indicator)
    return Ridge(mean, std, dual)
