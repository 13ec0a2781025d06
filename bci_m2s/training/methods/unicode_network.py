"""What UniCode trains: two signals' encoders, the codebook that they share, and a classifier of codes.

Source: see ``unicode``. What the codebook follows beside a signal's own embeddings is the other signal's
embedding of the same step, as released; ``unicode-attention`` replaces it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from bci_m2s.networks.m2s import SingleModality
from bci_m2s.networks.own_future import OwnPredictor
from bci_m2s.networks.pretraining import Encoded, ModalityParts
from bci_m2s.training.methods.adam import Adam
from bci_m2s.training.methods.club import club_bound, club_likelihood_loss, derangement, limited
from bci_m2s.training.methods.codebook import Codebook, commitment, matching_loss
from bci_m2s.training.methods.loss_settings import LossSettings
from bci_m2s.training.methods.losses import cpc_loss, draw_step

CODES = 128  # ours; 400 released, for a thousand times as many kinds of events
COMMITMENT, MATCHING, CROSS, WITHIN = 0.25, 0.5, 1.0, 0.1  # as released
INNER_STEPS = 5  # as released
HIDDEN = 256  # of the classifier of codes, as released
LEAST_STEPS = 2  # that a prediction sees


class UniCode(nn.Module):
    """What both signals train.

    networks : of each; features : of a step of each
    added : a loss of both embeddings beside the others; None for none
    counts : how often each code has been chosen, at the begin
    codes : number of them
    """

    def __init__(
        self,
        networks: Sequence[SingleModality],
        features: Sequence[int],
        added: nn.Module | None = None,
        counts: float = 1.0,
        codes: int = CODES,
    ) -> None:
        super().__init__()
        width = networks[0].projection.linear.in_features
        pairs = zip(networks, features, strict=True)
        self.sides = nn.ModuleList(ModalityParts(network, n, width // 2) for network, n in pairs)
        self.predictors = nn.ModuleList(OwnPredictor(width, width, 1) for _ in networks)
        self.codebook = Codebook(codes, width, counts)
        self.added = added

    @property
    def parts(self) -> list[ModalityParts]:
        """Of each signal: encoder, its own part, decoder, and bound of information."""
        return cast(list[ModalityParts], list(self.sides))

    def codes(self, side: int, windows: Tensor) -> Tensor:
        """Of windows (B, T, F) of a signal: (B, T, width)."""
        return self.codebook.codes[self.codebook.nearest(self.parts[side].encoder(windows))]

    def beside(self, _own: Tensor, other: Tensor, /) -> Tensor:
        """What the codebook follows of the other signal at each step of a signal: (B, T, width).

        _own, other : embeddings (B, T, width) of both
        """
        return other

    def agreement(self, sides: Sequence[Encoded]) -> Tensor:
        """How well the windows of one signal are found by the codes of the other, a loss."""
        a, b = (self.codebook.shares(side.er) for side in sides)
        return matching_loss(a, b)

    def fit_bounds(self, sides: Sequence[Encoded], coded: Sequence[Tensor], optimiser: Adam) -> None:
        """Fit what says how much codes and the signal's own part share; nothing else is changed."""
        for _ in range(INNER_STEPS):
            optimiser.zero_grad()
            losses = [
                club_likelihood_loss(part.club, codes.detach(), side.ei.detach())
                for part, side, codes in zip(self.parts, sides, coded, strict=True)
            ]
            torch.stack(losses).sum().backward()
            optimiser.step()

    def terms(self, sides: Sequence[Encoded], coded: Sequence[Tensor], chosen: Sequence[Tensor]) -> Tensor:
        """Reconstruction, commitment and the bounds of information, ()."""
        limits, found = LossSettings(), []
        own = [self.codebook.codes[one] for one in chosen]
        for number, (part, side) in enumerate(zip(self.parts, sides, strict=True)):
            found.append(functional.mse_loss(part.decoder(coded[number], side.ei), side.x))
            found.append(commitment(side.er, own[number], own[1 - number], COMMITMENT))
            shuffled = derangement(len(side.x))
            found.append(limited(club_bound(part.club, coded[number], side.ei, shuffled), limits))
        return torch.stack(found).sum()

    def prediction(self, sides: Sequence[Encoded]) -> Tensor:
        """Each signal's next embedding against the predictions from its own past and the other's, ()."""
        a, b = (side.er for side in sides)
        step = draw_step(a.shape[1], 1, min_context=LEAST_STEPS)
        predicted_a, predicted_b = (
            predictor(side.er, step) for predictor, side in zip(self.predictors, sides, strict=True)
        )
        return cpc_loss(a, b, (predicted_a, predicted_b), step, cross=CROSS, within=WITHIN)

    def forward(self, windows: Sequence[Tensor], of_bounds: Adam) -> Tensor:
        """The loss of a batch in training, (); the codebook follows it.

        windows : (B, T, F) of both signals; of_bounds : optimiser of the bounds' own fit
        """
        sides = [part(one) for part, one in zip(self.parts, windows, strict=True)]
        chosen = [self.codebook.nearest(side.er) for side in sides]
        coded = [
            self.codebook.straight_through(side.er, one) for side, one in zip(sides, chosen, strict=True)
        ]
        self.fit_bounds(sides, coded, of_bounds)
        loss = self.terms(sides, coded, chosen) + self.prediction(sides)
        loss = loss + MATCHING * self.agreement(sides)
        if self.added is not None:
            loss = loss + self.added(*(side.er for side in sides))
        for number in range(2):
            own, other = sides[number].er, sides[1 - number].er
            self.codebook.follow(chosen[number], own, self.beside(own, other))
        self.codebook.replace_unchosen(*chosen)
        return loss


class OfCodes(nn.Module):
    """Classes from the codes of a window, (B, T, width) → (B, classes)."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(width, HIDDEN), nn.Linear(HIDDEN, classes)

    def forward(self, codes: Tensor) -> Tensor:
        logits: Tensor = self.out(self.hidden(codes).amax(dim=1))
        return logits
