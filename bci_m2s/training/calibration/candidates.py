"""What is tried for a participant, from the model as it is to a linear one of their own.

base      the model as it is
both      the logarithms of the model's probabilities, and a ridge regression of the features, added
linear    a ridge regression of the features themselves
person    the model with this person's spread of each feature in its scaler
layer     its encoder and the hidden layer of its classifier, and a new last layer
head      its encoder, and a new classifier

All but base and person rest on ridge regressions, see ``ridge``; what they need of the model is computed
once. A regression's score estimates p(class | signal) / p(class) - 1, which is near the logarithm of that
ratio: it is added to logarithms of probabilities as it is. Sharper ones cost the eyes what they gained
(docs/LOG.md).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from bci_m2s.networks.direct import DirectModality, added
from bci_m2s.networks.linear import LinearHead, LinearNetwork
from bci_m2s.networks.m2s import Classifier, SingleModality
from bci_m2s.signal.normalise import SMALLEST_STD
from bci_m2s.training.calibration.nested import Candidate
from bci_m2s.training.calibration.ridge import Ridge, fit_ridge, targets
from bci_m2s.types import BoolArray, FloatArray

Indices = NDArray[np.int64]
AT_ONCE = 256  # windows in one pass
MEANINGS = {
    "base": "the model as it is",
    "both": "the model and a linear model together",
    "linear": "a linear model of the features",
    "person": "the model with this person's spread",
    "layer": "its encoder with a new last layer",
    "head": "its encoder with a new classifier",
}


@dataclass(frozen=True)
class Scale:
    """A scaler. mean, std : (F,)"""

    mean: FloatArray
    std: FloatArray

    def applied(self, features: FloatArray) -> NDArray[np.float32]:
        """Windows (n, T, F) as a network takes them; unknown values at the mean."""
        return np.nan_to_num((features - self.mean) / self.std, nan=0.0).astype(np.float32)


@dataclass(frozen=True)
class Made:
    """A modality's network and scaler after calibration. kind : of the network; "" for the base model's"""

    network: nn.Module
    scale: Scale
    kind: Literal["", "linear", "both"] = ""


@dataclass(frozen=True)
class Situation:
    """What candidates are made of: the base model's network and a modality's windows.

    features : (n, T, F), NaN where unknown; trials : (n,); labels : (t,)
    n_heads : of the model; what changes the answers of other heads is not tried where there are several
    temperature : of the base model's logits
    """

    network: nn.Module
    scale: Scale
    features: FloatArray
    trials: Indices
    labels: Indices
    head: str
    n_classes: int
    n_heads: int = 1
    temperature: float = 1.0


@dataclass(frozen=True)
class _Fixed:
    """A fold whose scores no label changes. logits_of : windows (m,) → (m, classes)"""

    logits_of: Callable[[Indices], FloatArray]
    known: dict[bytes, FloatArray] = field(default_factory=dict)

    def scores(self, windows: Indices, target: FloatArray) -> FloatArray:
        del target
        key = windows.tobytes()
        if key not in self.known:
            self.known[key] = self.logits_of(windows)[None]
        return self.known[key]


@dataclass(frozen=True)
class _Linear:
    """A fold of a ridge regression. rows : (n, D) of all windows; offset : (n, classes), or none"""

    ridge: Ridge
    rows: FloatArray
    offset: FloatArray | None = None

    def scores(self, windows: Indices, target: FloatArray) -> FloatArray:
        p, n, n_classes = target.shape
        flat = self.ridge.smoother(self.rows[windows]) @ target.transpose(1, 0, 2).reshape(
            n, p * n_classes
        )  # one product, not p of them
        regressed = flat.reshape(len(windows), p, n_classes).transpose(1, 0, 2)
        return regressed if self.offset is None else regressed + self.offset[windows]


def candidates(it: Situation) -> dict[str, Candidate]:
    """The candidates for a modality: the base model, and then what carried over to another visit first.

    The order is that of the gains on a second visit of simulated people (docs/LOG.md).
    """
    inputs = it.scale.applied(it.features)
    logits = _passed(it.network, inputs, it.head)
    found: dict[str, Candidate] = {"base": lambda _train: _Fixed(lambda windows: logits[windows])}
    if isinstance(it.network, SingleModality):
        mean = _mean(inputs)
        found["both"] = lambda train: _fold(mean, it.trials, train, logits / it.temperature)
    if it.n_heads == 1:
        found["linear"] = lambda train: _fold(_filled(it, train), it.trials, train)
        found["person"] = lambda train: _person(it, train)
    for name, rows in _activations(it, inputs).items():
        found[name] = lambda train, rows=rows: _fold(rows, it.trials, train)  # type: ignore[misc]
    return found


def make(name: str, it: Situation) -> Made:
    """A candidate trained on all windows, as a network for a model file."""
    everything = np.ones(len(it.labels), dtype=bool)
    if name == "base":
        return Made(it.network, it.scale)
    if name == "person":
        return Made(it.network, _own_spread(it, everything))
    target = targets(it.labels, it.n_classes)
    if name == "linear":
        scale, rows = _own_scale(it, everything), _filled(it, everything)
        weights, bias = _regression(rows, it.trials, everything).linear(target)
        own = LinearNetwork(len(weights), {it.head: it.n_classes})
        _set(
            cast(LinearHead, own.heads[it.head]).out,
            weights * scale.std[:, None],
            bias + scale.mean @ weights,
        )
        return Made(own.eval(), scale, "linear")
    inputs = it.scale.applied(it.features)
    if name == "both":
        return with_regression(it, target)
    rows = _activations(it, inputs)[name]
    weights, bias = _regression(rows, it.trials, everything).linear(target)
    network = copy.deepcopy(it.network)
    assert isinstance(network, SingleModality)
    classifier = network.heads[it.head]
    assert isinstance(classifier, Classifier)
    if name == "head":
        _make_transparent(classifier)
        weights = np.concatenate(
            [weights, np.zeros((classifier.out.in_features - len(weights), it.n_classes))]
        )
    _set(classifier.out, weights, bias)
    return Made(network.eval(), it.scale)


def with_regression(it: Situation, target: FloatArray) -> Made:
    """The base model and a ridge regression of the features together. target : (t, classes)"""
    everything = np.ones(len(target), dtype=bool)
    rows = _mean(it.scale.applied(it.features))
    weights, bias = _regression(rows, it.trials, everything).linear(target)
    return Made(_beside(it, weights, bias), it.scale, "both")


def scores(made: Made, it: Situation) -> FloatArray:
    """Logits (n, classes) of all windows by a calibrated network."""
    return _passed(made.network, made.scale.applied(it.features), it.head)


def _fold(rows: FloatArray, trials: Indices, train: BoolArray, offset: FloatArray | None = None) -> _Linear:
    return _Linear(_regression(rows, trials, train), rows, offset)


def _mean(inputs: NDArray[np.float32]) -> FloatArray:
    """Mean over the steps of windows as the network gets them, (n, F)."""
    return np.asarray(inputs.astype(np.float64).mean(axis=1))


def _beside(it: Situation, weights: FloatArray, bias: FloatArray) -> nn.Module:
    """The base model's network with a linear map of the features added to one head's logits."""
    network = copy.deepcopy(it.network)
    assert isinstance(network, SingleModality)
    if not isinstance(network, DirectModality):
        sizes = {name: cast(Classifier, one).out.out_features for name, one in network.heads.items()}
        network = DirectModality(network, len(weights), sizes)
    factor = 1.0 / it.temperature
    out, direct = cast(Classifier, network.heads[it.head]).out, cast(nn.Linear, network.direct[it.head])
    added(out, factor, torch.zeros_like(out.weight), torch.zeros_like(out.bias))
    added(direct, factor, torch.from_numpy(weights.T.copy()), torch.from_numpy(bias))
    return network.requires_grad_(False).eval()


def _regression(rows: FloatArray, trials: Indices, train: BoolArray) -> Ridge:
    inside = train[trials]
    return fit_ridge(rows[inside], (np.cumsum(train) - 1)[trials[inside]], int(train.sum()))


def _person(it: Situation, train: BoolArray) -> _Fixed:
    scale = _own_spread(it, train)
    return _Fixed(lambda windows: _passed(it.network, scale.applied(it.features[windows]), it.head))


def _own_spread(it: Situation, train: BoolArray) -> Scale:
    """The base model's scaler with the spread of the windows of training trials.

    Its mean stays: features are relative to the person's baseline, and what the trials of one visit would
    add to that is the visit's own, which the next baseline takes away again.
    """
    return Scale(it.scale.mean, _own_scale(it, train).std)


def _own_scale(it: Situation, train: BoolArray) -> Scale:
    """Mean and spread of each feature over the windows of training trials, every trial weighing the same.

    A feature that is never known, or never varies, keeps the base model's.
    """
    inside = train[it.trials]
    features, trials = it.features[inside], it.trials[inside]
    weight = 1.0 / np.bincount(trials, minlength=len(train))[trials]
    known = ~np.isnan(features)
    weights = np.where(known, weight[:, None, None], 0.0)
    total = weights.sum(axis=(0, 1))
    safe = np.maximum(total, 1e-12)
    filled = np.where(known, features, 0.0)
    mean = (weights * filled).sum(axis=(0, 1)) / safe
    std = np.sqrt((weights * (filled - mean) ** 2).sum(axis=(0, 1)) / safe)
    usable = (total > 0) & (std > SMALLEST_STD)
    return Scale(np.where(usable, mean, it.scale.mean), np.where(usable, std, it.scale.std))


def _filled(it: Situation, train: BoolArray) -> FloatArray:
    """Mean over the steps of each window (n, F), unknown values at the training windows' mean."""
    mean = _own_scale(it, train).mean
    return np.asarray(np.where(np.isnan(it.features), mean, it.features).mean(axis=1))


@torch.no_grad()
def _passed(network: nn.Module, inputs: NDArray[np.float32], head: str) -> FloatArray:
    """Logits (n, classes) of one head, float64."""
    parts = [network(part)[head] for part in torch.from_numpy(inputs).split(AT_ONCE)]
    return np.asarray(torch.cat(parts).double().numpy())


@torch.no_grad()
def _activations(it: Situation, inputs: NDArray[np.float32]) -> Mapping[str, FloatArray]:
    """What the last layers of the base model's network see, (n, D); {} of a network without such layers."""
    if not isinstance(it.network, SingleModality) or isinstance(it.network, DirectModality):
        return {}
    classifier = it.network.heads[it.head]
    if not isinstance(classifier, Classifier):
        return {}
    projected = torch.cat([it.network.project(part) for part in torch.from_numpy(inputs).split(AT_ONCE)])
    hidden = classifier.norm(torch.relu(classifier.hidden(projected)))
    rows = {"layer": np.asarray(hidden.double().numpy())}
    if classifier.hidden.out_features >= projected.shape[1]:
        rows["head"] = np.asarray(projected.double().numpy())
    return rows


@torch.no_grad()
def _make_transparent(classifier: Classifier) -> None:
    """Let a classifier's hidden layer hand on its input, which is never negative, as it is."""
    hidden, norm = classifier.hidden, classifier.norm
    nn.init.eye_(hidden.weight)
    hidden.bias.zero_()
    norm.reset_running_stats()
    norm.weight.fill_(float(np.sqrt(1.0 + norm.eps)))  # divides by √(variance + eps)
    norm.bias.zero_()


@torch.no_grad()
def _set(layer: nn.Linear, weights: FloatArray, bias: FloatArray) -> None:
    """weights : (D, classes)"""
    layer.weight.copy_(torch.from_numpy(np.ascontiguousarray(weights.T)))
    layer.bias.copy_(torch.from_numpy(np.ascontiguousarray(bias)))
