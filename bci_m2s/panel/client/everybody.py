"""Finds every participant's session and keeps the latest of each: status and answers, no signals.

One thread serves all of them. Nothing here waits for the window, and nothing of the window waits for this.
"""

from __future__ import annotations

import logging
import math
import socket
import threading
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from bci_m2s.lsl.formats import ANSWER_TYPE, STATUS_PART, STATUS_TYPE, EstimateLayout
from bci_m2s.lsl.network import LslNetwork, brief_info, local_clock
from bci_m2s.panel.client.answers import Answer, AnswerLine
from bci_m2s.panel.client.facts import SILENT_AFTER_S, SessionFacts, parse_object, parse_session, plain_text
from bci_m2s.panel.client.session_inlet import SessionInlet, full_description
from bci_m2s.panel.client.whose import is_its_own_status
from bci_m2s.types import Status, StreamInfo

EVERY_S = 0.1
LOOK_EVERY_S = 1.0
ASK_AGAIN_S = 3.0
MOST_MEMBERS = 64
_log = logging.getLogger(__name__)


class Member:
    """One participant's session, as it was heard of last.

    Attributes
    ----------
    facts : of the session
    status : newest report, {} before the first; status_received_s : local time of it
    lines : answers by modality ("" for one line) and head
    is_there : whether its streams are on the network
    """

    def __init__(self, facts: SessionFacts) -> None:
        self.facts = facts
        self.status: Mapping[str, Any] = {}
        self.status_received_s = local_clock()
        self.lines = {
            (line, head): AnswerLine(classes)
            for line in facts.lines
            for head, classes in facts.heads.items()
        }
        self.is_there = True
        self.inlets: dict[str, SessionInlet] = {}  # by uid; of the client's thread

    @property
    def is_silent(self) -> bool:
        """Whether it should have reported and did not."""
        return not local_clock() - self.status_received_s < SILENT_AFTER_S

    @property
    def ended(self) -> str:
        """Why it ended, in its own words; "" while it did not."""
        return plain_text(self.status.get("ended"))

    def take_status(self, stamp_s: float, values: Any) -> None:
        """A report of the session."""
        del stamp_s
        if report := parse_object(values[0]):
            self.status, self.status_received_s = report, local_clock()

    def take_answer(self, head: str, layout: EstimateLayout, stamp_s: float, values: Any) -> None:
        """An estimate, or why there is none."""
        sent = layout.unpack(values)
        line = self.lines.get(("" if self.facts.combined else sent.combination, head))
        if line is None:
            return
        ok = sent.status == Status.OK and bool(np.isfinite(sent.probabilities).all())
        unread = sent.status == Status.OK and not ok
        line.take(
            Answer(
                head=head,
                modality=sent.combination,
                stamp_s=stamp_s,
                probabilities=sent.probabilities if ok else np.full(len(sent.probabilities), math.nan),
                confidence=sent.confidence,
                age_ms=1e3 * sent.age_s,
                status=int(Status.FAILED) if unread else sent.status,
                unknown=sent.unknown,
            )
        )


class EverybodyClient:
    """Follows every session of this machine that is a participant's.

    Attributes
    ----------
    members : by participant, in the order of their ids; of two with one id the newer session
    """

    def __init__(self) -> None:
        self._host = socket.gethostname()  # as liblsl does
        self._network = LslNetwork()
        self.members: Mapping[str, Member] = {}  # replaced as a whole, so that any thread may go through it
        self._known: dict[str, Member | None] = {}  # by uid of the status stream; None: nobody's
        self._asked_s: dict[str, float] = {}
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="panel-everybody", daemon=True)

    def start(self) -> None:
        """Begin to look around."""
        self._thread.start()

    def close(self) -> None:
        """End the thread; within a second and a half."""
        self._closing.set()
        self._thread.join(1.5)

    # ---- the thread ----

    def _run(self) -> None:
        looked_s = -math.inf
        while not self._closing.wait(EVERY_S):
            try:
                if time.monotonic() - looked_s >= LOOK_EVERY_S:
                    looked_s = time.monotonic()
                    self._look()
                self._serve()
            except Exception:  # what a sender says must not end the display
                _log.exception("sessions could not be read")
                self._closing.wait(0.5)

    def _serve(self) -> None:
        for member in self.members.values():
            for uid, inlet in list(member.inlets.items()):
                if not inlet.serve():
                    del member.inlets[uid]

    def _look(self) -> None:
        streams = self._network.streams()
        briefs = {uid: brief_info(raw) for uid, raw in streams.items()}
        for uid, brief in briefs.items():
            if brief.type == STATUS_TYPE and brief.host == self._host and uid not in self._known:
                self._meet(streams[uid], brief)
        for uid, member in self._known.items():
            if member is not None:
                member.is_there = uid in briefs
        self._sort()
        for member in self.members.values():
            if member.is_there:
                self._subscribe(member, streams, briefs)

    def _meet(self, raw: Any, brief: StreamInfo) -> None:
        if not self._may_ask(brief.uid) or len(self._known) >= 4 * MOST_MEMBERS:
            return
        sent = full_description(raw, brief)
        if sent is None:
            return
        name = plain_text(brief.name).removesuffix(f"-{STATUS_PART}")
        text = sent.desc().child_value("session")
        facts = parse_session(text, brief.uid, brief.host, float(raw.created_at()), name)
        is_one = bool(facts.participant) and is_its_own_status(brief, facts.session_id)
        self._known[brief.uid] = Member(facts) if is_one else None

    def _sort(self) -> None:
        newest: dict[str, Member] = {}
        for member in self._known.values():
            if member is None:
                continue
            before = newest.get(member.facts.participant)
            if before is None or member.facts.created_s > before.facts.created_s:
                newest[member.facts.participant] = member
        self.members = dict(sorted(newest.items())[:MOST_MEMBERS])

    def _subscribe(
        self, member: Member, streams: Mapping[str, Any], briefs: Mapping[str, StreamInfo]
    ) -> None:
        facts = member.facts
        for uid, brief in briefs.items():
            if uid in member.inlets:
                continue
            if uid == facts.uid:
                member.inlets[uid] = SessionInlet(streams[uid], member.take_status)
            elif (
                brief.type == ANSWER_TYPE
                and brief.host == facts.host
                and brief.source_id.startswith(facts.session_id)
                and self._may_ask(uid)
                and (sent := full_description(streams[uid], brief)) is not None
            ):
                head = plain_text(sent.desc().child_value("head"))
                layout = EstimateLayout(facts.heads.get(head, ()), facts.combinations)
                if layout.classes and len(layout.labels) == brief.n_channels:
                    take = partial(member.take_answer, head, layout)
                    member.inlets[uid] = SessionInlet(streams[uid], take)

    def _may_ask(self, uid: str) -> bool:
        """Whether to ask a sender for its description now: each question may take half a second."""
        now_s = time.monotonic()
        if now_s - self._asked_s.get(uid, -math.inf) < ASK_AGAIN_S:
            return False
        self._asked_s[uid] = now_s
        return True
