"""What a participant's tile shows, in words and numbers. No Qt: this is the part that decides."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bci_m2s.panel.client.answers import ShownAnswer
from bci_m2s.panel.client.everybody import Member
from bci_m2s.panel.client.facts import line_name, mapping, mappings, plain_text
from bci_m2s.text import printable

LONGEST = 80


@dataclass(frozen=True, slots=True)
class Tile:
    """A participant at a glance.

    name : id; session_id : for the whole panel
    state : "ok", "warn", "bad", or "gone" where the session has ended
    words : how the session stands
    answers : of each line of estimates, with its name ("" for the only one)
    """

    name: str
    session_id: str
    state: str
    words: str
    answers: tuple[tuple[str, ShownAnswer], ...]


def tile_of(member: Member, now_s: float) -> Tile:
    """The tile of a member at a moment, local LSL clock."""
    facts = member.facts
    state, words = _state(member)
    answers = tuple(
        (line_name(facts, line, head) if len(member.lines) > 1 else "", _brief(answer.shown(now_s)))
        for (line, head), answer in member.lines.items()
    )
    return Tile(facts.participant, facts.session_id, state, printable(words, LONGEST), answers)


def _brief(answer: ShownAnswer) -> ShownAnswer:
    """The same with what finds room in a tile: of several lines the last one, without the rate."""
    last = answer.detail.splitlines()[-1] if answer.detail else ""
    parts = [part for part in last.split(" · ") if not part.endswith(" Hz")]
    return replace(answer, detail=" · ".join(parts))


def _state(member: Member) -> tuple[str, str]:
    """Colour and words of how a session stands."""
    status = member.status
    if member.ended or not member.is_there:
        return "gone", f"ended: {member.ended}" if member.ended else "ended"
    if member.is_silent and status:
        return "bad", "nothing comes from the engine"
    if not status:
        return "warn", "connecting"
    words = [plain_text(problem) for problem in _texts(status.get("problems"))]
    for stream in mappings(status.get("streams")):
        modality, problem = plain_text(stream.get("modality")), plain_text(stream.get("problem"))
        bad = mapping(stream.get("bad_channels"))
        if problem:
            words.append(f"{modality}: {problem}")
        elif stream.get("state") == "bad":
            words.append(f"{modality}: silent")
        elif bad:
            words.append(f"{modality}: {len(bad)} bad channel{'s' * (len(bad) != 1)}")
    recording = mapping(status.get("recording"))
    if recording.get("problem"):
        words.insert(0, f"NOT RECORDED: {plain_text(recording.get('problem'))}")
    state = plain_text(status.get("state"))
    sound = "recording" if recording else "not recorded"
    return state if state in ("ok", "warn", "bad") else "warn", words[0] if words else sound


def _texts(value: object) -> list[object]:
    return list(value) if isinstance(value, list) else []
