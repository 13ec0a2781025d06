"""What the experimenter and the participant may ask of a guided session, from any thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from bci_m2s.errors import CommandError, nearest
from bci_m2s.session.protocol.settings import RatingSettings
from bci_m2s.text import printable, quoted

ACTIONS = ("pause", "resume", "repeat", "exclude", "include", "skip", "answer")
LONGEST_ANSWER = 300
POLL_S = 0.05
NO_ROOM = "waiting for the disk"  # the step while the recording cannot be written
NO_SAMPLES = "waiting for samples"  # the step while no stream gives any


class Ended(Exception):
    """The session is over, so the protocol is."""


class Controls:
    """Requests until the conductor takes them, and its waits, which they cut short.

    Parameters
    ----------
    clock : of the session, s; speed : how many times faster than real time it runs
    is_over : whether the session has ended
    on_remark : takes "exclude" or "include", and why, at once: a session may end the moment after

    Attributes
    ----------
    is_paused : whether a pause is wanted
    question : that waits for an answer, None while none does
    typed : what has been typed of a free text
    interrupted : ends what is being shown; set while a repeat is wanted
    refused : actions that mean nothing now, and why
    """

    def __init__(
        self,
        clock: Callable[[], float],
        speed: float = 1.0,
        is_over: Callable[[], bool] = lambda: False,
        on_remark: Callable[[str, str], None] = lambda _action, _reason: None,
    ) -> None:
        self._clock, self._speed, self._is_over, self._on_remark = clock, speed, is_over, on_remark
        self._change = threading.Condition()  # guards what follows
        self._skip = self._repeat = False
        self._answer: str | None = None
        self.is_paused = False
        self.question: RatingSettings | None = None
        self.typed = ""
        self.interrupted = threading.Event()
        self.refused: Mapping[str, str] = {}

    def request(self, action: str, value: str = "") -> str:
        """Ask for something; a sentence about it.

        Raises
        ------
        CommandError
            The action is unknown, or cannot be now; an answer is not on its scale.
        """
        if why := self.refused.get(action):
            raise CommandError(f"{action}: {why}")
        if action in ("exclude", "include"):
            self._on_remark(action, printable(value.strip(), 200).replace("/", " "))
            return f"the trial is {action}d"
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
        raise CommandError(
            f"protocol: got {quoted(action)}, expected an action{nearest(action[:60], ACTIONS)}"
        )

    # ---- for the conductor ----

    def begin_step(self) -> None:
        """A skip that came before was meant for the step before."""
        with self._change:
            self._skip = False

    def wait(self, seconds: float, *, can_skip: bool = True) -> bool:
        """Wait for seconds of the session's clock; false where a repeat or a skip cut it short.

        Raises Ended when the session is over.
        """
        until_s = self._clock() + seconds
        with self._change:
            while True:
                left_s = until_s - self._clock()
                if left_s > 0:
                    self._refuse_over()
                if self._repeat or (can_skip and self._skip):
                    self._skip = False
                    return False
                if left_s <= 0:
                    return True
                self._change.wait(min(POLL_S, left_s) / self._speed)

    def wait_for_answer(
        self, question: RatingSettings, timeout_s: float, can_answer: Callable[[], bool] = lambda: True
    ) -> str | None:
        """The answer; None where none came in `timeout_s` (0: no limit), or a skip or a repeat came first.

        can_answer : asked again and again; the wait ends once nobody can
        """
        until_s = self._clock() + timeout_s
        with self._change:
            self.question, self.typed, self._answer, self._skip = question, "", None, False
            try:
                while self._answer is None:
                    self._refuse_over()
                    is_late = timeout_s and self._clock() >= until_s
                    if self._skip or self._repeat or is_late or not can_answer():
                        self._skip = False
                        return None
                    self._change.wait(POLL_S / self._speed)
                return self._answer
            finally:
                self.question, self.typed = None, ""

    def wait_while(self, holds: Callable[[], bool]) -> None:
        """Return once something does not hold any more. Raises Ended when the session is over."""
        with self._change:
            while holds():
                self._refuse_over()
                self._change.wait(POLL_S / self._speed)

    def take_repeat(self) -> bool:
        """Whether the trial is to be shown again; asked once."""
        with self._change:
            wanted, self._repeat = self._repeat, False
            self.interrupted.clear()
            return wanted

    def _refuse_over(self) -> None:
        if self._is_over():
            raise Ended


def refused_in(step: str, trial: int, is_external: bool) -> dict[str, str]:
    """Actions that mean nothing in a step, and why.

    trial : number of the one that is shown, or was last, 0 before the first
    is_external : whether an experiment program shows the trials
    """
    why: dict[str, str] = {}
    if step in ("live", "done"):
        why |= dict.fromkeys(("pause", "repeat"), "the trials are over")
    elif is_external:
        why |= dict.fromkeys(("pause", "repeat"), "the experiment program decides what is shown")
    elif not trial:
        why["repeat"] = "no trial has been shown yet"
    if not trial:
        why |= dict.fromkeys(("exclude", "include"), "no trial has been shown yet")
    if step == "pause":
        why["skip"] = "a pause ends with resume"
    if step == NO_ROOM:
        why["skip"] = "it goes on once the recording can be written"
    if step == "trial" and not is_external:
        why["skip"] = "a trial is shown to its end; repeat interrupts it"
    return why


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
