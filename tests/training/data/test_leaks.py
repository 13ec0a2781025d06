"""What is not apart is refused before anything is fitted: trials, people, and signals under two names."""

from dataclasses import replace

import numpy as np
import pytest
from support.small_pairs import KINDS, SIZES, corpus, splits_of, training_settings, trials, unit

from bci_m2s.errors import TrainingError
from bci_m2s.training.data.leaks import check_apart
from bci_m2s.training.data.prepare import prepare
from bci_m2s.training.data.sessions import from_steps
from bci_m2s.training.data.split_settings import SplitSettings
from bci_m2s.training.data.splits import PARTS, Split, make_splits
from bci_m2s.training.data.windows import Names


@pytest.fixture(scope="module")
def sessions():
    return corpus(people=6, sessions=2, per_session=6, steps=5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_parts_of_every_kind_of_split_are_apart(sessions, kind):
    for split in splits_of(sessions, kind):
        check_apart(split, sessions)


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


def split_of(group):
    sessions = from_steps(group, 1.0, SIZES)
    settings = SplitSettings(kind="subjects", test_subjects=2, validation_subjects=1)
    return make_splits(sessions, settings, "emotion")[0], sessions


def by_key(group):
    return {f"{trial.subject}/{trial.session}/{trial.trial}": trial for trial in group}


def test_some_seconds_of_a_signal_in_two_parts_are_found():
    group = trials(people=6, per_session=4, steps=8)
    split, _ = split_of(group)
    thief, victim = sorted(split.train)[0], sorted(split.test)[-1]
    named = by_key(group)
    named[thief].steps["eeg"][3:7] = named[victim].steps["eeg"][:4]
    with pytest.raises(TrainingError, match=f"the signal of trial {victim} is in train and in test"):
        check_apart(*split_of(group))


@pytest.mark.parametrize("modality", SIZES)
def test_a_recording_under_two_names_is_found(modality):
    """The eyes have so few features that only a whole session is compared."""
    group = trials(people=6, per_session=8, steps=8)
    split, _ = split_of(group)
    thief, victim = (sorted({key.split("/")[0] for key in part})[0] for part in (split.train, split.test))
    named = by_key(group)
    for number in range(1, 9):
        named[f"{thief}/1/{number}"].steps[modality][:] = named[f"{victim}/1/{number}"].steps[modality]
    with pytest.raises(TrainingError, match=f"the signal of trial {victim}/1/1.* is in train and in test"):
        check_apart(*split_of(group))


def test_a_thermometer_that_rounds_is_no_leak():
    """Everybody's skin has the same few temperatures, for seconds, with the same steps between."""
    rng = np.random.default_rng(0)
    group = trials(people=6, per_session=8, steps=20)
    for trial in group:
        level = 33.0 + 0.02 * rng.integers(0, 2)
        warmth = level + 0.02 * (np.arange(20) >= rng.integers(5, 8))
        trial.steps["eye"] = np.column_stack([warmth, np.gradient(warmth), *[np.zeros(20)] * 3])
    rows = [trial.steps["eye"].tobytes() for trial in group]
    assert len(set(rows)) < len(rows) / 4  # whole trials are equal
    check_apart(*split_of(group))


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
