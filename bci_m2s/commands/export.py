"""``bci-m2s export SESSION``: a session in a format that other programs read."""

from __future__ import annotations

import re
from pathlib import Path

from rich.text import Text

from bci_m2s.errors import UsageError
from bci_m2s.handover.bids_events import Screen
from bci_m2s.handover.export import Exported, Wanted, export_session
from bci_m2s.session.terminal.view import make_console
from bci_m2s.text import printable, quoted

LONGEST_M = 100.0
MOST_PIXELS = 100_000


def screen_of(distance_m: float, size: str, resolution: str) -> Screen | None:
    """The screen as it was given, None where nothing was.

    distance_m : from the eyes, 0 for none; size : "0.53x0.30", metres; resolution : "1920x1080"

    Raises UsageError where only a part was given, or a part cannot be understood.
    """
    given = {"--screen-distance": distance_m, "--screen-size": size, "--screen-resolution": resolution}
    missing = [name for name, value in given.items() if not value]
    if len(missing) == len(given):
        return None
    if missing:
        raise UsageError(f"{missing[0]}: got none, expected all of {', '.join(given)}")
    width, height = _pair(
        "--screen-size", size, LONGEST_M, "WIDTHxHEIGHT in metres, 0.53x0.30 for instance"
    )
    across, down = _pair("--screen-resolution", resolution, MOST_PIXELS, "pixels, 1920x1080 for instance")
    return Screen(distance_m, (width, height), (int(across), int(down)))


def _pair(option: str, text: str, most: float, expected: str) -> tuple[float, float]:
    parts = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*[x×,]\s*(\d+(?:\.\d+)?)\s*", text)
    values = [float(part) for part in parts.groups()] if parts else []
    if not values or not all(0 < value <= most for value in values):
        raise UsageError(f"{option}: got {quoted(text)}, expected {expected}")
    return values[0], values[1]


def export_and_print(session: Path, output: Path, to: str, wanted: Wanted) -> Exported:
    """Export and print what was written, and what was not. Raises as ``export_session``."""
    console = make_console()
    with console.status(Text(f"reading {printable(session)}")) as status:
        made = export_session(
            session, output, to, wanted, lambda what: status.update(Text(f"writing {what}"))
        )
    name = f", {made.prefix}" if made.prefix else ""
    console.print(f"{printable(made.folder)}: {to}{name}", soft_wrap=True)
    for text in made.said:
        console.print(f"  {printable(text, 400)}", soft_wrap=True)
    return made
