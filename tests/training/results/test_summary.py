"""Rows and differences from results: a person's folds in one matrix, people and seeds as units."""

from dataclasses import replace

import numpy as np
import pytest
from support.results import of, result

from bci_m2s.training.results.summary import differences, not_counted, one_class_lines, rows_of, summarise
from bci_m2s.training.results.tables import explained, markdown, markdown_table


def test_people_who_are_at_chance_over_their_folds_have_no_spread():
    """Three people over four folds of one class each: every fold says 0 or 1, every person .5."""
    ones, zeros = [[0, 5], [0, 0]], [[0, 0], [0, 5]]  # always guesses the second class
    results = [
        result({person: matrix}, split=f"{person}-fold-{fold}")
        for person in "abc"
        for fold, matrix in enumerate([ones, zeros, ones, zeros])
    ]
    (summary,) = summarise(results)
    assert (summary.mean, summary.sd, summary.people) == (0.5, 0.0, 3)
    assert (summary.low, summary.high) == (0.5, 0.5)


def test_a_summary_is_over_people_each_the_mean_of_its_seeds():
    values = {("a", 0): 0.8, ("a", 1): 0.6, ("b", 0): 0.4, ("b", 1): 0.2}
    results = [
        result({person: of(value)}, split=f"fold-{person}", seed=seed, oracle=value + 0.1)
        for (person, seed), value in values.items()
    ]
    (summary,) = summarise(results)
    assert summary.direction == "eeg → eye"
    assert summary.mean == pytest.approx(0.5)
    assert summary.sd == pytest.approx(np.std([0.7, 0.3], ddof=1))
    assert summary.seeds_sd == pytest.approx(np.std([0.6, 0.4], ddof=1))
    assert (summary.people, summary.seeds) == (2, 2)
    assert summary.by_person == pytest.approx({"a": 0.7, "b": 0.3})
    assert summary.oracle == pytest.approx(0.6)
    assert summary.support == [200, 200]  # two splits of one seed
    assert summary.confusion == [[200, 200], [200, 200]]
    assert summary.kappa == pytest.approx(0.0)  # 2 × .7 - 1 and 2 × .3 - 1
    assert summary.low < 0.5 < summary.high


def test_summaries_keep_methods_apart_and_one_person_has_no_spread():
    results = [
        result({"a": of(0.5)}),
        result({"a": of(0.7)}, method="other"),
        result({"a": of(0.9)}, seed=1),
    ]
    first, second = summarise(results)
    assert [first.method, second.method] == ["m", "other"]
    assert (first.sd, second.sd, second.seeds_sd) == (None, None, None)
    assert first.oracle is None
    assert (first.mean, second.mean) == pytest.approx((0.7, 0.7))
    assert np.isnan(first.low)


def test_who_has_one_class_alone_is_not_counted_unless_everybody_has():
    """Of ratings, all high: guessing high is right every time."""
    one = [[0, 0], [0, 9]]
    (summary,) = summarise([result({"a": of(0.6), "b": of(0.8), "c": one})])
    assert summary.people == 2
    assert summary.mean == pytest.approx(0.7)
    assert not_counted([result({"a": of(0.6), "c": one})], "emotion") == ["c"]
    (summary,) = summarise([result({"c": one})])
    assert (summary.mean, summary.people) == (1.0, 1)


def compared():
    """A method .1 above one rival and level with another, over eight people and two seeds."""
    rng = np.random.default_rng(0)
    base = dict(zip("abcdefgh", rng.uniform(0.5, 0.8, 8).round(2), strict=True))
    results = []
    for seed in (0, 1):
        better = {person: of(value + 0.1 + 0.02 * seed) for person, value in base.items()}
        results.append(result(better, seed=seed))
    results.append(result({person: of(value) for person, value in base.items()}, method="below"))
    level = {person: of(value + 0.11) for person, value in list(base.items())[:7]}
    results.append(result(level, method="level"))
    return results


def test_differences_are_paired_and_corrected_together():
    below, level = differences(compared(), "m")
    assert (below.rival, below.people, below.mean) == ("below", 8, pytest.approx(0.11))
    assert 0.07 < below.low < below.high < 0.15
    assert (level.rival, level.people) == ("level", 7)
    assert level.mean == pytest.approx(0.0, abs=1e-9)
    assert below.p_holm == pytest.approx(2 * below.p)
    assert level.p_holm >= level.p
    assert below.p < 0.01 < below.p_independent < level.p_independent  # people differ more than methods
    assert differences(compared(), "nobody") == []


def test_rivals_with_the_same_seeds_are_compared_seed_by_seed_in_any_order():
    """Seeds with other people's labels: both rows swing by .2, the difference stays at .1."""
    swing, rng = {0: 0.0, 1: 0.2, 2: -0.1}, np.random.default_rng(1)
    base = dict(zip("abcdef", rng.uniform(0.4, 0.6, 6).round(2), strict=True))
    results = []
    for method, more, seeds in (("m", 0.1, (0, 1, 2)), ("rival", 0.0, (2, 0, 1)), ("once", 0.0, (0,))):
        for seed in seeds:
            values = {person: of(value + swing[seed] + more) for person, value in base.items()}
            results.append(result(values, seed=seed, method=method))
    paired, once = differences(results, "m")
    assert (paired.low, paired.mean, paired.high) == pytest.approx((0.1, 0.1, 0.1), abs=1e-9)
    assert once.high - once.low > 0.2  # it has one of these draws, ours all three


def test_permuted_labels_have_a_p_and_no_place_among_the_rivals():
    results = [result({"a": of(0.9), "b": of(0.8)}, seed=seed) for seed in (0, 1)]
    for number in range(4):
        for seed in (0, 1):
            shuffled = {"a": of(0.5 + 0.1 * number), "b": of(0.6)}
            results.append(result(shuffled, seed=seed, method="permuted", permutation=number))
    true, permuted = summarise(results, "m")
    assert (permuted.permutations, permuted.seeds) == (4, 2)
    assert permuted.mean == pytest.approx(0.625)
    assert permuted.p == pytest.approx(1 / 5)  # .55, .6, .65, .7 against .85
    assert permuted.seeds_sd == pytest.approx(np.std([0.55, 0.6, 0.65, 0.7], ddof=1))
    assert true.p is None
    assert differences(results, "m") == []
    assert "4 times" in explained([true, permuted], [])[-1]
    assert "eeg → eye 0.200" in explained([true, permuted], [])[-1]


def test_a_training_that_lacks_a_person_takes_the_mean_of_the_others():
    results = [result({"a": of(0.6), "b": of(0.8)}), result({"a": of(0.7)}, seed=1)]
    (row,) = rows_of(results).values()
    np.testing.assert_allclose(row.grid(), [[0.6, 0.8], [0.7, 0.8]])


def test_markdown_has_both_tables_and_the_protocol():
    results = compared()
    text = markdown(summarise(results), ["Tested: 8 of 8"], ["calm", "tense"], differences(results, "m"))
    lines = text.splitlines()
    assert lines[0] == "- Tested: 8 of 8"
    header = (
        "| method | direction | balanced accuracy | 95 % interval | SD people | SD seeds | people | seeds |"
    )
    assert any(line.startswith(header) for line in lines)
    assert any(line.startswith("| eeg → eye | below | +0.110 | +0.0") for line in lines)
    assert "Test windows of eye: calm 800, tense 800" in text


ONE = [[0, 0], [0, 9]]  # windows of one class alone


def within(signal, counts, **more):
    return replace(result(counts, **more), trained_on=signal, tested_on=signal)


def test_permuted_labels_are_judged_on_the_people_of_the_true_figure():
    """A permutation gives somebody two classes who has one, and takes one from another."""
    results = [result({"a": of(0.9), "b": of(0.7), "c": ONE})]
    results.append(result({"a": ONE, "b": of(0.6), "c": of(0.9)}, method="permuted", permutation=0))
    true, permuted = summarise(results, "m")
    assert (true.people, permuted.people) == (2, 2)
    assert permuted.mean == pytest.approx(0.8)  # of a and b
    assert sorted(permuted.by_person) == ["a", "b"]
    assert not_counted(results, "emotion") == ["c"]


def test_who_is_not_counted_in_some_rows_is_named():
    """One signal has windows of one class alone of somebody whose other signal has both."""
    results = [
        within("eeg", {"a": of(0.6), "b": of(0.8), "c": ONE}),
        within("eye", {"a": of(0.6), "b": ONE, "c": ONE}),
        within("eye", {"b": of(0.5)}, method="permuted", permutation=0),
    ]
    assert not_counted(results, "emotion") == ["c"]
    assert one_class_lines(results, "emotion") == [
        "Not counted on eye, having test windows of one class alone: b."
    ]
    assert one_class_lines(results[:1], "emotion") == []


def test_it_is_said_where_nobody_has_two_classes():
    """Guessing the one class is right every time: 1.0 for a chance of 0.5."""
    results = [
        within("eeg", {"a": ONE, "b": ONE}),
        within("eye", {"a": of(0.6), "b": ONE}),
    ]
    said = one_class_lines(results, "emotion")[0]
    assert said.startswith(
        "Nobody tests on eeg with windows of two classes: a constant guess is always right"
    )
    assert one_class_lines(results[:1], "emotion")[0].startswith("Nobody tests with windows of two classes")


def test_a_bar_in_a_name_does_not_end_a_cell():
    lines = markdown_table(("row", "figure"), [("a | b", "0.5")])
    assert lines[-1] == r"| a \| b | 0.5 |"
