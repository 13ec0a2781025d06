"""A ready model and the data that are to judge it, before a feature is computed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from bci_m2s.errors import BciM2sError, ConfigurationError, ContractError, RecordingError, UsageError
from bci_m2s.files.explain import describe
from bci_m2s.files.places import with_line
from bci_m2s.files.yaml_file import read_yaml
from bci_m2s.model.model_file import read_contract
from bci_m2s.text import printable
from bci_m2s.training.check import mistakes
from bci_m2s.training.check.listing import list_sessions
from bci_m2s.training.check.second_set import Second, check_second
from bci_m2s.training.settings import DataSettings, TrainingSettings
from bci_m2s.training.training_file import load_training


@dataclass(frozen=True)
class ReadyModel:
    """A model file, and the data on which it is to be evaluated.

    settings : of the training file, with the model's contract and these data
    is_other : the data are not those of the training file
    second : the data of ``evaluate MODEL --on FILE``, whose own contract says how they become features
    """

    path: Path
    model: Path
    settings: TrainingSettings
    is_other: bool
    second: Second | None = None


def check_ready_model(path: Path, model: Path, data: Path | None, format: str) -> ReadyModel:
    """Say what is wrong with evaluating a model file on data.

    Parameters
    ----------
    path : training file, which says where the data are and how markers name trials
    data, format : a data set instead of the training file's; its format where that is another

    Raises
    ------
    UsageError, ModelError, ConfigurationError
        In one line.
    """
    if not model.is_file():
        raise UsageError(f"--model: {model}: no such file")
    contract = read_contract(model)
    training = load_training(path)
    settings = training.model_copy(
        update={
            "contract": contract,
            "pair": tuple(contract.modalities),
            "data": _data(training.data, data, format),
        }
    )
    try:
        listing = list_sessions(settings)
        mistakes.check_people(settings, listing)
        mistakes.check_any(settings, listing)
    except ContractError:
        raise
    except (RecordingError, UsageError) as problem:
        where = "--data" if data is not None else f"{path}: data"
        raise UsageError(f"{where}: {problem}") from None
    except BciM2sError as problem:
        words = printable(problem)
        raise ConfigurationError(with_line(path, read_yaml(path)[1], words)) from None
    return ReadyModel(path, model, settings, data is not None)


def check_model_on(model: Path, path: Path) -> ReadyModel:
    """Say what is wrong with evaluating a model file on the data of a training file.

    The model is judged on the modalities that both have.

    Raises
    ------
    UsageError, ModelError, ConfigurationError
        In one line.
    """
    if not model.is_file():
        raise UsageError(f"{model}: no such file")
    contract = read_contract(model)
    second = check_second(path, contract, model.name, some=True)
    kept = {name: contract.modalities[name] for name in second.settings.contract.modalities}
    contract = contract.model_copy(update={"modalities": kept})
    settings = second.settings.model_copy(update={"contract": contract, "pair": tuple(kept)})
    return ReadyModel(path, model, settings, is_other=True, second=second)


def _data(training: DataSettings, root: Path | None, format: str) -> DataSettings:
    if root is None:
        if format:
            raise UsageError("--format: got no --data, expected the folder that it is the format of")
        return training
    values = training.model_dump()
    if format and format != training.format:
        values = {"format": format, "markers": values["markers"], "streams": values["streams"]}
    try:
        return DataSettings.model_validate({**values, "root": root.resolve(), "subjects": ()})
    except ValidationError as problem:
        raise UsageError(f"--data: {describe(problem, DataSettings)}") from None
