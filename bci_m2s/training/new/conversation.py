"""Questions on a terminal, asked again where an answer will not do; defaults where nobody is there."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console
from rich.prompt import Prompt

from bci_m2s.errors import BciM2sError, UsageError
from bci_m2s.text import printable
from bci_m2s.training.new.wishes import numbers


class Conversation:
    """What is asked and said. is_asked : whether somebody is there to answer"""

    def __init__(self, console: Console, is_asked: bool) -> None:
        self._console, self._is_asked = console, is_asked

    def ask(
        self,
        question: str,
        default: str,
        said: str = "",
        check: Callable[[str], object] = lambda _text: None,
    ) -> str:
        """An answer from the terminal; the default where nobody is there, which is said.

        check : raises a BciM2sError for an answer that will not do; it is shown, and asked again
        """
        while self._is_asked:
            answer = Prompt.ask(question, console=self._console, default=default).strip()
            try:
                check(answer)
            except BciM2sError as problem:
                self.note(str(problem))
            else:
                return answer
        if said:
            self.show(said.format(default))
        return default

    def number(self, question: str, default: float, said: str = "") -> float:
        """A number from the terminal, as ``ask``."""
        return _one_number(self.ask(question, f"{default:g}", said, check=_one_number))

    def note(self, words: str) -> None:
        """Print what deserves attention."""
        self._console.print(printable(f"note: {words}"), style="yellow")

    def show(self, words: str, remark: str = "") -> None:
        """Print a line, with a remark in brackets."""
        self._console.print(printable(words + (f" ({remark})" if remark else "")))


def _one_number(text: str) -> float:
    found = numbers(text, ",", "number", "a number from 0 up")
    if len(found) != 1:
        raise UsageError(f"got {text!r}, expected a number")
    return found[0]
