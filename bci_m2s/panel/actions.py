"""Everything that the panel can be told to do: name, key and what it is for, in one table.

Buttons, menus, keys and the help all come from here, so they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from PyQt6.QtGui import QAction, QKeySequence
from PyQt6.QtWidgets import QWidget

MOST_MARKERS = 9


@dataclass(frozen=True, slots=True)
class Spec:
    """label : on the button; key : Qt's name of it; help : one sentence; sticky : stays pressed"""

    label: str
    key: str
    help: str
    sticky: bool = False


SPECS: Mapping[str, Spec] = {
    "record": Spec("Record", "R", "Begin a recording, or end the one that runs.", sticky=True),
    "mark": Spec("Marker …", "M", "Write a marker with your own words."),
    "baseline": Spec("Baseline", "B", "Begin the person's baseline anew, or end it and use what there is."),
    "pause": Spec("Pause", "P", "Hold the picture still; the session goes on.", sticky=True),
    "screenshot": Spec("Picture", "S", "Save the window as a PNG file."),
    "connect": Spec("Connect", "C", "Choose streams and a model, and start a session."),
    "stop": Spec("End", "Ctrl+E", "End the session: its engine stops, its files are closed."),
    "theme": Spec("Theme", "T", "Change between the dark and the light look."),
    "fullscreen": Spec("Full", "F11", "Use the whole screen, or return to a window.", sticky=True),
    "help": Spec("Keys", "F1", "Show all keys."),
    "quit": Spec("Close", "Ctrl+Q", "Close the panel. A session goes on without it."),
}


def make_actions(parent: QWidget, slots: Mapping[str, Callable[[], None]]) -> dict[str, QAction]:
    """One action for each name of ``SPECS``; their keys work in the whole window of `parent`."""
    actions = {}
    for name, spec in SPECS.items():
        action = QAction(spec.label, parent)
        action.setObjectName(name)
        action.setShortcut(QKeySequence(spec.key))
        action.setCheckable(spec.sticky)
        action.setToolTip(f"{spec.help} Key: {spec.key}")
        action.triggered.connect(_without_argument(slots[name]))
        parent.addAction(action)
        actions[name] = action
    return actions


def marker_actions(parent: QWidget, texts: tuple[str, ...], mark: Callable[[str], None]) -> list[QAction]:
    """One action for each marker text, with the keys 1, 2, 3 …"""
    actions = []
    for number, text in enumerate(texts[:MOST_MARKERS], start=1):
        action = QAction(f"{number}  {text}", parent)
        action.setObjectName(f"marker-{number}")
        action.setShortcut(QKeySequence(str(number)))
        action.setToolTip(f"Write the marker {text!r}. Key: {number}")
        action.triggered.connect(_without_argument(partial(mark, text)))
        parent.addAction(action)
        actions.append(action)
    return actions


def describe_keys(markers: tuple[str, ...]) -> str:
    """All keys, one a line, for the help."""
    lines = [f"{spec.key}\t{spec.help}" for spec in SPECS.values()]
    lines += [f"{number}\tWrite the marker {text!r}." for number, text in enumerate(markers, start=1)]
    return "\n".join(lines)


def _without_argument(slot: Callable[[], None]) -> Callable[..., None]:
    """Qt hands over whether the action is checked; the slots ask for the state that counts."""

    def call(*_: object) -> None:
        slot()

    return call
