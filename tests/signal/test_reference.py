"""References as words, and re-referencing sample by sample."""

from __future__ import annotations

import numpy as np
import pytest

from bci_m2s.signal.reference import Rereference, reference_of_labels, stated_reference

RNG = np.random.default_rng(5)


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("", ()),
        ("Ref", ()),
        ("unknown", ()),
        ("Cz", ("cz",)),
        ("Common average", ("average",)),
        ("CAR", ("average",)),
        ("linked mastoids", ("m1", "m2")),
        ("LE", ("a1", "a2")),
        ("A2 + A1", ("a1", "a2")),
        ("TP9, TP10", ("tp10", "tp9")),
    ],
)
def test_words_for_a_reference(words, meant):
    assert stated_reference(words) == meant


@pytest.mark.parametrize(
    ("labels", "reference"),
    [
        (("EEG Fp1-A1", "EEG Fp2-A1"), "A1"),
        (("Fp1-LE", "Cz-LE"), "LE"),
        (("Fp1-Ref", "Cz-Ref"), ""),
        (("Fp1-F3", "F3-C3"), ""),
        (("Fp1", "Cz"), ""),
        (("Fp1-Cz", "Fp2"), ""),
        ((), ""),
    ],
)
def test_labels_that_name_their_reference(labels, reference):
    assert reference_of_labels(labels) == reference


def test_the_average_is_of_good_channels_only():
    samples = RNG.normal(size=(8, 5))
    missing, flat = np.zeros((8, 5), bool), np.zeros(5, bool)
    samples[:, 1], missing[:, 1] = np.nan, True
    flat[4] = True
    out, lost, reference_lost = Rereference(5, 0).apply(samples, missing, flat)
    expected = samples - np.nanmean(samples[:, :4], axis=1, keepdims=True)
    np.testing.assert_allclose(out[:, [0, 2, 3]], expected[:, [0, 2, 3]])
    assert lost[:, 4].all()
    assert lost[:, :4].sum() == 8
    assert not reference_lost


def test_too_few_channels_make_no_average():
    samples, missing = RNG.normal(size=(4, 4)), np.zeros((4, 4), bool)
    missing[2, :2] = True
    _, lost, reference_lost = Rereference(4, 0).apply(samples, missing, np.zeros(4, bool))
    assert lost.all(axis=1).tolist() == [False, False, True, False]
    assert reference_lost


@pytest.mark.parametrize("fault", ["missing", "flat"])
def test_without_its_reference_channel_everything_is_missing(fault):
    samples, missing, flat = RNG.normal(size=(4, 4)), np.zeros((4, 4), bool), np.zeros(4, bool)
    out, lost, reference_lost = Rereference(2, 2).apply(samples, missing, flat)
    np.testing.assert_allclose(out, samples[:, :2] - samples[:, 2:].mean(axis=1, keepdims=True))
    assert not lost.any()
    assert not reference_lost
    if fault == "flat":
        flat[3] = True
    else:
        missing[:, 3] = True
    _, lost, reference_lost = Rereference(2, 2).apply(samples, missing, flat)
    assert lost.all()
    assert reference_lost


def test_a_channel_that_leaves_the_average_and_returns_makes_no_jump():
    """It has the offset of an electrode; cut into blocks or not, the others go on as if it had none."""
    samples = RNG.normal(size=(64, 5)) + np.array([0.0, 0.0, 0.0, 0.0, 20_000.0])
    missing = np.zeros(samples.shape, bool)
    missing[20:40, 4] = True
    samples[missing] = np.nan
    whole, _, _ = Rereference(5, 0).apply(samples, missing, np.zeros(5, bool))
    steps = np.abs(np.diff(whole[:, :4], axis=0))
    assert steps.max() < 10.0  # of noise of 1; the offset's share is 4000
    blocks = Rereference(5, 0)
    cut = [
        blocks.apply(samples[start : start + 8], missing[start : start + 8], np.zeros(5, bool))[0]
        for start in range(0, 64, 8)
    ]
    np.testing.assert_allclose(np.concatenate(cut)[:, :4], whole[:, :4], atol=1e-9)
