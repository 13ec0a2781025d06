"""What the overview of many participants takes, and what it costs the engine beside it, in one run.

32 people send 32 channels at 500 Hz, one engine makes four estimates a second of each and records all, as
in ``participants.py``. In turn the overview is open beside it, as a process of its own that draws into
memory at 1600 × 900 and needs no display, or it is not; the session goes on meanwhile.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import bci_m2s
from bci_m2s.commands.bench.benchmark import Benchmark, Figure, Need, Round, Run, at_most
from bci_m2s.errors import BciM2sError

HERE = Path(__file__).resolve().parent
PACKAGE = Path(bci_m2s.__file__).resolve().parents[1]
OPEN_S, END_S = 8.0, 10.0
CHANNELS, RATE_HZ = 32, 500.0


def measure(run: Run) -> Iterator[Round]:
    """CPU in % of a core, frames a second, ages in ms with the overview and without."""
    from participants import Size, pipeline_of, senders, session, wait_for_estimates, write_model

    people, seconds = run.count("people"), run.number("seconds")
    size = Size("overview", CHANNELS, RATE_HZ, people)
    write_model(run.folder / "model.safetensors", size)
    out, log = run.folder / "session", run.folder / "session.log"
    tables = [out / f"p{number:02d}" / "estimates.csv" for number in range(people)]
    with senders(size, people) as (prefix, _sender):
        pipeline = run.folder / "pipeline.yaml"
        pipeline.write_text(pipeline_of(people, prefix), encoding="utf-8")
        run.step("the session starts")
        with session(pipeline, out, log) as process:
            wait_for_estimates(process, tables, log)
            for number in range(run.rounds):
                yield one_round(run, tables, seconds, overview_first=number % 2 == 1)


def one_round(run: Run, tables: Sequence[Path], seconds: float, overview_first: bool) -> Round:
    """The session with the overview and without, in either order."""
    found: dict[str, float] = {}
    ages: dict[bool, Sequence[float]] = {}
    for is_open in (overview_first, not overview_first):
        run.step("overview open" if is_open else "overview closed")
        ages[is_open], more = one_turn(run, tables, seconds, is_open)
        found |= more
    figures: dict[str, float | tuple[float, float]] = {**found}
    for name, share in (("age of estimates, p50", 0.5), ("age of estimates, p99", 0.99)):
        ours, alone = (ages[which][int(share * len(ages[which]))] for which in (True, False))
        figures[name] = ours, alone
    return figures


def one_turn(
    run: Run, tables: Sequence[Path], seconds: float, is_open: bool
) -> tuple[Sequence[float], dict[str, float]]:
    """Ages in ms of the turn, sorted; CPU and frames of the overview, if any."""
    from participants import ages_of, cpu_s

    result = run.folder / "frames.json"
    child = start_child(result) if is_open else None
    try:
        time.sleep(OPEN_S)
        sizes = [table.stat().st_size for table in tables]
        before, begun_s = cpu_s(child.pid) if child else 0.0, time.perf_counter()
        time.sleep(seconds)
        took_s = time.perf_counter() - begun_s
        used = 100 * (cpu_s(child.pid) - before) / took_s if child else 0.0
    finally:
        if child is not None:
            child.send_signal(signal.SIGTERM)
            child.wait(END_S)
    ages = sorted(age for table, at in zip(tables, sizes, strict=True) for age in ages_of(table, at))
    if child is None:
        return ages, {}
    drawn = json.loads(result.read_text(encoding="utf-8"))
    if min(drawn["people"], drawn["answering"]) < len(tables):
        shown = f"{drawn['people']} people, {drawn['answering']} answers"
        raise BciM2sError(f"overview: it shows {shown}, expected {len(tables)} of each")
    return ages, {"CPU": used, "frames": drawn["frames_hz"]}


def start_child(result: Path) -> subprocess.Popen[bytes]:
    """The overview in a process of its own, see ``overview_child``."""
    command = [sys.executable, str(HERE / "overview_child.py"), str(result)]
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "PYTHONPATH": str(PACKAGE)}
    return subprocess.Popen(command, env=environment)


BENCHMARK = Benchmark(
    name="overview",
    question="What does the overview of 32 participants take, and what does it cost the engine?",
    minutes=3,
    figures=(
        Figure("CPU", "% of a core", goal=at_most(25, of_ratio=False)),
        Figure("frames", "per second"),
        Figure("age of estimates, p50", "ms", "no overview"),
        Figure("age of estimates, p99", "ms", "no overview"),
    ),
    measure=measure,
    needs=(Need("/proc", "only Linux has it", lambda _peer: Path("/proc/self/stat").is_file()),),
    rounds=3,
    settings={"seconds": 15.0, "people": 32},
)

if __name__ == "__main__":
    from bci_m2s.commands.bench.script import main

    main(BENCHMARK)
