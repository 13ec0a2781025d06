"""One seed of one part: pre-training, classifiers, evaluation; what is done already is not done again.

OUT/
  eegmat/features/                  computed once, for all parts of the data set
  eegmat/few-2/eegmat-few-2.yaml    the training file
  eegmat/few-2/seed-0/              its run with one seed, as `evaluate` leaves it, and seconds.json
  eegmat/few-2/seed-0.log           what was printed
"""

from __future__ import annotations

import json
import shutil
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from rich.console import Console

from bci_m2s.errors import BciM2sError, UsageError
from bci_m2s.files.access import make_private_folder
from bci_m2s.files.linked import link_folder
from bci_m2s.text import printable
from bci_m2s.training.check.training_file import Checked, check_training
from bci_m2s.training.data.load import load_sessions
from bci_m2s.training.data.sessions import SessionFeatures
from bci_m2s.training.experiment import SAME_RUN, begun_settings, changed_sections, write_json
from bci_m2s.training.methods import METHODS, Method, NotPossible
from bci_m2s.training.page.plan import Part
from bci_m2s.training.run.evaluating import are_others, run_evaluate
from bci_m2s.training.run.finetuning import run_finetune
from bci_m2s.training.run.pretraining import run_pretrain
from bci_m2s.training.run.raw_features import raw_settings
from bci_m2s.training.settings import TrainingSettings

RESULTS, CONFIG, FEATURES, SECONDS = "results.json", "config.yaml", "features", "seconds.json"
PRETRAINED = ("pretrain.safetensors", "pretrain.json", "pretrain.csv", "pretrain.png")
_read: dict[tuple[Path, str], list[SessionFeatures]] = {}


@dataclass(frozen=True)
class Task:
    """A part with one seed. out : the folder of all results"""

    part: Part
    seed: int
    out: Path

    @property
    def name(self) -> str:
        """For lines of progress."""
        return f"{self.part.name} seed {self.seed}"

    @property
    def folder(self) -> Path:
        """Of the run."""
        return run_folder(self.out, self.part, self.seed)

    @property
    def log(self) -> Path:
        """What the run printed."""
        return self.folder.with_name(f"{self.folder.name}.log")

    def is_done(self) -> bool:
        """Whether the run has been evaluated."""
        return (self.folder / RESULTS).exists()

    def run(self) -> str:
        """Run what is left; "", or what went wrong in one line. Prints to the log."""
        return run_task(self)


def run_folder(out: Path, part: Part, seed: int) -> Path:
    """Of a part's run with one seed."""
    return out / part.folder / f"seed-{seed}"


def training_file(out: Path, part: Part) -> Path:
    """Of a part."""
    return out / part.folder / f"{part.name}.yaml"


def run_task(task: Task) -> str:
    """Run what is left of a task; "", or what went wrong in one line. Prints to the task's log."""
    torch.set_num_threads(1)  # another task has the other core
    make_private_folder(task.folder)
    with task.log.open("a", encoding="utf-8") as file:
        console = Console(file=file, width=240, highlight=False, markup=False)
        try:
            checked = check_training(training_file(task.out, task.part))
            checked = replace(checked, settings=of_seed(checked.settings, task.seed))
            _run(task, checked, console)
        except BciM2sError as problem:
            console.print(f"error: {printable(problem, 400)}")
            return printable(problem, 400)
        except Exception as problem:  # a fault in one part is no reason to lose a night's others
            console.print(traceback.format_exc())
            return f"{type(problem).__name__}: {printable(problem, 200)}; see {task.log}"
    return ""


def _run(task: Task, checked: Checked, console: Console) -> None:
    folder = task.folder
    begun = (folder / CONFIG).exists()
    link_folder(task.out / task.part.data / FEATURES, folder / FEATURES)
    sessions = _sessions(task, checked.settings, console)
    checked = replace(checked, sessions=sessions, pictures=False)
    if not begun:
        _take_pretraining(task, checked.settings)
    seconds = _seconds_of(folder)
    for name, stage in (
        ("pretrain", lambda: run_pretrain(checked, folder, console, "cpu", begun)),
        ("finetune", lambda: run_finetune(checked, folder, console, None, False)),
        ("evaluate", lambda: run_evaluate(checked, folder, console)),
    ):
        started_s = time.process_time()
        stage()
        seconds[name] = round(seconds.get(name, 0.0) + time.process_time() - started_s, 1)
        write_json(folder / SECONDS, seconds)


def _seconds_of(folder: Path) -> dict[str, float]:
    """What the stages of a run took of a core, as far as they ended; empty before the first."""
    try:
        found: dict[str, float] = json.loads((folder / SECONDS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def seconds_of(task: Task) -> float:
    """What a task took of a core."""
    return sum(_seconds_of(task.folder).values())


def of_seed(settings: TrainingSettings, seed: int) -> TrainingSettings:
    """The settings of a training file with one of its seeds.

    What draws nothing gives the same with every seed: it is a control of the first seed alone, unless
    seeds draw the labels, or who validates. Labels are permuted for the first seed alone too, which takes
    long enough.
    """
    controls = settings.controls
    if seed != settings.seeds[0]:
        controls = tuple(name for name in controls if _is_repeated(METHODS[name], are_others(settings)))
    return settings.model_copy(update={"seeds": (seed,), "controls": controls})


def _is_repeated(method: Method, others: bool) -> bool:
    return (method.draws or others) and not method.permutes


def changed_since(task: Task, settings: TrainingSettings) -> list[str]:
    """Sections of a part's training file that are not those of its run; () where none was begun.

    Another recipe for classifiers, or other controls, can go on with what was pre-trained.

    Raises
    ------
    UsageError
        What was pre-trained is of other values.
    """
    if not (task.folder / CONFIG).exists():
        return []
    changed = changed_sections(begun_settings(task.folder), of_seed(settings, task.seed))
    if refused := [key for key in changed if key in SAME_RUN]:
        raise UsageError(
            f"{task.folder}: {', '.join(refused)}: the run was made with other values; delete that "
            "folder, or name another with --out"
        )
    return changed


def compute_features(part: Part, out: Path, console: Console) -> None:
    """The features of a part's data set, of its contract and of controls on raw EEG."""
    checked = check_training(training_file(out, part))
    cache = out / part.data / FEATURES
    load_sessions(checked.settings, cache, console)
    methods: Mapping[str, Method] = {name: METHODS[name] for name in checked.settings.controls}
    for feature in {method.feature for method in methods.values() if method.feature}:
        try:
            load_sessions(raw_settings(checked.settings, feature), cache, console)
        except (NotPossible, BciM2sError) as problem:
            console.print(f"{feature}: {printable(problem)}")


def _sessions(task: Task, settings: TrainingSettings, console: Console) -> list[SessionFeatures]:
    """The sessions of a part's data set: what all parts of it begin with, read once in a process."""
    key = (task.out, task.part.data)
    if key not in _read:
        _read[key] = load_sessions(settings, task.folder / FEATURES, console)
    return _read[key]


def _take_pretraining(task: Task, settings: TrainingSettings) -> None:
    """A pre-training of the same pairs by the same recipe and seed, where there is one."""
    other = run_folder(task.out, task.part.pretrained_as, task.seed)
    if other == task.folder or not _is_same_pretraining(other, settings):
        return
    for unit in other.glob(f"*/seed-{task.seed}"):
        own = task.folder / unit.parent.name / unit.name
        if all((unit / name).exists() for name in PRETRAINED[:2]):  # the second is written when it is over
            make_private_folder(own)
            for name in PRETRAINED:
                if (unit / name).exists():
                    shutil.copyfile(unit / name, own / name)


def _is_same_pretraining(folder: Path, settings: TrainingSettings) -> bool:
    if not (folder / CONFIG).exists():
        return False
    changed = changed_sections(begun_settings(folder), settings)
    return not any(key in SAME_RUN and key != "labels" for key in changed)
