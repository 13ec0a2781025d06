"""A fitted ``M2SClassifier`` as a model file that runs live."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from torch import nn

from bci_m2s.model.contract import Contract
from bci_m2s.networks.direct import DirectModality
from bci_m2s.networks.m2s import Classifier, SingleModality
from bci_m2s.training.data.prepare import UnitData
from bci_m2s.training.estimator_parts import HEAD, OWN, estimator_contract
from bci_m2s.training.experiment import library_versions
from bci_m2s.training.methods.finetune import Fitted
from bci_m2s.training.methods.model_files import calibrations_of, write_model
from bci_m2s.training.settings import TrainingSettings
from bci_m2s.training.training_record import people_of


def write_estimator(
    path: Path,
    estimator: Any,
    networks: Mapping[str, SingleModality],
    shapes: Mapping[str, tuple[int, ...]],
    data: UnitData,
    *,
    modality: str,
    head: str,
    overwrite: bool,
) -> None:
    """See ``M2SClassifier.to_model_file``. networks, shapes (T, F) : of "own" and every other modality"""
    settings = data.settings
    head = head or settings.contract.first_head
    if head not in settings.contract.heads:
        raise ValueError(f"head: got {head!r}, expected one of {', '.join(settings.contract.heads)}")
    names = _names(list(networks), settings, modality)
    order = _order(list(estimator.classes_), settings.contract.heads[head].classes)
    settings = settings.model_copy(
        update={
            "contract": _contract(settings.contract, estimator, shapes, names, head, data),
            "pair": tuple(names.values()),
        }
    )
    fitted = {
        names[name]: Fitted(
            _with_head(network, head, order),
            estimator.score_,
            estimator.epoch_,
            estimator.learning_rate,
            estimator.weight_decay,
        )
        for name, network in networks.items()
    }
    record = {
        "data": settings.data.format,
        "method": "M2SClassifier",
        "parameters": {key: _plain(value) for key, value in estimator.get_params().items()},
        "labels": names[OWN],
        **people_of(settings, data.split),
        "versions": library_versions(),
    }
    own = names[OWN]
    calibrations = calibrations_of(fitted[own].network, data, own, settings.finetune)
    theirs = {head: part.model_copy(update={"windows_of": own}) for head, part in calibrations.items()}
    # the networks are as predict_other has them, with the classifier of fit: nothing is to be exchanged
    write_model(
        path,
        settings,
        fitted,
        data,
        record,
        overwrite=overwrite,
        calibrations={name: calibrations if name == own else theirs for name in fitted},
    )


def _plain(value: Any) -> Any:
    return value if isinstance(value, int | float | str | bool) or value is None else str(value)


def _names(own_and_others: list[str], settings: TrainingSettings, modality: str) -> dict[str, str]:
    """What the contract calls each of the estimator's modalities."""
    others = own_and_others[1:]
    free = [name for name in settings.pair if name not in others and name != modality]
    own = modality or (free.pop(0) if free else "")
    if others == ["other"] and free:
        return {OWN: own, "other": free[0]}
    names = {OWN: own, **{name: name for name in others}}
    for name in names.values():
        if name not in settings.pair:
            raise ValueError(f"modality: got {name!r}, expected one of {', '.join(settings.pair)}")
    return names


def _order(got: list[Any], classes: tuple[str, ...]) -> list[int]:
    """For each class of the contract, its place among the estimator's."""
    known = got if all(isinstance(name, str) for name in got) else [*map(int, got)]
    wanted: list[Any] = [*classes] if known is got else [*range(len(classes))]
    if sorted(known) != sorted(wanted):
        raise ValueError(f"classes: got {', '.join(map(str, got))}, expected {', '.join(classes)}")
    return [known.index(name) for name in wanted]


def _with_head(network: SingleModality, head: str, order: list[int]) -> SingleModality:
    """A float32 copy whose one classifier has the contract's name and order of classes."""
    network = copy.deepcopy(network).float()
    classifier = network.heads[HEAD]
    assert isinstance(classifier, Classifier)
    _reorder(classifier.out, order)
    network.heads = nn.ModuleDict({head: classifier})
    if isinstance(network, DirectModality):
        beside = cast(nn.Linear, network.direct[HEAD])
        _reorder(beside, order)
        network.direct = nn.ModuleDict({head: beside})
    return network.eval()


def _reorder(layer: nn.Linear, order: list[int]) -> None:
    layer.weight.data, layer.bias.data = layer.weight.data[order], layer.bias.data[order]


def _contract(
    contract: Contract,
    estimator: Any,
    shapes: Mapping[str, tuple[int, ...]],
    names: Mapping[str, str],
    head: str,
    data: UnitData,
) -> Contract:
    """The contract with the estimator's modalities, networks and the one head. Raises ValueError."""
    expected = {name: data.parts["train"].features[modality].shape for name, modality in names.items()}
    for name, shape in shapes.items():
        if shape != expected[name][1:]:
            raise ValueError(
                f"{names[name]}: got steps and features {shape}, expected {expected[name][1:]} as in data"
            )
    made = estimator_contract(estimator.get_params(), expected, len(estimator.classes_))
    modalities = {
        names[name]: contract.modalities[names[name]].model_copy(update={"network": spec.network})
        for name, spec in made.modalities.items()
    }
    heads = {head: contract.heads[head]}
    return contract.model_copy(update={"modalities": modalities, "heads": heads})
