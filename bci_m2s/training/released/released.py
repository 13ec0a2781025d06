"""Checkpoints of the authors' released code, as model files of this project.

The one classifier of a fine-tuned checkpoint is used for both modalities, and what only pre-training uses
is left out; ``released_contract`` describes such a file.

Source: Liu, Cai, Lu, Zheng, "Multi-to-Single", AAAI 2025, doi 10.1609/aaai.v39i2.32134, released code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bci_m2s.errors import ContractError, ModelError, OutputError, UsageError, nearest
from bci_m2s.files.tensor_file import Arrays
from bci_m2s.model.contract import Contract
from bci_m2s.model.model_file import SCALER_TENSORS, modality_network, save_model
from bci_m2s.text import printable, quoted
from bci_m2s.training.formats.pickles import read_npz
from bci_m2s.training.released.released_contract import (
    HEAD,
    RELEASED_FOR,
    SIDES,
    Released,
    contract_fields,
    read_released,
)

# What only pre-training uses, and the unused layers that others were copied from.
UNUSED = re.compile(
    r"(EEG|Eye)_ER_encoder\.encoder_layer\..+|EEG_EI_encoder\.eeg_linear\..+|Eye_EI_encoder\.eye_linear\..+"
    r"|(eeg|eye)_decoder\.(eeg|eye)_(linear|rec)\..+|logit_scale"
    r"|cpc\.(eeg|eye)_(ar_lstm|predictors)\..+"
)
LAYER_NAMES = (("attention.to_out.", "self_attn.to_out.0."), ("attention.", "self_attn."))
FEED_FORWARD = {"ffn.0.": ("layers.0.",), "ffn.3.": ("layers.3.",)} | {
    "linear1.": ("layers.0.", "linear1."),  # torch's own transformer layer has the second names
    "linear2.": ("layers.3.", "linear2."),
}
CLASSIFIER = {"hidden": "0", "norm": "2", "out": "3"}


def import_released(
    path: str | Path,
    out: str | Path,
    *,
    dataset: str = "",
    scaler: str | Path | None = None,
    layout: str = "",
    overwrite: bool = False,
) -> Contract:
    """Write a released checkpoint as a model file and return its contract.

    A pre-trained checkpoint has no classifier: the model then gets one that gives every class the same
    probability, every estimate of it is "unknown", and the training record notes it.

    Parameters
    ----------
    path : the checkpoint, a file of ``torch.save``
    out : the model file
    dataset : "seed", "seed-iv" or "seed-v": names of classes and channels. "" takes the one that the
        shapes fit; where none of them does, classes and channels are numbered
    scaler : .npz with eeg_mean, eeg_std, eye_mean and eye_std, (F,) each and in the model's layout; None
        leaves features as they are, mean 0 and standard deviation 1
    layout : order of the EEG features in training; "" is band-major for SEED, as its released code reads
        them, and channel-major otherwise
    overwrite : whether `out` may be replaced

    Raises
    ------
    ModelError
        The checkpoint cannot be read, or a tensor is missing, misshapen or unknown.
    UsageError
        For a data set or layout that is unknown, or a data set that the checkpoint does not fit.
    RecordingError
        The scaler's file cannot be read.
    OutputError
        `out` exists and `overwrite` is false, or it cannot be written.
    """
    path, out = Path(path), Path(out)
    _check_choices(dataset, layout)
    if out.exists() and not overwrite:
        raise OutputError(f"{out}: exists; nothing is overwritten without --overwrite")
    released = read_released(path)
    fields = contract_fields(released, dataset, layout)
    try:
        contract = Contract.model_validate(fields)
        tensors = _network_arrays(released, contract)
    except (ContractError, ValueError) as problem:  # pydantic's error is a ValueError
        raise ModelError(f"{path}: its shapes make no network: {printable(problem, 400)}") from None
    _refuse_unknown(released)
    tensors |= _scaler_arrays(contract, None if scaler is None else Path(scaler))
    unscaled = "unknown: mean 0, standard deviation 1; standardise features before"
    record = {
        **contract.training,
        "scaler": unscaled if scaler is None else Path(scaler).name,
        "left_out": sorted({".".join(name.split(".")[:2]) for name in _left(released)}),
    }
    contract = contract.model_copy(update={"training": record})
    save_model(out, contract, tensors, overwrite=overwrite)
    return contract


def _check_choices(dataset: str, layout: str) -> None:
    if dataset and dataset not in RELEASED_FOR:
        raise UsageError(f"dataset: {dataset!r} is unknown{nearest(dataset, RELEASED_FOR)}")
    if layout not in ("", "channel-major", "band-major"):
        raise UsageError(f"layout: got {layout!r}, expected channel-major or band-major")


def describe_import(contract: Contract, out: Path) -> Iterator[str]:
    """Lines for the terminal: what was imported and what is uncertain."""
    record = contract.training
    classes = ", ".join(contract.heads[HEAD].classes)
    yield f"{out}: {contract.name}, {out.stat().st_size / 1e6:.1f} MB; classes {classes}"
    yield f"classifier: {record['classifier']}"
    yield f"layout of EEG features: {contract.modalities['eeg'].layout}"
    yield f"scaler: {record['scaler']}"


def _network_arrays(released: Released, contract: Contract) -> Arrays:
    """Every array of both networks, in the shapes of the contract."""
    arrays: Arrays = {}
    for modality in SIDES:
        with torch.device("meta"):  # shapes only
            expected = modality_network(contract, modality).state_dict()
        for key, like in expected.items():
            shape = tuple(like.shape)
            arrays[f"{modality}.network.{key}"] = _array(released, modality, key, shape)
    return arrays


def _array(released: Released, modality: str, key: str, shape: tuple[int, ...]) -> NDArray[Any]:
    if key.startswith("heads.") and not released.classifier:
        return _untrained(key, shape)
    names = released_names(modality, key)
    if key == "encoder.affine.bias" and names[0] not in released.encoder:
        return np.zeros(shape, np.float32)
    tensor = released.take(names)
    if tuple(tensor.shape) != shape:
        raise ModelError(
            f"{released.path}: tensor {names[0]!r}: got {tuple(tensor.shape)}, expected {shape}"
        )
    if key.endswith("num_batches_tracked") != (tensor.dtype is torch.int64):
        raise ModelError(f"{released.path}: tensor {names[0]!r}: got {tensor.dtype}, expected another type")
    number = torch.int64 if tensor.dtype is torch.int64 else torch.float32
    array: NDArray[Any] = tensor.detach().to(number).numpy().copy()
    if not np.isfinite(array).all():
        raise ModelError(f"{released.path}: tensor {names[0]!r} holds NaN or infinity")
    return array


def _untrained(key: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """A classifier of zeros with an identity normalisation: equal logits for every class."""
    if key.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    neutral = key.endswith((".norm.weight", ".norm.running_var"))
    return np.full(shape, 1.0 if neutral else 0.0, np.float32)


def released_names(modality: str, key: str) -> tuple[str, ...]:
    """Names that a key of our network's state may have in a checkpoint; the first is the usual one."""
    side = f"{SIDES[modality]}_ER_encoder"
    parts = key.split(".")
    if parts[0] == "heads":
        return (f"event_classifier.{CLASSIFIER[parts[2]]}.{parts[3]}",)
    if parts[0] == "projection":
        return (f"{modality}_transform.0.{parts[2]}",)
    if parts[1] == "affine":
        whole = f"{side}.affine_matrix.{parts[2]}"
        return (whole, f"{side}.affine_matrix") if parts[2] == "weight" else (whole,)
    start, rest = f"{side}.encoder.layers.{parts[2]}.", ".".join(parts[3:])
    for ours, names in FEED_FORWARD.items():
        if rest.startswith(ours):
            return tuple(start + name + rest.removeprefix(ours) for name in names)
    for ours, released in LAYER_NAMES:
        if rest.startswith(ours):
            return (start + released + rest.removeprefix(ours),)
    return (start + rest,)


def _left(released: Released) -> list[str]:
    return [
        name
        for part in (released.encoder, released.classifier)
        for name in part
        if name not in released.used
    ]


def _refuse_unknown(released: Released) -> None:
    for name in _left(released):
        if not UNUSED.fullmatch(name):
            hint = nearest(name, released.used)
            raise ModelError(f"{released.path}: tensor {quoted(name)} is unknown{hint}")


def _scaler_arrays(contract: Contract, path: Path | None) -> Arrays:
    """Scaler and baseline of both modalities; baselines are not used by a "training" normaliser."""
    names = [f"{modality}_{kind}" for modality in SIDES for kind in ("mean", "std")]
    given = {} if path is None else read_npz(path, names)
    arrays: Arrays = {}
    for modality in SIDES:
        n = contract.modalities[modality].feature.n_features
        mean, std = given.get(f"{modality}_mean", np.zeros(n)), given.get(f"{modality}_std", np.ones(n))
        for kind, values in (("mean", mean), ("std", std)):
            _check_scale(path, f"{modality}_{kind}", values, n)
        for name, values in zip(SCALER_TENSORS, (mean, std, np.ones(n)), strict=True):
            arrays[f"{modality}.{name}"] = np.array(values, dtype=np.float64)
    return arrays


def _check_scale(path: Path | None, name: str, values: Any, n_features: int) -> None:
    if not isinstance(values, np.ndarray) or values.dtype.kind != "f" or values.shape != (n_features,):
        got = f"{values.dtype} {values.shape}" if isinstance(values, np.ndarray) else type(values).__name__
        raise ModelError(f"{path}: {name}: got {got}, expected floats ({n_features},)")
    if not np.isfinite(values).all() or (name.endswith("_std") and not (values > 0).all()):
        raise ModelError(f"{path}: {name}: holds numbers that are not finite, or a spread of 0")
