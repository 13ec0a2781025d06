"""Processes that are pure functions of key and time: variance, spectrum, and no seams."""

from __future__ import annotations

import numpy as np
import scipy.fft
import scipy.signal

from bci_m2s.simulator.noise import ColouredNoise, Seeds, SlowNoise, Use

SEEDS = Seeds(seed=5, subject=1, session=2)
RATE_HZ = 200.0
BLOCK = 200


def test_generators_differ_by_every_part_of_the_key() -> None:
    """No two of many keys give the same numbers, and one key always gives the same."""
    keys = [Seeds(a, b, c) for a in range(3) for b in range(3) for c in range(3)]
    first = [
        s.rng(use, index, part).random()
        for s in keys
        for use in Use
        for index in (-1, 0, 1)
        for part in (0, 1)
    ]
    first += [s.person(use).random() for s in keys if s.session == 0 for use in Use]
    assert len(set(first)) == len(first)
    assert SEEDS.rng(Use.MOOD, 3).random() == SEEDS.rng(Use.MOOD, 3).random()


def test_a_person_keeps_numbers_over_sessions() -> None:
    """What belongs to the person does not depend on the session."""
    assert (
        Seeds(1, 2, 0).person(Use.PERSON_EYES).random() == Seeds(1, 2, 7).person(Use.PERSON_EYES).random()
    )


def test_slow_noise_has_unit_variance_at_every_moment() -> None:
    """On a knot, between two, and halfway."""
    values = SlowNoise(SEEDS, Use.MOOD, 4.0, (20_000,))(np.array([0.0, 1.0, 2.0, 3.9, 8.0]))
    np.testing.assert_allclose(values.std(axis=1), 1.0, atol=0.03)
    np.testing.assert_allclose(values.mean(axis=1), 0.0, atol=0.04)


def test_slow_noise_is_continuous_and_forgets() -> None:
    """It moves little in a hundredth of its spacing and is uncorrelated after two spacings."""
    noise = SlowNoise(SEEDS, Use.MOOD, 1.0, (5_000,))
    times = np.arange(0.0, 5.0, 0.01)
    values = noise(times)
    steps = np.sqrt(np.mean(np.diff(values, axis=0) ** 2, axis=1))
    assert steps.max() < 0.02
    assert abs(np.mean(values[0] * values[200])) < 0.05


def test_slow_noise_does_not_depend_on_what_is_asked_together() -> None:
    """One time alone gives the same bits as among many, in any order."""
    noise, other = (SlowNoise(SEEDS, Use.MOOD, 0.7, (3,)) for _ in range(2))
    times = np.linspace(0.0, 300.0, 1000)  # far more knots than the cache holds
    together = noise(times)
    for at in (999, 0, 500, 3):
        np.testing.assert_array_equal(other(times[at : at + 1])[0], together[at])


def _coloured(rows: int) -> tuple[ColouredNoise, np.ndarray]:
    frequencies = scipy.fft.rfftfreq(2 * BLOCK, 1.0 / RATE_HZ)
    density = 4.0 * np.maximum(frequencies, 1.0) ** -1.2
    bands = [slice(0, 20), slice(20, len(frequencies))]
    return ColouredNoise(SEEDS, Use.CORTEX, np.tile(density, (rows, 1)), bands, BLOCK, RATE_HZ), density


def test_coloured_noise_has_the_density_asked_for() -> None:
    """Welch's estimate of the sum of the bands, from 2 to 80 Hz, is within a tenth."""
    noise, density = _coloured(rows=8)
    signal = np.concatenate([noise.block(k).sum(axis=0) for k in range(100)], axis=1)
    frequencies, measured = scipy.signal.welch(signal, RATE_HZ, nperseg=400)
    wanted = (frequencies >= 2.0) & (frequencies <= 80.0)
    ratio = measured.mean(axis=0)[wanted] / density[wanted]
    assert abs(np.median(ratio) - 1.0) < 0.05
    assert np.percentile(np.abs(ratio - 1.0), 95) < 0.12


def test_bands_of_coloured_noise_split_the_spectrum() -> None:
    """The first band (below 10 Hz) holds next to nothing at 20 Hz, and the second at 5 Hz."""
    noise, _ = _coloured(rows=4)
    signal = np.concatenate([noise.block(k) for k in range(60)], axis=2)
    frequencies, density = scipy.signal.welch(signal, RATE_HZ, nperseg=400)
    low, high = density.mean(axis=1)
    assert low[frequencies == 20.0] < 0.01 * high[frequencies == 20.0]
    assert high[frequencies == 5.0] < 0.01 * low[frequencies == 5.0]


def test_seams_of_coloured_noise_cannot_be_seen() -> None:
    """Power, and power of the sample-to-sample difference, are the same at a seam as elsewhere."""
    noise, _ = _coloured(rows=300)
    signal = np.concatenate([noise.block(k).sum(axis=0) for k in range(12)], axis=1)
    for x in (signal, np.diff(signal), np.diff(signal, n=2)):
        power = np.mean(x**2, axis=0)
        near = np.concatenate([power[k * BLOCK - 2 : k * BLOCK + 1] for k in range(1, 12)])
        assert abs(near.mean() / power.mean() - 1.0) < 0.06
        by_place = np.mean(power[: 11 * BLOCK].reshape(11, 10, -1), axis=(0, 2))
        assert by_place.max() / by_place.min() < 1.1


def test_blocks_come_in_any_order() -> None:
    """A block does not depend on which were made before."""
    forward, backward = _coloured(rows=2)[0], _coloured(rows=2)[0]
    blocks = [forward.block(k) for k in range(6)]
    for k in (5, 0, 3):
        np.testing.assert_array_equal(backward.block(k), blocks[k])
