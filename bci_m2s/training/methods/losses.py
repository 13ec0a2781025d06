"""The losses of M2S pre-training, as plain functions of embeddings.

total = α·contrastive + β·CPC + γ·reconstruction + λ·(CLUB of A + CLUB of B) [+ ν·VICReg, not M2S's]

Shapes: B windows in a batch, T steps, E embedding, P projection, N prediction steps. ``loss_settings``
holds the choices. A term whose weight is 0 is not computed.

Source: Liu, Cai, Lu, Zheng, "Multi-to-Single", AAAI 2025, doi 10.1609/aaai.v39i2.32134 (Algorithm 1).
``club`` has the bound of information, ``vicreg`` the term without negatives.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from bci_m2s.errors import ContractError
from bci_m2s.networks.own_future import SingleModel
from bci_m2s.networks.pretraining import Encoded, PairModel
from bci_m2s.training.methods.club import club_term, limited
from bci_m2s.training.methods.loss_settings import LossSettings
from bci_m2s.training.methods.vicreg import vicreg_loss

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


def masked(
    settings: LossSettings, trials: Tensor, starts: Tensor | None, overlap: int | None
) -> Tensor | None:
    """The pairs of windows that are no negatives of each other, as the settings say; None for none.

    overlap : rows that a window covers: of one trial, windows that begin fewer rows apart share signal.
        None where that is not known: then all windows of a trial
    """
    if not settings.mask_same_trial:
        return None
    reach = overlap if settings.mask_reach == "overlap" else settings.mask_reach
    assert not isinstance(reach, str)
    return same_trial(trials, starts, reach)


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


def draw_step(
    steps: int, predictions: int, generator: torch.Generator | None = None, min_context: int = 1
) -> int:
    """Draw the last step t of the CPC context, `min_context` − 1 ≤ t < T − N.

    min_context : fewest steps that the context sees; fewer where the window leaves no more

    Raises ContractError when T ≤ N.
    """
    if steps <= predictions:
        raise ContractError("losses", "predictions", predictions, f"fewer than the window's {steps} steps")
    first = min(min_context, steps - predictions) - 1
    return first + int(torch.randint(steps - predictions - first, (), generator=generator))


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


def pair_terms(
    model: PairModel,
    a: Encoded,
    b: Encoded,
    settings: LossSettings,
    *,
    trials: Tensor,
    starts: Tensor | None = None,
    overlap: int | None = None,
    subjects: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> dict[str, Tensor]:
    """The terms that are switched on, unweighted, for a batch of at least two windows.

    Parameters
    ----------
    trials, starts : as in ``same_trial``; overlap : as in ``masked``
    subjects : (B,) whose each window is, for VICReg; None where all are of one person
    generator : on the CPU; draws the CPC step and the CLUB negatives

    Returns
    -------
    Among "contrastive", "cpc", "reconstruction", "vicreg", "club_a" and "club_b", () each. The CLUB
    estimates are as computed, without a floor.

    Raises
    ------
    ContractError
        For a window too short for the predictions.
    """
    weights, terms = settings.weights, {}
    excluded = masked(settings, trials, starts, overlap)
    if weights.contrastive:
        terms["contrastive"] = contrastive_loss(
            model.a.projection(a.er),
            model.b.projection(b.er),
            model.logit_scale,
            max_logit_scale=settings.max_logit_scale,
            excluded=excluded,
        )
    if weights.cpc:
        step = draw_step(a.er.shape[1], model.predictor.predictions, generator, settings.cpc_min_context)
        predicted = model.predictor(a.er, b.er, step)
        cross, within = weights.cpc_cross, weights.cpc_within
        terms["cpc"] = cpc_loss(a.er, b.er, predicted, step, cross=cross, within=within, excluded=excluded)
    if weights.reconstruction:
        rebuilt_a, rebuilt_b = model.a.decoder(a.er, a.ei), model.b.decoder(b.er, b.ei)
        terms["reconstruction"] = functional.mse_loss(rebuilt_a, a.x) + functional.mse_loss(rebuilt_b, b.x)
    if weights.vicreg:
        mean_a, mean_b = (
            part.projection.linear(side.er.mean(dim=1)) for part, side in ((model.a, a), (model.b, b))
        )
        terms["vicreg"] = vicreg_loss(mean_a, mean_b, subjects)
    if weights.club:
        terms["club_a"] = club_term(model.a.club, a, settings, generator)
        terms["club_b"] = club_term(model.b.club, b, settings, generator)
    return terms


def own_terms(
    model: SingleModel,
    er: Tensor,
    settings: LossSettings,
    *,
    trials: Tensor,
    starts: Tensor | None = None,
    overlap: int | None = None,
    generator: torch.Generator | None = None,
) -> dict[str, Tensor]:
    """The term "cpc" of one modality alone: its true later embeddings against the predictions of the batch.

    Parameters and errors as ``pair_terms``; er : (B, T, E)
    """
    if not settings.weights.cpc:
        return {}
    excluded = masked(settings, trials, starts, overlap)
    step = draw_step(er.shape[1], model.predictor.predictions, generator, settings.cpc_min_context)
    predicted = model.predictor(er, step)
    true = er[:, step + 1 : step + 1 + len(predicted)].transpose(0, 1)  # (N, B, E)
    return {"cpc": settings.weights.cpc_within * _matching(true @ predicted.transpose(1, 2), excluded)}


def total_loss(terms: Mapping[str, Tensor], settings: LossSettings) -> Tensor:
    """Weighted sum of ``pair_terms``, (); the CLUB estimates are limited where settings say so.

    Raises ContractError when every term is switched off.
    """
    if not terms:
        raise ContractError("loss weights", "all", 0, "at least one weight above 0")
    parts = []
    for name, value in terms.items():
        if name.startswith("club"):
            parts.append(settings.weights.club * limited(value, settings))
        else:
            parts.append(getattr(settings.weights, name) * value)
    return torch.stack(parts).sum()
