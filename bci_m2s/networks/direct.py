"""M2S networks whose answer is added to that of a linear map of the features themselves.

What people share is in the encoder; what one participant has of their own is in the linear map, which a
calibration fits. With logits as logarithms of probabilities the sum is their product: two witnesses heard
together (Genest & Zidek 1986, "Combining probability distributions").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from bci_m2s.networks.m2s import SingleModality, electrode_network, sequence_network

BESIDE = "-linear"  # behind an M2S network's name: with a linear map beside it


class DirectModality(SingleModality):
    """A ``SingleModality`` with a linear map beside each classifier: (B, T, F) → logits of every head.

    direct : a linear map of the mean over the steps for each head, by its name; zero at first
    """

    def __init__(self, network: SingleModality, n_features: int, classes: Mapping[str, int]) -> None:
        readout = network.readout if isinstance(network.readout, nn.Linear) else None
        super().__init__(network.encoder, network.projection, network.heads, readout)
        self.direct = nn.ModuleDict({name: _nothing(n_features, n) for name, n in classes.items()})

    def answer(self, embedded: Tensor, features: Tensor) -> dict[str, Tensor]:
        """The sum of both; see ``SingleModality.answer``."""
        mean = features.mean(dim=1)
        return {
            name: logits + self.direct[name](mean)
            for name, logits in super().answer(embedded, features).items()
        }


def without_linear(network: SingleModality) -> SingleModality:
    """A network without the linear map beside its classifiers; one that has none as it is."""
    if not isinstance(network, DirectModality):
        return network
    readout = network.readout if isinstance(network.readout, nn.Linear) else None
    return SingleModality(network.encoder, network.projection, network.heads, readout)


def _nothing(n_features: int, n_classes: int) -> nn.Linear:
    """A linear layer of zeros."""
    layer = nn.Linear(n_features, n_classes)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def electrode_with_linear(
    *, n_features: int, n_channels: int, classes: Mapping[str, int], **sizes: Any
) -> DirectModality:
    """Build "m2s-electrode-linear". Parameters and errors as for "m2s-electrode"."""
    network = electrode_network(n_features=n_features, n_channels=n_channels, classes=classes, **sizes)
    return DirectModality(network, n_features, classes)


def sequence_with_linear(
    *, n_features: int, n_channels: int, classes: Mapping[str, int], **sizes: Any
) -> DirectModality:
    """Build "m2s-sequence-linear". Parameters and errors as for "m2s-sequence"."""
    network = sequence_network(n_features=n_features, n_channels=n_channels, classes=classes, **sizes)
    return DirectModality(network, n_features, classes)


@torch.no_grad()
def added(layer: nn.Linear, factor: float, weight: Tensor, bias: Tensor) -> None:
    """Make a linear layer `factor` times itself plus another one.

    weight : (classes, D); bias : (classes,)
    """
    layer.weight.mul_(factor).add_(weight)
    layer.bias.mul_(factor).add_(bias)
