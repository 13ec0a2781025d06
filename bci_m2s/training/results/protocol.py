"""The conditions of every figure: who trained, chose and tested, and how."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from bci_m2s.training.data.label_settings import label_lines
from bci_m2s.training.data.prepare import UnitData
from bci_m2s.training.data.second_set import SecondSet
from bci_m2s.training.data.split_settings import SplitSettings
from bci_m2s.training.data.splits import PARTS, Split
from bci_m2s.training.data.windows import Names, WindowSet
from bci_m2s.training.settings import DataSettings, TrainingSettings

MOST_NAMES = 40
VERBS = {"train": "train", "validation": "validate", "test": "test"}
People = Mapping[str, Collection[str]]  # by part, and of those who test by modality


def people_of(data: UnitData, head: str) -> dict[str, list[str]]:
    """Who has labelled windows in each part of a split, and under its name of each modality to test on."""

    found = {part: _people_with(windows, data.names, head) for part, windows in data.parts.items()}
    return found | people_with_tests(
        data.parts["test"], data.names, head, data.settings.contract.modalities
    )


def people_with_tests(
    windows: WindowSet, names: Names, head: str, modalities: Iterable[str]
) -> dict[str, list[str]]:
    """Who has labelled test windows, under "test", and of each modality under its name."""
    everybody = _people_with(windows, names, head)
    return {"test": everybody} | {name: _people_with(windows, names, head, name) for name in modalities}


def _people_with(windows: WindowSet, names: Names, head: str, *modalities: str) -> list[str]:
    labelled = windows.having(modalities, head)
    return [names.subjects[i] for i in np.unique(labelled.subjects)]


def meant_to_test(splits: Sequence[Split], second: SecondSet | None = None) -> set[str]:
    """Whose trials the splits keep for testing, those left out too; of other data everybody."""
    if second is not None:
        return set(second.people)
    return {key.split("/")[0] for split in splits for key in split.test}


def protocol(
    settings: TrainingSettings,
    head: str,
    splits: Sequence[People],
    meant: Collection[str] = (),
    one_class: Collection[str] = (),
    second: SecondSet | None = None,
) -> list[str]:
    """The conditions of every figure of a head, and who took part, one sentence or more per line.

    Parameters
    ----------
    splits : who had labelled windows, by part, of each split
    meant : whose trials were kept for testing
    one_class : who had test windows of one class alone, and is not counted
    second : other data that tested
    """
    labelled = " with labels" if settings.labels.leave_out else ""  # the others' pairs train as well
    people = [f"People: {_numbers(splits, labelled)}."]
    if second is not None:
        people = _of_both(settings, splits, second) + people
        without = settings.finetune.model_copy(update={"oracle": False})  # it is of the own test people
        settings = settings.model_copy(update={"finetune": without})
    return [
        *people,
        *who_tested(splits, meant, one_class, settings.labels.new_person_trials),
        *conditions(settings, head),
    ]


def _of_both(settings: TrainingSettings, splits: Sequence[People], second: SecondSet) -> list[str]:
    """Who trained and on what, and which other data tested; each name that is in both."""
    trained = _people(splits, "train") | _people(splits, "validation")
    lines = [
        f"Tested on other data: all people of {second.path.name} ({described(second.settings.data)}).",
        f"Trained and validated on {described(settings.data)}: {len(trained)} people: {listed(trained)}.",
    ]
    if len(splits) > 1:
        lines.append(
            f"Each person is judged by the models of all {len(splits)} splits; numbers of test windows "
            "below count a window once for each."
        )
    if said := same_names(settings.data, trained, second):
        lines.append(said)
    return lines


def same_names(data: DataSettings, trained: Collection[str], second: SecondSet) -> str:
    """Who has the name of somebody who trained; "" for nobody, and for simulated people of another seed."""
    both = set(trained) & set(second.people)
    theirs = second.settings.data
    seeds = [one.simulator.get("seed", 0) for one in (data, theirs)]
    if not both or (data.format == theirs.format == "simulated" and seeds[0] != seeds[1]):
        return ""
    return (
        f"People of these names trained too: {listed(both)}; if they are the same people, the figures say "
        "little of new ones."
    )


def described(data: DataSettings) -> str:
    """Format and folder of some data: "recordings in lab"."""
    folder = "" if data.root is None else data.root.name
    return f"{data.format} in {folder}" if folder not in ("", data.format) else data.format


def conditions(settings: TrainingSettings, head: str) -> list[str]:
    """What a training file says of how every figure of a head comes about."""
    data, contract, finetune = settings.data, settings.contract, settings.finetune
    classes = contract.heads[head].classes
    selection = (
        "epoch and settings of the best balanced accuracy on validation trials, mean over people"
        if finetune.select == "validation"
        else "the last epoch of the first setting"
    )
    if finetune.classifier == "logistic" and finetune.freeze:
        selection = (
            f"none for the method, a logistic regression; of networks that labels train: {selection}"
        )
    normalisers = {name: spec.normaliser.name for name, spec in contract.modalities.items()}
    lines = [
        f"Data: {data.format}{', simulated people' if contract.simulated else ''}. "
        f"Classes of {head}: {', '.join(classes)}; chance {1 / len(classes):.2f}.",
        f"Split: {_describe_split(settings.split)} (split seed {settings.split.seed}).",
        f"Seeds: {', '.join(map(str, settings.seeds))}. Selection: {selection}.",
        f"Normalisation per person: {normalisers}; batches {settings.pretrain.sampler}; "
        f"preset {settings.preset}.",
    ]
    if settings.windows.own_session:
        lines.append("Transductive: each session was scaled by all of its rows, including test trials.")
    lines += label_lines(settings.labels)
    if finetune.trials_per_class:
        lines.append(
            f"Labels: {finetune.trials_per_class} training trial(s) of each class over all people; "
            "validation trials are labelled too."
        )
    if finetune.oracle:
        lines.append("Oracle: the best figure on the test windows, selected on them; not a result.")
    return lines


def _numbers(splits: Sequence[People], labelled: str) -> str:
    """How many people had windows: "5 splits, in each 10 to 11 people train, 4 validate, 3 to 4 test"."""
    words = []
    for part in PARTS:
        numbers = [len(of_split[part]) for of_split in splits]
        low, high = min(numbers, default=0), max(numbers, default=0)
        words.append((f"{low}" if low == high else f"{low} to {high}", VERBS[part]))
    first = f"{words[0][0]} {'person trains' if words[0][0] == '1' else 'people train'}{labelled}"
    rest = ", ".join(f"{n} {verb}{'s' if n == '1' else ''}" for n, verb in words[1:])
    number = f"{len(splits)} splits, in each " if len(splits) > 1 else ""
    return f"{number}{first}, {rest}"


def who_tested(
    splits: Sequence[People], meant: Collection[str], one_class: Collection[str], given: int = 0
) -> list[str]:
    """Who tested, and who was meant to and did not. given : trials of each class that who tests gives"""
    one_class, tested = set(one_class), _people(splits, "test")
    everybody = set(meant) | tested | one_class
    counted = tested - one_class
    lines = [f"Tested: {len(counted)} of {len(everybody)} people: {listed(counted)}."]
    if missing := everybody - tested:
        spare = f", or no trial of each class beside the {given} given to the training" if given else ""
        lines.append(f"Did not test, without a window that can be used{spare}: {listed(missing)}.")
    for name in dict.fromkeys(key for of_split in splits for key in of_split if key not in PARTS):
        if lacking := counted - _people(splits, name):
            lines.append(f"Without a test window of {name} that can be used: {listed(lacking)}.")
    if one_class:
        lines.append(f"Not counted, having test windows of one class alone: {listed(one_class)}.")
    return lines


def _people(splits: Sequence[People], key: str) -> set[str]:
    return {person for of_split in splits for person in of_split[key]}


def listed(people: Collection[str]) -> str:
    """Names of people, at most ``MOST_NAMES``."""
    names = sorted(people, key=lambda name: (len(name), name))  # 9 before 10
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more


def _describe_split(split: SplitSettings) -> str:
    within = f"the last {split.validation_trials} training trials of each class validate"
    apart = f"; clips apart, in {split.stimulus_folds} parts" if split.stimuli == "apart" else ""
    apart += "; other people validate with each seed" if split.validation_by_seed else ""
    return {
        "subjects": "by person",
        "subject-folds": "folds over people, tested on people not trained on",
        "trials": f"within each session: the first {split.train_trials} trials train, the others test; "
        f"{within}",
        "trial-folds": f"within each session: {split.folds} folds over trials; {within}",
        "named": "by name",
    }[split.kind] + apart
