"""The probe tells people apart where their embeddings differ, and only there."""

import numpy as np
import pytest
from support.small_pairs import corpus, job, training_settings, unit

from bci_m2s.training.methods.pretrain import fresh_networks
from bci_m2s.training.results.evaluation import identity_probe


def probe(offset, people=8, per_session=6, **split):
    sessions = corpus(people=people, per_session=per_session)
    way = np.random.default_rng(5).normal(size=(people, 5)).astype(np.float32)
    for number, one in enumerate(sessions):
        one.values["eye"][:] += offset * way[number]
    settings = training_settings(
        split={"kind": "subjects", "test_subjects": 1, "validation_subjects": 1, **split}
    )
    data = unit(settings, sessions)
    return identity_probe(fresh_networks(job(settings))["eye"].eval(), data.parts["train"], "eye")


def test_people_who_differ_are_told_apart_and_people_who_do_not_are_not():
    apart, same = probe(20.0), probe(0.0)
    assert apart.chance == same.chance == pytest.approx(1 / 6)
    assert apart.accuracy > 0.6
    assert same.accuracy < 0.35


def test_there_is_nothing_to_tell_with_one_person_or_one_trial_each():
    assert probe(0.0, people=3) is None
    assert probe(0.0, per_session=1) is None
