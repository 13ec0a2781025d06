"""UniCode: two signals share a codebook, and a classifier of the codes of one judges those of the other.

Source: Xia, Huang, Zhu, Zhao, "Achieving Cross Modal Generalization with Multimodal Unified
Representation", NeurIPS 2023, and the authors' released code: codebook, losses and their weights, Adam's
rate, clipping by module, and the classifier of codes. Ours: the encoders, decoders and bound of information
of M2S in place of theirs, and widths that keep their ratio to the embedding; the number of codes; the rate
of the bound's own fit, which was not released, and its limits; the prediction sees two steps at least; the
epoch in which codes agree best on validation windows.

``unicode-cpc`` adds the M2M CPC of M2S, whose predictions see both signals, to its own prediction. With
``unicode-released`` codes that the first batch does not choose grow without bound, see ``codebook``.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from bci_m2s.model.contract import Contract
from bci_m2s.networks.m2s import SingleModality
from bci_m2s.networks.own_future import OwnPredictor
from bci_m2s.networks.pretraining import Encoded, ModalityParts
from bci_m2s.training.data.prepare import UnitData
from bci_m2s.training.data.windows import WindowSet
from bci_m2s.training.methods import Answers, Method, NotPossible
from bci_m2s.training.methods.adam import Adam
from bci_m2s.training.methods.club import club_bound, club_likelihood_loss, derangement, limited
from bci_m2s.training.methods.codebook import Codebook, commitment, matching_loss, perplexity
from bci_m2s.training.methods.loss_settings import LossSettings
from bci_m2s.training.methods.losses import cpc_loss, draw_step
from bci_m2s.training.methods.m2m_cpc import PairPrediction
from bci_m2s.training.methods.own_networks import (
    Rows,
    in_parts,
    labelled_rows,
    probabilities,
    rows_of,
    train,
    two_signals,
)
from bci_m2s.training.methods.own_pretraining import LowestLoss, fit_head
from bci_m2s.training.methods.pretrain import Job, fresh_networks
from bci_m2s.training.methods.seeds import named_seed, seed_torch
from bci_m2s.training.methods.stage_settings import FinetuneSettings
from bci_m2s.types import FloatArray

CODES = 128  # ours; 400 released, for a thousand times as many kinds of events
COMMITMENT, MATCHING, CROSS, WITHIN = 0.25, 0.5, 1.0, 0.1  # as released
RATE, CLIP, INNER_STEPS = 4e-4, 0.5, 5  # as released
HIDDEN = 256  # of the classifier of codes, as released
LEAST_STEPS = 2  # that a prediction sees

_log = logging.getLogger(__name__)


class ClippedAdam(Adam):
    """Adam that limits the gradient of each group of parameters first."""

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            nn.utils.clip_grad_norm_(group["params"], CLIP)
        super().step(closure)


class UniCode(nn.Module):
    """What both signals train.

    networks : of each; features : of a step of each
    added : a loss of both embeddings beside the others; None for none
    counts : how often each code has been chosen, at the begin
    """

    def __init__(
        self,
        networks: Sequence[SingleModality],
        features: Sequence[int],
        added: nn.Module | None = None,
        counts: float = 1.0,
    ) -> None:
        super().__init__()
        width = networks[0].projection.linear.in_features
        pairs = zip(networks, features, strict=True)
        self.sides = nn.ModuleList(ModalityParts(network, n, width // 2) for network, n in pairs)
        self.predictors = nn.ModuleList(OwnPredictor(width, width, 1) for _ in networks)
        self.codebook = Codebook(CODES, width, counts)
        self.added = added

    @property
    def parts(self) -> list[ModalityParts]:
        """Of each signal: encoder, its own part, decoder, and bound of information."""
        return cast(list[ModalityParts], list(self.sides))

    def codes(self, side: int, windows: Tensor) -> Tensor:
        """Of windows (B, T, F) of a signal: (B, T, width)."""
        return self.codebook.codes[self.codebook.nearest(self.parts[side].encoder(windows))]

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
            self.codebook.follow(chosen[number], sides[number].er, sides[1 - number].er)
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


def two_of_steps(contract: Contract, pair: Sequence[str]) -> None:
    """Takes two signals in windows of two steps or more. Raises NotPossible."""
    two_signals(contract, pair)
    if contract.window.steps < LEAST_STEPS:
        raise NotPossible("it predicts a step from those before, and windows have one")


def learn(
    job: Job, data: UnitData, settings: FinetuneSettings, *, predicts: bool = False, counts: float = 1.0
) -> Answers:
    """Learn codes without labels, and a classifier of each signal's codes, which judges both signals.

    predicts : with M2M CPC; counts : see ``UniCode``

    Raises
    ------
    NotPossible
        Another number of signals than two; windows of one step; no two windows with both; embeddings of
        different widths; labels of one class.
    """
    two_of_steps(job.contract, job.pair)
    model = pretrained(job, data, predicts=predicts, counts=counts)
    heads = {
        name: {head: _head(job, data, settings, model, name, head) for head in job.contract.heads}
        for name in job.pair
    }
    return {((a,), (b,)): partial(_answer, job, model, heads[a], b) for a, b in product(job.pair, job.pair)}


def pretrained(job: Job, data: UnitData, *, predicts: bool = False, counts: float = 1.0) -> UniCode:
    """The model of the epoch in which codes agree best on validation windows."""
    networks = fresh_networks(job)
    of_pair = [networks[name] for name in job.pair]
    widths = [network.projection.linear.in_features for network in of_pair]
    if len(set(widths)) > 1:
        raise NotPossible("it takes embeddings of one width")
    seed_torch(named_seed(job.seed, "unicode cpc"))
    added = PairPrediction(widths[0], job.settings) if predicts else None
    seed_torch(named_seed(job.seed, "unicode"))
    features = [job.contract.modalities[name].feature.n_features for name in job.pair]
    model = UniCode(of_pair, features, added, counts)
    rows, validation = (rows_of(data.parts[part], job.pair) for part in ("train", "validation"))
    if len(rows) < 2:
        raise NotPossible(f"no two training windows have {' and '.join(job.pair)}")
    of_bounds, optimiser = _optimisers(job, model)

    def windows(chosen: Tensor, of: Rows) -> list[Tensor]:
        return [of.features[name][chosen] for name in job.pair]

    def judge(chosen: Tensor) -> Tensor:
        seen = windows(chosen, validation)
        return model.agreement([part(one) for part, one in zip(model.parts, seen, strict=True)])

    selected = len(validation) if job.settings.select == "validation" else 0
    selection = LowestLoss(model, judge, selected, job.settings.batch)
    train(
        model,
        [optimiser],
        lambda chosen: model(windows(chosen, rows), of_bounds),
        len(rows),
        epochs=job.settings.epochs,
        batch=job.settings.batch,
        seed=job.seed,
        after_epoch=selection.look,
    )
    selection.take()
    _report(job, model, validation if len(validation) else rows)
    return model


def _report(job: Job, model: UniCode, rows: Rows) -> None:
    """How many codes are in use, and how often both signals have the same one at the same time."""
    a, b = (
        in_parts(lambda one, part=part: model.codebook.nearest(part.encoder(one)), rows.features[name])
        for part, name in zip(model.parts, job.pair, strict=True)
    )
    same = float((a == b).double().mean())
    _log.info("codes in use: %.1f and %.1f; the same at %.0f %%", perplexity(a), perplexity(b), 100 * same)


def _optimisers(job: Job, model: UniCode) -> tuple[Adam, ClippedAdam]:
    """Of the bounds, and of all the rest."""
    bounds = [one for part in model.parts for one in part.club.parameters()]
    modules: list[nn.Module] = list(model.predictors)
    for part in model.parts:
        modules += [part.encoder, part.interaction, part.decoder]
    if model.added is not None:
        modules.append(model.added)
    groups = [{"params": list(module.parameters())} for module in modules]
    return Adam(bounds, lr=job.settings.club_learning_rate), ClippedAdam(groups, lr=RATE)


def _coded(job: Job, model: UniCode, rows: Rows) -> Rows:
    seen = {
        name: in_parts(partial(model.codes, job.pair.index(name)), windows)
        for name, windows in rows.features.items()
    }
    return replace(rows, features=seen)


def _head(
    job: Job, data: UnitData, settings: FinetuneSettings, model: UniCode, name: str, head: str
) -> OfCodes:
    rows = _coded(job, model, labelled_rows(data.parts["train"], (name,), head))
    validation = _coded(job, model, rows_of(data.parts["validation"], (name,), head))
    seed_torch(named_seed(job.seed, f"unicode {head} {name}"))
    classes = len(job.contract.heads[head].classes)
    network = OfCodes(model.codebook.codes.shape[1], classes)
    fit_head(network, rows, validation, classes, settings, job.seed)
    return network


def _answer(
    job: Job, model: UniCode, heads: Mapping[str, OfCodes], name: str, windows: WindowSet, head: str
) -> FloatArray:
    rows = _coded(job, model, rows_of(windows, (name,)))
    return probabilities(in_parts(heads[head], rows.features[name]))


UNICODE = Method(learn=learn, takes=two_of_steps, pretrained=False)
UNICODE_CPC = Method(
    learn=partial(learn, predicts=True), takes=two_of_steps, pretrained=False, predicts=True
)
UNICODE_RELEASED = Method(learn=partial(learn, counts=0.0), takes=two_of_steps, pretrained=False)
