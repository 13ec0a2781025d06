"""What recording costs a live session: age of estimates and CPU, with and without, in turn.

    python benchmarks/recording.py

Another process sends a simulated 62-channel headset at 1 kHz and an eye tracker. In each turn the live
engine runs the demo's pipeline on both, with outlets alone or with all that ``run --output`` writes:
recording, checksums, table, event log. Whose turn is first changes from round to round.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from machine import describe_machine, load_now, load_warning

from bci_m2s.engine.engine import Engine
from bci_m2s.lsl.configuration import lsl_on_this_machine
from bci_m2s.model.predictor import Predictor
from bci_m2s.session.description import describe_session
from bci_m2s.session.setup import build
from bci_m2s.session.setup.connect import Environment, connect
from bci_m2s.types import Estimate, Published

STREAMS = ("eeg", "eye", "markers")
WAYS = ("outlets alone", "recording too")
QUIET_S = 8.0  # until the first window is full


class Ages:
    """A sink that notes how old every window's newest sample was."""

    problem = ""

    def __init__(self) -> None:
        self.ages_s: list[float] = []

    def open(self) -> None:
        """Nothing to open."""

    def take(self, item: Published) -> None:
        """Note it."""
        if isinstance(item, Estimate):
            self.ages_s.append(item.stamps.age_s)

    def close(self) -> None:
        """Nothing to close."""


def run_once(
    plan: build.Plan, predictor: Predictor, folder: Path | None, seconds: float
) -> dict[str, float]:
    """One session of `seconds` of full windows: ages in ms, CPU in cores, samples lost."""
    from bci_m2s.lsl.network import local_clock

    connected = connect(plan, Environment(local_clock, lambda _: None, lambda: False))
    infos = {modality: source.info for modality, source in connected.sources.items()}
    publisher = build.make_publisher(plan, connected.clock)
    pipeline = build.make_pipeline(plan, predictor, infos, connected.clock, publisher.emit)
    for modality, names in pipeline.feature_names.items():  # a made-up person: work from the start
        pipeline.adopt_baseline(modality, np.zeros(len(names)), np.ones(len(names)))
    session = describe_session(plan, infos, pipeline.device, "live")
    recorder = None
    if folder is not None:
        recorder, _ = build.make_recorder(folder, list(infos.values()), connected.clock)
    ages = Ages()
    publisher.attach([*build.make_sinks(plan, folder, session, True, recorder), ages])
    engine = Engine(pipeline, connected.sources, publisher, connected.clock, connected.markers, recorder)
    engine.start()
    engine.wait(QUIET_S)
    begun, cpu = len(ages.ages_s), time.process_time()
    engine.wait(seconds)
    cpu = time.process_time() - cpu
    known = 1e3 * np.array(ages.ages_s[begun:])
    engine.finish()
    if engine.failure is not None:
        raise engine.failure
    lost = recorder.state().lost_samples if recorder is not None else 0
    p50, p99 = np.percentile(known[np.isfinite(known)], [50, 99])
    return {"p50_ms": p50, "p99_ms": p99, "cpu": cpu / seconds, "n": len(known), "lost": lost}


def compare(rounds: int, seconds: float) -> None:
    """Let both ways take turns and print what came out."""
    from bci_m2s.sources.sender_process import SenderProcess, SenderSpec

    print(describe_machine())
    print(f"62 channels at 1000 Hz and 5 at 120 Hz, {rounds} rounds of {seconds:g} s each, in turn")
    results: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    loads = [load_now()]
    with SenderProcess(SenderSpec(streams=STREAMS, simulated={"seed": 0}, wait_s=30.0)) as sender:
        ids = {key: info.source_id for key, info in zip(STREAMS, sender.infos, strict=True)}
        plan = build.pinned(build.make_plan("demo"), ids)
        predictor = build.make_predictor(plan, "cpu")
        for number in range(rounds):
            for way in WAYS if number % 2 else reversed(WAYS):
                with tempfile.TemporaryDirectory() as scratch:
                    folder = Path(scratch) if way == WAYS[1] else None
                    results[way].append(run_once(plan, predictor, folder, seconds))
                loads.append(load_now())
    print_results(results)
    print(f"\nload {min(loads):.1f}–{max(loads):.1f} (the benchmark's own included)")
    if warning := load_warning(max(loads)):
        print(warning)


def print_results(results: dict[str, list[dict[str, float]]]) -> None:
    """Medians of the rounds, then ratios: median, lowest and highest."""
    print(f"\n{'median of rounds':<18}{'p50 ms':>9}{'p99 ms':>9}{'CPU %':>9}{'windows':>9}{'lost':>7}")
    for way, rounds in results.items():
        p50, p99, cpu = (np.median([one[key] for one in rounds]) for key in ("p50_ms", "p99_ms", "cpu"))
        windows, lost = (int(sum(one[key] for one in rounds)) for key in ("n", "lost"))
        print(f"{way:<18}{p50:>9.2f}{p99:>9.2f}{100 * cpu:>9.1f}{windows:>9}{lost:>7}")
    cells = []
    for key in ("p50_ms", "p99_ms", "cpu"):
        ratios = [b[key] / a[key] for a, b in zip(*results.values(), strict=True)]
        cells.append(f"{np.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})")
    print(f"with / without: age p50 {cells[0]}, age p99 {cells[1]}, CPU {cells[2]}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description="What recording costs a live session.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=15.0, help="measured in each turn")
    options = parser.parse_args(arguments)
    with suppress(KeyboardInterrupt), lsl_on_this_machine():
        compare(options.rounds, options.seconds)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
