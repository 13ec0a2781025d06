"""Signals that cannot be judged, because too few trials have usable windows: what is done, and said.

Such a signal stays the base model's. Nothing is lent to it by the labels of the others, see docs/LOG.md.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from bci_m2s.training.calibration.base import Base
from bci_m2s.training.calibration.blocks import fewest_of_each
from bci_m2s.training.calibration.decide import ALPHA
from bci_m2s.training.calibration.material import Material


@dataclass(frozen=True)
class Unlabelled:
    """A signal without enough labelled windows.

    trials : how many have usable windows, of `of`; windows : number of these
    wanted : number of trials of each class that could be judged
    why : the reason that most windows were refused for, "" where none was
    is_recorded : whether the sessions have its stream
    """

    trials: int
    of: int
    windows: int
    wanted: int
    why: str
    is_recorded: bool

    def sentence(self, modality: str) -> str:
        """What is done with the signal in one plain sentence."""
        stays = f"{modality}: not judged, its base model stays as it is: "
        if not self.is_recorded:
            return f"{stays}the sessions have no stream of it"
        why = f" ({self.why})" if self.why else ""
        seen = f"{self.trials} of {self.of} trials have usable windows{why}"
        return f"{stays}{seen}, wanted {self.wanted} of each class"


def unlabelled(material: Material, base: Base, judged: Collection[str]) -> dict[str, Unlabelled]:
    """The base model's signals that are not judged, by modality."""
    wanted = fewest_of_each(len(material.classes), ALPHA)
    found = {}
    for name in base.contract.modalities:
        if name in judged:
            continue
        windows = material.windows.get(name)
        numbers = windows.trials if windows is not None else np.empty(0, dtype=np.int64)
        found[name] = Unlabelled(
            len(np.unique(numbers)),
            len(material.labels),
            len(numbers),
            wanted,
            windows.why_none if windows is not None else "",
            windows is not None,
        )
    return found
