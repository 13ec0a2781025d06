"""What methods with a stage without labels share: which epoch is kept, classifiers of fixed features."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bci_m2s.training.data.batches import epoch_batches
from bci_m2s.training.methods.adam import Adam
from bci_m2s.training.methods.own_networks import Rows, Selection, in_parts, train, weighted_cross_entropy
from bci_m2s.training.methods.stage_settings import FinetuneSettings

NOBODY = np.zeros(0, dtype=np.int64)  # groups of no window


@dataclass
class LowestLoss:
    """Keeps the state of some networks with the lowest loss on windows whose labels are not used.

    loss : of the windows with these indices, (batch,)
    groups : of the windows, (n,), as in training; of fewer than two windows nothing is judged, and the last
        state is kept
    batch : windows that are judged against each other, as in training
    """

    networks: nn.Module
    loss: Callable[[Tensor], Tensor]
    groups: NDArray[np.int64]
    batch: int
    lowest: float = math.inf
    _state: dict[str, Tensor] | None = None

    def look(self) -> None:
        """After an epoch."""
        if max(np.bincount(np.unique(self.groups, return_inverse=True)[1]), default=0) < 2:
            return
        parts = epoch_batches(self.groups, self.batch, "merge", torch.Generator().manual_seed(0))
        self.networks.eval()
        with torch.no_grad():
            mean = sum(float(self.loss(part)) * len(part) for part in parts) / sum(map(len, parts))
        if mean < self.lowest:
            self.lowest = mean
            self._state = copy.deepcopy(self.networks.state_dict())

    def take(self) -> None:
        """The best state into the networks, which are put into evaluation mode."""
        if self._state is not None:
            self.networks.load_state_dict(self._state)
        self.networks.eval()


def fit_head(
    network: nn.Module, rows: Rows, validation: Rows, classes: int, settings: FinetuneSettings, seed: int
) -> None:
    """Train a classifier with every rate and decay of ``finetune``, as ``finetune`` does those of M2S.

    The best epoch of the best setting on validation is kept; where nothing is chosen, the last one of the
    first setting.

    network : takes the features in the order of `rows`; rows, validation : of the same modalities
    """
    of_logits = weighted_cross_entropy(rows, classes, settings.class_weight)

    def loss(chosen: Tensor) -> Tensor:
        logits = network(*(one[chosen] for one in rows.features.values()))
        return of_logits(logits, rows.labels[chosen])

    def judge() -> Tensor:
        return in_parts(network, *validation.features.values())

    is_chosen = settings.select == "validation" and len(validation) > 0
    selection = Selection(network, judge if is_chosen else None, validation)
    tried = list(product(settings.learning_rates, settings.weight_decays))
    begin = copy.deepcopy(network.state_dict())
    for rate, decay in tried if is_chosen else tried[:1]:
        network.load_state_dict(begin)
        train(
            network,
            [Adam(network.parameters(), lr=rate, weight_decay=decay)],
            loss,
            len(rows),
            epochs=settings.epochs,
            batch=settings.batch,
            seed=seed,
            after_epoch=selection.look,
        )
    selection.take()
