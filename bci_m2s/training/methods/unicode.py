"""UniCode: two signals share a codebook, and a classifier of the codes of one judges those of the other.

Source: Xia, Huang, Zhu, Zhao, "Achieving Cross Modal Generalization with Multimodal Unified
Representation", NeurIPS 2023, and the authors' released code: codebook, losses and their weights, Adam's
rate, clipping by module, and the classifier of codes. Ours: the encoders, decoders and bound of information
of M2S in place of theirs, and widths that keep their ratio to the embedding; the number of codes; the rate
of the bound's own fit, which was not released, and its limits; the prediction sees two steps at least; the
epoch in which codes agree best on validation windows.

``unicode-cpc`` adds the M2M CPC of M2S, whose predictions see both signals, to its own prediction. With
``unicode-released`` codes that the first batch does not choose grow without bound, see ``codebook``.
``unicode-native``, with the authors' encoders, and ``unicode-attention``, whose codebook attends to the
other signal, are in files of their own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import product

from torch import Tensor, nn

from bci_m2s.model.contract import Contract
from bci_m2s.training.data.batches import groups_of
from bci_m2s.training.data.prepare import UnitData
from bci_m2s.training.data.windows import WindowSet
from bci_m2s.training.methods import Answers, Method, NotPossible
from bci_m2s.training.methods.adam import Adam
from bci_m2s.training.methods.codebook import perplexity
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
from bci_m2s.training.methods.own_pretraining import NOBODY, LowestLoss, fit_head
from bci_m2s.training.methods.pretrain import Job, fresh_networks
from bci_m2s.training.methods.seeds import named_seed, seed_torch
from bci_m2s.training.methods.stage_settings import FinetuneSettings
from bci_m2s.training.methods.unicode_network import LEAST_STEPS, OfCodes, UniCode
from bci_m2s.types import FloatArray

RATE, CLIP = 4e-4, 0.5  # as released

Build = Callable[[Job], UniCode]

_log = logging.getLogger(__name__)


class ClippedAdam(Adam):
    """Adam that limits the gradient of each group of parameters first."""

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            nn.utils.clip_grad_norm_(group["params"], CLIP)
        super().step(closure)


def two_of_steps(contract: Contract, pair: Sequence[str]) -> None:
    """Takes two signals in windows of two steps or more. Raises NotPossible."""
    two_signals(contract, pair)
    if contract.window.steps < LEAST_STEPS:
        raise NotPossible("it predicts a step from those before, and windows have one")


def learn(job: Job, data: UnitData, settings: FinetuneSettings, *, build: Build | None = None) -> Answers:
    """Learn codes without labels, and a classifier of each signal's codes, which judges both signals.

    build : see ``pretrained``

    Raises
    ------
    NotPossible
        Another number of signals than two; windows of one step; no two windows with both; embeddings of
        different widths; labels of one class.
    """
    two_of_steps(job.contract, job.pair)
    model = pretrained(job, data, build)
    heads = {
        name: {head: _head(job, data, settings, model, name, head) for head in job.contract.heads}
        for name in job.pair
    }
    return {((a,), (b,)): partial(_answer, job, model, heads[a], b) for a, b in product(job.pair, job.pair)}


def features_of(job: Job) -> list[int]:
    """Of a step of each signal."""
    return [job.contract.modalities[name].feature.n_features for name in job.pair]


def with_m2s(
    job: Job, *, predicts: bool = False, counts: float = 1.0, kind: type[UniCode] = UniCode
) -> UniCode:
    """An untrained model with the encoders of M2S.

    predicts : with M2M CPC; counts : see ``UniCode``; kind : of model

    Raises
    ------
    NotPossible
        Embeddings of different widths.
    """
    networks = fresh_networks(job)
    of_pair = [networks[name] for name in job.pair]
    widths = [network.projection.linear.in_features for network in of_pair]
    if len(set(widths)) > 1:
        raise NotPossible("it takes embeddings of one width")
    seed_torch(named_seed(job.seed, "unicode cpc"))
    added = PairPrediction(widths[0], job.settings) if predicts else None
    seed_torch(named_seed(job.seed, "unicode"))
    return kind(of_pair, features_of(job), added, counts)


def pretrained(job: Job, data: UnitData, build: Build | None = None) -> UniCode:
    """The model of the epoch in which codes agree best on validation windows.

    build : makes the untrained model from the job's seed; None for ``with_m2s``
    """
    model = (build or with_m2s)(job)
    rows, validation = (rows_of(data.parts[part], job.pair) for part in ("train", "validation"))
    if len(rows) < 2:
        raise NotPossible(f"no two training windows have {' and '.join(job.pair)}")
    of_bounds, optimiser = _optimisers(job, model)

    def windows(chosen: Tensor, of: Rows) -> list[Tensor]:
        return [of.features[name][chosen] for name in job.pair]

    def judge(chosen: Tensor) -> Tensor:
        seen = windows(chosen, validation)
        return model.agreement([part(one) for part, one in zip(model.parts, seen, strict=True)])

    groups, judged = (
        groups_of(data.parts[part].having(job.pair), job.settings.sampler)
        for part in ("train", "validation")
    )
    is_chosen = job.settings.select == "validation"
    selection = LowestLoss(model, judge, judged if is_chosen else NOBODY, job.settings.batch)
    train(
        model,
        [optimiser],
        lambda chosen: model(windows(chosen, rows), of_bounds),
        len(rows),
        epochs=job.settings.epochs,
        batch=job.settings.batch,
        seed=job.seed,
        after_epoch=selection.look,
        groups=groups,
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


UNICODE = Method(learn=learn, takes=two_of_steps, pretrained=False, passes=("pretrain",))
UNICODE_CPC = Method(
    learn=partial(learn, build=partial(with_m2s, predicts=True)),
    takes=two_of_steps,
    pretrained=False,
    passes=("pretrain",),
    predicts=True,
)
UNICODE_RELEASED = Method(
    learn=partial(learn, build=partial(with_m2s, counts=0.0)),
    takes=two_of_steps,
    pretrained=False,
    passes=("pretrain",),
)
