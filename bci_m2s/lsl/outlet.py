"""Offering streams: what LSL can carry, and how a stream is described."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pylsl

from bci_m2s.lsl.formats import ANSWER_TYPE, OWN_TYPES
from bci_m2s.types import Chunk, StreamInfo

_of_sessions: set[str] = set()  # source ids, which no other process has; added to, never iterated


def make_outlet(info: StreamInfo, buffered: int, facts: Mapping[str, Any] = MappingProxyType({})) -> Any:
    """Offer a stream that is described like `info`; uid and host are liblsl's.

    buffered : how much liblsl keeps for a slow consumer, s (irregular: hundreds of samples)
    facts : further elements of the description: text, mappings of such, lists for elements that repeat
    """
    raw = pylsl.StreamInfo(
        info.name, info.type, info.n_channels, info.rate_hz, info.channel_format, info.source_id
    )
    if info.type in (ANSWER_TYPE, *OWN_TYPES):
        _of_sessions.add(info.source_id)
    described = zip(info.labels, info.units, strict=True)
    channels = [{"label": label, "unit": unit, "type": info.type} for label, unit in described]
    _fill(raw.desc(), {"channels": {"channel": channels}, **facts})
    return pylsl.StreamOutlet(raw, max_buffered=buffered)


def is_of_this_process(info: StreamInfo) -> bool:
    """Whether a session of this process sends a stream, as its answers or for displays. Any thread."""
    return info.type in (ANSWER_TYPE, *OWN_TYPES) and info.source_id in _of_sessions


def _fill(parent: Any, elements: Mapping[str, Any]) -> None:
    for name, contents in elements.items():
        for content in contents if isinstance(contents, list) else [contents]:
            if isinstance(content, Mapping):
                _fill(parent.append_child(name), content)
            else:
                parent.append_child_value(name, str(content))


def push(outlet: Any, chunk: Chunk) -> None:
    """Send a chunk with its stamps as they are."""
    if chunk.samples.dtype == object:
        outlet.push_chunk(chunk.samples.ravel().tolist(), chunk.times.tolist())
    else:
        outlet.push_chunk(chunk.samples, chunk.times.tolist())
