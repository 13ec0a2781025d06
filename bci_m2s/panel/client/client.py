"""Finds a session on the network and keeps the latest of what it sends.

One thread serves the session's own streams (status, estimates, evidence), all of which are slow; each raw
stream has a ``RawReader``. Nothing here waits for the window and nothing of the window waits for this: what
nobody takes in time is thrown away, oldest first.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bci_m2s.lsl.formats import (
    ANSWER_TYPE,
    EVIDENCE_TYPE,
    STATUS_TYPE,
    SentEstimate,
    unpack_evidence,
)
from bci_m2s.lsl.network import local_clock
from bci_m2s.panel.client.answers import Answer
from bci_m2s.panel.client.facts import (
    SILENT_AFTER_S,
    SessionFacts,
    mappings,
    parse_object,
    plain_text,
)
from bci_m2s.panel.client.looking import Briefs, Looking, Streams, answer_of, head_of, serve
from bci_m2s.panel.client.raw_reader import RawReader
from bci_m2s.panel.client.session_inlet import SessionInlet
from bci_m2s.panel.client.whose import OwnSessions, claimed_twice, is_its_own_status
from bci_m2s.types import FloatArray, Status, StreamInfo

EVERY_S = 0.05
LOOK_EVERY_S = 0.5
ASK_AGAIN_S = 2.0
KEEP = 1000  # answers that nobody took
MOST_SESSIONS = 32
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EvidenceSample:
    """What an estimate rests on: gradient × input of each feature, (F,); head and class as indices."""

    modality: str
    stamp_s: float
    values: FloatArray
    head: int
    class_index: int


class SessionClient(Looking):
    """Follows one session at a time; another one when it is gone.

    Parameters
    ----------
    session_id : follow this one while it is there; "" for the newest, of this user's own if there is one
    remote : also sessions of other machines

    Attributes
    ----------
    facts : of the session that is followed, None before one was found
    status : newest status report, {} before the first; status_received_s : local time of it
    sessions : every session that is on the network now, this user's own first
    own : the uids of this user's own
    stranger : why the session that is followed is not of this user, in words; "" where it is
    twins : which two outlets claim the same source id of it, in words; "" where none do
    readers : raw streams by modality
    ended : why the session ended, in its own words; "" while it did not
    """

    def __init__(self, session_id: str = "", remote: bool = False) -> None:
        super().__init__("panel-client", EVERY_S, LOOK_EVERY_S, ASK_AGAIN_S)
        self._wanted, self._remote = session_id, remote
        self.own = OwnSessions(self._host)
        self.stranger = self.twins = ""
        self.facts: SessionFacts | None = None
        self.status: Mapping[str, Any] = {}
        self.status_received_s = math.nan
        self.sessions: tuple[SessionFacts, ...] = ()
        self.readers: dict[str, RawReader] = {}
        self.ended = ""
        self._known: dict[str, SessionFacts] = {}  # by uid of the status stream
        self._choice = ""  # uid that the user picked
        self._before: frozenset[str] | None = None  # sessions before the one that is awaited
        self._inlets: dict[str, SessionInlet] = {}  # by uid
        self._reasons: dict[tuple[str, str], tuple[str, str]] = {}  # status and reason by modality and head
        self._answers: deque[Answer] = deque(maxlen=KEEP)
        self._evidence: deque[EvidenceSample] = deque(maxlen=16)

    # ---- for the window ----

    def follow(self, uid: str) -> None:
        """Follow another one of ``sessions``."""
        self._choice, self._before = uid, None

    def follow_newcomer(self) -> None:
        """Follow this user's next session, as soon as it begins; until then go on with this one."""
        self._before = frozenset(facts.uid for facts in self.sessions)

    @property
    def is_silent(self) -> bool:
        """Whether the session should have reported and did not."""
        return self.facts is not None and not local_clock() - self.status_received_s < SILENT_AFTER_S

    def take_answers(self) -> list[Answer]:
        """Estimates since the last call."""
        return _taken(self._answers)

    def take_evidence(self) -> list[EvidenceSample]:
        """Evidence since the last call."""
        return _taken(self._evidence)

    # ---- the thread ----

    def _serve(self) -> None:
        serve(self._inlets)

    def _look(self, streams: Streams, briefs: Briefs) -> None:
        self._meet(streams, briefs)
        present = [self._known[uid] for uid in briefs if uid in self._known]
        self.sessions = tuple(
            sorted(present, key=lambda facts: (not self.own.look(facts), -facts.created_s))
        )
        if self.facts is not None and not self.status and self.facts.uid not in self._known:
            self._let_go()
            self.facts = None  # it went before it said anything: there is nothing to show
        chosen = self._chosen()
        if chosen is not None and (self.facts is None or chosen.uid != self.facts.uid):
            self._let_go()
            self._begin(chosen)
        if self.facts is not None:
            self.stranger = self.own.why_not(self.facts)
            self.twins = claimed_twice(briefs.values(), self.facts.session_id)
            self._subscribe(streams, briefs)

    def _meet(self, streams: Streams, briefs: Briefs) -> None:
        """Ask new sessions who they are; one that does not answer is asked again, not all the time."""
        for uid, brief in briefs.items():
            if brief.type != STATUS_TYPE or uid in self._known or len(self._known) >= MOST_SESSIONS:
                continue
            if not self._remote and brief.host != self._host:
                continue
            facts = self._facts(streams[uid], brief)
            if facts is not None:
                if not is_its_own_status(brief, facts.session_id):  # it copied another session's id
                    facts = facts.model_copy(update={"session_id": ""})
                self._known[uid] = facts
        self._known = {uid: facts for uid, facts in self._known.items() if uid in briefs}

    def _chosen(self) -> SessionFacts | None:
        """Which session to follow now: the user's choice, the one asked for, else the one that we have
        until it is gone, else the newest. A stranger's that nobody asked for gives way to this user's own.
        """
        by_uid = {facts.uid: facts for facts in self.sessions}
        known = self._before
        new = [uid for uid in by_uid if known is not None and uid not in known and uid in self.own]
        if new:
            self.follow(new[0])
        if self._choice in by_uid:
            return by_uid[self._choice]
        for facts in self.sessions:
            if self._wanted and facts.session_id == self._wanted:
                return facts
        own_first = self.sessions[0] if self.sessions else None
        is_own_there = own_first is not None and own_first.uid in self.own
        if self.facts is not None and self.facts.uid in by_uid:
            return own_first if is_own_there and self.facts.uid not in self.own else self.facts
        if self._wanted and self.facts is None:
            return None  # it will come
        return own_first

    def _begin(self, facts: SessionFacts) -> None:
        self.status, self.status_received_s, self.ended = {}, local_clock(), ""
        self._asked_s.clear()
        self._reasons.clear()
        self._answers.clear()
        self._evidence.clear()
        self.readers = {
            modality: RawReader(stream, self._network) for modality, stream in facts.streams.items()
        }
        self.stranger, self.twins = self.own.why_not(facts), ""
        self.facts = facts

    def _let_go(self) -> None:
        for reader in self.readers.values():
            reader.close()
        self.readers = {}
        self._inlets.clear()

    def _subscribe(self, streams: Streams, briefs: Briefs) -> None:
        assert self.facts is not None
        status_uid = self.facts.uid  # first: the others are asked what they are, and may be slow to say
        for uid, brief in sorted(briefs.items(), key=lambda item: item[0] != status_uid):
            if uid in self._inlets or not self._is_ours(uid, brief):
                continue
            take = self._taker(streams[uid], brief)
            if take is not None:
                self._inlets[uid] = SessionInlet(streams[uid], take)

    def _is_ours(self, uid: str, brief: StreamInfo) -> bool:
        assert self.facts is not None
        if uid == self.facts.uid:
            return True
        if brief.host != self.facts.host or brief.type not in (ANSWER_TYPE, EVIDENCE_TYPE):
            return False
        return not self.facts.session_id or self.facts.session_id in brief.source_id

    def _taker(self, raw: Any, brief: StreamInfo) -> Callable[[float, Any], None] | None:
        """What takes the samples of a stream; None where it does not say what they are."""
        assert self.facts is not None
        if brief.type == STATUS_TYPE:
            return self._take_status
        sent = self._asked(raw, brief)
        if sent is None:
            return None
        if brief.type == EVIDENCE_TYPE:
            modality = plain_text(sent.desc().child_value("modality"))
            return lambda stamp_s, values: self._take_evidence(modality, stamp_s, values)
        found = head_of(sent, brief, self.facts)
        if found is None:
            return None
        head, layout = found
        return lambda stamp_s, values: self._take_answer(head, stamp_s, layout.unpack(values))

    def _take_status(self, stamp_s: float, values: Any) -> None:
        del stamp_s
        report = parse_object(values[0])
        if not report:
            return
        if self.stranger and self.facts is not None:  # its entry came a moment after its outlets
            self.stranger = self.own.why_not(self.facts)
        self.status, self.status_received_s = report, local_clock()
        self.ended = plain_text(report.get("ended"))
        for answer in mappings(report.get("latest")):
            key = plain_text(answer.get("modality")), plain_text(answer.get("head"))
            self._reasons[key] = plain_text(answer.get("status")), plain_text(answer.get("reason"))

    def _take_answer(self, head: str, stamp_s: float, sent: SentEstimate) -> None:
        reason = self._reason(sent.combination, head, sent.status)
        self._answers.append(answer_of(head, stamp_s, sent, reason))

    def _take_evidence(self, modality: str, stamp_s: float, values: Any) -> None:
        self._evidence.append(EvidenceSample(modality, stamp_s, *unpack_evidence(values)))

    def _reason(self, modality: str, head: str, code: int) -> str:
        """The newest report's reason, unless it was given for another status: reports are rarer."""
        status, reason = self._reasons.get((modality, head), ("", ""))
        known = code in list(Status)
        return reason if not status or not known or status == Status(code).name.lower() else ""


def _taken(queue: deque[Any]) -> list[Any]:
    """Empty a queue that another thread fills."""
    return [queue.popleft() for _ in range(len(queue))]
