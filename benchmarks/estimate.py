"""How long a sample takes to become a published estimate, stage by stage, in a live session.

Another process sends a simulated 62-channel headset at 1 kHz and an eye tracker in pushes of 10 ms. The
engine makes an estimate of each every 250 ms; those of the EEG count:

- transport: from the stamp of the newest sample to its reader's thread;
- features: filters, quality, differential entropy, baseline, until the window is ready;
- inference: the network and its calibrated answer;
- publish: until the outlets have it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bci_m2s.commands.bench.benchmark import Benchmark, Figure, Round, Run, at_most

PUSH_MS = 10.0
OURS = ("features", "inference", "publish")
AFTER_TRANSPORT = "features to publish"


def measure(run: Run) -> Iterator[Round]:
    """Percentiles of every stage, and of their sums in each window; milliseconds."""
    from live import Studio

    with Studio() as studio, studio.session() as live:
        for _ in range(run.rounds):
            live.measure(run.number("seconds"))
            stages = live.ages.stages_ms("eeg")
            parts = {
                **stages,
                AFTER_TRANSPORT: sum(stages[stage] for stage in OURS),
                "all": live.ages.ages_ms("eeg"),
            }
            yield {
                f"{name}, p{percent}": float(np.percentile(values, percent))
                for name, values in parts.items()
                for percent in (50, 99)
            }


GOALS = {
    f"{AFTER_TRANSPORT}, p50": at_most(3, of_ratio=False),
    f"{AFTER_TRANSPORT}, p99": at_most(8, of_ratio=False),
    "all, p50": at_most(PUSH_MS / 2 + 4, of_ratio=False),
}
BENCHMARK = Benchmark(
    name="estimate",
    question="How long does a sample take to become a published estimate, and where does the time go?",
    minutes=1.5,
    figures=tuple(
        Figure(name, "ms", goal=GOALS.get(name))
        for part in ("transport", *OURS, AFTER_TRANSPORT, "all")
        for name in (f"{part}, p50", f"{part}, p99")
    ),
    measure=measure,
    rounds=4,
    settings={"seconds": 15.0},
)

if __name__ == "__main__":
    from bci_m2s.commands.bench.script import main

    main(BENCHMARK)
