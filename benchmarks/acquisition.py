"""Age of the newest sample when an application gets it, and what that costs, over real LSL.

One process sends 62 channels at 1 kHz. Each sample is stamped with the LSL clock at its push, so its age
is the time since then: liblsl at both ends, loopback, and the receiver.
Receivers take turns, each in a process of its own, all on this one source (A B C A B C ...):

- pylsl: the floor. A thread blocks in ``pull_chunk(dest_obj=, min_samples=1)``, nothing else.
- bci_m2s: the live engine with all its threads. Its reader pulls with ``LslSource`` and writes the
  ring; the age is taken where the inference thread hands the samples of its cursor to the pipeline. Once
  with the ring of 30 s that sessions have, once with one of ``buffer`` seconds.
- mne-lsl: ``StreamLSL(bufsize=4).connect(acquisition_delay=0.001)``, asked every millisecond for new
  samples and read with ``get_data``. Only with ``--peer``, an interpreter that has mne-lsl, since two
  builds of liblsl must not share a process.

CPU is user and system time of the whole receiving process.
"""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bci_m2s.commands.bench.benchmark import Benchmark, Figure, Goal, Need, Round, Run, at_most
from bci_m2s.errors import BciM2sError

ROLES = str(Path(__file__).with_name("acquisition_roles.py"))
TURN_LIMIT_S = 120.0  # imports, finding the stream and connecting, beside what is measured
KEYS = {"p50": "p50_ms", "p95": "p95_ms", "CPU": "cpu_share"}
OURS, LARGE, FLOOR, PEER = "bci_m2s", "bci_m2s-buffer", "pylsl", "mne-lsl"
AGAINST = {FLOOR: "pylsl", LARGE: "a ring of 30 s", PEER: "mne-lsl"}

Turn = dict[str, float]


def measure(run: Run) -> Iterator[Round]:
    """Ages in ms and CPU of a core, ours and each other's, of one round of turns."""
    name = f"benchmark-{uuid.uuid4().hex[:8]}"
    with sender_process(run, name):
        for _ in range(run.rounds):
            turns = {FLOOR: turn(run, FLOOR, name), OURS: turn(run, OURS, name)}
            turns[LARGE] = turn(run, LARGE, name)
            if run.peer:
                turns[PEER] = turn(run, PEER, name)
            yield figures(turns)


def figures(turns: dict[str, Turn]) -> Round:
    """One round as the table has it."""
    found: dict[str, float | tuple[float, float]] = {}
    for label, key in KEYS.items():
        for other in (FLOOR, PEER) if PEER in turns else (FLOOR,):
            found[title(label, other)] = turns[OURS][key], turns[other][key]
        found[title(label, LARGE)] = turns[LARGE][key], turns[OURS][key]
    found["samples lost"] = turns[OURS]["lost"] + turns[LARGE]["lost"]
    return found


def title(label: str, other: str) -> str:
    """Name of a figure."""
    what = f"age, {label}" if label != "CPU" else label
    return f"{what}, with a long buffer" if other == LARGE else f"{what}, against {other}"


@contextmanager
def sender_process(run: Run, name: str) -> Iterator[None]:
    """A sender that ends with this process, however that ends: its standard input closes."""
    command = [sys.executable, ROLES, "sender", "--name", name]
    for setting in ("channels", "rate", "per_push"):
        command += [f"--{setting.replace('_', '-')}", str(run.settings[setting])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as sender:
        assert sender.stdin is not None
        assert sender.stdout is not None
        if sender.stdout.readline().strip() != "sending":
            raise BciM2sError("acquisition: the sender did not start")
        yield
        if sender.poll() is not None:
            raise BciM2sError(f"acquisition: the sender ended by itself, with status {sender.returncode}")
        sender.stdin.close()


def turn(run: Run, receiver: str, name: str) -> Turn:
    """One turn of one receiver, in its own process."""
    run.step(receiver)
    seconds = run.number("seconds")
    python = run.peer if receiver == PEER else sys.executable
    role, ring_s = (OURS, run.number("buffer")) if receiver == LARGE else (receiver, 0.0)
    command = [python, ROLES, role, "--name", name, "--seconds", str(seconds), "--ring", str(ring_s)]
    limit_s = seconds + TURN_LIMIT_S
    done = subprocess.run(command, capture_output=True, text=True, timeout=limit_s, check=False)
    if done.returncode:
        raise BciM2sError(f"acquisition: {receiver} failed: {done.stderr.strip().splitlines()[-1]}")
    found: Turn = json.loads(done.stdout.splitlines()[-1])
    return found


def has_mne_lsl(python: str) -> bool:
    """Whether an interpreter has it."""
    command = [python, "-c", "import importlib.util as u, sys; sys.exit(u.find_spec('mne_lsl') is None)"]
    try:
        return bool(python) and subprocess.run(command, timeout=60, check=False).returncode == 0
    except OSError:
        return False


def row(label: str, other: str, goal: Goal | None) -> Figure:
    """One figure of the table."""
    return Figure(title(label, other), "of a core" if label == "CPU" else "ms", AGAINST[other], goal)


BENCHMARK = Benchmark(
    name="acquisition",
    question="How old is the newest sample when an application gets it, and what does that cost?",
    minutes=2.5,
    figures=(
        row("p50", FLOOR, at_most(1.2)),
        row("p95", FLOOR, at_most(1.2)),
        row("CPU", FLOOR, at_most(1.4)),
        row("p50", LARGE, at_most(1.2)),
        row("p95", LARGE, at_most(1.2)),
        row("CPU", LARGE, at_most(1.2)),
        row("p50", PEER, at_most(0.25)),
        row("p95", PEER, at_most(0.25)),
        row("CPU", PEER, at_most(0.3)),
        Figure("samples lost", "samples", goal=at_most(0, of_ratio=False)),
    ),
    measure=measure,
    needs=(
        Need(
            "mne-lsl",
            "python -m venv other && other/bin/pip install mne-lsl, then --peer other/bin/python",
            has_mne_lsl,
            tuple(title(label, PEER) for label in KEYS),
        ),
    ),
    settings={"seconds": 5.0, "channels": 62, "rate": 1000.0, "per_push": 4, "buffer": 600.0},
)

if __name__ == "__main__":
    from bci_m2s.commands.bench.script import main

    main(BENCHMARK)
