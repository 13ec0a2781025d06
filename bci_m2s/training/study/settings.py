"""What a study file may say: which data, methods, protocols and settings are combined."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from bci_m2s.errors import ContractError, UsageError
from bci_m2s.files.explain import refused
from bci_m2s.files.yaml_file import read_yaml
from bci_m2s.files.yaml_kind import refuse_other
from bci_m2s.text import printable, quoted
from bci_m2s.training.methods import METHODS
from bci_m2s.training.settings import MOST_SEEDS

Values = dict[str, Any]
MOST = 100  # data sets, methods, protocols, values of a key
LONGEST = 100  # letters of a name
APPROXIMATE = " (approximate)"  # behind a method's name in tables
MOST_FILES = 10_000  # training files
# keys of a training file that the study itself sets, and where
SET_HERE = {
    "finetune.method": "methods.NAME.method",
    "seeds": "seeds",
    "controls": "rows of their own in methods",
}


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DataEntry(_Part):
    """A training file, which says data, contract, split and the recipe that methods begin with."""

    training: str
    """The training file, relative to the study file, or a shipped one by name."""
    changes: Values = {}
    """Keys of the training file that are otherwise here, for every method."""


class MethodEntry(_Part):
    """A row of the tables."""

    method: str = "pretrained"
    """A method, as `finetune.method` and `controls` of a training file name it."""
    changes: Values = {}
    """Keys of the training file that make this row: another preset, other losses, another network."""


class StudySettings(_Part):
    """A study file. Its cells are data × protocols × methods × grid × seeds × parts that test in turn."""

    title: str
    """What the report is called."""
    data: dict[str, DataEntry] = Field(min_length=1, max_length=MOST)
    """Data sets by name."""
    protocols: dict[str, Values] = Field(default={"as in the file": {}}, min_length=1, max_length=MOST)
    """Who trains and tests, by name: changes to the training files, of `split` and `labels` as a rule."""
    methods: dict[str, MethodEntry] = Field(min_length=1, max_length=MOST)
    """Rows by name. The first is compared with each other."""
    grid: dict[str, Annotated[tuple[Any, ...], Field(min_length=1, max_length=MOST)]] = {}
    """Keys of the training file with several values each, `contract.window.steps: [3, 5]`: every
    combination is run."""
    seeds: Annotated[int, Field(ge=1, le=MOST_SEEDS)] = 3
    """Number of seeds, counted from 0."""

    @field_validator("protocols", "methods", mode="before")
    @classmethod
    def _may_be_empty(cls, value: Any) -> Any:
        """`a method:` with nothing behind it is one without changes."""
        if not isinstance(value, dict):
            return value
        return {name: {} if entry is None else entry for name, entry in value.items()}

    @model_validator(mode="after")
    def _are_known(self) -> StudySettings:
        for name, entry in self.methods.items():
            if entry.method not in METHODS:
                expected = f"a method{METHODS.unknown(entry.method[:60])}"
                raise ContractError("study", f"methods.{name}.method", quoted(entry.method), expected)
            if name.casefold().strip().endswith(APPROXIMATE.strip()):
                expected = "a name without what tables add to those of methods without released code"
                raise ContractError("study", "methods", quoted(name), expected)
        for part, names in (
            ("data", self.data), ("protocols", self.protocols), ("methods", self.methods)
        ):  # fmt: skip
            folders: dict[str, str] = {}
            for name in names:
                other = folders.setdefault(folder_name(name), name)
                if not folder_name(name):
                    expected = "a name with a letter from a to z or a digit, for its folder"
                    raise ContractError("study", part, quoted(name), expected)
                if other != name:
                    expected = f"a name with letters or digits, unlike {quoted(other)}"
                    raise ContractError("study", part, quoted(name), expected)
                if not name.isprintable():  # a line break would end a row of the tables
                    raise ContractError("study", part, quoted(name), "one line of printable signs")
                if len(name) > LONGEST:
                    raise ContractError("study", part, quoted(name[:20]), f"at most {LONGEST} letters")
        return self

    @model_validator(mode="after")
    def _sets_once(self) -> StudySettings:
        """What the study itself sets would be taken over what its changes say."""
        changes = {f"data.{name}.changes": entry.changes for name, entry in self.data.items()}
        changes |= {f"protocols.{name}": values for name, values in self.protocols.items()}
        changes |= {f"methods.{name}.changes": entry.changes for name, entry in self.methods.items()}
        changes |= {"grid": dict(self.grid)}
        for where, values in changes.items():
            for key, instead in SET_HERE.items():
                if key in values or _has(values, key):
                    raise ContractError("study", where, key, f"{instead} in its place")
        return self

    @model_validator(mode="after")
    def _are_not_too_many(self) -> StudySettings:
        rows = len(self.data) * len(self.protocols) * len(self.methods)
        if (number := rows * math.prod(len(values) for values in self.grid.values())) > MOST_FILES:
            expected = f"data × protocols × methods × values of all keys at most {MOST_FILES}"
            raise ContractError("study", "grid", number, expected)
        return self

    @field_validator("grid", mode="before")
    @classmethod
    def _are_single(cls, value: Any) -> Any:
        """Values that can stand in tables and in names of folders."""
        for key, several in value.items() if isinstance(value, dict) else ():
            for one in several if isinstance(several, list | tuple) else ():
                if isinstance(one, list | tuple | dict):
                    expected = "numbers or words; for lists and sections several methods or protocols"
                    raise ContractError("study", f"grid.{key}", quoted(str(one)[:60]), expected)
        return value


def _has(values: Any, key: str) -> bool:
    """Whether sections hold a key, "finetune.method", or something else in place of its section."""
    for part in key.split("."):
        if not isinstance(values, dict):
            return True
        if part not in values:
            return False
        values = values[part]
    return True


def folder_name(name: str) -> str:
    """A name as that of a folder: "CLIP + CPC" becomes "clip-cpc"."""
    return re.sub(r"[^a-z0-9.]+", "-", name.casefold()).strip("-.")


def read_begun(path: Path) -> StudySettings:
    """The study of a folder, as its ``study.yaml`` says.

    Raises
    ------
    UsageError
        There is none, or it is damaged.
    """
    try:
        return StudySettings.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise UsageError(f"{path.parent}: got a folder without {path.name}, expected a study's") from None
    except (OSError, ValueError, yaml.YAMLError, ContractError) as problem:
        raise UsageError(f"{path}: holds no study: {printable(problem)}") from None


def load_study(path: Path) -> StudySettings:
    """Read a study file.

    Raises
    ------
    ConfigurationError
        File, line, key, got, expected; the first problem of several.
    """
    values, lines = read_yaml(path)
    refuse_other(path, values, "study")
    try:
        return StudySettings.model_validate(values)
    except (ValidationError, ContractError) as problem:
        raise refused(path, lines, problem, StudySettings, values=values) from None
