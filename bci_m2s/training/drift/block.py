"""The block ``drift`` of a contract with its arrays, from windows of people or of one person's trials."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci_m2s.model.contract import DriftContract, DriftLimits, ModalityContract, WindowContract
from bci_m2s.model.feature_size import build_extractor
from bci_m2s.pipeline.drift import coupling_names_of
from bci_m2s.signal.drift import COUPLING, COURSE, DriftWatch, Reference
from bci_m2s.training.drift.fit import (
    SHARE,
    SMOOTHING_S,
    WAIT_S,
    PersonWindows,
    fit_reference,
    known_mean,
    measured_distances,
    with_limits,
)
from bci_m2s.training.drift.pairs import pairs_of

FEWEST_PEOPLE = 8  # in training and in validation: a quantile over fewer is a guess
FEWEST_OWN_SESSIONS = 19  # of n sessions, the next is the furthest with a chance of 1 in n + 1: at most 5 %
VIEWS = ("profile", COURSE)
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
            return f"got {n} {kind} {'person' if n == 1 else 'people'}, expected at least {FEWEST_PEOPLE}"
    if spec.feature.n_features > MOST_FEATURES:
        return f"got {spec.feature.n_features} features, expected at most {MOST_FEATURES}"
    everybody = [*people, *(one for fold in folds for part in fold for one in part)]
    pairs = pairs_of(spec) if all(one.coupling is not None for one in everybody) else None
    fitted = _fitted(people, folds, spec, window, advance, pairs)
    if isinstance(fitted, str):
        return fitted
    found, n_measured = fitted
    limits, arrays = _as_stored(found)
    numbers = {"people": len(people), "validation_people": n_measured}
    if pairs is not None:
        numbers["pairs"], arrays["drift.pairs"] = len(pairs), pairs.astype(np.int64)
    return FittedDrift(
        DriftContract(views=limits, smoothing_s=SMOOTHING_S, wait_s=WAIT_S, share=SHARE, **numbers), arrays
    )


def fit_own_drift(
    sessions: Sequence[PersonWindows],
    spec: ModalityContract,
    window: WindowContract,
    before: FittedDrift,
) -> FittedDrift | str:
    """The drift block of a model that was calibrated on one person; why there can be none, in words.

    Beside the views of `before` it has ``own``: this person's mean over sessions, with the covariance that
    the training people have within one. Its limit is chosen on sessions that the mean is not of.

    Parameters
    ----------
    sessions : windows of each session of this person, inside trials of all classes, in order
    before : of the model that is calibrated
    """
    sessions = [one for one in sessions if len(one.begins)]
    if len(sessions) < FEWEST_OWN_SESSIONS:
        many = "session" if len(sessions) == 1 else "sessions"
        return f"got {len(sessions)} {many} of this person, expected at least {FEWEST_OWN_SESSIONS}"
    names = build_extractor(spec, window, spec.rate_min_hz).names
    scale = before.arrays[f"drift.{COURSE}.scale"]
    precision = before.arrays[f"drift.{COURSE}.precision"].astype(np.float64)
    usual = before.arrays[f"drift.{COURSE}.usual"]

    def own(some: Sequence[PersonWindows]) -> dict[str, Reference]:
        mean = known_mean(np.array([known_mean(one.values.astype(np.float64)) for one in some]))
        return {"own": Reference(mean, scale, precision, usual)}

    distances = []
    for number, session in enumerate(sessions):
        others = own([*sessions[:number], *sessions[number + 1 :]])
        watch = DriftWatch(others, names, spec.channels, SMOOTHING_S, window.hop_s)  # trials may be short
        distances.append(measured_distances(watch, session))
    found = with_limits(own(sessions), distances, names, spec.channels, window.hop_s, keep_usual=True)
    limits, arrays = _as_stored(found)
    block = before.block.model_copy(
        update={"views": {**before.block.views, **limits}, "own_sessions": len(sessions)}
    )
    return FittedDrift(block, {**before.arrays, **arrays})


def _fitted(
    people: Sequence[PersonWindows],
    folds: Sequence[Fold],
    spec: ModalityContract,
    window: WindowContract,
    advance: Callable[[], object],
    pairs: NDArray[np.intp] | None,
) -> tuple[dict[str, Reference], int] | str:
    """References of all people, with limits from the folds, and of how many people these are."""
    extractor = build_extractor(spec, window, spec.rate_min_hz)
    names = extractor.names
    every = window.steps * window.blocks_per_step
    views = VIEWS if pairs is None else (*VIEWS, COUPLING)
    couplings = coupling_names_of(extractor, spec.channels, pairs)
    distances = []
    for training, validation in folds:
        references = {view: fit_reference(training, view, every) for view in views}
        watch = DriftWatch(references, names, spec.channels, SMOOTHING_S, window.hop_s, couplings, WAIT_S)
        for one in validation:
            if found := measured_distances(watch, one):
                distances.append(found)
            advance()
    if len(distances) < FEWEST_PEOPLE:
        some = f"with windows for more than {WAIT_S:g} s on end"
        return f"got {len(distances)} validation people {some}, expected at least {FEWEST_PEOPLE}"
    if len(folds) > 1:
        references = {view: fit_reference(people, view, every) for view in views}
    limited = with_limits(references, distances, names, spec.channels, window.hop_s, couplings=couplings)
    return limited, len(distances)


def _as_stored(found: dict[str, Reference]) -> tuple[dict[str, DriftLimits], dict[str, NDArray[Any]]]:
    limits = {view: DriftLimits(whole=one.whole, channel=one.channel) for view, one in found.items()}
    arrays: dict[str, NDArray[Any]] = {}
    for view, one in found.items():
        for part in ("mean", "scale", "usual"):
            arrays[f"drift.{view}.{part}"] = getattr(one, part)
        arrays[f"drift.{view}.precision"] = one.precision.astype(np.float32)
    return limits, arrays
