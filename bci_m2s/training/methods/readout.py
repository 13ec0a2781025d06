"""A linear map behind each modality's projection that brings the modalities into line, without labels.

Canonical correlations of the projections on pairs of training windows, each person's mean taken off
first, so that who it is has no say. Component k is scaled to unit variance over the training windows and
multiplied by its correlation: what the modalities share counts, what they do not share fades.

Source: see ``canonical``.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from bci_m2s.errors import TrainingError
from bci_m2s.networks.m2s import Classifier, SingleModality
from bci_m2s.training.data.windows import WindowSet
from bci_m2s.training.methods.canonical import canonical_maps, less_person
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
    centred = {name: less_person(rows, pairs.subjects) for name, rows in projected.items()}
    sets = list(centred.values())
    maps, shared = canonical_maps(sets, components, [RIDGE * _largest_variance(rows) for rows in sets])
    for (name, network), weight in zip(networks.items(), maps, strict=True):
        rows = project(network, training.having([name]).features[name]) @ weight
        scale = shared / np.maximum(rows.std(axis=0), 1e-9)
        _attach(network, weight * scale, rows.mean(axis=0) * scale)


def _largest_variance(rows: FloatArray) -> float:
    """Along any direction. rows : (n, P), centred"""
    return max(float(np.linalg.eigvalsh(rows.T @ rows / len(rows))[-1]), 1e-12)


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
