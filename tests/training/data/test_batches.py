"""Who shares a batch, and what becomes of the last one."""

import numpy as np
import pytest
import torch
from support.small_pairs import corpus, training_settings, unit

from bci_m2s.errors import TrainingError
from bci_m2s.training.data.batches import batches_of, epoch_batches, groups_of


@pytest.fixture(scope="module")
def windows():
    settings = training_settings(split={"kind": "subjects", "test_subjects": 1, "validation_subjects": 1})
    return unit(settings, corpus(people=5, sessions=2, per_session=3, steps=6)).parts["train"]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def batches(windows, sampler, size=8, last_batch="merge", seed=0):
    return epoch_batches(groups_of(windows, sampler), size, last_batch, generator(seed))


@pytest.mark.parametrize("sampler", ["mixed", "within-person", "within-session"])
def test_every_window_is_used_once_an_epoch(windows, sampler):
    indices = torch.cat(batches(windows, sampler))
    assert sorted(indices.tolist()) == list(range(len(windows)))


def test_batches_come_from_whom_the_sampler_says(windows):
    for batch in batches(windows, "within-person"):
        assert len(set(windows.subjects[batch.numpy()])) == 1
    for batch in batches(windows, "within-session"):
        assert len(set(windows.sessions[batch.numpy()])) == 1
    people = [set(windows.subjects[batch.numpy()]) for batch in batches(windows, "within-person")]
    assert len(set.union(*people)) == 3
    sessions = [len(set(windows.sessions[batch.numpy()])) for batch in batches(windows, "within-person")]
    assert max(sessions) == 2  # a person's sessions do mix
    assert max(len(set(windows.subjects[batch.numpy()])) for batch in batches(windows, "mixed")) == 3


def test_order_is_random_and_repeats_with_the_seed(windows):
    first, same, other = (torch.cat(batches(windows, "within-person", seed=seed)) for seed in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    owners = [windows.subjects[batch[0]] for batch in batches(windows, "within-person", size=4)]
    assert owners != sorted(owners)  # people take turns


@pytest.mark.parametrize(
    ("n", "last_batch", "sizes"),
    [
        (12, "merge", [5, 7]),
        (12, "drop", [5, 5]),
        (12, "keep", [5, 5, 2]),
        (11, "merge", [5, 6]),  # never a batch of one window
        (11, "drop", [5, 5]),
        (10, "merge", [5, 5]),
        (10, "drop", [5, 5]),
        (3, "merge", [3]),
        (3, "drop", []),
        (1, "merge", []),
        (0, "keep", []),
    ],
)
def test_the_last_batch(n, last_batch, sizes):
    parts = batches_of(np.arange(100, 100 + n), 5, last_batch, generator())
    assert sorted(map(len, parts)) == sorted(sizes)
    members = [int(i) for batch in parts for i in batch]
    assert len(set(members)) == len(members)
    assert set(members) <= set(range(100, 100 + n))


def test_a_last_batch_of_one_that_is_to_be_kept_is_refused():
    with pytest.raises(TrainingError, match=r"has one window.*set last_batch: merge"):
        batches_of(np.arange(11), 5, "keep", generator())


def test_no_batch_at_all_is_refused(windows):
    with pytest.raises(TrainingError, match="54 windows are too few for a batch of 100: lower batch"):
        batches(windows, "within-session", 100, "drop")
