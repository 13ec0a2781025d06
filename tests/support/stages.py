"""A stage of a guided session whose recorder and streams are played."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from bci_m2s.engine.health import StreamHealth
from bci_m2s.session.protocol.pace import FastClock
from bci_m2s.session.protocol.settings import load_protocol
from bci_m2s.session.protocol.stage import Conduct, Stage
from support.guided_sessions import write_protocol


class FakeRecorder:
    """A recorder of which only the state matters."""

    def __init__(self) -> None:
        self.problem, self.lost = "", 0

    def state(self) -> SimpleNamespace:
        return SimpleNamespace(problem=self.problem, lost_samples=self.lost)


def made(
    folder: Path,
    recorder: FakeRecorder,
    health: Callable[[], Sequence[StreamHealth]] = list,
    clock: Callable[[], float] = lambda: 0.0,
    **changes: Any,
) -> tuple[Stage, list[tuple[float, str]], list[str]]:
    """A stage, its markers and what it says.

    health : of its streams; clock : s; changes : of the protocol
    """
    marks: list[tuple[float, str]] = []
    said: list[str] = []
    reporter = SimpleNamespace(snapshot=lambda: SimpleNamespace(health=health()))
    engine = SimpleNamespace(
        mark=lambda text, at_s: marks.append((at_s, text)), wait=lambda _s: False, reporter=reporter
    )
    now: Any = SimpleNamespace(engine=engine, folder=SimpleNamespace(recorder=recorder))
    takes: Any = SimpleNamespace(now=now, is_running=True, switch=SimpleNamespace(is_over=False))
    settings = load_protocol(write_protocol(folder, **changes))
    stage = Stage(Conduct(settings, folder, FastClock(clock)), takes, said.append, threading.Event())
    return stage, marks, said
