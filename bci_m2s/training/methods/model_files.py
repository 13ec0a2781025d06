"""Trained networks as model files that run live."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bci_m2s.files.tensor_file import Arrays
from bci_m2s.model.contract import CalibrationContract, Contract
from bci_m2s.model.model_file import pack_modality, save_model
from bci_m2s.networks.m2s import Classifier, SingleModality
from bci_m2s.training.data.prepare import UnitData
from bci_m2s.training.data.windows import WindowSet
from bci_m2s.training.methods.calibration import calibrate
from bci_m2s.training.methods.finetune import Fitted, head_logits, project
from bci_m2s.training.settings import FinetuneSettings

OWN, CROSSED = "model.safetensors", "crossed.safetensors"


def own_networks(fitted: Mapping[str, Fitted]) -> dict[str, SingleModality]:
    """Each modality with the classifiers trained on its own labels."""
    return {name: result.network for name, result in fitted.items()}


def crossed_networks(
    fitted: Mapping[str, Fitted], unlabelled: WindowSet | None = None
) -> dict[str, SingleModality]:
    """Each modality of a pair with the classifiers trained on the other's labels; see ``exchanged``."""
    return exchanged(fitted, crossing(fitted), unlabelled)


def crossing(fitted: Mapping[str, Fitted]) -> dict[str, str]:
    """Each modality of a pair → the other one."""
    return dict(zip(fitted, reversed(list(fitted)), strict=True))


def exchanged(
    fitted: Mapping[str, Fitted], teachers: Mapping[str, str], unlabelled: WindowSet | None
) -> dict[str, SingleModality]:
    """Each modality's encoder with the classifiers trained on its teacher's labels.

    Embeddings of two modalities lie apart even where they mean the same (Liang et al., NeurIPS 2022), so
    a classifier trained on one is off centre for the other. With `unlabelled` windows the mean and
    variance in its batch normalisation become those of the modality that it is applied to (Li et al.,
    Adaptive Batch Normalization, 2018). No label is used.

    Parameters
    ----------
    teachers : modality → whose labels; a modality that is its own teacher is left as it is
    unlabelled : training windows; None leaves the classifiers as they were trained
    """
    networks = {}
    for name, teacher in teachers.items():
        network = fitted[name].network
        if teacher != name:
            network = copy.deepcopy(network)
            network.heads.load_state_dict(fitted[teacher].network.heads.state_dict())
            if unlabelled is not None:
                _adapt_norm(network, unlabelled.having([name]).features[name])
        networks[name] = network.eval()
    return networks


@torch.no_grad()
def _adapt_norm(network: SingleModality, features: np.ndarray) -> None:
    """Give the classifiers' batch normalisation the statistics of these windows (n, T, F)."""
    if len(features) < 2:
        return
    projected = torch.from_numpy(project(network, features)).float()
    for classifier in network.heads.values():
        assert isinstance(classifier, Classifier)
        norm = classifier.norm
        momentum, norm.momentum = norm.momentum, None  # None: the plain mean over all windows
        norm.reset_running_stats()
        classifier.train()
        classifier(projected)
        classifier.eval()
        norm.momentum = momentum


def write_model(
    path: Path,
    contract: Contract,
    fitted: Mapping[str, Fitted],
    data: UnitData,
    settings: FinetuneSettings,
    record: Mapping[str, Any],
    *,
    teachers: Mapping[str, str] | None = None,
    keep: Sequence[str] = (),
    overwrite: bool = False,
) -> Contract:
    """Calibrate on validation windows and write one model file; returns its contract.

    Parameters
    ----------
    fitted : both modalities of the pair
    teachers : modality → whose labels train its classifiers and their calibration; itself when None. Its
        own labels are then not used, not even in the calibration
    keep : modalities to write; empty for all

    Raises
    ------
    OutputError
        The file exists and `overwrite` is false, or it cannot be written.
    """
    teachers = teachers or {name: name for name in fitted}
    networks = exchanged(fitted, teachers, data.parts["train"] if settings.adapt_norm else None)
    tensors: Arrays = {}
    modalities = {}
    for name in keep or networks:
        scaler = data.scalers[name]
        calibration = _calibrations(fitted[teachers[name]].network, data, teachers[name], settings)
        modalities[name] = contract.modalities[name].model_copy(update={"calibration": calibration})
        tensors |= pack_modality(name, networks[name], scaler.mean, scaler.std, scaler.spread)
    contract = contract.model_copy(update={"modalities": modalities, "training": dict(record)})
    contract = Contract.model_validate(contract.model_dump())
    save_model(path, contract, tensors, overwrite=overwrite, storage=settings.storage)
    return contract


def _calibrations(
    network: SingleModality, data: UnitData, modality: str, settings: FinetuneSettings
) -> dict[str, CalibrationContract]:
    calibrations = {}
    for head in network.heads:
        windows = data.parts["validation"].having([modality], head)
        logits = head_logits(network, windows.features[modality])[head]
        calibrations[head] = calibrate(logits, windows.labels[head], windows.trials, settings.most_unknown)
    return calibrations
