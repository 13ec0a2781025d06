"""Calibrated probabilities: temperature, calibration error, and the threshold of "unknown".

Sources: Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017 (temperature
scaling; expected calibration error with 15 bins of equal width).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from bci_m2s.model.contract import CalibrationContract
from bci_m2s.types import FloatArray

Indices = NDArray[np.int64]
N_BINS = 15
LOWEST, HIGHEST = 0.05, 20.0  # temperatures
FEWEST = 10  # windows; with fewer nothing is fitted


def fit_temperature(logits: FloatArray, labels: Indices) -> float:
    """Temperature of the lowest negative log likelihood. logits : (n, classes); labels : (n,).

    1.0 when there are fewer than ten windows.
    """
    if len(labels) < FEWEST:
        return 1.0

    def loss(log_temperature: float) -> float:
        scores = log_softmax(logits / np.exp(log_temperature), axis=1)
        return -float(scores[np.arange(len(labels)), labels].mean())

    optimum = minimize_scalar(loss, bounds=(np.log(LOWEST), np.log(HIGHEST)), method="bounded")
    return float(np.exp(optimum.x))


def expected_calibration_error(probabilities: FloatArray, labels: Indices) -> float:
    """Mean distance between confidence and accuracy over 15 bins, weighted by their windows."""
    if not len(labels):
        return float("nan")
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * N_BINS).astype(int), N_BINS - 1)
    n = np.bincount(bins, minlength=N_BINS)
    apart = np.bincount(bins, weights=confidence - right, minlength=N_BINS)
    return float(np.abs(apart).sum() / n.sum())


def unknown_threshold(probabilities: FloatArray, labels: Indices, most_unknown: float) -> float:
    """Confidence below which an estimate is called unknown.

    Of the thresholds that make at most the share `most_unknown` of the windows unknown, the one with the
    highest accuracy over the others; the lowest of equals. 0.0 with fewer than ten windows.
    """
    if len(labels) < FEWEST:
        return 0.0
    confidence = probabilities.max(axis=1)
    order = np.argsort(confidence, kind="stable")
    right = (probabilities.argmax(axis=1) == labels)[order]
    most = int(most_unknown * len(labels))
    n_known = np.arange(len(labels), 0, -1)[: most + 1]
    accuracy = (right[::-1].cumsum()[::-1])[: most + 1] / n_known
    best = int(accuracy.argmax())
    return float(confidence[order][best]) if best else 0.0


def calibrate(
    logits: FloatArray, labels: Indices, trials: Indices, most_unknown: float
) -> CalibrationContract:
    """The calibration of one head for a contract, from validation windows.

    Both calibration errors are of the windows that the temperature was fitted on, so slightly optimistic.
    """
    logits = np.asarray(logits, dtype=np.float64)
    temperature = fit_temperature(logits, labels)
    before, after = softmax(logits, axis=1), softmax(logits / temperature, axis=1)
    known = len(labels) > 0
    return CalibrationContract(
        temperature=temperature,
        unknown_below=unknown_threshold(after, labels, most_unknown),
        ece_before=expected_calibration_error(before, labels) if known else None,
        ece_after=expected_calibration_error(after, labels) if known else None,
        windows=len(labels),
        trials=len(np.unique(trials)),
    )
