"""A model's channels in a stream: by name, under other spellings, more than once, or not at all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bci_m2s.errors import ContractError, nearest
from bci_m2s.features import EXTRACTORS
from bci_m2s.lsl.channel_names import default_labels
from bci_m2s.model.contract import ModalityContract
from bci_m2s.signal.interpolation import FEWEST_SOURCES
from bci_m2s.signal.labels import find_channels
from bci_m2s.simulator.montage import known_positions
from bci_m2s.text import printable, quoted
from bci_m2s.types import StreamInfo

ABSENT = -1  # in place of a column
REFUSE, INTERPOLATE = "refuse", "interpolate"
MOST_NAMED = 6  # channels in a message


def absent_channels(spec: ModalityContract, info: StreamInfo) -> list[str]:
    """Channels of the contract that the stream has not."""
    return [label for label, found in zip(spec.channels, candidates(spec, info), strict=True) if not found]


def candidates(spec: ModalityContract, info: StreamInfo) -> list[list[int]]:
    """For each channel of the contract the columns of the stream that may be meant."""
    return find_channels(spec.channels, info.labels)


def name_problems(spec: ModalityContract, info: StreamInfo, where: str) -> list[ContractError]:
    """Which channels of the contract a stream lacks or has several times; [] where it can be used."""
    wanted = f"the model's {len(spec.channels)} channels by name"
    problems = []
    matches = list(zip(spec.channels, candidates(spec, info), strict=True))
    missing = [label for label, columns in matches if not columns]
    if missing and (info.missing_channels == REFUSE or not _is_partial(spec, missing)):
        problems.append(_missing(spec, info, where, missing))
    elif missing and info.missing_channels == INTERPOLATE:
        problems += _unfillable(spec, where, missing)
    twins = {label: columns for label, columns in matches if len(columns) > 1}
    if twins:
        got = "; ".join(_twin(label, columns, info.labels) for label, columns in list(twins.items())[:4])
        expected = f"{wanted}, each once; `rename` of the stream says which is which"
        problems.append(ContractError(where, "channels", printable(got, 400), expected))
    return problems


def _missing(spec: ModalityContract, info: StreamInfo, where: str, missing: list[str]) -> ContractError:
    """That channels of the model are not among the stream's, and what can be done about it."""
    got, wanted = f"no {some(missing)}", f"the model's {len(spec.channels)} channels by name"
    others = [label for label in info.labels if label.strip().casefold() not in _folded(spec.channels)]
    if info.labels == default_labels(info.n_channels) or not any(map(str.strip, info.labels)):
        got += f", and no names of its own{f' ({info.remark})' if info.remark else ''}"
        entries = ", ".join(f"ch{number}: {label}" for number, label in enumerate(missing[:2], 1))
        return ContractError(where, "channels", got, f"{wanted}; `rename: {{{entries}, …}}` gives it names")
    hint = nearest(missing[0], others).replace("; valid: ", "; its others: ")
    if _is_partial(spec, missing):
        ways = "interpolate` or `training_mean" if spec.feature.name == "de" else "training_mean"
        hint += f"; `missing_channels: {ways}` does without them"
    elif info.missing_channels != REFUSE:
        share = len(missing) / len(spec.channels)
        hint += f"; at most {spec.max_missing:.0%} of them may be missing, {share:.0%} are"
    return ContractError(where, "channels", got, printable(f"{wanted}; `rename` translates{hint}", 400))


def _is_partial(spec: ModalityContract, missing: Sequence[str]) -> bool:
    """Whether a model answers without these channels."""
    return len(missing) <= spec.max_missing * len(spec.channels)


def _unfillable(spec: ModalityContract, where: str, missing: list[str]) -> list[ContractError]:
    """Why channels cannot be interpolated."""
    wanted = "`missing_channels: training_mean`"
    if not hasattr(EXTRACTORS[spec.feature.name], "interpolation"):
        got = f"'interpolate' for the feature {spec.feature.name!r}"
        return [ContractError(where, "missing_channels", got, wanted)]
    positions = known_positions(spec.channels)
    located = [bool(np.isfinite(position).all()) for position in positions]
    nowhere = [label for label, there in zip(spec.channels, located, strict=True) if not there]
    if lost := [label for label in missing if label in nowhere]:
        got = f"'interpolate', but no position is known of {some(lost)}"
        return [ContractError(where, "missing_channels", got, wanted)]
    if (left := sum(located) - len(missing)) < FEWEST_SOURCES:
        got = f"'interpolate' from {left} channels"
        return [ContractError(where, "missing_channels", got, f"{FEWEST_SOURCES} or more, or {wanted}")]
    return []


def unfillable_bad(spec: ModalityContract) -> str:
    """Why a channel that is bad could never be interpolated from the others; "" where it can be."""
    if not hasattr(EXTRACTORS[spec.feature.name], "interpolation"):
        return f"for the feature {spec.feature.name!r}"
    located = int(np.isfinite(known_positions(spec.channels)).all(axis=1).sum())
    if located <= FEWEST_SOURCES:
        return f"of {located} channels whose position is known, and {FEWEST_SOURCES} others have to be good"
    return "" if spec.max_missing * len(spec.channels) >= 1 else "and a max_missing below one channel"


def _twin(label: str, columns: Sequence[int], labels: Sequence[str]) -> str:
    """That a channel of the model can be several of the stream's."""
    found = list(dict.fromkeys(labels[column].strip() for column in columns))
    if found == [label]:
        return f"{label!r} more than once (channels {', '.join(str(column + 1) for column in columns)})"
    return f"{some(found)}, which may all be {label!r}"


def _folded(labels: Sequence[str]) -> list[str]:
    return [label.strip().casefold() for label in labels]


def translations(spec: ModalityContract, info: StreamInfo) -> list[str]:
    """Which channels of the model have another name in the stream, in words."""
    pairs = [
        (label, info.labels[columns[0]].strip())
        for label, columns in zip(spec.channels, candidates(spec, info), strict=True)
        if len(columns) == 1
    ]
    other = [(label, found) for label, found in pairs if found.casefold() != label.casefold()]
    cased = [
        (label, found) for label, found in pairs if found.casefold() == label.casefold() and found != label
    ]
    said = []
    if other:
        more = f" and {len(other) - MOST_NAMED} more" if len(other) > MOST_NAMED else ""
        named = ", ".join(
            f"{label} is taken from {quoted(found, 60)}" for label, found in other[:MOST_NAMED]
        )
        said.append(f"channels: {named}{more}")
    if cased:
        label, found = cased[0]
        more = f" and {len(cased) - 1} more" if len(cased) > 1 else ""
        said.append(f"channels: {label} is taken from {found!r}{more}: other letter case")
    return said


def some(labels: Sequence[str], most: int = MOST_NAMED) -> str:
    """The first of them, quoted, and how many more."""
    more = f" and {len(labels) - most} more" if len(labels) > most else ""
    return ", ".join(repr(label) for label in labels[:most]) + more
