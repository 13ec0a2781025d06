"""Whether labels can be left out as a training file says. Raises ConfigurationError, key first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bci_m2s.errors import ConfigurationError
from bci_m2s.training.data.splits import HasTrials, Split
from bci_m2s.training.settings import TrainingSettings


def check_labels(
    settings: TrainingSettings, splits: Sequence[Split], sessions: Sequence[HasTrials]
) -> None:
    """People are apart and enough of them train; the windows tell later who has every class."""
    labels = settings.labels
    if not labels.leave_out:
        return
    for split in splits:
        if not split.by_subject:
            raise ConfigurationError(
                "labels: got labels that are left out, expected a split that tests people who do not train"
            )
        n = len({key.split("/")[0] for key in split.train})
        if (labels.people or 0) > n:
            raise ConfigurationError(
                f"labels.people: got {labels.people}, expected at most the {n} people who train in "
                f"{split.name}"
            )
        if labels.unpaired and n < 2:
            raise ConfigurationError(
                f"labels.unpaired: got true, expected two people or more who train in {split.name}: {n}"
            )
    if labels.new_person_trials:
        _check_spare(settings, splits, sessions)


def _check_spare(
    settings: TrainingSettings, splits: Sequence[Split], sessions: Sequence[HasTrials]
) -> None:
    """Somebody who tests has more trials of each class than are given to the training."""
    head, given = settings.contract.first_head, settings.labels.new_person_trials
    tests = frozenset[str]().union(*(split.test for split in splits))
    counts: dict[str, Counter[int]] = {}
    for session in sessions:
        labels = [trial.labels.get(head, -1) for trial in session.trials if session.key(trial) in tests]
        counts.setdefault(session.subject, Counter()).update(labels)
    classes = range(len(settings.contract.heads[head].classes))
    most = max((min(of_person[one] for one in classes) for of_person in counts.values()), default=0)
    if most <= given:
        raise ConfigurationError(
            f"labels.new_person_trials: got {given}, expected fewer than the trials of each class of "
            f"somebody who tests: at most {most}"
        )
