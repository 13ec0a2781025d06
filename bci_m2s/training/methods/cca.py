"""What two signals share linearly: canonical correlation of the mean step, and a classifier on it.

The axes are fitted on pairs of training windows without labels: features averaged over a window's steps,
each standardised over the training windows, each person's mean taken off, a ridge of 1 on both sides
(Hotelling 1936; Vinod 1976). One component for two classes, one fewer than the classes for more. Logistic
regression on the component of one signal then judges the same one, or the other's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bci_m2s.signal.normalise import SMALLEST_STD
from bci_m2s.training.data.sessions import Rows
from bci_m2s.training.data.windows import WindowSet
from bci_m2s.training.methods import Fit, Method, NotPossible
from bci_m2s.training.methods.canonical import canonical_maps, less_person
from bci_m2s.training.methods.linear import fit_logistic, mean_steps
from bci_m2s.types import FloatArray

RIDGE = 1.0  # beside variances of about 1
STRENGTH = 1.0  # inverse penalty of the classifier, on as few numbers as there are components


@dataclass(frozen=True)
class Axis:
    """The components of one modality. mean : (F,); weights : (F, K), of what is left without the mean"""

    mean: FloatArray
    weights: FloatArray

    def scores(self, windows: WindowSet, modality: str) -> FloatArray:
        """Components (n, K), each of variance 1 over the training windows."""
        return np.asarray((mean_steps(windows, [modality]) - self.mean) @ self.weights)


@dataclass(frozen=True)
class Axes:
    """The axes of some modalities; as a ``View``."""

    by_modality: Mapping[str, Axis]

    def __call__(self, windows: WindowSet, modalities: Sequence[str]) -> Rows:
        """Components of some modalities side by side, (n, K times their number)."""
        parts = [self.by_modality[name].scores(windows, name) for name in modalities]
        return np.concatenate(parts, axis=1)


def fit_axes(training: WindowSet, one: Sequence[str], other: Sequence[str], components: int) -> Axes:
    """Canonical axes of some modalities side by side with others; those of the first are kept apart.

    Raises
    ------
    NotPossible
        No window has all of them, or there are none to compare.
    """
    pairs = training.having([*one, *other])
    if not other:
        raise NotPossible("one modality alone shares nothing with another")
    if not len(pairs):
        raise NotPossible(f"no training window has {' and '.join([*one, *other])}")
    sides = [_Side(training, names) for names in (one, other)]
    rows = [less_person(side.standardised(pairs), pairs.subjects) for side in sides]
    weights, _ = canonical_maps(rows, components, [RIDGE, RIDGE])
    return Axes(
        {
            name: axis
            for side, weight in zip(sides, weights, strict=True)
            if len(side.names) == 1
            for name, axis in [(side.names[0], side.axis(training, weight))]
        }
    )


class _Side:
    def __init__(self, training: WindowSet, names: Sequence[str]) -> None:
        self.names = names
        known = mean_steps(training.having(names), names).astype(np.float64)
        self.mean, self.std = known.mean(axis=0), np.maximum(known.std(axis=0), SMALLEST_STD)

    def standardised(self, windows: WindowSet) -> FloatArray:
        return np.asarray((mean_steps(windows, self.names) - self.mean) / self.std)

    def axis(self, training: WindowSet, weights: FloatArray) -> Axis:
        """With components of variance 1 over the training windows."""
        scores = self.standardised(training.having(self.names)) @ weights
        weights = weights / np.maximum(scores.std(axis=0), SMALLEST_STD)
        return Axis(self.mean, weights / self.std[:, None])


def fit_within(parts: Mapping[str, WindowSet], modalities: tuple[str, ...], head: str) -> Fit:
    """Logistic regression on the components of some modalities, each against all others."""
    every = tuple(parts["train"].features)
    axes: dict[str, Axis] = {}
    for name in modalities:
        others = [other for other in every if other != name]
        axes[name] = fit_axes(parts["train"], [name], others, _components(parts, head)).by_modality[name]
    return _classified(parts, Axes(axes), modalities, head)


def fit_crossed(parts: Mapping[str, WindowSet], trained_on: str, tested_on: str, head: str) -> Fit:
    """Logistic regression on the components of one modality, for those of another."""
    axes = fit_axes(parts["train"], [trained_on], [tested_on], _components(parts, head))
    taught = _classified(parts, axes, (trained_on,), head)
    return Fit((tested_on,), taught.model, axes)


def _components(parts: Mapping[str, WindowSet], head: str) -> int:
    return max(1, int(parts["train"].labels[head].max(initial=0)))


def _classified(parts: Mapping[str, WindowSet], axes: Axes, names: tuple[str, ...], head: str) -> Fit:
    train = parts["train"].having(names, head)
    if not len(train):
        raise NotPossible(f"no labelled training window has {' and '.join(names)}")
    return Fit(names, fit_logistic(axes(train, names), train.labels[head], STRENGTH), axes)


CCA = Method(guess=fit_within, cross=fit_crossed, draws=False, pretrained=False)
