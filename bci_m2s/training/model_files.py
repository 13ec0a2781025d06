"""From trained networks to files that run live."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bci_m2s.contract import CalibrationContract, Contract, pack_modality, save_model
from bci_m2s.networks.m2s import SingleModality
from bci_m2s.tensorfile import Arrays
from bci_m2s.training.calibration import calibrate
from bci_m2s.training.finetune import Fitted, head_logits
from bci_m2s.training.prepare import UnitData
from bci_m2s.training.settings import FinetuneSettings

OWN, CROSSED = "model.safetensors", "crossed.safetensors"


def own_networks(fitted: Mapping[str, Fitted]) -> dict[str, SingleModality]:
    """Each modality with the classifiers that its own labels trained."""
    return {name: one.network for name, one in fitted.items()}


def crossed_networks(fitted: Mapping[str, Fitted]) -> dict[str, SingleModality]:
    """Each modality of a pair with the classifiers that the other's labels trained."""
    first, second = fitted
    crossed = {}
    for name, other in ((first, second), (second, first)):
        network = copy.deepcopy(fitted[name].network)
        network.heads.load_state_dict(fitted[other].network.heads.state_dict())
        crossed[name] = network.eval()
    return crossed


def write_model(
    path: Path,
    contract: Contract,
    fitted: Mapping[str, Fitted],
    data: UnitData,
    settings: FinetuneSettings,
    record: Mapping[str, Any],
    *,
    crossed: bool = False,
    keep: Sequence[str] = (),
    overwrite: bool = False,
) -> Contract:
    """Calibrate on validation windows and write one model file; returns its contract.

    Parameters
    ----------
    fitted : both modalities of the pair
    crossed : give each modality the classifiers, and their calibration, that the other's labels made.
        Its own labels then play no part, not even in the calibration
    keep : modalities to write; empty for all

    Raises
    ------
    OutputError
        The file exists and `overwrite` is false, or it cannot be written.
    """
    networks = crossed_networks(fitted) if crossed else own_networks(fitted)
    teacher = dict(zip(fitted, reversed(list(fitted)) if crossed else fitted, strict=True))
    tensors: Arrays = {}
    modalities = {}
    for name in keep or networks:
        scaler = data.scalers[name]
        calibration = _calibrations(fitted[teacher[name]].network, data, teacher[name], settings)
        modalities[name] = contract.modalities[name].model_copy(update={"calibration": calibration})
        tensors |= pack_modality(name, networks[name], scaler.mean, scaler.std, scaler.spread)
    made = contract.model_copy(update={"modalities": modalities, "training": dict(record)})
    made = Contract.model_validate(made.model_dump())
    save_model(path, made, tensors, overwrite=overwrite, storage=settings.storage)
    return made


def _calibrations(
    network: SingleModality, data: UnitData, modality: str, settings: FinetuneSettings
) -> dict[str, CalibrationContract]:
    found = {}
    for head in network.heads:
        windows = data.parts["validation"].having([modality], head)
        logits = head_logits(network, windows.features[modality])[head]
        found[head] = calibrate(logits, windows.labels[head], windows.trials, settings.most_unknown)
    return found
