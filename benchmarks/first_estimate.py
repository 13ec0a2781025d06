"""How long `bci-m2s demo` takes from the key press to its first estimate, and where the time goes.

    python benchmarks/first_estimate.py [--rounds 3] [--panel]

Each round starts the command anew, in an empty folder, and ends it at its first estimate. The best round
counts: others on the machine only ever add.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import IO

from machine import describe_machine, load_now, load_warning

LIMIT_S = 120.0
LINES = {
    "main entered": "bci_m2s demo",
    "sender ready, file read": "pipeline demo.yaml",
    "streams connected": "markers: ",
    "session prepared": "baseline of ",
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--panel", action="store_true", help="with the panel, drawn to memory")
    options = parser.parse_args()
    rounds = []
    for number in range(options.rounds):
        rounds.append(measure(options.panel))
        took = ", ".join(f"{name} {value:.2f}" for name, value in rounds[-1].items())
        print(f"round {number + 1}: {took} s", flush=True)
    best = min(rounds, key=lambda one: one["first estimate"])
    load = load_now()
    print(f"{describe_machine()}, load {load:.1f}", load_warning(load), sep="\n")
    print(f"best of {len(rounds)}, s since the key press:")
    for name, value in best.items():
        print(f"  {name:24} {value:6.2f}")


def measure(panel: bool) -> dict[str, float]:
    """One start. Returns seconds since the command was started by what was reached, and the CPU seconds."""
    with tempfile.TemporaryDirectory(prefix="bci_m2s-first-") as folder:
        out = Path(folder) / "out"
        command = [sys.executable, "-m", "bci_m2s", "demo", "--duration", "0", "--no-record"]
        command += ["--output", str(out), *(() if panel else ("--headless",))]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "200"}
        if panel:
            environment["QT_QPA_PLATFORM"] = "offscreen"
        begun_s = time.monotonic()
        reached: dict[str, float] = {}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
            assert process.stdout is not None
            lines = process.stdout
            reader = threading.Thread(target=note_lines, args=(lines, begun_s, reached), daemon=True)
            reader.start()
            try:
                while not has_estimate(out / "estimates.csv"):
                    if process.poll() is not None or time.monotonic() > begun_s + LIMIT_S:
                        sys.exit("the demo gave no estimate")
                    time.sleep(0.02)
                reached["first estimate"] = time.monotonic() - begun_s
                cpu_s = cpu_of(process.pid)
            finally:
                process.terminate()
            reader.join()
        return {**reached, "CPU of all processes": cpu_s}


def note_lines(lines: IO[str], begun_s: float, reached: dict[str, float]) -> None:
    """Note when each of LINES came, until the output ends."""
    for line in lines:
        for name, begin in LINES.items():
            if line.startswith(begin):
                reached.setdefault(name, time.monotonic() - begun_s)


def has_estimate(path: Path) -> bool:
    """Whether a row of the table is an estimate."""
    if not path.is_file():
        return False
    with path.open(newline="", encoding="utf-8") as file:
        return any(row["status"] == "ok" for row in csv.DictReader(file))


def cpu_of(pid: int) -> float:
    """CPU seconds of a process and of those that it started and that still run; NaN but on Linux."""
    stats = Path(f"/proc/{pid}/stat")
    if not stats.is_file():
        return float("nan")
    fields = stats.read_text().rpartition(")")[2].split()
    used_s = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    children = {
        child
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    }
    return used_s + sum(cpu_of(int(child)) for child in children)


if __name__ == "__main__":
    main()
