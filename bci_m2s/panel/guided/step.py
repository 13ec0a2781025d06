"""The step of a guided session, as its status reports say it; read with care: it comes from the network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bci_m2s.panel.client.facts import mapping, number, plain_text

MOST_LINES = 16
LONGEST_TEXT = 1000
KINDS = ("sam", "choice", "text")


@dataclass(frozen=True, slots=True)
class Question:
    """What the participant is asked. points : of a SAM scale; choices : of a choice"""

    scale: str
    kind: str
    words: str
    points: int = 9
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """Where a guided session is.

    step : in a word or two; text : what the participant reads
    trial, trials : number of the one that is or was shown, 0 for none, and how many there are, 0: unknown
    seconds_left : NaN where nobody knows
    has_cross : whether the participant looks at a fixation cross
    check : lines of the signal check
    """

    name: str
    step: str
    text: str
    trial: int
    trials: int
    seconds_left: float
    is_paused: bool
    has_cross: bool
    check: tuple[str, ...] = ()
    question: Question | None = None

    def headline(self) -> str:
        """For the experimenter, in a line."""
        number = f" {self.trial}" + (f" of {self.trials}" if self.trials else "") if self.trial else ""
        asks_after_trial = self.question is not None and number
        words = f"{self.step} after trial{number}" if asks_after_trial else f"{self.step}{number}"
        if self.is_paused and self.step != "pause":
            words += ", then a pause"
        if self.question is not None:
            words += f": {self.question.words}"
        elif self.seconds_left == self.seconds_left:  # not NaN
            words += f", {self.seconds_left:.0f} s"
        return f"{self.name}: {words}"


def read_step(status: Mapping[str, Any]) -> Step | None:
    """The step of a session, None for one that is not guided."""
    state = mapping(status.get("protocol"))
    if not state:
        return None
    lines = state.get("check")
    return Step(
        plain_text(state.get("name"))[:60],
        plain_text(state.get("step"))[:60],
        plain_text(state.get("text"))[:LONGEST_TEXT],
        _count(state.get("trial")),
        _count(state.get("trials")),
        number(state.get("seconds_left"), float("nan")),
        state.get("is_paused") is True,
        state.get("cross") is True,
        tuple(plain_text(line) for line in lines[:MOST_LINES]) if isinstance(lines, list) else (),
        _question(mapping(state.get("question"))),
    )


def _question(values: Mapping[str, Any]) -> Question | None:
    kind = plain_text(values.get("kind"))
    if kind not in KINDS:
        return None
    choices = values.get("choices")
    texts = tuple(plain_text(choice)[:60] for choice in choices[:9]) if isinstance(choices, list) else ()
    points = min(max(_count(values.get("points")), 3), 9)
    words = plain_text(values.get("words"))[:LONGEST_TEXT]
    return Question(plain_text(values.get("scale"))[:60], kind, words, points, texts)


def _count(value: Any) -> int:
    value = number(value, 0.0)
    return int(value) if 0 <= value < 1e6 else 0
