"""Filters: chunked equals whole, stable, start from the first sample, honest settling time."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal
from support.nightly import tries

from bci_m2s.features.de import SEED_BANDS_HZ
from bci_m2s.signal.filters import (
    FilterBank,
    SectionFilters,
    band_sections,
    notch_sections,
    settle_s,
)

BANDS = list(SEED_BANDS_HZ.values())


@settings(max_examples=tries(12, 25), deadline=None)
@given(cuts=st.lists(st.integers(0, 400), max_size=12), seed=st.integers(0, 9))
def test_chunked_equals_whole_bit_for_bit(cuts, seed):
    samples = np.random.default_rng(seed).normal(size=(3, 400)) + 40
    whole = FilterBank(BANDS, 256, notch_hz=[50]).apply(samples)
    bank = FilterBank(BANDS, 256, notch_hz=[50])
    edges = [0, *sorted(cuts), 400]
    parts = [bank.apply(samples[:, a:b]) for a, b in itertools.pairwise(edges)]
    np.testing.assert_array_equal(np.concatenate(parts, axis=-1), whole)


@pytest.mark.parametrize("rate_hz", [128, 200, 256, 500, 1000, 2048])
def test_the_lowest_band_is_stable_at_every_rate(rate_hz):
    for order in (2, 3, 4, 5):
        sections = band_sections(1, 4, rate_hz, order)
        poles = np.concatenate([np.roots(section[3:]) for section in sections])
        assert np.abs(poles).max() < 1
    noise = np.random.default_rng(0).normal(size=(1, 60 * rate_hz))
    filtered = FilterBank([(1, 4)], rate_hz).apply(noise)[0, 0]
    expected = 2 * 3 / rate_hz  # share of white noise's power in a band 3 Hz wide
    assert filtered[rate_hz * 10 :].var() == pytest.approx(expected, rel=0.35)


def test_passband_is_flat_and_neighbours_are_kept_out():
    rate_hz = 1000
    for low, high in BANDS:
        sections = band_sections(low, high, rate_hz, 3)
        centre = np.sqrt(low * high)
        _, response = signal.sosfreqz(sections, worN=[low / 2.5, low, centre, high, high * 2.5], fs=rate_hz)
        gains = np.abs(response)
        assert gains[2] == pytest.approx(1, abs=0.02)
        np.testing.assert_allclose(gains[[1, 3]], np.sqrt(0.5), rtol=1e-3)  # the definition of a cut-off
        assert gains[0] < 0.1
        assert gains[4] < 0.1


def test_a_constant_offset_makes_no_transient():
    out = FilterBank(BANDS, 500).apply(np.full((2, 1000), 4321.0))
    assert np.abs(out).max() < 1e-6


def test_settling_time_is_honest():
    rate_hz = 500
    bank = FilterBank(BANDS, rate_hz, notch_hz=[50])
    noise = np.random.default_rng(1).normal(size=(1, 20 * rate_hz))
    start = 8 * rate_hz
    long_run = bank.apply(noise)[:, :, start:]
    fresh = FilterBank(BANDS, rate_hz, notch_hz=[50]).apply(noise[:, start:])
    settled = int(bank.settle_s * rate_hz)
    for band in range(len(BANDS)):
        difference = (fresh - long_run)[band, 0, settled : settled + rate_hz]
        assert difference.std() < 0.03 * long_run[band, 0].std()
    assert 0.5 < bank.settle_s < 4


def test_notch_removes_its_line_and_little_else():
    _, response = signal.sosfreqz(notch_sections(50, 1000), worN=[40, 50, 60], fs=1000)
    assert abs(response[1]) < 1e-6
    assert np.abs(response[[0, 2]]).min() > 0.98


def test_an_empty_chunk_is_harmless():
    fresh, poked = (SectionFilters([[band_sections(1, 4, 128, 3)]]) for _ in range(2))
    samples = np.random.default_rng(2).normal(size=(2, 64))
    assert poked.apply(np.empty((2, 0))).shape == (1, 2, 0)
    np.testing.assert_array_equal(poked.apply(samples), fresh.apply(samples))


@pytest.mark.parametrize(("notch_hz", "order"), [([50], 3), ([50, 60], 2), ([50, 60], 3)])
def test_a_notch_in_the_pass_of_a_band_gives_the_bits_of_a_pass_of_its_own(notch_hz, order):
    """Up to four sections go together, more are run one after the other."""
    samples = np.random.default_rng(6).normal(size=(3, 300)) * 20 + 4000
    bank = FilterBank(BANDS, 250, order, notch_hz)
    found = np.concatenate([bank.apply(samples[:, :1]), bank.apply(samples[:, 1:])], axis=-1)
    expected = samples
    for line_hz in notch_hz:
        (expected,) = SectionFilters([[notch_sections(line_hz, 250)]]).apply(expected)
    for band, (low_hz, high_hz) in zip(found, BANDS, strict=True):
        (alone,) = SectionFilters([[band_sections(low_hz, high_hz, 250, order)]]).apply(expected)
        assert band.tobytes() == alone.tobytes()


def test_reset_forgets_everything():
    bank = FilterBank(BANDS, 128, notch_hz=[50])
    samples = np.random.default_rng(3).normal(size=(1, 100))
    first = bank.apply(samples)
    bank.apply(samples * 1000)
    bank.reset()
    np.testing.assert_array_equal(bank.apply(samples), first)


@pytest.mark.parametrize(
    ("low_hz", "high_hz", "rate_hz"),
    [(31, 50, 100), (4, 1, 200), (1, 4, 8), (-1, 4, 200), (float("nan"), 4, 200)],
)
def test_impossible_bands_are_refused(low_hz, high_hz, rate_hz):
    with pytest.raises(ValueError, match="possible"):
        band_sections(low_hz, high_hz, rate_hz, 3)
    if low_hz == 31:
        with pytest.raises(ValueError, match="expected 0 < notch"):
            notch_sections(50, rate_hz)


def test_settling_grows_with_a_narrower_band():
    wide, narrow = (settle_s(band_sections(1, high, 128, 3), 128) for high in (20, 2))
    assert narrow > wide
