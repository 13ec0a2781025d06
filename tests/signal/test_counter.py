"""Losses that a device's own counter shows."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from support.nightly import tries

from bci_m2s.signal.counter import SampleCounter, counter_columns


def lost(values, cuts=()):
    """(sample behind the loss, samples lost) over a stream cut at `cuts`."""
    counter, found, start = SampleCounter(), [], 0
    for part in np.split(np.asarray(values, float), sorted(cuts)):
        found += [(start + index, n) for index, n in counter.lost(part)]
        start += len(part)
    return found


@pytest.mark.parametrize(
    ("label", "is_counter"),
    [
        ("SampleCounter", True),
        ("COUNTER", True),
        ("Counter", True),
        ("CNT", True),
        ("packet_num", True),
        ("Sample Number", True),
        ("Sequence", True),
        ("seq_no", True),
        ("frame-id", True),
        ("Sample Index", True),
        ("Index", True),
        ("Index finger", False),
        ("Cz", False),
        ("Count5", False),
        ("encounter", False),
        ("Timestamp", False),
    ],
)
def test_names_of_counters(label, is_counter):
    assert counter_columns(["Fz", label]) == ([1] if is_counter else [])
    assert counter_columns(["Fz", label], taken=[1]) == []


def test_a_counter_without_loss_is_silent():
    assert lost(np.arange(1000)) == []
    assert lost(np.repeat(np.arange(100), 12)) == []


@pytest.mark.parametrize("modulus", [128, 129, 256, 5000, 65_536])
def test_a_counter_that_begins_again_loses_nothing(modulus):
    assert lost(np.arange(3 * min(modulus, 6000)) % modulus) == []


def test_missing_samples_are_counted_where_they_are_missing():
    values = np.delete(np.arange(1000), np.s_[300:317])
    assert lost(values) == [(300, 17)]


def test_missing_packets_count_for_all_their_samples():
    values = np.repeat(np.delete(np.arange(100), np.s_[40:43]), 12)
    assert lost(values) == [(480, 36)]


@pytest.mark.parametrize("modulus", [128, 256, 65_536])
def test_a_loss_over_the_counters_end_is_counted(modulus):
    begin = max(0, modulus - 1000)
    values = np.delete(
        np.arange(begin, 2 * modulus - begin) % modulus, np.s_[modulus - begin - 5 : modulus - begin + 4]
    )
    assert lost(values) == [(modulus - begin - 5, 9)]


@pytest.mark.parametrize("step", [2, 4, 12])
def test_a_counter_may_go_up_by_any_step(step):
    values = np.delete(np.arange(0, 600 * step, step), np.s_[300:317])
    assert lost(values) == [(300, 17)]


def test_no_loss_is_counted_before_the_counter_is_known():
    assert lost([1, 2, 3, 4, 7, 8]) == []
    assert lost([1, 2, 3, 4, 5, 8, 9]) == [(5, 2)]


def test_losing_every_other_sample_does_not_become_usual():
    values = np.concatenate([np.arange(10), np.arange(11, 31, 2)])
    assert lost(values) == [(10 + number, 1) for number in range(10)]
    found = lost(np.concatenate([np.arange(0, 20, 2), np.arange(19, 30), [32]]))
    assert found == [(21, 2)]  # and what looked usual at first gives way


@pytest.mark.parametrize(
    "values",
    [
        [*range(5_000_000, 5_000_009), *range(9)],
        [*range(9), *range(9_000_000, 9_000_009)],
        [*range(4900, 5001), *range(37, 99)],
        range(5000, 100, -1),
        np.arange(600, 0, -1) % 256,
        [*range(40), 43.5, *range(44, 60)],
    ],
)
def test_a_restart_or_a_falling_counter_is_no_loss(values):
    assert lost(list(values)) == []


@pytest.mark.parametrize("modulus", [128, 129, 250, 5000])
@pytest.mark.parametrize("landing", [0, 1, 3])
def test_a_loss_over_an_end_that_was_seen_is_counted_wherever_it_lands(modulus, landing):
    start = 2 * modulus - 6
    values = np.delete(np.arange(3 * modulus) % modulus, np.s_[start : 2 * modulus + landing])
    assert lost(values) == [(start, 6 + landing)]


def test_an_end_that_was_no_end_is_forgotten():
    """A loss that lands on 0 looks like the counter's end; higher values show that it was none."""
    values = np.delete(np.arange(4 * 250) % 250, [*range(240, 250), *range(740, 750)])
    assert lost(values) == [(730, 10)]


@pytest.mark.parametrize("step", [1, 3])
def test_a_signed_counter_goes_on_below_zero(step):
    values = np.arange(32_700, 32_900, step).astype(np.uint16).view(np.int16)
    assert lost(values) == []
    at = int(np.argmin(values))
    assert lost(np.delete(values, np.s_[at - 2 : at + 3])) == [(at - 2, 5)]


@pytest.mark.parametrize("step", [1, 700])
def test_a_counter_that_stood_still_counts_no_loss(step):
    """Not when it goes on either, and no packet is taken to be as long."""
    still = np.concatenate([np.arange(50), np.full(700, 50), np.arange(100) + 50 + step])
    at = 50 + 700 + 40
    values = np.delete(still, np.s_[at : at + 3])
    counter = SampleCounter(500)
    assert counter.lost(values) == [(at, 3)]
    assert counter.still_at == 50 + 499


@pytest.mark.parametrize("size", [1, 7, 200, 2000])
def test_when_a_counter_stood_still_does_not_depend_on_chunks(size):
    values = np.concatenate([np.arange(50), np.full(400, 50), np.arange(51, 60), np.full(700, 3)])
    counter = SampleCounter(500)
    for start in range(0, len(values), size):
        counter.lost(values[start : start + size])
    assert counter.still_at == 459 + 499


def test_what_is_no_count_is_ignored():
    assert lost([1, 2, np.nan, 4, 5, 5.5, 7]) == []
    big = np.float32(2.0**24 + np.arange(-8, 8))
    assert lost(big) == []


@settings(max_examples=tries(40, 100))
@given(
    gaps=st.lists(st.tuples(st.integers(1, 399), st.integers(1, 40)), max_size=4),
    cuts=st.sets(st.integers(0, 399), max_size=8),
    per_count=st.sampled_from([1, 3]),
    modulus=st.sampled_from([60, 128, 100_000]),
    step=st.sampled_from([1, 2, -1]),
    below=st.sampled_from([0, 64]),
)
def test_chunks_do_not_matter(gaps, cuts, per_count, modulus, step, below):
    counts = np.arange(400) // per_count
    for start, n in gaps:
        counts[start:] += n
    values = counts * step % modulus - below
    assert lost(values, cuts) == lost(values)
