"""What recording costs a live session: age of estimates and CPU, with and without, in turn.

In each turn the live engine runs the demo's pipeline with outlets alone, or with all that
``run --output`` writes: recording, checksums, table, event log. Whose turn is first changes from round to
round.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bci_m2s.commands.bench.benchmark import Benchmark, Figure, Round, Run, at_most

if TYPE_CHECKING:
    from live import Studio

WITH, WITHOUT = "with", "without"


def measure(run: Run) -> Iterator[Round]:
    """Ages in ms, CPU in % of a core, with a recording and without."""
    from live import Studio

    with Studio() as studio:
        for number in range(run.rounds):
            ways = (WITH, WITHOUT) if number % 2 else (WITHOUT, WITH)
            found = {way: one_turn(studio, way, run.number("seconds")) for way in ways}
            ours, plain = found[WITH], found[WITHOUT]
            yield {
                **{name: (ours[name], plain[name]) for name in ("age, p50", "age, p99", "CPU")},
                "samples lost": ours["samples lost"],
            }


def one_turn(studio: Studio, way: str, seconds: float) -> dict[str, float]:
    """One session."""
    with tempfile.TemporaryDirectory() as scratch:
        with studio.session(Path(scratch) if way == WITH else None) as live:
            cpu = live.measure(seconds)
            ages_ms, lost = live.ages.ages_ms(), live.lost
        p50, p99 = np.percentile(ages_ms, [50, 99])
    return {"age, p50": float(p50), "age, p99": float(p99), "CPU": 100 * cpu, "samples lost": lost}


BENCHMARK = Benchmark(
    name="recording",
    question="What does recording cost a live session?",
    minutes=3,
    figures=(
        Figure("age, p50", "ms", "outlets alone"),
        Figure("age, p99", "ms", "outlets alone"),
        Figure("CPU", "% of a core", "outlets alone"),
        Figure("samples lost", "samples", goal=at_most(0, of_ratio=False)),
    ),
    measure=measure,
    rounds=3,
    settings={"seconds": 15.0},
)

if __name__ == "__main__":
    from bci_m2s.commands.bench.script import main

    main(BENCHMARK)
