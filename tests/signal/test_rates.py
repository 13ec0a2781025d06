"""The rate of a stream whose sender states none."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.nightly import tries

from bci_m2s.signal.rates import beginning, steady_rate


@given(
    rate_hz=st.sampled_from((4.0, 30.0, 59.94, 60.0, 119.88, 120.0, 128.0, 250.0, 500.0)),
    jitter=st.floats(0.0, 0.4),
    chunk_s=st.sampled_from((0.0, 0.05, 1.0)),
    cut=st.integers(0, 2000),
    seed=st.integers(0, 99),
)
@settings(max_examples=tries(30, 60))
def test_a_steady_rate_is_found_whatever_jitters(rate_hz, jitter, chunk_s, cut, seed):
    """Also where samples come under one stamp a chunk, and whatever comes behind the first seconds."""
    stamps = 1e5 + np.arange(round(12 * rate_hz)) / rate_hz
    jitter_s = min(jitter / rate_hz, 0.02)
    stamps += np.random.default_rng(seed).uniform(-jitter_s, jitter_s, len(stamps))
    if chunk_s:
        stamps = np.ceil(stamps / chunk_s) * chunk_s
    found = steady_rate(stamps)
    assert found == pytest.approx(rate_hz, rel=0.02)
    used = len(beginning(stamps))
    assert steady_rate(stamps[: used + cut]) == found


def test_a_pause_and_a_false_stamp_move_nothing():
    stamps = 100 + np.arange(1200) / 120
    stamps[200:] += 0.4
    stamps[50] = np.nan
    stamps[90] = 7.0
    assert steady_rate(stamps) == 120.0


@pytest.mark.parametrize(
    ("stamps", "words"),
    [
        (np.arange(100) / 120, "100 stamps, fewer than 5 s"),
        (np.empty(0), "0 stamps"),
        (np.full(5000, 3.0), "fewer than 5 s"),
        (
            np.cumsum(np.where(np.arange(900) % 300 < 150, 1 / 120, 1 / 30)),
            "stamps of 3[0-9.]* to 1[0-9.]* Hz",
        ),
    ],
)
def test_stamps_of_no_one_rate_are_refused(stamps, words):
    with pytest.raises(ValueError, match=words):
        steady_rate(stamps)
