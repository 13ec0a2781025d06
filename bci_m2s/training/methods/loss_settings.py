"""Weights and choices of the losses of pre-training.

The defaults differ from the authors' released code where that is unsound; presets/released-*.yaml hold its
behaviour.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from bci_m2s.errors import ContractError


@dataclass(frozen=True, slots=True)
class LossWeights:
    """Weights of the terms, each ≥ 0; 0 switches a term off."""

    contrastive: float = 1.0
    """Contrastive term: the pair's windows against those of other moments."""
    cpc: float = 1.0
    """M2M CPC: what comes next, predicted from both modalities."""
    reconstruction: float = 0.1
    """Mean squared error of the decoders."""
    club: float = 0.3
    """Upper bound of the information shared with the private part; counts per modality."""
    cpc_cross: float = 1.0
    """Within the CPC term, predictions of the other modality."""
    cpc_within: float = 0.1
    """Within the CPC term, predictions of the same modality."""
    vicreg: float = 0.0
    """VICReg in place of the contrastive term: moments agree without negatives. Not the paper's."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ContractError("loss weights", name, value, "a number of at least 0")


@dataclass(frozen=True, slots=True)
class LossSettings:
    """How the losses are computed."""

    weights: LossWeights = field(default_factory=LossWeights)
    """Weights of the terms."""
    max_logit_scale: float = math.log(100.0)
    """Highest logarithm of the contrastive scale; `.inf` for none."""
    mask_same_trial: bool = True
    """Windows of the same trial are not negatives of each other (contrastive and CPC), see `mask_reach`."""
    mask_reach: int | Literal["overlap"] | None = "overlap"
    """Of those, only windows that share signal (`overlap`), or whose starts lie fewer than this many rows
    apart; `null` for all: where a person has one trial of each class, that tells the loss the classes."""
    cpc_min_context: int = 2
    """Fewest steps from which CPC predicts; fewer where the window leaves no more."""
    club_per_step: bool = True
    """Estimate at each step; false averages squared deviations and log variances over time first."""
    club_derangement: bool = True
    """Negatives never pair a window with itself; false draws any permutation."""
    club_floor: bool = True
    """Penalise max(0, estimate): mutual information cannot be negative."""
    club_ceiling: float = 20.0
    """An estimate above it, nats per modality, is scaled down to it; `.inf` for none."""
