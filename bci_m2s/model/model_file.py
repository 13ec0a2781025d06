"""The model file: weights, and the contract that says what they were made for.

A model is one safetensors file. Its header holds the contract as JSON under "contract"; its arrays are,
for each modality M of the contract,

    M.scaler.mean, M.scaler.std    (F,) float64  of the training rows, after normalisation per person
    M.baseline.std                 (F,) float64  typical spread within one training person's baseline
    M.network.KEY                  float32       state of the network (int64 for counters)

and, where the contract has a block ``drift``, for each of its views V

    M.drift.V.mean, .scale, .usual   (F,) float64
    M.drift.V.precision              (F, F) float32, see ``signal.drift.Reference``

with K in place of F for the view ``coupling`` (see ``features.coupling``), and for that view
    M.drift.pairs                    (P, 2) int64       places of channels; K is P + channels + 1

with KEY being ``encoder.*``, ``projection.*`` and ``heads.HEAD.*``. The scaler's arrays are in the
modality's ``layout``, the baseline's in the extractor's order. A file may store the network in float16,
half the size; reading turns it into float32.

``load_model_file`` returns only what is complete, finite and of the right shape. ``contract`` says
what a contract may hold, ``stream_check`` compares a stream with one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from bci_m2s.errors import ContractError, ModelError, nearest
from bci_m2s.files.explain import describe
from bci_m2s.files.tensor_file import Arrays, read_tensors, read_texts, strict_json, write_tensors
from bci_m2s.model.contract import Contract, ModalityContract
from bci_m2s.networks import build_network
from bci_m2s.text import printable, quoted
from bci_m2s.types import FloatArray

if TYPE_CHECKING:
    import torch

VERSION = 1  # newest contract that this program reads
SCALER_TENSORS = ("scaler.mean", "scaler.std", "baseline.std")


def save_model(
    path: str | Path,
    contract: Contract,
    tensors: Mapping[str, NDArray[Any]],
    *,
    overwrite: bool = False,
    storage: Literal["float32", "float16"] = "float32",
) -> None:
    """Write a model file, whole or not at all.

    Parameters
    ----------
    path : the file
    contract, tensors : what ``load_model_file`` will return
    overwrite : whether a file of that name may be replaced
    storage : number type of the network's arrays in the file. float16 rounds them to 11 bits, so a model
        is best judged after reading it back

    Raises
    ------
    ModelError
        The tensors are not what the contract asks for, or a weight is too large for float16.
    OutputError
        The file exists and `overwrite` is false, or it cannot be written.
    """
    path = Path(path)
    check_tensors(path, contract, tensors)
    if storage == "float16":
        tensors = _converted(contract, tensors, np.float32, np.float16)
        for name, array in tensors.items():
            if not np.isfinite(array).all():
                raise ModelError(f"{path}: tensor {name!r} holds numbers too large for float16")
    write_tensors(path, tensors, {"contract": contract.model_dump_json()}, overwrite=overwrite)


def load_model_file(path: str | Path, *, checked: bool = True) -> tuple[Contract, Arrays]:
    """Return a model's contract and its arrays by name (read-only).

    checked : False leaves ``check_tensors`` to the caller, who has something to do before torch is loaded

    Raises
    ------
    ModelError
        In one line with the path: the file cannot be read, is not one of ours, is from a newer version,
        or its contract or arrays are wrong.
    """
    path = Path(path)
    texts, tensors = read_tensors(path)
    contract = _parse_contract(path, texts)
    tensors = _converted(contract, tensors, np.float16, np.float32)
    if checked:
        check_tensors(path, contract, tensors)
    return contract, tensors


def _converted(
    contract: Contract, tensors: Mapping[str, NDArray[Any]], stored: type, wanted: type
) -> Arrays:
    """The arrays with every `stored` of a network as `wanted`, read-only like the others."""
    converted = dict(tensors)
    for name, array in tensors.items():
        is_network = any(name.startswith(f"{modality}.network.") for modality in contract.modalities)
        if is_network and array.dtype == stored:
            with np.errstate(over="ignore"):  # refused when it is saved
                converted[name] = array.astype(wanted)
            converted[name].flags.writeable = False
    return converted


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
        raise ModelError(f"{path}: contract: not valid JSON: {printable(problem)}") from None
    version = raw.get("version") if isinstance(raw, dict) else None
    if isinstance(version, int) and version > VERSION:
        raise ModelError(
            f"{path}: contract: version {version}, this program reads up to {VERSION}: update it"
        )
    try:
        return Contract.model_validate_json(texts["contract"], strict=True)
    except ContractError as problem:
        raise ModelError(f"{path}: {printable(problem, 400)}") from None
    except ValidationError as problem:
        raise ModelError(f"{path}: contract: {describe(problem, Contract)}") from None


def modality_network(contract: Contract, modality: str) -> torch.nn.Module:
    """Build a modality's network as the contract describes it, with fresh random weights."""
    spec = contract.modalities[modality]
    return build_network(
        spec.network.name,
        spec.network.params,
        n_features=spec.feature.n_features,
        n_channels=len(spec.channels),
        heads={name: len(head.classes) for name, head in contract.heads.items()},
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


def layout_order(spec: ModalityContract) -> NDArray[np.intp] | None:
    """Which of the extractor's features stands at each place of the modality's layout, (F,).

    None for channel-major, which is the extractor's own order.
    """
    if spec.layout == "channel-major":
        return None
    return np.arange(spec.feature.n_features).reshape(len(spec.channels), -1).T.ravel()


def unpack_modality(tensors: Mapping[str, NDArray[Any]], modality: str) -> Arrays:
    """Arrays of one modality without its prefix: "scaler.mean", "network.KEY" ..."""
    start = f"{modality}."
    return {name.removeprefix(start): array for name, array in tensors.items() if name.startswith(start)}


def _expected_tensors(contract: Contract) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and number type of every array that a model with this contract has."""
    expected: dict[str, tuple[tuple[int, ...], str]] = {}
    for modality, spec in contract.modalities.items():
        for name in SCALER_TENSORS:
            expected[f"{modality}.{name}"] = ((spec.feature.n_features,), "float64")
        n_pairs = 0 if spec.drift is None else spec.drift.pairs
        if n_pairs:
            expected[f"{modality}.drift.pairs"] = ((n_pairs, 2), "int64")
        for view in spec.drift.views if spec.drift is not None else ():
            size = n_pairs + len(spec.channels) + 1 if view == "coupling" else spec.feature.n_features
            for part in ("mean", "scale", "usual"):
                expected[f"{modality}.drift.{view}.{part}"] = ((size,), "float64")
            expected[f"{modality}.drift.{view}.precision"] = ((size, size), "float32")
        about = (spec.network.name, json.dumps(spec.network.params), spec.feature.n_features)
        heads = tuple((name, len(head.classes)) for name, head in contract.heads.items())
        for key, kind in _network_arrays(*about, len(spec.channels), heads).items():
            expected[f"{modality}.network.{key}"] = kind
    return expected


@lru_cache(maxsize=64)  # commands open the same model several times, and building takes milliseconds
def _network_arrays(
    name: str, params: str, n_features: int, n_channels: int, heads: tuple[tuple[str, int], ...]
) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shapes and number types of a network's arrays. params : as JSON, which can be kept."""
    import torch

    sizes: dict[str, Any] = {"n_features": n_features, "n_channels": n_channels, "heads": dict(heads)}
    with torch.device("meta"):  # shapes only: nothing is allocated for what a file merely claims
        state = build_network(name, json.loads(params), **sizes).state_dict()
    return {
        key: (tuple(value.shape), "float32" if value.is_floating_point() else "int64")
        for key, value in state.items()
    }


def check_tensors(path: Path, contract: Contract, tensors: Mapping[str, NDArray[Any]]) -> None:
    """Compare the arrays of a model file with those of its networks. Raises ModelError."""
    try:
        expected = _expected_tensors(contract)
    except ContractError as problem:
        raise ModelError(f"{path}: {problem}") from None
    for name in sorted(set(expected) - set(tensors)):
        raise ModelError(f"{path}: tensor {name!r} is missing")
    for name in sorted(set(tensors) - set(expected)):
        raise ModelError(
            f"{path}: tensor {quoted(name)} is not part of this model{nearest(name, expected)}"
        )
    for name, (shape, number) in expected.items():
        array = tensors[name]
        if array.shape != shape or array.dtype.name != number:
            got = f"{array.dtype.name} {array.shape}"
            raise ModelError(f"{path}: tensor {name!r}: got {got}, expected {number} {shape}")
        if not np.isfinite(array).all():
            raise ModelError(f"{path}: tensor {name!r} holds NaN or infinity")
        if name.endswith((".scaler.std", ".baseline.std", ".scale", ".usual")) and not (array > 0).all():
            raise ModelError(f"{path}: tensor {name!r} holds a standard deviation that is not above 0")
    for modality, spec in contract.modalities.items():
        _check_pairs(path, f"{modality}.drift.pairs", len(spec.channels), tensors)


def _check_pairs(path: Path, name: str, n_channels: int, tensors: Mapping[str, NDArray[Any]]) -> None:
    """Pairs are of channels that there are, and of two."""
    if name not in tensors:
        return
    pairs = tensors[name]
    if pairs.min() < 0 or pairs.max() >= n_channels or (pairs[:, 0] == pairs[:, 1]).any():
        expected = f"pairs of two of {n_channels} channels, from 0"
        raise ModelError(f"{path}: tensor {name!r}: got others, expected {expected}")
