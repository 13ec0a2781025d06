"""What the experimenter and the participant may ask of a guided session, from any thread."""

from __future__ import annotations

import threading
from collections.abc import Callable

from bci_m2s.errors import CommandError, nearest
from bci_m2s.session.protocol.settings import RatingSettings
from bci_m2s.text import printable, quoted

ACTIONS = ("pause", "resume", "repeat", "exclude", "include", "skip", "answer")
LONGEST_ANSWER = 300
POLL_S = 0.05


class Ended(Exception):
    """The session is over, so the protocol is."""


class Controls:
    """Requests until the conductor takes them, and its waits, which they cut short.

    Parameters
    ----------
    clock : of the session, s; speed : how many times faster than real time it runs
    is_over : whether the session has ended

    Attributes
    ----------
    is_paused : whether a pause is wanted
    question : that waits for an answer, None while none does
    interrupted : ends what is being shown
    """

    def __init__(
        self, clock: Callable[[], float], speed: float = 1.0, is_over: Callable[[], bool] = lambda: False
    ) -> None:
        self._clock, self._speed, self._is_over = clock, speed, is_over
        self._change = threading.Condition()  # guards what follows
        self._skip = self._repeat = False
        self._answer: str | None = None
        self._remarks: list[tuple[str, str]] = []  # exclude or include, and why
        self.is_paused = False
        self.question: RatingSettings | None = None
        self.interrupted = threading.Event()

    def request(self, action: str, value: str = "") -> str:
        """Ask for something; a sentence about it.

        Raises
        ------
        CommandError
            The action is unknown, or cannot be now; an answer is not on its scale.
        """
        with self._change:
            said = self._take(action, value)
            self._change.notify_all()
        return said

    def _take(self, action: str, value: str) -> str:
        if action == "answer":
            if self.question is None:
                raise CommandError("answer: there is no question now")
            self._answer = checked_answer(self.question, value)
            return f"answer: {printable(self._answer, 60)}"
        if action == "pause":
            self.is_paused = True
            return "a pause, once this trial is over"
        if action == "resume":
            self.is_paused = False
            return "the session goes on"
        if action == "skip":
            self._skip = True
            return "on to the next step"
        if action == "repeat":
            self._repeat = True
            self.interrupted.set()
            return "the trial will be shown again"
        if action in ("exclude", "include"):
            self._remarks.append((action, printable(value.strip(), 200).replace("/", " ")))
            return f"the trial is {action}d"
        raise CommandError(
            f"protocol: got {quoted(action)}, expected an action{nearest(action[:60], ACTIONS)}"
        )

    # ---- for the conductor ----

    def wait(self, seconds: float, *, can_skip: bool = True) -> bool:
        """Wait for seconds of the session's clock; false where a repeat or a skip cut it short.

        Raises Ended when the session is over.
        """
        until_s = self._clock() + seconds
        with self._change:
            self._skip = False
            while (left_s := until_s - self._clock()) > 0:
                self._refuse_over()
                if self._repeat or (can_skip and self._skip):
                    self._skip = False
                    return False
                self._change.wait(min(POLL_S, left_s) / self._speed)
        return True

    def wait_for_answer(
        self, question: RatingSettings, timeout_s: float, can_answer: Callable[[], bool] = lambda: True
    ) -> str | None:
        """The answer; None where none came in `timeout_s` (0: no limit), or the question was skipped.

        can_answer : asked again and again; the wait ends once nobody can
        """
        until_s = self._clock() + timeout_s
        with self._change:
            self.question, self._answer, self._skip = question, None, False
            try:
                while self._answer is None:
                    self._refuse_over()
                    if self._skip or (timeout_s and self._clock() >= until_s) or not can_answer():
                        self._skip = False
                        return None
                    self._change.wait(POLL_S / self._speed)
                return self._answer
            finally:
                self.question = None

    def wait_while_paused(self) -> None:
        """Return once nobody wants a pause."""
        with self._change:
            while self.is_paused:
                self._refuse_over()
                self._change.wait(POLL_S / self._speed)

    def take_repeat(self) -> bool:
        """Whether the trial is to be shown again; asked once."""
        with self._change:
            wanted, self._repeat = self._repeat, False
            self.interrupted.clear()
            return wanted

    def take_remarks(self) -> list[tuple[str, str]]:
        """Exclusions and their opposite since the last call, each with a reason."""
        with self._change:
            taken, self._remarks = self._remarks, []
            return taken

    def _refuse_over(self) -> None:
        if self._is_over():
            raise Ended


def checked_answer(question: RatingSettings, value: str) -> str:
    """An answer as it is stored. Raises CommandError where it is not on the scale."""
    value = printable(value.strip(), LONGEST_ANSWER)
    if question.kind == "text":
        return value
    if question.kind == "choice":
        if value in question.choices:
            return value
        if value.isdecimal() and 1 <= int(value) <= len(question.choices):
            return question.choices[int(value) - 1]
        listed = ", ".join(f"{number} {choice}" for number, choice in enumerate(question.choices, 1))
        raise CommandError(f"{question.scale}: got {quoted(value)}, expected one of: {listed}")
    if not (value.isdecimal() and 1 <= int(value) <= question.points):
        raise CommandError(f"{question.scale}: got {quoted(value)}, expected 1 to {question.points}")
    return str(int(value))
