"""The process that ``overview.py`` starts: everybody's overview, until SIGTERM.

python benchmarks/overview_child.py RESULT.json
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

SIZE = (1600, 900)


def show_overview(result: Path) -> None:
    """The overview as users have it, with a clock at its frames."""
    from PyQt6.QtWidgets import QApplication

    from bci_m2s.panel.app import quit_on_signals
    from bci_m2s.panel.client.everybody import EverybodyClient
    from bci_m2s.panel.look.theme import DARK
    from bci_m2s.panel.overview.window import OverviewWindow

    painted: list[float] = []

    class Timed(OverviewWindow):
        def refresh(self) -> None:
            """As it is, noted."""
            super().refresh()
            painted.append(time.perf_counter())

    application = QApplication(["overview"])
    client = EverybodyClient()
    window = Timed(client, DARK, result.parent)
    window.resize(*SIZE)
    window.show()
    client.start()
    with quit_on_signals():
        application.exec()
    shown = [member for member in client.members.values() if member.is_there]
    answering = sum(answer.shown(0.0).place >= 0 for one in shown for answer in one.lines.values())
    window.shut_down()
    later = painted[len(painted) // 3 :]  # everybody is there then
    frames_hz = (len(later) - 1) / (later[-1] - later[0])
    result.write_text(json.dumps({"frames_hz": frames_hz, "people": len(shown), "answering": answering}))


if __name__ == "__main__":
    show_overview(Path(sys.argv[1]))
