"""What the parameters of ``M2SClassifier`` mean for networks and training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bci_m2s.model.model_file import Contract
from bci_m2s.training.estimator_rows import HEAD
from bci_m2s.training.methods.loss_settings import LossSettings, LossWeights
from bci_m2s.training.settings import FinetuneSettings, PretrainSettings

OWN, OTHER = "own", "other"
SIZES = ("depth", "heads", "ffn", "embedding", "projection", "hidden", "dropout")
Parameters = Mapping[str, Any]  # of M2SClassifier, by name


def estimator_contract(
    parameters: Parameters, shapes: Mapping[str, tuple[int, ...]], n_classes: int
) -> Contract:
    """The contract that the networks are built from, with placeholders for what a notebook does not give.

    Parameters
    ----------
    shapes : "own" and "other" → (n, T, F) of the rows

    Raises ValueError for a negative number of channels, ContractError for sizes that make no network.
    """
    sizes = {name: parameters[name] for name in SIZES}
    modalities = {}
    for name, shape in shapes.items():
        n_channels = parameters["n_channels" if name == OWN else "n_channels_other"]
        if n_channels < 0:
            raise ValueError(f"number of channels: got {n_channels}, expected at least 0")
        network = {"name": "m2s-electrode", "params": sizes}
        if n_channels == 0:
            network = {"name": "m2s-sequence", "params": {**sizes, "causal": True}}
        modalities[name] = {
            "stream_type": "none",
            "rate_min_hz": 1.0,
            "rate_max_hz": 1.0,
            "channels": [str(number) for number in range(max(1, n_channels))],
            "units": [""] * max(1, n_channels),
            "feature": {"name": "distributed", "n_features": shape[2]},
            "normaliser": {"name": "training"},
            "network": network,
        }
    return Contract.model_validate(
        {
            "name": "M2SClassifier",
            "simulated": False,
            "heads": {HEAD: {"classes": [str(number) for number in range(n_classes)]}},
            "window": {"steps": shapes[OWN][1], "step_s": 1.0, "hop_s": 1.0},
            "modalities": modalities,
        }
    )


def pretrain_settings(parameters: Parameters, steps: int, *, within_person: bool) -> PretrainSettings:
    """Settings of ``pretrain`` for windows of `steps` steps. within_person : a batch is of one person"""
    # The rows' trials are not known, so none is masked; one step leaves nothing to predict.
    weights = LossWeights(cpc=1.0 if steps > 1 else 0.0)
    return PretrainSettings(
        epochs=parameters["pretrain_epochs"],
        batch=parameters["pretrain_batch"],
        learning_rate=parameters["pretrain_learning_rate"],
        weight_decay=parameters["pretrain_weight_decay"],
        sampler="within-person" if within_person else "mixed",
        loss=LossSettings(weights=weights, mask_same_trial=False),
        predictions=max(1, min(2, steps - 1)),
        club_limit=None,  # the loss limits the estimates anyway; they are in losses_
    )


def finetune_settings(parameters: Parameters, *, freeze: bool, validate: bool) -> FinetuneSettings:
    """Settings of ``fit``.

    freeze : the encoder is pre-trained and stays as it is; validate : some rows choose the epoch
    """
    return FinetuneSettings(
        epochs=parameters["epochs"],
        batch=parameters["batch"],
        learning_rates=(parameters["learning_rate"],),
        weight_decays=(parameters["weight_decay"],),
        freeze=freeze,
        select="validation" if validate else "last",
    )
