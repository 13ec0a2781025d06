"""What the parameters and rows of ``M2SClassifier`` mean for networks and training."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal, NamedTuple, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax
from sklearn.utils import check_array, column_or_1d

from bci_m2s.errors import ConfigurationError, ContractError, TrainingError, UsageError
from bci_m2s.model.contract import Contract
from bci_m2s.networks.m2s import SingleModality
from bci_m2s.training.data.windows import WindowSet
from bci_m2s.training.methods.finetune import Fitted, head_logits
from bci_m2s.training.methods.model_files import exchanged
from bci_m2s.training.methods.stage_settings import FinetuneSettings, PretrainSettings
from bci_m2s.training.settings import ALONE
from bci_m2s.training.training_file import preset as preset_values

OWN, OTHER = "own", "other"
SIZES = ("depth", "heads", "ffn", "embedding", "projection", "hidden", "dropout")
Parameters = Mapping[str, Any]  # of M2SClassifier, by name
HEAD = "label"
Rows = NDArray[np.float32]
Indices = NDArray[np.int64]


def estimator_contract(
    parameters: Parameters, shapes: Mapping[str, tuple[int, ...]], n_classes: int
) -> Contract:
    """The contract that the networks are built from, with placeholders for what a notebook does not give.

    Parameters
    ----------
    shapes : "own" and every other modality → (n, T, F) of the rows

    Raises ValueError for a negative number of channels, ContractError for sizes that make no network.
    """
    sizes = {name: parameters[name] for name in SIZES}
    modalities = {}
    for name, shape in shapes.items():
        n_channels = parameters["n_channels" if name == OWN else "n_channels_other"]
        if isinstance(n_channels, Mapping):
            n_channels = n_channels.get(name, 0)
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


def pretrain_settings(
    parameters: Parameters,
    steps: int,
    *,
    within_person: bool,
    alone: bool = False,
    masked: bool = False,
    reach: Literal["overlap"] | None = None,
) -> PretrainSettings:
    """Settings of ``pretrain`` for windows of `steps` steps: those of the preset, and what is given.

    within_person : a batch is of one person; alone : there is no other modality
    masked, reach : the rows' trials are known; see ``LossSettings.mask_reach``

    Raises ValueError for one modality with one step.
    """
    preset = _recipe(parameters).pretrain
    weights = preset.loss.weights
    if steps == 1:  # which leaves nothing to predict
        weights = replace(weights, cpc=0.0)
    if alone and steps == 1:
        raise ValueError("X: got 1 step, expected at least 2: one step leaves no future to predict")
    if alone:
        weights = replace(weights, **ALONE["pretrain"]["loss"]["weights"])
    loss = replace(preset.loss, weights=weights)
    if preset.loss.mask_same_trial:  # where the recipe masks, and trials are known
        loss = replace(loss, mask_same_trial=masked, mask_reach=reach)
    given = {
        "epochs": parameters["pretrain_epochs"],
        "batch": parameters["pretrain_batch"],
        "learning_rate": parameters["pretrain_learning_rate"],
        "weight_decay": parameters["pretrain_weight_decay"],
        "sampler": preset.sampler if within_person else "mixed",
        "loss": loss,
        "predictions": max(1, min(preset.predictions, steps - 1)),
        "club_limit": None,  # the loss limits the estimates anyway; they are in losses_
    }
    return PretrainSettings.model_validate(preset.model_dump() | given)


def finetune_settings(parameters: Parameters, *, freeze: bool, validate: bool) -> FinetuneSettings:
    """Settings of ``fit``: those of the preset, and what is given.

    freeze : the encoder is pre-trained and stays as it is; validate : some rows choose the epoch
    """
    preset = _recipe(parameters).finetune
    given = {
        "epochs": parameters["epochs"],
        "batch": parameters["batch"],
        "learning_rates": (parameters["learning_rate"],),
        "weight_decays": (parameters["weight_decay"],),
        "freeze": freeze,
        "readout": preset.readout if freeze else 0,
        "linear": preset.linear and freeze and validate,  # how much of it, only validation rows can tell
        "select": preset.select if validate else "last",
        "oracle": False,
    }
    if parameters["adapt_norm"] is not None:
        given["adapt_norm"] = parameters["adapt_norm"]
    return FinetuneSettings.model_validate(preset.model_dump() | given)


class _Recipe(NamedTuple):
    pretrain: PretrainSettings
    finetune: FinetuneSettings


def _recipe(parameters: Parameters) -> _Recipe:
    """What the preset says of training. Raises ConfigurationError for an unknown one."""
    values = preset_values(parameters["preset"])
    return _Recipe(
        PretrainSettings.model_validate(values.get("pretrain", {})),
        FinetuneSettings.model_validate(values.get("finetune", {})),
    )


def held_out(labels: Indices, groups: Indices | None, share: float, seed: int) -> NDArray[np.bool_]:
    """Which rows validate, (n,) bool: about `share` of them; every class keeps some for training.

    Parameters
    ----------
    labels : (n,) class index
    groups : (n,) whole groups are taken, at least one where that is possible; None takes rows of each class
    share : at least 0 and below 1; 0 takes none
    """
    rng = np.random.default_rng(seed)
    held = np.zeros(len(labels), dtype=bool)
    if share == 0:
        return held
    if groups is None:
        for label in np.unique(labels):
            rows = rng.permutation(np.flatnonzero(labels == label))
            held[rows[: min(round(share * len(rows)), len(rows) - 1)]] = True
        return held
    names = rng.permutation(np.unique(groups))
    wanted = max(1, round(share * len(names)))
    for name in names:
        larger = held | (groups == name)
        if set(labels[~larger]) == set(labels):
            held, wanted = larger, wanted - 1
        if not wanted:
            break
    return held


def flattened(X: Any, steps: int) -> tuple[Any, int]:
    """X with one row per window, and T: the array's own where it has three dimensions."""
    if isinstance(X, list | tuple):
        X = np.asarray(X)
    if getattr(X, "ndim", 2) != 3:
        return X, steps
    X = np.asarray(X)
    return X.reshape(len(X), -1), X.shape[1]


def cut(rows: Rows, steps: int) -> Rows:
    """(n, T·F) as (n, T, F)."""
    if steps < 1 or rows.shape[1] % steps:
        raise ValueError(f"steps: got {steps}, expected to divide the {rows.shape[1]} features of a row")
    return rows.reshape(len(rows), steps, -1)


def numbered(groups: ArrayLike | None, n: int, name: str = "groups") -> Indices:
    """Groups as numbers from 0, (n,); all 0 without groups. name : for the error"""
    if groups is None:
        return np.zeros(n, dtype=np.int64)
    names = column_or_1d(groups)
    if len(names) != n:
        raise ValueError(f"{name}: got {len(names)}, expected one for each of {n} rows")
    return np.unique(names, return_inverse=True)[1].astype(np.int64)


def window_set(
    features: dict[str, Rows],
    labels: Indices,
    groups: Indices,
    trials: ArrayLike | None = None,
    starts: ArrayLike | None = None,
) -> WindowSet:
    """Rows (n, T, F) of each modality as a window set, all usable.

    trials, starts : (n,), see ``M2SClassifier.pretrain``; without trials each row is one of its own
    """
    n = len(labels)
    present = {name: np.ones(n, dtype=bool) for name in features}
    numbers = np.arange(n) if trials is None else numbered(trials, n, "trials")
    begins = np.zeros(n) if starts is None else np.asarray(column_or_1d(starts), dtype=np.float64)
    if len(begins) != n:
        raise ValueError(f"starts: got {len(begins)}, expected one for each of {n} rows")
    return WindowSet(features, present, {HEAD: labels}, groups, groups, numbers, cast(Indices, begins))


def others(X_other: Any, steps: int) -> dict[str, Rows]:
    """The other modalities' windows by name: "other" where there is one without a name."""
    if X_other is None:
        return {}
    if not isinstance(X_other, Mapping):
        return {OTHER: other_windows(X_other, steps)}
    if OWN in X_other:
        raise ValueError(f"X_other: got a modality named {OWN!r}, expected another name")
    return {name: other_windows(rows, steps) for name, rows in X_other.items()}


def other_windows(X_other: Any, steps: int) -> Rows:
    """One other modality's windows as (n, T, F) float32 and finite."""
    X_other, steps = flattened(X_other, steps)
    return cut(check_array(X_other, dtype=np.float32, input_name="X_other"), steps)


def probabilities(network: SingleModality, windows: Rows) -> NDArray[np.float64]:
    """Class probabilities (n, classes) of windows (n, T, F)."""
    logits = head_logits(network, windows.astype(np.float64))[HEAD]
    return cast(NDArray[np.float64], softmax(logits, axis=1))


def crossed_networks(
    networks: Mapping[str, SingleModality], fitted: Fitted, unlabelled: WindowSet | None
) -> dict[str, SingleModality]:
    """Every other modality's network with the classifier of ``fit``, in float64, as ``evaluate`` has them.

    unlabelled : see ``exchanged``
    """
    made = {}
    for name, network in networks.items():
        if name != OWN:
            both = {OWN: fitted, name: replace(fitted, network=network)}
            crossed = exchanged(both, {name: OWN}, unlabelled)[name]
            made[name] = crossed.double().requires_grad_(False).eval()
    return made


@contextlib.contextmanager
def as_value_error() -> Iterator[None]:
    """Raise what scikit-learn expects for parameters and data that cannot be used."""
    try:
        yield
    except (ConfigurationError, ContractError, TrainingError, UsageError) as problem:
        raise ValueError(str(problem)) from problem
