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
    values = np.delete(np.arange(2 * modulus) % modulus, np.s_[modulus - 5 : modulus + 4])
    assert lost(values) == [(modulus - 5, 9)]


def test_a_restart_is_no_loss():
    assert lost([5_000_000, 5_000_001, 0, 1, 2]) == []
    assert lost([7, 8, 9_000_000, 9_000_001]) == []


def test_what_is_no_count_is_ignored():
    assert lost([1, 2, np.nan, 4, 5, 5.5, 7]) == []
    big = np.float32(2.0**24 + np.arange(8))
    assert lost(big) == []


@settings(max_examples=tries(40, 100))
@given(
    gaps=st.lists(st.tuples(st.integers(1, 399), st.integers(1, 40)), max_size=4),
    cuts=st.sets(st.integers(0, 399), max_size=8),
    per_count=st.sampled_from([1, 3]),
    modulus=st.sampled_from([128, 100_000]),
)
def test_chunks_do_not_matter(gaps, cuts, per_count, modulus):
    counts = np.arange(400) // per_count
    for start, n in gaps:
        counts[start:] += n
    assert lost(counts % modulus, cuts) == lost(counts % modulus)
