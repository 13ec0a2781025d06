"""The model file: weights, and the contract that says what they were made for.

A model is one safetensors file. Its header holds the contract as JSON under "contract"; its arrays are,
for each modality M of the contract,

    M.scaler.mean, M.scaler.std    (F,) float64  of the training rows, after normalisation per person
    M.baseline.std                 (F,) float64  typical spread within one training person's baseline
    M.network.KEY                  float32       state of the network (int64 for counters)

``load_model_file`` returns only what is complete, finite and of the right shape. ``check_stream`` and
``channel_order`` compare a stream with the contract.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from bci_m2s.contract_schema import (
    Component,
    Contract,
    FeatureContract,
    ModalityContract,
    WindowContract,
)
from bci_m2s.errors import ContractError, ModelError, nearest
from bci_m2s.networks import build_network
from bci_m2s.tensorfile import Arrays, one_line, read_tensors, read_texts, shown, strict_json, write_tensors
from bci_m2s.types import FloatArray, StreamInfo

if TYPE_CHECKING:
    import torch

__all__ = [
    "Component",
    "Contract",
    "FeatureContract",
    "ModalityContract",
    "WindowContract",
    "channel_order",
    "check_stream",
    "load_model_file",
    "modality_network",
    "pack_modality",
    "read_contract",
    "save_model",
    "stream_doubts",
    "unpack_modality",
]

VERSION = 1  # newest contract that this program reads
NUMERIC_FORMATS = ("float32", "double64", "int8", "int16", "int32", "int64")
SCALER_TENSORS = ("scaler.mean", "scaler.std", "baseline.std")
# One line for each unit under all the names that it goes by; compared without case.
UNIT_NAMES = (
    ("microvolts", "microvolt", "uv", "μv", "microv"),
    ("millivolts", "millivolt", "mv"),
    ("nanovolts", "nanovolt", "nv"),
    ("volts", "volt", "v"),
    ("millimetres", "millimetre", "millimeters", "millimeter", "mm"),
    ("pixels", "pixel", "px"),
    ("degrees", "degree", "deg", "°"),
    ("normalized", "normalised", "norm"),
    ("seconds", "second", "s"),
)


def save_model(
    path: str | Path, contract: Contract, tensors: Mapping[str, NDArray[Any]], *, overwrite: bool = False
) -> None:
    """Write a model file, whole or not at all.

    Raises
    ------
    ModelError
        The tensors are not what the contract asks for.
    OutputError
        The file exists and `overwrite` is false, or it cannot be written.
    """
    path = Path(path)
    _check_tensors(path, contract, tensors)
    write_tensors(path, tensors, {"contract": contract.model_dump_json()}, overwrite=overwrite)


def load_model_file(path: str | Path) -> tuple[Contract, Arrays]:
    """Return a model's contract and its arrays by name (read-only).

    Raises
    ------
    ModelError
        In one line with the path: the file cannot be read, is not one of ours, is from a newer version,
        or its contract or arrays are wrong.
    """
    path = Path(path)
    texts, tensors = read_tensors(path)
    contract = _parse_contract(path, texts)
    _check_tensors(path, contract, tensors)
    return contract, tensors


def read_contract(path: str | Path) -> Contract:
    """Return a model's contract without looking at its weights; needs no torch. Raises ModelError."""
    path = Path(path)
    return _parse_contract(path, read_texts(path))


def _parse_contract(path: Path, texts: Mapping[str, str]) -> Contract:
    if "contract" not in texts:
        raise ModelError(
            f"{path}: a safetensors file without a contract in its header; not a bci_m2s model"
        )
    try:
        raw = strict_json(texts["contract"])
    except ValueError as problem:
        raise ModelError(f"{path}: contract: not valid JSON: {one_line(problem)}") from None
    version = raw.get("version") if isinstance(raw, dict) else None
    if isinstance(version, int) and version > VERSION:
        raise ModelError(
            f"{path}: contract: version {version}, this program reads up to {VERSION}: update it"
        )
    try:
        return Contract.model_validate_json(texts["contract"], strict=True)
    except ContractError as problem:
        raise ModelError(f"{path}: {one_line(problem, 400)}") from None
    except ValidationError as problem:
        raise ModelError(f"{path}: contract: {_first_problem(problem)}") from None


def _first_problem(problem: ValidationError) -> str:
    """Field, got and expected of the first thing that pydantic found."""
    first = problem.errors(include_url=False)[0]
    place = first["loc"]
    field = one_line(".".join(str(part) for part in place)) or "as a whole"
    if first["type"] == "extra_forbidden":
        known = nearest(str(place[-1]), _fields_at(place[:-1]))
        return f"{field}: got an unknown field, expected a known one{known}"
    got = "nothing" if first["type"] == "missing" else shown(first["input"])
    expected = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return f"{field}: got {got}, expected {one_line(expected)}"


def _fields_at(place: tuple[int | str, ...]) -> Sequence[str]:
    """Names of the fields that a contract has at a place like ("modalities", "eeg", "feature")."""
    part: type[BaseModel] = FeatureContract if place[-1:] == ("feature",) else Component
    if len(place) < 3:
        part = (Contract, WindowContract, ModalityContract)[len(place)]
    return list(part.model_fields)


def modality_network(contract: Contract, modality: str) -> torch.nn.Module:
    """Build a modality's network as the contract describes it, with fresh random weights."""
    spec = contract.modalities[modality]
    return build_network(
        spec.network.name,
        spec.network.params,
        n_features=spec.feature.n_features,
        n_channels=len(spec.channels),
        n_classes=len(contract.classes),
    )


def pack_modality(
    modality: str, network: torch.nn.Module, mean: FloatArray, std: FloatArray, baseline_std: FloatArray
) -> Arrays:
    """Arrays of one modality under the names of a model file. mean, std, baseline_std : (F,)."""
    arrays: Arrays = {
        f"{modality}.{name}": np.asarray(values, dtype=np.float64)
        for name, values in zip(SCALER_TENSORS, (mean, std, baseline_std), strict=True)
    }
    for key, value in network.state_dict().items():
        arrays[f"{modality}.network.{key}"] = value.detach().cpu().numpy().copy()
    return arrays


def unpack_modality(tensors: Mapping[str, NDArray[Any]], modality: str) -> Arrays:
    """Arrays of one modality without its prefix: "scaler.mean", "network.KEY" ..."""
    start = f"{modality}."
    return {name.removeprefix(start): array for name, array in tensors.items() if name.startswith(start)}


def _expected_tensors(contract: Contract) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and number type of every array that a model with this contract has."""
    import torch

    expected: dict[str, tuple[tuple[int, ...], str]] = {}
    for modality, spec in contract.modalities.items():
        for name in SCALER_TENSORS:
            expected[f"{modality}.{name}"] = ((spec.feature.n_features,), "float64")
        with torch.device("meta"):  # shapes only: nothing is allocated for what a file merely claims
            state = modality_network(contract, modality).state_dict()
        for key, value in state.items():
            number = "float32" if value.is_floating_point() else "int64"
            expected[f"{modality}.network.{key}"] = (tuple(value.shape), number)
    return expected


def _check_tensors(path: Path, contract: Contract, tensors: Mapping[str, NDArray[Any]]) -> None:
    try:
        expected = _expected_tensors(contract)
    except ContractError as problem:
        raise ModelError(f"{path}: {problem}") from None
    for name in sorted(set(expected) - set(tensors)):
        raise ModelError(f"{path}: tensor {name!r} is missing")
    for name in sorted(set(tensors) - set(expected)):
        raise ModelError(f"{path}: tensor {shown(name)} is not part of this model{nearest(name, expected)}")
    for name, (shape, number) in expected.items():
        array = tensors[name]
        if array.shape != shape or array.dtype.name != number:
            got = f"{array.dtype.name} {array.shape}"
            raise ModelError(f"{path}: tensor {name!r}: got {got}, expected {number} {shape}")
        if not np.isfinite(array).all():
            raise ModelError(f"{path}: tensor {name!r} holds NaN or infinity")
        if name.endswith((".scaler.std", ".baseline.std")) and not (array > 0).all():
            raise ModelError(f"{path}: tensor {name!r} holds a standard deviation that is not above 0")


def check_stream(spec: ModalityContract, info: StreamInfo, where: str = "") -> list[ContractError]:
    """Return every difference that makes a stream unfit for a modality; empty when it fits.

    Compared are number format, channels by name, units as stated and the nominal rate. A stated unit
    must be the contract's, under any of its usual names: values are never rescaled by guess. A stream
    that does not state its units, or is of another type, is let pass; ``stream_doubts`` says so.

    Parameters
    ----------
    spec : the modality's part of the contract
    info : the stream
    where : how messages name the stream; its name by default
    """
    where = where or f"stream {info.name!r}"
    if info.channel_format not in NUMERIC_FORMATS:
        expected = f"numbers ({', '.join(NUMERIC_FORMATS)})"
        return [ContractError(where, "channel_format", shown(info.channel_format), expected)]
    if not info.labels:
        return [ContractError(where, "channels", "none", f"{len(spec.channels)} channels")]
    return [*_rate_problems(spec, info, where), *_channel_problems(spec, info, where)]


def stream_doubts(spec: ModalityContract, info: StreamInfo, where: str = "") -> list[str]:
    """Return what a stream leaves open but is not refused for, in words, for the log."""
    where = where or f"stream {info.name!r}"
    doubts = []
    if info.type.casefold() != spec.stream_type.casefold():
        doubts.append(f"{where}: type: got {shown(info.type)}, the model was made for {spec.stream_type!r}")
    silent = [label for label, unit, got in _stated_units(spec, info) if unit and not got]
    if silent:
        doubts.append(f"{where}: units: not stated for {_some(silent)}; taken as the model's")
    return doubts


def channel_order(spec: ModalityContract, info: StreamInfo, where: str = "") -> NDArray[np.intp]:
    """Return the stream's column for each channel of the contract, (C,).

    A label is found by its exact name, or regardless of case where only one channel has it.

    Raises
    ------
    ContractError
        A channel is missing or cannot be told from another.
    """
    problems = [
        p for p in _channel_problems(spec, info, where or f"stream {info.name!r}") if p.field != "units"
    ]
    if problems:
        raise problems[0]
    return np.array([columns[0] for columns in _candidates(spec, info)], dtype=np.intp)


def _candidates(spec: ModalityContract, info: StreamInfo) -> list[list[int]]:
    """For each channel of the contract the columns of the stream that may be meant."""
    exact: dict[str, list[int]] = {}
    folded: dict[str, list[int]] = {}
    for column, label in enumerate(info.labels):
        exact.setdefault(label.strip(), []).append(column)
        folded.setdefault(label.strip().casefold(), []).append(column)
    return [exact.get(label) or folded.get(label.casefold(), []) for label in spec.channels]


def _channel_problems(spec: ModalityContract, info: StreamInfo, where: str) -> list[ContractError]:
    wanted = f"the model's {len(spec.channels)} channels by name"
    if not any(label.strip() for label in info.labels):
        return [ContractError(where, "channels", f"{info.n_channels} without labels", wanted)]
    problems = []
    found = list(zip(spec.channels, _candidates(spec, info), strict=True))
    missing = [label for label, columns in found if not columns]
    if missing:
        hint = nearest(missing[0], [label for label in info.labels if label.strip()])
        problems.append(
            ContractError(where, "channels", f"no {_some(missing)}", one_line(wanted + hint, 400))
        )
    twins = [label for label, columns in found if len(columns) > 1]
    if twins:
        problems.append(
            ContractError(where, "channels", f"{_some(twins)} more than once", f"{wanted}, each once")
        )
    wrong: dict[tuple[str, str], list[str]] = {}
    for label, unit, got in _stated_units(spec, info):
        if unit and got and _unit(unit) != _unit(got):
            wrong.setdefault((unit, got), []).append(label)
    for (unit, got), labels in wrong.items():
        problems.append(ContractError(where, "units", f"{shown(got)} for {_some(labels)}", repr(unit)))
    return problems


def _stated_units(spec: ModalityContract, info: StreamInfo) -> list[tuple[str, str, str]]:
    """Label, the contract's unit and the stream's own ("" when not stated) of each channel found once."""
    stated = {column: unit.strip() for column, unit in enumerate(info.units)}
    return [
        (label, unit, stated.get(columns[0], ""))
        for label, unit, columns in zip(spec.channels, spec.units, _candidates(spec, info), strict=True)
        if len(columns) == 1
    ]


def _unit(name: str) -> str:
    """One name for a unit under all its names."""
    folded = name.strip().casefold()  # folds the micro sign to the Greek letter as well
    return next((names[0] for names in UNIT_NAMES if folded in names), folded)


def _rate_problems(spec: ModalityContract, info: StreamInfo, where: str) -> list[ContractError]:
    if spec.rate_min_hz <= info.rate_hz <= spec.rate_max_hz:
        return []
    got = f"{info.rate_hz:g}" + (" (irregular)" if info.rate_hz == 0 else "")
    expected = f"a regular rate from {spec.rate_min_hz:g} to {spec.rate_max_hz:g} Hz"
    return [ContractError(where, "rate_hz", got, expected)]


def _some(labels: Sequence[str], most: int = 6) -> str:
    more = f" and {len(labels) - most} more" if len(labels) > most else ""
    return ", ".join(repr(label) for label in labels[:most]) + more
