"""Checkpoints of a training in progress: weights, optimiser moments and the losses so far.

One safetensors file, replaced whole after each epoch, so that an interruption leaves the last good one.
It holds no state of random numbers: every epoch draws from generators seeded by (seed, epoch).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from bci_m2s.errors import ModelError
from bci_m2s.files.tensor_file import read_tensors, strict_json, write_tensors

BEST = "best."
ADAM_STATE = ("step", "exp_avg", "exp_avg_sq")


@dataclass(frozen=True)
class Progress:
    """The state of a training. rows : one dict of losses per epoch; about : seed, pair and settings."""

    epoch: int
    rows: list[dict[str, float]]
    about: dict[str, Any]


def save_checkpoint(
    path: Path,
    model: torch.nn.Module,
    optimisers: Mapping[str, torch.optim.Optimizer],
    progress: Progress,
    best: Mapping[str, torch.Tensor] = MappingProxyType({}),
) -> None:
    """Write or replace a checkpoint. Raises OutputError when it cannot be written.

    best : weights of the epoch that is to be kept; empty for the last
    """
    arrays = {f"model.{key}": _array(value) for key, value in model.state_dict().items()}
    for name, optimiser in optimisers.items():
        for number, state in optimiser.state_dict()["state"].items():
            for key in ADAM_STATE:
                arrays[f"{name}.{number}.{key}"] = _array(torch.as_tensor(state[key]))
    arrays |= {f"{BEST}{key}": _array(value) for key, value in best.items()}
    write_tensors(path, arrays, {"progress": json.dumps(vars(progress))}, overwrite=True, private=True)


def read_progress(path: Path) -> Progress:
    """The progress in a checkpoint. Raises ModelError when the file is not one."""
    texts, _ = read_tensors(path)
    try:
        progress = strict_json(texts["progress"])
        return Progress(int(progress["epoch"]), list(progress["rows"]), dict(progress["about"]))
    except (KeyError, ValueError, TypeError, OverflowError) as problem:
        raise ModelError(f"{path}: is not a checkpoint of bci_m2s ({problem})") from None


def copy_state(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The weights of a model as they are now."""
    return {key: value.detach().cpu().clone() for key, value in model.state_dict().items()}


def read_best(path: Path) -> dict[str, torch.Tensor]:
    """The weights of the epoch that is to be kept; empty where that is the last. Raises ModelError."""
    _, arrays = read_tensors(path)
    return {
        key.removeprefix(BEST): torch.tensor(value) for key, value in arrays.items() if key.startswith(BEST)
    }


def load_checkpoint(
    path: Path, model: torch.nn.Module, optimisers: Mapping[str, torch.optim.Optimizer] | None = None
) -> Progress:
    """Load a checkpoint's weights into `model` and its moments into the optimisers.

    Raises
    ------
    ModelError
        It cannot be read or belongs to another model.
    """
    progress = read_progress(path)
    _, arrays = read_tensors(path)
    state = {
        key.removeprefix("model."): torch.tensor(value)
        for key, value in arrays.items()
        if key.startswith("model.")
    }
    try:
        model.load_state_dict(state)
        for name, optimiser in (optimisers or {}).items():
            _restore(optimiser, name, arrays)
    except (RuntimeError, KeyError) as problem:
        first = str(problem).splitlines()[0]
        raise ModelError(f"{path}: belongs to another model: {first}") from None
    return progress


def _restore(optimiser: torch.optim.Optimizer, name: str, arrays: Mapping[str, Any]) -> None:
    whole = optimiser.state_dict()
    numbers = range(sum(len(group["params"]) for group in whole["param_groups"]))
    whole["state"] = {
        number: {key: torch.tensor(arrays[f"{name}.{number}.{key}"]) for key in ADAM_STATE}
        for number in numbers
        if f"{name}.{number}.step" in arrays
    }
    optimiser.load_state_dict(whole)


def _array(value: torch.Tensor) -> Any:
    return np.ascontiguousarray(value.detach().cpu().numpy())
