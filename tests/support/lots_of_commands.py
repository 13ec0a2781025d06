"""A program: lots of commands of the CLI in one process, each as if it had been started by itself.

Its argument, as JSON: lists of commands. Each lot begins with bci_m2s and the example to be imported,
as in a process of its own; what they need is not imported again: torch takes longer than all the commands.
Nothing is drawn. ``PARTED`` is printed before each command.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

PARTED = "=== next command ==="
OWN = ("bci_m2s", "bci_m2s_example")


def run(lots: Sequence[Sequence[str]]) -> None:
    """Run them all; AssertionError where one fails."""
    for lot in lots:
        for name in [name for name in sys.modules if name.partition(".")[0] in OWN]:
            del sys.modules[name]
        from bci_m2s.commands.cli import app
        from bci_m2s.training.results import report

        report._draw = report.draw_confusions = lambda *_: None
        for command in lot:
            print(PARTED, flush=True)
            assert not app(command.split(), standalone_mode=False), command


if __name__ == "__main__":
    run(json.loads(sys.argv[1]))
