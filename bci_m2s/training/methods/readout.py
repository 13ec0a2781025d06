"""A linear map behind each modality's projection that brings the modalities into line, without labels.

Canonical correlations of the projections on pairs of training windows, each person's mean taken off
first, so that who it is has no say. Component k is scaled to unit variance over the training windows and
multiplied by its correlation: what the modalities share counts, what they do not share fades.

Sources: Hotelling 1936; with a ridge Vinod 1976; of more than two sets as Kettenring 1971 ("MAXVAR"), which
for two are the canonical correlations.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from bci_m2s.errors import TrainingError
from bci_m2s.networks.m2s import Classifier, SingleModality
from bci_m2s.training.data.windows import WindowSet
from bci_m2s.training.methods.finetune import project
from bci_m2s.types import FloatArray

RIDGE = 1e-2  # of the largest variance of a modality


def fit_readouts(networks: Mapping[str, SingleModality], training: WindowSet, components: int) -> None:
    """Put a readout of so many components behind every network's projection; classifiers are new.

    Raises
    ------
    TrainingError
        There are fewer pairs of windows than components.
    """
    pairs = training.having(list(networks))
    if len(pairs) <= components:
        raise TrainingError(
            f"got {len(pairs)} windows with {' and '.join(networks)}, expected more than the {components} "
            "components of finetune.readout"
        )
    for network in networks.values():
        network.projection.is_linear, network.readout = True, nn.Identity()
    projected = {name: project(network, pairs.features[name]) for name, network in networks.items()}
    centred = {name: _less_person(rows, pairs.subjects) for name, rows in projected.items()}
    maps, shared = canonical_maps(list(centred.values()), components)
    for (name, network), weight in zip(networks.items(), maps, strict=True):
        rows = project(network, training.having([name]).features[name]) @ weight
        scale = shared / np.maximum(rows.std(axis=0), 1e-9)
        _attach(network, weight * scale, rows.mean(axis=0) * scale)


def canonical_maps(sets: list[FloatArray], components: int) -> tuple[list[FloatArray], FloatArray]:
    """Maps (P, K) of each set of centred rows (n, P), and each component's correlation (K,), from 0 to 1.

    Of more than two sets the correlation is the mean over pairs.
    """
    whiteners = [_whitener(rows) for rows in sets]
    white = np.concatenate(
        [rows @ whitener for rows, whitener in zip(sets, whiteners, strict=True)], axis=1
    )
    values, vectors = np.linalg.eigh(white.T @ white / len(white))
    best = np.argsort(values)[::-1][:components]
    width = sets[0].shape[1]
    blocks = [vectors[i * width : (i + 1) * width, best] for i in range(len(sets))]
    maps = [whitener @ block for whitener, block in zip(whiteners, blocks, strict=True)]
    return maps, np.clip((values[best] - 1) / (len(sets) - 1), 0.0, 1.0)


def _whitener(rows: FloatArray) -> FloatArray:
    """Symmetric map (P, P) after which columns are uncorrelated and of variance 1, but for the ridge."""
    covariance = rows.T @ rows / len(rows)
    values, vectors = np.linalg.eigh(covariance)
    return (vectors / np.sqrt(np.maximum(values, 0.0) + RIDGE * max(values[-1], 1e-12))) @ vectors.T


def _less_person(rows: FloatArray, subjects: NDArray[np.int64]) -> FloatArray:
    people, whose = np.unique(subjects, return_inverse=True)
    means = np.stack([rows[whose == i].mean(axis=0) for i in range(len(people))])
    return rows - means[whose]


def _attach(network: SingleModality, weight: FloatArray, offset: FloatArray) -> None:
    """weight : (P, K); offset : (K,) is subtracted"""
    width, components = weight.shape
    readout = nn.Linear(width, components)
    readout.weight.data = torch.from_numpy(np.ascontiguousarray(weight.T)).float()
    readout.bias.data = torch.from_numpy(-offset).float()
    network.readout = readout
    for name, head in network.heads.items():
        assert isinstance(head, Classifier)
        network.heads[name] = Classifier(components, head.hidden.out_features, head.out.out_features)
    network.eval()
