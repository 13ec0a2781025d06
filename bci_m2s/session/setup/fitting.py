"""What the shipped models make of streams, and what to say where none of them fits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import yaml

from bci_m2s.errors import StreamError
from bci_m2s.files.shipped import names
from bci_m2s.lsl.markers import is_marker_stream
from bci_m2s.model.channel_check import absent_channels
from bci_m2s.model.contract import Contract, ModalityContract
from bci_m2s.model.model_file import read_contract
from bci_m2s.model.stream_check import check_stream
from bci_m2s.session.setup.shipped import find_model
from bci_m2s.signal.units import is_stated
from bci_m2s.sources.streams import LslStream
from bci_m2s.text import printable
from bci_m2s.types import StreamInfo

MAKE = "make your own: bci-m2s new my-lab{source} (docs/own-model.md)"
NONE_FITS = "no shipped model fits; " + MAKE


def shipped_contracts() -> list[Contract]:
    """The contracts of the shipped models, without their weights."""
    return [read_contract(find_model(name)) for name in names("models", ".safetensors")]


def say_fits(contracts: Sequence[Contract], infos: Sequence[StreamInfo]) -> list[str]:
    """One line per model that has a use for a stream; how to make one for streams that no model can use.

    infos : streams with labels and units
    """
    signals = [info for info in infos if not is_marker_stream(info) and info.channel_format != "string"]
    lines, used = [], set[str]()
    for contract in contracts:
        uses = [(modality, info) for info in signals for modality in _served(contract, info)]
        named = ", ".join(f"{modality} from {info.name!r}" for modality, info in uses)
        lines += [f"model {contract.name!r} fits: {named}"] if uses else []
        used |= {info.name for _, info in uses}
    types = {spec.stream_type.casefold() for one in contracts for spec in one.modalities.values()}
    left = [info.name for info in signals if info.name not in used and info.type.casefold() in types]
    if left and used:
        names = ", ".join(map(repr, left))
        lines.append(f"no shipped model fits {names}; {MAKE.format(source='')}")
    return lines or [NONE_FITS.format(source="")] * bool(signals)


def _served(contract: Contract, info: StreamInfo) -> list[str]:
    return [
        modality
        for modality, spec in contract.modalities.items()
        if info.type.casefold() == spec.stream_type.casefold() and not check_stream(spec, info)
    ]


def offer(spec: ModalityContract, wanted: LslStream, infos: Iterable[StreamInfo]) -> str:
    """What to write for the only stream that would fit, where none is as the pipeline says; "" for none.

    wanted : as the pipeline says; infos : what is on the network, with labels and units
    """
    if wanted.source_id or wanted.host:
        return ""
    found = [(info, rename) for info in infos if (rename := _renames(spec, wanted, info)) is not None]
    if len(found) != 1:
        return ""
    (info, rename), expected_type = found[0], wanted.type or spec.stream_type
    keys: dict[str, Any] = {}
    if info.type.casefold() != expected_type.casefold():
        keys["type"] = info.type
    if wanted.name and wanted.name != info.name:
        keys["name"] = info.name
    keys |= {"rename": rename} if rename else {}
    written = yaml.safe_dump(
        keys, default_flow_style=True, sort_keys=False, allow_unicode=True, width=math.inf
    )
    return f"; {info.name!r} would fit: `{printable(written)}`"


def _renames(spec: ModalityContract, wanted: LslStream, info: StreamInfo) -> dict[str, str] | None:
    """What must be renamed for a stream to fit, {} for nothing; None where it does not fit."""
    try:
        if not check_stream(spec, wanted.applied_to(info)):
            return {}
    except StreamError:  # `rename` is for other labels
        return None
    if len(spec.channels) != 1 or info.n_channels != 1 or not (info.units and is_stated(info.units[0])):
        return None  # of one channel with the right unit alone it is plain which is which
    rename = {info.labels[0]: spec.channels[0]}
    only = wanted.model_copy(update={"rename": rename})
    return None if check_stream(spec, only.applied_to(info)) else rename


def unused(contract: Contract, used: dict[str, StreamInfo], infos: Iterable[StreamInfo]) -> str:
    """The channels and streams of signals that a model has no use for, in a sentence; "" for none.

    used : by modality; infos : every stream there is
    """
    parts = []
    for modality, info in used.items():
        spec = contract.modalities[modality]
        count = info.n_channels - len(spec.channels) + len(absent_channels(spec, info))
        if count > 0:
            parts.append(f"{count} of {info.n_channels} channels of {info.name!r}")
    taken = {(info.name, info.type, info.source_id) for info in used.values()}
    names = {name for name, _, _ in taken}  # streams of an EDF file all have the file's
    for info in infos:
        is_signal = not is_marker_stream(info) and info.channel_format != "string"
        if is_signal and (info.name, info.type, info.source_id) not in taken:
            parts.append(f"the stream {info.name!r}" + f" ({info.type})" * (info.name in names))
    if not parts:
        return ""
    listed = f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else parts[0]
    return f"not used by {contract.name}: {listed}"
