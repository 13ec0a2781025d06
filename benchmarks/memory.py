"""Memory of a headless session beyond what importing torch takes, and of each further participant.

Another process sends a simulated 62-channel headset at 1 kHz and an eye tracker; ``bci-m2s run demo
--headless --output`` runs as users have it, recording too. What a process has in memory is its resident set
by ``/proc``. The reference is an interpreter that has imported torch and nothing else. A part of the
resident set are pages of libraries' files, which processes share and the system takes back when it needs
them; "its own pages" leaves them out.

A further participant has a simulated Muse (4 channels at 256 Hz); a session of several of them, recording
too, against one of one.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bci_m2s.commands.bench.benchmark import Benchmark, Figure, Need, Round, Run, at_most
from bci_m2s.errors import BciM2sError

PROC = Path("/proc/self/status")
START_S = 240.0  # of a busy machine
END_S = 30.0
CLI = (sys.executable, "-m", "bci_m2s")
IMPORTS = "print('ready', flush=True); sys.stdin.read()"
RESIDENT, OWN, HIGHEST = "VmRSS", "RssAnon", "VmHWM"


def measure(run: Run) -> Iterator[Round]:
    """MB in memory, once estimates come."""
    from bci_m2s.sources.sender_process import SenderProcess, SenderSpec

    seconds, people = run.number("seconds"), run.count("people")
    spec = SenderSpec(streams=("eeg", "eye", "markers"), simulated={"seed": 0})
    for number in range(run.rounds):
        folder = run.folder / str(number)
        folder.mkdir()
        run.step("one participant")
        with SenderProcess(spec):
            torch = importing("torch")
            filters = importing("torch, scipy.signal")
            session = running("demo", folder / "demo", [""], seconds)
        run.step(f"1 and {1 + people} participants")
        with muses(1 + people) as names:
            one, all_of_them = (
                running(classroom(folder, names[:n]), folder / str(n), names[:n], seconds)
                for n in (1, len(names))
            )
        yield {
            "a headless session": (session[RESIDENT], torch[RESIDENT]),
            "beyond importing torch": session[RESIDENT] - torch[RESIDENT],
            "beyond importing torch, at its highest": session[HIGHEST] - torch[RESIDENT],
            "beyond importing torch, its own pages": session[OWN] - torch[OWN],
            "of this importing scipy.signal": filters[RESIDENT] - torch[RESIDENT],
            "each further participant": (all_of_them[RESIDENT] - one[RESIDENT]) / people,
        }


def importing(modules: str) -> dict[str, float]:
    """Of an interpreter with these modules."""
    command = [sys.executable, "-c", f"import sys, {modules}; {IMPORTS}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        found = memory_mb(process.pid)
        process.stdin.close()
    return found


def running(pipeline: str, folder: Path, people: Sequence[str], seconds: float) -> dict[str, float]:
    """Of a session in which everybody has had estimates for some seconds. people : their folders"""
    command = [*CLI, "run", pipeline, "--headless", "--output", str(folder)]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    tables = [folder / name / "estimates.csv" for name in people]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment) as process:
        try:
            until_s = time.monotonic() + START_S
            while not all(has_estimates(table) for table in tables):
                if process.poll() is not None or time.monotonic() > until_s:
                    raise BciM2sError("memory: the session gave no estimates")
                time.sleep(0.1)
            time.sleep(seconds)
            return memory_mb(process.pid)
        finally:
            process.terminate()
            process.wait(END_S)


@contextmanager
def muses(people: int) -> Iterator[list[str]]:
    """So many simulated headsets; everybody's id."""
    from bci_m2s.commands.simulate import participant_ids

    command = [*CLI, "simulate", "--montage", "muse", "--no-eye", "--participants", str(people)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            yield participant_ids(people)
        finally:
            process.terminate()
            process.wait(END_S)


def classroom(folder: Path, people: Sequence[str]) -> str:
    """A pipeline of these people."""
    path = folder / f"{len(people)}.yaml"
    streams = 'streams:\n  eeg: {name: "Simulated EEG {id}"}\n'
    text = f"model: muse-4ch\nparticipants: [{', '.join(people)}]\n{streams}"
    path.write_text(text, encoding="utf-8")
    return str(path)


def has_estimates(table: Path) -> bool:
    """Whether rows say ok."""
    return table.is_file() and b",ok," in table.read_bytes()


def memory_mb(pid: int) -> dict[str, float]:
    """Resident set now, its own pages, and the resident set at its highest, by their names in /proc."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return {
        name: int(kb) * 1024 / 1e6
        for name, kb in re.findall(r"^(VmRSS|RssAnon|VmHWM):\s+(\d+) kB", text, re.M)
    }


BENCHMARK = Benchmark(
    name="memory",
    question="How much memory does a headless session take beyond torch, and another person in it?",
    minutes=5,
    figures=(
        Figure("a headless session", "MB", "import torch"),
        Figure("beyond importing torch", "MB", goal=at_most(80, of_ratio=False)),
        Figure("beyond importing torch, at its highest", "MB"),
        Figure("beyond importing torch, its own pages", "MB"),
        Figure("of this importing scipy.signal", "MB"),
        Figure("each further participant", "MB", goal=at_most(15, of_ratio=False)),
    ),
    measure=measure,
    needs=(Need("/proc", "only Linux has it", lambda _peer: PROC.is_file()),),
    rounds=3,
    settings={"seconds": 10.0, "people": 8},
)

if __name__ == "__main__":
    from bci_m2s.commands.bench.script import main

    main(BENCHMARK)
