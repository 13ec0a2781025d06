"""The process that ``panel.py`` starts: the panel of the tree on PYTHONPATH, until SIGTERM.

python benchmarks/panel_child.py SESSION_ID RESULT.json
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

SIZE = (1600, 900)


def show_panel(session_id: str, result: Path) -> None:
    """The panel as users have it, with a clock at its frames."""
    from PyQt6.QtCore import QSettings
    from PyQt6.QtWidgets import QApplication

    from bci_m2s.panel.app import PanelOptions, quit_on_signals
    from bci_m2s.panel.client.client import SessionClient
    from bci_m2s.panel.presenter import Presenter
    from bci_m2s.panel.window import PanelWindow

    begun: list[float] = []
    plain = Presenter.frame

    def timed(self: Presenter) -> None:
        begun.append(time.perf_counter())
        plain(self)

    Presenter.frame = timed  # type: ignore[method-assign]
    application = QApplication(["panel"])
    store = QSettings(str(result.with_suffix(".ini")), QSettings.Format.IniFormat)
    client = SessionClient(session_id)
    window = PanelWindow(client, store, PanelOptions(session=session_id), result.parent)
    window.resize(*SIZE)
    window.show()
    client.start()
    with quit_on_signals():
        application.exec()
    shown = list(client.readers.values())
    drawn = {
        "received": sum(reader.received for reader in shown),
        "dropped": sum(reader.dropped for reader in shown),
    }
    window.shut_down()
    intervals_ms = 1e3 * np.diff(np.array(begun)[len(begun) // 3 :])  # the last part: all is open then
    p50, p99 = np.percentile(intervals_ms, [50, 99])
    frames = {"frames_hz": 1e3 / intervals_ms.mean(), "frame_p50_ms": p50, "frame_p99_ms": p99}
    result.write_text(json.dumps({**frames, **drawn}))


if __name__ == "__main__":
    show_panel(sys.argv[1], Path(sys.argv[2]))
