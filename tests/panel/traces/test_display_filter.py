"""Filters of the display: they begin without a jump, bridge what is lost, and do not depend on chunks."""

from itertools import pairwise

import numpy as np
import pytest

from bci_m2s.panel.traces.display_filter import NOTCHES, OFF, PRESETS, DisplayFilter, possible, words

RATE_HZ = 500.0


def sine(hz, n=5000):
    return np.sin(2 * np.pi * hz * np.arange(n) / RATE_HZ)[:, None].astype(np.float32)


def rms(values):
    return float(np.sqrt(np.mean(np.square(values[2500:]))))


@pytest.mark.parametrize("seed", range(3))
def test_chunked_equals_whole_with_lost_samples(seed):
    rng = np.random.default_rng(seed)
    samples = (4000 + rng.standard_normal((800, 4)).cumsum(axis=0)).astype(np.float32)
    samples[rng.random(samples.shape) < 0.1] = np.nan
    samples[:300, 1] = np.nan  # begins late
    samples[:, 2] = np.nan  # never begins
    one = DisplayFilter(RATE_HZ, 4, 1.0, 50.0, 50.0)
    whole = one.push(samples)
    other = DisplayFilter(RATE_HZ, 4, 1.0, 50.0, 50.0)
    cuts = np.unique(np.concatenate(([0, 1, 800], rng.integers(0, 800, 30))))
    parts = [other.push(samples[a:b]) for a, b in pairwise(cuts)]
    # A late channel's steady state, run through or not, differs by rounding.
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-5)
    np.testing.assert_array_equal(np.isnan(whole), np.isnan(samples))
    assert len(other.push(samples[:0])) == 0


def test_constant_offset_causes_no_transient():
    flat = np.full((100, 2), 4200.0, dtype=np.float32)
    np.testing.assert_allclose(DisplayFilter(RATE_HZ, 2, 1.0, 50.0, 50.0).push(flat), 0.0, atol=1e-6)
    np.testing.assert_allclose(DisplayFilter(RATE_HZ, 2, None, 50.0, None).push(flat), 4200.0)


def test_channel_that_begins_late_begins_without_a_jump():
    late = np.full((300, 1), 500.0, dtype=np.float32)
    late[:120] = np.nan
    shown = DisplayFilter(RATE_HZ, 1, 1.0).push(late)
    np.testing.assert_allclose(shown[120:], 0.0, atol=1e-6)


def test_bands_pass_and_stop_what_they_say():
    def through(hz):
        return rms(DisplayFilter(RATE_HZ, 1, 1.0, 50.0, 60.0).push(sine(hz))) / rms(sine(hz))

    assert through(10) == pytest.approx(1.0, abs=0.06)
    assert through(50) == pytest.approx(2**-0.5, abs=0.05)  # a corner is 3 dB down
    assert through(200) < 0.07
    assert through(60) < 0.02


def test_nothing_chosen_passes_everything_through():
    samples = sine(7) + 3
    passing = DisplayFilter(RATE_HZ, 1)
    np.testing.assert_array_equal(passing.push(samples), samples)
    assert not passing.removes_offset
    assert not DisplayFilter(RATE_HZ, 1, None, 40.0, 50.0).removes_offset
    assert DisplayFilter(RATE_HZ, 1, 1.0, None, None).removes_offset


def test_reset_forgets():
    rng = np.random.default_rng(0)
    samples = rng.standard_normal((200, 3)).astype(np.float32)
    one = DisplayFilter(RATE_HZ, 3, 1.0, 50.0)
    first = one.push(samples)
    one.reset()
    np.testing.assert_array_equal(one.push(samples), first)


def test_what_the_rate_does_not_allow_is_left_out_and_said():
    made = DisplayFilter(100.0, 1, 1.0, 100.0, 60.0)
    assert made.left_out == "no low-pass 100 Hz and notch 60 Hz: the Nyquist frequency is 50 Hz"
    assert made.removes_offset
    assert DisplayFilter(1000.0, 1, 1.0, 100.0, 60.0).left_out == ""
    irregular = DisplayFilter(0.0, 1, 1.0, None, None)
    assert irregular.left_out == "no high-pass 1 Hz: the stream has no regular rate"
    np.testing.assert_array_equal(irregular.push(sine(3)), sine(3))


@pytest.mark.parametrize(
    ("preset", "rate_hz", "expected"),
    [
        ("1–50 Hz", 1000.0, "1–50 Hz"),
        ("1–100 Hz", 128.0, "from 1 Hz"),
        ("0.5–45 Hz", 0.0, OFF),
        (OFF, 1000.0, OFF),
    ],
)
def test_words(preset, rate_hz, expected):
    assert words(preset, rate_hz) == expected


@pytest.mark.parametrize("rate_hz", [32.0, 128.0, 256.0, 1000.0, 2048.0])
def test_every_choice_is_stable_at_every_rate(rate_hz):
    rng = np.random.default_rng(0)
    noise = 50 * rng.standard_normal((int(20 * rate_hz), 2)).astype(np.float32)
    for corners in PRESETS.values():
        for notch_hz in NOTCHES.values():
            shown = DisplayFilter(rate_hz, 2, *corners, notch_hz).push(noise)
            assert np.abs(shown).max() < 500


def test_possible():
    assert possible(50.0, 128.0)
    assert not possible(63.0, 128.0)
    assert not possible(50.0, 0.0)
