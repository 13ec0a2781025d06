"""How many features a modality has, and whether its extractor can be built."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from bci_m2s.errors import ContractError
from bci_m2s.features import EXTRACTORS, Counts

if TYPE_CHECKING:
    from bci_m2s.model.contract import ModalityContract, WindowContract


def count_features(spec: ModalityContract, window: WindowContract) -> int:
    """The number of features per step that a modality's extractor makes.

    Raises
    ------
    ContractError
        A parameter of the extractor is wrong, or its features are ones that no stream can make.
    """
    kind = EXTRACTORS[spec.feature.name]
    if isinstance(kind, Counts):
        with contextlib.suppress(TypeError, ContractError):  # building it says what is wrong, in words
            return kind.count(spec.feature.params, spec.channels)
    return _built(spec, window, spec.rate_min_hz)


def _built(spec: ModalityContract, window: WindowContract, rate_hz: float) -> int:
    kind = EXTRACTORS[spec.feature.name]
    made = kind(dict(spec.feature.params), spec.channels, rate_hz, window.step_s, window.hop_s)
    return len(made.names)


def check_size(spec: ModalityContract, window: WindowContract, modality: str) -> None:
    """Build a modality's extractor at both ends of its rates, and count. Raises ContractError."""
    for rate_hz in (spec.rate_min_hz, spec.rate_max_hz):
        try:
            expected = _built(spec, window, rate_hz)
        except ContractError as problem:
            where = f"{modality} at {rate_hz:g} Hz: {problem.where}"
            raise ContractError(where, problem.field, problem.got, problem.expected) from None
        got = spec.feature.n_features
        if got != expected:
            raise ContractError(modality, "feature.n_features", got, expected)
