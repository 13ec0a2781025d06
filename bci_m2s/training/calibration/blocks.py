"""Trials in blocks of time: what is held out together, and among which labels are permuted."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
MOST_BLOCKS = 6
FEWEST_BLOCKS = 3  # one tests, one selects, one trains


def make_blocks(labels: Indices, most: int = MOST_BLOCKS) -> Indices:
    """The block of each trial, (n,), from 0: consecutive in time, every class about equally often in each.

    The k-th trial of a class with n goes to block ⌊k · blocks / n⌋; there are as many blocks as the rarest
    class has trials, at most `most`.

    Parameters
    ----------
    labels : (n,) class index of each trial, in the order of time
    """
    classes, counts = np.unique(labels, return_counts=True)
    n_blocks = int(min(most, counts.min()))
    blocks = np.zeros(len(labels), dtype=np.int64)
    for label, count in zip(classes, counts, strict=True):
        blocks[labels == label] = np.arange(count) * n_blocks // count
    return blocks


def smallest_p(labels: Indices, blocks: Indices) -> float:
    """The p of a perfect answer: the share of permutations within blocks that are as good by symmetry.

    What is trained on labels of which each class has another's name, in all blocks alike, answers as well.
    """
    n_classes = len(np.unique(labels))
    ways = 1
    for block in np.unique(blocks):
        counts = np.unique(labels[blocks == block], return_counts=True)[1]
        ways *= math.factorial(int(counts.sum())) // math.prod(map(math.factorial, counts.tolist()))
    return math.factorial(n_classes) / ways


def fewest_of_each(n_classes: int, alpha: float) -> int:
    """Number of trials of each class with which a perfect answer could be told from chance."""
    for count in range(FEWEST_BLOCKS, 100):
        labels = np.tile(np.arange(n_classes), count)
        if smallest_p(labels, make_blocks(labels)) <= alpha:
            return count
    raise AssertionError(f"no number of trials for {n_classes} classes and {alpha}")


def permuted(labels: Indices, blocks: Indices, count: int, generator: np.random.Generator) -> Indices:
    """Labels permuted over trials within their blocks, (count, n)."""
    made = np.empty((count, len(labels)), dtype=np.int64)
    for block in np.unique(blocks):
        inside = np.flatnonzero(blocks == block)
        rows = np.tile(labels[inside], (count, 1))
        made[:, inside] = generator.permuted(rows, axis=1)
    return made
