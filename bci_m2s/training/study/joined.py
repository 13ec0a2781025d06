"""``bci-m2s report STUDY…``: one report of the cells of several studies, each cell once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bci_m2s.errors import UsageError
from bci_m2s.files.access import make_private_folder, refuse_full
from bci_m2s.files.yaml_file import read_yaml
from bci_m2s.training.settings import TrainingSettings
from bci_m2s.training.study.cell import RESULT, Cell, Outcome, read_outcome
from bci_m2s.training.study.command import STUDY, seeds_of
from bci_m2s.training.study.groups import groups_of
from bci_m2s.training.study.report import versions_of, write_report
from bci_m2s.training.study.settings import StudySettings, folder_name, read_begun
from bci_m2s.training.study.tables import write_tables
from bci_m2s.training.study.variants import FILE, Variant
from bci_m2s.training.training_file import load_training

Key = tuple[str, str, str, tuple[tuple[str, Any], ...]]  # data, protocol, method, point of the grid
Cells = list[tuple[Cell, Outcome]]


@dataclass
class Joined:
    """The rows of some studies, in their order, with the cells that are done."""

    study: StudySettings
    variants: dict[Variant, TrainingSettings] = field(default_factory=dict)
    found: dict[Variant, Cells] = field(default_factory=dict)

    @property
    def n_cells(self) -> int:
        """How many there are to be: every part that a row of the same protocol has, with every seed."""
        parts: dict[tuple[str, str], set[str]] = {}
        for variant, cells in self.found.items():
            names = parts.setdefault((variant.data, variant.protocol), set())
            names |= {cell.split for cell, _ in cells}
        expected = 0
        for variant, settings in self.variants.items():
            n_parts = len(parts[variant.data, variant.protocol])
            expected += max(len(self.found[variant]), n_parts * len(seeds_of(settings)))
        return expected


def report_studies(folders: Sequence[Path], out: Path, command: Sequence[str]) -> Path:
    """Write report and tables of all cells of some studies; returns the report's path.

    out : a new folder; command : that makes it

    Raises
    ------
    OutputError
        `out` holds anything.
    UsageError
        A folder holds no study, or the same row has other settings or cells of another version in two.
    """
    refuse_full(out)
    joined = join([read_study(folder) for folder in folders])
    groups = groups_of(joined.variants, joined.found)
    make_private_folder(out)
    write_tables(joined.study, groups, joined.found, joined.n_cells, out)
    return write_report(joined.study, joined.variants, joined.found, groups, joined.n_cells, out, command)


def read_study(folder: Path) -> Joined:
    """The rows and cells of one study, as they lie in its folder. Raises UsageError."""
    study = read_begun(folder / STUDY)
    joined = Joined(study)
    for variant in sorted(_variants(study, folder), key=lambda one: _place(study, one)):
        joined.variants[variant] = load_training(variant.file)
        joined.found[variant] = list(_cells(variant))
    if not joined.variants:
        raise UsageError(f"{folder}: got {STUDY} without training files, expected the folder of a study")
    return joined


def _variants(study: StudySettings, folder: Path) -> Iterator[Variant]:
    """What the training files in a study's folder are of, as the study names it."""
    names = [
        {folder_name(name): name for name in part} for part in (study.data, study.protocols, study.methods)
    ]
    depth = 4 if study.grid else 3
    for file in folder.glob("/".join(["*"] * depth) + f"/{FILE}"):
        parts = file.parent.relative_to(folder).parts
        if all(part in of_part for part, of_part in zip(parts, names, strict=False)):
            values, _ = read_yaml(file)
            point = tuple((key, _value(values, key)) for key in study.grid)
            data, protocol, method = (of_part[part] for part, of_part in zip(parts, names, strict=False))
            yield Variant(data, protocol, method, point, file.parent)


def _value(values: Any, key: str) -> Any:
    for part in key.split("."):
        values = values.get(part) if isinstance(values, Mapping) else None
    return values


def _place(study: StudySettings, variant: Variant) -> tuple[int, ...]:
    """Where the study file has a row."""
    named = (
        (study.data, variant.data),
        (study.protocols, variant.protocol),
        (study.methods, variant.method),
    )
    grid = [
        study.grid[key].index(value) if value in study.grid[key] else len(study.grid[key])
        for key, value in variant.point
    ]
    return (*(list(part).index(name) for part, name in named), *grid)


def _cells(variant: Variant) -> Iterator[tuple[Cell, Outcome]]:
    """Those that are done, seed by seed."""
    folders = [path.parent for path in variant.folder.glob(f"seed-*/*/{RESULT}")]
    numbered = [(one.parent.name.removeprefix("seed-"), one) for one in folders]  # or "seed-0 copy"
    for seed, folder in sorted((int(number), one) for number, one in numbered if number.isdecimal()):
        cell = Cell(variant.name, variant.file, folder, folder, seed, folder.name)
        outcome = read_outcome(cell)
        if outcome is not None:
            split = outcome.results[0].split if outcome.results else cell.split
            yield replace(cell, split=split), outcome


def join(studies: Sequence[Joined]) -> Joined:
    """All rows of some studies, a row that is in several once. Raises UsageError."""
    first = studies[0]
    joined = Joined(_together([one.study for one in studies]))
    known: dict[Key, Variant] = {}
    for one in studies:
        _check_protocols(joined.variants, one.variants)
        for variant, settings in one.variants.items():
            key = (variant.data, variant.protocol, variant.method, variant.point)
            cells = one.found[variant]
            if key in known:
                _check_same(known[key], joined, variant, one)
                there = joined.found[known[key]]
                have = {(cell.seed, cell.split) for cell, _ in there}
                there += [each for each in cells if (each[0].seed, each[0].split) not in have]
            else:
                known[key] = variant
                joined.variants[variant], joined.found[variant] = settings, list(cells)
    return joined if len(studies) > 1 else first


def _together(studies: Sequence[StudySettings]) -> StudySettings:
    """What several studies ask for, as one."""
    first = studies[0]
    merged: dict[str, Any] = {"title": " + ".join(dict.fromkeys(one.title for one in studies))}
    for name in ("data", "protocols", "methods"):
        merged[name] = {key: value for one in studies for key, value in getattr(one, name).items()}
    return first.model_copy(update=merged | {"seeds": max(one.seeds for one in studies)})


def _comparable(settings: TrainingSettings) -> dict[str, Any]:
    """Settings that figures depend on: not where the data lie, nor how many seeds are wanted."""
    values = settings.model_dump(mode="json")
    values.pop("seeds")
    values["data"].pop("root")
    return values


def _check_same(before: Variant, joined: Joined, variant: Variant, one: Joined) -> None:
    there, here = _comparable(joined.variants[before]), _comparable(one.variants[variant])
    where = f"{variant.name}, in {before.folder} and {variant.folder}"
    if changed := sorted(key for key in there if there[key] != here[key]):
        raise UsageError(
            f"{where}: other values of {', '.join(changed)}; give one of the rows another name"
        )
    versions = [
        versions_of({variant: cells}).get("bci_m2s") for cells in (joined.found[before], one.found[variant])
    ]
    if all(versions) and versions[0] != versions[1]:
        raise UsageError(
            f"{where}: cells of bci_m2s {versions[0]} and {versions[1]}; leave one of them out"
        )


def _check_protocols(
    before: Mapping[Variant, TrainingSettings], added: Mapping[Variant, TrainingSettings]
) -> None:
    """Raises UsageError where a protocol of one name has other data or another split in two studies."""
    known: dict[tuple[str, str], tuple[Variant, dict[str, Any]]] = {}
    for one, settings in before.items():
        known.setdefault((one.data, one.protocol), (one, _comparable(settings)))
    checked = set()
    for variant, settings in added.items():
        key = (variant.data, variant.protocol)
        if key in known and key not in checked:
            checked.add(key)
            other, there = known[key]
            here = _comparable(settings)
            if changed := [name for name in ("data", "split") if there[name] != here[name]]:
                raise UsageError(
                    f"{', '.join(key)}, in {other.folder} and {variant.folder}: other values of "
                    f"{', '.join(changed)}; give one of the protocols another name"
                )
