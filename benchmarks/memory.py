"""Memory of a headless session with one participant, beyond what importing torch takes.

Another process sends a simulated 62-channel headset at 1 kHz and an eye tracker; ``bci-m2s run demo
--headless --output`` runs as users have it, recording too. What a process has in memory is its resident set
by ``/proc``. The reference is an interpreter that has imported torch and nothing else.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bci_m2s.commands.bench.benchmark import Benchmark, Figure, Need, Round, Run, at_most
from bci_m2s.errors import BciM2sError

PROC = Path("/proc/self/status")
START_S = 240.0  # of a busy machine
END_S = 30.0
TORCH = "import torch, sys; print('ready', flush=True); sys.stdin.read()"


def measure(run: Run) -> Iterator[Round]:
    """MB in memory, once estimates come."""
    from bci_m2s.sources.sender_process import SenderProcess, SenderSpec

    spec = SenderSpec(streams=("eeg", "eye", "markers"), simulated={"seed": 0})
    with SenderProcess(spec):
        for number in range(run.rounds):
            torch_mb = with_torch_mb()
            session_mb, peak_mb = session(run.folder / str(number), run.number("seconds"))
            yield {
                "a headless session": (session_mb, torch_mb),
                "beyond importing torch": session_mb - torch_mb,
                "beyond importing torch, at its highest": peak_mb - torch_mb,
            }


def with_torch_mb() -> float:
    """Of an interpreter with torch."""
    command = [sys.executable, "-c", TORCH]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        found = memory_mb(process.pid)["VmRSS"]
        process.stdin.close()
    return found


def session(folder: Path, seconds: float) -> tuple[float, float]:
    """Now and at its highest, of a session that has had estimates for some seconds."""
    command = [sys.executable, "-m", "bci_m2s", "run", "demo", "--headless", "--output", str(folder)]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment) as process:
        try:
            until_s = time.monotonic() + START_S
            while not has_estimates(folder / "estimates.csv"):
                if process.poll() is not None or time.monotonic() > until_s:
                    raise BciM2sError("memory: the session gave no estimates")
                time.sleep(0.1)
            time.sleep(seconds)
            found = memory_mb(process.pid)
        finally:
            process.terminate()
            process.wait(END_S)
    return found["VmRSS"], found["VmHWM"]


def has_estimates(table: Path) -> bool:
    """Whether rows say ok."""
    return table.is_file() and b",ok," in table.read_bytes()


def memory_mb(pid: int) -> dict[str, float]:
    """Resident set now (VmRSS) and at its highest (VmHWM)."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return {
        name: int(kb) * 1024 / 1e6 for name, kb in re.findall(r"^(VmRSS|VmHWM):\s+(\d+) kB", text, re.M)
    }


BENCHMARK = Benchmark(
    name="memory",
    question="How much memory does a headless session take, beyond importing torch?",
    minutes=2,
    figures=(
        Figure("a headless session", "MB", "import torch"),
        Figure("beyond importing torch", "MB", goal=at_most(80, of_ratio=False)),
        Figure("beyond importing torch, at its highest", "MB"),
    ),
    measure=measure,
    needs=(Need("/proc", "only Linux has it", lambda _peer: PROC.is_file()),),
    rounds=3,
    settings={"seconds": 10.0},
)

if __name__ == "__main__":
    from bci_m2s.commands.bench.script import main

    main(BENCHMARK)
