"""Clips apart: no clip in two parts, whoever saw it; data that do not name clips are refused."""

from collections import Counter
from dataclasses import replace

import pytest
from support.small_pairs import corpus, training_settings

from bci_m2s.errors import ConfigurationError, ContractError, TrainingError
from bci_m2s.training.check.clips import shared_clips
from bci_m2s.training.data.leaks import check_apart
from bci_m2s.training.data.split_settings import SplitSettings
from bci_m2s.training.data.splits import PARTS, Listed, make_splits
from bci_m2s.training.datasets import DATASETS
from bci_m2s.training.datasets.layout import Trial

CLASSES = 3


def session(person, name="1", clips=15, label=lambda clip: clip % CLASSES):
    trials = tuple(
        Trial(f"{clip}", 0.0, 1.0, {"emotion": label(clip)}, f"clip {clip}") for clip in range(clips)
    )
    return Listed(f"{person}", name, trials)


PEOPLE = [session(person) for person in range(10)]


def splits_of(sessions, **settings):
    return make_splits(sessions, SplitSettings(stimuli="apart", **settings), "emotion")


def clips_of(split, part, sessions):
    named = {one.key(trial): trial.stimulus for one in sessions for trial in one.trials}
    return {named[key] for key in getattr(split, part)}


@pytest.mark.parametrize(
    "settings",
    [
        {"kind": "subject-folds", "folds": 5, "validation_subjects": 2},
        {"kind": "subject-folds", "folds": 0, "validation_subjects": 3},
        {"kind": "subjects", "test_subjects": 3, "validation_subjects": 2},
        {"kind": "named", "test": ("1", "2"), "validation": ("3",)},
    ],
    ids=lambda settings: settings["kind"],
)
def test_no_clip_and_no_person_is_in_two_parts(settings):
    for number, split in enumerate(splits_of(PEOPLE, **settings)):
        shown = {part: clips_of(split, part, PEOPLE) for part in PARTS}
        assert sum(map(len, shown.values())) == len(set().union(*shown.values())) == 15
        assert [len(shown[part]) for part in PARTS] == [9, 3, 3]
        assert split.by_subject
        plain = make_splits(PEOPLE, SplitSettings(**settings), "emotion")[number]
        for part in PARTS:  # the same people, on fewer clips
            own = {key.split("/")[0] for key in getattr(split, part)}
            assert own == {key.split("/")[0] for key in getattr(plain, part)}
            assert getattr(split, part) < getattr(plain, part)
            assert len(getattr(split, part)) == len(own) * len(shown[part])


def test_every_part_has_every_class_and_every_clip_tests_in_turn():
    splits = splits_of(PEOPLE, kind="subject-folds", folds=5, validation_subjects=2)
    tested = Counter()
    for split in splits:
        for part in PARTS:
            classes = Counter(int(clip.split()[1]) % CLASSES for clip in clips_of(split, part, PEOPLE))
            assert len(set(classes.values())) == 1
            assert len(classes) == CLASSES
        tested.update(clips_of(split, "test", PEOPLE))
    assert tested == {f"clip {clip}": 1 for clip in range(15)}
    assert splits == splits_of(PEOPLE, kind="subject-folds", folds=5, validation_subjects=2)
    drawn = [splits_of(PEOPLE, kind="subjects", seed=seed)[0] for seed in range(4)]
    assert len({frozenset(clips_of(split, "test", PEOPLE)) for split in drawn}) > 1


def test_a_clip_that_is_seen_in_two_sessions_is_one_clip():
    sessions = [
        session(person, name, 5, lambda _clip, at=int(name) - 1: at) for person in range(6) for name in "12"
    ]
    for split in splits_of(sessions, kind="subject-folds", folds=3, validation_subjects=1):
        assert [len(clips_of(split, part, sessions)) for part in PARTS] == [3, 1, 1]
        assert {key.split("/")[1] for key in split.test} == {"1", "2"}


def test_a_clip_in_two_parts_is_a_leak_that_is_named():
    trials = corpus(people=6, per_session=6, steps=5)
    sessions = [
        replace(one, trials=tuple(replace(trial, stimulus=f"clip {trial.name}") for trial in one.trials))
        for one in trials
    ]
    settings = {"kind": "subjects", "test_subjects": 2, "validation_subjects": 1, "stimulus_folds": 3}
    (split,) = splits_of(sessions, **settings)
    check_apart(split, sessions)
    (plain,) = make_splits(
        sessions, SplitSettings(kind="subjects", test_subjects=2, validation_subjects=1), "emotion"
    )
    check_apart(plain, sessions)
    with pytest.raises(TrainingError, match=r"leak in split 'all': clip clip \d.* is in train and in test"):
        check_apart(replace(plain, by_stimulus=True), sessions)


def test_data_without_names_of_clips_and_too_few_clips_are_refused():
    nameless = [Listed("1", "1", (Trial("1", 0.0, 1.0, {"emotion": 0}),)), *PEOPLE]
    with pytest.raises(ConfigurationError, match=r"split.stimuli: got apart, .*: 1 of 151 do not"):
        splits_of(nameless, kind="subjects")
    few = [session(person, clips=14) for person in range(10)]
    with pytest.raises(
        ConfigurationError, match="got 5, expected at most the number of clips, 4 of each class"
    ):
        splits_of(few, kind="subjects")
    assert splits_of(few, kind="subjects", stimulus_folds=4)
    rated = [
        session(person, clips=4, label=lambda clip, at=person: (clip + at) % 2) for person in range(10)
    ]
    with pytest.raises(ConfigurationError, match="got 5, expected at most the number of clips, 4 of all"):
        splits_of(rated, kind="subjects")


@pytest.mark.parametrize("kind", ["trials", "trial-folds"])
def test_within_a_session_clips_are_apart_anyway(kind):
    with pytest.raises(ContractError, match=f"stimuli: got apart, expected shared with kind {kind}"):
        SplitSettings(kind=kind, stimuli="apart")


def test_a_note_says_that_the_label_is_the_clips_where_it_is():
    settings = training_settings(split={"kind": "subjects"})
    (plain,) = make_splits(PEOPLE, SplitSettings(kind="subjects"), "emotion")
    (note,) = shared_clips(settings, [plain], PEOPLE)
    assert note.startswith("15 clips train and test, and the label is the clip's")
    assert shared_clips(settings, splits_of(PEOPLE, kind="subjects"), PEOPLE) == []
    rated = [session(person, label=lambda clip, at=person: (clip + at) % 2) for person in range(10)]
    (plain,) = make_splits(rated, SplitSettings(kind="subjects"), "emotion")
    assert shared_clips(settings, [plain], rated) == []


@pytest.mark.parametrize(
    ("name", "session", "clips"),
    [
        ("seed", "2", ["clip 1", "clip 2"]),
        ("seed-iv", "2", ["clip 2.1", "clip 2.2"]),
        ("seed-v", "3", ["clip 3.1", "clip 3.2"]),
        ("deap", "1", ["clip 1", "clip 2"]),
        ("dreamer", "1", ["clip 1", "clip 2"]),
        ("brain-body-behaviour", "2", ["stim01", "stim02"]),
        ("eegmat", "1", ["", ""]),
    ],
)
def test_published_data_sets_say_which_trials_are_of_one_clip(name, session, clips):
    trials = tuple(Trial(number, 0.0, 1.0, {}) for number in "12")
    assert [trial.stimulus for trial in DATASETS[name].named(session, trials)] == clips
