"""The mean of several seeds: the probabilities of their models averaged, window by window.

Seeds are averaged in groups that share none, so that each group is one observation. It costs no training.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bci_m2s.training.data.windows import WindowSet
from bci_m2s.training.settings import TrainingSettings
from bci_m2s.types import FloatArray

if TYPE_CHECKING:
    from bci_m2s.training.results.evaluation import Result

SEEDS = 5  # that are averaged
Key = tuple[str, str, str, str, str]  # split, head, method, trained on, tested on
_SUFFIX = f", mean of {SEEDS} seeds"


def mean_name(method: str) -> str:
    """What the tables call the mean of a method's seeds."""
    return method + _SUFFIX


def method_of(name: str) -> str:
    """The method of a row, whether it is of single seeds or of their mean."""
    return name.removesuffix(_SUFFIX)


def are_averaged(settings: TrainingSettings) -> bool:
    """Whether seeds can be averaged: there are enough, and none has labels that others do not have."""
    drawn = settings.labels.draw or settings.finetune.trials_per_class
    return len(settings.seeds) >= SEEDS and not drawn


class Mean(NamedTuple):
    """Of a group of seeds, called by its first. chances : (n, classes)"""

    first_seed: int
    chances: FloatArray


def why_not_averaged(settings: TrainingSettings) -> list[str]:
    """A line where there are enough seeds, and yet no mean of them; none otherwise."""
    if len(settings.seeds) < SEEDS or are_averaged(settings):
        return []
    return [
        f"No mean of {SEEDS} seeds: each has labels of its own, and {SEEDS} models those of all of them."
    ]


@dataclass
class SeedMeans:
    """Probabilities of the seeds of a run as they come, and what their means gave.

    seeds : all, in their order; those that fill no group are not averaged
    """

    seeds: Sequence[int]
    done: list[Result] = field(default_factory=list)
    _sums: dict[tuple[Key, int], list[tuple[FloatArray, WindowSet]]] = field(default_factory=dict)

    def add(self, key: Key, seed: int, windows: WindowSet, chances: FloatArray) -> Mean | None:
        """Keep the probabilities (n, classes) of a seed; their mean where its group is complete.

        None too where the seeds of a group were not asked about the same windows.
        """
        group = list(self.seeds).index(seed) // SEEDS
        if (group + 1) * SEEDS > len(self.seeds):
            return None
        first = self.seeds[group * SEEDS]
        kept = self._sums.setdefault((key, first), [])
        kept.append((chances, windows))
        if len(kept) < SEEDS:
            return None
        del self._sums[key, first]
        if any(not _same(windows, others) for _, others in kept):
            return None
        return Mean(first, np.asarray(np.mean([of_seed for of_seed, _ in kept], axis=0)))


def _same(windows: WindowSet, others: WindowSet) -> bool:
    pairs = ((windows.trials, others.trials), (windows.starts, others.starts))
    return all(np.array_equal(one, other) for one, other in pairs)


def beside_their_methods(results: Iterable[Result]) -> list[Result]:
    """Results with those of a mean behind those of their method, whose order stays as it is."""
    found = list(results)
    order = list(dict.fromkeys(method_of(result.method) for result in found))
    return sorted(
        found,
        key=lambda result: (
            order.index(method_of(result.method)),
            method_of(result.method) != result.method,
        ),
    )
