"""What the panel takes, and what it costs the engine beside it, in one run.

Another process sends a simulated 62-channel headset at 1 kHz and an eye tracker; the live engine runs the
demo's pipeline on both, with its outlets. In turn the panel is open beside it, as a process of its own that
draws into memory at 1600 × 900 and needs no display, or it is not. Whose turn is first changes from round
to round. ``panel_views.py`` measures the views one by one.

``--set against=FOLDER`` names another tree of bci_m2s, ``git worktree add`` makes one: its panel then
takes turns with this one's, beside this tree's engine. ``--peer`` names a Python that has mne-lsl; its
viewer then shows the same headset. It needs a display, Xvfb for instance.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import bci_m2s
from bci_m2s.commands.bench.benchmark import Benchmark, Figure, Need, Round, Run, at_most, package
from bci_m2s.errors import BciM2sError
from bci_m2s.lsl.configuration import OWN

if TYPE_CHECKING:
    from live import Studio

HERE = Path(__file__).resolve().parent
PACKAGE = Path(bci_m2s.__file__).resolve().parents[1]
OPEN_S = 5.0  # until the panel has opened
END_S = 10.0
ALONE, OPEN, OTHER = "engine alone", "panel open", "another tree's panel"
VIEWER = "CPU, against mne-lsl's viewer"


def measure(run: Run) -> Iterator[Round]:
    """Ages in ms, CPU in % of a core, frames."""
    from live import Studio

    trees: dict[str, Path | None] = {ALONE: None, OPEN: PACKAGE}
    if against := str(run.settings["against"]):
        trees[OTHER] = Path(against).resolve()
    seconds = run.number("seconds")
    with Studio() as studio:
        for number in range(run.rounds):
            ways = list(trees) if number % 2 else list(trees)[::-1]
            turns = {way: one_turn(studio, trees[way], seconds) for way in ways}
            viewer = None
            if run.peer:
                viewer = viewer_cpu(run.peer, studio.sender.infos[0].name, seconds)
            yield figures(turns, viewer)


def figures(turns: dict[str, dict[str, float]], viewer: float | None) -> Round:
    """One round as the table has it."""
    ours, alone = turns[OPEN], turns[ALONE]
    found: dict[str, float | tuple[float, float]] = {
        "age of estimates, p50": (ours["p50"], alone["p50"]),
        "age of estimates, p99": (ours["p99"], alone["p99"]),
        "frames": ours["frames_hz"],
    }
    for name, key in (("CPU", "cpu"), ("frame, p50", "frame_p50_ms"), ("frame, p99", "frame_p99_ms")):
        found[name] = (ours[key], turns[OTHER][key]) if OTHER in turns else ours[key]
    if viewer is not None:
        found[VIEWER] = ours["cpu"], viewer
    return found


def one_turn(studio: Studio, tree: Path | None, seconds: float) -> dict[str, float]:
    """One session of `seconds` of full windows: ages; CPU and frames of a tree's panel, if any."""
    found: dict[str, float] = {}
    with studio.session(evidence=True) as live, tempfile.TemporaryDirectory() as scratch:
        result = Path(scratch) / "frames.json"
        child = start_child(live.session_id, result, tree) if tree is not None else None
        live.engine.wait(OPEN_S)
        before = cpu_s(child) if child else 0.0
        live.measure(seconds)
        if child is not None:
            found["cpu"] = 100 * (cpu_s(child) - before) / seconds
            child.send_signal(signal.SIGTERM)
            child.wait(END_S)
            found |= json.loads(result.read_text())
        ages_ms = live.ages.ages_ms()
    p50, p99 = np.percentile(ages_ms, [50, 99])
    return {"p50": float(p50), "p99": float(p99), **found}


def start_child(session_id: str, result: Path, tree: Path) -> subprocess.Popen[bytes]:
    """The panel of a tree in a process of its own, see ``panel_child``."""
    command = [sys.executable, str(HERE / "panel_child.py"), session_id, str(result)]
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "PYTHONPATH": str(tree)}
    return subprocess.Popen(command, env=environment)


def cpu_s(process: subprocess.Popen[bytes]) -> float:
    """CPU time that a process and its children have taken."""
    import psutil

    one = psutil.Process(process.pid)
    return sum(sum(each.cpu_times()[:2]) for each in (one, *one.children(recursive=True)))


def viewer_cpu(python: str, stream: str, seconds: float) -> float:
    """CPU of mne-lsl's viewer on the headset, in % of a core. It gets our liblsl: its own saw no stream."""
    import pylsl.lib

    command = [str(Path(python).with_name("mne-lsl")), "viewer", "--stream", stream]
    environment = {key: value for key, value in os.environ.items() if key not in ("QT_QPA_PLATFORM", OWN)}
    environment["MNE_LSL_LIB"] = pylsl.lib.lib._name
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    try:
        time.sleep(OPEN_S)
        before = cpu_s(child)
        time.sleep(seconds)
        if child.poll() is not None:
            raise BciM2sError(f"panel: {command[0]} ended with status {child.returncode}")
        return 100 * (cpu_s(child) - before) / seconds
    finally:
        child.terminate()
        with suppress(subprocess.TimeoutExpired):
            child.wait(END_S)


BENCHMARK = Benchmark(
    name="panel",
    question="What does the panel take at 62 channels and 1 kHz, and what does it cost the engine?",
    minutes=4,
    figures=(
        Figure("CPU", "% of a core", "another tree's panel", at_most(15, of_ratio=False)),
        Figure("frame, p50", "ms", "another tree's panel"),
        Figure("frame, p99", "ms", "another tree's panel", at_most(40, of_ratio=False)),
        Figure("frames", "per second"),
        Figure("age of estimates, p50", "ms", "no panel"),
        Figure("age of estimates, p99", "ms", "no panel", at_most(1.2)),
        Figure(VIEWER, "% of a core", "mne-lsl's viewer, 800 × 500"),
    ),
    measure=measure,
    needs=(
        package("psutil", "pip install psutil"),
        Need(
            "mne-lsl and a display",
            "--peer other/bin/python of an environment that has mne-lsl, under Xvfb",
            lambda peer: bool(peer and os.environ.get("DISPLAY")),
            (VIEWER,),
        ),
    ),
    rounds=3,
    settings={"seconds": 20.0, "against": ""},
)

if __name__ == "__main__":
    from bci_m2s.commands.bench.script import main

    main(BENCHMARK)
