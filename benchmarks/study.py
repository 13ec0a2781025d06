"""How much faster a study is with two workers, and what a cell costs beside its work.

Cells are those of a small study of simulated people, whose features are computed before. What two workers
take to start counts, about 3 s. Jobs that do nothing go to a Dask cluster of this computer and to local
processes, two workers each.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bci_m2s.commands.bench.benchmark import Benchmark, Figure, Round, Run, at_least, package
from bci_m2s.errors import BciM2sError

if TYPE_CHECKING:
    from bci_m2s.training.study.cell import Cell

LONGEST_S = 60.0
CELLS, DASK, LOCAL = (
    "all cells, two workers",
    "a job that does nothing, Dask",
    "a job that does nothing, locally",
)


def measure(run: Run) -> Iterator[Round]:
    """Seconds of all cells with two workers and with one, and milliseconds of jobs that do nothing."""
    from bci_m2s.training.study.executors import run_locally

    out = run.folder
    cells = make_cells(out, run.count("seeds"), run.count("epochs"), run.count("persons"))
    run.note(f"{len(cells)} cells")
    jobs = jobs_that_do_nothing(run.count("jobs"))
    for turn in range(run.rounds):
        taken = {}
        for workers in (1, 2) if turn % 2 else (2, 1):
            run.step("one worker" if workers == 1 else "two workers")
            place = out / f"{turn}-{workers}"
            anew = [replace(cell, folder=place / str(number)) for number, cell in enumerate(cells)]
            taken[workers] = seconds_of(partial(run_locally, workers=workers), anew)
        yield {CELLS: (taken[2], taken[1]), **overhead(jobs)}


def jobs_that_do_nothing(number: int) -> list[Any]:
    """Jobs that are over at once."""

    @dataclass(frozen=True)
    class Nothing:  # in here, so that workers are sent the class itself
        name: str
        log: Path = Path("none")

        def is_done(self) -> bool:
            """Never: it leaves nothing."""
            return False

        def run(self) -> str:
            """Nothing went wrong."""
            return ""

    return [Nothing(str(one)) for one in range(number)]


def overhead(jobs: Sequence[Any]) -> dict[str, float]:
    """Milliseconds a job, where Dask is there."""
    from bci_m2s.training.study.executors import run_locally, run_on_dask

    found = {LOCAL: per_job_ms(partial(run_locally, workers=2), jobs)}
    if HAS_DASK.is_met(""):
        with cluster() as address:
            found[DASK] = per_job_ms(partial(run_on_dask, scheduler=address), jobs)
    return found


def per_job_ms(execute: Any, jobs: Sequence[Any]) -> float:
    """Of a way that has run a few before, so that workers have imported what they need."""
    seconds_of(execute, jobs[:4])
    return 1e3 * seconds_of(execute, jobs) / len(jobs)


def make_cells(out: Path, seeds: int, epochs: int, persons: int) -> list[Cell]:
    """The cells of a small study, their features computed."""
    import yaml
    from rich.console import Console

    from bci_m2s.files.shipped import folder
    from bci_m2s.training.study.command import plan
    from bci_m2s.training.study.settings import load_study
    from bci_m2s.training.study.variants import make_variants

    protocol = {"split": {"kind": "subject-folds", "folds": 2, "validation_subjects": 2}}
    study = {
        "title": "Benchmark",
        "data": {
            "simulated": {
                "training": str(folder("pipelines") / "train" / "demo.yaml"),
                "changes": {
                    "data": {"persons": persons},
                    "windows": {"every_hops": 4},
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
    return plan(make_variants(read, path, out / "plan"), out / "plan", Console(stderr=True))


def seconds_of(execute: Any, jobs: Sequence[Any]) -> float:
    """Until all jobs are done."""
    begun = time.perf_counter()
    wrong = [f"{job.name}: {problem}" for job, problem in execute(jobs) if problem]
    if wrong:
        raise BciM2sError(f"study: {'; '.join(wrong)}")
    return time.perf_counter() - begun


@contextmanager
def cluster() -> Iterator[str]:
    """A scheduler and two workers of one thread each on loopback; its address."""
    import tempfile

    import yaml

    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "scheduler.json"
        start(stack, place, "dask_scheduler", "--port", "0")
        ends_s = time.monotonic() + LONGEST_S
        while not place.exists():
            if time.monotonic() > ends_s:
                raise BciM2sError("study: no Dask scheduler started")
            time.sleep(0.1)
        for _ in range(2):
            start(stack, place, "dask_worker", "--nthreads", "1", "--no-nanny")
        yield yaml.safe_load(place.read_text(encoding="utf-8"))["address"]


def start(stack: ExitStack, place: Path, program: str, *options: str) -> None:
    """A program of Dask, killed with the stack."""
    command = [sys.executable, "-m", f"distributed.cli.{program}", "--scheduler-file", str(place)]
    command += ["--host", "127.0.0.1", "--no-dashboard", *options]
    process = subprocess.Popen(
        command, cwd=place.parent, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    stack.callback(process.wait)
    stack.callback(process.kill)


HAS_DASK = package("distributed", "pip install 'bci_m2s[dask]'", (DASK,))
BENCHMARK = Benchmark(
    name="study",
    question="How much faster is a study with two workers, and what does a cell cost beside its work?",
    minutes=20,
    figures=(
        Figure(CELLS, "s", "one worker", at_least(1.8), is_speedup=True),
        Figure(DASK, "ms"),
        Figure(LOCAL, "ms"),
    ),
    measure=measure,
    needs=(HAS_DASK,),
    rounds=3,
    settings={"seeds": 4, "epochs": 150, "persons": 24, "jobs": 200},
)

if __name__ == "__main__":
    from bci_m2s.commands.bench.script import main

    main(BENCHMARK)
