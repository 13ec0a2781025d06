"""Which trials train, which choose, which test; and the check that they are kept apart."""

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
    """All splits that a configuration asks for.

    Raises
    ------
    ConfigurationError
        There are too few people or trials for it.
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
                raise ConfigurationError(f"split: {split.name}: no trial is left for {part}")
    return splits


def _subjects(sessions: Sequence[SessionFeatures], settings: SplitSettings, head: str) -> list[Split]:
    del head
    people = _shuffled(sessions, settings.seed)
    n_test, n_validation = settings.test_subjects, settings.validation_subjects
    if n_test + n_validation >= len(people):
        raise ConfigurationError(
            f"split: {len(people)} people, of whom {n_test} are to test and {n_validation} to validate"
        )
    test, validation = people[:n_test], people[n_test : n_test + n_validation]
    return [_by_people("all", sessions, test, validation)]


def _subject_folds(sessions: Sequence[SessionFeatures], settings: SplitSettings, head: str) -> list[Split]:
    del head
    people = _shuffled(sessions, settings.seed)
    folds = settings.folds or len(people)  # 0: leave one person out
    if not 2 <= folds <= len(people):
        raise ConfigurationError(f"split.folds: got {folds} for {len(people)} people, expected 2 to that")
    splits = []
    for number in range(folds):
        test = people[number::folds]
        others = [one for one in people if one not in test]
        # the validation people move on with the fold, so that everybody validates about as often
        start = number * settings.validation_subjects % len(others)
        validation = (others[start:] + others[:start])[: settings.validation_subjects]
        splits.append(_by_people(f"fold-{number + 1}", sessions, test, validation))
    return splits


def _shuffled(sessions: Sequence[SessionFeatures], seed: int) -> list[str]:
    people = sorted({one.subject for one in sessions})
    return [people[i] for i in np.random.default_rng(seed).permutation(len(people))]


def _by_people(
    name: str, sessions: Sequence[SessionFeatures], test: Sequence[str], validation: Sequence[str]
) -> Split:
    def keys(wanted: Iterable[str]) -> frozenset[str]:
        chosen = set(wanted)
        return frozenset(
            one.key(trial) for one in sessions if one.subject in chosen for trial in one.trials
        )

    train = {one.subject for one in sessions} - {*test, *validation}
    return Split(name, keys(train), keys(validation), keys(test), by_subject=True)


def _trials(sessions: Sequence[SessionFeatures], settings: SplitSettings, head: str) -> list[Split]:
    """Within each session of each person: its first trials train, the others test."""
    splits = []
    for one in sessions:
        keys = [one.key(trial) for trial in one.trials]
        first, rest = keys[: settings.train_trials], keys[settings.train_trials :]
        splits.append(_within(one, first, rest, settings, head))
    return splits


def _trial_folds(sessions: Sequence[SessionFeatures], settings: SplitSettings, head: str) -> list[Split]:
    """Within each session of each person: every k-th trial in a row of k blocks tests in turn."""
    splits = []
    for one in sessions:
        keys = [one.key(trial) for trial in one.trials]
        for number, block in enumerate(np.array_split(np.arange(len(keys)), settings.folds)):
            test = [keys[i] for i in block]
            train = [key for key in keys if key not in test]
            splits.append(_within(one, train, test, settings, head, f"-fold-{number + 1}"))
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

    Called before every fit. A signal counts as the same when a step of it has bit for bit the same
    features, whatever the trial is called: copies under another name are found as well.

    Raises
    ------
    TrainingError
        Naming the two parts and what they share.
    """
    seen = {part: _fingerprints(sessions, getattr(split, part)) for part in PARTS}
    for one, other in (("train", "test"), ("validation", "test"), ("train", "validation")):
        where = (split.name, one, other)
        _refuse_shared(where, "trial", getattr(split, one) & getattr(split, other))
        if split.by_subject:
            people = [{key.split("/")[0] for key in getattr(split, part)} for part in (one, other)]
            _refuse_shared(where, "person", people[0] & people[1])
        same = seen[one].keys() & seen[other].keys()
        _refuse_shared(where, "the signal of trial", {seen[other][digest] for digest in same})


def _refuse_shared(where: tuple[str, str, str], what: str, shared: Iterable[str]) -> None:
    found = sorted(shared)
    if found:
        split, one, other = where
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        raise TrainingError(
            f"leak in split {split!r}: {what} {', '.join(found[:3])}{more} is in {one} and in {other}"
        )


def _fingerprints(sessions: Sequence[SessionFeatures], keys: frozenset[str]) -> dict[bytes, str]:
    """Digest of every usable step of the trials, and the trial's name."""
    found = {}
    for session in sessions:
        for trial in session.trials:
            key = session.key(trial)
            if key not in keys:
                continue
            inside = (session.end_s > trial.start_s + 1e-6) & (session.end_s <= trial.stop_s + 1e-6)
            for modality, rows in session.values.items():
                for row in rows[inside & session.usable[modality]]:
                    if len(set(row[:8].tolist())) > 1:  # a dead sensor looks alike everywhere
                        found[hashlib.blake2b(row.tobytes(), digest_size=16).digest()] = key
    return found
