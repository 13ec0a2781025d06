"""What takes turns in a pre-training: each pair of modalities, or the one that is alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from bci_m2s.errors import TrainingError
from bci_m2s.networks.own_future import SingleModel
from bci_m2s.networks.pretraining import Encoded, PairModel
from bci_m2s.training.data.windows import WindowSet
from bci_m2s.training.methods.loss_settings import LossSettings
from bci_m2s.training.methods.losses import own_terms, pair_terms


class Member:
    """A pair in training, or the modality that is alone.

    Parameters
    ----------
    names, model : its modalities, and what is trained of them
    training, validation : standardised windows; those that have all of its modalities are used
    compiled : compile the model

    Attributes
    ----------
    pair : the model of a pair; None of a modality that is alone

    Raises
    ------
    TrainingError
        There are fewer than two such windows for training.
    """

    def __init__(
        self,
        names: tuple[str, ...],
        model: Any,
        settings: LossSettings,
        training: WindowSet,
        validation: WindowSet,
        compiled: bool,
    ) -> None:
        self.names, self.model, self._settings = names, model, settings
        self.forward: Any = torch.compile(model) if compiled else model
        self.pair = model if isinstance(model, PairModel) else None
        self.training, self.validation = training.having(names), validation.having(names)
        self._tensors = [_tensors(windows, names) for windows in (self.training, self.validation)]
        if len(self.training) < 2:
            which = " and ".join(names) if len(names) == 1 else f"both {' and '.join(names)}"
            raise TrainingError(f"got {len(self.training)} windows with {which}, expected at least 2")

    def batch(self, indices: Tensor, *, validation: bool = False) -> list[Tensor]:
        """Some windows: features of each modality, (n, T, F), then trials and starts, (n,)."""
        return [part[indices] for part in self._tensors[validation]]

    def terms(
        self, encoded: Any, trials: Tensor, starts: Tensor, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """The losses of a batch, unweighted. encoded : what the model made of its features"""
        where: Any = {
            "settings": self._settings,
            "trials": trials,
            "starts": starts,
            "generator": generator,
        }
        if isinstance(self.model, SingleModel):
            return own_terms(self.model, *encoded, **where)
        return pair_terms(self.model, *encoded, **where)


def _tensors(windows: WindowSet, names: tuple[str, ...]) -> list[Tensor]:
    numbers = (*(windows.features[name] for name in names), windows.trials, windows.starts)
    return [torch.from_numpy(np.ascontiguousarray(part)) for part in numbers]


def matched(model: PairModel, a: Encoded, b: Encoded) -> float:
    """Share of windows whose own partner is the nearest of the batch."""
    unit_a, unit_b = (
        torch.nn.functional.normalize(projection(side.er), dim=-1, eps=1e-6)
        for projection, side in ((model.a.projection, a), (model.b.projection, b))
    )
    nearest = (unit_a @ unit_b.T).argmax(dim=1)
    return float((nearest == torch.arange(len(nearest), device=nearest.device)).float().mean())
