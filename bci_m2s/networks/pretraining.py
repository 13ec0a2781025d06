"""What pre-training adds to the networks of the modalities: nothing of it is needed to run live.

Shapes: B windows in a batch, T steps, F features per step, E embedding, N prediction steps. For each of
the two modalities A and B of a pair,

ER    the network's own encoder: what is about emotion and shared, (B, T, E)
EI    a small encoder for what is particular to the modality, (B, T, E)

The decoder rebuilds the input from both, the predictor foretells later ER embeddings (M2M CPC), and a
Gaussian model of EI given ER bounds the information that the two share (CLUB).

Three or more modalities are pre-trained pair by pair, with one encoder each.

Sources: Liu, Cai, Lu, Zheng, "Multi-to-Single", AAAI 2025, doi 10.1609/aaai.v39i2.32134; Cheng et al.,
"CLUB: A Contrastive Log-ratio Upper Bound of Mutual Information", ICML 2020, arXiv 2006.12013; Tian,
Krishnan, Isola, "Contrastive Multiview Coding", ECCV 2020, arXiv 1906.05849 (every pair of the views).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any

import torch
from torch import Tensor, nn

from bci_m2s.errors import ContractError
from bci_m2s.networks.dense import Linear
from bci_m2s.networks.m2s import SingleModality

INITIAL_LOGIT_SCALE = math.log(1 / 0.07)  # a temperature of 0.07


class InteractionEncoder(nn.Module):
    """EI encoder, linear and ReLU: (B, T, F) → (B, T, E)."""

    def __init__(self, n_features: int, embedding: int = 128) -> None:
        super().__init__()
        self.linear = Linear(n_features, embedding)

    def forward(self, x: Tensor) -> Tensor:
        """x : (B, T, F) → (B, T, E)."""
        return torch.relu(self.linear(x))


class Decoder(nn.Module):
    """Rebuilds the input from both embeddings, linear throughout: → (B, T, F)."""

    def __init__(self, n_features: int, embedding: int = 128) -> None:
        super().__init__()
        self.er_linear = Linear(embedding, embedding)
        self.out = Linear(2 * embedding, n_features)

    def forward(self, er: Tensor, ei: Tensor) -> Tensor:
        """er, ei : (B, T, E) → (B, T, F)."""
        return self.out(torch.cat([self.er_linear(er), ei], dim=-1))


class ClubEstimator(nn.Module):
    """q(z' | z) = N(μ(z), diag exp(logvar(z))), with logvar between −1 and 1."""

    def __init__(self, embedding: int = 128, hidden: int = 32) -> None:
        super().__init__()
        self.mean = _mlp(embedding, hidden)
        self.logvar = nn.Sequential(_mlp(embedding, hidden), nn.Tanh())

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """z : (..., E) → mean and log variance of z', (..., E) each."""
        return self.mean(z), self.logvar(z)


def _mlp(embedding: int, hidden: int) -> nn.Sequential:
    widths = pairwise((embedding, hidden, hidden, hidden))
    layers = [layer for width in widths for layer in (nn.Linear(*width), nn.ReLU())]
    return nn.Sequential(*layers, nn.Linear(hidden, embedding))


class CrossModalPredictor(nn.Module):
    """M2M CPC: from the steps up to t of both modalities, the embeddings of steps t+1 to t+N.

    An LSTM per modality makes a context. The predictions of a modality see its own context first and
    the other's second; they are held against the later embeddings of both modalities.

    Parameters
    ----------
    embedding : E
    hidden : width of a context; the LSTM has two layers
    predictions : N
    """

    def __init__(self, embedding: int = 128, hidden: int = 64, predictions: int = 2) -> None:
        super().__init__()
        self.predictions = predictions
        self.lstm_a = nn.LSTM(embedding, hidden, num_layers=2, batch_first=True)
        self.lstm_b = nn.LSTM(embedding, hidden, num_layers=2, batch_first=True)
        self.heads_a = nn.ModuleList(nn.Linear(2 * hidden, embedding) for _ in range(predictions))
        self.heads_b = nn.ModuleList(nn.Linear(2 * hidden, embedding) for _ in range(predictions))

    def contexts(self, er_a: Tensor, er_b: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """LSTM outputs at `step` over steps 0 to `step`: (B, T, E) twice → (B, hidden) twice."""
        context_a, _ = self.lstm_a(er_a[:, : step + 1])
        context_b, _ = self.lstm_b(er_b[:, : step + 1])
        return context_a[:, -1], context_b[:, -1]

    def forward(self, er_a: Tensor, er_b: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """er_a, er_b : (B, T, E) → predictions of A and of B, (N, B, E) each."""
        own_a, own_b = self.contexts(er_a, er_b, step)
        from_a, from_b = torch.cat([own_a, own_b], dim=-1), torch.cat([own_b, own_a], dim=-1)
        predicted_a = torch.stack([head(from_a) for head in self.heads_a])
        predicted_b = torch.stack([head(from_b) for head in self.heads_b])
        return predicted_a, predicted_b


@dataclass(frozen=True, slots=True)
class Encoded:
    """One modality's batch. x : (B, T, F) as it went in; er, ei : (B, T, E)."""

    x: Tensor
    er: Tensor
    ei: Tensor

    def detached(self) -> Encoded:
        """The same numbers without their graph."""
        return Encoded(self.x.detach(), self.er.detach(), self.ei.detach())

    def float(self) -> Encoded:
        """In float32, whatever precision the encoders ran in."""
        return Encoded(self.x.float(), self.er.float(), self.ei.float())


class ModalityParts(nn.Module):
    """What one modality trains: the network's encoder and projection, and what only pre-training uses.

    Encoder and projection are the network's own modules, so the network is pre-trained in place. Its
    classifier is left out.
    """

    def __init__(self, network: SingleModality, n_features: int, club_hidden: int) -> None:
        super().__init__()
        embedding = network.projection.linear.in_features
        self.encoder, self.projection = network.encoder, network.projection
        self.interaction = InteractionEncoder(n_features, embedding)
        self.decoder = Decoder(n_features, embedding)
        self.club = ClubEstimator(embedding, club_hidden)

    def forward(self, x: Tensor) -> Encoded:
        """x : (B, T, F)."""
        return Encoded(x, self.encoder(x), self.interaction(x))


class PairModel(nn.Module):
    """Two modalities and all that their pre-training needs.

    Parameters
    ----------
    network_a, network_b : their embeddings and projections must have the same width
    features : F of A and of B
    predictions, context : N and the LSTM's width
    club_hidden : width of the CLUB estimators
    causal_only : refuse an encoder whose embedding of a step has seen later steps, since the prediction
        loss would then ask for what it has been shown; false is the released behaviour

    Raises
    ------
    ContractError
        For widths that differ, and for an encoder that is not causal where only causal ones may be.
    """

    def __init__(
        self,
        network_a: SingleModality,
        network_b: SingleModality,
        features: tuple[int, int],
        *,
        predictions: int = 2,
        context: int = 64,
        club_hidden: int = 32,
        causal_only: bool = True,
    ) -> None:
        super().__init__()
        _check_pair(network_a, network_b, causal_only)
        self.a = ModalityParts(network_a, features[0], club_hidden)
        self.b = ModalityParts(network_b, features[1], club_hidden)
        embedding = network_a.projection.linear.in_features
        self.predictor = CrossModalPredictor(embedding, context, predictions)
        self.logit_scale = nn.Parameter(torch.tensor(INITIAL_LOGIT_SCALE))

    def forward(self, x_a: Tensor, x_b: Tensor) -> tuple[Encoded, Encoded]:
        """x_a : (B, T, F of A), x_b : (B, T, F of B); row i of both was recorded together."""
        return self.a(x_a), self.b(x_b)

    @torch.no_grad()
    def limit_logit_scale(self, highest: float) -> None:
        """Bring the learnt scale back to at most `highest`; to be called after an optimiser's step.

        The loss limits the value by itself, but past the limit its gradient is zero and the scale
        could never come down again.
        """
        self.logit_scale.clamp_(max=highest)


class AllPairs(nn.Module):
    """Every pair of three or more modalities. What belongs to one modality is shared by all of its pairs.

    Parameters
    ----------
    networks : by modality; as in ``PairModel``
    features : F by modality
    sizes : the keywords of ``PairModel``

    Attributes
    ----------
    pairs : a ``PairModel`` for each pair, in the order of ``combinations``
    """

    def __init__(
        self, networks: Mapping[str, SingleModality], features: Mapping[str, int], **sizes: Any
    ) -> None:
        super().__init__()
        self.pairs = nn.ModuleList()
        parts: dict[str, ModalityParts] = {}
        for a, b in combinations(networks, 2):
            pair = PairModel(networks[a], networks[b], (features[a], features[b]), **sizes)
            pair.a, pair.b = parts.setdefault(a, pair.a), parts.setdefault(b, pair.b)
            self.pairs.append(pair)


def club_parameters(model: nn.Module) -> list[nn.Parameter]:
    """Parameters of the CLUB estimators: fitted by likelihood, with an optimiser of their own."""
    estimators = [module for module in model.modules() if isinstance(module, ClubEstimator)]
    return [parameter for estimator in estimators for parameter in estimator.parameters()]


def main_parameters(model: nn.Module) -> list[nn.Parameter]:
    """All other parameters: these the total loss trains."""
    club = {id(parameter) for parameter in club_parameters(model)}
    return [parameter for parameter in model.parameters() if id(parameter) not in club]


def _check_pair(network_a: SingleModality, network_b: SingleModality, causal_only: bool) -> None:
    linear_a, linear_b = network_a.projection.linear, network_b.projection.linear
    for field in ("in_features", "out_features"):
        got, expected = getattr(linear_b, field), getattr(linear_a, field)
        if got != expected:
            name = "embedding" if field == "in_features" else "projection"
            raise ContractError("second network", name, got, f"{expected} as in the first")
    for order, network in (("first network", network_a), ("second network", network_b)):
        check_causal(order, network, causal_only)


def check_causal(where: str, network: SingleModality, causal_only: bool) -> None:
    """Raise ContractError for an encoder that is not causal where only causal ones may be."""
    # An encoder without the flag is causal by construction.
    if causal_only and not getattr(network.encoder, "causal", True):
        raise ContractError(where, "causal", "false", "true (or causal_only: false)")
