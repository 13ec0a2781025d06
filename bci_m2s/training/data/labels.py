"""The windows of a split with the labels that a training file leaves: see ``LabelSettings``.

It is done to the windows, before any method sees them, so that every method has the same. What a window
must not tell is not in it: of an unpaired window the other signal is absent and its features are 0.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from bci_m2s.errors import TrainingError
from bci_m2s.training.data.windows import WindowSet, joined
from bci_m2s.types import BoolArray

if TYPE_CHECKING:
    from bci_m2s.training.data.prepare import UnitData

Indices = NDArray[np.int64]


class NobodyTests(TrainingError):
    """Nobody of a split has trials to spare for the training: the split is left out."""


def with_labels_left(data: UnitData, seed: int) -> UnitData:
    """The windows of a split as a model of `seed` may use them; as they are where all labels count.

    Raises
    ------
    TrainingError
        Fewer people than wanted have every class.
    NobodyTests
        Nobody has a trial left for the test.
    """
    rules = data.settings.labels
    if not rules.leave_out:
        return data
    parts = {**data.parts, "validation": unlabelled(data.parts["validation"])}
    train, kept = parts["train"], None
    if rules.unpaired:
        kept = _drawn(data, len(np.unique(train.subjects)) // 2, seed)
        theirs = np.isin(train.subjects, kept)
        train = joined(unlabelled(train.take(~theirs)), *one_by_one(train.take(theirs)))
    elif rules.people is not None:
        kept = _drawn(data, rules.people, seed)
        # in their places: pre-training draws the same batches as where all labels count
        train = labelled_alone(train, np.isin(train.subjects, kept))
    if rules.new_person_trials:
        given, rest = _given(data)
        train, parts["test"] = joined(train, given), rest
    parts["train"] = train
    labelled = None if kept is None else tuple(data.names.subjects[i] for i in kept)
    return replace(data, parts=parts, labelled=labelled)


def with_labels_of(own: UnitData, data: UnitData) -> UnitData:
    """Windows of another feature with the labels, and the trials in each part, that `data` has left.

    own : of the same split, with all labels
    """
    rules = data.settings.labels
    if not rules.leave_out:
        return own
    left = data.parts["train"]
    left = left.take(np.any([rows >= 0 for rows in left.labels.values()], axis=0))
    train, test = own.parts["train"], own.parts["test"]
    if rules.new_person_trials:
        train = joined(train, test.take(_among(own, test, data, left)))
        test = test.take(_among(own, test, data, data.parts["test"]))
    keeps = _among(own, train, data, left)
    parts = {
        "train": labelled_alone(train, keeps),
        "validation": unlabelled(own.parts["validation"]),
        "test": test,
    }
    return replace(own, parts=parts)


def _among(own: UnitData, windows: WindowSet, data: UnitData, others: WindowSet) -> BoolArray:
    """Which windows of `own` are of trials of these others of `data`, by name."""
    names = {data.names.trials[i] for i in np.unique(others.trials)}
    return np.array([own.names.trials[i] in names for i in windows.trials], dtype=bool)


def unlabelled(windows: WindowSet) -> WindowSet:
    """The windows without their labels."""
    return replace(windows, labels={head: np.full_like(rows, -1) for head, rows in windows.labels.items()})


def labelled_alone(windows: WindowSet, keeps: BoolArray) -> WindowSet:
    """The windows, of which only some keep their labels. keeps : (n,)"""
    labels = {head: np.where(keeps, rows, -1) for head, rows in windows.labels.items()}
    return replace(windows, labels=labels)


def one_by_one(windows: WindowSet) -> list[WindowSet]:
    """For each modality the windows that have it, without any other."""
    sets = []
    for name in windows.features:
        own = windows.having([name])
        features = {other: rows if other == name else 0 * rows for other, rows in own.features.items()}
        present = {other: np.full(len(own), other == name) for other in own.present}
        sets.append(replace(own, features=features, present=present))
    return sets


def _has_every_class(data: UnitData, windows: WindowSet) -> bool:
    """Whether windows of every class of the first head have each signal."""
    head = data.settings.contract.first_head
    classes = range(len(data.settings.contract.heads[head].classes))
    return all(
        np.isin(classes, windows.having([name], head).labels[head]).all()
        for name in data.settings.contract.modalities
    )


def _drawn(data: UnitData, wanted: int, seed: int) -> Indices:
    """Numbers of so many training people; with the same seed and split, more are these and others."""
    train, head = data.parts["train"], data.settings.contract.first_head
    everybody = np.unique(train.subjects)
    is_whole = [_has_every_class(data, train.take(train.subjects == person)) for person in everybody]
    people = everybody[np.array(is_whole, dtype=bool)]
    if wanted > len(people):
        key = "unpaired" if data.settings.labels.unpaired else "people"
        raise TrainingError(
            f"labels.{key}: {data.split.name}: got {wanted} people, expected at most the {len(people)} who "
            f"train and have windows of every class of {head} from every signal"
        )
    # folds share most people: with one order for all, the same two would have labels in nearly every fold
    drawn_by = [data.settings.labels.seed, seed % 2**32, crc32(data.split.name.encode())]
    order = np.random.default_rng(drawn_by).permutation(people)
    return np.sort(order[:wanted])


def _given(data: UnitData) -> tuple[WindowSet, WindowSet]:
    """Test windows that people give to the training, and those that are left of these people.

    Who has no class to spare a trial of gives nothing, and does not test; nor does who would give no window
    of some class from some signal.
    """
    test, head = data.parts["test"], data.settings.contract.first_head
    n_classes = len(data.settings.contract.heads[head].classes)
    wanted = data.settings.labels.new_person_trials
    given: list[int] = []
    people = []
    for person in np.unique(test.subjects):
        own = test.take(test.subjects == person)
        in_order = own.take(np.lexsort((own.starts, own.sessions)))
        trials = [
            list(dict.fromkeys(in_order.trials[in_order.labels[head] == label].tolist()))
            for label in range(n_classes)
        ]
        chosen = [trial for of_class in trials for trial in of_class[:wanted]]
        if min(map(len, trials)) > wanted and _has_every_class(data, own.take(np.isin(own.trials, chosen))):
            people.append(person)
            given += chosen
    if not people:
        raise NobodyTests(
            f"labels.new_person_trials: got {wanted}, expected fewer than the trials of each class that "
            "somebody who tests has windows of, and in these some window of every signal"
        )
    test = test.take(np.isin(test.subjects, people))
    gives = np.isin(test.trials, given)
    return test.take(gives), test.take(~gives)
