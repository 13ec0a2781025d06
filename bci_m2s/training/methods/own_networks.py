"""What methods with networks of their own share: rows as tensors, and training that validation ends.

A method trains on labelled windows that have all of its modalities; the epoch with the highest balanced
accuracy on validation people is kept, of equals the one with the lowest loss, as ``finetune`` does.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from bci_m2s.model.contract import Contract
from bci_m2s.training.data.batches import batches_of, epoch_batches
from bci_m2s.training.data.windows import WindowSet
from bci_m2s.training.methods import NotPossible
from bci_m2s.training.methods.finetune import class_weights
from bci_m2s.training.methods.seeds import seed_torch
from bci_m2s.training.methods.stage_settings import FinetuneSettings
from bci_m2s.training.results.metrics import mean_over_subjects
from bci_m2s.types import FloatArray

SIZE = 1024  # windows that are judged at once


@dataclass(frozen=True)
class Rows:
    """n windows. features : modality → (n, T, F); labels : (n,), -1 for none; subjects : (n,)"""

    features: dict[str, Tensor]
    labels: Tensor
    subjects: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


def rows_of(windows: WindowSet, modalities: Collection[str], head: str = "") -> Rows:
    """The windows in which all of these modalities are present and that have a label of `head`.

    head : "" for windows with or without labels, whose labels are then -1
    """
    used = windows.having(modalities, head)
    features = {name: torch.from_numpy(np.ascontiguousarray(used.features[name])) for name in modalities}
    labels = used.labels[head] if head else np.full(len(used), -1)
    return Rows(features, torch.from_numpy(np.asarray(labels, dtype=np.int64)), used.subjects)


def labelled_rows(windows: WindowSet, modalities: Collection[str], head: str) -> Rows:
    """As ``rows_of``. Raises NotPossible where there is no such window, or of one class alone."""
    rows = rows_of(windows, modalities, head)
    if len(torch.unique(rows.labels)) < 2:
        names = " and ".join(modalities)
        raise NotPossible(f"its training windows with {names} have labels of fewer than two classes")
    return rows


@dataclass
class Selection:
    """Keeps the best state of some networks.

    networks : what is kept
    judge : logits (n, classes) of the validation rows; None where nothing is chosen, and the last state is
        kept
    rows : of validation
    """

    networks: nn.Module
    judge: Callable[[], Tensor] | None
    rows: Rows
    best: tuple[float, float] = (-1.0, 0.0)  # balanced accuracy, -loss
    _state: dict[str, Tensor] | None = None

    def look(self) -> None:
        """After an epoch."""
        if self.judge is None or not len(self.rows):
            return
        self.networks.eval()
        with torch.no_grad():
            logits = self.judge()
        loss = float(functional.cross_entropy(logits, self.rows.labels))
        guesses = logits.argmax(dim=1).numpy()
        score = mean_over_subjects(self.rows.labels.numpy(), guesses, self.rows.subjects, logits.shape[1])
        if (score, -loss) > self.best:
            self.best = (score, -loss)
            self._state = copy.deepcopy(self.networks.state_dict())

    def take(self) -> None:
        """The best state into the networks, which are put into evaluation mode."""
        if self._state is not None:
            self.networks.load_state_dict(self._state)
        self.networks.eval()


def train(
    networks: nn.Module,
    optimisers: Sequence[torch.optim.Optimizer],
    loss: Callable[[Tensor], Tensor],
    n_rows: int,
    *,
    epochs: int,
    batch: int,
    seed: int,
    after_epoch: Callable[[], None] = lambda: None,
    groups: NDArray[np.int64] | None = None,
) -> None:
    """Go through the rows, in another order in each epoch.

    Parameters
    ----------
    networks : put into training mode before each epoch
    optimisers : each takes a step per batch
    loss : of the rows with these indices, (batch,)
    n_rows : number of training rows; a rest smaller than `batch` joins the batch before it
    seed : of the order, and of torch's random numbers in each epoch
    after_epoch : ``Selection.look``, for instance
    groups : of the rows, (n_rows,), of which a batch has one (``batches.groups_of``); None for a single one
    """
    rows = np.arange(n_rows)
    for epoch in range(epochs):
        number = (seed + 1) * 7919 + epoch
        seed_torch(number)
        networks.train()
        order = torch.Generator().manual_seed(number)
        for chosen in (
            batches_of(rows, batch, "merge", order)
            if groups is None
            else epoch_batches(groups, batch, "merge", order)
        ):
            for optimiser in optimisers:
                optimiser.zero_grad()
            loss(chosen).backward()
            for optimiser in optimisers:
                optimiser.step()
        after_epoch()


def train_selected(
    network: nn.Module,
    optimisers: Sequence[torch.optim.Optimizer],
    loss: Callable[[Tensor], Tensor],
    n_rows: int,
    judge: Callable[[], Tensor],
    validation: Rows,
    settings: FinetuneSettings,
    seed: int,
    batch: int = 0,
) -> None:
    """Train as ``train`` does, and keep the epoch that ``finetune.select`` says.

    judge : logits (n, classes) of the validation rows; batch : 0 for ``finetune.batch``
    """
    selection = Selection(network, judge if settings.select == "validation" else None, validation)
    train(
        network,
        optimisers,
        loss,
        n_rows,
        epochs=settings.epochs,
        batch=batch or settings.batch,
        seed=seed,
        after_epoch=selection.look,
    )
    selection.take()


def weighted_cross_entropy(rows: Rows, n_classes: int, kind: str) -> Callable[[Tensor, Tensor], Tensor]:
    """(logits, labels) → loss, every class with the same weight. kind : ``finetune.class_weight``"""
    weights = class_weights(rows.labels, n_classes, kind)
    return lambda logits, labels: functional.cross_entropy(logits, labels, weights, ignore_index=-1)


@torch.no_grad()
def in_parts(network: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    """What a network makes of inputs (n, …) each, ``SIZE`` rows at a time."""
    parts = zip(*(one.split(SIZE) for one in inputs), strict=True)
    return torch.cat([network(*part) for part in parts])


def probabilities(logits: Tensor) -> FloatArray:
    """(n, classes) float64."""
    return np.asarray(torch.softmax(logits.double(), dim=1).numpy())


@dataclass(frozen=True)
class EegAndOther:
    """The signals of a pair of which one is EEG. eeg, other : modalities; sizes are those of a step

    channels, bands : of the EEG, whose features are channel-major; features : of the other signal
    """

    eeg: str
    other: str
    channels: int
    bands: int
    features: int


def eeg_and_other(contract: Contract, pair: Sequence[str]) -> EegAndOther:
    """What a method for EEG and one other signal takes. Raises NotPossible."""
    of_eeg = [name for name in pair if contract.modalities[name].stream_type.upper() == "EEG"]
    if len(pair) != 2 or len(of_eeg) != 1:
        raise NotPossible(f"it takes EEG and one other signal, and there are {', '.join(pair)}")
    eeg, other = of_eeg[0], next(name for name in pair if name != of_eeg[0])
    channels = len(contract.modalities[eeg].channels)
    bands, rest = divmod(contract.modalities[eeg].feature.n_features, channels)
    if rest:
        raise NotPossible(f"it takes EEG features by electrode, and {eeg}'s are not")
    return EegAndOther(eeg, other, channels, bands, contract.modalities[other].feature.n_features)


def two_signals(_: Contract, pair: Sequence[str]) -> None:
    """What a method for any two signals takes. Raises NotPossible."""
    if len(pair) != 2:
        raise NotPossible(f"it takes two signals, and there are {', '.join(pair)}")
