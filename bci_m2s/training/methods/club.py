"""CLUB: an upper bound of the information that ER and EI embeddings share, and its estimator's fit.

Negatives of batches from one person are of the same person, so what is bounded is the information beyond
identity: who it is may be in both embeddings.

Source: Cheng et al., "CLUB: A Contrastive Log-ratio Upper Bound of Mutual Information", ICML 2020, arXiv
2006.12013.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bci_m2s.networks.pretraining import ClubEstimator, Encoded, PairModel
from bci_m2s.training.methods.loss_settings import LossSettings

SMALLEST = 1e-12  # nats; what is divided by


def derangement(n: int, generator: torch.Generator | None = None) -> Tensor:
    """Random cyclic permutation of 0..n−1, (n,), n ≥ 2: no element stays where it is."""
    order = torch.randperm(n, generator=generator)
    shuffled = torch.empty_like(order)
    shuffled[order] = order.roll(1)
    return shuffled


def club_bound(
    estimator: ClubEstimator, er: Tensor, ei: Tensor, shuffled: Tensor, *, per_step: bool = True
) -> Tensor:
    """Sampled CLUB estimate of the information between ER and EI embeddings, nats; may be negative.

    An upper bound in expectation, as far as the estimator fits.

    Parameters
    ----------
    er, ei : (B, T, E)
    shuffled : (B,) for each window, the window whose EI embedding is its negative
    per_step : mean over steps of the estimate; false is the released one: squared deviations are averaged
        over time and divided by the variance whose logarithm is the mean over time
    """
    mean, logvar = estimator(er)
    # The log variance itself cancels between the two log densities.
    apart = (ei[shuffled] - mean).square() - (ei - mean).square()
    if not per_step:
        apart, logvar = apart.mean(dim=1), logvar.mean(dim=1)
    return (apart * (-logvar).exp()).sum(dim=-1).mean() / 2


def club_likelihood_loss(estimator: ClubEstimator, er: Tensor, ei: Tensor) -> Tensor:
    """Negative log likelihood of EI given ER without its constant, mean over windows and steps."""
    mean, logvar = estimator(er)
    return ((ei - mean).square() * (-logvar).exp() + logvar).sum(dim=-1).mean() / 2


def fit_club(
    model: PairModel, a: Encoded, b: Encoded, optimiser: torch.optim.Optimizer, inner_steps: int = 3
) -> float:
    """Fit both CLUB estimators to a batch that is already encoded; returns the last loss.

    The encoders are neither run nor changed, so `a` and `b` still serve for the total loss afterwards.

    Parameters
    ----------
    optimiser : holds ``club_parameters(model)`` and nothing else
    inner_steps : at least 1
    """
    a, b = a.detached(), b.detached()
    for _ in range(inner_steps):
        optimiser.zero_grad()  # the total loss leaves gradients of these parameters too
        loss = club_likelihood_loss(model.a.club, a.er, a.ei)
        loss = loss + club_likelihood_loss(model.b.club, b.er, b.ei)
        loss.backward()
        optimiser.step()
    return float(loss.detach())


def club_term(
    estimator: ClubEstimator, side: Encoded, settings: LossSettings, generator: torch.Generator | None
) -> Tensor:
    """The estimate of one modality of a batch, (), without floor or ceiling."""
    n = len(side.er)
    shuffled = (
        derangement(n, generator) if settings.club_derangement else torch.randperm(n, generator=generator)
    ).to(side.er.device)
    return club_bound(estimator, side.er, side.ei, shuffled, per_step=settings.club_per_step)


def limited(value: Tensor, settings: LossSettings) -> Tensor:
    """An estimate as it is penalised: not below 0, not above the ceiling.

    Above the ceiling it is scaled down, not cut off, so that its gradient keeps its direction.
    """
    if settings.club_floor:
        value = value.clamp(min=0.0)
    return value * (settings.club_ceiling / value.detach().clamp(min=SMALLEST)).clamp(max=1.0)
