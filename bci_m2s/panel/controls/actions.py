"""Everything that the panel can do: name, key and what it is for, in one table.

Buttons, menus, keys and the help all come from here, so they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from PyQt6.QtGui import QAction, QKeySequence
from PyQt6.QtWidgets import QWidget

from bci_m2s.panel.client.facts import SessionFacts, mapping, plain_text
from bci_m2s.panel.look.settings import MOST_MARKERS
from bci_m2s.panel.look.text import tip


@dataclass(frozen=True, slots=True)
class Spec:
    """label : on the button; key : Qt's name of it; help : one sentence; sticky : stays pressed"""

    label: str
    key: str
    help: str
    sticky: bool = False


SPECS: Mapping[str, Spec] = {
    "record": Spec(
        "Record",
        "R",
        "Start or end a recording. The estimates go on.",
        sticky=True,
    ),
    "mark": Spec("Marker …", "M", "Type a marker; Enter writes it."),
    "baseline": Spec("Baseline", "B", "Start the baseline again, or end it and use what was collected."),
    "freeze": Spec(
        "Freeze view", "P", "Freeze the view; the session and its recording go on.", sticky=True
    ),
    "screenshot": Spec("Picture", "S", "Save the window as a PNG file."),
    "connect": Spec("Connect", "C", "Choose streams and a pipeline, and start a session."),
    "stop": Spec("End", "Ctrl+E", "End the session: its engine stops, its files are closed."),
    "larger": Spec("Larger", "+", "Draw the traces larger."),
    "smaller": Spec("Smaller", "-", "Draw the traces smaller."),
    "auto": Spec("Auto", "A", "Draw the traces as for a new montage: automatic scale, all channels."),
    "filter": Spec("Filter", "F", "Next filter of the traces; it changes the display only."),
    "notch": Spec("Notch", "N", "Next notch of the traces; it changes the display only."),
    "span": Spec("Sweep", "W", "Next length of a sweep."),
    "channels": Spec("Channels", "V", "Show fewer channels; after the fewest, all of them."),
    "map": Spec("Map", "E", "Show band power or evidence on the head."),
    "band": Spec("Band", "D", "Next band of the head map."),
    "markers": Spec("Edit", "Ctrl+M", "Change the texts of the marker buttons."),
    "session": Spec("Session", "Ctrl+N", "Show the next session, where several run."),
    "theme": Spec("Theme", "T", "Switch between the dark and the light theme."),
    "fullscreen": Spec("Full", "F11", "Full screen on or off.", sticky=True),
    "help": Spec("Keys", "F1", "Show all keys."),
    "quit": Spec("Close", "Ctrl+Q", "Close the panel. The session goes on."),
}
TRIAL = "trial/"  # not written on a button: there is little room
BASELINE = "baseline/start"
ALSO: Mapping[str, tuple[str, ...]] = {"larger": ("=",)}  # the same key without Shift
IN_THE_TRACES = (
    "Up, Down, PgUp, PgDn, Home",
    "With the traces in focus: scroll; Home shows all channels.",
)


def make_actions(parent: QWidget, slots: Mapping[str, Callable[[], object]]) -> dict[str, QAction]:
    """One action for each name of ``SPECS``; their keys work in the whole window of `parent`."""
    actions = {}
    for name, spec in SPECS.items():
        action = QAction(spec.label, parent)
        action.setObjectName(name)
        action.setShortcuts([QKeySequence(key) for key in (spec.key, *ALSO.get(name, ()))])
        action.setCheckable(spec.sticky)
        action.setToolTip(f"{spec.help} Key: {spec.key}")
        action.triggered.connect(lambda _checked, slot=slots[name]: slot())
        parent.addAction(action)
        actions[name] = action
    return actions


def marker_actions(parent: QWidget, texts: tuple[str, ...], mark: Callable[[str], None]) -> list[QAction]:
    """An action for each of the keys 1 to 9; those without a text are hidden, see ``set_marker_texts``."""
    actions = []
    for number in range(1, MOST_MARKERS + 1):
        action = QAction(parent)
        action.setObjectName(f"marker-{number}")
        action.setShortcut(QKeySequence(str(number)))
        action.triggered.connect(lambda _checked, action=action: mark(action.data()))
        parent.addAction(action)
        actions.append(action)
    set_marker_texts(actions, texts)
    return actions


def set_marker_texts(actions: Sequence[QAction], texts: tuple[str, ...]) -> None:
    """Give the markers' actions other texts."""
    for number, action in enumerate(actions, start=1):
        text = texts[number - 1] if number <= len(texts) else ""
        action.setData(text)
        words = f"{number}  {text.removeprefix(TRIAL).replace('/', ' ')}"
        action.setText(words.replace("&", "&&"))  # one would underline the next letter
        action.setToolTip(tip(f"Write the marker {text!r}. Key: {number}. Right click: change it"))
        action.setVisible(bool(text))


def usual_markers(facts: SessionFacts | None) -> tuple[str, ...]:
    """Markers that training reads, for the classes of a session's first head; () without a session.

    Where not all find a key, stops are left out: a trial ends with the next one's start.
    """
    classes = next(iter(facts.heads.values()), ()) if facts is not None else ()
    baseline = mapping(facts.pipeline.values().get("baseline")) if facts is not None else {}
    last = (plain_text(baseline.get("marker")) or BASELINE,) if classes else ()
    starts, stops = ([f"{TRIAL}{what}/{name}" for name in classes] for what in ("start", "stop"))
    every = (*starts, *stops) if 2 * len(classes) < MOST_MARKERS else (*starts[: MOST_MARKERS - 1],)
    return (*every, *last)


def describe_keys(markers: tuple[str, ...]) -> list[tuple[str, str]]:
    """All keys and what each is for, for the help."""
    rows = [(spec.key, spec.help) for spec in SPECS.values()]
    rows += [(str(number), f"Write the marker {text!r}.") for number, text in enumerate(markers, start=1)]
    return [*rows, IN_THE_TRACES]
