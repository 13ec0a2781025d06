"""Differential entropy: against an independent formula, missing samples, shared work, chunking."""

import numpy as np
import pytest
from scipy import signal, stats

from bci_m2s.errors import ContractError
from bci_m2s.features.de import SEED_BANDS_HZ, DifferentialEntropy

RATE_HZ, HOP_S = 256, 0.25
HOP_N = int(RATE_HZ * HOP_S)
LABELS = ("Fz", "Cz", "Pz")


def extractor(**params):
    return DifferentialEntropy(params, LABELS, RATE_HZ, 1.0, HOP_S)


def push_all(de, samples, missing=None):
    missing = np.isnan(samples) if missing is None else missing
    steps = []
    for start in range(0, len(samples) - HOP_N + 1, HOP_N):
        part = slice(start, start + HOP_N)
        steps.append(de.push(samples[part], missing[part]))
    return steps


def noise(seconds=20, seed=0):
    return np.random.default_rng(seed).normal(scale=10, size=(seconds * RATE_HZ, len(LABELS)))


def test_equals_an_independent_computation():
    """Whole-signal filtering, numpy's variance, and scipy's entropy of a normal distribution."""
    samples = noise()
    steps = push_all(extractor(), samples)
    assert steps[:3] == [None, None, None]
    number = 41
    end = (number + 1) * HOP_N
    for band, (low, high) in enumerate(SEED_BANDS_HZ.values()):
        b, a = signal.butter(3, [low, high], "bandpass", fs=RATE_HZ)
        for channel in range(len(LABELS)):
            x = samples[:, channel]
            filtered, _ = signal.lfilter(b, a, x, zi=signal.lfilter_zi(b, a) * x[0])
            expected = stats.norm(scale=filtered[end - RATE_HZ : end].std()).entropy()
            assert steps[number].values[channel * 5 + band] == pytest.approx(expected, abs=1e-6)


def test_a_sine_of_known_amplitude():
    t = np.arange(20 * RATE_HZ) / RATE_HZ
    samples = np.stack([a * np.sin(2 * np.pi * 10.5 * t) for a in (1, 10, 100)], axis=1)
    alpha = push_all(extractor(), samples)[-1].values.reshape(3, 5)[:, 2]
    expected = 0.5 * np.log(2 * np.pi * np.e * np.array([1, 10, 100]) ** 2 / 2)
    np.testing.assert_allclose(alpha, expected, atol=0.03)


def test_names_are_channel_major():
    de = extractor()
    assert de.names[:6] == ("Fz.delta", "Fz.theta", "Fz.alpha", "Fz.beta", "Fz.gamma", "Cz.delta")
    assert len(de.names) == 15


def test_a_nan_burst_is_named_then_equal_to_the_clean_run_one_settling_time_later():
    clean = noise(30)
    dirty = clean.copy()
    burst = slice(10 * RATE_HZ + 17, 11 * RATE_HZ + 17)
    dirty[burst, 1] = np.nan
    clean_steps, dirty_steps = push_all(extractor(), clean), push_all(extractor(), dirty)
    settle_hops = int(np.ceil(extractor().settle_s / HOP_S))
    first_bad, last_bad = 40, 44 + settle_hops + 4
    for number, (want, got) in enumerate(zip(clean_steps, dirty_steps, strict=True)):
        if want is None:
            continue
        want_values, got_values = want.values.reshape(3, 5), got.values.reshape(3, 5)
        np.testing.assert_array_equal(want_values[[0, 2]], got_values[[0, 2]])
        if first_bad + 1 <= number < 44 + settle_hops - 1:
            assert np.isnan(got_values[1]).all()
            assert got.problem == "1 of 3 channels bad (no samples: Cz)"
        if number < first_bad:
            assert got.problem == ""
            np.testing.assert_array_equal(want_values, got_values)
        if number > last_bad:
            assert got.problem == ""
            np.testing.assert_allclose(got_values[1], want_values[1], atol=0.02)


def test_a_loss_that_begins_with_a_block_is_held_though_the_buffer_is_used_again():
    """As the cutter of blocks does it: every block is the same array."""
    de, buffer, samples = extractor(), np.empty((HOP_N, len(LABELS))), noise(20)
    steps = []
    for number in range(len(samples) // len(buffer)):
        buffer[:] = samples[number * len(buffer) : (number + 1) * len(buffer)]
        missing = np.full(buffer.shape, number in (12, 13))
        buffer[missing] = np.nan
        steps.append(de.push(buffer, missing))
    clean = push_all(extractor(), samples)
    settled = 14 + int(np.ceil(de.settle_s / 0.25)) + 4
    np.testing.assert_allclose(steps[-1].values, clean[-1].values, atol=1e-6)
    assert all(np.isfinite(step.values).all() for step in steps[settled:])


def test_a_flat_channel_is_missing_and_named():
    samples = noise(4)
    samples[:, 2] = 17.0
    step = push_all(extractor(), samples)[-1]
    assert np.isnan(step.values.reshape(3, 5)[2]).all()
    assert not np.isnan(step.values.reshape(3, 5)[:2]).any()
    assert step.problem == "1 of 3 channels bad (flat: Pz)"


def test_the_jump_that_ends_a_flat_line_is_missing_until_the_filters_have_forgotten_it():
    """A device that is away sends one far value, and comes back: that is a loss."""
    clean, samples = noise(), noise()
    begin, end = 6 * RATE_HZ, 9 * RATE_HZ
    samples[begin:end, 2] = -300.0
    de = extractor()
    whole, steps = push_all(extractor(), clean), push_all(de, samples)
    settled = int(np.ceil(de.settle_s / HOP_S))
    back = end // HOP_N  # the first block behind the line
    assert steps[back + 1].problem == "1 of 3 channels bad (flat: Pz)"
    assert all(np.isnan(step.values[-5:]).all() for step in steps[back : back + settled])
    for ours, clear in zip(steps[back + settled + 5 :], whole[back + settled + 5 :], strict=True):
        assert np.array_equal(ours.values[:-5], clear.values[:-5])
        np.testing.assert_allclose(ours.values[-5:], clear.values[-5:], atol=0.2)


def test_missing_from_the_first_sample_on():
    samples = noise(6)
    samples[: 2 * RATE_HZ, 0] = np.nan
    steps = push_all(extractor(), samples)
    assert np.isnan(steps[5].values.reshape(3, 5)[0]).all()
    assert np.isfinite(steps[-1].values).all()


def test_reset_gives_the_same_as_new():
    samples = noise(5)
    de = extractor()
    first = push_all(de, samples)[-1].values
    push_all(de, samples * 100)
    de.reset()
    again = push_all(de, samples)
    assert again[2] is None
    np.testing.assert_array_equal(again[-1].values, first)


@pytest.mark.parametrize(
    ("params", "rate_hz", "words"),
    [
        ({"band_hz": {}}, 256, "nearest: 'bands_hz'"),
        ({}, 100, "Nyquist"),
        ({"bands_hz": {"all": [1, 200]}}, 256, "Nyquist"),
        ({"bands_hz": [1, 4]}, 256, "{name: [low, high]}"),
        ({"notch_hz": "fifty"}, 256, "notch_hz: got 'fifty', expected a list of line frequencies"),
        ({"notch_hz": [10**400]}, 256, "expected a list of line frequencies"),
        ({"order": 2.5}, 256, "order: got 2.5, expected a whole number from 1 to 12"),
        ({"bands_hz": {"a": [1, "x"]}}, 256, "bands_hz.a: got [1, 'x'], expected numbers [low, high], Hz"),
        ({"notch_hz": [500]}, 256, "notch"),
    ],
)
def test_wrong_parameters_are_refused(params, rate_hz, words):
    with pytest.raises(ContractError) as caught:
        DifferentialEntropy(params, LABELS, rate_hz, 1.0, HOP_S)
    assert words in str(caught.value)
