"""Whose a session is, and whether somebody else claims to be one of its outlets.

Names, hosts and source ids are a sender's own words. What a stranger cannot do is write into the private
folder in which the sessions of this user have their entries.
"""

from __future__ import annotations

from collections.abc import Iterable

from bci_m2s.lsl.formats import ANSWER_TYPE, EVIDENCE_TYPE, RAW_TYPE, STATUS_PART, STATUS_TYPE
from bci_m2s.panel.client.facts import SessionFacts, plain_text
from bci_m2s.session.control.rendezvous import has_entry
from bci_m2s.types import StreamInfo

SENT_TYPES = (STATUS_TYPE, ANSWER_TYPE, EVIDENCE_TYPE, RAW_TYPE)  # what a session sends


class OwnSessions:
    """Knows which sessions are of this user: those that have, or once had, an entry in the private folder.

    An entry goes when its session ends, and comes a moment after its outlets.

    Parameters
    ----------
    host : name of this machine, as liblsl says it
    """

    def __init__(self, host: str) -> None:
        self._host = host
        self._uids: frozenset[str] = frozenset()

    def __contains__(self, uid: object) -> bool:
        return uid in self._uids

    def look(self, facts: SessionFacts) -> bool:
        """Whether a session is of this user, looked up while that is not known."""
        if facts.uid not in self._uids and facts.host == self._host and has_entry(facts.session_id):
            self._uids |= {facts.uid}
        return facts.uid in self._uids

    def why_not(self, facts: SessionFacts) -> str:
        """Why a session is taken for a stranger's, in words; "" for one of this user."""
        if self.look(facts):
            return ""
        if facts.host != self._host:
            return f"it is on another machine, {plain_text(facts.host)!r}"
        return "it has no entry in this user's private folder"


def is_its_own_status(info: StreamInfo, session_id: str) -> bool:
    """Whether a status stream has the source id of the session that it says it is.

    A copy then has the source id of what it copies, and ``claimed_twice`` tells of it.
    """
    return info.source_id == f"{session_id}-{STATUS_PART}"


def claimed_twice(infos: Iterable[StreamInfo], session_id: str) -> str:
    """Which two outlets claim the same source id of a session, in words; "" where none do.

    infos : what is on the network
    """
    if not session_id:
        return ""
    claims: dict[str, list[StreamInfo]] = {}
    for info in infos:
        if info.type in SENT_TYPES and info.source_id.startswith(session_id):
            claims.setdefault(info.source_id, []).append(info)
    for source_id, claimed in sorted(claims.items()):
        if len(claimed) > 1:
            named = [_name(info) for info in sorted(claimed, key=lambda info: info.uid)]
            more = f", and {len(named) - 2} more" if len(named) > 2 else ""
            words = f"two outlets claim one source id: {named[0]} and {named[1]}{more}"
            return f"{words} ({plain_text(source_id)})"
    return ""


def _name(info: StreamInfo) -> str:
    return f"{plain_text(info.name)!r} on {plain_text(info.host)!r} [{plain_text(info.uid)[:8]}]"
