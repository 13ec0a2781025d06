"""Clips in parts, of which one tests: what a model learns of a clip cannot help it there."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from bci_m2s.errors import ConfigurationError
from bci_m2s.training.data.split_settings import SplitSettings
from bci_m2s.training.datasets.layout import Trial


def clip_parts(trials: Sequence[Trial], settings: SplitSettings, head: str) -> list[frozenset[str]]:
    """The clips in ``settings.stimulus_folds`` parts, dealt class by class so that each has every class.

    A clip counts for the class that most of its trials have.

    Raises
    ------
    ConfigurationError
        Trials do not name their clip, or there are too few clips, of a class where the label is the clip's.
    """
    classes = classes_by_clip(trials, head)
    nameless = sum(not trial.stimulus for trial in trials)
    if nameless or not trials:
        raise ConfigurationError(
            f"split.stimuli: got apart, expected trials that name their clip: {nameless} of {len(trials)} "
            "do not (own recordings: a group (?P<stimulus>...) in data.markers.start)"
        )
    folds = settings.stimulus_folds
    clips: dict[int, list[str]] = defaultdict(list)
    for clip in sorted(classes):
        clips[max(sorted(classes[clip]), key=classes[clip].__getitem__)].append(clip)
    fewest = min(map(len, clips.values())) if is_of_clip(classes) else len(classes)
    if fewest < folds:
        of = "each class" if is_of_clip(classes) else "all"
        raise ConfigurationError(
            f"split.stimulus_folds: got {folds}, expected at most the number of clips, {fewest} of {of}"
        )
    draw = np.random.default_rng(settings.seed)
    dealt = [own[i] for _, own in sorted(clips.items()) for i in draw.permutation(len(own))]
    return [frozenset(dealt[part::folds]) for part in range(folds)]


def classes_by_clip(trials: Sequence[Trial], head: str) -> dict[str, Counter[int]]:
    """How many trials of each class each clip has; trials without a clip or label are left out."""
    classes: dict[str, Counter[int]] = defaultdict(Counter)
    for trial in trials:
        if trial.stimulus:
            classes[trial.stimulus][trial.labels.get(head, -1)] += 1
    return dict(classes)


def is_of_clip(classes: dict[str, Counter[int]]) -> bool:
    """Whether the label is the clip's: every clip has one class, and there are several classes."""
    return (
        all(len(own) == 1 for own in classes.values())
        and len({next(iter(own)) for own in classes.values()}) > 1
    )
