"""A linear map of the features beside each classifier, as another witness of the same labels.

Logistic regression on the mean over a window's steps, on the training windows that the classifier had, is
added to its logits; how much of it is chosen on validation windows (Genest & Zidek 1986, "Combining
probability distributions": a weighted product of the two answers). Of a modality's own labels it is part of
what they taught, so it stays behind where a classifier judges another modality.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax
from torch import nn

from bci_m2s.networks.direct import DirectModality
from bci_m2s.networks.m2s import Classifier
from bci_m2s.training.data.windows import WindowSet
from bci_m2s.training.methods.finetune import Fitted, head_logits
from bci_m2s.training.methods.linear import as_logits, fit_logistic, mean_steps
from bci_m2s.training.methods.model_files import fit_temperature
from bci_m2s.types import FloatArray

STRENGTHS = (1e-4, 1e-3, 1e-2)  # inverse penalties
WEIGHTS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)  # of the linear map beside the classifier


def with_linear(fitted: Fitted, parts: Mapping[str, WindowSet], modality: str) -> Fitted:
    """The same network with a linear map beside each classifier.

    Penalty and weight have the lowest loss on validation windows, after the temperature that is best for
    each; a head without labelled training or validation windows, or without all of its classes among them,
    keeps a map of zeros.
    """
    network = fitted.network
    sizes = {name: cast(Classifier, one).out.out_features for name, one in network.heads.items()}
    n_features = parts["train"].features[modality].shape[2]
    made = DirectModality(network, n_features, sizes)
    for head, n_classes in sizes.items():
        train, validation = (parts[part].having([modality], head) for part in ("train", "validation"))
        if len(validation) and len(np.unique(train.labels[head])) == n_classes:
            _fill(made, train, validation, modality, head)
    return replace(fitted, network=made.requires_grad_(False).eval())


def _fill(
    network: DirectModality, train: WindowSet, validation: WindowSet, modality: str, head: str
) -> None:
    """Set one head's map to the best that was tried."""
    own = head_logits(network, validation.features[modality])[head]
    rows, labels = mean_steps(train, [modality]), train.labels[head]
    tests, truth = mean_steps(validation, [modality]), validation.labels[head]
    best, least = None, np.inf
    for strength in STRENGTHS:
        model = fit_logistic(rows, labels, strength)
        weights, bias = as_logits(model, rows.shape[1], own.shape[1])
        for share in WEIGHTS:
            loss = _loss(own + share * (tests @ weights + bias), truth)
            if loss < least:
                best, least = (share * weights, share * bias), loss
    assert best is not None  # losses are finite
    layer = cast(nn.Linear, network.direct[head])
    layer.weight.data = torch.from_numpy(np.ascontiguousarray(best[0].T)).float()
    layer.bias.data = torch.from_numpy(best[1]).float()


def _loss(logits: FloatArray, labels: NDArray[np.int64]) -> float:
    """The lowest negative log likelihood over temperatures."""
    scores = log_softmax(logits / fit_temperature(logits, labels), axis=1)
    return -float(scores[np.arange(len(labels)), labels].mean())
