"""What is on the network: streams as they appear, who is meant, what a sender says of itself.

Text that comes from the network is data: it is matched in Python, never put into a query.
"""

from __future__ import annotations

import math
import threading
import time
import weakref
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import pylsl

from bci_m2s.errors import StreamError
from bci_m2s.lsl.channel_names import NAMED_BY, Described, channel_names, default_labels
from bci_m2s.lsl.formats import HIGHEST_RATE_HZ, MOST_CHANNELS
from bci_m2s.lsl.outlet import is_of_this_process
from bci_m2s.types import StreamInfo

TWIN_WAIT_S = 0.7  # how much longer to look, once a stream matches, for another that matches too
FORMATS = {
    pylsl.cf_float32: "float32",
    pylsl.cf_double64: "double64",
    pylsl.cf_string: "string",
    pylsl.cf_int32: "int32",
    pylsl.cf_int16: "int16",
    pylsl.cf_int8: "int8",
    pylsl.cf_int64: "int64",
}
EXACT = ("name", "source_id", "host", "uid")  # fields of a selector that are compared as they are
NO_ANSWER = (pylsl.util.TimeoutError, pylsl.util.LostError)  # pylsl's own, not the built-in one
FRESH_S = 0.1  # within this what was found is not asked for again: every stream is looked after so
FORGET_S = 2.5  # a sender not heard of for this long is gone; it is asked once a second, and may miss that
REQUEST_S = 0.3  # for the description of a sender that may be frozen; one thread serves all streams


@dataclass(frozen=True, slots=True)
class Selector:
    """Which stream is meant: every field that is not "" must be equal, the type in any case."""

    name: str = ""
    type: str = ""
    source_id: str = ""
    host: str = ""
    uid: str = ""

    def matches(self, info: StreamInfo) -> bool:
        """Whether a stream is meant."""
        if self.type and self.type.casefold() != info.type.casefold():
            return False
        return all(not (want := getattr(self, field)) or want == getattr(info, field) for field in EXACT)

    def describe(self) -> str:
        """For messages: name 'x', type 'EEG'."""
        wanted = [f"{field} {want!r}" for field, want in asdict(self).items() if want]
        return ", ".join(wanted) or "any stream"


def local_clock() -> float:
    """The LSL clock of this machine, s."""
    return pylsl.local_clock()


def brief_info(raw: Any) -> StreamInfo:
    """What a resolver knows of a stream; labels are ch1 … chN until ``full_info`` asks the sender."""
    return StreamInfo(
        name=raw.name(),
        type=raw.type(),
        source_id=raw.source_id(),
        uid=raw.uid(),
        host=raw.hostname(),
        rate_hz=float(raw.nominal_srate()),
        labels=default_labels(min(raw.channel_count(), MOST_CHANNELS + 1)),
        units=("",) * min(raw.channel_count(), MOST_CHANNELS + 1),
        channel_format=FORMATS.get(raw.channel_format(), "undefined"),
    )


def refuse_absurd(info: StreamInfo, why: str = "") -> None:
    """Refuse what LSL cannot carry, or must not even be opened. Raises StreamError.

    why : words behind the stream's name
    """
    wrong = ""
    if not 0 <= info.rate_hz <= HIGHEST_RATE_HZ:
        wrong = f"rate: got {info.rate_hz:g} Hz, expected 0 to {HIGHEST_RATE_HZ:g} Hz"
    elif not 1 <= info.n_channels <= MOST_CHANNELS:
        wrong = f"channels: got {info.n_channels}, expected 1 to {MOST_CHANNELS}"
    elif info.channel_format not in FORMATS.values():
        known = ", ".join(FORMATS.values())
        wrong = f"channel format: got {info.channel_format!r}, expected one of {known}"
    if wrong:
        raise StreamError(f"stream {info.name!r}{why}: {wrong}")


def full_info(inlet: Any, brief: StreamInfo, timeout_s: float) -> tuple[StreamInfo, str]:
    """Ask the sender for its description: with labels and units, and as the XML that it sent.

    Raises
    ------
    StreamError
        When it does not answer in time, or another sender answers in its place.
    """
    try:
        raw = inlet.info(timeout=timeout_s)
    except NO_ANSWER as problem:
        raise StreamError(
            f"stream {brief.name!r}: the sender did not describe it within {timeout_s:g} s ({problem})"
        ) from None
    if raw.uid() != brief.uid:
        raise StreamError(f"stream {brief.name!r}: uid: got {raw.uid()}, expected {brief.uid}")
    labels, units, remark = channel_names(list(_described(raw.desc())), brief.n_channels)
    given = raw.desc().child("reference")
    is_average = given.child_value("common_average").strip().casefold() in ("yes", "true", "1")
    reference = "average" if is_average else given.child_value("label").strip()
    info = replace(brief, labels=labels, units=units, reference=reference, remark=remark)
    return info, raw.as_xml()


def _described(desc: Any) -> Iterator[Described]:
    """Every channel that a sender describes, of all its groups of channels."""
    group, n = desc.child("channels"), 0
    while not group.empty():
        channel = group.child("channel")
        while not channel.empty() and n <= MOST_CHANNELS:
            yield Described(*(channel.child_value(key).strip() for key in NAMED_BY))
            channel, n = channel.next_sibling("channel"), n + 1
        group = group.next_sibling("channels")


class LslNetwork:
    """Streams as they appear. One look around serves all sources of a session.

    It is not free: for every query of the last three seconds liblsl holds one of the 32 ports from which
    senders on this machine take theirs too. A sender that gets none of them is found by nobody.
    """

    def __init__(self) -> None:
        self._resolver = pylsl.ContinuousResolver(forget_after=FORGET_S)
        self._first_seen_s: dict[str, float] = {}
        self._begun_s = time.monotonic()
        self._looking = threading.Lock()  # guards what follows
        self._found: dict[str, Any] = {}
        self._infos: dict[str, StreamInfo] = {}
        self._found_s = -math.inf

    def streams(self) -> dict[str, Any]:
        """What is there now, by uid, or was ``FRESH_S`` ago. Any thread; not to be changed."""
        with self._looking:
            now_s = time.monotonic()
            if now_s - self._found_s >= FRESH_S:
                self._found = {raw.uid(): raw for raw in self._resolver.results()}
                self._found_s = now_s
                for uid in self._found:
                    self._first_seen_s.setdefault(uid, now_s)
                known = self._infos
                self._infos = {uid: known.get(uid) or brief_info(raw) for uid, raw in self._found.items()}
            return self._found

    def infos(self) -> Mapping[str, StreamInfo]:
        """As ``streams``, each as ``brief_info`` has it: read once, however many look for theirs."""
        self.streams()
        return self._infos  # replaced as a whole

    def streams_after(self, look_s: float) -> dict[str, Any]:
        """What is there once this has looked for so long, s; at once where it has already."""
        time.sleep(max(0.0, self._begun_s + look_s - time.monotonic()))
        return self.streams()

    def known_for_s(self, uid: str) -> float:
        """How long ago a stream was first seen."""
        return time.monotonic() - self._first_seen_s[uid]


_network: weakref.ref[LslNetwork] | None = None
_network_lock = threading.Lock()


def shared_network() -> LslNetwork:
    """The one look around of this process, for as long as somebody uses it."""
    global _network
    with _network_lock:
        network = _network() if _network is not None else None
        if network is None:
            network = LslNetwork()
            _network = weakref.ref(network)
        return network


def list_streams(wait_s: float = 2.0, describe: bool | Collection[str] = False) -> list[StreamInfo]:
    """Everything on the network, sorted by type and name.

    describe : whether senders are asked for labels and units; of these types alone, in lower case

    Senders answer a query within half a second or miss it, so several are asked in `wait_s`.
    """
    network = LslNetwork()
    time.sleep(wait_s)
    infos = []
    for raw in network.streams().values():
        info = brief_info(raw)
        if describe is True or (describe and info.type.casefold() in describe):
            info = request_info(raw, info, 2.0) or info
        infos.append(info)
    return sorted(infos, key=lambda info: (info.type, info.name, info.uid))


def resolve(
    selector: Selector,
    wait_s: float,
    network: LslNetwork | None = None,
    notify: Callable[[str], None] = lambda _: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Any:
    """Wait for the one stream that is meant.

    Raises
    ------
    StreamError
        When none came within `wait_s` (the message lists what is there), when several match (they are
        listed), or when `stopped` turned true.
    """
    network = network or shared_network()
    begun, is_notified = time.monotonic(), False
    while True:
        seen = network.infos()
        matching = [info for info in seen.values() if selector.matches(info)]
        if len(matching) > 1:
            listed = "; ".join(
                f"{info.describe()} source_id {info.source_id!r} on {info.host!r}" for info in matching
            )
            raise StreamError(f"{len(matching)} streams match {selector.describe()}: {listed}; name one")
        raw = network.streams().get(matching[0].uid) if matching else None
        if raw is not None and network.known_for_s(raw.uid()) >= TWIN_WAIT_S:
            return raw
        if stopped():
            raise StreamError(f"stopped while waiting for {selector.describe()}")
        waited_s = time.monotonic() - begun
        if waited_s > wait_s and not matching:
            others = [info for info in seen.values() if not is_of_this_process(info)]
            there = "; ".join(info.describe() for info in others) or "no stream at all"
            raise StreamError(
                f"no stream with {selector.describe()} came within {wait_s:g} s; on the network: {there}"
            )
        if not is_notified and waited_s > 1.0 and not matching:
            notify(f"waiting for a stream with {selector.describe()}, up to {wait_s:g} s")
            is_notified = True
        time.sleep(0.05)


def request_info(raw: Any, brief: StreamInfo, timeout_s: float = REQUEST_S) -> StreamInfo | None:
    """The full description of a sender, None when it does not give one in time.

    raw : the sender as a resolver found it; brief : the same, see ``brief_info``
    """
    try:
        refuse_absurd(brief)
    except StreamError:
        return brief  # not to be connected to, and different enough
    try:
        info, _ = full_info(pylsl.StreamInlet(raw, max_buflen=1, recover=False), brief, timeout_s)
    except StreamError:
        return None
    return info
