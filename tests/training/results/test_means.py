"""The mean of five seeds: probabilities averaged in groups that share no seed, beside the rivals' means."""

import numpy as np
import pytest
from support.results import of, result
from support.small_pairs import corpus, training_settings, unit

from bci_m2s.training.results.means import (
    SeedMeans,
    are_averaged,
    beside_their_methods,
    mean_name,
    why_not_averaged,
)
from bci_m2s.training.results.summary import differences, summarise
from bci_m2s.training.results.tables import explained

KEY = ("all", "emotion", "m", "eeg", "eye")


@pytest.fixture(scope="module")
def windows():
    return unit(training_settings(), corpus()).parts["test"]


def test_groups_share_no_seed_and_what_fills_none_is_left_out(windows):
    seeds = [7, 3, 5, 1, 9, 2, 4]
    means, found = SeedMeans(seeds), []
    chances = np.random.default_rng(0).dirichlet([1.0, 1.0], size=(len(seeds), len(windows)))
    for seed, of_seed in zip(seeds, chances, strict=True):
        found.append(means.add(KEY, seed, windows, of_seed))
    (mean,) = (one for one in found if one is not None)
    assert found[4] is mean
    assert mean.first_seed == 7
    np.testing.assert_allclose(mean.chances, chances[:5].mean(axis=0))


def test_seeds_that_were_asked_about_other_windows_have_no_mean(windows):
    means = SeedMeans(range(5))
    for seed in range(4):
        assert means.add(KEY, seed, windows, np.ones((len(windows), 2))) is None
    fewer = windows.take(np.arange(len(windows) - 1))
    assert means.add(KEY, 4, fewer, np.ones((len(fewer), 2))) is None


def test_seeds_with_labels_of_their_own_are_not_averaged():
    """Five seeds of two labelled people each would have the labels of up to ten."""
    last = {"select": "last"}
    assert are_averaged(training_settings(seeds=5))
    assert not are_averaged(training_settings(seeds=4))
    few = training_settings(seeds=10, labels={"people": 2}, finetune=last)
    assert not are_averaged(few)
    assert why_not_averaged(few)[0].startswith("No mean of 5 seeds: each has labels of its own")
    assert (
        why_not_averaged(training_settings(seeds=4)) == why_not_averaged(training_settings(seeds=5)) == []
    )
    assert not are_averaged(training_settings(seeds=10, finetune={"trials_per_class": 2}))
    given = {"people": 0, "new_person_trials": 1}  # the same trials with every seed
    assert are_averaged(training_settings(seeds=5, labels=given, finetune=last))


def rows():
    """A method and a rival of ten seeds with their two means each, and a rival that draws nothing."""
    base = dict(zip("abcdef", (0.5, 0.6, 0.7, 0.5, 0.6, 0.7), strict=True))

    def all_at(more, **what):
        return result({person: of(value + more) for person, value in base.items()}, **what)

    singles = [all_at(more, seed=seed, method=name) for seed in range(10) for name, more in
               (("m", 0.05 + 0.01 * (seed % 2)), ("random", 0.0))]  # fmt: skip
    means = [all_at(more, seed=seed, method=mean_name(name)) for seed in (0, 5) for name, more in
             (("m", 0.1), ("random", 0.02))]  # fmt: skip
    return beside_their_methods([*singles, all_at(0.01, method="linear"), *means])


def test_a_mean_stands_behind_its_method_and_beside_the_means_of_its_rivals():
    found = rows()
    names = list(dict.fromkeys(one.method for one in found))
    assert names == ["m", mean_name("m"), "random", mean_name("random"), "linear"]
    summaries = {one.method: one for one in summarise(found, "m")}
    assert summaries[mean_name("m")].seeds == 2
    assert summaries[mean_name("m")].mean == pytest.approx(0.7)
    gaps = {(one.method, one.rival): one.mean for one in differences(found, "m")}
    assert gaps == pytest.approx(
        {
            ("m", "random"): 0.055,
            ("m", "linear"): 0.045,
            (mean_name("m"), mean_name("random")): 0.08,
            (mean_name("m"), "linear"): 0.09,
        }
    )
    said = explained(list(summaries.values()), [])
    assert "the probabilities of 5 models averaged" in said[1]
    assert "one group" not in said[1]
