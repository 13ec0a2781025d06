"""Contrastive distillation with memory banks: a student's features against a teacher's of other windows.

Sources: Tian, Krishnan, Isola, "Contrastive Representation Distillation", ICLR 2020, arXiv 1910.10699; with
the weights, signs and gradients of CMCRD (``cmcrd``), after its authors' released code.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

NEGATIVES, TEMPERATURE = 1000, 0.07  # as released
KEPT = 0.05  # of a row of a bank when it is renewed; the released "momentum", which is read so here
STUDENT, TEACHER = 0, 1


class ContrastBanks(nn.Module):
    """The loss, a linear map of each side's features, and a bank with a row per training window and side.

    width : of the features of both sides, and of the banks; labels : (N,) of all training windows
    """

    banks: Tensor
    labels: Tensor
    scale: Tensor

    def __init__(self, width: int, labels: Tensor) -> None:
        super().__init__()
        self.maps = nn.ModuleList(nn.Linear(width, width) for _ in range(2))
        banks = functional.normalize(torch.randn(2, len(labels), width), dim=-1)
        self.register_buffer("banks", banks)
        self.register_buffer("labels", labels)
        self.register_buffer(
            "scale", torch.zeros(2)
        )  # of exp(cosine / temperature), fixed by the first batch

    def negatives(self, chosen: Tensor) -> Tensor:
        """For windows (B,), indices of windows of other classes, (B, 1000), drawn with repetition."""
        of_chosen = self.labels[chosen]
        drawn = torch.empty(len(chosen), NEGATIVES, dtype=torch.int64)
        for label in of_chosen.unique():
            others = torch.nonzero(self.labels != label)[:, 0]
            same = of_chosen == label
            drawn[same] = others[torch.randint(len(others), (int(same.sum()), NEGATIVES))]
        return drawn

    def embedded(self, features: tuple[Tensor, Tensor], right: tuple[Tensor, Tensor]) -> list[Tensor]:
        """Unit vectors (B, width) of both sides; where one side alone is right, it gets no gradient.

        features : (B, width) of the student and of the teacher; right : (B,) bool of each
        """
        units = []
        for side, mapped in enumerate(self.maps):
            unit = functional.normalize(mapped(features[side]), dim=-1)
            alone = right[side] & ~right[1 - side]
            units.append(torch.where(alone[:, None], unit.detach(), unit))
        return units

    def against(self, side: int, units: Tensor, chosen: Tensor, negatives: Tensor) -> Tensor:
        """Noise-contrastive loss of one side's vectors against the other's bank, (B,)."""
        seen = torch.cat([chosen[:, None], negatives], dim=1)
        cosines = (units @ self.banks[1 - side].T).gather(1, seen)
        raised = (cosines / TEMPERATURE).exp()
        n = len(self.labels)
        if self.scale[side] == 0:
            self.scale[side] = raised.detach().mean() * n
        chances, noise = raised / float(self.scale[side]), NEGATIVES / n
        true = (chances[:, 0] / (chances[:, 0] + noise)).log()
        return -true - (noise / (chances[:, 1:] + noise)).log().sum(dim=1)

    def forward(
        self,
        features: tuple[Tensor, Tensor],
        right: tuple[Tensor, Tensor],
        chosen: Tensor,
        weights: Tensor,
    ) -> Tensor:
        """The loss, (); the rows of the windows are renewed.

        features, right : as for ``embedded``; chosen : (B,) index of each window; weights : (B,) signed
        """
        units, negatives = self.embedded(features, right), self.negatives(chosen)
        losses = [self.against(side, unit, chosen, negatives) for side, unit in enumerate(units)]
        with torch.no_grad():
            banks = self.banks.clone()  # the loss has yet to look back at the rows as they were
            for bank, unit in zip(banks, units, strict=True):
                bank[chosen] = functional.normalize(KEPT * bank[chosen] + (1 - KEPT) * unit, dim=-1)
            self.banks = banks
        return (weights * torch.stack(losses).sum(dim=0)).mean()


def signed_weights(logits: Tensor, labels: Tensor) -> Tensor:
    """Weights (B,) of windows by their teacher's logits (B, classes).

    More where it is sure, negative where it errs. Without signs they sum to B.
    """
    log_chances = torch.log_softmax(logits, dim=1)
    entropy = -(log_chances.exp() * log_chances).sum(dim=1)
    weights = 1 + (-entropy).exp()
    signs = torch.where(logits.argmax(dim=1) == labels, 1.0, -1.0)
    return signs * weights * len(weights) / weights.sum()
