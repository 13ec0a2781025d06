"""The lines of remote control: which request a line is, and what line answers it (``docs/remote.md``).

The first six are LabRecorder's, under its words. Every other line asks for a command of the panel's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bci_m2s.errors import CommandError
from bci_m2s.text import printable, quoted

LONGEST_REASON = 500  # characters


@dataclass(frozen=True, slots=True)
class Verb:
    """A command.

    do : of the request; what : for help; argument : what follows it, in brackets where it may be left out,
    "" for nothing; action : of a guided session
    """

    do: str
    what: str
    argument: str = ""
    action: str = ""


def _guided(action: str, what: str, argument: str = "") -> Verb:
    return Verb("protocol", f"guided session: {what}", argument, action)


VERBS: Mapping[str, Verb] = {
    "start": Verb("record_on", "begin a recording"),
    "stop": Verb("record_off", "end the recording; the session goes on"),
    "filename": Verb("filename", "folder of the recordings that follow", "{task:…} {run:…} …"),
    "select all": Verb("select_all", "for LabRecorder's clients: says what is recorded"),
    "select none": Verb("select_none", "refused: what is recorded is the session's matter"),
    "update": Verb("update", "for LabRecorder's clients: streams are looked for all the time"),
    "marker": Verb("mark", "write a marker, stamped when the line arrives", "TEXT"),
    "baseline start": Verb("baseline_start", "begin the person's baseline again"),
    "baseline stop": Verb("baseline_end", "use what was collected of it, 10 s at least"),
    "estimate": Verb("estimate", "the newest estimate of each modality and head, as JSON"),
    "state": Verb("state", "the session's status report, as JSON"),
    "pause": _guided("pause", "wait once this trial is over"),
    "resume": _guided("resume", "go on"),
    "skip": _guided("skip", "on to the next step"),
    "repeat": _guided("repeat", "show the trial again"),
    "exclude": _guided("exclude", "leave the trial out, and why", "[WHY]"),
    "include": _guided("include", "take it in again", "[WHY]"),
    "answer": _guided("answer", "to the question that is asked now", "VALUE"),
    "stop-session": Verb("stop", "end the session, as Ctrl-C would"),
}
HELP = "\n".join(f"{name + ' ' + verb.argument:32}{verb.what}" for name, verb in VERBS.items())
IN_JSON = ("estimate", "state")


def request_of(line: str) -> dict[str, Any]:
    """Return the request, as ``Commands.handle`` takes it, that a line asks for.

    line : without its end; letter case and blanks around and between words do not matter

    Raises
    ------
    CommandError
        It is no command, an argument is missing, or there is one too many.
    """
    words = line.split()
    for count in (2, 1):
        verb = VERBS.get(" ".join(words[:count]).casefold())
        if verb is not None:
            argument = line.split(maxsplit=count)[count:]
            break
    else:
        shown = " ".join(words)
        raise CommandError(f"got {quoted(shown)}, expected one of: {', '.join(VERBS)}, help")
    name = " ".join(words[:count])
    if not verb.argument:
        if argument:
            raise CommandError(f"{name}: got {quoted(argument[0])} after it, expected nothing")
        return _request(verb, "")
    if not argument and not verb.argument.startswith("["):
        raise CommandError(f"{name}: got nothing after it, expected {verb.argument}")
    return _request(verb, argument[0].rstrip() if argument else "")


def _request(verb: Verb, text: str) -> dict[str, Any]:
    if verb.action:
        return {"do": verb.do, "action": verb.action, "value": text}
    return {"do": verb.do, **({"text": text} if verb.argument else {})}


def reply_of(do: str, answer: Mapping[str, Any]) -> str:
    """Return the line, without its end, that says what came of a request.

    answer : of ``Commands.handle``, or ``{"error": text}``
    """
    if "error" in answer:
        return f"ERR {printable(answer['error'], LONGEST_REASON)}"
    if do in IN_JSON:
        return json.dumps(answer["status"] if do == "state" else answer)
    return "OK"
