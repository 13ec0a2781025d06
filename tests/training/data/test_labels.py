"""Protocols with few labels, or with labels of people without pairs: what is left in the windows."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from support.small_pairs import PAIR, SIZES, THREE, corpus, training_settings, unit

from bci_m2s.errors import ConfigurationError, ContractError, TrainingError
from bci_m2s.training.check.labels import check_labels
from bci_m2s.training.data.labels import with_labels_left, with_labels_of
from bci_m2s.training.data.prepare import prepare
from bci_m2s.training.data.splits import make_splits
from bci_m2s.training.data.windows import Names

LAST = {"epochs": 3, "batch": 32, "learning_rates": [1e-2], "weight_decays": [1e-4], "select": "last"}


def settings_with(names=PAIR, **labels):
    return training_settings(names=names, labels=labels, finetune=LAST)


def windows(seed=0, sessions=None, **labels):
    """Of a split of eight people, four of whom train."""
    settings = settings_with(**labels)
    return with_labels_left(unit(settings, corpus() if sessions is None else sessions), seed)


def labelled_people(data, part="train"):
    return set(data.parts[part].subjects[data.parts[part].labels["emotion"] >= 0].tolist())


def rows_of(rows):
    """Every window of a modality as a text that only it has."""
    return [row.tobytes() for row in rows]


def test_few_people_keep_labels_and_every_pair_stays():
    whole, few = windows(), windows(people=2)
    assert Counter(rows_of(few.parts["train"].features["eye"])) == Counter(
        rows_of(whole.parts["train"].features["eye"])
    )
    assert len(few.parts["train"].having(PAIR)) == len(whole.parts["train"].having(PAIR))
    assert {few.names.subjects[i] for i in labelled_people(few)} == set(few.labelled)
    assert len(few.labelled) == 2
    assert not labelled_people(few, "validation")
    assert len(few.parts["validation"].having(PAIR)) == len(whole.parts["validation"])
    np.testing.assert_array_equal(
        few.parts["test"].labels["emotion"], whole.parts["test"].labels["emotion"]
    )
    # those who keep labels keep them all, and right
    features, labels = whole.parts["train"].features["eeg"], whole.parts["train"].labels["emotion"]
    given = dict(zip(rows_of(features), labels, strict=True))
    left = few.parts["train"].having(["eeg"], "emotion")
    assert [given[row] for row in rows_of(left.features["eeg"])] == left.labels["emotion"].tolist()


def test_seeds_draw_other_people_and_more_people_are_those_and_others():
    sessions = corpus()
    by_number = {n: unit(settings_with(people=n), sessions) for n in (1, 2, 3)}
    drawn = [with_labels_left(by_number[2], seed).labelled for seed in range(8)]
    assert len(set(drawn)) > 2
    assert drawn == [with_labels_left(by_number[2], seed).labelled for seed in range(8)]
    one, three = (with_labels_left(by_number[n], 3).labelled for n in (1, 3))
    assert set(one) < set(three)
    other = replace(by_number[2], split=replace(by_number[2].split, name="fold-2"))
    assert drawn != [with_labels_left(other, seed).labelled for seed in range(8)]
    other = unit(settings_with(people=2, seed=1), sessions)
    assert drawn != [with_labels_left(other, seed).labelled for seed in range(8)]


def test_unpaired_labels_have_no_other_signal_beside_them():
    whole, data = windows(), windows(unpaired=True)
    train = data.parts["train"]
    pairs = train.having(PAIR)
    assert len(pairs)
    assert (pairs.labels["emotion"] == -1).all()
    labelled = {name: train.having([name], "emotion") for name in PAIR}
    for name, other in (PAIR, PAIR[::-1]):
        assert not labelled[name].present[other].any()
        assert not labelled[name].features[other].any()  # not even by who does not ask what is present
        assert set(labelled[name].subjects.tolist()) == labelled_people(data)
        assert labelled_people(data).isdisjoint(pairs.subjects.tolist())
        of_people = np.isin(whole.parts["train"].subjects, labelled[name].subjects)
        own = whole.parts["train"].take(of_people).having([name], "emotion")
        assert rows_of(labelled[name].features[name]) == rows_of(own.features[name])
        np.testing.assert_array_equal(labelled[name].labels["emotion"], own.labels["emotion"])
    assert len(data.labelled) == 2
    assert not labelled_people(data, "validation")


def test_of_three_signals_each_stands_alone():
    settings = settings_with(tuple(THREE), unpaired=True)
    train = with_labels_left(unit(settings, corpus(THREE)), 0).parts["train"]
    alone = train.take(train.labels["emotion"] >= 0)
    assert (sum(alone.present[name].astype(int) for name in THREE) == 1).all()
    assert all(len(alone.having([name])) for name in THREE)


def test_a_new_person_gives_the_first_trials_of_each_class_and_nothing_else():
    whole, data = windows(), windows(people=0, new_person_trials=1)
    before, test, train = whole.parts["test"], data.parts["test"], data.parts["train"]
    given = train.take(train.labels["emotion"] >= 0)
    assert set(given.subjects.tolist()) == set(before.subjects.tolist()) == set(test.subjects.tolist())
    assert set(given.trials.tolist()).isdisjoint(test.trials.tolist())
    assert len(given) + len(test) == len(before)
    for person in np.unique(before.subjects):
        of_person = given.take(given.subjects == person)
        assert Counter(of_person.labels["emotion"][np.unique(of_person.trials, return_index=True)[1]]) == {
            0: 1,
            1: 1,
        }
        assert of_person.starts.max() < test.starts[test.subjects == person].min()
    assert data.labelled == ()
    with_all = windows(new_person_trials=2).parts["train"]
    assert len(set(with_all.subjects[with_all.labels["emotion"] >= 0].tolist())) == 6


@pytest.mark.parametrize(
    "labels", [{"people": 2}, {"unpaired": True}, {"people": 0, "new_person_trials": 1}, {}]
)
def test_another_feature_has_the_labels_of_the_same_trials(labels):
    """Of the same recordings, with windows of their own and without those of one session."""
    data = windows(**labels)
    sessions = corpus()
    left_out = next(
        one for one in sessions if one.subject == data.names.subjects[data.parts["train"].subjects[0]]
    )
    fewer = [one for one in sessions if one is not left_out]
    own = with_labels_of(prepare(settings_with(), fewer, data.split, Names.of(fewer)), data)
    for part in ("train", "validation", "test"):
        ours, theirs = (
            {
                made.names.trials[i]: label
                for i, label in zip(
                    made.parts[part].trials, made.parts[part].labels["emotion"], strict=True
                )
                if label >= 0 and not made.names.trials[i].startswith(f"{left_out.subject}/")
            }
            for made in (own, data)
        )
        assert ours == theirs, part
        assert part != "validation" or bool(ours) != bool(labels)
    assert len(own.parts["train"].having(PAIR)) >= 3 * 6 * 5


def test_who_has_no_class_to_spare_does_not_test():
    sessions = corpus()
    whole = windows(sessions=sessions)
    poor = whole.names.subjects[whole.parts["test"].subjects[0]]
    for number, session in enumerate(sessions):
        if session.subject == poor:
            sessions[number] = type(session)(**{**vars(session), "trials": session.trials[:2]})
    data = windows(sessions=sessions, people=0, new_person_trials=1)
    assert poor not in {data.names.subjects[i] for i in data.parts["test"].subjects}
    assert poor not in {data.names.subjects[i] for i in labelled_people(data)}
    with pytest.raises(TrainingError, match=r"labels.new_person_trials: got 3, expected fewer"):
        windows(people=0, new_person_trials=3)


def test_who_would_give_no_window_of_a_class_from_a_signal_does_not_test():
    sessions = corpus()
    whole = windows(sessions=sessions)
    poor = whole.names.subjects[whole.parts["test"].subjects[0]]
    for number, session in enumerate(sessions):
        if session.subject == poor:
            eye = session.usable["eye"] & ~session.inside(session.trials[0])  # the first of its class
            usable = {**session.usable, "eye": eye}
            sessions[number] = replace(session, usable=usable)
    data = windows(sessions=sessions, people=0, new_person_trials=1)
    assert poor not in {data.names.subjects[i] for i in data.parts["test"].subjects}
    assert poor not in {data.names.subjects[i] for i in labelled_people(data)}


def test_people_without_a_class_are_not_drawn():
    sessions = corpus()
    whole = windows(sessions=sessions)
    train = {whole.names.subjects[i] for i in whole.parts["train"].subjects}
    odd = sorted(train)[:2]
    for number, session in enumerate(sessions):
        if session.subject in odd:
            sessions[number] = type(session)(**{**vars(session), "trials": session.trials[::2]})
    assert all(not set(windows(seed, sessions, people=2).labelled) & set(odd) for seed in range(4))
    with pytest.raises(
        TrainingError, match=r"labels.people: all: got 3 people, expected at most the 2 who"
    ):
        windows(sessions=sessions, people=3)


@pytest.mark.parametrize(
    ("labels", "changes", "words"),
    [
        ({"people": 2, "unpaired": True}, {}, "labels: people: got 2, expected null with unpaired"),
        ({"people": 0}, {}, "labels: people: got 0, expected at least 1, or new_person_trials"),
        ({"people": 2}, {"finetune": {}}, "finetune.select: got validation, expected last"),
        ({"unpaired": True}, {"names": ("eeg",)}, "labels.unpaired: got true, expected false with one"),
        ({"people": 2}, {"split": {"kind": "trial-folds"}}, "labels: got labels that are left out"),
    ],
)
def test_what_does_not_fit_together_is_refused(labels, changes, words):
    with pytest.raises(ContractError, match=words):
        training_settings(**{"labels": labels, "finetune": LAST, **changes})


def test_check_knows_how_many_people_train():
    sessions = corpus()
    settings = settings_with(people=5)
    splits = make_splits(sessions, settings.split, "emotion")
    with pytest.raises(
        ConfigurationError, match=r"labels.people: got 5, expected at most the 4 people who"
    ):
        check_labels(settings, splits, sessions)
    check_labels(settings_with(people=4), splits, sessions)
    own = {"kind": "named", "test": ["2/1"], "validation": ["2/2"]}
    settings = training_settings(labels={"people": 1}, finetune=LAST, split=own)
    splits = make_splits(corpus(SIZES, sessions=3), settings.split, "emotion")
    with pytest.raises(ConfigurationError, match="expected a split that tests people who do not train"):
        check_labels(settings, splits, sessions)
