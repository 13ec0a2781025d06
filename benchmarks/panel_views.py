"""What each view of the panel costs alone, beside the same view of another tree, in one run.

    git worktree add ../before COMMIT
    python benchmarks/panel_views.py [VIEW ...] --against ../before

Every turn is a process of its own: the view, fed with made-up values as a session would feed it, is drawn
into memory, while a timer runs at the panel's frame rate. ``empty`` is that process without a view. Whose
turn is first changes from round to round. ``traces`` needs no other tree: its other side is the same sweep
of 62 channels at 1 kHz with one ``PlotCurveItem`` of pyqtgraph per channel.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bci_m2s.commands.bench.machine import describe, load_now, load_warning, machine

FRAME_MS = 31
FEED_S = 0.25
WARM_UP_S = 2.0
CLASSES = ("negative", "neutral", "positive")
PLACES = {"negative": (-0.7, 0.3), "neutral": (0.0, 0.0), "positive": (0.7, 0.4)}
N_CHANNELS, RATE_HZ, SPAN_S = 62, 1000.0, 10.0
Feed = Callable[[float], None]


# ---- the views, each as (widget, what is called four times per second) ----


def make_empty() -> tuple[Any, tuple[int, int], Feed]:
    """No view: what the process itself takes."""
    from PyQt6.QtWidgets import QWidget

    return QWidget(), (300, 200), lambda _: None


def make_timeline() -> tuple[Any, tuple[int, int], Feed]:
    """Half an hour of a session, then four estimates per second."""
    from bci_m2s.panel.look.theme import DARK
    from bci_m2s.panel.timeline.timeline import TimelineView

    view, rng = TimelineView(DARK), np.random.default_rng(0)
    view.set_heads({"emotion": CLASSES})
    begun_s = time.perf_counter() - 1800
    view.set_session(begun_s)
    for t_s in np.arange(0, 1800, FEED_S).tolist():
        view.add("emotion", begun_s + t_s, None if 900 < t_s < 1000 else rng.dirichlet((1, 1, 1)), "gap")
    for number in range(40):
        view.add_marker(begun_s + 40 * number, f"trial {number}")

    def feed(now_s: float) -> None:
        view.add("emotion", now_s, rng.dirichlet((1, 1, 1)))
        view.tick(now_s)

    return view, (1590, 150), feed


def make_plane() -> tuple[Any, tuple[int, int], Feed]:
    """A full trail of one minute, then four points per second."""
    from bci_m2s.panel.answer.plane import PlaneView
    from bci_m2s.panel.look.theme import DARK

    view, rng = PlaneView(DARK), np.random.default_rng(0)
    view.set_coordinates(PLACES)

    def add(stamp_s: float) -> None:
        view.add(stamp_s, *(0.5 * np.sin(stamp_s / 3 + np.array([0.0, 1.0])) + rng.normal(0, 0.1, 2)))

    for before_s in np.arange(60, 0, -FEED_S).tolist():
        add(time.perf_counter() - before_s)

    def feed(now_s: float) -> None:
        add(now_s)
        view.tick(now_s)

    return view, (300, 330), feed


def make_sparkline() -> tuple[Any, tuple[int, int], Feed]:
    """Two minutes of values, then four per second."""
    from bci_m2s.panel.answer.sparkline import Sparkline
    from bci_m2s.panel.look.theme import DARK

    view, rng = Sparkline(DARK, "age", "ms"), np.random.default_rng(0)
    for before_s in np.arange(120, 0, -FEED_S).tolist():
        view.add(time.perf_counter() - before_s, rng.gamma(3, 3))

    def feed(now_s: float) -> None:
        view.add(now_s, rng.gamma(3, 3))
        view.tick(now_s)

    return view, (210, 100), feed


def make_head() -> tuple[Any, tuple[int, int], Feed]:
    """A map of 62 channels, another one once per second."""
    from bci_m2s.panel.head.topography import TopographyView
    from bci_m2s.panel.look.theme import DARK
    from bci_m2s.simulator.devices import SEED_62

    view, rng = TopographyView(DARK), np.random.default_rng(0)
    view.set_montage(SEED_62)
    turn = iter(range(1 << 30))

    def feed(now_s: float) -> None:
        del now_s
        if next(turn) % round(1 / FEED_S) == 0:
            view.show_power(rng.normal(5, 3, (len(SEED_62), 5)))

    return view, (330, 330), feed


def make_bars() -> tuple[Any, tuple[int, int], Feed]:
    """The estimate with its bars, another one four times per second."""
    from bci_m2s.panel.answer.answer import AnswerView
    from bci_m2s.panel.client.answers import Answer
    from bci_m2s.panel.look.theme import DARK
    from bci_m2s.types import Status

    view, rng = AnswerView(DARK), np.random.default_rng(0)
    view.set_heads({"emotion": CLASSES})

    def feed(now_s: float) -> None:
        shares = rng.dirichlet((1, 1, 1))
        view.show_answer("emotion", Answer("emotion", "eeg", now_s, shares, shares.max(), 6.0, Status.OK))
        view.tick(now_s)

    return view, (610, 340), feed


class CurveSweep:
    """A sweep of all channels with pyqtgraph alone: one ``PlotCurveItem`` per channel, NaN at the cursor.

    As an experienced user would do it: least and largest value of each 10 ms, thin pens, no antialiasing.
    """

    PER_COLUMN = 10

    def __init__(self) -> None:
        import pyqtgraph as pg

        self.widget = pg.PlotWidget(background="#151A21")
        self.widget.setYRange(0, N_CHANNELS)
        self.widget.setXRange(0, SPAN_S)
        self.widget.hideButtons()
        self._columns = round(SPAN_S * RATE_HZ / self.PER_COLUMN)
        self._values = np.full((self._columns, 2, N_CHANNELS), np.nan, dtype=np.float32)
        self._times = np.repeat(np.arange(self._columns) * self.PER_COLUMN / RATE_HZ, 2)
        self._rest = np.zeros((0, N_CHANNELS), dtype=np.float32)
        self._next = 0
        self._curves = [pg.PlotCurveItem(pen="#C9D4E0", antialias=False) for _ in range(N_CHANNELS)]
        for curve in self._curves:
            self.widget.addItem(curve)

    def push(self, samples: np.ndarray) -> None:
        """Write samples (n, channels) over the oldest ones, and empty what is ahead of the cursor."""
        samples = np.concatenate((self._rest, samples))
        whole = len(samples) // self.PER_COLUMN
        self._rest = samples[whole * self.PER_COLUMN :]
        parts = samples[: whole * self.PER_COLUMN].reshape(whole, self.PER_COLUMN, N_CHANNELS)
        parts = parts[-self._columns :] / 200 + 0.5 + np.arange(N_CHANNELS)
        places = (self._next + np.arange(len(parts))) % self._columns
        self._values[places] = np.stack((parts.min(axis=1), parts.max(axis=1)), axis=1)
        self._next = (self._next + len(parts)) % self._columns
        self._values[(self._next + np.arange(10)) % self._columns] = np.nan

    def frame(self) -> None:
        """Show what came."""
        rows = np.ascontiguousarray(self._values.reshape(-1, N_CHANNELS).T)
        for curve, row in zip(self._curves, rows, strict=True):
            curve.setData(self._times, row, connect="finite")


def make_traces(with_curves: bool) -> tuple[Any, tuple[int, int], Feed]:
    """62 channels at 1 kHz; fed and drawn at every frame."""
    from bci_m2s.panel.client.facts import ShownStream
    from bci_m2s.panel.look.theme import DARK
    from bci_m2s.panel.traces.channel_rows import ChannelRows
    from bci_m2s.panel.traces.sweep_view import SweepView
    from bci_m2s.simulator.devices import SEED_62

    noise = np.random.default_rng(0).normal(0, 30, (round(SPAN_S * RATE_HZ), N_CHANNELS)).astype(np.float32)
    begun_s, pushed = time.perf_counter() - SPAN_S, 0

    def newest(now_s: float) -> tuple[np.ndarray, np.ndarray]:
        nonlocal pushed
        due = round((now_s - begun_s) * RATE_HZ)
        numbers = np.arange(pushed, due)
        pushed = due
        return begun_s + numbers / RATE_HZ, noise[numbers % len(noise)]

    if with_curves:
        sweep = CurveSweep()

        def feed_curves(now_s: float) -> None:
            sweep.push(newest(now_s)[1])
            sweep.frame()

        return sweep.widget, (1000, 480), feed_curves
    view = SweepView(DARK, ChannelRows, ShownStream("eeg", "EEG", RATE_HZ, SEED_62, ("uV",) * N_CHANNELS))

    def feed(now_s: float) -> None:
        view.push(*newest(now_s))
        view.frame(now_s)

    return view, (1000, 480), feed


VIEWS: dict[str, Callable[[], tuple[Any, tuple[int, int], Feed]]] = {
    "empty": make_empty,
    "timeline": make_timeline,
    "plane": make_plane,
    "sparkline": make_sparkline,
    "head": make_head,
    "bars": make_bars,
    "traces": lambda: make_traces(with_curves=False),
    "curves": lambda: make_traces(with_curves=True),
}
EVERY_FRAME = ("traces", "curves")


def show(name: str, seconds: float) -> dict[str, float]:
    """The child: one view, drawn and fed for some seconds; CPU of a core and frames per second."""
    from PyQt6.QtCore import Qt, QTimer
    from PyQt6.QtWidgets import QApplication

    from bci_m2s.panel.look import theme

    application = QApplication(["view"])
    theme.apply(application, theme.DARK)
    view, size, feed = VIEWS[name]()
    view.resize(*size)
    view.show()
    begun: list[float] = []
    spent = [0.0]
    fed_s = [0.0]

    def frame() -> None:
        now_s = time.perf_counter()
        if name in EVERY_FRAME or now_s - fed_s[0] >= FEED_S:
            fed_s[0] = now_s
            feed(now_s)
        begun.append(now_s)

    def start() -> None:
        begun.clear()
        spent[0] = time.process_time()

    timer = QTimer(timerType=Qt.TimerType.PreciseTimer)
    timer.timeout.connect(frame)
    timer.start(FRAME_MS)
    QTimer.singleShot(round(1e3 * WARM_UP_S), start)
    QTimer.singleShot(round(1e3 * (WARM_UP_S + seconds)), application.quit)
    application.exec()
    spent_s = time.process_time() - spent[0]
    lasted_s = begun[-1] - begun[0]
    return {"cpu": spent_s / lasted_s, "frames_hz": (len(begun) - 1) / lasted_s}


def measure(name: str, tree: Path, seconds: float) -> dict[str, float]:
    """One turn: the view of a tree, in a process of its own."""
    command = [sys.executable, __file__, "--show", name, "--seconds", f"{seconds:g}"]
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "PYTHONPATH": str(tree)}
    found = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    result: dict[str, float] = json.loads(found.stdout.splitlines()[-1])
    return result


def compare(name: str, sides: dict[str, tuple[str, Path]], rounds: int, seconds: float) -> None:
    """Let the sides take turns; print the median of the rounds, and the lowest and highest."""
    results: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
    for number in range(rounds):
        for side in list(sides) if number % 2 else reversed(list(sides)):
            results[side].append(measure(*sides[side], seconds))
    for side, turns in results.items():
        cpu = [100 * turn["cpu"] for turn in turns]
        frames = np.median([turn["frames_hz"] for turn in turns])
        print(f"{name:<12}{side:<16}{np.median(cpu):>8.1f} ({min(cpu):.1f}–{max(cpu):.1f}){frames:>10.1f}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, measure, print."""
    here = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description="What each view of the panel costs alone.")
    parser.add_argument("views", nargs="*", default=[name for name in VIEWS if name != "curves"])
    parser.add_argument("--against", type=Path, help="folder of another tree of bci_m2s")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--show", default="", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.show:
        print(json.dumps(show(options.show, options.seconds)))
        return
    loads = [load_now()]
    print(describe(machine()))
    print(f"{options.rounds} rounds of {options.seconds:g} s per side, in turn\n")
    print(f"{'view':<12}{'side':<16}{'CPU % of a core':>20}{'frames/s':>10}")
    for name in options.views:
        sides = {"this tree": (name, here)}
        if name == "traces":
            sides["pyqtgraph"] = ("curves", here)
        elif options.against is not None and name != "empty":
            sides[options.against.name] = (name, options.against.resolve())
        compare(name, sides, options.rounds, options.seconds)
        loads.append(load_now())
    print(f"\nload {min(loads):.1f}–{max(loads):.1f}")
    if warning := load_warning(max(loads)):
        print(warning)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
