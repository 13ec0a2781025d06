"""Samples that were copied rather than measured are named, and what was measured is not."""

import numpy as np
import pytest
from support.small_sessions import EEG_INFO, RATE_HZ, eeg, pipeline

from bci_m2s.signal.copies import Copies
from bci_m2s.types import Chunk

NOISE = np.random.default_rng(5).normal(0.0, 20.0, (3000, 4))
ALL = np.ones(4, bool)


def notes(samples, rate_hz=250.0, good=ALL):
    copies = Copies(("a", "b", "c", "d"), ALL, rate_hz)
    for start in range(0, len(samples), 50):
        copies.push(samples[start : start + 50], good)
    return copies.notes


def test_what_was_measured_is_no_copy():
    assert notes(NOISE) == ()
    for step in (8, 40):  # whole steps of a coarse converter
        assert notes(np.rint(NOISE / step) * step) == ()


def test_one_channel_in_several():
    samples = NOISE.copy()
    samples[:, [2, 3]] = samples[:, :1]
    assert notes(samples) == ("the samples of c, d are exactly those of a",)
    samples[1000, 3] += 1e-6
    assert notes(samples) == ("the samples of c are exactly those of a",)
    assert notes(samples, good=np.array([True, True, False, True])) == ()


@pytest.mark.parametrize(("times", "hz"), [(2, "125"), (8, "31.2")])
def test_samples_that_are_repeated_to_fill_a_rate(times, hz):
    (note,) = notes(np.repeat(NOISE, times, axis=0))
    assert "repeat the one before in every channel" in note
    true_hz = float(note.split("rate may be ")[1].split()[0])
    assert true_hz == pytest.approx(float(hz), rel=0.03)
    assert note.endswith("not 250 Hz")


def test_the_pipeline_says_it_once():
    times, samples = eeg(14.0)
    samples = samples.copy()
    samples[:, 2] = samples[:, 3]
    made = pipeline()
    for start in range(0, len(times), 100):
        made.push("eeg", Chunk.of(times[start : start + 100], samples[start : start + 100]))
    assert {EEG_INFO.labels[2], EEG_INFO.labels[3]} == {"TP9", "TP10"}
    assert made.notes == ["eeg: the samples of TP10 are exactly those of TP9"]
    assert RATE_HZ == 256.0


@pytest.mark.parametrize("length", [50, 333, 700, 2750])
def test_a_piece_of_signal_that_is_played_again_and_again(length):
    (note,) = notes(np.concatenate([NOISE[:30], *[NOISE[:length]] * 6])[30:])
    assert note == f"the same {length / 250:.4g} s of signal repeats: a test signal, or a file in a loop?"


def test_a_signal_that_stands_still_is_no_loop():
    still = np.zeros((200, 4))
    assert notes(np.concatenate([still, NOISE, still, still])) == ()
