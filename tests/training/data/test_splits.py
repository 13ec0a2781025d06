"""Splits keep people and trials apart, and what is not apart is refused before anything is fitted."""

from collections import Counter

import numpy as np
import pytest
from support.small_pairs import KINDS, corpus, splits_of

from bci_m2s.errors import ConfigurationError, ContractError
from bci_m2s.training.data.split_settings import SplitSettings
from bci_m2s.training.data.splits import PARTS, Listed, make_splits
from bci_m2s.training.datasets.layout import Trial


def people(keys):
    return {key.split("/")[0] for key in keys}


@pytest.fixture(scope="module")
def sessions():
    return corpus(people=6, sessions=2, per_session=6, steps=5)


@pytest.mark.parametrize("kind", KINDS)
def test_no_trial_is_in_two_parts(sessions, kind):
    for split in splits_of(sessions, kind):
        parts = [getattr(split, part) for part in PARTS]
        assert sum(map(len, parts)) == len(frozenset.union(*parts))
        if kind not in ("trials", "trial-folds"):
            assert sum(len(people(part)) for part in parts) == len(people(frozenset.union(*parts))) == 6


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


@pytest.mark.parametrize("kind", ["subjects", "subject-folds"])
def test_with_each_seed_others_validate_and_the_same_test(sessions, kind):
    settings = SplitSettings(**({"kind": kind} | KINDS[kind] | {"validation_by_seed": True}))
    by_turn = [make_splits(sessions, settings, "emotion", turn) for turn in range(4)]
    assert by_turn[0] == splits_of(sessions, kind)
    for splits in zip(*by_turn, strict=True):
        assert len({split.test for split in splits}) == 1
        assert len({split.name for split in splits}) == 1
        assert len({split.train | split.validation for split in splits}) == 1
        validating = [people(split.validation) for split in splits]
        assert len(set().union(*validating)) == sum(map(len, validating))  # nobody twice
    fixed = settings.model_copy(update={"validation_by_seed": False})
    assert make_splits(sessions, fixed, "emotion", 3) == by_turn[0]


def test_who_validates_cannot_change_where_a_file_names_them_or_takes_trials():
    with pytest.raises(
        ContractError, match=r"validation_by_seed: got true, expected false with kind trial"
    ):
        SplitSettings(kind="trials", validation_by_seed=True)


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


def test_validation_has_every_class_of_every_head_that_can_spare_a_trial():
    """Eighteen clips rated by forty people on three scales, in three folds, as DREAMER."""
    rng = np.random.default_rng(0)
    chance = rng.beta(4, 4, size=(40, 3))
    rated = [
        Listed(
            str(person),
            "1",
            tuple(rated_trial(number, rng.random(3) < chance[person]) for number in range(18)),
        )
        for person in range(40)
    ]
    settings = SplitSettings(kind="trial-folds", folds=3, validation_trials=2)
    sizes = []
    for split in make_splits(rated, settings, "valence"):
        session = rated[int(split.name.split("-")[1])]
        labels = {session.key(trial): trial.labels for trial in session.trials}
        sizes.append(len(split.validation))
        for head in ("valence", "arousal", "dominance"):
            kept = {key: labels[key][head] for key in (*split.train, *split.validation)}
            for value in (0, 1):
                there = [key for key, label in kept.items() if label == value]
                validating = sum(key in split.validation for key in there)
                assert validating < max(1, len(there)) or not there
                assert validating or len(there) < 3
    assert 4 <= np.mean(sizes) <= 6  # of twelve, though there are three heads


def rated_trial(number, high):
    labels = dict(zip(("valence", "arousal", "dominance"), map(int, high), strict=True))
    return Trial(f"{number:02}", 100.0 * number, 100.0 * number + 60.0, labels)


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


def test_people_and_sessions_are_named_and_the_others_train(sessions):
    (split,) = splits_of(sessions, "named", test=("2", "5"), validation=("1",))
    assert people(split.test) == {"2", "5"}
    assert people(split.validation) == {"1"}
    assert people(split.train) == {"3", "4", "6"}
    assert split.by_subject
    (split,) = splits_of(sessions, "named", test=("2/2",), validation=("1",))
    assert {key.rpartition("/")[0] for key in split.test} == {"2/2"}
    assert people(split.train) == {"2", "3", "4", "5", "6"}
    assert not split.by_subject  # who named them wanted it so


@pytest.mark.parametrize("kind", ["subjects", "subject-folds"])
def test_one_person_is_told_what_can_be_split_within_a_person(sessions, kind):
    own = [session for session in sessions if session.subject == sessions[0].subject]
    settings = SplitSettings(kind=kind, validation_subjects=1)
    with pytest.raises(ConfigurationError, match="needs 3 people, and there is 1 person; within a person"):
        make_splits(own, settings, "emotion")
    within = SplitSettings(kind="trial-folds", folds=3, validation_trials=1)
    assert len(make_splits(own, within, "emotion")) == 3 * len(own)


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
        (
            "subject-folds",
            {"folds": 3, "validation_subjects": 4},
            "split.validation_subjects: got 4, expected fewer than the 4 people",
        ),
        ("trials", {"train_trials": 6}, "split.train_trials: got 6, expected fewer than its 6 trials"),
        (
            "named",
            {"test": ("7",)},
            "split.test: got '7', expected a person or PERSON/SESSION of the data; v",
        ),
        ("named", {"validation": ("5/1",)}, "split.validation: 5/1 tests already"),
        ("trial-folds", {"folds": 7}, "split.folds: got 7, expected between 2 and its 6 trials"),
        ("trials", {"train_trials": 2}, "no trial is left for validation"),
    ],
)
def test_too_few_people_or_trials_are_refused(sessions, kind, changes, message):
    with pytest.raises(ConfigurationError, match=message):
        splits_of(sessions, kind, **changes)
