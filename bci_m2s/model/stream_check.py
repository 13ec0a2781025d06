"""Comparing a stream with a modality's contract: what makes it unfit, what is in doubt, which columns."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bci_m2s.errors import ContractError
from bci_m2s.model.channel_check import (
    ABSENT,
    INTERPOLATE,
    absent_channels,
    candidates,
    name_problems,
    some,
    translations,
)
from bci_m2s.model.contract import ModalityContract
from bci_m2s.signal.labels import find_channels
from bci_m2s.signal.rates import TOLERANCE
from bci_m2s.signal.reference import AS_RECORDED, AVERAGE, stated_reference
from bci_m2s.signal.units import factor_between, find_unit, is_stated
from bci_m2s.text import quoted
from bci_m2s.types import FloatArray, StreamInfo

TRIGGERS = re.compile(
    r"(device[ _-]*)?(trig|triggers?|trg|sti|stim|status|markers?|events?)[ _-]*(ch)?[ _-]*\d*"
)
NUMERIC_FORMATS = ("float32", "double64", "int8", "int16", "int32", "int64")


def check_stream(spec: ModalityContract, info: StreamInfo, where: str = "") -> list[ContractError]:
    """Return every difference that makes a stream unfit for a modality; empty when it fits.

    Compared are number format, channels by name, units as stated and the nominal rate. A stated unit
    must be the contract's or one that can be converted to it, under any of its usual names. A stream that
    does not state its units, or is of another type, is let pass, its values as they stand;
    ``stream_doubts`` says so.

    Parameters
    ----------
    spec : the modality's part of the contract
    info : the stream
    where : how messages name the stream; its name by default
    """
    where = where or f"stream {info.name!r}"
    if info.channel_format not in NUMERIC_FORMATS:
        expected = f"numbers ({', '.join(NUMERIC_FORMATS)})"
        return [ContractError(where, "channel_format", quoted(info.channel_format), expected)]
    if not info.labels:
        return [ContractError(where, "channels", "none", f"{len(spec.channels)} channels")]
    return [
        *_rate_problems(spec, info, where),
        *_channel_problems(spec, info, where),
        *_reference_problems(spec, info, where),
    ]


def stream_doubts(spec: ModalityContract, info: StreamInfo, conversions: bool = True) -> list[str]:
    """Return what a stream leaves open but is not refused for, in words, for the log.

    conversions : also which units are converted, which leaves nothing open
    """
    where, doubts = f"stream {info.name!r}", []
    if info.type.casefold() != spec.stream_type.casefold():
        doubts.append(
            f"{where}: type: got {quoted(info.type)}, the model was made for {spec.stream_type!r}"
        )
    doubts += [f"{where}: {words}" for words in translations(spec, info)]
    if lacking := absent_channels(spec, info):
        how = "are interpolated" if info.missing_channels == INTERPOLATE else "count as the training mean"
        doubts.append(f"{where}: channels: {some(lacking)} are not sent; they {how}")
    if info.remark:
        doubts.append(f"{where}: {info.remark}")
    silent = [label for label, unit, stated in _stated_units(spec, info) if unit and not is_stated(stated)]
    if silent:
        doubts.append(f"{where}: units: not stated for {some(silent)}; taken as the model's")
    if _is_unstated(spec, info):
        named = " + ".join(spec.reference)
        doubts.append(f"{where}: reference: not stated; taken as the model's ({named})")
    triggers = [label for label in info.labels if _is_trigger(label) and label.strip() not in spec.channels]
    if triggers:
        doubts.append(f"{where}: channels: {some(triggers)} not read as markers; only marker streams are")
    converted = {
        (found.name, unit): None
        for _, unit, stated in _stated_units(spec, info)
        if factor_between(stated, unit) not in (None, 1.0) and (found := find_unit(stated))
    }
    if conversions:
        doubts += [f"{where}: units: {stated} are converted to {unit}" for stated, unit in converted]
    return doubts


def channel_order(spec: ModalityContract, info: StreamInfo) -> NDArray[np.intp]:
    """Return the stream's column for each channel of the contract, (C,).

    A label is found as ``signal.labels`` says; ``ABSENT`` stands for a channel that the stream may lack.

    Raises
    ------
    ContractError
        A channel is missing or cannot be distinguished from another.
    """
    for problem in _channel_problems(spec, info, f"stream {info.name!r}"):
        if problem.field != "units":
            raise problem
    found = candidates(spec, info)
    return np.array([columns[0] if columns else ABSENT for columns in found], dtype=np.intp)


def channel_factors(spec: ModalityContract, info: StreamInfo) -> FloatArray | None:
    """Return what each channel is multiplied by to have the contract's unit, (C,); None for nothing."""
    found = {label: factor_between(stated, unit) for label, unit, stated in _stated_units(spec, info)}
    factors = [found.get(label) or 1.0 for label in spec.channels]
    return None if set(factors) == {1.0} else np.array(factors)


def _channel_problems(spec: ModalityContract, info: StreamInfo, where: str) -> list[ContractError]:
    problems = name_problems(spec, info, where)
    wrong: dict[tuple[str, str], list[str]] = {}
    for label, unit, stated in _stated_units(spec, info):
        if factor_between(stated, unit) is None:
            wrong.setdefault((unit, stated), []).append(label)
    for (unit, stated), labels in wrong.items():
        expected = f"{unit!r} or what can be converted to it; `unit:` in the pipeline says what they are"
        problems.append(ContractError(where, "units", f"{quoted(stated)} for {some(labels)}", expected))
    return problems


def _stated_units(spec: ModalityContract, info: StreamInfo) -> list[tuple[str, str, str]]:
    """Label, the contract's unit and the stream's own ("" when not stated) of each channel found once."""
    stated = {column: unit.strip() for column, unit in enumerate(info.units)}
    return [
        (label, unit, stated.get(columns[0], ""))
        for label, unit, columns in zip(spec.channels, spec.units, candidates(spec, info), strict=True)
        if len(columns) == 1
    ]


def _rate_problems(spec: ModalityContract, info: StreamInfo, where: str) -> list[ContractError]:
    low_hz, high_hz = spec.rate_min_hz * (1 - TOLERANCE), spec.rate_max_hz * (1 + TOLERANCE)
    if low_hz <= info.rate_hz <= high_hz:
        return []
    got = f"{info.rate_hz:.8g}" + (" (irregular)" if info.rate_hz == 0 else "")
    expected = f"a regular rate from {spec.rate_min_hz:g} to {spec.rate_max_hz:g} Hz"
    if info.rate_hz == 0:
        expected += "; `rate_hz: auto` measures a steady one, `resample_hz` is for others"
    return [ContractError(where, "rate_hz", got, expected)]


def reference_of(spec: ModalityContract, info: StreamInfo) -> list[int] | None:
    """The columns whose mean is subtracted, [] for the average of the model's own; None for nothing."""
    if spec.reference == AS_RECORDED:
        return None
    if spec.reference == AVERAGE:
        return []
    if stated_reference(info.reference) == _wanted(spec):
        return None
    return _reference_columns(spec, info)


def _reference_columns(spec: ModalityContract, info: StreamInfo) -> list[int] | None:
    """Columns of a stream that are the model's reference; None where one is not there once."""
    found = find_channels(spec.reference, info.labels)
    return None if any(len(columns) != 1 for columns in found) else [columns[0] for columns in found]


def with_reference(spec: ModalityContract, info: StreamInfo, columns: Sequence[int]) -> ModalityContract:
    """The modality with reference channels behind its own; their unit is that of the first channel."""
    labels = tuple(info.labels[column].strip() for column in columns)
    units = (spec.units[0],) * len(labels)
    return spec.model_copy(update={"channels": spec.channels + labels, "units": spec.units + units})


def _wanted(spec: ModalityContract) -> tuple[str, ...]:
    return stated_reference(" ".join(spec.reference))


def _is_unstated(spec: ModalityContract, info: StreamInfo) -> bool:
    """Whether only the lab knows that a stream has the model's reference."""
    is_labels = spec.reference not in (AS_RECORDED, AVERAGE)
    return is_labels and reference_of(spec, info) is None and not stated_reference(info.reference)


def _reference_problems(spec: ModalityContract, info: StreamInfo, where: str) -> list[ContractError]:
    stated = stated_reference(info.reference)
    if not stated or spec.reference in (AS_RECORDED, AVERAGE) or stated == _wanted(spec):
        return []
    if _reference_columns(spec, info) is not None:
        return []
    expected = f"{' + '.join(spec.reference)}, or these among the channels"
    return [ContractError(where, "reference", quoted(info.reference), expected)]


def _is_trigger(label: str) -> bool:
    return TRIGGERS.fullmatch(label.strip().casefold()) is not None
