"""How much faster a study is with two workers, and what a cell costs beside its work.

    python benchmarks/study.py                 # one worker and two, in turns, on the same cells
    python benchmarks/study.py --overhead      # jobs that do nothing, on a Dask cluster of this computer

Cells are those of a small study of simulated people, whose features are computed before. What two workers
take to start counts; it is about as long as one of the cells here.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from machine import describe_machine, load_now, load_warning
from rich.console import Console

from bci_m2s.training.study.cell import Cell
from bci_m2s.training.study.command import plan
from bci_m2s.training.study.executors import run_locally, run_on_dask
from bci_m2s.training.study.settings import load_study
from bci_m2s.training.study.variants import make_variants

TRAINING = Path(__file__).resolve().parents[1] / "pipelines" / "train" / "demo.yaml"
WORKERS = (1, 2)
LONGEST_S = 60.0


@dataclass(frozen=True)
class Nothing:
    """A job that is over at once."""

    name: str
    log: Path = Path("none")

    def is_done(self) -> bool:
        """Never: it leaves nothing."""
        return False

    def run(self) -> str:
        """Nothing went wrong."""
        return ""


def main(arguments: Sequence[str] | None = None) -> None:
    """Time cells with one worker and with two, or jobs that do nothing."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=4, help="of two methods in two parts each")
    parser.add_argument("--epochs", type=int, default=150, help="of pre-training")
    parser.add_argument("--overhead", action="store_true", help="jobs that do nothing, on Dask and locally")
    parser.add_argument("--jobs", type=int, default=200, help="of those")
    chosen = parser.parse_args(arguments)
    print(describe_machine())
    load = load_now()
    if chosen.overhead:
        time_nothing(chosen.jobs, chosen.rounds)
    else:
        with tempfile.TemporaryDirectory() as name:
            time_cells(make_cells(Path(name), chosen.seeds, chosen.epochs), Path(name), chosen.rounds)
    print(f"load {load:.1f}")
    if warning := load_warning(max(load, load_now())):
        print(warning)


def make_cells(out: Path, seeds: int, epochs: int) -> list[Cell]:
    """The cells of a small study, their features computed."""
    protocol = {"split": {"kind": "subject-folds", "folds": 2, "validation_subjects": 2}}
    study = {
        "title": "Benchmark",
        "data": {
            "simulated": {
                "training": str(TRAINING),
                "changes": {
                    "data": {"persons": 12},
                    "windows": {"every_hops": 8},
                    "finetune": {"epochs": 10},
                },
            }
        },
        "protocols": {"two parts": protocol},
        "methods": {
            "M2S": {"changes": {"pretrain": {"epochs": epochs}}},
            "supervised": {"method": "supervised"},
        },
        "seeds": seeds,
    }
    path = out / "study.yaml"
    path.write_text(yaml.safe_dump(study), encoding="utf-8")
    read = load_study(path)
    return plan(make_variants(read, path, out / "plan"), out / "plan", Console())


def time_cells(cells: Sequence[Cell], out: Path, rounds: int) -> None:
    """Every round with one worker and with two; ratios of the rounds."""
    taken = np.empty((rounds, len(WORKERS)))
    for turn in range(rounds):
        for column, workers in enumerate(WORKERS):
            place = out / f"{turn}-{workers}"
            anew = [replace(cell, folder=place / str(number)) for number, cell in enumerate(cells)]
            taken[turn, column] = _seconds(partial(run_locally, workers=workers), anew)
            print(f"round {turn + 1}, {workers} at once: {taken[turn, column]:.1f} s")
    ratios = taken[:, 0] / taken[:, 1]
    print(f"{len(cells)} cells, one worker / two: {_figures(ratios, '')}; wanted: at least 1.8")


def time_nothing(number: int, rounds: int) -> None:
    """Milliseconds a job, over rounds."""
    jobs = [Nothing(str(one)) for one in range(number)]
    with _cluster() as address:
        ways = {"Dask": partial(run_on_dask, scheduler=address), "local": partial(run_locally, workers=2)}
        for way in ways.values():
            _seconds(way, jobs[:4])  # workers have imported what they need
        for name, way in ways.items():
            taken = np.array([_seconds(way, jobs) for _ in range(rounds)])
            print(f"{name}, 2 workers, {number} jobs: {_figures(1e3 * taken / number, ' ms')} each")


def _seconds(execute: Any, jobs: Sequence[Any]) -> float:
    begun = time.perf_counter()
    wrong = [f"{job.name}: {problem}" for job, problem in execute(jobs) if problem]
    if wrong:
        sys.exit("\n".join(wrong))
    return time.perf_counter() - begun


def _figures(values: np.ndarray, unit: str) -> str:
    return f"{np.median(values):.2f}{unit} ({values.min():.2f}–{values.max():.2f})"


@contextmanager
def _cluster() -> Iterator[str]:
    """A scheduler and two workers of one thread each on loopback; its address."""
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "scheduler.json"
        _start(stack, place, "dask_scheduler", "--port", "0")
        ends_s = time.monotonic() + LONGEST_S
        while not place.exists():
            if time.monotonic() > ends_s:
                sys.exit("no Dask scheduler started")
            time.sleep(0.1)
        for _ in range(2):
            _start(stack, place, "dask_worker", "--nthreads", "1", "--no-nanny")
        yield yaml.safe_load(place.read_text(encoding="utf-8"))["address"]


def _start(stack: ExitStack, place: Path, program: str, *options: str) -> None:
    command = [sys.executable, "-m", f"distributed.cli.{program}", "--scheduler-file", str(place)]
    command += ["--host", "127.0.0.1", "--no-dashboard", *options]
    process = subprocess.Popen(
        command, cwd=place.parent, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    stack.callback(process.wait)
    stack.callback(process.kill)


if __name__ == "__main__":
    main()
