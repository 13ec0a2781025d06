"""How many features a modality has, and whether its extractor can be built."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from bci_m2s.errors import ContractError
from bci_m2s.features import EXTRACTORS, Counts, Extractor

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
    return len(build_extractor(spec, window, spec.rate_min_hz).names)


def build_extractor(spec: ModalityContract, window: WindowContract, rate_hz: float) -> Extractor:
    """A modality's extractor for a stream of this rate. Raises ContractError."""
    kind = EXTRACTORS[spec.feature.name]
    made: Extractor = kind(dict(spec.feature.params), spec.channels, rate_hz, window.step_s, window.hop_s)
    return made


def check_size(spec: ModalityContract, window: WindowContract, modality: str) -> None:
    """Build a modality's extractor at both ends of its rates, and count. Raises ContractError."""
    for rate_hz in (spec.rate_min_hz, spec.rate_max_hz):
        try:
            expected = len(build_extractor(spec, window, rate_hz).names)
        except ContractError as problem:
            where = f"contract at {rate_hz:g} Hz"
            raise ContractError(where, _key(problem, modality), problem.got, problem.expected) from None
        got = spec.feature.n_features
        if got != expected:
            raise ContractError("contract", f"modalities.{modality}.feature.n_features", got, expected)


def count_of(modality: str, spec: ModalityContract, window: WindowContract) -> int:
    """``count_features`` with the contract's key in what it refuses. Raises ContractError."""
    try:
        return count_features(spec, window)
    except ContractError as problem:
        where = "contract", _key(problem, modality)
        raise ContractError(*where, problem.got, problem.expected) from None


def _key(problem: ContractError, modality: str) -> str:
    """The contract's key of what an extractor refuses."""
    if problem.field == "step_s":
        return "window.step_s"
    key = {"rate_hz": "rate_min_hz", "params": "feature.params"}
    return f"modalities.{modality}.{key.get(problem.field, f'feature.params.{problem.field}')}"
