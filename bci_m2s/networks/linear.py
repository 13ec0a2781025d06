"""The smallest network: the mean of a window's steps, and one linear map per head.

What is learnt of one participant with a linear solver lives in a model file as this.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from bci_m2s.errors import ContractError


class MeanOverSteps(nn.Module):
    """(B, T, F) → (B, F)."""

    def forward(self, z: Tensor) -> Tensor:
        """z : (B, T, F)."""
        return z.mean(dim=1)


class LinearHead(nn.Module):
    """(B, F) → (B, classes) logits."""

    def __init__(self, n_features: int, n_classes: int) -> None:
        super().__init__()
        self.out = nn.Linear(n_features, n_classes)

    def forward(self, p: Tensor) -> Tensor:
        """p : (B, F)."""
        return self.out(p)


class LinearNetwork(nn.Module):
    """Linear classifiers of one modality: (B, T, F) → logits of every head.

    heads : number of classes by name
    """

    def __init__(self, n_features: int, heads: Mapping[str, int]) -> None:
        super().__init__()
        self.encoder, self.projection, self.heads = nn.Identity(), MeanOverSteps(), nn.ModuleDict()
        for name, n_classes in heads.items():
            if hasattr(self.heads, name):  # torch keeps the name of every attribute of a module
                expected = "a name that torch does not use itself"
                raise ContractError("network", "heads", repr(name), expected)
            self.heads[name] = LinearHead(n_features, n_classes)

    def embed(self, features: Tensor) -> Tensor:
        """features : (B, T, F) → the same."""
        return features

    def project(self, features: Tensor) -> Tensor:
        """features : (B, T, F) → (B, F)."""
        return self.projection(features)

    def forward(self, features: Tensor) -> dict[str, Tensor]:
        """features : (B, T, F) → head: (B, classes) logits, in the order of the heads."""
        projected = self.project(features)
        return {name: head(projected) for name, head in self.heads.items()}


def linear_network(*, n_features: int, n_channels: int, classes: Mapping[str, int]) -> LinearNetwork:
    """Build "linear". Raises ContractError for a head's name that cannot be used."""
    del n_channels  # every entry of NETWORKS is built alike
    return LinearNetwork(n_features, classes)
