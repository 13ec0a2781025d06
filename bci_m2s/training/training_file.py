"""Reading a training file: on top of its preset and, where it names one, of another training file.

A file names a preset ("sound" unless it says otherwise) and only what differs from it. Where the
authors' released code does something that should not be followed, the released behaviour is a setting
too; presets/released-*.yaml hold them together.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from bci_m2s.errors import ConfigurationError, ContractError, nearest
from bci_m2s.files.explain import refused
from bci_m2s.files.places import with_line
from bci_m2s.files.yaml_file import KeyPath, read_yaml
from bci_m2s.files.yaml_kind import refuse_other
from bci_m2s.text import printable, quoted
from bci_m2s.training.datasets import DATASETS
from bci_m2s.training.settings import TrainingSettings, laid_over

RECIPE = ("preset", "windows", "pretrain", "finetune")  # sections that say how, not on what


def load_training(path: Path) -> TrainingSettings:
    """Read a training file on top of its preset; relative roots are relative to the file.

    Raises
    ------
    ConfigurationError
        File, line, key, got, expected; the first problem of several.
    """
    if path.suffix == ".safetensors":
        raise ConfigurationError(
            f"{path}: got a model file, expected a training file; to evaluate a model: "
            f"bci-m2s evaluate {path} --on TRAINING.yaml"
        )
    values, lines = read_yaml(path)
    refuse_other(path, values, "training file")
    return settings_of(path, values, lines)


def settings_of(
    path: Path, values: dict[str, Any], lines: Mapping[KeyPath, int] | None = None
) -> TrainingSettings:
    """What a training file of these values says; they are changed.

    path : where it is, or is to be; lines : of its keys, where they have been written

    Raises
    ------
    ConfigurationError
        As ``load_training``.
    """
    lines = lines or {}
    try:
        root_absolute(path, values)
        below = preset(values.get("preset", "sound"))
        if values.get("base"):
            recipe = {key: below[key] for key in RECIPE if key in below}
            below = _base(path, values["base"]) | recipe
        merged = laid_over(below, values)
    except ConfigurationError as problem:
        raise ConfigurationError(with_line(path, lines, str(problem))) from None
    _count_distributed(merged)
    try:
        return TrainingSettings.model_validate(merged)
    except (ValidationError, ContractError) as problem:
        raise refused(path, lines, problem, TrainingSettings, values=merged) from None


def training_values(path: Path) -> dict[str, Any]:
    """What a training file and its base say, the root absolute; its preset is only named.

    Raises
    ------
    ConfigurationError
        A file that cannot be read, or no training file.
    """
    values, _ = read_yaml(path)
    refuse_other(path, values, "training file")
    root_absolute(path, values)
    if values.get("base"):
        values = laid_over(_base(path, values.pop("base")), values)
    return values


def _base(path: Path, name: object) -> dict[str, Any]:
    """What a training file takes from the one that it names as its base."""
    below = path.parent / name if isinstance(name, str) else path
    if not below.is_file() or below.resolve() == path.resolve():
        raise ConfigurationError(
            f"base: got {quoted(name, 120)}, expected another training file beside this one"
        )
    values, _ = read_yaml(below)
    refuse_other(below, values, "training file")
    if values.get("base"):
        raise ConfigurationError(
            f"base: {below.name} has a base itself: name {quoted(values['base'], 120)}"
        )
    root_absolute(below, values)
    return {key: value for key, value in values.items() if key not in RECIPE}


def root_absolute(path: Path, values: dict[str, Any]) -> None:
    """Make ``data.root`` absolute where these values of the file at `path` name it."""
    data = values.get("data")
    if isinstance(data, dict) and isinstance(data.get("root"), str):
        data["root"] = _folder(path, data["root"])


def _count_distributed(values: Mapping[str, Any]) -> None:
    """State the number of features that only their data set knows, where the file leaves it out."""
    try:
        data_set = DATASETS[values["data"]["format"]]
        modalities = values["contract"]["modalities"]
        features = {name: spec["feature"] for name, spec in modalities.items()}
    except (KeyError, TypeError, AttributeError):  # refused with the settings
        return
    for name, feature in features.items():
        if isinstance(feature, dict) and feature.get("name") == "distributed":
            feature.setdefault("n_features", data_set.modalities.get(name, 1))


def _folder(path: Path, root: str) -> str:
    """A data folder as an absolute path: relative to the training file `path`, "~" is home."""
    try:
        return str((path.parent / Path(root).expanduser()).resolve())
    except (OSError, ValueError, RuntimeError) as problem:  # a null character, a home that nobody has
        raise ConfigurationError(
            f"data.root: got {quoted(root, 120)}, expected a folder: {printable(problem)}"
        ) from None


def presets() -> list[str]:
    """Names of the presets that come with the package."""
    folder = resources.files("bci_m2s.training") / "presets"
    return sorted(
        file.name.removesuffix(".yaml") for file in folder.iterdir() if file.name.endswith(".yaml")
    )


def preset(name: object) -> dict[str, Any]:
    """The values of a preset. Raises ConfigurationError for an unknown one."""
    if name not in presets():
        hint = nearest(str(name), presets())
        raise ConfigurationError(f"preset: got {quoted(name, 120)}, expected a known preset{hint}")
    return copy.deepcopy(_read_preset(str(name)))


@cache
def _read_preset(name: str) -> dict[str, Any]:
    text = (resources.files("bci_m2s.training") / "presets" / f"{name}.yaml").read_text(encoding="utf-8")
    values: dict[str, Any] = yaml.safe_load(text) or {}
    return values
