"""A small two-modality model that the tests save, load, damage and ask."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save

from bci_m2s.errors import ModelError
from bci_m2s.files.tensor_file import Arrays
from bci_m2s.model.contract import Contract
from bci_m2s.model.model_file import load_model_file, modality_network, pack_modality
from bci_m2s.networks import NETWORKS

SMALL = {"depth": 1, "heads": 2, "ffn": 16, "embedding": 8, "projection": 4, "hidden": 6}


def fitting(name: str, params: dict[str, Any]) -> dict[str, Any]:
    """Those of some settings that a network has."""
    return {key: value for key, value in params.items() if key in NETWORKS[name].settings}


def contract_fields() -> dict[str, Any]:
    """Fields of the contract, as YAML or JSON would give them; a fresh copy at each call."""
    return {
        "name": "small",
        "description": "two modalities, for tests",
        "simulated": True,
        "heads": {
            "emotion": {
                "classes": ["negative", "neutral", "positive"],
                "valence_arousal": {"negative": [-0.7, 0.4], "neutral": [0.0, 0.0], "positive": [0.8, 0.5]},
            }
        },
        "window": {"steps": 5, "step_s": 1.0, "hop_s": 0.25},
        "modalities": {
            "eeg": {
                "stream_type": "EEG",
                "rate_min_hz": 128.0,
                "rate_max_hz": 2048.0,
                "channels": ["TP9", "AF7", "AF8", "TP10"],
                "units": ["microvolts"] * 4,
                "feature": {"name": "de", "params": {"order": 3}, "n_features": 20},
                "normaliser": {"name": "baseline", "params": {"duration_s": 10.0}},
                "smoothing": {"name": "moving_average", "params": {"steps": 3}},
                "max_missing": 0.25,
                "network": {"name": "m2s-electrode", "params": {**SMALL, "head_width": 4}},
            },
            "eye": {
                "stream_type": "Gaze",
                "rate_min_hz": 30.0,
                "rate_max_hz": 2000.0,
                "channels": ["gaze_x", "gaze_y", "pupil_left", "pupil_right", "confidence"],
                "units": ["normalized", "normalized", "mm", "mm", ""],
                "feature": {"name": "eye", "n_features": 33},
                "normaliser": {"name": "training"},
                "network": {"name": "m2s-sequence", "params": dict(SMALL)},
            },
        },
        "training": {"data": "made up", "seeds": [1, 2, 3], "metrics": {"balanced_accuracy": 0.5}},
    }


def small_contract() -> Contract:
    """The contract of the small model."""
    return Contract.model_validate(contract_fields())


def small_tensors(contract: Contract, seed: int = 0) -> Arrays:
    """Random weights and scalers that fit `contract`."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    tensors: Arrays = {}
    for modality, spec in contract.modalities.items():
        mean, *stds = rng.normal(size=(3, spec.feature.n_features))
        network = modality_network(contract, modality)
        tensors |= pack_modality(modality, network, mean, *(np.abs(std) + 0.1 for std in stds))
    return tensors


def raw_model(path: Path, fields: Any, tensors: Arrays | None = None) -> Path:
    """Write a model file as anyone could, unchecked. fields : the contract, or text in its place."""
    text = fields if isinstance(fields, str) else json.dumps(fields)
    arrays = small_tensors(small_contract()) if tensors is None else tensors
    path.write_bytes(save(arrays, {"contract": text}))
    return path


def refusal(path: Path) -> str:
    """The one line with which a file is refused, less the file's name that it begins with."""
    with pytest.raises(ModelError) as caught:
        load_model_file(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert len(message) < 900
    return message.removeprefix(f"{path}: ")
