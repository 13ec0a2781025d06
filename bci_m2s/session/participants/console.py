"""Lines of one participant of several, on a terminal that all share."""

from __future__ import annotations

from typing import Any

from rich.console import Console


class NamedConsole(Console):
    """Prints to another console, with the participant's id before each text.

    name : of the participant; console : the terminal
    """

    def __init__(self, name: str, console: Console) -> None:
        super().__init__(quiet=True)
        self._name, self._to = name, console

    def print(self, *objects: Any, **how: Any) -> None:
        """As the other console does; what is no text (a table) has the id on a line before it."""
        if objects and isinstance(objects[0], str):
            self._to.print(f"{self._name}: {objects[0].strip()}", *objects[1:], **how)
        else:
            self._to.print(f"{self._name}:", *objects, **how)
