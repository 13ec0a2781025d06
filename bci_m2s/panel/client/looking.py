"""What the panel's clients share: a thread that looks around on the network and asks senders what they are.

Nothing here waits for the window, and nothing of the window waits for this.
"""

from __future__ import annotations

import logging
import math
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np

from bci_m2s.lsl.formats import STATUS_PART, EstimateLayout, SentEstimate
from bci_m2s.lsl.network import LslNetwork, brief_info
from bci_m2s.panel.client.answers import Answer
from bci_m2s.panel.client.facts import SessionFacts, parse_session, plain_text
from bci_m2s.panel.client.session_inlet import SessionInlet, full_description
from bci_m2s.types import Status, StreamInfo

AFTER_TROUBLE_S = 0.5
_log = logging.getLogger(__name__)

Streams = Mapping[str, Any]  # of the network, by uid
Briefs = Mapping[str, StreamInfo]  # what each says of itself without being asked


class Looking(ABC):
    """A thread that serves inlets, and now and then looks at which streams there are.

    Subclasses say what is done with them. All but ``start`` and ``close`` is this thread's own.

    Parameters
    ----------
    name : of the thread
    every_s, look_every_s : how often inlets are served, and how often the network is looked at
    ask_again_s : after which a sender that did not answer is asked again
    """

    def __init__(self, name: str, every_s: float, look_every_s: float, ask_again_s: float) -> None:
        self._every_s, self._look_every_s, self._ask_again_s = every_s, look_every_s, ask_again_s
        self._host = socket.gethostname()  # as liblsl does
        self._network = LslNetwork()
        self._asked_s: dict[str, float] = {}  # when each sender was asked for its description
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin to look around."""
        self._thread.start()

    def close(self) -> None:
        """End all threads; within a second and a half."""
        self._closing.set()
        self._thread.join(1.5)

    # ---- of subclasses ----

    @abstractmethod
    def _look(self, streams: Streams, briefs: Briefs) -> None:
        """Heed which streams there are."""

    @abstractmethod
    def _serve(self) -> None:
        """Take what has come."""

    def _let_go(self) -> None:  # noqa: B027 - most have nothing to let go of
        """At the end."""

    # ---- the thread ----

    def _run(self) -> None:
        looked_s = -math.inf
        while not self._closing.wait(self._every_s):
            try:
                if time.monotonic() - looked_s >= self._look_every_s:
                    looked_s = time.monotonic()
                    streams = self._network.streams()
                    briefs = {uid: brief_info(raw) for uid, raw in streams.items()}
                    self._look(streams, briefs)
                    self._asked_s = {uid: at_s for uid, at_s in self._asked_s.items() if uid in briefs}
                self._serve()
            except Exception:  # what a sender says must not end the display
                _log.exception("a sender could not be read")
                self._closing.wait(AFTER_TROUBLE_S)
        self._let_go()

    def _asked(self, raw: Any, brief: StreamInfo) -> Any | None:
        """A stream's whole description; None where it does not say, or was asked a moment ago.

        Each question may take half a second.
        """
        now_s = time.monotonic()
        if now_s - self._asked_s.get(brief.uid, -math.inf) < self._ask_again_s:
            return None
        self._asked_s[brief.uid] = now_s
        return full_description(raw, brief)

    def _facts(self, raw: Any, brief: StreamInfo) -> SessionFacts | None:
        """What the session behind a status stream says of itself; None as of ``_asked``."""
        sent = self._asked(raw, brief)
        if sent is None:
            return None
        name = plain_text(brief.name).removesuffix(f"-{STATUS_PART}")
        text = sent.desc().child_value("session")
        return parse_session(text, brief.uid, brief.host, float(raw.created_at()), name)


def serve(inlets: dict[str, SessionInlet]) -> None:
    """Take what has come; inlets by uid whose stream is gone are dropped."""
    for uid, inlet in list(inlets.items()):
        if not inlet.serve():
            del inlets[uid]


def head_of(sent: Any, brief: StreamInfo, facts: SessionFacts) -> tuple[str, EstimateLayout] | None:
    """Head and layout of a stream of answers; None where it is not laid out as its session says.

    sent : its whole description
    """
    head = plain_text(sent.desc().child_value("head"))
    layout = EstimateLayout(facts.heads.get(head, ()), facts.combinations)
    return (head, layout) if layout.classes and len(layout.labels) == brief.n_channels else None


def answer_of(head: str, stamp_s: float, sent: SentEstimate, reason: str = "") -> Answer:
    """What is shown of an estimate. reason : why there is none, for one that is none"""
    is_nonsense = sent.status == Status.OK and not np.isfinite(sent.probabilities).all()
    ok = sent.status == Status.OK and not is_nonsense
    return Answer(
        head=head,
        modality=sent.combination,
        stamp_s=stamp_s,
        probabilities=sent.probabilities if ok else np.full(len(sent.probabilities), math.nan),
        confidence=sent.confidence,
        age_ms=1e3 * sent.age_s,
        status=int(Status.FAILED) if is_nonsense else sent.status,
        unknown=sent.unknown,
        reason="" if ok else reason,
    )
