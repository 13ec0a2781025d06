"""Make ``docs/panel-dark.png`` and ``docs/panel-light.png``: the panel beside two real sessions.

    python docs/make_panel_pictures.py
    python docs/make_panel_pictures.py --to FILE.png --size 1366x768 --theme light --scene troubled --at 47

Without options both pictures are made anew. A simulated person is sent over LSL by another process, the
engine runs headless in a third, and the panel is drawn into memory by this one. In the scene "troubled" the
headset has two bad channels and the eye tracker stops 12 s before the picture is taken.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from bci_m2s.commands.demo import REST_S, SEED, TRIAL_S
from bci_m2s.lsl.configuration import fresh_session, inherit, lsl_on_this_machine
from bci_m2s.simulator.settings import SimulatorSettings
from bci_m2s.sources.simulated import SimulatedSource
from bci_m2s.types import Chunk

HERE = Path(__file__).parent
SUBJECT = 1000
EYE_STOPS_S = 12.0
LONGEST_S = 60.0  # until the session is there
PICTURES = (
    ("panel-dark.png", "dark", (1920, 1080), "sound"),
    ("panel-light.png", "light", (1366, 768), "troubled"),
)
AT_S = 47.0  # when the picture is taken
BAD = {"T8": "flat", "O1": "noisy"}


class Spoiled(SimulatedSource):
    """The simulated headset with two bad channels: one is flat, one noisy."""

    def pull(self, timeout_s: float) -> Chunk:
        """Return the next samples, spoiled."""
        chunk = super().pull(timeout_s)
        samples = np.array(chunk.samples)
        noise = np.random.default_rng(int(1e3 * chunk.times[0]) if len(chunk) else 0)
        for label, state in BAD.items():
            column = self.info.labels.index(label)
            samples[:, column] = noise.normal(0, 900, len(samples)) if state == "noisy" else 0.0
        return Chunk(chunk.times, samples, chunk.received_s)


def send(scene: str) -> None:
    """The sender's process: until it is ended."""
    inherit()
    from bci_m2s.lsl.network import local_clock
    from bci_m2s.sources.sender import Sender
    from bci_m2s.sources.timeline import Timeline

    settings = SimulatorSettings(rest_s=REST_S, trial_s=TRIAL_S, seed=SEED, order="balanced")
    timeline = Timeline(clock=local_clock)
    kinds = {"eeg": Spoiled if scene == "troubled" else SimulatedSource}
    sources = [
        kinds.get(stream, SimulatedSource)(settings, stream, SUBJECT, speed=1.0, timeline=timeline)
        for stream in ("eeg", "markers")
    ]
    eyes = [SimulatedSource(settings, "eye", SUBJECT, speed=1.0, timeline=timeline)]

    with Sender(sources) as rest, Sender(eyes) as eye:
        lasts_s = AT_S - EYE_STOPS_S if scene == "troubled" else None
        looking = threading.Thread(target=eye.run, args=(lasts_s, threading.Event()), daemon=True)
        looking.start()
        rest.run(None, threading.Event())


def take_picture(to: Path, theme: str, size: tuple[int, int], scene: str, at_s: float) -> None:
    """One session from its beginning, and the panel at one moment of it."""
    from PyQt6.QtCore import QSettings, QTimer
    from PyQt6.QtWidgets import QApplication

    from bci_m2s.panel.app import PanelOptions
    from bci_m2s.panel.client.client import SessionClient
    from bci_m2s.panel.window import PanelWindow

    application = QApplication.instance() or QApplication(["panel"])
    python = [sys.executable]
    with tempfile.TemporaryDirectory() as scratch:
        sender = subprocess.Popen([*python, __file__, "--send", scene])
        run = [
            *python,
            "-m",
            "bci_m2s",
            "run",
            "demo",
            "--headless",
            "--output",
            f"{scratch}/sub-01_run-02",
        ]
        engine = subprocess.Popen(run, stdout=subprocess.DEVNULL)
        store = QSettings(f"{scratch}/panel.ini", QSettings.Format.IniFormat)
        client = SessionClient()
        window = PanelWindow(client, store, PanelOptions(theme=theme, session="awaited"), Path(scratch))
        window.resize(*size)
        window.show()
        client.start()
        begun_s = time.monotonic()
        while scene == "sound" and client.facts is None and time.monotonic() < begun_s + LONGEST_S:
            application.processEvents()  # a busy machine takes its time until the session is there
            time.sleep(0.05)
        QTimer.singleShot(round(1000 * (at_s - 12)), lambda: window.mark("coughs"))
        if theme == "light":
            QTimer.singleShot(9000, lambda: window.views.head_map.set_mode("evidence"))
        QTimer.singleShot(round(1000 * at_s), application.quit)
        try:
            application.exec()
            window.messages.dismiss()
            if not window.grab().save(str(to)):
                raise SystemExit(f"{to}: cannot be written")
            print(f"{to}: {size[0]} × {size[1]}, {scene}")
        finally:
            window.close()
            window.shut_down()
            window.deleteLater()
            for child in (engine, sender):
                child.terminate()
            engine.wait(10)
            sender.kill()
            sender.wait(10)


def main() -> None:
    """Make both pictures, or the one that is asked for."""
    parser = argparse.ArgumentParser(description="Pictures of the panel.")
    parser.add_argument("--size", default="")
    parser.add_argument("--theme", default="dark", choices=("dark", "light"))
    parser.add_argument("--scene", default="sound", choices=("sound", "troubled"))
    parser.add_argument("--at", type=float, default=AT_S)
    parser.add_argument("--to", type=Path)
    parser.add_argument("--send", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.send:
        send(options.send)
        return
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with lsl_on_this_machine(), fresh_session():
        if options.to is not None:
            width, _, height = (options.size or "1920x1080").partition("x")
            size = (int(width), int(height))
            take_picture(options.to, options.theme, size, options.scene, options.at)
            return
        for name, theme, size, scene in PICTURES:
            take_picture(HERE / name, theme, size, scene, AT_S)
            time.sleep(3)  # until nobody hears of the first session's streams any more


if __name__ == "__main__":
    main()
