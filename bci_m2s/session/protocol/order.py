"""The order of trials: balanced, so that a class is not confounded with the time at which it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

CANDIDATES = 400  # orders that are drawn; the one in which class and time have least in common is taken
DRAWN_TRIALS = 40_000  # of all candidates: a long order has little in common with time as it is
SHUFFLES = 2000
SURPRISING = 0.05  # share of random orders in which class and time have as much in common


def balanced_order(labels: Sequence[str], seed: int) -> list[int]:
    """An order of items in which no class comes twice running (where that can be), and class and time have
    as little in common as any of ``CANDIDATES`` random ones; of fewer where there are over 100 items.

    Parameters
    ----------
    labels : class of each item
    seed : equal seeds give equal orders

    Returns
    -------
    Indices of `labels`, each once
    """
    rng = np.random.default_rng(seed)
    n_orders = min(CANDIDATES, max(1, DRAWN_TRIALS // max(1, len(labels))))
    orders = [_draw(labels, rng) for _ in range(n_orders)]

    def cost(order: list[int]) -> tuple[int, float]:
        ordered = [labels[index] for index in order]
        return _repeats(ordered), shared_with_time(ordered)

    return min(orders, key=cost)


def shared_with_time(labels: Sequence[str]) -> float:
    """Share of the variance of trial numbers that lies between classes (eta squared): 0.0 to 1.0.

    labels : class of each trial, in the order of the trials. The correlation ratio, Fisher 1925
    """
    return (
        float(_eta_squared(np.unique(labels, return_inverse=True)[1].ravel()[None])[0]) if labels else 0.0
    )


def confounding(labels: Sequence[str], seed: int = 0) -> str:
    """In a sentence what a fixed order confounds with the class; "" where it is as good as a random one.

    Compared with ``SHUFFLES`` random orders of the same trials: a permutation test, one-sided. Of a few
    trials no order is rare: one class after the other is said of any number.
    """
    if len(set(labels)) < 2 or len(labels) < 4:
        return ""
    codes = np.unique(labels, return_inverse=True)[1].ravel()
    shuffled = np.random.default_rng(seed).permuted(np.tile(codes, (SHUFFLES, 1)), axis=1)
    own = shared_with_time(labels)
    as_much = (1 + np.count_nonzero(_eta_squared(shuffled) >= own - 1e-12)) / (1 + SHUFFLES)
    if as_much < SURPRISING or _in_blocks(labels):
        means = {
            label: float(np.mean(np.flatnonzero(np.array(labels) == label))) + 1 for label in set(labels)
        }
        listed = ", ".join(
            f"{label} {mean:.1f}" for label, mean in sorted(means.items(), key=lambda m: m[1])
        )
        return (
            f"class and order are confounded: {100 * own:.0f} % of the variance of trial numbers lies "
            f"between classes (mean trial number: {listed}); tiredness and drift would pass for the class"
        )
    followers = {label: {b for a, b in pairwise(labels) if a == label} for label in set(labels)}
    if len(labels) > 2 * len(set(labels)) and all(len(after) == 1 for after in followers.values()):
        return "every class is always followed by the same one: participants will know what comes next"
    return ""


def _in_blocks(labels: Sequence[str]) -> bool:
    """Whether each class is shown to its end before the next: of few trials that is no rare order."""
    return len(labels) > len(set(labels)) and sum(a != b for a, b in pairwise(labels)) < len(set(labels))


def _eta_squared(codes: NDArray[np.intp]) -> NDArray[np.float64]:
    """Of each row of class numbers, (rows, trials)."""
    position = np.arange(codes.shape[1]) - (codes.shape[1] - 1) / 2
    total = float(np.sum(position**2))
    between = np.zeros(len(codes))
    for code in range(int(codes.max()) + 1):
        mask = codes == code
        between += (mask @ position) ** 2 / np.maximum(1, mask.sum(axis=1))
    return between / total if total else between


def _repeats(labels: Sequence[str]) -> int:
    return sum(a == b for a, b in pairwise(labels))


def _draw(labels: Sequence[str], rng: np.random.Generator) -> list[int]:
    """A random order: one item after another, of those that do not repeat the class where there are any.

    The class with most items left is preferred where others could not part them any more.
    """
    left: dict[str, list[int]] = {}
    for index in rng.permutation(len(labels)).tolist():
        left.setdefault(labels[index], []).append(index)
    order: list[int] = []
    last = ""
    while left:
        usable = [label for label in left if label != last] or list(left)
        counts = np.array([len(left[label]) for label in usable], dtype=float)
        n_left = sum(map(len, left.values()))
        urgent = [label for label in usable if 2 * len(left[label]) > n_left]
        label = urgent[0] if urgent else usable[int(rng.choice(len(usable), p=counts / counts.sum()))]
        order.append(left[label].pop())
        if not left[label]:
            del left[label]
        last = label
    return order
