"""Torch modules that turn step features into class scores; how they are trained is in `training`.

Adding a network: one file here and one line in ``NETWORKS``, or one file in your own package and an entry
point in the group ``bci_m2s.networks`` that leads to a ``NetworkKind``. Torch is loaded when one is built,
so a model's contract can be read and checked without it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from bci_m2s.errors import ContractError, nearest
from bci_m2s.registry import Registry, load_class

if TYPE_CHECKING:
    import torch


class Network(Protocol):
    """What every entry of ``NETWORKS`` builds: a ``torch.nn.Module`` with these methods."""

    def embed(self, features: torch.Tensor) -> torch.Tensor:
        """features : (B, T, F) → (B, T, embedding), one vector per step."""

    def project(self, features: torch.Tensor) -> torch.Tensor:
        """features : (B, T, F) → (B, projection), what the heads share."""

    def forward(self, features: torch.Tensor) -> dict[str, torch.Tensor]:
        """features : (B, T, F) → head: (B, classes) logits."""


@runtime_checkable
class AnswersApart(Protocol):
    """A network whose ``forward`` is ``answer(embed(features), features)``."""

    def answer(self, embedded: torch.Tensor, features: torch.Tensor) -> dict[str, torch.Tensor]:
        """embedded : (B, T, embedding) of features : (B, T, F) → head: (B, classes) logits."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One number or word that a model file may set. The default fixes the type.

    low, high : of a number, inclusive; choices : the valid words
    """

    default: int | float | bool | str
    low: float = 0
    high: float = 1
    meaning: str = ""
    choices: tuple[str, ...] = ()

    def expected(self) -> str:
        """The valid values in words."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        if isinstance(self.default, bool):
            return "true or false"
        kind = "a whole number" if isinstance(self.default, int) else "a number"
        return f"{kind} from {self.low:g} to {self.high:g}"

    def accepts(self, value: object) -> bool:
        """Whether `value` has the right type and lies inside the range."""
        if self.choices:
            return value in self.choices
        if isinstance(self.default, bool) or isinstance(value, bool):
            return isinstance(self.default, bool) and isinstance(value, bool)
        if not isinstance(value, int if isinstance(self.default, int) else (int, float)):
            return False
        return self.low <= value <= self.high  # false for NaN


@dataclass(frozen=True, slots=True)
class NetworkKind:
    """How a network is built, and what may be set.

    build : a function, or where it is ("module:function", loaded on use). It is called with every setting
        as a keyword and with n_features, n_channels and classes (head: number of classes)
    is_trained : whether a training file may name it; others are made by `calibrate`
    """

    build: str | Callable[..., torch.nn.Module]
    settings: Mapping[str, Setting]
    is_trained: bool = True


# The defaults are the released sizes (62 channels × 5 bands, 33 eye features); few channels need less.
_SIZES = {
    "depth": Setting(4, 1, 16, "layers of the encoder"),
    "heads": Setting(4, 1, 16, "attention heads"),
    "ffn": Setting(1024, 1, 8192, "width of the feed-forward part of a layer"),
    "dropout": Setting(0.1, 0.0, 0.9, "share of values dropped while training"),
    "embedding": Setting(128, 1, 1024, "width of the embedding of a step"),
    "projection": Setting(32, 1, 1024, "width of what the classifiers share"),
    "hidden": Setting(128, 1, 4096, "hidden width of a classifier"),
    "readout": Setting(
        0,
        0,
        1024,
        "width of a linear map between projection and classifiers; 0 for none, with it no ReLU before",
    ),
}

_ATTENTION = "sts between electrodes, as the paper; multi-head between steps, or none, to compare with it"
_ELECTRODE = {
    **_SIZES,
    "head_width": Setting(64, 1, 256, "width of an attention head"),
    "attention": Setting("sts", meaning=_ATTENTION, choices=("sts", "multi-head", "none")),
}
_SEQUENCE = {**_SIZES, "causal": Setting(False, meaning="a step attends to itself and earlier ones only")}

# What a contract may name as `network`: a NetworkKind each.
NETWORKS = Registry(
    "network",
    "bci_m2s.networks",
    {
        "m2s-electrode": NetworkKind("bci_m2s.networks.m2s:electrode_network", _ELECTRODE),
        "m2s-sequence": NetworkKind("bci_m2s.networks.m2s:sequence_network", _SEQUENCE),
        "linear": NetworkKind("bci_m2s.networks.linear:linear_network", {}, is_trained=False),
        "m2s-electrode-linear": NetworkKind(
            "bci_m2s.networks.direct:electrode_with_linear", _ELECTRODE, is_trained=False
        ),
        "m2s-sequence-linear": NetworkKind(
            "bci_m2s.networks.direct:sequence_with_linear", _SEQUENCE, is_trained=False
        ),
    },
    needs=("build", "settings"),
)


def complete_params(name: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return every setting of network `name`: those of `params`, defaults for the rest.

    Raises
    ------
    ContractError
        For an unknown network, an unknown setting, or a value of the wrong type or range.
    """
    if name not in NETWORKS:
        raise ContractError("network", "name", repr(name), f"a known network{NETWORKS.unknown(name)}")
    settings: Mapping[str, Setting] = NETWORKS[name].settings
    for key, value in params.items():
        if key not in settings:
            known = f"a setting of this network{nearest(key, settings)}"
            raise ContractError(f"network {name}", "params", repr(key), known)
        if not settings[key].accepts(value):
            raise ContractError(f"network {name}", key, repr(value), settings[key].expected())
    return {key: params.get(key, setting.default) for key, setting in settings.items()}


def build_network(
    name: str, params: Mapping[str, Any], *, n_features: int, n_channels: int, heads: Mapping[str, int]
) -> torch.nn.Module:
    """Build a network with fresh random weights (torch's global generator).

    Parameters
    ----------
    name : key of ``NETWORKS``
    params : settings that differ from their defaults
    n_features : F, features of a step
    n_channels : C, channels that the features come from; F must be a multiple of it for electrodes
    heads : number of classes of each head, by name

    Raises
    ------
    ContractError
        As ``complete_params``, and for sizes that do not fit each other.
    """
    settings = complete_params(name, params)
    build = NETWORKS[name].build
    if isinstance(build, str):
        build = load_class({name: build}, name)
    network: torch.nn.Module = build(
        n_features=n_features, n_channels=n_channels, classes=heads, **settings
    )
    return network
