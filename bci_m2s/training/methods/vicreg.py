"""VICReg: two views of a moment agree, without negatives.

Each component of an embedding is to vary between the moments of a person (variance), to tell what no other
component tells (covariance), and to be the same in both modalities (invariance). Embeddings are centred per
person first, so that who it is earns nothing; and as there are no negatives, no mask can tell which moments
belong together.

Source: Bardes, Ponce, LeCun, "VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised
Learning", ICLR 2022, arXiv 2105.04906, equations 1 to 6, with its weights 25, 25 and 1, divided by 25.
"""

from __future__ import annotations

import torch
from torch import Tensor

SMALLEST_VARIANCE = 1e-4  # under the root
COVARIANCE = 1 / 25  # weight beside variance and invariance


def vicreg_loss(a: Tensor, b: Tensor, subjects: Tensor | None = None) -> Tensor:
    """Invariance + variance + covariance / 25 of two embeddings of the same moments, ().

    a, b : (B, P); subjects : (B,) whose each row is; None where all are of one person
    """
    a, b = centred(a, subjects), centred(b, subjects)
    apart = (a - b).square().mean()
    return apart + _spread(a) + _spread(b) + COVARIANCE * (_redundancy(a) + _redundancy(b))


def centred(rows: Tensor, subjects: Tensor | None = None) -> Tensor:
    """Rows (B, P) less the mean of their person's rows."""
    if subjects is None:
        return rows - rows.mean(dim=0)
    people, whose = subjects.unique(return_inverse=True)
    sums = rows.new_zeros(len(people), rows.shape[1]).index_add(0, whose, rows)
    counts = torch.bincount(whose, minlength=len(people)).to(rows.dtype)
    return rows - (sums / counts[:, None])[whose]


def _spread(rows: Tensor) -> Tensor:
    """How far standard deviations lie below 1, mean over components."""
    std = (rows.square().sum(dim=0) / max(1, len(rows) - 1) + SMALLEST_VARIANCE).sqrt()
    return torch.relu(1 - std).mean()


def _redundancy(rows: Tensor) -> Tensor:
    """Squared covariances of different components, their sum divided by the number of components."""
    covariance = rows.T @ rows / max(1, len(rows) - 1)
    return (covariance.square().sum() - covariance.diagonal().square().sum()) / rows.shape[1]
