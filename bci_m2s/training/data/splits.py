"""Which trials train, validate and test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn, Protocol

import numpy as np

from bci_m2s.errors import ConfigurationError, nearest
from bci_m2s.training.data.split_settings import SplitSettings
from bci_m2s.training.data.stimuli import clip_parts
from bci_m2s.training.datasets.layout import Trial

PARTS = ("train", "validation", "test")


class HasTrials(Protocol):
    """A session as far as a split needs it: with its features, or before there are any."""

    @property
    def subject(self) -> str:
        """Whose it is."""

    @property
    def session(self) -> str:
        """Its name."""

    @property
    def trials(self) -> tuple[Trial, ...]:
        """The labelled ones."""

    def key(self, trial: Trial) -> str:
        """Name of a trial, unique over all people and sessions."""


@dataclass(frozen=True)
class Listed:
    """A session of which no sample was read."""

    subject: str
    session: str
    trials: tuple[Trial, ...]

    def key(self, trial: Trial) -> str:
        """Name of a trial, unique over all people and sessions."""
        return f"{self.subject}/{self.session}/{trial.name}"


@dataclass(frozen=True)
class Split:
    """Keys of the trials of each part (``HasTrials.key``).

    by_subject : no person may be in two parts; by_stimulus : nor a clip
    """

    name: str
    train: frozenset[str]
    validation: frozenset[str]
    test: frozenset[str]
    by_subject: bool
    by_stimulus: bool = False


def make_splits(
    sessions: Sequence[HasTrials], settings: SplitSettings, head: str, turn: int = 0
) -> list[Split]:
    """All splits of a configuration.

    turn : a model's seed; with ``validation_by_seed`` others validate at each, the same test

    Raises
    ------
    ConfigurationError
        There are too few people, trials or clips, or clips are to be apart and have no names.
    """
    make = {
        "subjects": _subjects,
        "named": _named,
        "subject-folds": _subject_folds,
        "trials": _trials,
        "trial-folds": _trial_folds,
    }
    splits = make[settings.kind](sessions, settings, head, turn if settings.validation_by_seed else 0)
    if settings.stimuli == "apart":
        parts = clip_parts([trial for one in sessions for trial in one.trials], settings, head)
        splits = [_with_clips_apart(split, sessions, parts, turn) for turn, split in enumerate(splits)]
    for split in splits:
        for part in PARTS:
            if not getattr(split, part):
                raise ConfigurationError(f"split: {split.name}: no trial is left for {part}")
    return splits


def _with_clips_apart(
    split: Split, sessions: Sequence[HasTrials], parts: Sequence[frozenset[str]], turn: int
) -> Split:
    """The trials of each part's people on the clips of that part; the others are in no part."""
    tests, validates = turn % len(parts), (turn + 1) % len(parts)
    clips = {
        "test": parts[tests],
        "validation": parts[validates],
        "train": frozenset().union(
            *(part for number, part in enumerate(parts) if number not in (tests, validates))
        ),
    }
    shown = {session.key(trial): trial.stimulus for session in sessions for trial in session.trials}
    train, validation, test = (
        frozenset(key for key in getattr(split, part) if shown[key] in clips[part]) for part in PARTS
    )
    return replace(split, train=train, validation=validation, test=test, by_stimulus=True)


def _subjects(sessions: Sequence[HasTrials], settings: SplitSettings, head: str, turn: int) -> list[Split]:
    del head
    people = _shuffled(sessions, settings.seed)
    _refuse_too_few(people, 3 if settings.validation_subjects else 2, settings.kind)
    n_test, n_validation = settings.test_subjects, settings.validation_subjects
    if n_test + n_validation >= len(people):
        raise ConfigurationError(
            f"split: got {n_test} people that test and {n_validation} that validate, "
            f"expected together fewer than the {len(people)} people there are"
        )
    test, validation = people[:n_test], _in_turn(people[n_test:], n_validation, turn)
    return [_by_people("all", sessions, test, validation)]


def _in_turn(people: Sequence[str], wanted: int, turn: int) -> list[str]:
    """So many people of all, others at each turn until everybody has had one."""
    start = turn * wanted % len(people)
    return [*people[start:], *people[:start]][:wanted]


def _named(sessions: Sequence[HasTrials], settings: SplitSettings, head: str, turn: int) -> list[Split]:
    """The people or sessions that the file names; all others train."""
    del head, turn
    people = {session.subject for session in sessions}
    known = [*sorted(people), *sorted(f"{session.subject}/{session.session}" for session in sessions)]
    parts = {"test": settings.test, "validation": settings.validation}
    for part, names in parts.items():
        for name in names:
            if name not in known:
                valid = nearest(name, sorted(people))
                raise ConfigurationError(
                    f"split.{part}: got {name!r}, expected a person or PERSON/SESSION of the data{valid}"
                )
    keys = {
        part: frozenset(
            session.key(trial)
            for session in sessions
            if not {session.subject, f"{session.subject}/{session.session}"}.isdisjoint(names)
            for trial in session.trials
        )
        for part, names in parts.items()
    }
    twice = sorted({key.rpartition("/")[0] for key in keys["test"] & keys["validation"]})
    if twice:
        raise ConfigurationError(f"split.validation: {twice[0]} tests already: name it in one part")
    every = frozenset(session.key(trial) for session in sessions for trial in session.trials)
    train = every - keys["test"] - keys["validation"]
    persons = [{key.split("/")[0] for key in part} for part in (train, *keys.values())]
    apart = sum(map(len, persons)) == len(set().union(*persons))
    return [Split("all", train, keys["validation"], keys["test"], by_subject=apart)]


def _subject_folds(
    sessions: Sequence[HasTrials], settings: SplitSettings, head: str, turn: int
) -> list[Split]:
    del head
    people = _shuffled(sessions, settings.seed)
    _refuse_too_few(people, 3 if settings.validation_subjects else 2, settings.kind)
    folds = settings.folds or len(people)  # 0: leave one person out
    if not 2 <= folds <= len(people):
        raise ConfigurationError(f"split.folds: got {folds}, expected between 2 and {len(people)} people")
    largest_test = -(-len(people) // folds)
    if settings.validation_subjects >= len(people) - largest_test:
        raise ConfigurationError(
            f"split.validation_subjects: got {settings.validation_subjects}, expected fewer than the "
            f"{len(people) - largest_test} people that a fold does not test"
        )
    splits = []
    for number in range(folds):
        test = people[number::folds]
        others = [person for person in people if person not in test]
        # the validation people change with the fold, so that everybody validates about equally often
        validation = _in_turn(others, settings.validation_subjects, number + turn)
        splits.append(_by_people(f"fold-{number + 1}", sessions, test, validation))
    return splits


def _refuse_too_few(people: Sequence[str], needed: int, kind: str) -> None:
    """Say what one or two people can be split by, where people cannot be kept apart."""
    if len(people) < needed:
        there = "is 1 person" if len(people) == 1 else f"are {len(people)} people"
        raise ConfigurationError(
            f"split.kind: got {kind}, which needs {needed} people, and there {there}; within a person: "
            "{kind: trial-folds, folds: 3, validation_trials: 1} tests blocks of trials in turn, "
            "{kind: named, test: [PERSON/SESSION], validation: [PERSON/SESSION]} whole sessions"
        )


def _shuffled(sessions: Sequence[HasTrials], seed: int) -> list[str]:
    people = sorted({session.subject for session in sessions})
    return [people[i] for i in np.random.default_rng(seed).permutation(len(people))]


def _by_people(
    name: str, sessions: Sequence[HasTrials], test: Sequence[str], validation: Sequence[str]
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


def _trials(sessions: Sequence[HasTrials], settings: SplitSettings, head: str, turn: int) -> list[Split]:
    """Within each session of each person: its first trials train, the others test."""
    del turn
    splits = []
    for session in sessions:
        keys = [session.key(trial) for trial in session.trials]
        if settings.train_trials >= len(keys):
            _refuse_number(
                session, "train_trials", settings.train_trials, f"fewer than its {len(keys)} trials"
            )
        first, rest = keys[: settings.train_trials], keys[settings.train_trials :]
        splits.append(_within(session, first, rest, settings, head))
    return splits


def _trial_folds(
    sessions: Sequence[HasTrials], settings: SplitSettings, head: str, turn: int
) -> list[Split]:
    """Within each session of each person: consecutive blocks of trials test in turn."""
    del turn
    splits = []
    for session in sessions:
        keys = [session.key(trial) for trial in session.trials]
        if not 2 <= settings.folds <= len(keys):
            _refuse_number(session, "folds", settings.folds, f"between 2 and its {len(keys)} trials")
        for number, block in enumerate(np.array_split(np.arange(len(keys)), settings.folds)):
            test = [keys[i] for i in block]
            train = [key for key in keys if key not in test]
            splits.append(_within(session, train, test, settings, head, f"-fold-{number + 1}"))
    return splits


def _refuse_number(session: HasTrials, key: str, got: int, expected: str) -> NoReturn:
    where = f"person {session.subject}, session {session.session}"
    raise ConfigurationError(f"split.{key}: got {got}, expected {expected} ({where})")


def _last_of_each_class(trials: Sequence[tuple[str, Mapping[str, int]]], wanted: int) -> set[str]:
    """Few trials, late ones, with `wanted` trials of each class of every head, fewer of a rare class.

    Of every class one trial at least is left. A trial that serves several heads is taken first, so that
    three heads do not take three times as many.

    trials : key and labels of each, in order
    """
    left = Counter(pair for _, labels in trials for pair in labels.items())
    missing = {pair: min(wanted, n - 1) for pair, n in left.items()}
    taken: set[str] = set()
    while True:
        best, most = None, 0
        for key, labels in reversed(trials):
            serves = sum(missing[pair] > 0 for pair in labels.items())
            if key not in taken and serves > most and all(left[pair] > 1 for pair in labels.items()):
                best, most = (key, labels), serves
        if best is None:
            return taken
        taken.add(best[0])
        for pair in best[1].items():
            left[pair] -= 1
            missing[pair] -= 1


def _within(
    session: HasTrials,
    train: Sequence[str],
    test: Sequence[str],
    settings: SplitSettings,
    head: str,
    suffix: str = "",
) -> Split:
    """Validation trials are the last of each class of every head among the training trials."""
    labels = {session.key(trial): trial.labels or {head: -1} for trial in session.trials}
    validation = _last_of_each_class([(key, labels[key]) for key in train], settings.validation_trials)
    name = f"subject-{session.subject}-session-{session.session}{suffix}"
    kept = frozenset(train) - validation
    return Split(name, kept, frozenset(validation), frozenset(test), by_subject=False)
