"""Single keys in the terminal: the experimenter's, and the participant's answers."""

from __future__ import annotations

import codecs
import os
import re
import select
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from bci_m2s.errors import BciM2sError
from bci_m2s.session.protocol.controls import LONGEST_ANSWER, Controls
from bci_m2s.session.terminal.run import restorers

HELP = "keys: p pause or go on, r repeat the trial, x exclude it, s on to the next step"
KEYS = {"r": "repeat", "x": "exclude", "s": "skip", " ": "skip"}
LOOK_S = 0.2
ESCAPED = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|O.|[^\x1b])?")  # arrows, function keys, letters with Alt


class Keys:
    """Takes one sign after another and asks for what it means; while a question waits, it is an answer.

    What is typed of a free text is in ``Controls.typed``, for whoever shows it.
    """

    def __init__(self, controls: Controls, notify: Callable[[str], None]) -> None:
        self._controls, self._notify = controls, notify

    def press(self, sign: str) -> None:
        """A key was pressed."""
        question = self._controls.question
        try:
            if question is None:
                self._command(sign.casefold())
            elif question.kind != "text":
                if sign.isdecimal():
                    self._notify(self._controls.request("answer", sign))
                else:
                    self._command(sign.casefold())
            elif sign in "\r\n":
                self._notify(self._controls.request("answer", self._controls.typed or "-"))
            elif sign in "\b\x7f":
                self._controls.typed = self._controls.typed[:-1]
            elif sign.isprintable():
                self._controls.typed = (self._controls.typed + sign)[:LONGEST_ANSWER]
        except BciM2sError as problem:
            self._notify(str(problem))

    def _command(self, sign: str) -> None:
        if sign == "p":
            action = "resume" if self._controls.is_paused else "pause"
        elif sign in KEYS:
            action = KEYS[sign]
        else:
            if not sign.isspace():
                self._notify(HELP)
            return
        self._notify(self._controls.request(action))


def has_keyboard() -> bool:
    """Whether keys can be read one by one: in a terminal."""
    if os.name == "nt":
        return sys.stdin is not None and sys.stdin.isatty()
    return sys.stdin is not None and sys.stdin.isatty() and os.isatty(sys.stdin.fileno())


@contextmanager
def reading_keys(press: Callable[[str], None]) -> Iterator[None]:
    """Read keys while the block runs; the terminal is as before at its end."""
    over = threading.Event()
    with _single_keys():
        reader = threading.Thread(target=_read, args=(press, over), name="keyboard", daemon=True)
        reader.start()
        try:
            yield
        finally:
            over.set()
            reader.join(2 * LOOK_S)


def _read(press: Callable[[str], None], over: threading.Event) -> None:
    while not over.is_set():
        for sign in _next_signs():
            press(sign)


if sys.platform == "win32":  # not tried

    @contextmanager
    def _single_keys() -> Iterator[None]:
        yield

    def _next_signs() -> str:
        import msvcrt
        import time

        if msvcrt.kbhit():
            return msvcrt.getwch()
        time.sleep(LOOK_S / 4)
        return ""

else:

    @contextmanager
    def _single_keys() -> Iterator[None]:
        import termios
        import tty

        number = sys.stdin.fileno()
        before = termios.tcgetattr(number)

        def restore() -> None:
            with suppress(termios.error):  # the terminal may be gone
                termios.tcsetattr(number, termios.TCSANOW, before)

        restorers.append(restore)
        tty.setcbreak(number)
        try:
            yield
        finally:
            restore()
            restorers.remove(restore)

    _decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")  # a letter may come in two parts

    def _next_signs() -> str:
        try:
            ready, _, _ = select.select([sys.stdin], [], [], LOOK_S)
            typed = os.read(sys.stdin.fileno(), 1024) if ready else b""
            return ESCAPED.sub("", _decoder.decode(typed))  # what was typed right behind it is kept
        except (OSError, ValueError):  # the terminal is gone
            threading.Event().wait(LOOK_S)
            return ""
