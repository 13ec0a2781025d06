"""The name of a session's streams: its own on the network, so that a script can tell two sessions apart."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Set
from itertools import count
from typing import TYPE_CHECKING

from rich.console import Console

from bci_m2s.lsl.description import SessionDescription
from bci_m2s.lsl.formats import ANSWER_TYPE, STATUS_TYPE
from bci_m2s.session.setup.config import OutletSettings
from bci_m2s.text import printable

if TYPE_CHECKING:
    from bci_m2s.lsl.network import LslNetwork

LOOK_S = 1.2  # senders answer the first question half a second later, or miss it and answer the next one
USUAL = OutletSettings().name


class Neighbours:
    """The sessions that are on the network. It looks from when it is made until it was asked once.

    Made before the model is made ready, it keeps nobody waiting.
    """

    def __init__(self) -> None:
        from bci_m2s.lsl.network import shared_network  # a replay does without liblsl

        self._network: LslNetwork | None = shared_network()

    def names(self) -> dict[str, set[str]]:
        """Their hosts, by the name of their streams; {} for whoever asks again."""
        from bci_m2s.lsl.network import brief_info

        network, self._network = self._network, None
        taken: dict[str, set[str]] = {}
        for raw in network.streams_after(LOOK_S).values() if network is not None else ():
            info = brief_info(raw)
            if info.type in (STATUS_TYPE, ANSWER_TYPE):
                name = info.name.removesuffix("-status") if info.type == STATUS_TYPE else info.name
                taken.setdefault(name, set()).add(info.host)
        return taken


def with_own_name(
    session: SessionDescription, neighbours: Neighbours, console: Console
) -> SessionDescription:
    """The session with a name that no other session on the network has, where the usual one was taken.

    One that the pipeline chose is kept. What had to be done, or is wrong, is said.
    """
    taken, wanted = neighbours.names(), session.outlet_name
    if wanted not in taken:
        return session
    where = printable(", ".join(sorted(taken[wanted])), 200)
    said = f"outlet {wanted!r}: a session on {where} has this name"
    if wanted != USUAL:
        console.print(f"{said} too; scripts cannot tell them apart by it", style="yellow")
        return session
    own = free_name(wanted, taken, socket.gethostname())
    console.print(f"{said}, so this one is {own!r}", style="yellow")
    return session.model_copy(update={"outlet_name": own})


def free_name(wanted: str, taken: Mapping[str, Set[str]], host: str) -> str:
    """A name that is not taken: ``NAME-2`` beside a session of this host, ``NAME-HOST`` beside another's.

    taken : hosts by name; host : this one
    """
    return next(
        name for name in _names(wanted, taken.get(wanted, {host}) <= {host}, host) if name not in taken
    )


def _names(wanted: str, is_alone: bool, host: str) -> Iterator[str]:
    yield wanted
    base = wanted if is_alone else f"{wanted}-{host}"
    yield base
    yield from (f"{base}-{number}" for number in count(2))
