"""The block ``drift`` of a contract with its arrays, from windows of people or of one person's trials."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci_m2s.model.contract import DriftContract, DriftLimits, ModalityContract, WindowContract
from bci_m2s.model.feature_size import build_extractor
from bci_m2s.signal.drift import DriftWatch, Reference
from bci_m2s.signal.normalise import NORMALISERS, NoBaseline
from bci_m2s.training.drift.fit import (
    SHARE,
    SMOOTHING_S,
    PersonWindows,
    fit_limits,
    fit_reference,
    measured_distances,
    with_limits,
)

FEWEST_PEOPLE = 8  # in training and in validation: a quantile over fewer is a guess
FEWEST_OWN_TRIALS = 8
OWN_FOLDS = 5
MOST_FEATURES = 2048  # the covariance of more would make a file of tens of megabytes
Fold = tuple[Sequence[PersonWindows], Sequence[PersonWindows]]  # training and validation people


@dataclass(frozen=True)
class FittedDrift:
    """A contract's block ``drift``, and its arrays by name behind "MODALITY."."""

    block: DriftContract
    arrays: dict[str, NDArray[Any]]


def fit_drift(
    people: Sequence[PersonWindows],
    folds: Sequence[Fold],
    spec: ModalityContract,
    window: WindowContract,
    advance: Callable[[], object] = lambda: None,
) -> FittedDrift | str:
    """The drift block of a modality; why there can be none, in words, where data are too few.

    Parameters
    ----------
    people : whose statistics the model holds
    folds : nobody is in both parts of a fold. Its validation people are measured from its training people
    advance : called after each validation person
    """
    n_validation = sum(len(validation) for _, validation in folds)
    fewest = min((len(training) for training, _ in folds), default=0)
    for n, kind in ((n_validation, "validation"), (fewest, "training")):
        if n < FEWEST_PEOPLE:
            return f"got {n} {kind} people, expected at least {FEWEST_PEOPLE}"
    if spec.feature.n_features > MOST_FEATURES:
        return f"got {spec.feature.n_features} features, expected at most {MOST_FEATURES}"
    found = _fitted(people, folds, _views(spec), spec, window, advance)
    limits, arrays = _as_stored(found)
    numbers = {"people": len(people), "validation_people": n_validation}
    return FittedDrift(DriftContract(views=limits, smoothing_s=SMOOTHING_S, share=SHARE, **numbers), arrays)


def fit_own_drift(
    trials: Sequence[PersonWindows],
    spec: ModalityContract,
    window: WindowContract,
    before: FittedDrift | None = None,
) -> FittedDrift | str:
    """The drift block of a model that was calibrated on one person; why there can be none, in words.

    The limit is chosen on trials that the statistics are not of. It knows nothing of another day.

    Parameters
    ----------
    trials : windows of each trial of this person, of all classes, in order
    before : of the model that was calibrated, kept beside the person's own
    """
    if len(trials) < FEWEST_OWN_TRIALS:
        return f"got {len(trials)} trials, expected at least {FEWEST_OWN_TRIALS}"
    if spec.feature.n_features > MOST_FEATURES:
        return f"got {spec.feature.n_features} features, expected at most {MOST_FEATURES}"
    folds = []
    for part in np.array_split(np.arange(len(trials)), OWN_FOLDS):
        folds.append(
            ([one for n, one in enumerate(trials) if n not in part], [trials[n] for n in part.tolist()])
        )
    found = _fitted(trials, folds, [f"own_{view}" for view in _views(spec)], spec, window, lambda: None)
    limits, arrays = _as_stored(found)
    if before is None:
        block = DriftContract(views=limits, smoothing_s=SMOOTHING_S, share=SHARE, own_trials=len(trials))
        return FittedDrift(block, arrays)
    views = {**before.block.views, **limits}
    block = before.block.model_copy(update={"views": views, "own_trials": len(trials)})
    return FittedDrift(block, {**before.arrays, **arrays})


def _views(spec: ModalityContract) -> list[str]:
    """What a modality's features are looked at as: nothing is relative where there is no baseline."""
    has_none = NORMALISERS[spec.normaliser.name] is NoBaseline
    return ["profile"] if has_none else ["profile", "change"]


def _fitted(
    people: Sequence[PersonWindows],
    folds: Sequence[Fold],
    views: Sequence[str],
    spec: ModalityContract,
    window: WindowContract,
    advance: Callable[[], object],
) -> dict[str, Reference]:
    """References of all people, with limits from the folds."""
    names = build_extractor(spec, window, spec.rate_min_hz).names
    every = window.steps * window.blocks_per_step
    distances = []
    for training, validation in folds:
        references = {view: fit_reference([one.view(view) for one in training], every) for view in views}
        watch = DriftWatch(references, names, spec.channels, SMOOTHING_S, window.hop_s)
        for one in validation:
            distances.append(measured_distances(watch, one))
            advance()
    if len(folds) > 1:
        references = {view: fit_reference([one.view(view) for one in people], every) for view in views}
    return with_limits(references, fit_limits(distances, window.hop_s))


def _as_stored(found: dict[str, Reference]) -> tuple[dict[str, DriftLimits], dict[str, NDArray[Any]]]:
    limits = {view: DriftLimits(whole=one.whole, channel=one.channel) for view, one in found.items()}
    arrays: dict[str, NDArray[Any]] = {}
    for view, one in found.items():
        arrays[f"drift.{view}.mean"], arrays[f"drift.{view}.scale"] = one.mean, one.scale
        arrays[f"drift.{view}.precision"] = one.precision.astype(np.float32)
    return limits, arrays
