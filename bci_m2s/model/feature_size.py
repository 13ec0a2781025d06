"""How many features a modality has: its extractor says so, once it is built."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bci_m2s.errors import ContractError
from bci_m2s.features import EXTRACTORS

if TYPE_CHECKING:
    from bci_m2s.model.contract import ModalityContract, WindowContract


def count_features(spec: ModalityContract, window: WindowContract, rate_hz: float = 0.0) -> int:
    """The number of features per step that a modality's extractor makes.

    rate_hz : the stream's; 0 for the lowest that the modality takes

    Raises
    ------
    ContractError
        The extractor cannot be built: a parameter is wrong, a channel not there, the rate too low; or its
        features are ones that no stream can make.
    """
    build = EXTRACTORS[spec.feature.name]
    rate_hz = rate_hz or spec.rate_min_hz
    made = build(dict(spec.feature.params), spec.channels, rate_hz, window.step_s, window.hop_s)
    return len(made.names)


def check_size(spec: ModalityContract, window: WindowContract, modality: str) -> None:
    """Build a modality's extractor at both ends of its rates, and count. Raises ContractError."""
    for rate_hz in (spec.rate_min_hz, spec.rate_max_hz):
        try:
            expected = count_features(spec, window, rate_hz)
        except ContractError as problem:
            where = f"{modality} at {rate_hz:g} Hz: {problem.where}"
            raise ContractError(where, problem.field, problem.got, problem.expected) from None
        got = spec.feature.n_features
        if got != expected:
            raise ContractError(modality, "feature.n_features", got, expected)
