"""From the plan to the page: run what is left, write tables and figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console

from bci_m2s.errors import UsageError
from bci_m2s.files.whole import write_whole
from bci_m2s.training.page.costs import cost_s
from bci_m2s.training.page.found import Found, read_part
from bci_m2s.training.page.overview import aims_table, best_rival_table
from bci_m2s.training.page.pages import fill, part_text
from bci_m2s.training.page.picture import draw
from bci_m2s.training.page.plan import (
    FULL_SEEDS,
    QUICK_SEEDS,
    SETS,
    Part,
    parts,
    seeds_of,
    write_training_file,
)
from bci_m2s.training.page.reading import reading, state, times
from bci_m2s.training.page.work import RESULTS, Task, changed_since, compute_features, training_file
from bci_m2s.training.results.tables import markdown
from bci_m2s.training.settings import MOST_SEEDS
from bci_m2s.training.study.executors import run_locally
from bci_m2s.training.study.schedule import duration, run_jobs
from bci_m2s.training.training_file import load_training

PAGE = "results.md"
PICTURED = "A dot per person, lines between methods, by protocol and direction"


@dataclass(frozen=True)
class Wishes:
    """What to make, and from where.

    out : folder of runs; shipped : of the training files; docs : of the page and the pictures
    only : names of parts, () for all; page_only : run nothing
    data : the folder in which each data set has its own; None for where the training files look
    seeds : how many; None for the usual number
    """

    out: Path
    shipped: Path
    docs: Path
    quick: bool = False
    only: tuple[str, ...] = ()
    page_only: bool = False
    workers: int = 2
    data: Path | None = None
    seeds: int | None = None


def make_results(wishes: Wishes, console: Console) -> int:
    """Run what is left of the plan and write what it gave; 1 where something went wrong.

    With `only` the page is left alone: tables and pictures are in the folder of the runs.

    Raises
    ------
    UsageError
        No such part, or number of seeds; what was run is of other values.
    """
    usual = QUICK_SEEDS if wishes.quick else FULL_SEEDS
    number = usual if wishes.seeds is None else wishes.seeds
    if not 1 <= number <= MOST_SEEDS:
        raise UsageError(f"--seeds: got {number}, expected 1 to {MOST_SEEDS}")
    seeds = range(number)
    wanted = parts(wishes.only, quick=wishes.quick, seeds=number)
    wrong = [] if wishes.page_only else _run(wishes, wanted, seeds, console)
    found = {part: one for part in wanted if (one := read_part(wishes.out, part, seeds)) is not None}
    if found:
        _write(wishes, found, seeds, console)
    else:
        console.print(f"{wishes.out}: no part has results yet")
    for line in wrong:
        console.print(f"left out: {line}")
    return 1 if wrong or not found else 0


def _run(wishes: Wishes, wanted: Sequence[Part], seeds: Sequence[int], console: Console) -> list[str]:
    for part in wanted:
        path = training_file(wishes.out, part)
        write_training_file(part, wishes.shipped, path, seeds, quick=wishes.quick, data=wishes.data)
        settings = load_training(path)
        for seed in seeds_of(part, seeds, wishes.quick):
            task = Task(part, seed, wishes.out)
            if (changed := changed_since(task, settings)) and task.is_done():
                console.print(
                    f"{task.name}: other {', '.join(changed)}: trained again but for pre-training"
                )
                (task.folder / RESULTS).unlink()
    # a seed after the other: what was stopped in between has every table, of fewer seeds
    tasks = [
        Task(part, seed, wishes.out)
        for seed in seeds
        for part in wanted
        if seed in seeds_of(part, seeds, wishes.quick)
    ]
    left = [task for task in tasks if not task.is_done()]

    def cost(task: Task) -> float:
        return cost_s(task, wanted, wishes.quick)

    if left:
        expected_s = sum(map(cost, left)) / wishes.workers
        console.print(
            f"{len(wanted)} training files × {len(seeds)} seeds in {wishes.out}: "
            f"about {duration(expected_s)} on {wishes.workers} idle cores"
        )
    first = {task.part.data: task.part for task in reversed(left) if not task.part.recipe}
    for part in first.values():
        console.print(f"features of {part.data}")
        compute_features(part, wishes.out, console)
    return run_jobs(tasks, cost, console, partial(run_locally, workers=wishes.workers))


def _write(wishes: Wishes, found: Mapping[Part, Found], seeds: Sequence[int], console: Console) -> None:
    made: dict[str, str] = {}
    pictures = wishes.out if wishes.only else wishes.docs / "static"
    for data, of_data in SETS.items():
        own = {part.protocol: one for part, one in found.items() if part.data == data and not part.recipe}
        if own:
            draw(
                pictures / f"results-{data}.svg", own, f"{of_data.title}: balanced accuracy of each person"
            )
            picture = f"![{PICTURED}: {of_data.title}](static/results-{data}.svg)\n"
            made[data] = "\n".join([picture, *(part_text(one, wishes.quick) for one in own.values())])
    for part, one in found.items():
        _write_details(wishes.out / part.folder / "results.md", one, wishes.quick)
    made["best"], made["aims"] = best_rival_table(found), aims_table(found)
    wanted = parts(wishes.only, quick=wishes.quick, seeds=len(seeds))
    made["state"] = state(found, wanted, seeds, wishes.quick)
    made["reading"] = reading(found)
    made["times"] = times([Task(part, seed, wishes.out) for part in wanted for seed in seeds])
    tables = "\n".join(f"## {name}\n\n{text}" for name, text in made.items())
    write_whole(wishes.out / "tables.md", tables)
    console.print(f"Tables: {wishes.out / 'tables.md'}; pictures: {pictures / 'results-*.svg'}")
    if not wishes.only:
        fill(wishes.docs / PAGE, made)
        console.print(f"Page: {wishes.docs / PAGE}")


def _write_details(path: Path, found: Found, quick: bool) -> None:
    """All figures of a part as `evaluate` writes those of one run."""
    classes = found.settings.contract.heads[found.head].classes
    text = markdown(found.summaries, found.lines, classes, found.differences)
    write_whole(path, f"# {found.part.name}: {found.head}{' (quick)' if quick else ''}\n\n{text}")
