"""Nested cross-validation over blocks of trials, for the true labels and for permuted ones at once.

Each block tests once what the other blocks chose and trained; the choice among candidates is made by
cross-validation over those other blocks. With permuted labels everything is done again, the choice
included, so the null distribution is that of the whole procedure (Ojala & Garriga 2010, "Permutation
tests for studying classifier performance").

Some dozens of trials cannot tell candidates apart that differ by a few percent, and what wins by chance, or
by what only this visit has, is worse on the next one. So the choice is by the rule of one standard error
(Breiman et al. 1984, "Classification and regression trees", 3.4.3): of the candidates that are not clearly
worse than the best one, the first in the order of what carries over to another visit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bci_m2s.training.calibration.ridge import targets
from bci_m2s.types import BoolArray, FloatArray

Indices = NDArray[np.int64]


class Fold(Protocol):
    """A candidate that has seen the windows of some trials, and not yet their labels."""

    def scores(self, windows: Indices, target: FloatArray) -> FloatArray:
        """Scores of windows, (p, m, classes) or, where labels play no part, (1, m, classes).

        windows : (m,) numbers; target : (p, training trials, classes), see ``ridge.targets``
        """


# Which trials train, (trials,) → the candidate after that.
Candidate = Callable[[BoolArray], Fold]


@dataclass(frozen=True)
class Nested:
    """What nested cross-validation gave, for each of p sets of labels.

    outer : (p, trials) share of each trial's windows that was right, by the candidate chosen without it
    single : candidate → (p, trials) the same of a candidate alone
    chosen : (p, blocks) number of the candidate that the other blocks chose
    """

    outer: FloatArray
    single: Mapping[str, FloatArray]
    chosen: Indices


def balanced(shares: FloatArray, labels: Indices, n_classes: int) -> FloatArray:
    """Balanced accuracy in which every trial weighs the same.

    Parameters
    ----------
    shares : (..., trials) share of each trial's windows that was right
    labels : (..., trials)

    Returns
    -------
    (...): mean over classes of the mean over their trials
    """
    indicator = np.eye(n_classes)[labels]
    counts = indicator.sum(axis=-2)
    means = (shares[..., None] * indicator).sum(axis=-2) / np.maximum(counts, 1)
    return np.asarray(means.sum(axis=-1) / np.maximum((counts > 0).sum(axis=-1), 1))


def standard_error(shares: FloatArray, labels: Indices, n_classes: int) -> FloatArray:
    """Standard error of ``balanced`` of the same arguments, trials drawn within classes; (...).

    A class with one trial adds nothing.
    """
    indicator = np.eye(n_classes)[labels]
    counts = indicator.sum(axis=-2)
    means = (shares[..., None] * indicator).sum(axis=-2) / np.maximum(counts, 1)
    squares = (indicator * (shares[..., None] - means[..., None, :]) ** 2).sum(axis=-2)
    errors = squares / np.maximum(counts - 1, 1) / np.maximum(counts, 1)
    return np.asarray(np.sqrt(errors.sum(axis=-1)) / np.maximum((counts > 0).sum(axis=-1), 1))


def choose(shares: FloatArray, labels: Indices, n_classes: int) -> Indices:
    """The first candidate that is at most one standard error of the difference below the best one.

    Parameters
    ----------
    shares : (candidates, ..., trials) share of each trial's windows that was right, the safest first
    labels : (..., trials)

    Returns
    -------
    (...): its number
    """
    scores = np.round(balanced(shares, np.broadcast_to(labels, shares.shape), n_classes), 9)
    best = np.argmax(scores, axis=0)
    of_best = np.take_along_axis(shares, best[None, ..., None], axis=0)
    behind = scores.max(axis=0) - scores
    allowed = standard_error(of_best - shares, np.broadcast_to(labels, shares.shape), n_classes)
    return np.asarray(np.argmax(behind <= allowed + 1e-9, axis=0))


def nested(
    candidates: Mapping[str, Candidate],
    trials: Indices,
    blocks: Indices,
    labels: Indices,
    n_classes: int,
    on_fit: Callable[[], None] = lambda: None,
) -> Nested:
    """Nested cross-validation of candidates over blocks.

    Parameters
    ----------
    candidates : by name, the safest first, see ``choose``
    trials : (n,) the trial of each window
    blocks : (t,) the block of each trial, three or more different ones
    labels : (p, t) sets of labels
    on_fit : called after each of ``n_fits`` fits
    """
    names = list(candidates)
    numbers = np.unique(blocks)
    left_out = [(block,) for block in numbers] + list(combinations(numbers, 2))
    p, t = labels.shape
    outer_shares = {name: np.zeros((p, t)) for name in names}
    inner_shares = {name: np.zeros((len(numbers), p, t)) for name in names}  # by the block kept for testing
    for out in left_out:
        train = ~np.isin(blocks, out)
        target = targets(labels[:, train], n_classes)
        for name in names:
            fold = candidates[name](train)
            for tested in out:
                inside = blocks == tested
                shares = _shares(fold, trials, inside, labels, target)
                if len(out) == 1:
                    outer_shares[name][:, inside] = shares
                else:
                    kept = out[0] if tested == out[1] else out[1]
                    inner_shares[name][int(np.searchsorted(numbers, kept))][:, inside] = shares
            on_fit()
    outer, chosen = np.zeros((p, t)), np.zeros((p, len(numbers)), dtype=np.int64)
    for place, block in enumerate(numbers):
        others, inside = blocks != block, np.flatnonzero(blocks == block)
        seen = np.stack([inner_shares[name][place][:, others] for name in names])
        chosen[:, place] = choose(seen, labels[:, others], n_classes)
        every = np.stack([outer_shares[name][:, inside] for name in names])
        outer[:, inside] = every[chosen[:, place], np.arange(p)]
    return Nested(outer, outer_shares, chosen)


def n_fits(n_candidates: int, blocks: Indices) -> int:
    """How many fits ``nested`` makes."""
    n = len(np.unique(blocks))
    return n_candidates * (n + n * (n - 1) // 2)


def _shares(
    fold: Fold, trials: Indices, inside: BoolArray, labels: Indices, target: FloatArray
) -> FloatArray:
    """Share of right windows (p, trials inside) of the trials that test."""
    windows = np.flatnonzero(inside[trials])
    places = (np.cumsum(inside) - 1)[trials[windows]]
    counts = np.bincount(places, minlength=int(inside.sum()))
    collect = np.zeros((len(windows), len(counts)))
    collect[np.arange(len(windows)), places] = 1.0 / np.maximum(counts, 1)[places]
    guesses = fold.scores(windows, target).argmax(axis=-1)
    right = guesses == labels[:, trials[windows]]
    return np.asarray(right @ collect)
