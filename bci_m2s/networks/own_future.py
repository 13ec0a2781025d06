"""Pre-training of one modality alone: it predicts its own later embeddings. Not needed to run live.

Shapes: B windows in a batch, T steps, F features per step, E embedding, N prediction steps.

Source: van den Oord, Li, Vinyals, "Representation Learning with Contrastive Predictive Coding", 2018,
arXiv 1807.03748; here it is the term of the M2S loss that stays within a modality.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bci_m2s.networks.m2s import SingleModality
from bci_m2s.networks.pretraining import check_causal


class OwnPredictor(nn.Module):
    """CPC within one modality: from its steps up to t, its embeddings of steps t+1 to t+N.

    Parameters
    ----------
    embedding, hidden, predictions : E, width of the context (the LSTM has two layers), and N
    """

    def __init__(self, embedding: int = 128, hidden: int = 64, predictions: int = 2) -> None:
        super().__init__()
        self.predictions = predictions
        self.lstm = nn.LSTM(embedding, hidden, num_layers=2, batch_first=True)
        self.heads = nn.ModuleList(nn.Linear(hidden, embedding) for _ in range(predictions))

    def forward(self, er: Tensor, step: int) -> Tensor:
        """er : (B, T, E) → predictions from steps 0 to `step`, (N, B, E)."""
        context, _ = self.lstm(er[:, : step + 1])
        return torch.stack([head(context[:, -1]) for head in self.heads])


class SingleModel(nn.Module):
    """One modality that predicts its own future; its projection and classifiers are not trained here.

    Parameters
    ----------
    network : of the modality, pre-trained in place
    predictions, context : N and the LSTM's width
    causal_only : as in ``PairModel``

    Raises
    ------
    ContractError
        For an encoder that is not causal where only causal ones may be.
    """

    def __init__(
        self, network: SingleModality, *, predictions: int = 2, context: int = 64, causal_only: bool = True
    ) -> None:
        super().__init__()
        check_causal("the network", network, causal_only)
        self.encoder = network.encoder
        self.predictor = OwnPredictor(network.projection.linear.in_features, context, predictions)

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """x : (B, T, F) → embeddings (B, T, E)."""
        return (self.encoder(x),)
