"""Figures of merit with their support."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci_m2s.types import FloatArray

Indices = NDArray[np.int64]
N_BINS = 15  # of the confidence, as is usual for the expected calibration error
Bins = Mapping[str, list[float]]


def confusion(labels: Indices, guesses: Indices, n_classes: int) -> Indices:
    """Counts (classes, classes): rows are the truth, columns the guesses."""
    counts = np.zeros((n_classes, n_classes), dtype=np.int64)
    np.add.at(counts, (labels, guesses), 1)
    return counts


def balanced_accuracy(counts: Indices) -> float:
    """Mean recall of the classes that occur; NaN without any window."""
    support = counts.sum(axis=1)
    occurs = support > 0
    return float(np.mean(np.diag(counts)[occurs] / support[occurs])) if occurs.any() else float("nan")


def kappa(counts: Indices) -> float:
    """Agreement beyond chance (Cohen 1960); 0 where chance alone always agrees."""
    total = counts.sum()
    if not total:
        return float("nan")
    agreed = np.trace(counts) / total
    chance = float((counts.sum(axis=0) * counts.sum(axis=1)).sum()) / float(total) ** 2
    return float((agreed - chance) / (1 - chance)) if chance < 1 else 0.0


def macro_f1(counts: Indices) -> float:
    """Mean F1 of the classes that occur; a class that is never guessed counts 0."""
    occurs = counts.sum(axis=1) > 0
    if not occurs.any():
        return float("nan")
    both = counts.sum(axis=1) + counts.sum(axis=0)
    return float(np.mean((2 * np.diag(counts) / np.maximum(both, 1))[occurs]))


def figures(labels: Indices, guesses: Indices, subjects: Indices, n_classes: int) -> dict[str, Any]:
    """All figures of some windows.

    Returns
    -------
    balanced_accuracy, kappa, f1 : over all windows
    by_subject : balanced accuracy of each person, by number; counts_by_subject : their confusion
    support : windows of each class; confusion : rows are the truth
    """
    counts = confusion(labels, guesses, n_classes)
    of_subject = {
        int(subject): confusion(labels[subjects == subject], guesses[subjects == subject], n_classes)
        for subject in np.unique(subjects)
    }
    return {
        "balanced_accuracy": balanced_accuracy(counts),
        "kappa": kappa(counts),
        "f1": macro_f1(counts),
        "by_subject": {subject: balanced_accuracy(own) for subject, own in of_subject.items()},
        "counts_by_subject": {subject: own.tolist() for subject, own in of_subject.items()},
        "support": counts.sum(axis=1).tolist(),
        "confusion": counts.tolist(),
    }


def reliability(chances: FloatArray, labels: Indices) -> dict[str, list[float]]:
    """What a reliability diagram needs, in ``N_BINS`` bins of the confidence, each as wide as the others.

    chances : (n, classes) probabilities; the confidence is that of the class which is guessed

    Returns
    -------
    windows, confidence, right : of each bin the number of windows, the sum of their confidence, and how
        many were guessed right
    """
    confidence = chances.max(axis=1)
    right = chances.argmax(axis=1) == labels
    bins = np.minimum((confidence * N_BINS).astype(int), N_BINS - 1)
    sums = {"windows": None, "confidence": confidence, "right": right}
    return {name: np.bincount(bins, values, N_BINS).tolist() for name, values in sums.items()}


def pooled(bins: Iterable[Bins]) -> dict[str, list[float]]:
    """Bins of several results, added up; there is at least one."""
    found = list(bins)
    return {name: np.sum([one[name] for one in found], axis=0).tolist() for name in found[0]}


def calibration_error(bins: Bins) -> float:
    """Mean distance between confidence and accuracy, weighted by the windows of each bin; NaN of none."""
    n = sum(bins["windows"])
    if not n:
        return float("nan")
    return float(np.abs(np.subtract(bins["confidence"], bins["right"])).sum() / n)


def mean_over_subjects(labels: Indices, guesses: Indices, subjects: Indices, n_classes: int) -> float:
    """Balanced accuracy of each person, averaged; training selects by it."""
    masks = [subjects == subject for subject in np.unique(subjects)]
    return float(np.mean([balanced_accuracy(confusion(labels[m], guesses[m], n_classes)) for m in masks]))
