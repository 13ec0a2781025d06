"""Commands of an experiment program, to everybody in the session."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bci_m2s.errors import BciM2sError, CommandError
from bci_m2s.session.participants.one import Participant


def give_all(
    participants: Sequence[Participant], request: Mapping[str, Any], ago_s: float = 0.0
) -> dict[str, Any]:
    """Have everybody who takes part carry out a request, all at the same time; as ``Commands.handle``.

    What is said has the participant's id before it; what is asked for is a mapping by id.

    Raises
    ------
    CommandError
        Somebody refuses, or nobody takes part; the others have done it.
    """
    running = [one for one in participants if one.commands is not None and not one.is_over]
    if not running:
        raise CommandError("nobody takes part yet")
    came_s = time.monotonic() - ago_s

    def give(one: Participant) -> dict[str, Any] | BciM2sError:
        assert one.commands is not None
        try:
            return one.commands.handle(request, time.monotonic() - came_s)
        except BciM2sError as problem:
            return problem

    with ThreadPoolExecutor(len(running)) as pool:
        answers = dict(zip([one.name for one in running], pool.map(give, running), strict=True))
    refusals = [f"{name}: {answer}" for name, answer in answers.items() if isinstance(answer, BciM2sError)]
    if refusals:
        raise CommandError("; ".join(refusals))
    given = {name: answer for name, answer in answers.items() if not isinstance(answer, BciM2sError)}
    if any("said" in answer for answer in given.values()):
        return {"said": "; ".join(f"{name}: {answer['said']}" for name, answer in given.items())}
    keys = dict.fromkeys(key for answer in given.values() for key in answer)
    return {key: {name: answer.get(key) for name, answer in given.items()} for key in keys}
