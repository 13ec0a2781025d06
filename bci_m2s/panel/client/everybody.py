"""Finds every participant's session and keeps the latest of each: status and answers, no signals.

One thread serves all of them. Nothing here waits for the window, and nothing of the window waits for this.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from typing import Any

from bci_m2s.lsl.formats import ANSWER_TYPE, STATUS_TYPE, EstimateLayout
from bci_m2s.lsl.network import local_clock
from bci_m2s.panel.client.answers import AnswerLine
from bci_m2s.panel.client.facts import SILENT_AFTER_S, SessionFacts, parse_object, plain_text
from bci_m2s.panel.client.looking import Briefs, Looking, Streams, answer_of, head_of, serve
from bci_m2s.panel.client.session_inlet import SessionInlet
from bci_m2s.panel.client.whose import is_its_own_status
from bci_m2s.types import StreamInfo

EVERY_S = 0.1
LOOK_EVERY_S = 1.0
ASK_AGAIN_S = 3.0
MOST_MEMBERS = 64
MOST_KNOWN = 4 * MOST_MEMBERS  # status streams of this machine, of others' sessions too
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
        line.take(answer_of(head, stamp_s, sent))


class EverybodyClient(Looking):
    """Follows every session of this machine that is a participant's.

    Attributes
    ----------
    members : by participant, in the order of their ids; of two with one id the newer session
    """

    def __init__(self) -> None:
        super().__init__("panel-everybody", EVERY_S, LOOK_EVERY_S, ASK_AGAIN_S)
        self.members: Mapping[str, Member] = {}  # replaced as a whole, so that any thread may go through it
        self._known: dict[str, Member | None] = {}  # by uid of the status stream; None: nobody's

    # ---- the thread ----

    def _serve(self) -> None:
        for member in self.members.values():
            serve(member.inlets)

    def _look(self, streams: Streams, briefs: Briefs) -> None:
        for uid, brief in briefs.items():
            if brief.type == STATUS_TYPE and brief.host == self._host and uid not in self._known:
                self._meet(streams[uid], brief)
        for uid, member in self._known.items():
            if member is not None:
                member.is_there = uid in briefs
        self._sort()
        shown = list(self.members.values())
        self._known = {uid: one for uid, one in self._known.items() if uid in briefs or one in shown}
        for member in self.members.values():
            if member.is_there:
                self._subscribe(member, streams, briefs)

    def _meet(self, raw: Any, brief: StreamInfo) -> None:
        facts = self._facts(raw, brief) if len(self._known) < MOST_KNOWN else None
        if facts is None:
            return
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

    def _subscribe(self, member: Member, streams: Streams, briefs: Briefs) -> None:
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
                and (sent := self._asked(streams[uid], brief)) is not None
                and (found := head_of(sent, brief, facts)) is not None
            ):
                member.inlets[uid] = SessionInlet(streams[uid], partial(member.take_answer, *found))
