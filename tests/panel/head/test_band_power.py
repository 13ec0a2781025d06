"""Band power agrees with scipy's Welch, in decibels, and says nothing where it knows nothing."""

import numpy as np
import pytest
import scipy.signal

from bci_m2s.features.de import SEED_BANDS_HZ
from bci_m2s.panel.head.band_power import BANDS, BandPower

RATE_HZ = 500.0


def noise(n_channels=3, seconds=2.0, rate_hz=RATE_HZ):
    return np.random.default_rng(5).normal(0.0, 12.0, (round(seconds * rate_hz), n_channels))


def one(samples, units=None, rate_hz=RATE_HZ):
    made = BandPower(units or ["microvolts"] * samples.shape[1], rate_hz)
    made.push(samples)
    return made.powers()


def test_it_is_welchs_method():
    samples = noise()
    frequencies, density = scipy.signal.welch(samples, RATE_HZ, "hann", int(RATE_HZ), axis=0)
    expected = [
        10 * np.log10(density[(frequencies >= low) & (frequencies < high)].sum(axis=0))  # bins of 1 Hz
        for low, high in SEED_BANDS_HZ.values()
    ]
    np.testing.assert_allclose(one(samples), np.array(expected).T, atol=1e-3)


def test_a_sine_has_its_power_in_its_band():
    t = np.arange(1000) / RATE_HZ
    powers = one((10.0 * np.sin(2 * np.pi * 10.0 * t))[:, None])[0]
    alpha = BANDS.index("alpha")
    assert powers[alpha] == pytest.approx(10 * np.log10(50.0), abs=0.01)  # 10²/2 µV²
    assert powers[alpha] > np.delete(powers, alpha).max() + 40


@pytest.mark.parametrize(("unit", "gain"), [("V", 1e-6), ("mV", 1e-3), ("uV", 1.0), ("", 1.0), ("nV", 1e3)])
def test_units_do_not_change_the_answer(unit, gain):
    samples = noise()
    np.testing.assert_allclose(one(samples * gain, [unit] * 3), one(samples), atol=1e-3)


def test_chunks_do_not_matter_and_only_the_last_two_seconds_count():
    samples = noise(seconds=7.3)
    made = BandPower(["", "", ""], RATE_HZ)
    for start in range(0, len(samples), 77):
        made.push(samples[start : start + 77])
    made.push(np.empty((0, 3)))
    np.testing.assert_allclose(made.powers(), one(samples[-1000:]), atol=1e-5)


def test_unknown_is_nan():
    samples = noise(4)
    samples[:, 1] = 3.0  # does not move
    samples[::100, 2] = np.nan  # lost in every segment
    samples[-10:, 3] = np.nan  # lost in the last one only
    powers = one(samples)
    assert np.isfinite(powers[0]).all()
    assert np.isnan(powers[1:3]).all()
    assert np.isfinite(powers[3]).all()


def test_nothing_is_said_before_a_segment_is_whole():
    made = BandPower(["", "", ""], RATE_HZ)
    made.push(noise(seconds=0.9))
    assert np.isnan(made.powers()).all()
    made.push(noise(seconds=1.5))
    assert np.isfinite(made.powers()).all()


@pytest.mark.parametrize("n_channels", [1, 2, 4])
def test_samples_of_another_width_are_left_out(n_channels):
    made = BandPower(["", "", ""], RATE_HZ)
    made.push(noise())
    before = made.powers()
    made.push(noise(n_channels))
    np.testing.assert_array_equal(made.powers(), before)


def test_bands_beyond_half_the_rate_are_unknown():
    powers = one(noise(rate_hz=64.0), rate_hz=64.0)
    known = [high <= 32.0 for _, high in SEED_BANDS_HZ.values()]
    np.testing.assert_array_equal(np.isfinite(powers), [known] * 3)
