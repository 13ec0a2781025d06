"""What a run's record has to say of its data and choices beside the figures."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bci_m2s.training.data.prepare import UnitData
from bci_m2s.training.data.windows import WindowSet
from bci_m2s.training.methods.finetune import Fitted
from bci_m2s.training.methods.stage_settings import PretrainSettings

MOST = 8  # people that are named
NOT_CALIBRATED = (
    "probabilities are not calibrated, nothing is called unknown: no validation window has a label"
)


def notes_of(data: UnitData, fitted: Mapping[str, Fitted]) -> list[str]:
    """All that is to be said of one split's fine-tuning."""
    notes = [mask_note(data.settings.pretrain, data.parts["train"]), *class_notes(data)]
    if data.settings.labels.leave_out:
        notes.append(NOT_CALIBRATED)
    by_loss = [name for name, result in fitted.items() if result.chosen_by == "loss"]
    if by_loss:
        notes.append(
            f"the validation trials are of one class, so the loss chose the epoch ({', '.join(by_loss)})"
        )
    return [note for note in notes if note]


def class_notes(data: UnitData) -> list[str]:
    """Who has no trial of some class, among those who train, validate and test."""
    notes = []
    for head, spec in data.settings.contract.heads.items():
        seen: dict[str, set[int]] = {}
        for part in data.parts.values():
            for person in np.unique(part.subjects):
                labels = part.labels[head][part.subjects == person]
                seen.setdefault(data.names.subjects[person], set()).update(labels[labels >= 0].tolist())
        lacking = sorted(
            (person for person, classes in seen.items() if 0 < len(classes) < len(spec.classes)),
            key=lambda name: (len(name), name),  # 9 before 10, and the same for every split
        )
        if lacking:
            more = f" and {len(lacking) - MOST} more" if len(lacking) > MOST else ""
            notes.append(f"{head}: no trial of some class: {', '.join(lacking[:MOST])}{more}")
    return notes


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
    who = "all" if told == len(people) else "some"
    return (
        f"the mask of whole trials tells the loss which windows are of different classes: {who} training "
        "people have one trial of each class (pretrain.loss.mask_reach: overlap masks only windows that "
        "share signal)"
    )


def _is_told(windows: WindowSet) -> bool:
    """Whether windows of two trials are always of different classes, by some head."""
    trials, first = np.unique(windows.trials, return_index=True)
    for rows in windows.labels.values():
        known = rows[first][rows[first] >= 0]
        if 1 < len(known) == len(trials) == len(np.unique(known)):
            return True
    return False
