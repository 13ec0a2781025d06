"""Irregular samples on a regular grid."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from support.nightly import tries

from bci_m2s.signal.resample import Resampler
from bci_m2s.types import Chunk

RATE_HZ, GAP_S = 60.0, 0.1


def on_grid(times, samples, cuts=()):
    resampler = Resampler(RATE_HZ, GAP_S)
    edges = [0, *sorted(cuts), len(times)]
    chunks = [
        resampler.push(Chunk.of(times[start:stop], samples[start:stop], float(stop)))
        for start, stop in itertools.pairwise(edges)
    ]
    return np.concatenate([part.times for part in chunks]), np.concatenate(
        [part.samples for part in chunks]
    )


@st.composite
def gaze(draw):
    """Stamps of an eye tracker: irregular, with pauses, repetitions, jumps back and no stamp at all."""
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    times = 50 + np.cumsum(rng.gamma(2.0, 1 / 240, 400))
    for _ in range(draw(st.integers(0, 3))):
        place, step_s = (
            rng.integers(1, 399),
            draw(st.sampled_from((0.05, 0.5, 1.9, 30.0, -0.05, -20.0, np.nan))),
        )
        times[place:] += step_s if np.isfinite(step_s) else 0.0
        times[place] = step_s if not np.isfinite(step_s) else times[place]
    return times, np.column_stack([np.sin(times), times])


@given(gaze(), st.lists(st.integers(0, 400), max_size=5))
@settings(max_examples=tries(30, 60))
def test_nothing_depends_on_chunks_and_the_grid_is_regular(signal, cuts):
    times, samples = signal
    grid_s, values = on_grid(times, samples)
    cut_s, again = on_grid(times, samples, cuts)
    np.testing.assert_array_equal(grid_s, cut_s)
    np.testing.assert_array_equal(values, again)
    steps = np.diff(grid_s)
    regular = np.abs(steps - 1 / RATE_HZ) < 1e-9
    assert (regular | (steps > 1.9) | (steps < 0)).all()  # a new grid begins behind a long pause alone


def test_values_lie_on_the_line_between_samples_and_long_pauses_are_unknown():
    rng = np.random.default_rng(0)
    times = 10 + np.cumsum(rng.uniform(0.002, 0.03, 300))
    times[150:] += 0.5
    grid_s, values = on_grid(times, np.column_stack([times, 3 * times]))
    inside = (grid_s > times[149]) & (grid_s < times[150])
    assert 25 < inside.sum() < 35
    assert np.isnan(values[inside]).all()
    np.testing.assert_allclose(values[~inside, 0], grid_s[~inside], rtol=1e-12)
    np.testing.assert_allclose(values[~inside, 1], 3 * grid_s[~inside], rtol=1e-12)
    assert grid_s[-1] <= times[-1] < grid_s[-1] + 1 / RATE_HZ  # causal, and no later than that


def test_a_sample_that_is_missing_makes_its_neighbourhood_unknown_and_no_more():
    times = 10 + np.arange(30) / RATE_HZ / 2
    samples = np.ones((30, 2))
    samples[15, 0] = np.nan
    _, values = on_grid(times, samples)
    assert np.isnan(values[:, 0]).sum() <= 2
    assert not np.isnan(values[:, 1]).any()
