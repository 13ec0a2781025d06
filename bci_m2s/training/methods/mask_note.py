"""Whether the mask of a pre-training says more than which windows share signal."""

from __future__ import annotations

import numpy as np

from bci_m2s.training.data.windows import WindowSet
from bci_m2s.training.settings import PretrainSettings


def mask_note(settings: PretrainSettings, training: WindowSet) -> str | None:
    """What is to be said of the mask in a run's record; None for nothing.

    With batches of one person and whole trials masked, every negative of somebody who has one trial of each
    class is of another class: the loss is then told where the classes part, without a label.
    """
    loss = settings.loss
    wide = (
        loss.mask_same_trial and loss.mask_reach is None and (loss.weights.contrastive or loss.weights.cpc)
    )
    if not wide or settings.sampler == "mixed":
        return None
    people = np.unique(training.subjects)
    told = sum(_is_told(training.take(training.subjects == person)) for person in people)
    if not told:
        return None
    return (
        f"the mask of whole trials tells the loss which windows are of different classes: {told} of "
        f"{len(people)} training people have one trial of each class (pretrain.loss.mask_reach: overlap "
        "masks only windows that share signal)"
    )


def _is_told(windows: WindowSet) -> bool:
    """Whether windows of two trials are always of different classes, by some head."""
    trials, first = np.unique(windows.trials, return_index=True)
    for rows in windows.labels.values():
        known = rows[first][rows[first] >= 0]
        if 1 < len(known) == len(trials) == len(np.unique(known)):
            return True
    return False
