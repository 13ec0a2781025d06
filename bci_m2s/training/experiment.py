"""A training file with its data and its run folder, as pretrain, finetune and evaluate use them.

RUN/
  config.yaml               every setting, presets filled in
  run.json                  command, versions, people, trials, splits
  features/                 step features of raw signals, computed once
  SPLIT/seed-N/             one training: checkpoint, curves, model files, metrics
  results.json, results.md  results of evaluate
  on-OTHER/                 results of evaluate --on OTHER.yaml
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
import yaml
from rich.console import Console

import bci_m2s
from bci_m2s.errors import ContractError, OutputError, UsageError
from bci_m2s.files.access import make_private_folder
from bci_m2s.files.whole import write_whole
from bci_m2s.model.predictor import resolve_device
from bci_m2s.text import printable
from bci_m2s.training.check.training_file import Checked
from bci_m2s.training.data.labels import NobodyTests, with_labels_left
from bci_m2s.training.data.load import load_sessions
from bci_m2s.training.data.prepare import UnitData, prepare
from bci_m2s.training.data.second_set import SecondSet, check_strangers, tested_on
from bci_m2s.training.data.sessions import SessionFeatures
from bci_m2s.training.data.splits import PARTS, Split, make_splits
from bci_m2s.training.data.windows import Names
from bci_m2s.training.methods.pretrain import Job
from bci_m2s.training.settings import TrainingSettings

MOST_SPLITS = 8  # that a note names
PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", "mne")
SAME_RUN = ("contract", "pair", "data", "split", "labels", "windows", "pretrain")  # equal for all of a run


@dataclass(frozen=True)
class Experiment:
    """A training file, its sessions and splits, and the folder of its results.

    second : data that test in place of the test people; None for these
    notes : what is to be said at the end → the splits that it is of; used : splits that were not left out
    pictures : losses are drawn, which takes longer than the training of a small network
    """

    config: Path
    settings: TrainingSettings
    folder: Path
    sessions: list[SessionFeatures]
    names: Names
    splits: list[Split]
    device: torch.device
    console: Console
    second: SecondSet | None = None
    notes: dict[str, list[str]] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    pictures: bool = True

    @property
    def name(self) -> str:
        """The training file's name without its ending."""
        return self.config.stem

    def note(self, text: str, split: str) -> None:
        """Keep what is to be said of a split until ``say_notes``."""
        splits = self.notes.setdefault(text, [])
        if split not in splits:
            splits.append(split)

    def say_notes(self) -> None:
        """Print what was noted: each text once, with its splits where it is not of all."""
        for text, splits in self.notes.items():
            where = ""
            if set(splits) != self.used:
                more = f" and {len(splits) - MOST_SPLITS} more" if len(splits) > MOST_SPLITS else ""
                where = f" (in {', '.join(splits[:MOST_SPLITS])}{more} of {len(self.splits)} splits)"
            self.console.print(f"note: {text}{where}", style="yellow", markup=False, soft_wrap=True)
        self.notes.clear()

    def job(self, seed: int) -> Job:
        """The pre-training of a seed."""
        settings = self.settings
        return Job(settings.contract, settings.pair, settings.pretrain, seed, self.device)

    def split_of(self, number: int, seed: int) -> Split:
        """A split as a seed has it: with ``validation_by_seed`` other people validate."""
        settings = self.settings
        if not settings.split.validation_by_seed:
            return self.splits[number]
        splits = make_splits(self.sessions, settings.split, settings.contract.first_head, seed)
        return next(split for split in splits if split.name == self.splits[number].name)

    def every_split(self) -> list[Split]:
        """Each split, with its seed in its name where seeds differ in who validates."""
        if not self.settings.split.validation_by_seed:
            return self.splits
        return [
            replace(self.split_of(number, seed), name=f"{split.name} seed {seed}")
            for number, split in enumerate(self.splits)
            for seed in self.settings.seeds
        ]

    def _prepared(self, split: Split) -> UnitData:
        data = prepare(self.settings, self.sessions, split, self.names)
        if self.second is None:
            return data
        check_strangers(split, self.sessions, self.second)
        return tested_on(data, self.second.sessions)

    def units(self) -> Iterator[tuple[UnitData, int, Path]]:
        """Every split's data with every seed, and the folder of that training.

        A split in which nobody can test is left out, and it is said. Raises TrainingError for a leak, and
        where no split is left.
        """
        left_out = []
        for number, split in enumerate(self.splits):
            data = None
            for seed in self.settings.seeds:
                of_seed = self.split_of(number, seed)
                if data is None or data.split is not of_seed:
                    data = self._prepared(of_seed)
                try:
                    labelled = with_labels_left(data, seed)
                except NobodyTests as problem:
                    left_out.append(problem)
                    self.note(f"left out: {problem}", split.name)
                    break
                self.used.add(split.name)
                yield labelled, seed, self.folder / split.name / f"seed-{seed}"
        if left_out and len(left_out) == len(self.splits):
            raise left_out[0]


def open_experiment(
    checked: Checked, folder: Path | None, console: Console, *, device: str = "auto", begin: bool = False
) -> Experiment:
    """Read the data of a training file.

    Parameters
    ----------
    checked : the training file
    folder : of the run; runs/NAME of the file when None
    begin : start a new run; otherwise the folder must hold a run with the same settings

    Raises
    ------
    UsageError
        There is no such run, or it was made with other settings.
    OutputError
        A run is to begin where there is one already.
    """
    config, settings = checked.path, checked.settings
    folder = folder or Path("runs") / checked.name
    begun = settings
    if not begin:
        begun = _check_same(folder, settings)
    elif (folder / "config.yaml").exists():
        raise OutputError(
            f"{folder}: already holds a run; continue it with --resume, or name another with --run"
        )
    sessions = checked.sessions
    if sessions is None:
        sessions = load_sessions(settings, folder / "features", console)
    splits = make_splits(sessions, settings.split, settings.contract.first_head)
    if checked.only:
        splits = [split for split in splits if split.name == checked.only]
    names = Names.of(sessions)
    if begun.data.root != settings.data.root:
        check_same_people(folder, names)
    on = resolve_device(device)
    made = Experiment(
        config, settings, folder, sessions, names, splits, on, console, pictures=checked.pictures
    )
    if begin:  # only now: a file with a mistake in it leaves no run behind
        write_config(folder, settings)
        write_json(folder / "run.json", _about(config, settings, names, made.every_split()))
    return made


def write_config(folder: Path, settings: TrainingSettings) -> None:
    """Keep every setting of a run in its folder."""
    make_private_folder(folder)
    text = yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    write_whole(folder / "config.yaml", text, private=True)


def begun_settings(folder: Path) -> TrainingSettings:
    """The settings that a run was begun with. Raises UsageError where its file holds none."""
    path = folder / "config.yaml"
    try:
        return TrainingSettings.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, yaml.YAMLError, ContractError) as problem:
        raise UsageError(f"{path}: holds no settings of a run: {printable(problem)}") from None


def changed_sections(begun: TrainingSettings, wanted: TrainingSettings) -> list[str]:
    """Sections with other values.

    Where files lie is none: neither the training file that `base` names, whose values are in the
    others, nor the folder of the data, which may have moved.
    """
    one, other = (
        settings.model_dump(mode="json", exclude={"base": True, "data": {"root"}})
        for settings in (begun, wanted)
    )
    return [section for section in other if one[section] != other[section]]


def _check_same(folder: Path, settings: TrainingSettings) -> TrainingSettings:
    """The settings that a run was begun with; UsageError where what it is of has changed."""
    if not (folder / "config.yaml").exists():
        raise UsageError(f"{folder}: no run here; start one with bci-m2s pretrain")
    begun = begun_settings(folder)
    for section in changed_sections(begun, settings):
        if section in SAME_RUN:
            raise UsageError(
                f"{folder / 'config.yaml'}: {section}: the run was made with other values; name another run"
            )
    return begun


def check_same_people(folder: Path, names: Names) -> None:
    """Data in another folder must be those that the run was made of."""
    path = folder / "run.json"
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        is_same = (about["people"], about["trials"]) == (list(names.subjects), len(names.trials))
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise UsageError(f"{path}: cannot be read: {printable(problem)}; name another run") from None
    if not is_same:
        raise UsageError(f"{path}: data: the run was made of other people or trials; name another run")


def _about(config: Path, settings: TrainingSettings, names: Names, splits: list[Split]) -> dict[str, Any]:
    return {
        "config": config.name,
        "seeds": list(settings.seeds),
        "people": list(names.subjects),
        "trials": len(names.trials),
        "splits": {split.name: {part: sorted(getattr(split, part)) for part in PARTS} for split in splits},
        "versions": library_versions(),
    }


def library_versions() -> dict[str, str]:
    """Versions of the software that results depend on."""
    own = {"bci_m2s": bci_m2s.__version__, "python": platform.python_version()}
    return own | _package_versions()


@cache
def _package_versions() -> dict[str, str]:
    return {name: metadata.version(name) for name in PACKAGES}


def write_json(path: Path, values: Any) -> None:
    """Write or replace a JSON file, whole."""
    write_whole(path, json.dumps(values, indent=1, allow_nan=True), private=True)
