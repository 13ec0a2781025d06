"""Classifiers on the labels of one modality; which epoch and which settings, by validation trials."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from bci_m2s.errors import TrainingError
from bci_m2s.networks.m2s import Classifier, SingleModality
from bci_m2s.training.data.batches import batches_of
from bci_m2s.training.data.windows import WindowSet
from bci_m2s.training.methods.adam import Adam
from bci_m2s.training.methods.seeds import named_seed, seed_torch
from bci_m2s.training.methods.stage_settings import FinetuneSettings
from bci_m2s.training.results.metrics import mean_over_subjects

SIZE = 1024  # windows in one pass without gradients
_Judged = tuple[str, Tensor, Tensor, np.ndarray]  # see _Attempt._logits


class Judge(Protocol):
    """Test windows of another modality; see ``across.Other``."""

    def scores(self, heads: nn.ModuleDict) -> dict[str, float]:
        """Balanced accuracy of each head."""
        ...


@dataclass
class Fitted:
    """A modality's network after training, and its scores.

    score : balanced accuracy on validation windows, mean over people and heads; NaN without any
    chosen_by : "balanced accuracy", of equals by the loss; "loss" where a head's validation windows are all
        of one class, which a constant guess gets right; "" for the last epoch
    oracle : head → balanced accuracy of the epoch and settings that are best on test windows; None unless
        requested
    oracle_across : the same on the test windows of other modalities, by modality
    rows : one dict per epoch of the chosen settings
    """

    network: SingleModality
    score: float
    epoch: int
    learning_rate: float
    weight_decay: float
    chosen_by: str = ""
    oracle: dict[str, float] | None = None
    oracle_across: dict[str, dict[str, float]] = field(default_factory=dict)
    rows: list[dict[str, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Part:
    """Windows of one modality as tensors. labels : head → (n,)."""

    features: Tensor
    labels: dict[str, Tensor]
    subjects: np.ndarray

    @staticmethod
    def of(windows: WindowSet, modality: str) -> Part:
        """The windows in which the modality is present and that have a label."""
        usable = windows.having([modality])
        usable = usable.take(np.any([rows >= 0 for rows in usable.labels.values()], axis=0))
        return Part(
            torch.from_numpy(np.ascontiguousarray(usable.features[modality])),
            {head: torch.from_numpy(rows) for head, rows in usable.labels.items()},
            usable.subjects,
        )

    def __len__(self) -> int:
        return len(self.features)


def finetune(
    network: SingleModality,
    parts: Mapping[str, WindowSet],
    modality: str,
    settings: FinetuneSettings,
    seed: int,
    on_epoch: Callable[[], None] = lambda: None,
    others: Mapping[str, Judge] = MappingProxyType({}),
) -> Fitted:
    """Train fresh classifiers on `modality` of the training windows; `network` itself is changed.

    others : for the oracle, modalities that the classifiers judge besides

    Raises
    ------
    TrainingError
        No labelled training or validation windows, or too few for a batch.
    """
    data = {part: Part.of(windows, modality) for part, windows in parts.items()}
    is_selected = settings.select == "validation"
    for part in ("train", "validation") if is_selected else ("train",):
        if not len(data[part]):
            raise TrainingError(f"{modality}: no labelled {part} windows are left")
    start = {key: value.clone() for key, value in network.state_dict().items()}
    frozen = settings.freeze and not settings.frozen_dropout
    network.eval()
    projected = None
    if frozen:
        projected = {name: projections(network, part.features) for name, part in data.items() if len(part)}
    grid = list(itertools.product(settings.learning_rates, settings.weight_decays))
    chosen_by = selection_by(data["validation"]) if is_selected else ""
    best: Fitted | None = None
    best_key: tuple[float, float] = (0.0, 0.0)
    best_state: dict[str, Tensor] = {}
    oracle: dict[str, float] = {}
    across: dict[str, dict[str, float]] = {name: {} for name in others if name != modality}
    n_epochs = settings.stop_after or settings.epochs
    for rate, decay in grid if is_selected else grid[:1]:
        network.load_state_dict(start)
        attempt = _Attempt(network, data, projected, settings, (seed, modality), rate, decay)
        for epoch in range(n_epochs):
            row = attempt.epoch(epoch)
            for head, score in attempt.tested.items():
                oracle[head] = max(oracle.get(head, 0.0), score)
            for name, best_of in across.items():
                for head, score in others[name].scores(network.heads).items():
                    best_of[head] = max(best_of.get(head, 0.0), score)
            score = row.get("validation", math.nan)
            loss = row.get("validation_loss", math.nan)
            key = (0.0 if chosen_by == "loss" else score, -loss)
            better = best is None or key > best_key
            if better if is_selected else epoch + 1 == n_epochs:
                best, best_key = Fitted(network, score, epoch + 1, rate, decay, chosen_by), key
                best_state = {key: value.clone() for key, value in network.state_dict().items()}
                best.rows = attempt.rows
            on_epoch()
    assert best is not None  # there is at least one epoch
    network.load_state_dict(best_state)
    network.eval()
    best.oracle = oracle if settings.oracle else None
    best.oracle_across = across
    return best


class _Attempt:
    """Training with one learning rate and weight decay, epoch by epoch."""

    def __init__(
        self,
        network: SingleModality,
        data: Mapping[str, Part],
        projected: Mapping[str, Tensor] | None,
        settings: FinetuneSettings,
        seed: tuple[int, str],
        rate: float,
        decay: float,
    ) -> None:
        self.network, self.data, self.projected, self.settings = network, data, projected, settings
        self.seed, self.rate = seed[0], rate
        self.rows: list[dict[str, float]] = []
        self.tested: dict[str, float] = {}  # by head, after the last epoch; only for the oracle
        self.weights = {
            head: class_weights(
                data["train"].labels[head],
                cast(Classifier, classifier).out.out_features,
                settings.class_weight,
            )
            for head, classifier in network.heads.items()
        }
        # two modalities begin apart: what their classifiers have in common is then the encoders' doing
        seed_torch(named_seed(*seed))
        reset(network.heads)
        network.requires_grad_(not settings.freeze)
        network.heads.requires_grad_(True)
        trained = [
            parameter
            for parameter in network.parameters()
            if parameter.requires_grad or settings.frozen_in_optimiser
        ]
        self.optimiser = Adam(trained, lr=rate, weight_decay=decay, fused=True)

    def epoch(self, number: int) -> dict[str, float]:
        """Train one epoch, counted from 0; its mean loss and the scores after it."""
        settings, train = self.settings, self.data["train"]
        seed_torch((self.seed + 1) * 7919 + number)
        generator = torch.Generator().manual_seed((self.seed + 1) * 7919 + number)
        self._training_mode()
        batches = batches_of(np.arange(len(train)), settings.batch, settings.last_batch, generator)
        if not batches:
            raise TrainingError(
                f"{len(train)} windows are too few for a batch of {settings.batch}: lower batch"
            )
        total = 0.0
        for i, batch in enumerate(batches):
            done = (number + i / len(batches)) / settings.epochs
            for group in self.optimiser.param_groups:
                group["lr"] = self.rate * (1 + math.cos(math.pi * done)) / 2
            loss = self._loss(batch)
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
            total += float(loss.detach())
        self.network.eval()
        row = {
            "epoch": float(number + 1),
            "loss": total / len(batches),
        }
        judged = list(self._logits("validation"))
        if judged:
            row["validation"] = float(np.mean(list(_scores(judged).values())))
            row["validation_loss"] = self._loss_of(judged)
        if settings.oracle:
            self.tested = _scores(list(self._logits("test")))
        if self.tested:
            row["test"] = float(np.mean(list(self.tested.values())))
        self.rows.append(row)
        return row

    def _training_mode(self) -> None:
        self.network.train()
        if self.settings.freeze and not self.settings.frozen_dropout:
            self.network.encoder.eval()
            self.network.projection.eval()

    def _loss(self, batch: Tensor) -> Tensor:
        train = self.data["train"]
        if self.projected is not None:
            projected = self.projected["train"][batch]
        else:
            with torch.set_grad_enabled(not self.settings.freeze):
                projected = self.network.project(train.features[batch])
        losses = []
        for head, classifier in self.network.heads.items():
            labels = train.labels[head][batch]
            if (labels >= 0).any():
                losses.append(
                    functional.cross_entropy(
                        classifier(projected),
                        labels,
                        self.weights[head],
                        ignore_index=-1,
                        label_smoothing=self.settings.label_smoothing,
                    )
                )
        return torch.stack(losses).sum() if losses else projected.sum() * 0.0

    @torch.no_grad()
    def _logits(self, part: str) -> Iterator[_Judged]:
        """Head, logits (n, classes), labels (n,) and subjects (n,) of the labelled windows of a part."""
        data = self.data[part]
        if not len(data):
            return
        projected = (
            self.projected[part] if self.projected is not None else projections(self.network, data.features)
        )
        for head, classifier in self.network.heads.items():
            known = data.labels[head] >= 0
            if known.any():
                logits = classifier(projected)[known]
                yield head, logits, data.labels[head][known], data.subjects[known.numpy()]

    def _loss_of(self, judged: Sequence[_Judged]) -> float:
        """Cross-entropy of all windows, each class with its weight, mean over heads."""
        losses = []
        for head, logits, labels, _ in judged:
            weights = self.weights[head]
            each = functional.cross_entropy(logits, labels, reduction="none")
            used = torch.ones_like(each) if weights is None else weights[labels]
            losses.append(float((each * used).sum() / used.sum().clamp(min=1e-12)))
        return float(np.mean(losses))


def _scores(judged: Sequence[_Judged]) -> dict[str, float]:
    """Balanced accuracy, mean over people, of every head that has labels."""
    return {
        head: mean_over_subjects(labels.numpy(), logits.argmax(dim=1).numpy(), subjects, logits.shape[1])
        for head, logits, labels, subjects in judged
    }


def selection_by(validation: Part) -> str:
    """What chooses the epoch: see ``Fitted.chosen_by``."""
    for labels in validation.labels.values():
        if len(labels[labels >= 0].unique()) == 1:
            return "loss"
    return "balanced accuracy"


def class_weights(labels: Tensor, n_classes: int, kind: str) -> Tensor | None:
    """Weights (classes,) that give every class that occurs the same total; None for "none"."""
    if kind == "none":
        return None
    counts = torch.bincount(labels[labels >= 0], minlength=n_classes).float()
    occurs = counts > 0
    return torch.where(occurs, counts.sum() / (occurs.sum() * counts.clamp(min=1)), 0.0)


def reset(module: nn.Module) -> None:
    """Give every layer of a module new random weights (torch's global generator)."""
    for layer in module.modules():
        if hasattr(layer, "reset_parameters"):
            layer.reset_parameters()  # type: ignore[operator]


@torch.no_grad()
def projections(network: SingleModality, features: Tensor) -> Tensor:
    """Projections (n, P) of windows, SIZE at a time."""
    network.eval()
    return torch.cat([network.project(part) for part in features.split(SIZE)])


def project(network: SingleModality, features: np.ndarray) -> np.ndarray:
    """Projections (n, P) of standardised windows (n, T, F), float64."""
    projected = projections(network, torch.from_numpy(np.ascontiguousarray(features)))
    return projected.double().numpy()


@torch.no_grad()
def head_logits(network: SingleModality, features: np.ndarray) -> dict[str, np.ndarray]:
    """Logits (n, classes) of every head, float64."""
    network.eval()
    parts = [network(part) for part in torch.from_numpy(np.ascontiguousarray(features)).split(SIZE)]
    return {head: torch.cat([part[head] for part in parts]).double().numpy() for head in network.heads}


def fewer_labels(windows: WindowSet, head: str, trials_per_class: int, seed: int) -> WindowSet:
    """Keep the labels of some random trials of each class, 0 for all; the others become -1."""
    if not trials_per_class:
        return windows
    generator = np.random.default_rng(seed)
    kept: list[int] = []
    for label in np.unique(windows.labels[head][windows.labels[head] >= 0]):
        trials = np.unique(windows.trials[windows.labels[head] == label])
        kept += generator.permutation(trials)[:trials_per_class].tolist()
    labelled = np.isin(windows.trials, kept)
    labels = {name: np.where(labelled, rows, -1) for name, rows in windows.labels.items()}
    return replace(windows, labels=labels)
