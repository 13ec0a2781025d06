"""Which trials train, validate and test; and the check that the parts share nothing."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from bci_m2s.errors import ConfigurationError, TrainingError
from bci_m2s.training.data.sessions import SessionFeatures
from bci_m2s.training.settings import SplitSettings

PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Split:
    """Keys of the trials of each part (``SessionFeatures.key``).

    by_subject : no person may be in two parts
    """

    name: str
    train: frozenset[str]
    validation: frozenset[str]
    test: frozenset[str]
    by_subject: bool


def make_splits(sessions: Sequence[SessionFeatures], settings: SplitSettings, head: str) -> list[Split]:
    """All splits of a configuration.

    Raises
    ------
    ConfigurationError
        There are too few people or trials.
    """
    make = {
        "subjects": _subjects,
        "subject-folds": _subject_folds,
        "trials": _trials,
        "trial-folds": _trial_folds,
    }
    splits = make[settings.kind](sessions, settings, head)
    for split in splits:
        for part in PARTS:
            if not getattr(split, part):
                raise ConfigurationError(f"split: {split.name}: no trials are left for {part}")
    return splits


def _subjects(sessions: Sequence[SessionFeatures], settings: SplitSettings, head: str) -> list[Split]:
    del head
    people = _shuffled(sessions, settings.seed)
    n_test, n_validation = settings.test_subjects, settings.validation_subjects
    if n_test + n_validation >= len(people):
        raise ConfigurationError(
            f"split: got {n_test} people that test and {n_validation} that validate, "
            f"expected together fewer than the {len(people)} people"
        )
    test, validation = people[:n_test], people[n_test : n_test + n_validation]
    return [_by_people("all", sessions, test, validation)]


def _subject_folds(sessions: Sequence[SessionFeatures], settings: SplitSettings, head: str) -> list[Split]:
    del head
    people = _shuffled(sessions, settings.seed)
    folds = settings.folds or len(people)  # 0: leave one person out
    if not 2 <= folds <= len(people):
        raise ConfigurationError(f"split.folds: got {folds}, expected between 2 and {len(people)} people")
    splits = []
    for number in range(folds):
        test = people[number::folds]
        others = [person for person in people if person not in test]
        # the validation people change with the fold, so that everybody validates about equally often
        start = number * settings.validation_subjects % len(others)
        validation = (others[start:] + others[:start])[: settings.validation_subjects]
        splits.append(_by_people(f"fold-{number + 1}", sessions, test, validation))
    return splits


def _shuffled(sessions: Sequence[SessionFeatures], seed: int) -> list[str]:
    people = sorted({session.subject for session in sessions})
    return [people[i] for i in np.random.default_rng(seed).permutation(len(people))]


def _by_people(
    name: str, sessions: Sequence[SessionFeatures], test: Sequence[str], validation: Sequence[str]
) -> Split:
    def keys(wanted: Iterable[str]) -> frozenset[str]:
        chosen = set(wanted)
        return frozenset(
            session.key(trial)
            for session in sessions
            if session.subject in chosen
            for trial in session.trials
        )

    train = {session.subject for session in sessions} - {*test, *validation}
    return Split(name, keys(train), keys(validation), keys(test), by_subject=True)


def _trials(sessions: Sequence[SessionFeatures], settings: SplitSettings, head: str) -> list[Split]:
    """Within each session of each person: its first trials train, the others test."""
    splits = []
    for session in sessions:
        keys = [session.key(trial) for trial in session.trials]
        first, rest = keys[: settings.train_trials], keys[settings.train_trials :]
        splits.append(_within(session, first, rest, settings, head))
    return splits


def _trial_folds(sessions: Sequence[SessionFeatures], settings: SplitSettings, head: str) -> list[Split]:
    """Within each session of each person: consecutive blocks of trials test in turn."""
    splits = []
    for session in sessions:
        keys = [session.key(trial) for trial in session.trials]
        for number, block in enumerate(np.array_split(np.arange(len(keys)), settings.folds)):
            test = [keys[i] for i in block]
            train = [key for key in keys if key not in test]
            splits.append(_within(session, train, test, settings, head, f"-fold-{number + 1}"))
    return splits


def _within(
    session: SessionFeatures,
    train: Sequence[str],
    test: Sequence[str],
    settings: SplitSettings,
    head: str,
    suffix: str = "",
) -> Split:
    """Validation trials are the last of each class among the training trials."""
    by_class: dict[int, list[str]] = defaultdict(list)
    labels = {session.key(trial): trial.labels.get(head, -1) for trial in session.trials}
    for key in train:
        by_class[labels[key]].append(key)
    validation = {
        key
        for keys in by_class.values()
        if len(keys) > settings.validation_trials  # never the only trial of a class
        for key in keys[len(keys) - settings.validation_trials :]
    }
    name = f"subject-{session.subject}-session-{session.session}{suffix}"
    kept = frozenset(train) - validation
    return Split(name, kept, frozenset(validation), frozenset(test), by_subject=False)


def check_apart(split: Split, sessions: Sequence[SessionFeatures]) -> None:
    """Refuse parts that share a trial, a person (where they must not), or the same signal twice.

    Called before every fit. Two trials share a signal when a step of theirs has the same features bit for
    bit, whatever their names: copies under another name are detected too.

    Raises
    ------
    TrainingError
        With the two parts and what they share.
    """
    seen = {part: _fingerprints(sessions, getattr(split, part)) for part in PARTS}
    for first, second in (("train", "test"), ("validation", "test"), ("train", "validation")):
        where = (split.name, first, second)
        _refuse_shared(where, "trial", getattr(split, first) & getattr(split, second))
        if split.by_subject:
            people = [{key.split("/")[0] for key in getattr(split, part)} for part in (first, second)]
            _refuse_shared(where, "person", people[0] & people[1])
        same = seen[first].keys() & seen[second].keys()
        _refuse_shared(where, "the signal of trial", {seen[second][digest] for digest in same})


def _refuse_shared(where: tuple[str, str, str], what: str, shared: Iterable[str]) -> None:
    names = sorted(shared)
    if names:
        split, first, second = where
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        raise TrainingError(
            f"leak in split {split!r}: {what} {', '.join(names[:3])}{more} is in {first} and in {second}"
        )


def _fingerprints(sessions: Sequence[SessionFeatures], keys: frozenset[str]) -> dict[bytes, str]:
    """Digest of every usable step of the trials, and the trial's name."""
    digests = {}
    for session in sessions:
        for trial in session.trials:
            key = session.key(trial)
            if key not in keys:
                continue
            for modality, rows in session.values.items():
                for row in rows[session.inside(trial) & session.usable[modality]]:
                    if len(set(row[:8].tolist())) > 1:  # a dead sensor looks alike everywhere
                        digests[hashlib.blake2b(row.tobytes(), digest_size=16).digest()] = key
    return digests
