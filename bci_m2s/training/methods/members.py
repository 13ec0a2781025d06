"""What takes turns in a pre-training: each pair of modalities, or the one that is alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bci_m2s.errors import TrainingError
from bci_m2s.model.contract import WindowContract
from bci_m2s.networks.own_future import SingleModel
from bci_m2s.networks.pretraining import Encoded, PairModel
from bci_m2s.training.data.windows import WindowSet
from bci_m2s.training.methods.loss_settings import LossSettings
from bci_m2s.training.methods.losses import own_terms, pair_terms
from bci_m2s.training.methods.vicreg import centred


class Member:
    """A pair in training, or the modality that is alone.

    Parameters
    ----------
    names, model : its modalities, and what is trained of them
    training, validation : standardised windows; those that have all of its modalities are used
    compiled : compile the model
    overlap : rows that a window covers

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
        overlap: int,
    ) -> None:
        self.names, self.model, self._settings, self._overlap = names, model, settings, overlap
        self.forward: Any = torch.compile(model) if compiled else model
        self.pair = model if isinstance(model, PairModel) else None
        self.training, self.validation = training.having(names), validation.having(names)
        self._tensors = [_tensors(windows, names) for windows in (self.training, self.validation)]
        if len(self.training) < 2:
            which = " and ".join(names) if len(names) == 1 else f"both {' and '.join(names)}"
            raise TrainingError(f"got {len(self.training)} windows with {which}, expected at least 2")

    def batch(self, indices: Tensor, *, validation: bool = False) -> list[Tensor]:
        """Some windows: features of each modality, (n, T, F), then trials, starts and subjects, (n,)."""
        return [part[indices] for part in self._tensors[validation]]

    def terms(self, encoded: Any, about: Sequence[Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        """The losses of a batch, unweighted.

        encoded : what the model made of its features; about : its trials, starts and subjects
        """
        trials, starts, subjects = about
        where: Any = {
            "settings": self._settings,
            "trials": trials,
            "starts": starts,
            "overlap": self._overlap,
            "generator": generator,
        }
        if isinstance(self.model, SingleModel):
            return own_terms(self.model, *encoded, **where)
        return pair_terms(self.model, *encoded, subjects=subjects, **where)


def _tensors(windows: WindowSet, names: tuple[str, ...]) -> list[Tensor]:
    numbers = (
        *(windows.features[name] for name in names),
        windows.trials,
        windows.starts,
        windows.subjects,
    )
    return [torch.from_numpy(np.ascontiguousarray(part)) for part in numbers]


def rows_covered(window: WindowContract) -> int:
    """Rows between the starts of two windows that no longer share signal: the length of one, in hops."""
    return window.steps * round(window.step_s / window.hop_s)


def matched(model: PairModel, a: Encoded, b: Encoded, subjects: Tensor, settings: LossSettings) -> float:
    """Share of windows whose own partner is the nearest of the batch, by what the loss brings together.

    With VICReg those are projections centred per person; else projections by their cosine.
    """
    sides = ((model.a.projection, a), (model.b.projection, b))
    if settings.weights.vicreg:
        rows_a, rows_b = (centred(part.linear(side.er.mean(dim=1)), subjects) for part, side in sides)
    else:
        rows_a, rows_b = (
            torch.nn.functional.normalize(part(side.er), dim=-1, eps=1e-6) for part, side in sides
        )
    nearest = torch.cdist(rows_a, rows_b).argmin(dim=1)
    return float((nearest == torch.arange(len(nearest), device=nearest.device)).float().mean())
