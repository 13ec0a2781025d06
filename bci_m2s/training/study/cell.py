"""One cell of a study: a training file with one seed and one of the parts that test in turn.

OUT/
  study.yaml                                      what was asked for
  features/DATA/                                  computed once, and mapped by all cells of a data set
  DATA/PROTOCOL/METHOD/training.yaml              its training file, complete
  DATA/PROTOCOL/METHOD/seed-0/fold-1/             its run, as `pretrain` and `evaluate` leave it
  DATA/PROTOCOL/METHOD/seed-0/fold-1/cell.json    its results, written when it is over
"""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from threadpoolctl import threadpool_limits

import bci_m2s
from bci_m2s.errors import BciM2sError, UsageError
from bci_m2s.files.access import make_private_folder
from bci_m2s.files.linked import link_folder
from bci_m2s.files.one_process import held
from bci_m2s.text import printable, quoted
from bci_m2s.training.check.listing import Listing
from bci_m2s.training.check.training_file import Checked
from bci_m2s.training.datasets import find_dataset
from bci_m2s.training.experiment import library_versions, open_experiment, write_json
from bci_m2s.training.methods import METHODS, Method
from bci_m2s.training.results.evaluation import Result
from bci_m2s.training.run.evaluating import run_evaluate
from bci_m2s.training.run.finetuning import run_finetune
from bci_m2s.training.run.pretraining import run_pretrain
from bci_m2s.training.study.features import sessions_of
from bci_m2s.training.training_file import load_training

# figures of every result that tables take
IN_TABLES = ("balanced_accuracy", "kappa", "f1", "confusion", "by_subject", "counts_by_subject")
RESULT, CONFIG, FEATURES, LOG = "cell.json", "config.yaml", "features", "log.txt"


@dataclass(frozen=True)
class Cell:
    """A variant's training file with one seed and one split.

    title : for lines of progress
    training : the file; features : of its data set, computed before
    folder : of the run
    data, method : as the study file names them
    """

    title: str
    training: Path
    features: Path
    folder: Path
    seed: int
    split: str
    data: str = ""
    method: str = ""
    version: str = bci_m2s.__version__

    @property
    def name(self) -> str:
        """For lines of progress."""
        return f"{self.title}, {self.split}, seed {self.seed}"

    @property
    def log(self) -> Path:
        """File with what the run prints."""
        return self.folder / LOG

    def is_done(self) -> bool:
        """Whether its results are on the disk."""
        return (self.folder / RESULT).exists()

    def run(self) -> str:
        """Do what is left; "", or what went wrong in one line. Prints to the log."""
        if (mine := bci_m2s.__version__) != self.version:
            return f"this worker has bci_m2s {mine}, expected {self.version}"
        if not self.training.exists():
            return f"this worker does not see {self.training}: it needs the same folders"
        torch.set_num_threads(1)  # other cells have the other cores, and threads share sums otherwise
        try:
            make_private_folder(self.folder)
            with held(self.folder, "this cell is running"), self.log.open("a", encoding="utf-8") as file:
                if self.is_done():  # by a worker of a study that was stopped, which went on with it
                    return ""
                return self._logged(Console(file=file, width=240, highlight=False, markup=False))
        except UsageError as problem:
            return f"{printable(problem, 400)}; --resume looks again"
        except OSError as problem:  # of the log, on a full disk
            return f"{self.folder}: cannot be written: {problem.strerror}"

    def _logged(self, console: Console) -> str:
        try:
            with threadpool_limits(1):
                self._run(console)
        except BciM2sError as problem:
            console.print(f"error: {printable(problem, 400)}")
            return printable(problem, 400)
        except Exception as problem:  # a fault in one cell is no reason to lose a night's others
            console.print(traceback.format_exc())
            return f"{type(problem).__name__}: {printable(problem, 200)}; see {self.log}"
        return ""

    def _checked(self) -> Checked:
        """The training file with this seed and split; its data were looked at when the study began."""
        settings = load_training(self.training).model_copy(update={"seeds": (self.seed,)})
        nothing = Listing(find_dataset(settings.data.format, settings.data.feature)[0], [])
        sessions = sessions_of(settings, self.features)
        return Checked(
            self.training, settings, nothing, [], [], sessions=sessions, pictures=False, only=self.split
        )

    def _run(self, console: Console) -> None:
        checked = self._checked()
        settings = checked.settings
        for own in filter(Path.is_dir, self.features.iterdir()):  # for commands on this run by hand
            link_folder(own, self.folder / FEATURES / own.name)
        if not (self.folder / CONFIG).exists():
            open_experiment(checked, self.folder, console, begin=True)
        method: Method = METHODS[settings.finetune.method]
        stages: dict[str, Callable[[], None]] = {
            "pretrain": partial(run_pretrain, checked, self.folder, console, "cpu", True),
            "finetune": partial(run_finetune, checked, self.folder, console, None, False),
            "evaluate": partial(run_evaluate, checked, self.folder, console),
        }
        if method.fit is None:
            del stages["finetune"]
        seconds, begun_s = {}, time.monotonic()
        for name, stage in stages.items():
            started_s = time.process_time()
            stage()
            seconds[name] = round(time.process_time() - started_s, 2)
        evaluated = json.loads((self.folder / "results.json").read_text(encoding="utf-8"))
        kept = {
            "results": evaluated["results"],
            "protocol": evaluated["protocol"],
            "cpu_s": seconds,
            "wall_s": round(time.monotonic() - begun_s, 2),
            "versions": library_versions(),
        }
        write_json(self.folder / RESULT, kept)


@dataclass(frozen=True)
class Outcome:
    """What a cell gave.

    protocol : head → lines; cpu_s : of each stage, of one core; wall_s : of all, by the clock, None where
        it was not kept
    """

    results: list[Result]
    protocol: dict[str, list[str]]
    cpu_s: dict[str, float]
    wall_s: float | None = None


def read_outcome(cell: Cell) -> Outcome | None:
    """The results of a cell; None where it is not done.

    Raises
    ------
    UsageError
        The file is damaged.
    """
    path = cell.folder / RESULT
    if not path.exists():
        return None
    try:
        kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        results = [Result(**entry) for entry in kept["results"]]
        if lacking := {name for one in results for name in IN_TABLES if name not in one.figures}:
            raise ValueError(f"no {', '.join(sorted(lacking))}")
        if wrong := [name for name in ("protocol", "cpu_s") if not isinstance(kept[name], dict)]:
            raise ValueError(f"{wrong[0]}: {quoted(kept[wrong[0]])}")
        return Outcome(results, kept["protocol"], kept["cpu_s"], kept.get("wall_s"))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as problem:
        raise UsageError(
            f"{path}: cannot be read: {printable(problem)}; delete it, and run --resume"
        ) from None
