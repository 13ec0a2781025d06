"""Splits keep people and trials apart, and what is not apart is refused before anything is fitted."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from support.small_pairs import SIZES, corpus, training_settings, trials, unit

from bci_m2s.errors import ConfigurationError, TrainingError
from bci_m2s.training.data.prepare import prepare
from bci_m2s.training.data.sessions import from_steps
from bci_m2s.training.data.splits import PARTS, Split, check_apart, make_splits
from bci_m2s.training.data.windows import Names
from bci_m2s.training.settings import SplitSettings

KINDS = {
    "subjects": {"test_subjects": 2, "validation_subjects": 1},
    "subject-folds": {"folds": 3, "validation_subjects": 1},
    "leave-one-out": {"kind": "subject-folds", "folds": 0, "validation_subjects": 2},
    "trials": {"train_trials": 4},
    "trial-folds": {"folds": 3},
}


def splits_of(sessions, kind, **changes):
    settings = SplitSettings(**({"kind": kind} | KINDS[kind] | changes))
    return make_splits(sessions, settings, "emotion")


def people(keys):
    return {key.split("/")[0] for key in keys}


@pytest.fixture(scope="module")
def sessions():
    return corpus(people=6, sessions=2, per_session=6, steps=5)


@pytest.mark.parametrize("kind", KINDS)
def test_no_trial_is_in_two_parts_and_the_check_passes(sessions, kind):
    for split in splits_of(sessions, kind):
        parts = [getattr(split, part) for part in PARTS]
        assert sum(map(len, parts)) == len(frozenset.union(*parts))
        if kind not in ("trials", "trial-folds"):
            assert sum(len(people(part)) for part in parts) == len(people(frozenset.union(*parts))) == 6
        check_apart(split, sessions)


def test_by_person_the_numbers_are_as_asked_and_the_seed_draws_them(sessions):
    (split,) = splits_of(sessions, "subjects")
    assert [len(people(getattr(split, part))) for part in PARTS] == [3, 1, 2]
    assert sum(len(getattr(split, part)) for part in PARTS) == 6 * 2 * 6
    assert splits_of(sessions, "subjects") == [split]
    others = {splits_of(sessions, "subjects", seed=seed)[0].test for seed in range(8)}
    assert len(others) > 1


def test_folds_over_people_test_everybody_once_and_validation_moves_on(sessions):
    splits = splits_of(sessions, "subject-folds")
    assert [split.name for split in splits] == ["fold-1", "fold-2", "fold-3"]
    tested = Counter(person for split in splits for person in people(split.test))
    assert tested == {str(i): 1 for i in range(1, 7)}
    assert len({split.validation for split in splits}) == 3
    everybody_out = splits_of(sessions, "leave-one-out")
    assert len(everybody_out) == 6
    assert all(len(people(split.test)) == 1 for split in everybody_out)
    assert all(len(people(split.validation)) == 2 for split in everybody_out)


def test_within_sessions_the_first_trials_train_and_validation_is_taken_from_them(sessions):
    splits = splits_of(sessions, "trials")
    assert len(splits) == 12
    assert splits[1].name == "subject-1-session-2"
    first = splits[0]
    assert first.test == {"1/1/5", "1/1/6"}
    assert first.validation == {"1/1/3", "1/1/4"}  # the last of each class among the first four
    assert first.train == {"1/1/1", "1/1/2"}
    assert not first.by_subject


def test_a_class_with_one_training_trial_keeps_it():
    sessions = corpus(people=1, per_session=5, steps=5)  # classes 1 0 1 0 1
    (split,) = splits_of(sessions, "trials", train_trials=3)
    assert split.train == {"1/1/1", "1/1/2"}
    assert split.validation == {"1/1/3"}


def test_folds_over_trials_test_every_trial_once_in_blocks(sessions):
    splits = [
        split
        for split in splits_of(sessions, "trial-folds")
        if split.name.startswith("subject-1-session-1-")
    ]
    assert [split.test for split in splits] == [
        {"1/1/1", "1/1/2"},
        {"1/1/3", "1/1/4"},
        {"1/1/5", "1/1/6"},
    ]
    for split in splits:
        assert len(split.validation) == 2
        assert len(split.train) == 2
        assert not split.test & (split.train | split.validation)


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        (
            "subjects",
            {"test_subjects": 4, "validation_subjects": 2},
            "got 4 people that test and 2 that validate",
        ),
        ("subject-folds", {"folds": 7}, "split.folds: got 7, expected between 2 and 6 people"),
        ("subject-folds", {"folds": 1}, "split.folds: got 1"),
        ("subject-folds", {"folds": 3, "validation_subjects": 4}, "fold-1: no trials are left for train"),
        ("trials", {"train_trials": 6}, "subject-1-session-1: no trials are left for test"),
        ("trials", {"train_trials": 2}, "no trials are left for validation"),
    ],
)
def test_too_few_people_or_trials_are_refused(sessions, kind, changes, message):
    with pytest.raises(ConfigurationError, match=message):
        splits_of(sessions, kind, **changes)


def test_a_test_trial_among_the_training_trials_is_named(sessions):
    (split,) = splits_of(sessions, "subjects")
    stolen = sorted(split.test)[0]
    leaky = replace(split, train=split.train | {stolen})
    with pytest.raises(TrainingError, match=f"leak in split 'all': trial {stolen} is in train and in test"):
        check_apart(leaky, sessions)
    leaky = replace(split, validation=split.validation | {stolen})
    with pytest.raises(TrainingError, match=f"trial {stolen} is in validation and in test"):
        check_apart(leaky, sessions)
    mine = sorted(split.train)[0]
    leaky = replace(split, validation=split.validation | {mine})
    with pytest.raises(TrainingError, match=f"trial {mine} is in train and in validation"):
        check_apart(leaky, sessions)


def test_a_person_in_two_parts_is_named_only_where_people_must_be_apart(sessions):
    keys = {part: frozenset({f"3/1/{number}"}) for number, part in enumerate(PARTS, 1)}
    with pytest.raises(TrainingError, match="person 3 is in train and in test"):
        check_apart(Split("planted", **keys, by_subject=True), sessions)
    check_apart(Split("within", **keys, by_subject=False), sessions)


@pytest.mark.parametrize("modality", ["eeg", "eye"])
def test_a_copy_of_a_signal_under_another_name_is_found(modality):
    group = trials(people=6, per_session=4, steps=5)
    settings = SplitSettings(kind="subjects", test_subjects=2, validation_subjects=1)
    (split,) = make_splits(from_steps(group, 1.0, SIZES), settings, "emotion")
    thief, victim = sorted(split.train)[0], sorted(split.test)[-1]
    by_key = {f"{trial.subject}/{trial.session}/{trial.trial}": trial for trial in group}
    by_key[thief].steps[modality][2:4] = by_key[victim].steps[modality][:2]  # two steps of one modality
    with pytest.raises(TrainingError, match=f"the signal of trial {victim} is in train and in test"):
        check_apart(split, from_steps(group, 1.0, SIZES))


def test_the_check_runs_before_any_window_is_made():
    settings, sessions = training_settings(), corpus()
    data = unit(settings, sessions)
    assert len(data.parts["test"])
    leaky = replace(data.split, train=data.split.train | data.split.test)
    with pytest.raises(TrainingError, match=r"leak in split 'all': trial .* and 9 more"):
        prepare(settings, sessions, leaky, Names.of(sessions))


def test_a_dead_sensor_is_no_leak():
    """Steps in which nothing moves look alike in everybody."""
    sessions = corpus(people=4, per_session=2, steps=5)
    for session in sessions:
        session.values["eye"][:2] = 0.0
        session.values["eeg"][3] = np.nan
        session.usable["eeg"][3] = False
    settings = SplitSettings(kind="subjects", test_subjects=1, validation_subjects=1)
    check_apart(make_splits(sessions, settings, "emotion")[0], sessions)
