"""Logistic regression on a frozen network's projections, written into its classifiers.

With few labelled windows a classifier that descends batch by batch is still near its random start when its
epochs end, and an epoch's number means another number of steps for each number of labels. A logistic
regression has one optimum. Its weights go into the classifier as it is: a hidden layer that hands on each
projection and its negative, so that the ReLU loses nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from bci_m2s.errors import TrainingError
from bci_m2s.networks.m2s import Classifier, SingleModality
from bci_m2s.training.data.windows import WindowSet
from bci_m2s.training.methods.finetune import Fitted, Part, project
from bci_m2s.training.methods.linear import as_logits, fit_logistic
from bci_m2s.training.results.metrics import mean_over_subjects
from bci_m2s.types import FloatArray

STRENGTH = 1.0  # inverse of the penalty, for components of about unit variance


def fit_logistic_classifiers(
    network: SingleModality, parts: Mapping[str, WindowSet], modality: str, class_weight: str
) -> Fitted:
    """Fit every head on the labels of one modality; `network` itself is changed.

    class_weight : "balanced" or "none"

    Raises
    ------
    TrainingError
        No labelled training window, or fewer hidden units than twice the width that classifiers see.
    """
    train = Part.of(parts["train"], modality)
    if not len(train):
        raise TrainingError(f"{modality}: no labelled train windows are left")
    rows = project(network, train.features.numpy())
    for head, classifier in network.heads.items():
        assert isinstance(classifier, Classifier)
        labels = train.labels[head].numpy()
        known = labels >= 0
        model = fit_logistic(rows[known], labels[known], STRENGTH, class_weight)
        weights, bias = as_logits(model, rows.shape[1], classifier.out.out_features)
        _write(classifier, weights, bias, f"{modality}, {head}")
    network.requires_grad_(False).eval()
    score = _score(network, Part.of(parts["validation"], modality))
    return Fitted(network, score, epoch=0, learning_rate=0.0, weight_decay=0.0)  # nothing is chosen


@torch.no_grad()
def _write(classifier: Classifier, weights: FloatArray, bias: FloatArray, what: str) -> None:
    """Let the classifier answer with rows @ weights + bias."""
    width, hidden, norm = len(weights), classifier.hidden, classifier.norm
    if hidden.out_features < 2 * width:
        raise TrainingError(
            f"finetune.classifier: logistic: {what}: got {hidden.out_features} hidden units, expected at "
            f"least {2 * width}, twice the {width} numbers that it sees: set finetune.readout lower"
        )
    identity = torch.eye(width)
    hidden.weight.zero_()
    hidden.weight[: 2 * width] = torch.cat([identity, -identity])
    hidden.bias.zero_()
    norm.reset_running_stats()
    norm.weight.fill_(float(np.sqrt(1.0 + norm.eps)))  # it divides by √(variance + eps)
    norm.bias.zero_()
    both = torch.from_numpy(np.concatenate([weights, -weights]).T.copy()).float()
    classifier.out.weight.zero_()
    classifier.out.weight[:, : 2 * width] = both
    classifier.out.bias.copy_(torch.from_numpy(bias).float())


@torch.no_grad()
def _score(network: SingleModality, validation: Part) -> float:
    """Balanced accuracy, mean over people and heads; NaN without labelled validation windows."""
    if not len(validation):
        return float("nan")
    projected = torch.from_numpy(project(network, validation.features.numpy())).float()
    scores = []
    for head, classifier in network.heads.items():
        labels = validation.labels[head].numpy()
        known = labels >= 0
        logits = classifier(projected).numpy()
        if known.any():
            people = validation.subjects[known]
            guesses = logits.argmax(axis=1)[known]
            scores.append(mean_over_subjects(labels[known], guesses, people, logits.shape[1]))
    return float(np.mean(scores)) if scores else float("nan")
