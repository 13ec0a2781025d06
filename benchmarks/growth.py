"""How time and memory grow with channels, sampling rate, participants and length of a session.

Simulated stamps and noise go straight through the pipeline of the demo's EEG, at its usual size but for
what grows: 62 channels, 1000 Hz, one participant. Several are pipelines of one model in one process. The
long session has 4 channels at 256 Hz, as a Muse has, so that hours of it take minutes. Each point is a
process of its own (the moments of the session are one). The reference is the smallest size.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from bci_m2s.commands.bench.benchmark import Benchmark, Figure, Need, Round, Run
from bci_m2s.errors import BciM2sError

POINT = Path(__file__).with_name("growth_point.py")
CHANNELS = (8, 16, 32, 64, 128, 256)
PEOPLE = (1, 2, 4, 8, 16, 32, 64)
RATES_HZ = (128, 256, 512, 1024, 2048, 4096)
LENGTHS = {"1 min": 60.0, "10 min": 600.0, "1 h": 3600.0, "4 h": 14400.0, "8 h": 28800.0}
USUAL_CHANNELS, USUAL_RATE_HZ = 62, 1000
LONG_CHANNELS, LONG_RATE_HZ = 4, 256
TIME, MEMORY = "time", "memory"

Point = dict[str, float]


def of_people(number: int) -> str:
    """Name of a size."""
    return f"{number} participant{'s' * (number != 1)}"


# what grows: its sizes by name
SCALES = {
    "channels": {f"{channels} channels": float(channels) for channels in CHANNELS},
    "sampling rate, Hz": {f"{rate_hz} Hz": float(rate_hz) for rate_hz in RATES_HZ},
    "participants": {of_people(number): float(number) for number in PEOPLE},
    "length of the session, min": {name: length_s / 60 for name, length_s in LENGTHS.items()},
}


def measure(run: Run) -> Iterator[Round]:
    """Milliseconds for a second of signal and MB in memory, at each size."""
    seconds, longest_s = run.number("seconds"), 3600 * run.number("hours")
    lengths = {name: length_s for name, length_s in LENGTHS.items() if length_s <= longest_s}
    for _ in range(run.rounds):
        found: dict[str, Point] = {}
        for channels in CHANNELS:
            run.step(f"{channels} channels")
            (found[f"{channels} channels"],) = points(1, channels, USUAL_RATE_HZ, [seconds])
        for rate_hz in RATES_HZ:
            run.step(f"{rate_hz} Hz")
            (found[f"{rate_hz} Hz"],) = points(1, USUAL_CHANNELS, rate_hz, [seconds])
        for people in PEOPLE:
            run.step(of_people(people))
            (found[of_people(people)],) = points(people, USUAL_CHANNELS, USUAL_RATE_HZ, [seconds])
        run.step(f"a session of {list(lengths)[-1]}")
        moments = points(1, LONG_CHANNELS, LONG_RATE_HZ, list(lengths.values()))
        found |= dict(zip(lengths, moments, strict=True))
        for words in bends(found):
            run.note(words)
        yield figures(found)


def points(people: int, channels: int, rate_hz: float, moments_s: list[float]) -> list[Point]:
    """What a process of its own measured."""
    size = [str(people), str(channels), str(rate_hz)]
    done = subprocess.run(
        [sys.executable, str(POINT), *size, *map(str, moments_s)],
        capture_output=True,
        text=True,
        check=False,
    )
    where = f"growth: {of_people(people)}, {channels} channels, {rate_hz:g} Hz"
    if done.returncode:
        raise BciM2sError(f"{where}: {done.stderr.splitlines()[-1]}")
    found: list[Point] = json.loads(done.stdout.splitlines()[-1])
    if not found[-1]["estimates"]:
        raise BciM2sError(f"{where}: gave no estimates")
    return found


def figures(found: Mapping[str, Point]) -> Round:
    """One round as the table has it, each size beside the smallest of its kind."""
    one: dict[str, float | tuple[float, float]] = {}
    for smallest, size in sizes():
        if size in found:
            for what, key in ((TIME, "ms"), (MEMORY, "mb")):
                value, least = found[size][key], found[smallest][key]
                one[f"{what}, {size}"] = value if size == smallest else (value, least)
    return one


def bends(found: Mapping[str, Point]) -> Iterator[str]:
    """Where time begins to grow: where what each more of a size takes is as much as what none takes."""
    for what, names in SCALES.items():
        known = [(size, found[name]["ms"]) for name, size in names.items() if name in found]
        if len(known) < 3:
            continue
        (before, before_ms), (last, last_ms) = known[-2:]
        each_ms = (last_ms - before_ms) / (last - before)
        fixed_ms = known[0][1] - each_ms * known[0][0]
        bend = fixed_ms / each_ms if each_ms > 0 else math.inf
        each = f"{1e3 * each_ms:.3g} µs for each"
        if bend > last:
            yield f"{what}: no bend up to {last:g}"
        elif bend < known[0][0]:
            yield f"{what}: {each}, from the first on"
        else:
            yield f"{what}: {fixed_ms:.3g} ms whatever they are, {each}: bends at {bend:.3g}"


def sizes() -> Iterator[tuple[str, str]]:
    """(smallest of its kind, size) of every point."""
    for names in map(list, SCALES.values()):
        yield from ((names[0], name) for name in names)


def draw(path: Path, medians: Mapping[str, tuple[float, float]]) -> None:
    """Time and memory against each of the four."""
    from matplotlib.figure import Figure as Picture

    picture = Picture(figsize=(13, 5), layout="constrained")
    axes = picture.subplots(2, 4, sharex="col")
    for column, (label, places) in enumerate(SCALES.items()):
        for row, what in enumerate((TIME, MEMORY)):
            known = {name: x for name, x in places.items() if f"{what}, {name}" in medians}
            values = [medians[f"{what}, {name}"][0] for name in known]
            axes[row][column].plot(list(known.values()), values, marker="o")
            axes[row][column].set_xscale("log")
            axes[row][column].set_ylim(0, 1.1 * max(values, default=1.0))
            axes[row][column].set_xticks(list(places.values()), [f"{x:g}" for x in places.values()])
            axes[row][column].minorticks_off()
        axes[1][column].set_xlabel(label)
    axes[0][0].set_ylabel("ms for a second of signal")
    axes[1][0].set_ylabel("MB in memory")
    picture.savefig(path)


BENCHMARK = Benchmark(
    name="growth",
    question="How do time and memory grow with channels, rate, participants and length of a session?",
    minutes=15,
    figures=tuple(
        Figure(f"{what}, {size}", unit, smallest if size != smallest else "")
        for what, unit in ((TIME, "ms for 1 s"), (MEMORY, "MB"))
        for smallest, size in sizes()
    ),
    measure=measure,
    needs=(Need("/proc", "only Linux has it", lambda _peer: Path("/proc/self/status").is_file()),),
    rounds=1,
    settings={"seconds": 20.0, "hours": 8.0},
    draw=draw,
)

if __name__ == "__main__":
    from bci_m2s.commands.bench.script import main

    main(BENCHMARK)
