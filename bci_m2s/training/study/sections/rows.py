"""Rows of a study by what they are, not by what they are called; and one less another."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bci_m2s.training.results.statistics import Compared, compare
from bci_m2s.training.results.summary import Row
from bci_m2s.training.settings import TrainingSettings
from bci_m2s.training.study.groups import kind_of
from bci_m2s.types import FloatArray

TERMS = ("contrastive", "cpc", "reconstruction", "club")  # of the loss of M2S
# what a network attends with; a setting `attention` of a network says otherwise
ATTENTION = {"m2s-electrode": "sts", "m2s-sequence": "multi-head"}
# settings that make no other method of a row
NO_OTHER = ("contract.name", "contract.description", "seeds", "preset", "controls")
Line = tuple[str, str]  # two directions that are compared: ours, theirs
Point = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Entry:
    """A row of a study with one head. rows : by direction; point : of the grid"""

    name: str
    settings: TrainingSettings
    rows: Mapping[str, Row]
    point: Point = ()

    def directions(self, *kinds: int) -> list[str]:
        """Those of some kinds that it answers."""
        return [direction for direction in self.rows if kind_of(direction) in kinds]

    def mean(self, directions: Sequence[str]) -> float:
        """Balanced accuracy over people and directions."""
        return float(np.mean([self.rows[direction].grid().mean() for direction in directions]))


@dataclass(frozen=True)
class Step:
    """A difference that a claim is about. words : what less what; more_than : as the claim has it"""

    words: str
    found: Compared
    more_than: float = 0.0

    @property
    def text(self) -> str:
        """The difference with its interval."""
        mean, low, high, _ = self.found
        if math.isnan(low):
            return f"{self.words} {mean:+.3f} (one person: no interval)"
        said = "excludes 0" if low > 0 or high < 0 else "includes 0"
        return f"{self.words} {mean:+.3f} ({low:+.3f} to {high:+.3f}: {said})"


def difference(
    words: str, ours: Entry, theirs: Entry, lines: Sequence[Line], more_than: float = 0.0
) -> Step:
    """One row less another on the same people, the mean of some lines of directions."""
    return step_of(words, [(ours.rows[one], theirs.rows[other]) for one, other in lines], more_than)


def step_of(words: str, pairs: Sequence[tuple[Row, Row]], more_than: float = 0.0) -> Step:
    """The mean of some pairs of rows, ours less theirs; NaN where they share no person, or of no pair."""
    rows = [row for pair in pairs for row in pair]
    shared_by_all = set.intersection(*(set(row.people) for row in rows)) if rows else set()
    people = [person for person in rows[0].people if person in shared_by_all] if rows else []
    if not people:
        return Step(words, Compared(*(math.nan,) * 4), more_than)
    ours, theirs = (_grid([pair[side] for pair in pairs], people) for side in (0, 1))
    same = len({tuple(row.counts) for row in rows}) == 1
    return Step(words, compare(ours, theirs, same_seeds=same), more_than)


def _grid(rows: Sequence[Row], people: Sequence[str]) -> FloatArray:
    """Mean of several directions, (S, P); of the seeds' means, where they have other seeds."""
    grids = [row.grid(people=people) for row in rows]
    if len({tuple(row.counts) for row in rows}) > 1:
        grids = [grid.mean(axis=0, keepdims=True) for grid in grids]
    return np.asarray(np.mean(grids, axis=0))


def is_m2s(settings: TrainingSettings) -> bool:
    """Pre-trained with all four terms of the loss and nothing in their place."""
    return terms_of(settings) == set(TERMS)


def terms_of(settings: TrainingSettings) -> set[str]:
    """Terms of the loss of pre-training that a row has; none of a row that is not pre-trained."""
    if settings.finetune.method != "pretrained" or settings.finetune.start != "pretrained":
        return set()
    weights = settings.pretrain.loss.weights
    found = {name for name in (*TERMS, "vicreg") if getattr(weights, name)}
    return found - ({"cpc"} if not weights.cpc_cross else set())  # M2M CPC predicts across signals


def attention_of(settings: TrainingSettings) -> str:
    """Of the modality whose electrodes attend to each other, else of all: sts, multi-head or none."""
    networks = [spec.network for spec in settings.contract.modalities.values()]
    found = [str(one.params.get("attention", ATTENTION.get(one.name, one.name))) for one in networks]
    return next((name for name in found if name != "multi-head"), "multi-head")


def without(settings: TrainingSettings, *keys: str) -> dict[str, Any]:
    """All settings but some, and those that make no other method."""
    values = settings.model_dump(mode="json")
    for key in (*keys, *NO_OTHER):
        *path, last = key.split(".")
        section = values
        for part in path:
            section = section.get(part, {})
        section.pop(last, None)
    return values


def shared(one: Entry, other: Entry, *kinds: int) -> list[Line]:
    """Directions of some kinds that both answer."""
    return [(name, name) for name in one.directions(*kinds) if name in other.rows]
