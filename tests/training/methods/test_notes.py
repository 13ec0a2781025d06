"""A mask of whole trials is remarked on where it stands for the classes."""

import numpy as np
import pytest
from support.small_pairs import corpus, training_settings, unit

from bci_m2s.training.methods.loss_settings import LossSettings
from bci_m2s.training.methods.notes import mask_note
from bci_m2s.training.methods.stage_settings import PretrainSettings


def windows(per_session):
    return unit(training_settings(), corpus(people=6, per_session=per_session, steps=5)).parts["train"]


def settings(reach, **changes):
    return PretrainSettings(loss=LossSettings(mask_reach=reach), **changes)


def test_one_trial_of_each_class_and_whole_trials_masked_is_said():
    note = mask_note(settings(None), windows(2))
    assert "all training people have one trial of each class" in note
    assert "mask_reach: overlap" in note


@pytest.mark.parametrize(
    ("settings", "per_session"),
    [
        (settings("overlap"), 2),
        (settings(None), 4),
        (settings(None, sampler="mixed"), 2),
        (PretrainSettings(loss=LossSettings(mask_same_trial=False, mask_reach=None)), 2),
    ],
)
def test_otherwise_there_is_nothing_to_say(settings, per_session):
    assert mask_note(settings, windows(per_session)) is None


def test_unlabelled_trials_are_no_classes():
    part = windows(2)
    part.labels["emotion"][:] = -1
    assert mask_note(settings(None), part) is None
    assert len(np.unique(part.trials)) == 4
