"""The training files of a study: one for each data set, protocol, method and point of the grid."""

from __future__ import annotations

import copy
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bci_m2s.errors import ConfigurationError, UsageError
from bci_m2s.files.access import make_private_folder
from bci_m2s.files.shipped import find_training
from bci_m2s.files.whole import write_whole
from bci_m2s.files.yaml_file import read_yaml
from bci_m2s.text import printable
from bci_m2s.training.methods import METHODS, NotPossible
from bci_m2s.training.settings import TrainingSettings, laid_over
from bci_m2s.training.study.settings import StudySettings, folder_name
from bci_m2s.training.training_file import root_absolute, settings_of, training_values

FILE = "training.yaml"
DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # ten times as fast, and a study has hundreds


@dataclass(frozen=True)
class Variant:
    """A training file of a study.

    data, protocol, method : as the study file names them
    point : key of the grid → its value
    folder : where the file and the runs are
    """

    data: str
    protocol: str
    method: str
    point: tuple[tuple[str, Any], ...]
    folder: Path

    @property
    def name(self) -> str:
        """For lines of progress."""
        values = [f"{key} {value}" for key, value in self.point]
        return ", ".join((self.data, self.protocol, self.method, *values))

    @property
    def file(self) -> Path:
        """The training file."""
        return self.folder / FILE


def make_variants(
    study: StudySettings, path: Path, out: Path, may_lack_data: bool = False
) -> dict[Variant, TrainingSettings]:
    """Write every training file of a study below `out`, and check what needs no data.

    path : the study file
    may_lack_data : nothing will be computed

    Raises
    ------
    ConfigurationError
        A training file that is missing or becomes wrong by the changes, or a method that cannot take the
        signals: in one line, before anything is computed.
    UsageError
        Cells were run with what a training file said before.
    """
    made: dict[Variant, TrainingSettings] = {}
    folders: dict[Path, Variant] = {}
    alike: dict[tuple[str, str, str, str], Variant] = {}
    below = {name: _below(study, path, name) for name in study.data}
    for data, protocol, method, point in itertools.product(
        study.data, study.protocols, study.methods, _points(study.grid)
    ):
        parts = [folder_name(one) for one in (data, protocol, method)]
        if point:
            parts.append("-".join(folder_name(f"{key.split('.')[-1]} {value}") for key, value in point))
        variant = Variant(data, protocol, method, point, out.joinpath(*parts))
        other = folders.setdefault(variant.folder, variant)
        if other is not variant:  # values that are named alike, as 1 and -1 are
            words = f"{variant.name}: in the same folder as {other.name}; make them two methods"
            raise ConfigurationError(f"{path}: grid: {words}")
        values = _values(study, variant, below[data])
        made[variant] = settings = _checked(variant, study, path, values)
        other = alike.setdefault((data, protocol, method, settings.model_dump_json()), variant)
        if other is not variant:  # values that are one to a training file, as 1, 1.0 and true are
            raise ConfigurationError(f"{path}: grid: {variant.name}: the same settings as {other.name}")
        if not may_lack_data:
            _check_root(variant, study, path, made[variant])
        _write(variant, values)
    return made


def _points(grid: Mapping[str, tuple[Any, ...]]) -> list[tuple[tuple[str, Any], ...]]:
    """Every combination of the grid's values."""
    return [tuple(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]


def _below(study: StudySettings, path: Path, data: str) -> dict[str, Any]:
    """The training file of a data set, with what the study changes of it for all rows."""
    entry = study.data[data]
    try:
        source = find_training(str(Path(entry.training).expanduser()), path.parent)
    except UsageError as problem:
        words = str(problem).partition(": ")[2]
        raise ConfigurationError(f"{path}: data.{data}.training: {entry.training}: {words}") from None
    changes = copy.deepcopy(entry.changes)
    root_absolute(path, changes)
    return laid_over(training_values(source), changes)


def _values(study: StudySettings, variant: Variant, values: dict[str, Any]) -> dict[str, Any]:
    """The training file of a variant. values : of its data set"""
    method = study.methods[variant.method]
    of_point: dict[str, Any] = {}
    for key, value in variant.point:
        for part in reversed(key.split(".")):
            value = {part: value}
        of_point = laid_over(of_point, value)
    fixed = {"finetune": {"method": method.method}, "controls": [], "seeds": study.seeds}
    for changes in (study.protocols[variant.protocol], method.changes, of_point, fixed):
        values = laid_over(values, changes)
    return copy.deepcopy(values)  # nothing shared with other variants


def _write(variant: Variant, values: Mapping[str, Any]) -> None:
    text = yaml.dump(values, Dumper=DUMPER, sort_keys=False, allow_unicode=True)
    make_private_folder(variant.folder)
    _refuse_changed(variant, text)
    if not variant.file.exists() or variant.file.read_text(encoding="utf-8") != text:
        write_whole(variant.file, text, overwrite=True)


def _refuse_changed(variant: Variant, text: str) -> None:
    """Raises UsageError where cells were run with other values.

    More seeds are none, and the data may have moved with their files as they were.
    """
    if not any(variant.folder.glob("seed-*/*/cell.json")):
        return
    begun = _without_root(read_yaml(variant.file)[0])
    wanted = _without_root(yaml.safe_load(text))
    keys = (begun | wanted).keys() - {"seeds"}
    if changed := sorted(key for key in keys if begun.get(key) != wanted.get(key)):
        raise UsageError(
            f"{variant.file}: {', '.join(changed)}: its cells were run with other values than the "
            "training file has now; name another --output"
        )


def _without_root(values: dict[str, Any]) -> dict[str, Any]:
    data = values.get("data")
    if not isinstance(data, dict):
        return values
    return values | {"data": {key: value for key, value in data.items() if key != "root"}}


def _checked(
    variant: Variant, study: StudySettings, path: Path, values: Mapping[str, Any]
) -> TrainingSettings:
    try:
        settings = settings_of(variant.file, copy.deepcopy(dict(values)))
    except ConfigurationError as problem:
        words = str(problem).removeprefix(f"{variant.file}:")  # which nobody has written
        words = printable(re.sub(r"^\d+:", "", words), 400).strip()
        raise ConfigurationError(f"{path}: {variant.name}: {words}") from None
    try:
        METHODS[study.methods[variant.method].method].takes(settings.contract, settings.pair)
    except NotPossible as problem:
        raise ConfigurationError(f"{path}: {variant.name}: {problem}") from None
    return settings


def _check_root(variant: Variant, study: StudySettings, path: Path, settings: TrainingSettings) -> None:
    """Raises ConfigurationError where there is no copy of the data, with how to name one."""
    root, training = settings.data.root, study.data[variant.data].training
    if root is not None and not root.exists():
        own = f"{{{variant.data}: {{training: {training}, changes: {{data: {{root: FOLDER}}}}}}}}"
        raise ConfigurationError(
            f"{path}: data.{variant.data}: data.root of {training}: got {root}, no such folder; expected "
            f"your copy of {settings.data.format}: in a copy of the study, data: {own}"
        )
