"""Trained networks as model files that run live, with calibrated probabilities.

Sources: Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017 (temperature
scaling; expected calibration error with 15 bins of equal width).
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from torch import nn

from bci_m2s.files.tensor_file import Arrays
from bci_m2s.model.contract import CalibrationContract, Component, Contract
from bci_m2s.model.model_file import pack_modality, save_model
from bci_m2s.networks.direct import BESIDE, DirectModality, without_linear
from bci_m2s.networks.m2s import Classifier, SingleModality
from bci_m2s.training.data.prepare import UnitData
from bci_m2s.training.data.windows import WindowSet
from bci_m2s.training.drift.block import FittedDrift
from bci_m2s.training.methods.across import adapt_norm
from bci_m2s.training.methods.finetune import Fitted, head_logits, project
from bci_m2s.training.methods.stage_settings import FinetuneSettings
from bci_m2s.training.results.metrics import calibration_error, reliability
from bci_m2s.training.settings import TrainingSettings
from bci_m2s.types import FloatArray

Indices = NDArray[np.int64]
LOWEST, HIGHEST = 0.05, 20.0  # temperatures
FEWEST = 10  # windows; with fewer nothing is fitted
OWN, CROSSED = "model.safetensors", "crossed.safetensors"


def crossings(modalities: Iterable[str]) -> dict[str, dict[str, str]]:
    """Name of a model file → modality → whose labels train its classifiers; never its own.

    None for one modality, one file for a pair; of more, together every direction between two.
    """
    names = tuple(modalities)
    return {
        CROSSED if shift == 1 else f"crossed-{shift}.safetensors": dict(
            zip(names, names[shift:] + names[:shift], strict=True)
        )
        for shift in range(1, len(names))
    }


def file_names(modalities: Iterable[str], *, crosses: bool) -> dict[str, dict[str, str] | None]:
    """Name of every model file of a fit → modality → whose labels, None for each its own.

    crosses : classifiers can be exchanged, see ``Method.crosses``
    """
    return {OWN: None, **(crossings(modalities) if crosses else {})}


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
            network = copy.deepcopy(without_linear(network))
            network.heads.load_state_dict(fitted[teacher].network.heads.state_dict())
            if unlabelled is not None:
                _adapt_norms(network, unlabelled.having([name]).features[name])
        networks[name] = network.eval()
    return networks


def _adapt_norms(network: SingleModality, features: np.ndarray) -> None:
    """Give the classifiers' batch normalisation the statistics of these windows (n, T, F)."""
    if len(features) < 2:
        return
    projected = torch.from_numpy(project(network, features)).float()
    for classifier in network.heads.values():
        assert isinstance(classifier, Classifier)
        adapt_norm(classifier, projected)


def write_model(
    path: Path,
    settings: TrainingSettings,
    fitted: Mapping[str, Fitted],
    data: UnitData,
    record: Mapping[str, Any],
    *,
    teachers: Mapping[str, str] | None = None,
    keep: Sequence[str] = (),
    overwrite: bool = False,
    calibrations: Mapping[str, Mapping[str, CalibrationContract]] | None = None,
    drifts: Mapping[str, FittedDrift] = MappingProxyType({}),
) -> Contract:
    """Calibrate on validation windows and write one model file; returns its contract.

    Parameters
    ----------
    fitted : every modality that was trained
    teachers : modality → whose labels train its classifiers and their calibration; itself when None. Its
        own labels are then not used, not even in the calibration
    keep : modalities to write; empty for all
    calibrations : modality → head, where there are no validation windows
    drifts : modality → its limits of drift

    Raises
    ------
    OutputError
        The file exists and `overwrite` is false, or it cannot be written.
    """
    teachers = teachers or {name: name for name in fitted}
    networks = exchanged(fitted, teachers, data.parts["train"] if settings.finetune.adapt_norm else None)
    tensors: Arrays = {}
    modalities = {}
    for name in keep or networks:
        scaler = data.scalers[name]
        teacher = teachers[name]
        if calibrations is None:
            taught = fitted[teacher].network if teacher == name else without_linear(fitted[teacher].network)
            calibration = calibrations_of(taught, data, teacher, settings.finetune)
        else:
            calibration = dict(calibrations[teacher])
        if teacher != name:  # temperature, errors and threshold are those of the teacher's windows
            calibration = {
                head: part.model_copy(update={"windows_of": teacher}) for head, part in calibration.items()
            }
        drift = drifts.get(name)
        modalities[name] = settings.contract.modalities[name].model_copy(
            update={
                "calibration": calibration,
                "amplitude": data.amplitudes.get(name, {}),
                "drift": None if drift is None else drift.block,
                "network": as_made(settings.contract.modalities[name].network, networks[name]),
            }
        )
        if drift is not None:
            tensors |= {f"{name}.{key}": array for key, array in drift.arrays.items()}
        tensors |= pack_modality(name, networks[name], scaler.mean, scaler.std, scaler.spread)
    contract = settings.contract.model_copy(update={"modalities": modalities, "training": dict(record)})
    contract = Contract.model_validate(contract.model_dump())
    save_model(path, contract, tensors, overwrite=overwrite, storage=settings.finetune.storage)
    return contract


def as_made(spec: Component, network: SingleModality) -> Component:
    """A contract's network with what fine-tuning put into `network`: linear maps, the readout's width."""
    if isinstance(network, DirectModality):
        spec = spec.model_copy(update={"name": spec.name.removesuffix(BESIDE) + BESIDE})
    if not isinstance(network.readout, nn.Linear):
        return spec
    return spec.model_copy(update={"params": {**spec.params, "readout": network.readout.out_features}})


def calibrations_of(
    network: SingleModality, data: UnitData, modality: str, settings: FinetuneSettings
) -> dict[str, CalibrationContract]:
    """The calibration of every head of a network on the validation windows of its modality."""
    calibrations = {}
    for head in network.heads:
        windows = data.parts["validation"].having([modality], head)
        logits = head_logits(network, windows.features[modality])[head]
        calibrations[head] = calibrate(logits, windows.labels[head], windows.trials, settings.most_unknown)
    return calibrations


def fit_temperature(logits: FloatArray, labels: Indices) -> float:
    """Temperature of the lowest negative log likelihood. logits : (n, classes); labels : (n,).

    1.0 when there are fewer than ten windows.
    """
    if len(labels) < FEWEST:
        return 1.0

    def loss(log_temperature: float) -> float:
        scores = log_softmax(logits / np.exp(log_temperature), axis=1)
        return -float(scores[np.arange(len(labels)), labels].mean())

    optimum = minimize_scalar(loss, bounds=(np.log(LOWEST), np.log(HIGHEST)), method="bounded")
    return float(np.exp(optimum.x))


def expected_calibration_error(probabilities: FloatArray, labels: Indices) -> float:
    """As ``calibration_error``, of (n, classes) probabilities and (n,) labels."""
    return calibration_error(reliability(probabilities, labels))


def unknown_threshold(probabilities: FloatArray, labels: Indices, most_unknown: float) -> float:
    """Confidence below which an estimate is called unknown.

    Of the thresholds that make at most the share `most_unknown` of the windows unknown, the one with the
    highest accuracy over the others; the lowest of equals. 0.0 with fewer than ten windows.
    """
    if len(labels) < FEWEST:
        return 0.0
    confidence = probabilities.max(axis=1)
    order = np.argsort(confidence, kind="stable")
    right = (probabilities.argmax(axis=1) == labels)[order]
    most = int(most_unknown * len(labels))
    n_known = np.arange(len(labels), 0, -1)[: most + 1]
    accuracy = (right[::-1].cumsum()[::-1])[: most + 1] / n_known
    best = int(accuracy.argmax())
    return float(confidence[order][best]) if best else 0.0


def calibrate(
    logits: FloatArray, labels: Indices, trials: Indices, most_unknown: float
) -> CalibrationContract:
    """The calibration of one head for a contract, from validation windows.

    Both calibration errors are of the windows that the temperature was fitted on, so slightly optimistic.
    """
    logits = np.asarray(logits, dtype=np.float64)
    temperature = fit_temperature(logits, labels)
    before, after = softmax(logits, axis=1), softmax(logits / temperature, axis=1)
    known = len(labels) > 0
    return CalibrationContract(
        temperature=temperature,
        unknown_below=unknown_threshold(after, labels, most_unknown),
        ece_before=expected_calibration_error(before, labels) if known else None,
        ece_after=expected_calibration_error(after, labels) if known else None,
        windows=len(labels),
        trials=len(np.unique(trials)),
    )
