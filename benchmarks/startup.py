"""How long users wait: for help, until ``run`` has its streams, for the first estimate of ``demo``.

Each command is started anew in each round, as users start it; the demo in an empty folder, and it is ended
at its first estimate. ``run`` has a sender that is there already. References: an interpreter that does
nothing, one that imports torch, and for the demo what it must wait for anyway, its baseline and a window.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from bci_m2s.commands.bench.benchmark import Benchmark, Figure, Round, Run, at_most
from bci_m2s.errors import BciM2sError

LIMIT_S = 240.0  # of a busy machine
CLI = (sys.executable, "-m", "bci_m2s")
LINES = {  # of the demo, by how they begin
    "demo: main entered": "bci_m2s demo",
    "demo: sender ready, file read": "pipeline demo.yaml",
    "demo: streams connected": "markers: ",
    "demo: session prepared": "baseline of ",
}
STREAMS_OPEN = "markers: "
FIRST = "demo: first estimate"


def measure(run: Run) -> Iterator[Round]:
    """Seconds since each command was started."""
    from bci_m2s.sources.sender_process import SenderProcess, SenderSpec

    anyway_s = least_s()
    for number in range(run.rounds):
        run.step("run")
        with SenderProcess(SenderSpec(streams=("eeg", "eye", "markers"), simulated={"seed": 0})):
            torch_s = seconds_of(sys.executable, "-c", "import torch")
            opened_s = until_streams_open(run.folder / f"run-{number}")
        run.step("demo")
        reached = demo(run.folder / f"demo-{number}", bool(run.count("panel")))
        first_s = reached.pop(FIRST)
        yield {
            "--help": (seconds_of(*CLI, "--help"), seconds_of(sys.executable, "-c", "pass")),
            "run: streams open": (opened_s, torch_s),
            **reached,
            FIRST: (first_s, anyway_s),
        }


def seconds_of(*command: str) -> float:
    """Of a command that ends by itself."""
    begun_s = time.monotonic()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - begun_s


def least_s() -> float:
    """Rest of the demo's baseline: less no demo can take."""
    from bci_m2s.session.setup import build

    spec = build.make_plan("demo").contract.modalities["eeg"]
    return float(str(spec.normaliser.params["duration_s"]))


@contextmanager
def started(*command: str, panel: bool = False) -> Iterator[subprocess.Popen[str]]:
    """A command under way, which is ended afterwards."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "200"}
    if panel:
        environment["QT_QPA_PLATFORM"] = "offscreen"
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            yield process
        finally:
            process.terminate()


def until_streams_open(out: Path) -> float:
    """Of a session on streams that are there."""
    begun_s = time.monotonic()
    reached: dict[str, float] = {}
    with started(*CLI, "run", "demo", "--headless", "--output", str(out)) as process:
        assert process.stdout is not None
        note_lines(process.stdout, begun_s, reached, {"open": STREAMS_OPEN}, until="open")
        process.terminate()
        process.stdout.read()
    if "open" not in reached:
        raise BciM2sError("startup: run opened no streams")
    return reached["open"]


def demo(out: Path, panel: bool) -> dict[str, float]:
    """Seconds by what was reached."""
    view = () if panel else ("--headless",)
    begun_s = time.monotonic()
    reached: dict[str, float] = {}
    command = (*CLI, "demo", "--duration", "0", "--no-record", "--output", str(out), *view)
    with started(*command, panel=panel) as process:
        assert process.stdout is not None
        arguments = (process.stdout, begun_s, reached, LINES)
        reader = threading.Thread(target=note_lines, args=arguments, daemon=True)
        reader.start()
        while not has_estimate(out / "estimates.csv"):
            if process.poll() is not None or time.monotonic() > begun_s + LIMIT_S:
                raise BciM2sError("startup: the demo gave no estimate")
            time.sleep(0.02)
        first_s = time.monotonic() - begun_s
        process.terminate()
        reader.join()
    return {**reached, FIRST: first_s}


def note_lines(
    lines: IO[str], begun_s: float, reached: dict[str, float], wanted: dict[str, str], until: str = ""
) -> None:
    """Note when each wanted line came, to the end of the output or until one has come."""
    for line in lines:
        for name, begin in wanted.items():
            if line.startswith(begin):
                reached.setdefault(name, time.monotonic() - begun_s)
        if until in reached:
            return


def has_estimate(path: Path) -> bool:
    """Whether a row of the table is an estimate."""
    if not path.is_file():
        return False
    with path.open(newline="", encoding="utf-8") as file:
        return any(row["status"] == "ok" for row in csv.DictReader(file))


BENCHMARK = Benchmark(
    name="startup",
    question="How long do users wait for help, for open streams, and for the demo's first estimate?",
    minutes=2,
    figures=(
        Figure("--help", "s", "an interpreter that does nothing", at_most(0.2, of_ratio=False)),
        Figure("run: streams open", "s", "import torch", at_most(3, of_ratio=False)),
        *(Figure(name, "s") for name in LINES),
        Figure(FIRST, "s", "the rest of its baseline", at_most(12, of_ratio=False)),
    ),
    measure=measure,
    rounds=3,
    settings={"panel": 0},
)

if __name__ == "__main__":
    from bci_m2s.commands.bench.script import main

    main(BENCHMARK)
