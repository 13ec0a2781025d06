"""LSL inlets as sources.

liblsl runs without its post-processing (one NaN stamp poisons its dejitter for good, and its clock
synchronisation can block a pull for seconds), with recovery on, and every call has a time limit.

liblsl reconnects by itself to whoever has the same name, type, source id and shape of samples, of any host
and session; ``identity`` holds the rules by which such a sender is trusted.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import pylsl
from numpy.typing import NDArray

from bci_m2s.errors import StreamError
from bci_m2s.lsl.identity import IdentityWatch, Moved
from bci_m2s.lsl.network import (
    NO_ANSWER,
    LslNetwork,
    Selector,
    brief_info,
    full_info,
    refuse_absurd,
    request_info,
    resolve,
    shared_network,
)
from bci_m2s.lsl.pull import ChunkPull
from bci_m2s.signal.blocks import GAP_S
from bci_m2s.types import Chunk, FloatArray, StreamInfo

LONGEST_CALL_S = 0.2
MOST_SAMPLES = 1024  # of a pull
MOST_DELIVERIES = 1000  # kept for whoever asks for problems; a reader that nobody asks forgets the oldest
OLDEST_S, NEWEST_S = 60.0, 1.0  # behind and ahead of this clock that a stamp of LSL can be
SURE_AFTER_S = 1.0  # a gap may be reported this long after liblsl began to notice that it reconnects


class LslSource:
    """A live stream. ``pull`` blocks in liblsl until the first sample is there, then takes all.

    One thread pulls; another one may call ``clock_offset_s``, ``problem`` and ``notices`` meanwhile. A
    stream without a source id cannot be found again by liblsl: once it is lost ``pull`` gives nothing and
    ``problem`` says so; what else is recorded goes on.

    Parameters
    ----------
    name, type, source_id, host : which stream, see ``Selector``
    wait_s : how long ``open`` waits for it
    network : who is there; None for the one that all sources of this process share
    notify : gets what is waited for, in words
    stopped : asked while waiting whether to give up
    heed_stamps : whether stamps that cannot be LSL time are a problem
    uid : of exactly this start of the sender, where others match too
    """

    def __init__(
        self,
        name: str = "",
        type: str = "",
        source_id: str = "",
        host: str = "",
        wait_s: float = 10.0,
        network: LslNetwork | None = None,
        notify: Callable[[str], None] = lambda _: None,
        stopped: Callable[[], bool] = lambda: False,
        heed_stamps: bool = True,
        uid: str = "",
    ) -> None:
        self._heed_stamps = heed_stamps
        self._selector = Selector(name, type, source_id, host, uid)
        self._wait_s, self._network, self._notify, self._stopped = wait_s, network, notify, stopped
        self._inlet: Any = None
        self._numbers: ChunkPull | None = None  # of a stream that is not of strings; keeps the inlet
        self.info = StreamInfo(name, type, source_id)
        self.description_xml = ""
        self.finished = False
        self._watch: IdentityWatch | None = None
        # by the thread that pulls, for the one that asks for problems
        self._lost = ""
        self._deliveries: deque[tuple[FloatArray, float]] = deque(maxlen=MOST_DELIVERIES)
        # by the thread that asks for problems
        self._received_s = self._gap_s = self._newest_stamp = math.nan
        self._offset_s = float("nan")  # the newest that was known, of the newest sender that had one
        self._offset_since_s = float("inf")  # liblsl notices that it reconnects while it has an offset

    def open(self) -> None:
        """Find the stream, learn its description and subscribe.

        A sender that was restarted meanwhile is looked for again, once. Raises StreamError.
        """
        try:
            self._subscribe()
        except StreamError as problem:
            if self._inlet is None or self._stopped():  # nobody was found, or nobody waits any more
                raise
            self._notify(f"{problem}; looking again")
            self._inlet = self._numbers = None
            self._subscribe()

    def _subscribe(self) -> None:
        self._network = self._network or shared_network()
        raw = resolve(self._selector, self._wait_s, self._network, self._notify, self._stopped)
        brief = brief_info(raw)
        refuse_absurd(brief)
        self._inlet = pylsl.StreamInlet(raw, max_buflen=60, recover=True, processing_flags=0)
        self.info, self.description_xml = full_info(self._inlet, brief, timeout_s=5.0)
        self._watch = IdentityWatch(self.info) if brief.source_id else None
        if self.info.channel_format != "string":
            self._numbers = ChunkPull(self._inlet, MOST_SAMPLES)
        try:
            self._inlet.open_stream(timeout=5.0)
        except NO_ANSWER as problem:
            raise StreamError(
                f"stream {brief.name!r}: found, but it does not connect ({problem})"
            ) from None

    def pull(self, timeout_s: float) -> Chunk:
        """The next samples; the chunk's samples are a view that the next pull overwrites."""
        try:
            times, samples = self._take(min(timeout_s, LONGEST_CALL_S))
        except pylsl.util.LostError:
            self._lost = "lost, and without a source id it cannot be found again"
            time.sleep(min(timeout_s, LONGEST_CALL_S))  # liblsl answers at once from now on
            return Chunk.empty(self.info.n_channels)
        now_s = pylsl.local_clock()
        if len(times):
            self._deliveries.append((times, now_s))  # looked at when somebody asks for problems
        received_s = np.empty(len(times))
        received_s.fill(now_s)
        return Chunk(times, samples, received_s)

    def _take(self, timeout_s: float) -> tuple[FloatArray, NDArray[Any]]:
        """Stamps and samples, of numbers or of strings."""
        numbers = self._numbers
        if numbers is not None:
            return numbers(timeout_s)
        wanted = {"max_samples": MOST_SAMPLES, "min_samples": 1, "as_numpy": True}
        raw, times = self._inlet.pull_chunk(timeout=timeout_s, **wanted)
        texts = [[text.decode("utf-8", "replace") for text in row] for row in raw]
        return times, np.array(texts, object).reshape(raw.shape)

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

    def _look_at_deliveries(self) -> None:
        """Note when samples came, and when their stamps broke. By the thread that asks for problems.

        A break here is a hint to look who sends; whether a window is valid is decided elsewhere.
        """
        if not (came := [self._deliveries.popleft() for _ in range(len(self._deliveries))]):
            return
        times = np.concatenate([stamps for stamps, _ in came])
        received_s = np.repeat([when_s for _, when_s in came], [len(stamps) for stamps, _ in came])
        is_known = np.isfinite(times)
        known, self._received_s = times[is_known], came[-1][1]
        if not len(known):
            return
        if self.info.rate_hz:
            steps = np.diff(known, prepend=self._newest_stamp)  # NaN, which is no break, at first
            is_break = np.abs(steps - 1 / self.info.rate_hz) > GAP_S
            if is_break.any():
                self._gap_s = float(received_s[is_known][is_break][-1])
        self._newest_stamp = float(known[-1])

    def problem(self) -> str:
        """Why samples may come from another sender than the one that was opened, see ``identity``.

        Returns at once, unless a sender has to be asked who it is: then within ``REQUEST_S``, and a little.
        """
        self._look_at_deliveries()
        if self._watch is None or self._network is None or self._inlet is None:
            return self._lost or self._stamps_problem()
        received_s, gap_s = self._received_s, self._gap_s
        moved = self._moved()  # after `received_s` was read, so that it covers that delivery
        seen = self._network.streams()
        named = self._network.infos().items()  # may be newer than `seen`
        listed = {
            uid: info for uid, info in named if info.source_id == self._watch.source_id and uid in seen
        }
        born_s = {uid: seen[uid].created_at() + self._offset_s for uid in listed}
        uid = self._watch.look(pylsl.local_clock(), listed, received_s, gap_s, moved, born_s)
        if uid:
            answer = request_info(seen[uid], listed[uid])
            self._watch.answer(pylsl.local_clock(), uid, answer)
        return self._watch.problem or self._stamps_problem()

    def stamps_problem(self) -> str:
        """Why the stamps cannot be LSL time; "" where they can, or nothing is known yet."""
        self._look_at_deliveries()
        return self._stamps_problem()

    def _stamps_problem(self) -> str:
        if math.isnan(self._newest_stamp) or not self._heed_stamps:
            return ""
        behind_s = self._received_s - (self._newest_stamp + self.clock_offset_s(0.0))
        if not (behind_s > OLDEST_S or behind_s < -NEWEST_S):  # NaN compares false
            return ""
        where = f"{abs(behind_s):.3g} s {'behind' if behind_s > 0 else 'ahead of'} this clock"
        unix = abs(time.time() - pylsl.local_clock() + behind_s) < OLDEST_S
        way_out = f"{'or ' if unix else ''}`stamps: arrival` in the pipeline stamps on arrival"
        cause = "they are Unix time: start the sender with LSL's, muselsl with --lsltime, " if unix else ""
        return f"stamps are {where}: not LSL time ({cause}{way_out})"

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
            self._inlet = self._numbers = self._network = None
