"""Results out: estimates, events and reports to every sink, and what a display wants to know of them."""

from __future__ import annotations

import math
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bci_m2s.engine.history import History
from bci_m2s.engine.statistics import Statistics
from bci_m2s.engine.wake import Wake
from bci_m2s.sinks import Sink
from bci_m2s.types import Estimate, Event, Published, Status

if TYPE_CHECKING:
    from bci_m2s.recording.recorder import Recorder

MOST_MARKERS = 10_000


class Publisher:
    """Gives the results of one run to sinks. It is made before the pipeline, which emits into it.

    Live, ``put`` and ``emit`` queue, without loss, and whoever calls ``step`` owns the sinks: a slow disk
    or network holds up nothing else. Where nothing is live they publish at once.

    Parameters
    ----------
    heads : class names of each head; {} where nothing is estimated
    hop_s : how often an estimate comes, s
    clock : local clock; None where nothing is live: stamps of arrival and publication are then left out
    is_one_line : one line of estimates is made of several modalities
    history : of the run before in the same session, to go on with; None for a new one
    late_after_s : an answer whose newest sample is older than this is none, but ``Status.LATE``
    is_judged : see ``Statistics``

    Attributes
    ----------
    statistics : of the estimates of this run
    latest : newest estimate by modality and head; by "" and head where there is one line
    markers : the newest, oldest first: (local time, text, origin)
    wake : set when something waits to be published
    """

    def __init__(
        self,
        heads: Mapping[str, Sequence[str]],
        hop_s: float,
        clock: Callable[[], float] | None,
        is_one_line: bool = False,
        history: History | None = None,
        late_after_s: float = math.inf,
        is_judged: bool = True,
    ) -> None:
        self._late_after_s = late_after_s
        self._clock, self._is_one_line = clock, is_one_line
        self._outlets: Sequence[Sink] = ()
        self._files: Sequence[Sink] = ()  # replaced as a whole, so that any thread may go through it
        self._queue: queue.SimpleQueue[Published | Callable[[], None]] = queue.SimpleQueue()
        self._is_open = self._has_started = self._is_complete = False
        self.wake = Wake()
        self.statistics = Statistics(heads, is_judged)
        self.history = history or History(heads, hop_s)
        self.latest: dict[tuple[str, str], Estimate] = {}
        self.markers: deque[tuple[float, str, str]] = deque(maxlen=MOST_MARKERS)

    @property
    def sinks(self) -> list[Sink]:
        """Where results go, outlets first, so that a slow disk does not age what is published."""
        return [*self._outlets, *self._files]

    def attach(self, files: Sequence[Sink], outlets: Sequence[Sink] = ()) -> None:
        """Say where results go, before they do.

        files : opened at the beginning and closed at the end; outlets : open already, and left open
        """
        self._files, self._outlets = list(files), list(outlets)

    # ---- any thread ----

    def emit(self, event: Event) -> None:
        """Stamp and take what has just happened."""
        self.put(self._stamped(event))

    def put(self, item: Published) -> None:
        """Take a result."""
        if self._clock is None:
            self._publish(item)
        else:
            self._queue.put(item)
            self.wake.set()

    def put_apart(self, recorded: Sequence[Estimate], published: Sequence[Estimate]) -> None:
        """Take estimates for the files alone, and those published in their place; see ``Handover``."""
        for estimate in recorded:
            self._queue.put(partial(self._keep, estimate))
        for estimate in published:
            self._queue.put(partial(self._show, estimate))
        self.wake.set()

    def release(self, files: Sequence[Sink], timeout_s: float) -> None:
        """Close some files once all that was taken before is in them; wait for it, at most `timeout_s`."""
        done = threading.Event()
        self._queue.put(partial(self._close, files, done))
        self.wake.set()
        done.wait(timeout_s)

    def complete(self) -> None:
        """Nothing more will be put: the files are closed when the queue is empty."""
        self._is_complete = True
        self.wake.set()

    # ---- whoever owns the sinks ----

    def step(self) -> bool:
        """Publish what waits; false when all is out and the files are closed.

        The first step opens the files. An exception closes them, too.
        """
        if not self._is_open:
            self.__enter__()
            self._is_open = True
        try:
            self._publish_waiting()
        except BaseException:
            self.__exit__()
            raise
        if self._is_complete and self._queue.empty():
            self.__exit__()
            return False
        return True

    def _publish_waiting(self) -> None:
        if not self._has_started:
            self._has_started = True
            self._publish(self._stamped(Event("started", "engine started")))  # whatever waits already
        for _ in range(self._queue.qsize()):
            item = self._queue.get()
            if callable(item):
                item()
            else:
                self._publish(item)

    def __enter__(self) -> Publisher:
        try:
            for sink in self._files:
                sink.open()
        except BaseException:  # what was opened is closed, whatever happened
            self.__exit__()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        for sink in self._files:
            sink.close()

    def _close(self, files: Sequence[Sink], done: threading.Event) -> None:
        """These sinks get nothing of what comes from now on."""
        self._files = [sink for sink in self._files if sink not in files]
        for sink in files:
            sink.close()
        done.set()

    def _publish(self, item: Published) -> None:
        if isinstance(item, Estimate):
            last_sample_s = item.stamps.last_sample_s  # a replay does not publish it: there is no age
            item = self._timed(item)
        for sink in self.sinks:
            sink.take(item)
        if isinstance(item, Estimate):
            self.statistics.add(item, last_sample_s)
            self._remember(item)
        elif isinstance(item, Event) and item.kind == "marker":
            marker = (float(item.fields["marker_s"]), item.message, str(item.fields["origin"]))
            self.markers.append(marker)
            self.history.mark(*marker)

    def _keep(self, estimate: Estimate) -> None:
        """For the files, and counted, but not published."""
        timed = self._timed(estimate)
        for sink in self._files:
            sink.take(timed)
        self.statistics.add(timed, estimate.stamps.last_sample_s)

    def _show(self, estimate: Estimate) -> None:
        """Published, but for no file."""
        timed = self._timed(estimate)
        for sink in self._outlets:
            sink.take(timed)
        self._remember(timed)

    def _remember(self, estimate: Estimate) -> None:
        line = "" if self._is_one_line else estimate.modality
        self.latest[line, estimate.head] = estimate
        self.history.add(estimate, line)

    def _timed(self, estimate: Estimate) -> Estimate:
        return self._unless_late(replace(estimate, stamps=replace(estimate.stamps, **self._stamps())))

    def _unless_late(self, estimate: Estimate) -> Estimate:
        """The estimate, without its answer where that is of the past."""
        age_s = estimate.stamps.age_s
        if estimate.status is not Status.OK or not age_s > self._late_after_s:  # NaN compares false
            return estimate
        return replace(
            estimate,
            status=Status.LATE,
            reason=f"the answer came {age_s:.1f} s after its samples",
            probabilities=np.full_like(estimate.probabilities, np.nan),
            confidence=math.nan,
            unknown=False,
        )

    def _stamped(self, event: Event) -> Event:
        local_s = self._clock() if self._clock is not None else event.local_s
        return replace(event, local_s=local_s, wall_s=time.time())

    def _stamps(self) -> dict[str, float]:
        if self._clock is not None:
            return {"published_s": self._clock(), "wall_s": time.time()}
        unknown = float("nan")  # not made up
        return {"last_sample_s": unknown, "published_s": unknown, "wall_s": time.time()}


def write_problems(sinks: Sequence[Sink], recorder: Recorder | None, dropped: int = 0) -> list[str]:
    """What is not on the disk, in words. dropped : samples that the recorder could not keep."""
    problems = [sink.problem for sink in sinks if sink.problem]
    if recorder is None:
        return problems
    if problem := recorder.state().problem:
        problems.insert(0, problem)  # it matters most
    elif dropped and not problems:  # the disk came back too late
        problems.append(f"{recorder.path}: {dropped} samples could not wait for the disk and are lost")
    return problems
