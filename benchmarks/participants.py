"""How many participants one engine carries on this machine, with their senders on the same cores.

Everybody sends white noise as a headset of 62 channels at 1 kHz, or of 32 at 500 Hz, in LSL pushes of
40 ms, from one other process. ``bci-m2s run --headless --output`` with ``participants:`` makes four
estimates a second of each by the demo's network (random weights, everybody's own baseline), records all,
and has an outlet for each. It carries so many when no window that could have been judged was skipped and no
sample lost from first to last.

The reference reads the same streams with a bare pylsl inlet and a thread each, and writes samples and
stamps to a file each. Cores are user and system time of the reading process; the share of the machine
counts the senders too.
"""

from __future__ import annotations

import json
import math
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bci_m2s.commands.bench.benchmark import Benchmark, Figure, Need, Round, Run, at_least, at_most
from bci_m2s.errors import BciM2sError

ROLES = str(Path(__file__).with_name("participants_roles.py"))
PROC = Path("/proc/self/stat")
PEOPLE = (1, 8, 16, 24, 32, 48, 64)  # the last is as many as a session may have
SHARE = 0.6  # of the machine
NOISE = 0.01  # cores
START_S, END_S = 180.0, 60.0
ROW = re.compile(r"^ ?p\d\d +(\d+) +(\d+) +\S.*?ms +(\d+) +(\d+) +(\d+) ", re.M)


@dataclass(frozen=True)
class Size:
    """A headset. people : how many one engine should carry, and for whom figures are given"""

    name: str
    channels: int
    rate_hz: float
    people: int


SIZES = (Size("62 ch × 1 kHz", 62, 1000.0, 24), Size("32 ch × 500 Hz", 32, 500.0, 32))


@dataclass(frozen=True)
class Load:
    """What a process took. cores : of its own; all_cores : with the senders"""

    cores: float
    all_cores: float


@dataclass(frozen=True)
class Carried:
    """How a session went. ages_ms : of its estimates while it was measured, sorted"""

    load: Load
    ages_ms: Sequence[float]
    memory_mb: float
    lost: int
    skipped: int


def measure(run: Run) -> Iterator[Round]:
    """Number of people, cores, ages and memory of each size."""
    for number in range(run.rounds):
        found: dict[str, float | tuple[float, float]] = {}
        for size in SIZES:
            folder = run.folder / f"{number}-{size.channels}"
            folder.mkdir()
            found |= of_size(run, size, folder)
        yield found


def of_size(run: Run, size: Size, folder: Path) -> dict[str, float | tuple[float, float]]:
    """The figures of one size."""
    most, seconds = run.count("most"), run.number("seconds")
    numbers = [people for people in sorted({*PEOPLE, size.people}) if people <= most]
    bare: dict[int, Load] = {}
    for people in numbers:
        run.step(f"{size.name}: {people} bare inlets")
        bare[people] = read_bare(size, people, seconds, folder)
        if bare[people].all_cores > SHARE * cores():
            break
    write_model(folder / "model.safetensors", size)
    sessions: dict[int, Carried] = {}
    for people in numbers:
        run.step(f"{size.name}: {people} participants")
        sessions[people] = one = carry(size, people, seconds, folder)
        if one.skipped or one.lost:
            run.note(
                f"{size.name}, {people} people: {one.skipped} windows skipped, {one.lost} samples lost"
            )
            break
    return figures(run, size, bare, sessions)


def figures(
    run: Run, size: Size, bare: dict[int, Load], sessions: dict[int, Carried]
) -> dict[str, float | tuple[float, float]]:
    """As the table has them."""
    carried = [people for people, one in sessions.items() if not one.skipped and not one.lost]
    most, limit = max(carried, default=0), people_at(SHARE * cores(), bare)
    if most == run.count("most"):
        run.note(f"{size.name}: no more than {most} people were tried")
    found: dict[str, float | tuple[float, float]] = {of(size, MOST): (most, limit)}
    if math.isnan(limit):
        found[of(size, MOST)] = most
        run.note(f"{size.name}: bare inlets took less than the noise of the machine: no number of them")
    if len(sessions) > 1:
        first, last = min(sessions), max(sessions)
        more_mb = sessions[last].memory_mb - sessions[first].memory_mb
        found[of(size, MEMORY)] = more_mb / (last - first)
    if size.people in sessions:
        one = sessions[size.people]
        at = min(bare, key=lambda people: abs(people - size.people))
        found[of(size, CORES)] = one.load.cores, bare[at].cores * size.people / at
        for name, share in ((P50, 0.5), (P99, 0.99)):
            found[of(size, name)] = one.ages_ms[int(share * len(one.ages_ms))]
    return found


def people_at(wanted: float, bare: dict[int, Load]) -> float:
    """How many bare inlets, with senders, take so many cores: by a line through all that was measured.

    NaN where that does not rise: then the noise of the machine was more than what they take.
    """
    import numpy as np

    numbers, loads = np.array([(people, load.all_cores) for people, load in sorted(bare.items())]).T
    if len(numbers) < 2:
        return float(numbers[0] * wanted / loads[0])
    slope, start = np.polyfit(numbers, loads, 1)
    if slope * (numbers[-1] - numbers[0]) < NOISE:
        return math.nan
    return round(float((wanted - start) / slope), 1)


def cores() -> int:
    """Of this machine, as far as this process may use them."""
    return len(os.sched_getaffinity(0))


# ---- the two sides ----


@contextmanager
def senders(size: Size, people: int) -> Iterator[tuple[str, int]]:
    """Everybody's headsets: the beginning of their names, and the process."""
    prefix = f"bench-{uuid.uuid4().hex[:8]}"
    command = [sys.executable, ROLES, "sender", "--prefix", prefix, "--people", str(people)]
    command += ["--channels", str(size.channels), "--rate-hz", str(size.rate_hz)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            if process.stdout.readline().strip() != "sending":
                raise BciM2sError("participants: the senders did not start")
            yield prefix, process.pid
        finally:
            process.stdin.close()


def read_bare(size: Size, people: int, seconds: float, folder: Path) -> Load:
    """The reference."""
    with senders(size, people) as (prefix, sender):
        command = [sys.executable, ROLES, "bare", "--prefix", prefix, "--people", str(people)]
        command += ["--seconds", str(seconds), "--folder", str(folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            if process.stdout.readline().strip() != "reading":
                raise BciM2sError("participants: the bare inlets did not read")
            took = meter(process.pid, sender)
            rate_hz = json.loads(process.stdout.readline())["rate_hz"]
            load = took()
    if not 0.95 < rate_hz / size.rate_hz < 1.05:
        raise BciM2sError(f"participants: bare inlets read {rate_hz:.0f} Hz of {size.rate_hz:g}")
    for file in folder.glob("*.bin"):
        file.unlink()
    return load


def carry(size: Size, people: int, seconds: float, folder: Path) -> Carried:
    """A session of ours, from its first to its last second."""
    out, log = folder / f"session-{people}", folder / f"{people}.log"
    tables = [out / f"p{number:02d}" / "estimates.csv" for number in range(people)]
    with senders(size, people) as (prefix, sender):
        pipeline = folder / f"{people}.yaml"
        pipeline.write_text(pipeline_of(people, prefix), encoding="utf-8")
        with session(pipeline, out, log) as process:
            wait_for_estimates(process, tables, log)
            sizes = [table.stat().st_size for table in tables]
            took = meter(process.pid, sender)
            time.sleep(seconds)
            load, memory_mb = took(), resident_mb(process.pid)
    rows = ROW.findall(log.read_text(encoding="utf-8"))
    if len(rows) != people:
        raise BciM2sError(f"participants: {len(rows)} of {people} rows at the end: {end_of(log)}")
    ages_ms = sorted(age for table, at in zip(tables, sizes, strict=True) for age in ages_of(table, at))
    lost, skipped = (sum(int(row[column]) for row in rows) for column in (3, 4))
    return Carried(load, ages_ms, memory_mb, lost, skipped)


@contextmanager
def session(pipeline: Path, out: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """What a user starts, and ends with Ctrl-C."""
    command = [sys.executable, "-m", "bci_m2s", "run", str(pipeline), "--headless", "--output", str(out)]
    environment = {**os.environ, "COLUMNS": "200", "PYTHONUNBUFFERED": "1"}
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=environment)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(END_S)


def wait_for_estimates(process: subprocess.Popen[bytes], tables: Sequence[Path], log: Path) -> None:
    """Until everybody has one."""
    until_s = time.monotonic() + START_S
    waiting = list(tables)
    while waiting:
        if process.poll() is not None or time.monotonic() > until_s:
            raise BciM2sError(f"participants: no estimates of {len(waiting)} people: {end_of(log)}")
        waiting = [table for table in waiting if not (table.is_file() and b",ok," in table.read_bytes())]
        time.sleep(0.2)


def end_of(log: Path) -> str:
    """The last that a session said."""
    return log.read_text(encoding="utf-8").strip()[-500:]


def pipeline_of(people: int, prefix: str) -> str:
    """A pipeline of everybody."""
    ids = ", ".join(f"p{number:02d}" for number in range(people))
    return (
        f'model: model.safetensors\nparticipants: [{ids}]\nstreams:\n  eeg: {{name: "{prefix} {{id}}"}}\n'
    )


def write_model(path: Path, size: Size) -> None:
    """The demo's EEG network for so many channels, with random weights."""
    import numpy as np
    from growth_point import contract_of

    from bci_m2s.model.model_file import modality_network, pack_modality, save_model

    contract = contract_of(size.channels)
    spec = contract.modalities["eeg"].model_copy(update={"rate_min_hz": size.rate_hz})
    contract = contract.model_copy(update={"modalities": {"eeg": spec}})
    n = spec.feature.n_features
    arrays = np.zeros(n), np.ones(n), np.ones(n)
    save_model(path, contract, pack_modality("eeg", modality_network(contract, "eeg"), *arrays))


def ages_of(table: Path, begin: int) -> Iterator[float]:
    """Ages in ms of the estimates behind a byte of the table."""
    with table.open("rb") as file:
        (column,) = [i for i, name in enumerate(file.readline().split(b",")) if name == b"age_ms"]
        file.seek(begin)
        for line in file.read().splitlines():
            cells = line.split(b",")
            if len(cells) > column and cells[3] == b"ok" and cells[column]:
                yield float(cells[column])


def meter(pid: int, sender: int) -> Callable[[], Load]:
    """Begin to measure; what it returns says what was taken since."""
    begun_s, before = time.perf_counter(), [cpu_s(one) for one in (pid, sender)]

    def took() -> Load:
        wall_s = time.perf_counter() - begun_s
        own, others = (cpu_s(one) - was for one, was in zip((pid, sender), before, strict=True))
        return Load(own / wall_s, (own + others) / wall_s)

    return took


def cpu_s(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    """What a process has in memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


# ---- figures ----

MOST, MEMORY = "participants", "memory of each more"
CORES, P50, P99 = "cores", "age, p50", "age, p99"


def of(size: Size, name: str) -> str:
    """Name of a figure."""
    return (
        f"{size.name}: {name}" if name in (MOST, MEMORY) else f"{size.name}, {size.people} people: {name}"
    )


def declared(size: Size) -> Iterator[Figure]:
    """The figures of a size."""
    limit = f"bare inlets at {SHARE:.0%} of the machine"
    yield Figure(of(size, MOST), "people", limit, at_least(size.people, of_ratio=False))
    yield Figure(of(size, MEMORY), "MB", goal=at_most(15, of_ratio=False))
    yield Figure(of(size, CORES), "cores", "bare inlets")
    yield Figure(of(size, P50), "ms")
    yield Figure(of(size, P99), "ms")


BENCHMARK = Benchmark(
    name="participants",
    question="How many participants does one engine carry, next to bare inlets?",
    minutes=20,
    figures=tuple(figure for size in SIZES for figure in declared(size)),
    measure=measure,
    needs=(Need("/proc", "only Linux has it", lambda _peer: PROC.is_file()),),
    rounds=1,
    settings={"seconds": 15.0, "most": PEOPLE[-1]},
)

if __name__ == "__main__":
    from bci_m2s.commands.bench.script import main

    main(BENCHMARK)
