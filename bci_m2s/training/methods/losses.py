"""The four losses of M2S pre-training, as plain functions of embeddings.

total = α·contrastive + β·CPC + γ·reconstruction + λ·(CLUB of A + CLUB of B)

Shapes: B windows in a batch, T steps, E embedding, P projection, N prediction steps. ``loss_settings``
holds the choices. A term whose weight is 0 is not computed.

Sources: Liu, Cai, Lu, Zheng, "Multi-to-Single", AAAI 2025, doi 10.1609/aaai.v39i2.32134 (Algorithm 1);
Cheng et al., CLUB, ICML 2020, arXiv 2006.12013.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from bci_m2s.errors import ContractError
from bci_m2s.networks.own_future import SingleModel
from bci_m2s.networks.pretraining import ClubEstimator, Encoded, PairModel
from bci_m2s.training.methods.loss_settings import LossSettings

SMALLEST_NORM = 1e-6  # a projection behind a ReLU can be all zero


def same_trial(trials: Tensor, starts: Tensor | None = None, reach: int | None = None) -> Tensor:
    """Pairs of windows of one trial, (B, B) bool, which are no true negatives; the diagonal is false.

    Parameters
    ----------
    trials : (B,) number of each window's trial, unique over people and sessions
    starts : (B,) row of each window's start inside its trial; needed with `reach`
    reach : only windows whose starts are fewer than this many rows apart; None for the whole trial
    """
    pairs = trials[:, None] == trials[None, :]
    if reach is not None:
        assert starts is not None
        pairs = pairs & ((starts[:, None] - starts[None, :]).abs() < reach)
    return pairs & ~torch.eye(len(trials), dtype=torch.bool, device=trials.device)


def contrastive_loss(
    projected_a: Tensor,
    projected_b: Tensor,
    logit_scale: Tensor,
    *,
    max_logit_scale: float = math.log(100.0),
    excluded: Tensor | None = None,
) -> Tensor:
    """Symmetric InfoNCE on cosines; row i of A belongs to row i of B.

    Parameters
    ----------
    projected_a, projected_b : (B, P); a row of zeros has cosine 0 with everything
    logit_scale : () logarithm of what cosines are multiplied by
    max_logit_scale : upper limit of it
    excluded : (B, B) bool, symmetric, pairs that are left out of the negatives
    """
    unit_a = functional.normalize(projected_a, dim=-1, eps=SMALLEST_NORM)
    unit_b = functional.normalize(projected_b, dim=-1, eps=SMALLEST_NORM)
    logits = logit_scale.clamp(max=max_logit_scale).exp() * (unit_a @ unit_b.T)
    return (_matching(logits, excluded) + _matching(logits.T, excluded)) / 2


def _matching(logits: Tensor, excluded: Tensor | None) -> Tensor:
    """Cross-entropy of (..., B, B) logits whose true column is the row's own, mean over rows."""
    if excluded is not None:
        logits = logits.masked_fill(excluded, -math.inf)
    return (logits.logsumexp(dim=-1) - logits.diagonal(dim1=-2, dim2=-1)).mean()


def draw_step(steps: int, predictions: int, generator: torch.Generator | None = None) -> int:
    """Draw the last step t of the CPC context, 0 ≤ t < T − N. Raises ContractError when T ≤ N."""
    if steps <= predictions:
        raise ContractError("losses", "predictions", predictions, f"fewer than the window's {steps} steps")
    return int(torch.randint(steps - predictions, (), generator=generator))


def cpc_loss(
    er_a: Tensor,
    er_b: Tensor,
    predicted: tuple[Tensor, Tensor],
    step: int,
    *,
    cross: float = 1.0,
    within: float = 0.1,
    excluded: Tensor | None = None,
) -> Tensor:
    """M2M CPC: each true later embedding against the predictions of the whole batch.

    Parameters
    ----------
    er_a, er_b : (B, T, E)
    predicted : predictions of A and of B from steps up to `step`, (N, B, E) each
    step : t, last step of the context
    cross, within : weights of A→B and B→A, and of A→A and B→B
    excluded : (B, B) bool, pairs that are left out of the negatives
    """
    predicted_a, predicted_b = predicted
    later = slice(step + 1, step + 1 + len(predicted_a))
    true_a, true_b = er_a[:, later].transpose(0, 1), er_b[:, later].transpose(0, 1)  # (N, B, E)

    def nce(true: Tensor, guess: Tensor) -> Tensor:
        return _matching(true @ guess.transpose(1, 2), excluded)

    between = nce(true_b, predicted_a) + nce(true_a, predicted_b)
    return cross * between + within * (nce(true_a, predicted_a) + nce(true_b, predicted_b))


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
    per_step : mean over steps of the estimate; false averages over time before it
    """
    mean, logvar = estimator(er)
    if not per_step:
        mean, logvar, ei = mean.mean(dim=1), logvar.mean(dim=1), ei.mean(dim=1)
    # The log variance itself cancels between the two log densities.
    apart = (ei[shuffled] - mean).square() - (ei - mean).square()
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


def pair_terms(
    model: PairModel,
    a: Encoded,
    b: Encoded,
    settings: LossSettings,
    *,
    trials: Tensor,
    starts: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> dict[str, Tensor]:
    """The terms that are switched on, unweighted, for a batch of at least two windows.

    Parameters
    ----------
    trials, starts : as in ``same_trial``
    generator : on the CPU; draws the CPC step and the CLUB negatives

    Returns
    -------
    Among "contrastive", "cpc", "reconstruction", "club_a" and "club_b", () each. The CLUB estimates are
    as computed, without a floor.

    Raises
    ------
    ContractError
        For a window too short for the predictions.
    """
    weights, terms = settings.weights, {}
    excluded = same_trial(trials, starts, settings.mask_reach) if settings.mask_same_trial else None
    if weights.contrastive:
        terms["contrastive"] = contrastive_loss(
            model.a.projection(a.er),
            model.b.projection(b.er),
            model.logit_scale,
            max_logit_scale=settings.max_logit_scale,
            excluded=excluded,
        )
    if weights.cpc:
        step = draw_step(a.er.shape[1], model.predictor.predictions, generator)
        predicted = model.predictor(a.er, b.er, step)
        cross, within = weights.cpc_cross, weights.cpc_within
        terms["cpc"] = cpc_loss(a.er, b.er, predicted, step, cross=cross, within=within, excluded=excluded)
    if weights.reconstruction:
        rebuilt_a, rebuilt_b = model.a.decoder(a.er, a.ei), model.b.decoder(b.er, b.ei)
        terms["reconstruction"] = functional.mse_loss(rebuilt_a, a.x) + functional.mse_loss(rebuilt_b, b.x)
    if weights.club:
        terms["club_a"] = _club_term(model.a.club, a, settings, generator)
        terms["club_b"] = _club_term(model.b.club, b, settings, generator)
    return terms


def own_terms(
    model: SingleModel,
    er: Tensor,
    settings: LossSettings,
    *,
    trials: Tensor,
    starts: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> dict[str, Tensor]:
    """The term "cpc" of one modality alone: its true later embeddings against the predictions of the batch.

    Parameters and errors as ``pair_terms``; er : (B, T, E)
    """
    if not settings.weights.cpc:
        return {}
    excluded = same_trial(trials, starts, settings.mask_reach) if settings.mask_same_trial else None
    step = draw_step(er.shape[1], model.predictor.predictions, generator)
    predicted = model.predictor(er, step)
    true = er[:, step + 1 : step + 1 + len(predicted)].transpose(0, 1)  # (N, B, E)
    return {"cpc": settings.weights.cpc_within * _matching(true @ predicted.transpose(1, 2), excluded)}


def _club_term(
    estimator: ClubEstimator, side: Encoded, settings: LossSettings, generator: torch.Generator | None
) -> Tensor:
    n = len(side.er)
    shuffled = (
        derangement(n, generator) if settings.club_derangement else torch.randperm(n, generator=generator)
    ).to(side.er.device)
    return club_bound(estimator, side.er, side.ei, shuffled, per_step=settings.club_per_step)


def total_loss(terms: Mapping[str, Tensor], settings: LossSettings) -> Tensor:
    """Weighted sum of ``pair_terms``, (); the CLUB estimates are limited where settings say so.

    Raises ContractError when every term is switched off.
    """
    if not terms:
        raise ContractError("loss weights", "all", 0, "at least one weight above 0")
    parts = []
    for name, value in terms.items():
        if name.startswith("club"):
            value = value.clamp(0.0 if settings.club_floor else -math.inf, settings.club_ceiling)
            parts.append(settings.weights.club * value)
        else:
            parts.append(getattr(settings.weights, name) * value)
    return torch.stack(parts).sum()
