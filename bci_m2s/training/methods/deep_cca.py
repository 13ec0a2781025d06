"""What deep canonical correlation analysis consists of: branches, and the correlation that they maximise.

Source: Andrew, Arora, Bilmes, Livescu, "Deep Canonical Correlation Analysis", ICML 2013. The correlation is
the sum of singular values of the whitened covariance of two sides; its gradient is left to autograd.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn


def correlation(one: Tensor, other: Tensor, ridge: float) -> Tensor:
    """Sum of the canonical correlations of two sets of rows (n, k), from 0 to k.

    ridge : added to the variances of both sides
    """
    sides = [rows.double() - rows.double().mean(dim=0) for rows in (one, other)]
    n = max(len(one) - 1, 1)
    roots = [torch.linalg.cholesky(rows.T @ rows / n + ridge * _identity(rows)) for rows in sides]
    shared = sides[0].T @ sides[1] / n
    # Cholesky factors whiten as symmetric roots do: their singular values are the same.
    half = torch.linalg.solve_triangular(roots[0], shared, upper=False)
    whitened = torch.linalg.solve_triangular(roots[1], half.T, upper=False)
    return torch.linalg.svdvals(whitened).sum()


def _identity(rows: Tensor) -> Tensor:
    return torch.eye(rows.shape[1], dtype=rows.dtype)


def branch(features: int, widths: Sequence[int], between: Callable[[int], nn.Module]) -> nn.Sequential:
    """Linear layers of these widths, with `between(width)` after each but the last."""
    layers: list[nn.Module] = []
    for a, b in pairwise((features, *widths)):
        layers += [nn.Linear(a, b), between(b)]
    return nn.Sequential(*layers[:-1])
