"""Who sends? The rules by which a live stream stays trusted; pure logic, no network.

liblsl finds a lost sender again by name, type, source id, channel count and channel format alone, and its
inlet keeps the description of the first. So whenever the connection may have moved, this watch finds out
whose samples come now. Each look names at most one sender whose full description is wanted: who answers is
alive, who is listed may be gone for seconds already.

- The connection did not move: the same sender, whatever gap there was; a frozen one thawed, for instance.
- It moved, to a sender that appeared after the silence, on the same host and with an equal description:
  the sender was restarted. An imitation that does just this cannot be told from it: LSL has no
  authentication.
- A sender that was there while the first one still delivered is a twin. When it takes over, it is refused.
- Anything else is refused too, until the connection moves again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from bci_m2s.text import printable, quoted
from bci_m2s.types import StreamInfo

CHECKING = "who sends is being checked"
INVISIBLE = "another sender took over, and it cannot be seen in this session"
BESIDE_S = 0.5  # samples that came this long after a newcomer appeared prove that there were two
BESIDE_UNSURE_S = 5.0  # the same, while liblsl cannot tell whether the connection moved
SILENT_S = 1.0
INVISIBLE_S = 6.0  # a sender of this session is listed long before that
MOST_SHOWN = 4  # channels named in a message
LONGEST_SHOWN = 60  # characters of one value; it comes from the network


class Moved(Enum):
    """Whether the connection went to another sender since the last look."""

    NO = "no"
    YES = "yes"
    UNKNOWN = "unknown"  # no clock offset was known yet


def same_stream(info: StreamInfo, opened: StreamInfo) -> bool:
    """Whether a sender claims to be the one that was opened: name, type and source id."""
    return (info.name, info.type, info.source_id) == (opened.name, opened.type, opened.source_id)


def shape_difference(info: StreamInfo, opened: StreamInfo) -> str:
    """What keeps liblsl from reconnecting, in words; "" for nothing."""
    if info.n_channels != opened.n_channels:
        plural = "" if info.n_channels == 1 else "s"
        return f"returned with {info.n_channels} channel{plural}, expected {opened.n_channels}"
    if info.channel_format != opened.channel_format:
        return f"returned with channel format {info.channel_format}, expected {opened.channel_format}"
    return ""


def difference(info: StreamInfo, opened: StreamInfo) -> str:
    """The first field in which two descriptions differ: "rate_hz: got 500, expected 250"; "" for none.

    uid and host are not compared.
    """
    shape = shape_difference(info, opened)
    if shape:
        return shape
    if not math.isclose(info.rate_hz, opened.rate_hz, rel_tol=1e-6):  # it travels as text
        return f"rate_hz: got {info.rate_hz:g}, expected {opened.rate_hz:g}"
    for name, got, expected in (
        ("channels", info.labels, opened.labels),
        ("units", info.units, opened.units),
    ):
        differing = [
            number for number, pair in enumerate(zip(got, expected, strict=True)) if len(set(pair)) > 1
        ]
        if differing:
            return f"{name}: got {_shown(got, differing)}, expected {_shown(expected, differing)}"
    if info.reference != opened.reference:
        return f"reference: got {quoted(info.reference, 40)}, expected {quoted(opened.reference, 40)}"
    return ""


def _shown(values: tuple[str, ...], places: list[int]) -> str:
    """The values at some places, few and short."""
    shown = [quoted(values[place]) for place in places[:MOST_SHOWN]]
    return ", ".join(shown + ["..."] * (len(places) > MOST_SHOWN))


@dataclass(slots=True)
class _Check:
    """Finding out who sends.

    since_s : when it began; lost_s : the last delivery before it; moved : liblsl reported a reconnection
    answers : descriptions that senders gave since; asked : how often each was asked, by uid
    """

    since_s: float
    lost_s: float
    moved: bool
    answers: dict[str, StreamInfo] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)


class IdentityWatch:
    """Whether the samples of one stream still come from the sender that was opened.

    One thread calls all of it.

    Parameters
    ----------
    opened : full description of the opened stream, as the sender gave it; its uid and host are pinned

    Attributes
    ----------
    problem : why samples that come now must not be trusted; "" when they may
    source_id : of the opened stream
    """

    def __init__(self, opened: StreamInfo) -> None:
        self._opened = opened
        self.source_id = opened.source_id
        self.problem = ""
        self._trusted = opened.uid  # the newest accepted sender
        self._from = opened.uid  # whose samples come, as far as known; "" while in doubt
        self._refused = ""  # why whoever sends now is not accepted
        self._notices: list[str] = []
        self._listed: Mapping[str, StreamInfo] = {}
        self._born_s: Mapping[str, float] = {}
        self._first_seen_s: dict[str, float] = {}
        self._twins: set[str] = set()
        self._left: set[str] = set()  # the connection moved away from it, and it is listed ever since
        self._check: _Check | None = None  # under way
        self._silence_s = (math.nan, math.nan)  # the newest one between deliveries: begin and end
        self._received_s = math.nan
        self._settled_gap_s = -math.inf

    def look(
        self,
        now_s: float,
        listed: Mapping[str, StreamInfo],
        last_received_s: float,
        gap_s: float,
        moved: Moved,
        born_s: Mapping[str, float] | None = None,
    ) -> str:
        """Take the newest facts, return the uid whose full description is wanted, "" for none.

        Parameters
        ----------
        now_s : local clock
        listed : senders seen on the network, by uid, as a resolver describes them. A sender that is gone
            may be listed for a few seconds more, and a living one may be missed for as long.
        last_received_s : local time of the newest delivery, NaN before the first; not newer than `moved`
        gap_s : local time of the first delivery after the newest gap in the stamps, NaN for none
        moved : whether the connection went to another sender since the last look
        born_s : when senders began, by uid, local clock: one that began after the connection moved is not
            the one that it moved to. NaN or absent where that is unknown.
        """
        self._born_s = born_s or {}
        self._listed = {uid: info for uid, info in listed.items() if same_stream(info, self._opened)}
        for uid in self._listed:
            self._first_seen_s.setdefault(uid, now_s)
        self._left &= set(self._listed)
        if last_received_s - self._received_s > SILENT_S:
            self._silence_s = (self._received_s, last_received_s)
        self._received_s = last_received_s
        self._notice_change(now_s, gap_s, moved)
        wanted = ""
        if self._check is not None:
            wanted = self._judge(now_s, self._check)
        elif not self._refused:
            self._find_twins(gap_s, moved)
        self._state_problem(now_s)
        return wanted

    def answer(self, now_s: float, uid: str, info: StreamInfo | None) -> None:
        """Take the reply of a sender that was asked: its full description, None when there was none."""
        check = self._check
        if check is not None:
            check.asked[uid] = check.asked.get(uid, 0) + 1
            check.answers.pop(uid, None)
            if info is not None:
                check.answers[uid] = info
            self._judge(now_s, check)
        self._state_problem(now_s)

    def notices(self) -> list[str]:
        """What became known since the last call, in words."""
        found, self._notices = self._notices, []
        return found

    # ---- when to check ----

    def _notice_change(self, now_s: float, gap_s: float, moved: Moved) -> None:
        new_gap = gap_s > self._settled_gap_s
        if moved is Moved.YES:
            self._left = {self._from} if self._from else self._left
            self._begin(now_s, moved=True)
        elif new_gap and moved is Moved.UNKNOWN and self._check is None:
            self._begin(now_s, moved=False)
        if new_gap:
            self._settled_gap_s = gap_s

    def _begin(self, now_s: float, moved: bool) -> None:
        if self._check is not None:
            lost_s = self._check.lost_s
        else:
            begun_s, ended_s = self._silence_s
            just_over = now_s - self._received_s <= SILENT_S and now_s - ended_s <= BESIDE_UNSURE_S
            lost_s = begun_s if just_over else self._received_s
        self._check = _Check(now_s, lost_s, moved)
        self._refused, self._from = "", ""

    # ---- who it is ----

    def _judge(self, now_s: float, check: _Check) -> str:
        """Settle who sends if that can be known; else return whom to ask."""
        candidates = [
            uid
            for uid, info in self._listed.items()
            if uid not in self._left
            and not self._born_s.get(uid, math.nan) > check.since_s
            and not shape_difference(info, self._opened)
        ]
        unheard = [uid for uid in candidates if uid not in check.answers]
        if unheard:  # the one that was asked least: one that never answers must not hold up another
            return min(unheard, key=lambda uid: check.asked.get(uid, 0))
        if len(candidates) == 1:
            self._settle(now_s, check.answers[candidates[0]], check)
        elif len(candidates) > 1:
            who = " and ".join(_who(check.answers[uid]) for uid in candidates)
            self._refuse(
                "", f"{len(candidates)} senders claim to be it, and which one sends is unknown: {who}"
            )
        return ""

    def _invisible(self, now_s: float, check: _Check) -> bool:
        """Whether samples come although, for long, nobody was listed who could send them."""
        coming = self._received_s > check.since_s and now_s - self._received_s <= SILENT_S
        return coming and now_s - check.since_s > INVISIBLE_S

    def _settle(self, now_s: float, info: StreamInfo, check: _Check) -> None:
        self._from = info.uid
        if info.uid in self._twins:
            self._refuse(info.uid, f"another sender took over: {_who(info)}; it was there beside the first")
            return
        if info.uid == self._trusted:
            self._accept(info, f"the first sender is back: {_who(info)}" if check.moved else "")
            return
        if info.host != self._opened.host:
            got, expected = quoted(info.host), quoted(self._opened.host)
            self._refuse(
                info.uid, f"another sender took over: host: got {got}, expected {expected}; uid {info.uid}"
            )
            return
        differs = difference(info, self._opened)
        if differs:
            self._refuse(info.uid, f"{differs}; the sender was restarted: {_who(info)}")
            return
        lost_s = now_s - check.lost_s
        after = "" if math.isnan(lost_s) else f" after {lost_s:.1f} s"
        self._accept(info, f"sender returned{after}, {_who(info)}")

    def _accept(self, info: StreamInfo, notice: str) -> None:
        self._trusted = self._from = info.uid
        self._check, self._refused = None, ""
        if notice:
            self._notices.append(notice)

    def _refuse(self, uid: str, reason: str) -> None:
        self._check, self._refused, self._from = None, reason, uid

    # ---- who else is there ----

    def _find_twins(self, gap_s: float, moved: Moved) -> None:
        """A newcomer is a twin once the trusted sender delivered beside it."""
        beside_s = BESIDE_S if moved is Moved.NO else BESIDE_UNSURE_S
        for uid, info in self._listed.items():
            if uid == self._from or uid in self._left or uid in self._twins:
                continue
            seen_s = self._first_seen_s[uid]
            broken = moved is not Moved.NO and gap_s > seen_s - BESIDE_UNSURE_S
            if self._received_s > seen_s + beside_s and not broken:
                self._twins.add(uid)
                self._notices.append(
                    f"another sender claims to be it: {_who(info)}; its samples are not used"
                )

    # ---- in words ----

    def _state_problem(self, now_s: float) -> None:
        if self._check is not None:
            self.problem = INVISIBLE if self._invisible(now_s, self._check) else CHECKING
        else:
            self.problem = self._cannot_return(now_s) or self._refused

    def _cannot_return(self, now_s: float) -> str:
        """Say when the stream is silent and a sender came to which liblsl will not reconnect."""
        if now_s - self._received_s <= SILENT_S or math.isnan(self._received_s):
            return ""
        came = [uid for uid in self._listed if self._first_seen_s[uid] > self._received_s]
        if not came:
            return ""
        newest = self._listed[max(came, key=lambda uid: self._first_seen_s[uid])]
        shape = shape_difference(newest, self._opened)
        return f"{shape}; the sender was restarted: {_who(newest)}" if shape else ""


def _who(info: StreamInfo) -> str:
    return f"uid {printable(info.uid, LONGEST_SHOWN)}, host {quoted(info.host)}"
