"""Band power agrees with scipy's Welch, in decibels, and says nothing where it knows nothing."""

import numpy as np
import pytest
import scipy.signal

from bci_m2s.panel.head.band_power import DEFAULT_BANDS, BandPower

RATE_HZ = 500.0


def noise(n_channels=3, seconds=2.0, rate_hz=RATE_HZ):
    return np.random.default_rng(5).normal(0.0, 12.0, (round(seconds * rate_hz), n_channels))


def one(samples, units=None, rate_hz=RATE_HZ):
    labels = [f"C{column}" for column in range(samples.shape[1])]
    made = BandPower(labels, units or ["microvolts"] * len(labels), rate_hz)
    made.push(samples)
    return made.powers()


def test_it_is_welchs_method():
    samples = noise()
    frequencies, density = scipy.signal.welch(samples, RATE_HZ, "hann", int(RATE_HZ), axis=0)
    expected = [
        10 * np.log10(density[(frequencies >= low) & (frequencies < high)].sum(axis=0))  # bins of 1 Hz
        for low, high in DEFAULT_BANDS.values()
    ]
    np.testing.assert_allclose(one(samples), np.array(expected).T, atol=1e-3)


def test_a_sine_has_its_power_in_its_band():
    t = np.arange(1000) / RATE_HZ
    powers = one((10.0 * np.sin(2 * np.pi * 10.0 * t))[:, None])[0]
    bands = list(DEFAULT_BANDS)
    assert powers[bands.index("alpha")] == pytest.approx(10 * np.log10(50.0), abs=0.01)  # 10²/2 µV²
    assert powers[bands.index("alpha")] > np.delete(powers, bands.index("alpha")).max() + 40


@pytest.mark.parametrize(("unit", "gain"), [("V", 1e-6), ("mV", 1e-3), ("uV", 1.0), ("", 1.0), ("nV", 1e3)])
def test_units_do_not_change_the_answer(unit, gain):
    samples = noise()
    np.testing.assert_allclose(one(samples * gain, [unit] * 3), one(samples), atol=1e-3)


def test_chunks_do_not_matter_and_only_the_last_two_seconds_count():
    samples = noise(seconds=7.3)
    made = BandPower(["a", "b", "c"], [], RATE_HZ)
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


def test_nothing_is_said_before_a_segment_is_whole_nor_after_a_reset():
    made = BandPower(["a", "b", "c"], [], RATE_HZ)
    made.push(noise(seconds=0.9))
    assert np.isnan(made.powers()).all()
    made.push(noise(seconds=1.5))
    assert np.isfinite(made.powers()).all()
    made.reset()
    assert np.isnan(made.powers()).all()


@pytest.mark.parametrize("n_channels", [1, 2, 4])
def test_samples_of_another_width_are_left_out(n_channels):
    made = BandPower(["a", "b", "c"], [], RATE_HZ)
    made.push(noise())
    before = made.powers()
    made.push(noise(n_channels))
    np.testing.assert_array_equal(made.powers(), before)


def test_bands_beyond_half_the_rate_are_unknown():
    powers = one(noise(rate_hz=64.0), rate_hz=64.0)
    known = [high <= 32.0 for _, high in DEFAULT_BANDS.values()]
    np.testing.assert_array_equal(np.isfinite(powers), [known] * 3)


@pytest.mark.parametrize("rate_hz", [0.0, -1.0, float("nan")])
def test_a_stream_without_a_rate_is_refused(rate_hz):
    with pytest.raises(ValueError, match="rate_hz: got"):
        BandPower(["a"], [""], rate_hz)
