"""Segments, blocks and windows: the same whatever the chunks, and invalid when they should be."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.nightly import tries

from bci_m2s.signal.blocks import BlockCutter
from bci_m2s.signal.windows import WindowAssembler
from bci_m2s.types import Chunk, Status, Step

STEPS, BLOCKS_PER_STEP, HOP_S = 3, 4, 0.25


def stream(n, rate_hz=100.0, jumps=()):
    """Stamps with jitter; `jumps` is (sample, seconds) added from that sample on."""
    rng = np.random.default_rng(n)
    times = np.arange(n) / rate_hz + rng.uniform(-0.01, 0.01, n)
    for sample, seconds in jumps:
        times[sample:] += seconds
    return times, np.arange(n, dtype=float)[:, None]


def blocks_of(times, samples, cuts=(), rate_hz=100.0, hop_s=0.25):
    gaps = []
    cutter = BlockCutter(1, rate_hz, hop_s, gap_s=0.1, on_gap=gaps.append)
    edges = [0, *sorted(cuts), len(times)]
    found = []
    for a, b in itertools.pairwise(edges):
        for block in cutter.push(Chunk.of(times[a:b], samples[a:b], received_s=1.0)):
            found.append(
                (block.samples.copy(), *(getattr(block, f) for f in block.__slots__ if f != "samples"))
            )
    return found, gaps


@settings(max_examples=tries(25, 60), deadline=None)
@given(
    cuts=st.lists(st.integers(0, 700), max_size=30),
    jumps=st.lists(
        st.tuples(st.integers(1, 699), st.sampled_from([0.5, -0.7, 30.0, float("nan")])), max_size=4
    ),
    rate_hz=st.sampled_from([100.0, 128.0, 33.3, 250.0]),
)
def test_blocks_do_not_depend_on_chunks(cuts, jumps, rate_hz):
    times, samples = stream(700, rate_hz, jumps)
    whole, whole_gaps = blocks_of(times, samples, rate_hz=rate_hz)
    parts, part_gaps = blocks_of(times, samples, cuts, rate_hz=rate_hz)
    assert len(whole) == len(parts)
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(a[0], b[0])
        assert repr(a[1:]) == repr(b[1:])  # repr, so that NaN equals NaN
    assert repr(whole_gaps) == repr(part_gaps)


def test_blocks_hold_every_sample_once_and_in_order():
    times, samples = stream(1000)
    found, gaps = blocks_of(times, samples, cuts=range(0, 1000, 7))
    np.testing.assert_array_equal(np.concatenate([block[0] for block in found])[:, 0], np.arange(1000))
    assert gaps == []


def test_a_rate_that_does_not_divide_keeps_its_mean_length():
    times, samples = stream(2500, 62.5)
    found, _ = blocks_of(times, samples, rate_hz=62.5, hop_s=0.1)
    lengths = [len(block[0]) for block in found]
    assert set(lengths) == {6, 7}
    assert len(found) == 400


def test_a_gap_is_measured_and_begins_a_new_segment():
    times, samples = stream(400, jumps=[(150, 2.0)])
    found, gaps = blocks_of(times, samples)
    assert len(gaps) == 1
    assert gaps[0].lost == pytest.approx(200, abs=2)
    assert gaps[0].step_s == pytest.approx(2.01, abs=0.03)
    segments = [block[8 - 1] for block in found]
    assert segments == sorted(segments)
    first_of_second = next(block for block in found if block[7] == 1)
    assert first_of_second[0][0, 0] == 150
    assert first_of_second[6] == 0


def test_jitter_within_the_tolerance_is_no_gap():
    times, samples = stream(500)
    times[200] += 0.08
    assert blocks_of(times, samples)[1] == []


def repaired(times, cuts=(), rate_hz=100.0, skips=()):
    """Blocks, gaps and repairs of a one-channel stream; `skips` is (before which sample, how many)."""
    gaps, repairs = [], []
    cutter = BlockCutter(1, rate_hz, 0.25, 0.1, gaps.append, lambda first, n: repairs.append((first, n)))
    samples = np.arange(float(len(times)))[:, None]
    found, skipped = [], dict(skips)
    for a, b in itertools.pairwise(sorted({0, *cuts, *skipped, len(times)})):
        if a in skipped:
            cutter.skip(skipped[a])
        for block in cutter.push(Chunk.of(times[a:b], samples[a:b])):
            facts = (block.samples[0, 0], block.first_index, block.last_index, block.start_s, block.end_s)
            found.append((*facts, block.number, block.segment, repr(block.gap)))
    return found, gaps, repairs


@settings(max_examples=tries(25, 75), deadline=None)
@given(
    cuts=st.lists(st.integers(1, 599), max_size=30),
    runs=st.lists(st.tuples(st.integers(0, 599), st.integers(1, 130)), max_size=6),
    jumps=st.lists(st.tuples(st.integers(1, 599), st.sampled_from([0.5, -0.7, 30.0])), max_size=2),
    skips=st.lists(st.tuples(st.integers(1, 599), st.integers(1, 50)), max_size=2),
    value=st.sampled_from([np.nan, np.inf, -np.inf]),
)
def test_blocks_gaps_and_repairs_do_not_depend_on_chunks(cuts, runs, jumps, skips, value):
    times, _ = stream(600, jumps=jumps)
    for start, n in runs:
        times[start : start + n] = value
    assert repr(repaired(times, cuts, skips=skips)) == repr(repaired(times, skips=skips))
    assert repr(repaired(times, range(600), skips=skips)) == repr(repaired(times, skips=skips))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("n", [1, 7, 100])
def test_stamps_that_are_no_numbers_are_repaired_and_reported(value, n):
    clean = np.arange(400) / 100
    times = clean.copy()
    times[137 : 137 + n] = value
    found, gaps, repairs = repaired(times)
    assert gaps == []
    assert repairs == [(137, n)]
    assert [block[1] for block in found] == list(range(0, 400, 25))
    np.testing.assert_allclose(
        [block[3:5] for block in found], [block[3:5] for block in repaired(clean)[0]]
    )


def test_the_segment_breaks_where_the_next_stamp_disagrees():
    times = np.arange(400) / 100
    times[150:] += 0.5
    times[140:150] = np.nan
    found, gaps, repairs = repaired(times)
    assert repairs == [(140, 10)]
    assert [(gap.lost, round(gap.step_s, 6)) for gap in gaps] == [(50, 0.51)]
    assert next(block for block in found if block[6] == 1)[1] == 150


def test_after_a_second_without_stamps_the_segment_ends_until_there_is_one():
    times = np.arange(500) / 100
    times[100:300] = np.nan
    found, gaps, repairs = repaired(times)
    assert repairs == [(100, 100)]
    assert [gap.describe() for gap in gaps] == ["stamp is not a number", "gap of 0.01 s (0 samples)"]
    assert [block[1] for block in found if block[6] == 0] == list(range(0, 200, 25))
    after = [block for block in found if block[6] > 0]
    assert [block[1] for block in after] == list(range(300, 500, 25))
    np.testing.assert_array_equal([block[0] for block in after], range(300, 500, 25))


def test_samples_before_the_first_stamp_have_no_place():
    times = np.arange(300) / 100
    times[:60] = np.nan
    found, gaps, repairs = repaired(times)
    assert [block[1] for block in found] == list(range(60, 300 - 24, 25))
    assert repairs == []
    assert [gap.describe() for gap in gaps] == ["stamp is not a number"] * 2
    endless, reported, _ = repaired(np.full(2000, np.nan))
    assert (endless, len(reported)) == ([], 1)


def test_one_backward_stamp_is_two_gaps():
    times = np.arange(400) / 100
    times[200] -= 5.0
    found, gaps, _ = repaired(times)
    assert [gap.describe()[:12] for gap in gaps] == ["stamps jumpe", "gap of 5.01 "]
    assert sum(gap.lost for gap in gaps) == 500  # by the stamps; nothing was lost in truth
    assert [block[1] for block in found][-7:] == list(range(201, 376, 25))


def test_skipped_samples_are_counted_and_break_the_segment_whatever_the_stamps_say():
    times, samples = np.arange(400) / 100, np.zeros((400, 1))
    gaps = []
    cutter = BlockCutter(1, 100.0, 0.25, 0.1, gaps.append)
    first = [block.segment for block in cutter.push(Chunk.of(times[:160], samples[:160]))]
    cutter.skip(3)
    assert list(cutter.push(Chunk.empty(1))) == []
    later = [
        (block.segment, block.first_index) for block in cutter.push(Chunk.of(times[163:], samples[163:]))
    ]
    assert first == [0] * 6
    assert later[0] == (1, 163)
    assert [gap.lost for gap in gaps] == [3]


def drive(times, samples, settle_s=0.0, bad=(), max_missing=0.3):
    """Windows over a stream whose step values are the block numbers; `bad` block numbers have NaN."""
    cutter = BlockCutter(1, 100.0, HOP_S, 0.1)
    assembler = WindowAssembler("eeg", STEPS, BLOCKS_PER_STEP, HOP_S, settle_s, max_missing)
    windows = []
    for number, block in enumerate(cutter.push(Chunk.of(times, samples))):
        step = None
        if block.number + 1 >= BLOCKS_PER_STEP:
            step = Step(np.full(2, np.nan if number in bad else number), "bad" if number in bad else "")
        windows.append((assembler.push(step, block), assembler.usable(step, block)))
    return windows


def test_windows_are_steps_end_to_end_and_due_every_hop():
    windows = [window for window, _ in drive(*stream(1000))]
    assert len(windows) == 40
    assert [window.status for window in windows[:11]] == [Status.FILLING] * 11
    assert all(window.status is Status.OK for window in windows[11:])
    np.testing.assert_array_equal(windows[11].features[:, 0], [3, 7, 11])
    np.testing.assert_array_equal(windows[20].features[:, 0], [12, 16, 20])
    assert (windows[11].first_index, windows[11].last_index) == (0, 299)
    assert (windows[12].first_index, windows[12].last_index) == (25, 324)
    assert windows[0].reason == "window fills, 2.75 s left"


def test_settling_delays_the_first_window_and_usable_step():
    found = drive(*stream(1000), settle_s=1.1)  # five hops
    statuses = [window.status for window, _ in found]
    assert statuses[:4] == [Status.SETTLING] * 4
    assert statuses.index(Status.OK) == 5 + 11
    assert [usable for _, usable in found].index(True) == 5 + 3


def test_windows_after_a_gap_say_so_until_they_are_whole():
    times, samples = stream(1000, jumps=[(500, 1.0)])
    windows = [window for window, _ in drive(times, samples)]
    after = windows[20:]
    assert [window.status for window in after[:11]] == [Status.GAP] * 11
    assert after[11].status is Status.OK
    assert "gap of 1.0" in after[0].reason
    assert "2.75 s until the next whole window" in after[0].reason


def test_a_bad_step_spoils_every_window_that_holds_it():
    windows = [window for window, _ in drive(*stream(1000), bad={20})]
    spoilt = [number for number, window in enumerate(windows) if window.status is Status.BAD_SIGNAL]
    assert spoilt == [20, 24, 28]
    assert windows[20].reason == "bad"
    assert windows[20].features is None


def test_a_signalling_nan_is_a_lost_sample_and_no_warning():
    samples = np.zeros((100, 1), np.float32)
    samples.view(np.uint32)[7] = 0x7F800001
    (block,) = list(BlockCutter(1, 100.0, 1.0, 0.1).push(Chunk.of(np.arange(100) / 100, samples)))
    assert np.isnan(block.samples[7, 0])


def test_a_stamp_beyond_all_time_is_a_break_and_no_count():
    times = np.arange(300) / 100
    times[150:225], times[225:] = 1.7e308, -1.7e308
    gaps = []
    cutter = BlockCutter(1, 100.0, 0.25, 0.1, gaps.append)
    assert len(list(cutter.push(Chunk.of(times, np.zeros((300, 1)))))) > 0
    assert [gap.lost for gap in gaps] == [0, 0]
