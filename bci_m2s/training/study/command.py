"""``bci-m2s study``: from a study file to cells, their results, and tables of them."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml
from rich.console import Console

from bci_m2s.errors import OutputError, UsageError
from bci_m2s.files.access import make_private_folder
from bci_m2s.files.one_process import held
from bci_m2s.files.whole import write_whole
from bci_m2s.training.check.training_file import check_training, count
from bci_m2s.training.data.splits import make_splits
from bci_m2s.training.data.windows import Names
from bci_m2s.training.experiment import check_same_people
from bci_m2s.training.methods import METHODS
from bci_m2s.training.run.evaluating import are_others
from bci_m2s.training.settings import TrainingSettings
from bci_m2s.training.study.cell import FEATURES, LOG, RESULT, Cell
from bci_m2s.training.study.costs import Costs
from bci_m2s.training.study.executors import Executor
from bci_m2s.training.study.features import compute_raw_features, compute_sessions
from bci_m2s.training.study.groups import groups_of, read_outcomes, without_figures
from bci_m2s.training.study.report import write_report
from bci_m2s.training.study.schedule import run_jobs
from bci_m2s.training.study.settings import StudySettings, folder_name, load_study, read_begun
from bci_m2s.training.study.tables import write_tables
from bci_m2s.training.study.variants import Variant, make_variants

STUDY = "study.yaml"
LOOKED_AT = {"contract", "pair", "data", "split", "labels", "pretrain"}  # what mistakes may be in


def run_study(
    path: Path, out: Path | None, console: Console, execute: Executor[Cell], *, resume: bool
) -> int:
    """Run the cells of a study that are not done, and write its tables; 1 where a cell failed.

    Parameters
    ----------
    out : folder of the study; None for runs/ and the file's name
    execute : where cells run, each on one core
    resume : go on with a folder that holds this study already

    Raises
    ------
    ConfigurationError
        A mistake in the study file or in a training file.
    OutputError
        The folder holds a study, and `resume` is false.
    UsageError
        The folder holds another study, is another process's, or there is nothing to go on with.
    """
    study = load_study(path)
    out = out or Path("runs") / path.stem
    _make_folder(out, resume)
    with held(out, "a study is running"):
        return _run_held(study, path, out, console, execute, resume)


def _run_held(
    study: StudySettings, path: Path, out: Path, console: Console, execute: Executor[Cell], resume: bool
) -> int:
    _begin(study, out, resume)
    variants = make_variants(study, path, out)
    cells = plan(variants, out, console)
    console.print(
        f"{path.stem}: {count(len(variants), 'training file')}, {count(len(cells), 'cell')} in {out}"
    )
    wrong = _run_cells(cells, console, execute)
    found = read_outcomes(variants, cells)
    groups = groups_of(variants, found)
    tables = write_tables(study, groups, found, len(cells), out)
    report = write_report(study, variants, found, groups, len(cells), out, ["bci-m2s", *sys.argv[1:]])
    console.print(f"Tables: {tables}\nReport: {report}", soft_wrap=True)
    for line in without_figures(found):
        console.print(line, markup=False, soft_wrap=True)
    for line in wrong:
        console.print(f"left out: {line}", markup=False)
    return 1 if wrong else 0


def _run_cells(cells: Sequence[Cell], console: Console, execute: Executor[Cell]) -> list[str]:
    costs = Costs(cells)

    def rank(cell: Cell) -> tuple[int, float]:
        """Seed by seed; the longest first, so that no worker is left alone with it at the end."""
        return cell.seed, -costs.cost_s(cell)

    try:
        return run_jobs(cells, costs.cost_s, console, execute, costs.learn, rank)
    except KeyboardInterrupt:
        done = sum(cell.is_done() for cell in cells)
        console.print(f"stopped: {done} of {count(len(cells), 'cell')} done; --resume runs the others")
        raise


def plan(variants: Mapping[Variant, TrainingSettings], out: Path, console: Console) -> list[Cell]:
    """Every cell, seed by seed, so that a study that was stopped has most tables, of fewer seeds.

    The features of every data set are computed here.
    """
    found: list[Cell] = []
    looked_at: dict[tuple[str, str], tuple[Names, list[str]]] = {}
    for variant, settings in variants.items():
        features = out / FEATURES / folder_name(variant.data)
        key = (settings.model_dump_json(include=LOOKED_AT), METHODS[settings.finetune.method].feature)
        if key not in looked_at:
            console.print(f"looking at {variant.data} ({variant.protocol})", markup=False)
            looked_at[key] = _look_at(variant, settings, features, console)
        names, splits = looked_at[key]
        if begun := next(variant.folder.glob("seed-*/*/run.json"), None):
            check_same_people(begun.parent, names)
        found += [
            Cell(
                variant.name,
                variant.file.absolute(),
                features.absolute(),
                variant.folder.absolute() / f"seed-{seed}" / folder,
                seed,
                split,
                variant.data,
                variant.method,
            )
            for split, folder in split_folders(splits).items()
            for seed in seeds_of(settings)
        ]
    return sorted(found, key=lambda cell: cell.seed)


def split_folders(splits: Sequence[str]) -> dict[str, str]:
    """The folder of each split; people whose names differ in other signs alone have a number behind."""
    folders: dict[str, str] = {}
    for split in splits:
        name = folder = folder_name(split)
        number = 1
        while folder in folders.values():
            number += 1
            folder = f"{name}-{number}"
        folders[split] = folder
    return folders


def _look_at(
    variant: Variant, settings: TrainingSettings, features: Path, console: Console
) -> tuple[Names, list[str]]:
    """Say what is wrong with a training file, compute its features; its people, and parts that test."""
    check_training(variant.file)
    sessions = compute_sessions(settings, features, console)
    compute_raw_features(settings, features, console)
    splits = make_splits(sessions, settings.split, settings.contract.first_head)
    return Names.of(sessions), [split.name for split in splits]


def seeds_of(settings: TrainingSettings) -> tuple[int, ...]:
    """One seed of a method that draws nothing, where seeds do not differ in who trains and validates."""
    is_repeated = METHODS[settings.finetune.method].draws or are_others(settings)
    return settings.seeds if is_repeated else settings.seeds[:1]


def _make_folder(out: Path, resume: bool) -> None:
    if resume and not (out / STUDY).exists():
        raise UsageError(f"{out}: no study here; start it without --resume")
    try:
        make_private_folder(out)
    except OSError as problem:
        raise OutputError(f"{out}: cannot be used as output folder: {problem.strerror}") from None


def _begin(study: StudySettings, out: Path, resume: bool) -> None:
    """Keep what is asked for in the folder; a folder of another study is refused.

    One of which no cell was begun is as none: what a mistake has stopped is started again.
    """
    kept, other = out / STUDY, "name another --output"
    has_cells = kept.exists() and _has_cells(out)
    if has_cells and not resume:
        raise OutputError(f"{out}: already holds a study; continue it with --resume, or {other}")
    if has_cells:
        begun = _as_begun(read_begun(kept), study)
        changed = [key for key in StudySettings.model_fields if getattr(begun, key) != getattr(study, key)]
        if changed:
            raise UsageError(
                f"{kept}: {', '.join(changed)}: the study was begun with other values; {other}"
            )
    wanted = yaml.safe_dump(study.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    write_whole(kept, wanted, overwrite=True)


def _has_cells(out: Path) -> bool:
    """Whether a cell was begun. Data, too, may be called "seed-iv"; their folders hold no log."""
    return any(next(out.glob(f"**/seed-*/*/{name}"), None) is not None for name in (LOG, RESULT))


def _as_begun(begun: StudySettings, study: StudySettings) -> StudySettings:
    """The study that was begun, with what may differ as it is wanted now.

    More seeds, other words, and where the training files lie, of which their values are compared.
    """
    data = {
        name: entry.model_copy(update={"training": study.data[name].training})
        if name in study.data
        else entry
        for name, entry in begun.data.items()
    }
    return begun.model_copy(update={"title": study.title, "seeds": study.seeds, "data": data})
