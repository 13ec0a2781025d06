"""Data of one class, and people without a trial to spare, are refused before a feature is computed."""

import pytest
from support.small_pairs import corpus, training_settings

from bci_m2s.errors import ConfigurationError
from bci_m2s.training.check.labels import check_labels
from bci_m2s.training.check.mistakes import check_two_classes
from bci_m2s.training.data.splits import make_splits


def test_trials_of_one_class_are_refused():
    """Every guess would be right: 1.0 where chance is called 0.5."""
    settings, sessions = training_settings(), corpus(people=4)
    check_two_classes(settings, sessions)
    for session in sessions:
        for trial in session.trials:
            trial.labels["emotion"] = 1
    message = (
        r"emotion\.classes: got 24 trials, all of 'positive', expected trials of two classes or more of"
    )
    with pytest.raises(ConfigurationError, match=message):
        check_two_classes(settings, sessions)


@pytest.mark.parametrize(("given", "is_refused"), [(1, False), (2, True)])
def test_somebody_who_tests_has_trials_to_spare(given, is_refused):
    """Of two trials of each class one may be given."""
    labels = {"people": 0, "new_person_trials": given}
    settings = training_settings(labels=labels, finetune={"select": "last"})
    sessions = corpus(per_session=4)
    splits = make_splits(sessions, settings.split, "emotion")
    if not is_refused:
        check_labels(settings, splits, sessions)
        return
    with pytest.raises(ConfigurationError, match=r"labels\.new_person_trials: got 2, expected fewer .* 2$"):
        check_labels(settings, splits, sessions)
