"""Signals that cannot be judged, because too few trials have usable windows: what is done, and said.

Where another signal was promoted, and both have windows of the same moments outside the trials, that one's
answers teach it, see ``pairs``. Else it stays the base model's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bci_m2s.training.calibration.base import Base
from bci_m2s.training.calibration.blocks import fewest_of_each
from bci_m2s.training.calibration.decide import ALPHA, Problem, Verdict
from bci_m2s.training.calibration.material import Material
from bci_m2s.training.calibration.pairs import FEWEST_PAIRS, can_learn, paired


@dataclass(frozen=True)
class Unlabelled:
    """A signal without enough labelled windows.

    trials : how many have usable windows, of `of`; windows : number of these
    wanted : number of trials of each class that could be judged
    why : the reason that most windows were refused for, "" where none was
    is_recorded : whether the sessions have its stream
    teacher : the signal whose answers teach it, "" for none; pairs : windows with an answer of that one
    """

    trials: int
    of: int
    windows: int
    wanted: int
    why: str
    is_recorded: bool
    teacher: str = ""
    pairs: int = 0

    @property
    def is_taught(self) -> bool:
        """Whether it gets more than the base model."""
        return bool(self.teacher) and self.pairs >= FEWEST_PAIRS

    def sentence(self, modality: str) -> str:
        """What is done with the signal in one plain sentence."""
        stays = f"{modality}: not judged, its base model stays as it is: "
        if not self.is_recorded:
            return f"{stays}the sessions have no stream of it"
        why = f" ({self.why})" if self.why else ""
        seen = f"{self.trials} of {self.of} trials have usable windows{why}"
        seen += f", wanted {self.wanted} of each class"
        if self.is_taught:
            learnt = f"what {self.teacher} answered in {self.pairs} windows outside trials"
            return f"{modality}: not judged: {seen}; its base model has learnt from {learnt}"
        if self.teacher:
            few = f"{self.pairs} windows beside {self.teacher}'s outside trials, wanted {FEWEST_PAIRS}"
            return f"{stays}{seen}; {few}"
        return f"{stays}{seen}"


def unlabelled(
    material: Material, base: Base, problems: Mapping[str, Problem], verdicts: Mapping[str, Verdict]
) -> dict[str, Unlabelled]:
    """The base model's signals that are not judged, by modality."""
    wanted = fewest_of_each(len(material.classes), ALPHA)
    promoted = [name for name, verdict in verdicts.items() if verdict.is_promoted]
    teacher = max(promoted, key=lambda name: verdicts[name].accuracy, default="")
    found = {}
    for name in base.contract.modalities:
        if name in problems:
            continue
        windows = material.windows.get(name)
        numbers = windows.trials if windows is not None else np.empty(0, dtype=np.int64)
        teaches = teacher if windows is not None and can_learn(base, name) else ""
        found[name] = Unlabelled(
            len(np.unique(numbers)),
            len(material.labels),
            len(numbers),
            wanted,
            windows.why_none if windows is not None else "",
            windows is not None,
            teaches,
            len(paired(material, teaches, name)[0]) if teaches else 0,
        )
    return found
