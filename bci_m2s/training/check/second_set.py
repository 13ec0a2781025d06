"""``evaluate --on OTHER.yaml``: whether another training file's data are what a run or a model judges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bci_m2s.errors import BciM2sError, ConfigurationError
from bci_m2s.files.places import with_line
from bci_m2s.files.yaml_file import read_yaml
from bci_m2s.model.contract import Contract, ModalityContract
from bci_m2s.text import printable, quoted
from bci_m2s.training.check import mistakes
from bci_m2s.training.check.listing import list_sessions
from bci_m2s.training.check.training_file import Checked
from bci_m2s.training.settings import TrainingSettings
from bci_m2s.training.training_file import load_training

# What describes a laboratory's mains, screen and tracker; features mean the same whatever it says.
OF_THE_LAB = (
    "notch_hz",
    "columns",
    "gaze_unit",
    "degrees_per_unit_x",
    "degrees_per_unit_y",
    "loss_values",
)
OF_THE_TRACKER = ("gaze_x", "gaze_y", "confidence")  # columns whose units a parameter tells


@dataclass(frozen=True)
class Second:
    """A second data set that fits, of which no sample was read.

    settings : of its training file, with the modalities that are judged
    """

    path: Path
    settings: TrainingSettings


def check_on(checked: Checked, path: Path) -> Second:
    """Say what is wrong with testing the models of a training file on the data of another.

    Raises
    ------
    ConfigurationError
        In one line: file and line, key, got, expected.
    """
    wanted = checked.settings.labels.new_person_trials
    if wanted:
        raise ConfigurationError(
            f"{checked.path}: labels.new_person_trials: got {wanted}, expected 0 with --on: people of "
            "other data gave no trials to the training"
        )
    return check_second(path, checked.settings.contract, checked.path.name)


def check_second(path: Path, ours: Contract, ours_name: str, *, some: bool = False) -> Second:
    """Say what is wrong with testing on the data of another training file.

    Its split, labels, recipe and seeds are not used. Its own contract says how its streams become features,
    so the rates may differ, and where the screen stood.

    Parameters
    ----------
    ours : contract of what is judged; ours_name : its file, for the errors
    some : one of its modalities is enough

    Raises
    ------
    ConfigurationError
        In one line: file and line, key, got, expected.
    """
    if path.suffix == ".safetensors":
        raise ConfigurationError(f"--on: got the model file {path}, expected a training file")
    settings = load_training(path)
    try:
        contract = _judged(ours, settings.contract, ours_name, some)
        settings = settings.model_copy(
            update={"contract": contract, "pair": tuple(contract.modalities), "controls": ()}
        )
        listing = list_sessions(settings)
        mistakes.check_classes_of(settings, listing.data_set)
        mistakes.check_sizes(settings, listing)
        mistakes.check_people(settings, listing)
        mistakes.check_any(settings, listing)
    except BciM2sError as problem:
        raise ConfigurationError(with_line(path, read_yaml(path)[1], printable(problem, 1000))) from None
    return Second(path, settings)


def _judged(ours: Contract, theirs: Contract, ours_name: str, some: bool) -> Contract:
    """Their contract with the modalities that ours has. Raises ConfigurationError for what differs."""
    names = [name for name in ours.modalities if name in theirs.modalities]
    if not names or not (some or len(names) == len(ours.modalities)):
        raise ConfigurationError(
            f"contract.modalities: got {', '.join(theirs.modalities)}, expected "
            f"{'one of' if some else 'all of'} {ours_name}: {', '.join(ours.modalities)}"
        )
    for head, spec in ours.heads.items():
        if head not in theirs.heads:
            raise ConfigurationError(
                f"contract.heads: got {', '.join(theirs.heads)}, expected {head} as in {ours_name}"
            )
        classes = theirs.heads[head].classes
        if sorted(map(str.casefold, spec.classes)) != sorted(map(str.casefold, classes)):
            raise ConfigurationError(
                f"contract.heads.{head}.classes: got {', '.join(classes)}, expected those of {ours_name}: "
                f"{', '.join(spec.classes)}"
            )
    pairs = [("contract.window", ours.window.model_dump(), theirs.window.model_dump())]
    for name in names:
        wanted, there = (_compared(contract.modalities[name]) for contract in (ours, theirs))
        pairs.append((f"contract.modalities.{name}", wanted, there))
    for place, expected, got in pairs:
        for key, one, other in _different(expected, got):
            raise ConfigurationError(
                f"{place}.{key}: got {_shown(other)}, expected {_shown(one)} as in {ours_name}"
            )
    return theirs.model_copy(update={"modalities": {name: theirs.modalities[name] for name in names}})


def _compared(spec: ModalityContract) -> dict[str, Any]:
    """What has to be the same for features to mean the same."""
    fields = spec.model_dump(
        mode="json",
        include={"channels", "units", "reference", "feature", "normaliser", "smoothing"},
    )
    params = fields["feature"]["params"]
    fields["feature"]["params"] = {key: params[key] for key in params if key not in OF_THE_LAB}
    if "columns" in params:  # what a tracker calls its channels is its own affair, not what they measure
        del fields["channels"]
        fields["units"] = _units_by_role(spec, params["columns"])
    return fields


def _units_by_role(spec: ModalityContract, columns: Mapping[str, Any]) -> dict[str, str]:
    """The units of the channels that a feature takes, by what they are to it; a gaze may have another."""
    units = dict(zip(spec.channels, spec.units, strict=True))
    return {
        role: ", ".join(units.get(label, "") for label in ([taken] if isinstance(taken, str) else taken))
        for role, taken in columns.items()
        if taken and role not in OF_THE_TRACKER
    }


def _different(
    expected: Mapping[str, Any], got: Mapping[str, Any], place: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    """Place and both values of everything that differs."""
    for key in dict.fromkeys([*expected, *got]):
        one, other = expected.get(key), got.get(key)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            yield from _different(one, other, f"{place}{key}.")
        elif _folded(one) != _folded(other):
            yield f"{place}{key}", one, other


def _folded(value: Any) -> Any:
    """Labels without regard to case; anything else as it is."""
    return [str(label).casefold() for label in value] if isinstance(value, list) else value


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, list):
        return quoted(", ".join(map(str, value)), 200)
    return quoted(value, 200) if isinstance(value, str) else str(value)
