"""LSL inlets as sources, and what is on the network.

liblsl runs without its post-processing (one NaN stamp poisons its dejitter for good, and its clock
synchronisation can block a pull for seconds), with recovery on, and every call has a time limit.
Text that comes from the network is data: it is matched in Python, never put into a query.

liblsl reconnects by itself to whoever has the same name, type, source id and shape of samples, of any host
and session; ``lsl_watch`` holds the rules by which such a sender is trusted.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pylsl

from bci_m2s.errors import StreamError
from bci_m2s.sources.lsl_watch import IdentityWatch, Moved
from bci_m2s.types import Chunk, StreamInfo

HIGHEST_RATE_HZ = 200_000.0  # liblsl allocates its buffers from the nominal rate that a sender claims
MOST_CHANNELS = 4096
TWIN_WAIT_S = 0.7  # how much longer to look, once a stream matches, for another that matches too
LONGEST_CALL_S = 0.2
FORMATS = {
    pylsl.cf_float32: "float32",
    pylsl.cf_double64: "double64",
    pylsl.cf_string: "string",
    pylsl.cf_int32: "int32",
    pylsl.cf_int16: "int16",
    pylsl.cf_int8: "int8",
    pylsl.cf_int64: "int64",
}
NO_ANSWER = (pylsl.util.TimeoutError, pylsl.util.LostError)  # pylsl's own, not the built-in one
MOST_SAMPLES = 1024  # pull_chunk's own limit
FORGET_S = 2.5  # a sender not heard of for this long is gone; it is asked once a second, and may miss that
ASK_S = 0.3  # for the description of a sender that may be frozen; the watching thread serves all streams
SURE_AFTER_S = 1.0  # a gap may be reported this long after liblsl began to notice that it reconnects


@dataclass(frozen=True, slots=True)
class Selector:
    """Which stream is meant: every field that is not "" must be equal."""

    name: str = ""
    type: str = ""
    source_id: str = ""
    host: str = ""

    def matches(self, info: StreamInfo) -> bool:
        """Whether a stream is meant."""
        return all(not want or want == getattr(info, field) for field, want in self._fields())

    def describe(self) -> str:
        """For messages: name 'x', type 'EEG'."""
        said = [f"{field} {want!r}" for field, want in self._fields() if want]
        return ", ".join(said) or "any stream"

    def _fields(self) -> Iterable[tuple[str, str]]:
        return ((field, getattr(self, field)) for field in ("name", "type", "source_id", "host"))


def local_clock() -> float:
    """The LSL clock of this machine, s."""
    return pylsl.local_clock()


def brief_info(raw: Any) -> StreamInfo:
    """What a resolver knows of a stream; labels are numbers until ``full_info`` asks the sender."""
    return StreamInfo(
        name=raw.name(),
        type=raw.type(),
        source_id=raw.source_id(),
        uid=raw.uid(),
        host=raw.hostname(),
        rate_hz=float(raw.nominal_srate()),
        labels=tuple(str(number + 1) for number in range(min(raw.channel_count(), MOST_CHANNELS))),
        units=("",) * min(raw.channel_count(), MOST_CHANNELS),
        channel_format=FORMATS.get(raw.channel_format(), "undefined"),
    )


def refuse_absurd(info: StreamInfo) -> None:
    """Refuse what must not even be opened. Raises StreamError."""
    if not 0 <= info.rate_hz <= HIGHEST_RATE_HZ:
        raise StreamError(
            f"stream {info.name!r}: rate: got {info.rate_hz:g} Hz, expected 0 to {HIGHEST_RATE_HZ:g} Hz"
        )
    if not 1 <= info.n_channels < MOST_CHANNELS:
        raise StreamError(
            f"stream {info.name!r}: channels: got {info.n_channels}, expected 1 to {MOST_CHANNELS - 1}"
        )
    if info.channel_format == "undefined":
        raise StreamError(
            f"stream {info.name!r}: channel format: got undefined, expected a number or string"
        )


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
    said: list[tuple[str, str]] = []
    channel = raw.desc().child("channels").child("channel")
    while not channel.empty() and len(said) < MOST_CHANNELS:
        said.append((channel.child_value("label").strip(), channel.child_value("unit").strip()))
        channel = channel.next_sibling("channel")
    if (
        len(said) != brief.n_channels
    ):  # nothing said, or nonsense: no label at all is better than a wrong one
        said = [("", "")] * brief.n_channels
    labels, units = tuple(label for label, _ in said), tuple(unit for _, unit in said)
    return replace(brief, labels=labels, units=units), raw.as_xml()


class Network:
    """Streams as they appear. One look around serves all sources of a session."""

    def __init__(self) -> None:
        self._resolver = pylsl.ContinuousResolver(forget_after=FORGET_S)
        self._first_seen_s: dict[str, float] = {}

    def streams(self) -> dict[str, Any]:
        """What is there now, by uid."""
        found = {raw.uid(): raw for raw in self._resolver.results()}
        for uid in found:
            self._first_seen_s.setdefault(uid, time.monotonic())
        return found

    def known_for_s(self, uid: str) -> float:
        """How long ago a stream was first seen."""
        return time.monotonic() - self._first_seen_s[uid]


def list_streams(wait_s: float = 2.0, describe: bool = False) -> list[StreamInfo]:
    """Everything on the network, sorted by type and name; with labels and units when `describe`.

    Senders answer a query within half a second or miss it, so several are asked in `wait_s`.
    """
    network = Network()
    time.sleep(wait_s)
    infos = []
    for raw in network.streams().values():
        info = brief_info(raw)
        if describe:
            try:
                refuse_absurd(info)
                info, _ = full_info(pylsl.StreamInlet(raw, recover=False), info, timeout_s=2.0)
            except StreamError:
                info = replace(info, labels=("",) * info.n_channels)
        infos.append(info)
    return sorted(infos, key=lambda info: (info.type, info.name, info.uid))


def resolve(
    selector: Selector,
    wait_s: float,
    network: Network | None = None,
    say: Callable[[str], None] = lambda _: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Any:
    """Wait for the one stream that is meant.

    Raises
    ------
    StreamError
        When none came within `wait_s` (the message lists what is there), when several match (they are
        listed), or when `stopped` turned true.
    """
    network = network or Network()
    begun, told = time.monotonic(), False
    while True:
        seen = network.streams()
        matching = [raw for raw in seen.values() if selector.matches(brief_info(raw))]
        if len(matching) > 1:
            listed = "; ".join(
                f"{info.describe()} source_id {info.source_id!r} on {info.host!r}"
                for info in map(brief_info, matching)
            )
            raise StreamError(f"{len(matching)} streams match {selector.describe()}: {listed}; name one")
        if matching and network.known_for_s(matching[0].uid()) >= TWIN_WAIT_S:
            return matching[0]
        if stopped():
            raise StreamError(f"stopped while waiting for {selector.describe()}")
        waited_s = time.monotonic() - begun
        if waited_s > wait_s and not matching:
            there = "; ".join(brief_info(raw).describe() for raw in seen.values()) or "no stream at all"
            raise StreamError(
                f"no stream with {selector.describe()} came within {wait_s:g} s; on the network: {there}"
            )
        if not told and waited_s > 1.0 and not matching:
            say(f"waiting for a stream with {selector.describe()}, up to {wait_s:g} s")
            told = True
        time.sleep(0.05)


class LslSource:
    """A live stream. ``pull`` blocks in liblsl until the first sample is there, then takes all.

    One thread pulls; another one may call ``clock_offset_s``, ``problem`` and ``notices`` meanwhile. A
    stream without a source id cannot be found again by liblsl: ``pull`` raises StreamError when it is
    lost, and ``problem`` has nothing to say.

    Parameters
    ----------
    name, type, source_id, host : which stream, see ``Selector``
    wait_s : how long ``open`` waits for it
    network : shared with other sources, so that each does not look around anew
    say : told what is waited for
    stopped : asked while waiting whether to give up
    """

    def __init__(
        self,
        name: str = "",
        type: str = "",
        source_id: str = "",
        host: str = "",
        wait_s: float = 10.0,
        network: Network | None = None,
        say: Callable[[str], None] = lambda _: None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._selector = Selector(name, type, source_id, host)
        self._wait_s, self._network, self._say, self._stopped = wait_s, network, say, stopped
        self._inlet: Any = None
        self.info = StreamInfo(name, type, source_id)
        self.description_xml = ""
        self.finished = False
        self._watch: IdentityWatch | None = None
        self._offset_s = float("nan")  # the newest that was known, of the newest sender that had one
        self._offset_since_s = float("inf")  # liblsl notices that it reconnects while it has an offset

    def open(self) -> None:
        """Find the stream, learn its description and subscribe."""
        self._network = self._network or Network()
        raw = resolve(self._selector, self._wait_s, self._network, self._say, self._stopped)
        brief = brief_info(raw)
        refuse_absurd(brief)
        self._inlet = pylsl.StreamInlet(raw, max_buflen=60, recover=True, processing_flags=0)
        self.info, self.description_xml = full_info(self._inlet, brief, timeout_s=5.0)
        self._watch = IdentityWatch(self.info) if brief.source_id else None
        self._is_text = self.info.channel_format == "string"
        # liblsl writes straight into this array; a chunk is a view of it until the next pull
        self._buffer = (
            None if self._is_text else np.empty((MOST_SAMPLES, brief.n_channels), self._inlet.np_dtype)
        )
        try:
            self._inlet.open_stream(timeout=5.0)
        except NO_ANSWER as problem:
            raise StreamError(
                f"stream {brief.name!r}: found, but it does not connect ({problem})"
            ) from None

    def pull(self, timeout_s: float) -> Chunk:
        """The next samples; the chunk's samples are a view that the next pull overwrites."""
        try:
            samples, times = self._inlet.pull_chunk(
                timeout=min(timeout_s, LONGEST_CALL_S),
                max_samples=MOST_SAMPLES,
                min_samples=1,
                dest_obj=self._buffer,
                as_numpy=True,
            )
        except pylsl.util.LostError:
            raise StreamError(
                f"stream {self.info.name!r}: lost, and without a source id it cannot be found again"
            ) from None
        if self._is_text and len(times):
            samples = np.array(
                [[text.decode("utf-8", "replace") for text in row] for row in samples], object
            )
        return Chunk(times, samples, np.full(len(times), pylsl.local_clock()))

    def clock_offset_s(self, timeout_s: float) -> float:
        """Add to a stamp for local time; NaN when the sender does not answer in time.

        liblsl measures every two seconds in the background, for the first time after the first call;
        this returns the newest measurement. While a sender is gone or frozen that grows old without a
        word; once another sender has taken over it is forgotten, until there is one of the new sender.
        """
        try:
            return float(self._inlet.time_correction(timeout=timeout_s))
        except NO_ANSWER:
            return float("nan")

    def problem(self, last_received_s: float, gap_s: float) -> str:
        """Why samples may come from another sender than the one that was opened, see ``lsl_watch``.

        Returns at once, unless a sender has to be asked who it is: then within ``ASK_S``, and a little.
        """
        if self._watch is None or self._network is None or self._inlet is None:
            return ""
        moved = self._moved()  # after `last_received_s` was read, so that it covers that delivery
        seen = self._network.streams()
        listed = {
            uid: brief_info(raw) for uid, raw in seen.items() if raw.source_id() == self._watch.source_id
        }
        born_s = {uid: seen[uid].created_at() + self._offset_s for uid in listed}
        uid = self._watch.look(pylsl.local_clock(), listed, last_received_s, gap_s, moved, born_s)
        if uid:
            answer = ask(seen[uid], listed[uid])
            self._watch.answer(pylsl.local_clock(), uid, answer)
        return self._watch.problem

    def notices(self) -> list[str]:
        """What became known of the sender since the last call: a twin appeared, it was restarted."""
        return self._watch.notices() if self._watch is not None else []

    def _moved(self) -> Moved:
        """Whether liblsl reconnected to another sender since the last call."""
        if self._inlet.was_clock_reset():
            self._offset_since_s = float("inf")
            return Moved.YES
        now_s, offset_s = pylsl.local_clock(), self.clock_offset_s(0.0)
        if not math.isnan(offset_s):
            self._offset_s = offset_s
            self._offset_since_s = min(now_s, self._offset_since_s)
        return Moved.NO if now_s - self._offset_since_s > SURE_AFTER_S else Moved.UNKNOWN

    def close(self) -> None:
        """Unsubscribe. The reader must have ended: destroying an inlet during a pull crashes."""
        if self._inlet is not None:
            self._inlet.close_stream()
            self._inlet = self._network = None


def ask(raw: Any, brief: StreamInfo) -> StreamInfo | None:
    """The full description of a sender, None when it does not give one within ``ASK_S``.

    raw : the sender as a resolver found it; brief : the same, see ``brief_info``
    """
    try:
        refuse_absurd(brief)
    except StreamError:
        return brief  # not to be connected to, and different enough
    try:
        info, _ = full_info(pylsl.StreamInlet(raw, max_buflen=1, recover=False), brief, ASK_S)
    except StreamError:
        return None
    return info
