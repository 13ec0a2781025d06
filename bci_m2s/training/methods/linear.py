"""The best linear model of a window: flat, or as its mean over steps, with the better penalty of many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression

from bci_m2s.training.data.sessions import Rows
from bci_m2s.training.data.windows import WindowSet
from bci_m2s.training.methods import Fit, Method, NotPossible, View, flat
from bci_m2s.training.results.metrics import mean_over_subjects
from bci_m2s.types import FloatArray

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # inverse penalties, chosen on validation people
NEVER = -30.0  # logit of a class that nobody showed
USUAL = 1e-2  # with the mean over steps, where no validation person has labels: few numbers for few labels


def mean_steps(windows: WindowSet, modalities: Sequence[str]) -> Rows:
    """Features of some modalities side by side, (n, F), each the mean over a window's steps."""
    return np.concatenate([windows.features[name].mean(axis=1) for name in modalities], axis=1)


VIEWS: tuple[View, ...] = (flat, mean_steps)


def fit_linear(
    parts: Mapping[str, WindowSet], modalities: tuple[str, ...], head: str, views: Sequence[View] = VIEWS
) -> Fit:
    """Logistic regression with the view and the penalty that are best on validation windows.

    Where no validation window has a label, those written down before: the last view and ``USUAL``.

    Raises
    ------
    NotPossible
        No labelled training window has the modalities, or none of the validation windows with labels.
    """
    train, validation = (parts[part].having(modalities, head) for part in ("train", "validation"))
    is_chosen = bool(len(parts["validation"].having([], head)))
    if not len(train) or (is_chosen and not len(validation)):
        part = "validation" if len(train) else "training"
        raise NotPossible(f"no labelled {part} window has {' and '.join(modalities)}")
    if not is_chosen:
        view = views[-1]
        return Fit(modalities, fit_logistic(view(train, modalities), train.labels[head], USUAL), view)
    fits = [
        Fit(modalities, fit_logistic(view(train, modalities), train.labels[head], strength), view)
        for view in views
        for strength in STRENGTHS
    ]
    return max(fits, key=lambda fitted: _score(fitted, validation, head))


def fit_logistic(rows: Rows, labels: Any, strength: float, class_weight: str = "balanced") -> Any:
    """Logistic regression; where there is one class alone, that one.

    class_weight : "balanced", classes of equal weight, or "none"
    """
    if len(np.unique(labels)) < 2:
        return DummyClassifier(strategy="most_frequent").fit(rows, labels)
    weight = None if class_weight == "none" else class_weight
    regression = LogisticRegression(C=strength, max_iter=2000, class_weight=weight)
    with np.errstate(invalid="ignore"):  # BLAS flags what lies beside a short row
        return regression.fit(rows, labels)


def as_logits(model: Any, n_features: int, n_classes: int) -> tuple[FloatArray, FloatArray]:
    """What ``fit_logistic`` gave as weights (features, classes) and bias (classes,) of logits.

    A class that it did not see is never the answer.
    """
    weights, bias = np.zeros((n_features, n_classes)), np.full(n_classes, NEVER)
    if len(model.classes_) < 2:
        bias[model.classes_] = 0.0
    elif len(model.classes_) == 2:  # one row of coefficients, for the second class
        weights[:, model.classes_] = np.stack([-model.coef_[0], model.coef_[0]], axis=1) / 2
        bias[model.classes_] = np.array([-model.intercept_[0], model.intercept_[0]]) / 2
    else:
        weights[:, model.classes_], bias[model.classes_] = model.coef_.T, model.intercept_
    return weights, bias


def _score(fitted: Fit, validation: WindowSet, head: str) -> tuple[float, float]:
    """Balanced accuracy, mean over people, and of equals the log likelihood.

    Of one class alone a constant guess gets all right, so the likelihood decides.
    """
    labels = validation.labels[head]
    known = np.asarray(fitted.model.classes_)
    chances = fitted.model.predict_proba(fitted.view(validation, fitted.modalities))
    seen = np.isin(labels, known)  # a class that nobody trained on is wrong with any penalty
    own = chances[np.flatnonzero(seen), np.searchsorted(known, labels[seen])]
    likelihood = float(np.log(np.maximum(own, 1e-12)).sum())
    if len(np.unique(labels)) < 2:
        return 0.0, likelihood
    guesses = known[chances.argmax(axis=1)]
    n_classes = int(max(labels.max(), known.max())) + 1
    return mean_over_subjects(labels, guesses, validation.subjects, n_classes), likelihood


LINEAR = Method(guess=fit_linear, draws=False, pretrained=False)
