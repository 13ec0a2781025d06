"""Whether labels can be left out as a training file says. Raises ConfigurationError, key first."""

from __future__ import annotations

from collections.abc import Sequence

from bci_m2s.errors import ConfigurationError
from bci_m2s.training.data.splits import Split
from bci_m2s.training.settings import TrainingSettings


def check_labels(settings: TrainingSettings, splits: Sequence[Split]) -> None:
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
