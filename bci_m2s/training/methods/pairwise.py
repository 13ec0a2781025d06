"""Modality-pairwise contrastive learning, and late fusion of any of the modalities.

Source: Franceschini, Fini, Beyan, Conti, Arrigoni, Ricci, "Multimodal Emotion Recognition with
Modality-Pairwise Unsupervised Contrastive Loss", ICPR 2022, arXiv 2207.11482, and the authors' released
code. From there: the loss over all pairs of two or more modalities, the projection (twice the features'
width, ReLU, their width), the fixed temperature, and heads over features that labels do not change. Ours:
encoders as M2S has them, here and in every other comparison; Adam, at the rate of pre-training; one view
of a window in place of two random crops, so that the loss is plain InfoNCE; heads trained after the
encoders, not alongside; batches as ``pretrain.sampler`` says. Released updates on validation and test
batches are not made.

``pairwise-cpc`` adds the M2M CPC of M2S to the loss of each pair; ``pairwise-released`` is in a file of its
own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bci_m2s.model.contract import Contract
from bci_m2s.training.data.batches import groups_of
from bci_m2s.training.data.prepare import UnitData
from bci_m2s.training.data.windows import WindowSet
from bci_m2s.training.methods import Answers, Method, NotPossible
from bci_m2s.training.methods.adam import Adam
from bci_m2s.training.methods.losses import contrastive_loss
from bci_m2s.training.methods.m2m_cpc import PairPrediction
from bci_m2s.training.methods.own_networks import (
    Rows,
    in_parts,
    labelled_rows,
    probabilities,
    rows_of,
    train,
)
from bci_m2s.training.methods.own_pretraining import NOBODY, LowestLoss, fit_head
from bci_m2s.training.methods.pretrain import Job, fresh_networks
from bci_m2s.training.methods.seeds import named_seed, seed_torch
from bci_m2s.training.methods.stage_settings import FinetuneSettings
from bci_m2s.types import FloatArray

TEMPERATURE = 0.07  # fixed, as released
WIDER = 2  # the projection's hidden layer to its features, 1024 to 512 as released


class Encoders(nn.Module):
    """An encoder and a projection for each modality.

    encoders : each (B, T, F) → (B, T, its width); widths : of each; the first is that of all projections
    predictions : of each pair of modalities, in the order of ``combinations``: a loss of both embeddings,
        added to the pair's own; none where there is no such loss
    """

    def __init__(
        self, encoders: Sequence[nn.Module], widths: Sequence[int], predictions: Sequence[nn.Module] = ()
    ) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(encoders)
        self.projections = nn.ModuleList(
            nn.Sequential(nn.Linear(n, WIDER * n), nn.ReLU(), nn.Linear(WIDER * n, widths[0]))
            for n in widths
        )
        self.predictions = nn.ModuleList(predictions)

    def features(self, number: int, windows: Tensor) -> Tensor:
        """Of windows (B, T, F) of a modality, what heads see: (B, width)."""
        embedded: Tensor = self.encoders[number](windows)
        return embedded.mean(dim=1)

    def forward(self, windows: Sequence[Tensor], present: Sequence[Tensor]) -> Tensor:
        """Mean loss over all pairs of modalities of which two windows have both, ().

        windows : (B, T, F) of each modality; present : (B,) of each, whether it may be used
        """
        embedded = [encoder(one) for encoder, one in zip(self.encoders, windows, strict=True)]
        projected = [
            projection(one.mean(dim=1)) for projection, one in zip(self.projections, embedded, strict=True)
        ]
        losses = []
        for number, (a, b) in enumerate(combinations(range(len(windows)), 2)):
            both = present[a] & present[b]
            if int(both.sum()) > 1:
                loss = pair_loss(projected[a][both], projected[b][both])
                if self.predictions:
                    loss = loss + self.predictions[number](embedded[a][both], embedded[b][both])
                losses.append(loss)
        return torch.stack(losses).mean() if losses else projected[0].sum() * 0


def pair_loss(a: Tensor, b: Tensor) -> Tensor:
    """Symmetric InfoNCE of projections (B, P); row i of both was recorded together."""
    return contrastive_loss(a, b, torch.tensor(-math.log(TEMPERATURE)))


class Head(nn.Module):
    """Classes from the features of some modalities side by side. widths : of each; the first is its own"""

    def __init__(self, widths: Sequence[int], classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(sum(widths), widths[0]), nn.ReLU(), nn.Linear(widths[0], classes)
        )

    def forward(self, *features: Tensor) -> Tensor:
        """features : (B, width) of each → (B, classes)"""
        logits: Tensor = self.layers(torch.cat(features, dim=1))
        return logits


def some_signals(_: Contract, pair: Sequence[str]) -> None:
    """Takes two signals or more. Raises NotPossible."""
    if len(pair) < 2:
        raise NotPossible("it takes two signals or more, and there is one")


def subsets(pair: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Which modalities are answered for: each alone, all but one, and all."""
    sizes = sorted({1, len(pair) - 1, len(pair)})
    return [names for size in sizes for names in combinations(pair, size)]


def learn(
    job: Job,
    data: UnitData,
    settings: FinetuneSettings,
    *,
    pretraining: Callable[[Job, UnitData], Encoders] | None = None,
) -> Answers:
    """Train the encoders without labels, and a head for each modality, for all but one, and for all.

    pretraining : how; None for ``pretrained``

    Raises
    ------
    NotPossible
        One modality; no two windows of any two modalities; labels of one class.
    """
    some_signals(job.contract, job.pair)
    encoders = (pretraining or pretrained)(job, data)
    found = {}
    for names in subsets(job.pair):
        heads = {head: _head(job, data, settings, encoders, names, head) for head in job.contract.heads}
        found[names, names] = partial(_answer, job, encoders, heads, names)
    return found


def pretrained(job: Job, data: UnitData, *, predicts: bool = False) -> Encoders:
    """M2S's encoders, of the epoch with the lowest loss on validation windows. predicts : with M2M CPC"""
    networks, widths = fresh_encoders(job)
    predictions: list[nn.Module] = []
    if predicts:
        if len(set(widths)) > 1:
            raise NotPossible("CPC takes embeddings of one width")
        seed_torch(named_seed(job.seed, "pairwise cpc"))
        predictions = [PairPrediction(widths[0], job.settings) for _ in combinations(job.pair, 2)]
    seed_torch(named_seed(job.seed, "pairwise"))
    encoders = Encoders(networks, widths, predictions)
    pretrain_encoders(job, data, encoders)
    return encoders


def fresh_encoders(job: Job) -> tuple[list[nn.Module], list[int]]:
    """M2S's encoders as initialised, and their widths."""
    networks = fresh_networks(job)
    widths = [networks[name].projection.linear.in_features for name in job.pair]
    return [networks[name].encoder for name in job.pair], widths


def pretrain_encoders(
    job: Job,
    data: UnitData,
    encoders: Encoders,
    optimiser: torch.optim.Optimizer | None = None,
    batch: int = 0,
) -> None:
    """Train until the last epoch; the one with the lowest loss on validation windows is kept.

    optimiser, batch : None and 0 for those of pre-training

    Raises NotPossible where no two training windows have the same two signals.
    """
    if optimiser is None:
        rate, decay = job.settings.learning_rate, job.settings.weight_decay
        optimiser = Adam(encoders.parameters(), lr=rate, weight_decay=decay)
    batch = batch or job.settings.batch
    training, validation = (
        _Shared(job.pair, data.parts[part], encoders) for part in ("train", "validation")
    )
    if not any(int((a & b).sum()) > 1 for a, b in combinations(training.present, 2)):
        raise NotPossible("no two training windows have the same two signals")
    judged = validation.groups(job) if job.settings.select == "validation" else NOBODY
    selection = LowestLoss(encoders, validation.loss, judged, batch)
    train(
        encoders,
        [optimiser],
        training.loss,
        training.n,
        epochs=job.settings.epochs,
        batch=batch,
        seed=job.seed,
        after_epoch=selection.look,
        groups=training.groups(job),
    )
    selection.take()


class _Shared:
    """The windows, labels or not, in which two modalities at least are present. n : how many"""

    def __init__(self, pair: Sequence[str], windows: WindowSet, encoders: Encoders) -> None:
        used = windows.take(np.sum([windows.present[name] for name in pair], axis=0) > 1)
        self.encoders, self.n, self._used = encoders, len(used), used
        self.windows = [torch.from_numpy(np.ascontiguousarray(used.features[name])) for name in pair]
        self.present = [torch.from_numpy(used.present[name]) for name in pair]

    def groups(self, job: Job) -> NDArray[np.int64]:
        """Of which a batch has one, (n,)."""
        return groups_of(self._used, job.settings.sampler)

    def loss(self, chosen: Tensor) -> Tensor:
        """Of the windows with these indices."""
        loss: Tensor = self.encoders(
            [one[chosen] for one in self.windows], [one[chosen] for one in self.present]
        )
        return loss


def _head(
    job: Job,
    data: UnitData,
    settings: FinetuneSettings,
    encoders: Encoders,
    names: tuple[str, ...],
    head: str,
) -> Head:
    rows = _features(job, encoders, labelled_rows(data.parts["train"], names, head))
    validation = _features(job, encoders, rows_of(data.parts["validation"], names, head))
    seed_torch(named_seed(job.seed, f"pairwise {head} {' '.join(names)}"))
    classes = len(job.contract.heads[head].classes)
    network = Head([one.shape[1] for one in rows.features.values()], classes)
    fit_head(network, rows, validation, classes, settings, job.seed)
    return network


def _features(job: Job, encoders: Encoders, rows: Rows) -> Rows:
    seen = {
        name: in_parts(partial(encoders.features, job.pair.index(name)), windows)
        for name, windows in rows.features.items()
    }
    return replace(rows, features=seen)


def _answer(
    job: Job,
    encoders: Encoders,
    heads: Mapping[str, Head],
    names: tuple[str, ...],
    windows: WindowSet,
    head: str,
) -> FloatArray:
    rows = _features(job, encoders, rows_of(windows, names))
    return probabilities(in_parts(heads[head], *rows.features.values()))


PAIRWISE = Method(learn=learn, takes=some_signals, pretrained=False, passes=("pretrain",))
PAIRWISE_CPC = Method(
    learn=partial(learn, pretraining=partial(pretrained, predicts=True)),
    takes=some_signals,
    pretrained=False,
    predicts=True,
    passes=("pretrain",),
)
