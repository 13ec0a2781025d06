"""The name of a session's streams: its own on the network, so that a script can tell two sessions apart."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Set
from itertools import count
from typing import TYPE_CHECKING

from rich.console import Console

from bci_m2s.lsl.description import SessionDescription
from bci_m2s.lsl.formats import ANSWER_TYPE, EVIDENCE_PART, STATUS_PART, STATUS_TYPE
from bci_m2s.session.setup.config import OutletSettings
from bci_m2s.text import printable
from bci_m2s.types import StreamInfo

if TYPE_CHECKING:
    from bci_m2s.lsl.network import LslNetwork

LOOK_AGAIN_S = 3.0  # with the first look of a session that began together with this one
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
                name = info.name.removesuffix(f"-{STATUS_PART}") if info.type == STATUS_TYPE else info.name
                taken.setdefault(name, set()).add(info.host)
        return taken


def stream_names(name: str, heads: Collection[str], modalities: Collection[str]) -> set[str]:
    """Names of all streams that a session sends, whose outlet has a name."""
    answers = {f"{name}-{head}" for head in heads} if len(heads) > 1 else {name}
    return answers | {f"{name}-{STATUS_PART}"} | {f"{name}-{EVIDENCE_PART}-{one}" for one in modalities}


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


class Namesakes:
    """Looks once more when a session's own streams are on the network: two that began together may have one
    name. Both say so. Neither can be renamed any more: scripts may have found it.
    """

    def __init__(self, session: SessionDescription, notify: Callable[[str], None]) -> None:
        self._session, self._notify = session, notify
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="namesakes", daemon=True)

    def __enter__(self) -> Namesakes:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        from bci_m2s.lsl.network import brief_info, shared_network

        network = shared_network()
        if self._stop.wait(LOOK_AGAIN_S):
            return
        if said := namesakes(self._session, map(brief_info, network.streams().values())):
            self._notify(said)


def namesakes(session: SessionDescription, streams: Iterable[StreamInfo]) -> str:
    """Which other sessions on the network send estimates under this one's name; "" for none."""
    own, ids = session.session_id, set[str]()
    names = {session.outlet_name, *(f"{session.outlet_name}-{head}" for head in session.heads)}
    for info in streams:
        is_ours = bool(own) and info.source_id.startswith(own)
        if info.type == ANSWER_TYPE and info.name in names and not is_ours:
            ids.add(printable(f"{info.source_id!r} on {info.host}", 200))
    if not ids:
        return ""
    return (
        f"note: {len(ids) + 1} sessions have the name {session.outlet_name!r}; scripts can tell them apart "
        f"by source_id: this one's begins with {own!r}, the other is {', '.join(sorted(ids))}"
    )


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
