"""Every loop over second-order sections has the bits of ``scipy.signal.sosfilt``."""

import shutil
import sys
import zlib
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal
from support.nightly import tries

from bci_m2s.signal import sections as module
from bci_m2s.signal.filters import SectionFilters, band_sections
from bci_m2s.signal.sections import (
    LIBRARY,
    MOST_SECTIONS,
    Cascades,
    by_scipy,
    compiled,
    run_sections,
    scipys_own,
)

COMPILED = compiled()
LOOPS = {"scipy": by_scipy, "scipy's own": scipys_own(), "compiled": COMPILED}
needs_compiled = pytest.mark.skipif(COMPILED is None, reason="installed without a C compiler")


def of_scipy(each, samples, state):
    """Cascade by cascade, each with its part of the state."""
    results, states, begin = [], [], 0
    for sections in each:
        part = state[:, begin : begin + len(sections)]
        filtered, after = signal.sosfilt(sections, samples, axis=-1, zi=np.moveaxis(part, 0, 1))
        results.append(filtered)
        states.append(np.moveaxis(after, 0, 1))
        begin += len(sections)
    return np.stack(results), np.concatenate(states, axis=1)


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
@pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="not compiled here")
def test_where_there_is_a_compiler_the_loop_is_compiled():
    assert COMPILED is not None
    assert module._loop().__qualname__.startswith("compiled")


@pytest.mark.parametrize("loop", LOOPS)
@settings(max_examples=tries(25, 200), deadline=None)
@given(
    channels=st.integers(1, 70),
    n=st.integers(1, 200),
    order=st.integers(1, 12),
    others=st.lists(st.integers(1, 5), max_size=4),
    transposed=st.booleans(),
    seed=st.integers(0, 99),
)
def test_any_loop_equals_scipy_bit_for_bit(loop, channels, n, order, others, transposed, seed):
    run = LOOPS[loop]
    if run is None:
        pytest.skip(f"{loop} is not there")
    rng = np.random.default_rng(seed)
    each = [band_sections(8, 14, 250, order), *[band_sections(1, 4, 250, n) for n in others]]
    samples = rng.normal(scale=10.0 ** rng.integers(-300, 6), size=(n, channels)).T
    samples = samples if transposed else np.ascontiguousarray(samples)
    state = rng.normal(size=(channels, sum(map(len, each)), 2))
    kept, (expected, after) = samples.copy(), of_scipy(each, samples, state)
    filtered = run(Cascades(each), samples, state)
    assert filtered.flags.c_contiguous
    assert filtered.tobytes() == np.ascontiguousarray(expected).tobytes()
    assert state.tobytes() == np.ascontiguousarray(after).tobytes()
    np.testing.assert_array_equal(samples, kept)


@needs_compiled
@pytest.mark.parametrize("value", [np.nan, np.inf, -0.0, 5e-324])
def test_special_values_come_out_as_from_scipy(value):
    sections = band_sections(1, 4, 128, 2)
    samples = np.random.default_rng(0).normal(size=(17, 100))
    samples[3, 40] = samples[16, 99] = value
    state = np.zeros((17, 2, 2))
    expected, after = of_scipy([sections], samples, state)
    np.testing.assert_array_equal(COMPILED(Cascades([sections]), samples, state), expected)
    np.testing.assert_array_equal(state, after)


@needs_compiled
def test_other_views_are_filtered_as_they_are():
    """Every second channel and sample, backwards too."""
    whole = np.random.default_rng(1).normal(size=(40, 200))
    sections = band_sections(1, 4, 128, 3)
    for samples in (whole[::2, ::2], whole[::-1, ::-3], np.broadcast_to(whole[:, :1], (40, 30))):
        state = np.ones((len(samples), 3, 2))
        expected, _ = of_scipy([sections], samples, state)
        np.testing.assert_array_equal(COMPILED(Cascades([sections]), samples, state), expected)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_column_of_a_table_is_filtered_as_it_is(loop):
    """Its steps are no whole number of doubles."""
    if LOOPS[loop] is None:
        pytest.skip(f"{loop} is not there")
    table = np.zeros((30, 3), [("mark", "i4"), ("value", "f8")])
    table["value"] = np.random.default_rng(6).normal(size=table.shape)
    sections = band_sections(1, 4, 128, 2)
    for samples in (table["value"].T, table["value"]):
        assert samples.strides[1] % 8
        state = np.ones((len(samples), 2, 2))
        expected, after = of_scipy([sections], samples, state)
        np.testing.assert_array_equal(LOOPS[loop](Cascades([sections]), samples, state), expected)
        np.testing.assert_array_equal(state, after)


@needs_compiled
@pytest.mark.parametrize("n_sections", [MOST_SECTIONS, MOST_SECTIONS + 1])
def test_long_cascades(n_sections):
    sections = np.vstack([band_sections(1, 4, 128, 1)] * n_sections)
    samples, state = np.random.default_rng(2).normal(size=(5, 90)), np.ones((5, n_sections, 2))
    expected, after = of_scipy([sections], samples, state)
    np.testing.assert_array_equal(COMPILED(Cascades([sections]), samples, state), expected)
    np.testing.assert_array_equal(state, after)


def test_chunks_carry_the_state():
    sections = band_sections(1, 4, 1000, 3)
    samples = np.random.default_rng(5).normal(size=(4, 300)) + 7
    state = signal.sosfilt_zi(sections)[:, None, :] * samples[None, :, :1]
    expected, _ = signal.sosfilt(sections, samples, axis=-1, zi=state)
    filters = SectionFilters([[sections]])
    parts = [filters.apply(samples[:, a:b])[0] for a, b in ((0, 1), (1, 130), (130, 300))]
    np.testing.assert_array_equal(np.concatenate(parts, axis=-1), expected)


@pytest.mark.parametrize("private", [None, lambda _s, samples, _z: samples.fill(0), lambda _s: None])
def test_a_private_loop_of_scipy_that_does_something_else_is_not_used(monkeypatch, private):
    """It is gone, computes something else, or wants other arguments."""
    loop = None if private is None else SimpleNamespace(_sosfilt=private)
    monkeypatch.setitem(sys.modules, "scipy.signal._sosfilt", loop)
    assert scipys_own() is None


def test_without_a_library_scipy_filters(monkeypatch, tmp_path):
    assert compiled(tmp_path / "none.so") is None
    (tmp_path / "text.so").write_text("not a library")
    assert compiled(tmp_path / "text.so") is None
    monkeypatch.setattr(module, "compiled", lambda: None)
    module._loop.cache_clear()
    try:
        state = np.zeros((1, 1, 2))
        filtered = run_sections(Cascades([band_sections(1, 4, 128, 1)]), np.ones((1, 5)), state)
    finally:
        module._loop.cache_clear()
    assert filtered.shape == (1, 1, 5)


@needs_compiled
def test_a_library_of_another_source_is_not_used(monkeypatch):
    """The source has changed since, and nobody has installed the package again."""
    monkeypatch.setattr(zlib, "crc32", lambda _content: 1)
    assert compiled(LIBRARY) is None


@needs_compiled
@pytest.mark.parametrize("machine", ["arm64", "aarch64"])
def test_where_scipy_may_round_in_another_way_the_library_must_prove_itself(monkeypatch, machine):
    monkeypatch.setattr("platform.machine", lambda: machine)
    assert compiled() is not None
    monkeypatch.setattr(module, "same_bits", lambda _loop: False)
    assert compiled() is None
