"""Which epoch of a pre-training is kept, when it is over, and what an epoch's losses must be."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

from bci_m2s.errors import TrainingError
from bci_m2s.training.methods.stage_settings import PretrainSettings

Rows = Sequence[Mapping[str, float]]
SHARED = ("contrastive", "vicreg")  # terms of what two modalities share
OWN_FUTURE = ("cpc",)  # of one modality alone


def last_epoch(settings: PretrainSettings) -> int:
    """The number of epochs there are at most."""
    return min(settings.epochs, settings.stop_after or settings.epochs)


def kept_epoch(rows: Rows, settings: PretrainSettings) -> int:
    """The epoch, from 1, whose networks are kept: the first with the lowest loss on validation pairs.

    The loss is that of what two modalities share, of one alone that of its future; with ``select: last``,
    without validation windows or such a loss it is the last epoch.
    """
    losses = [validation_loss(row, settings) for row in rows]
    if settings.select != "validation" or not losses or any(math.isnan(loss) for loss in losses):
        return len(rows)
    return losses.index(min(losses)) + 1


def is_over(rows: Rows, settings: PretrainSettings) -> bool:
    """Whether no epoch is to follow."""
    if len(rows) >= last_epoch(settings):
        return True
    return 0 < settings.patience <= len(rows) - kept_epoch(rows, settings)


def validation_loss(row: Mapping[str, float], settings: PretrainSettings) -> float:
    """By which ``kept_epoch`` chooses, of an epoch's row; NaN where it has none."""
    for names in (SHARED, OWN_FUTURE):
        parts = [
            getattr(settings.loss.weights, name) * row[f"validation_{name}"]
            for name in names
            if f"validation_{name}" in row
        ]
        if parts:
            return sum(parts)
    return math.nan


def check_losses(row: Mapping[str, float], settings: PretrainSettings) -> None:
    """Raise TrainingError for a loss that is not finite, and for CLUB terms above the limit."""
    for name, value in row.items():
        if not math.isfinite(value):
            raise TrainingError(f"epoch {row['epoch']:.0f}: {name} is not finite: lower learning_rate")
    club = settings.loss.weights.club * (
        max(0.0, row.get("club_a", 0.0)) + max(0.0, row.get("club_b", 0.0))
    )
    if settings.club_limit is not None and club > settings.club_limit:
        raise TrainingError(
            f"epoch {row['epoch']:.0f}: the weighted CLUB terms average {club:.3g}, above club_limit "
            f"{settings.club_limit:g}: raise club_learning_rate, or lower loss.weights.club"
        )


def means(rows: Rows) -> dict[str, float]:
    """Means by name, over the rows that have it."""
    values: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        for name, value in row.items():
            values[name].append(value)
    return {name: sum(numbers) / len(numbers) for name, numbers in values.items()}
