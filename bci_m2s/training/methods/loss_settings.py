"""Weights and choices of the four losses of pre-training.

The defaults differ from the authors' released code where that is unsound; presets/released-*.yaml hold its
behaviour.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

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
    """Windows of the same trial are not negatives of each other (contrastive and CPC)."""
    mask_reach: int | None = None
    """Of those, only windows whose starts lie fewer than this many rows apart; `null` for all."""
    club_per_step: bool = True
    """Estimate at each step; false averages mean, log variance and target over time first."""
    club_derangement: bool = True
    """Negatives never pair a window with itself; false draws any permutation."""
    club_floor: bool = True
    """Penalise max(0, estimate): mutual information cannot be negative."""
    club_ceiling: float = 20.0
    """Penalise at most this estimate per modality, nats; it can grow without bound. `.inf` for none."""
