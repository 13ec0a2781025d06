"""Which training files make the tables of docs/results.md, and what they take."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from bci_m2s.errors import UsageError, nearest
from bci_m2s.files.whole import write_whole
from bci_m2s.files.yaml_file import read_yaml
from bci_m2s.training.training_file import load_training

QUICK_SEEDS, FULL_SEEDS = 3, 10
QUICK_PROTOCOLS = ("all", "few-2", "few-4", "unpaired", "new-2")  # the released recipe with the first alone
RELEASED = "released"


@dataclass(frozen=True)
class Protocol:
    """Whose labels count. changes : to the training file, section → key → value

    same_pairs : training people give all of their pairs, so that pre-training is that of the protocol `all`
    """

    title: str
    changes: dict[str, dict[str, Any]] = field(default_factory=dict)
    same_pairs: bool = False


PROTOCOLS = {
    "all": Protocol("All labels", same_pairs=True),
    "few-2": Protocol("Labels of two people", {"labels": {"people": 2}}, same_pairs=True),
    "few-4": Protocol("Labels of four people", {"labels": {"people": 4}}, same_pairs=True),
    "unpaired": Protocol("Labels without pairs"),
    "new-1": Protocol("One trial of each class of a new person", {"labels": {"new_person_trials": 1}}),
    "new-2": Protocol("Two trials of each class of a new person", {"labels": {"new_person_trials": 2}}),
    "new-4": Protocol("Four trials of each class of a new person", {"labels": {"new_person_trials": 4}}),
}
ENDINGS = {"all": "aligned", "few": "few", "unpaired": "unpaired", "new": "new-person"}  # of training files


@dataclass(frozen=True)
class PageSet:
    """title : as the page calls it; skipped : protocols that it cannot have

    quick_every : of the windows of the full tables, which overlap, the quick ones take every so many
    """

    title: str
    skipped: tuple[str, ...] = ()
    quick_every: int = 3


SETS = {
    "eegmat": PageSet(
        "EEGMAT", ("new-1", "new-2", "new-4"), quick_every=2
    ),  # it has one trial of each class
    "stress-predict": PageSet("Stress-Predict"),
    "brain-body-behaviour": PageSet("Brain, Body, and Behaviour", quick_every=4),
}


@dataclass(frozen=True)
class Part:
    """One training file of the plan.

    data : key of ``SETS``; protocol : key of ``PROTOCOLS``
    recipe : "" for this project's own, or ``RELEASED``
    """

    data: str
    protocol: str
    recipe: str = ""

    @property
    def name(self) -> str:
        """As `--only` takes it: "eegmat-few-2", "eegmat-few-2-released"."""
        return "-".join(filter(None, (self.data, self.protocol, self.recipe)))

    @property
    def folder(self) -> Path:
        """Of its runs, below that of all results."""
        return Path(self.data) / "-".join(filter(None, (self.protocol, self.recipe)))

    @property
    def pretrained_as(self) -> Part:
        """The part whose pre-training is the same: of the same pairs, by the same recipe."""
        same = PROTOCOLS[self.protocol].same_pairs
        return Part(self.data, "all" if same else self.protocol, self.recipe)


def parts(names: Collection[str] = (), *, quick: bool = False, seeds: int = QUICK_SEEDS) -> list[Part]:
    """Every part, or those whose names are or begin with one of these.

    Those that others take their pre-training from come first. Quick tables of the usual seeds have fewer;
    another part is made quickly where it is named.

    Raises
    ------
    UsageError
        A name is of no part.
    """
    every, usual = _all_parts(quick=False), _all_parts(quick, seeds)
    meant = usual if not names else []
    for name in names:
        of_name = [part for part in usual if _is_meant(part, name)]
        of_name = of_name or [part for part in every if _is_meant(part, name)]
        if not of_name:
            hint = nearest(name, [part.name for part in every])
            sets = ", ".join(SETS)
            raise UsageError(f"--only: got {name!r}, expected one of {sets} or a part of one{hint}")
        meant += of_name
    return [part for part in every if part in meant]


def seeds_of(part: Part, seeds: Sequence[int], quick: bool) -> Sequence[int]:
    """Which seeds of the tables a part is run with: of the released recipe, quickly, the first.

    Where more seeds are asked for than the quick tables have, the released recipe has all of them, too.
    """
    return seeds[:1] if quick and part.recipe and len(seeds) <= QUICK_SEEDS else seeds


def _all_parts(quick: bool, seeds: int = QUICK_SEEDS) -> list[Part]:
    return [
        Part(data, protocol, recipe)
        for protocol in (QUICK_PROTOCOLS if quick and seeds <= QUICK_SEEDS else PROTOCOLS)
        for recipe in ("", RELEASED)
        for data, of_data in SETS.items()
        if protocol not in of_data.skipped and (not recipe or _has_released(protocol, quick))
    ]


def _has_released(protocol: str, quick: bool) -> bool:
    return protocol == "all" if quick else PROTOCOLS[protocol].same_pairs


def _is_meant(part: Part, name: str) -> bool:
    return f"{part.name}-".startswith(f"{name}-")


def write_training_file(
    part: Part,
    shipped: Path,
    path: Path,
    seeds: Sequence[int],
    *,
    quick: bool = False,
    data: Path | None = None,
) -> None:
    """Write the training file of a part: a shipped one with this protocol and these seeds.

    shipped : the folder of the shipped files
    quick : with fewer windows, and no permuted labels where there are as many folds as people
    data : the folder in which each data set has its own; None for where the shipped files look
    """
    ending = part.recipe or ENDINGS[part.protocol.split("-")[0]]
    source = shipped / f"{part.data}-{ending}.yaml"
    values = dict(read_yaml(source)[0])
    if values.get("base"):
        values["base"] = os.path.relpath((source.parent / values["base"]).resolve(), path.parent.resolve())
    root = values.get("data", {}).get("root")
    if data is not None:
        values["data"] = values.get("data", {}) | {"root": str((data / part.data).resolve())}
    elif root:
        values["data"] = values["data"] | {"root": str((source.parent / root).resolve())}
    changes: dict[str, Any] = dict(PROTOCOLS[part.protocol].changes)
    if part.recipe:
        changes["controls"] = []  # they are those of this project's own recipe
        if "labels" in changes:  # nothing is chosen by labels
            changes["finetune"] = {"select": "last", "oracle": False}
    for key, change in changes.items():
        values[key] = values.get(key, {}) | change if isinstance(change, dict) else change
    if quick:
        every = values["windows"]["every_hops"] * SETS[part.data].quick_every
        values["windows"] = values["windows"] | {"every_hops": every}
        if part.protocol.startswith("new"):
            values["controls"] = [name for name in load_training(source).controls if name != "permuted"]
    values["seeds"] = list(seeds)
    text = f"# {source.name}, {PROTOCOLS[part.protocol].title.lower()}\n"
    text += yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        write_whole(path, text, overwrite=True)
