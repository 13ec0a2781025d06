"""Columns, page, coverage and picture of a sweep, and what is kept of a stream."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bci_m2s.panel.look.theme import DARK
from bci_m2s.panel.traces.sweep import LEVELS, Batch, Columns, Page, Rows, coverage, gap_s, shades
from bci_m2s.panel.traces.sweep_picture import SweepPicture
from bci_m2s.panel.traces.sweep_view import KEEP_S, Trail


def signal(rng, n=900, n_channels=3, rate_hz=250.0):
    """Times with jitter and two gaps, values with lost samples."""
    times = 5e4 + np.arange(n) / rate_hz + rng.uniform(0, 0.3 / rate_hz, n)
    times[n // 3 :] += 0.7
    times[n // 2 :] += 0.05  # shorter than a gap
    values = rng.standard_normal((n, n_channels)).astype(np.float32)
    values[rng.random((n, n_channels)) < 0.02] = np.nan
    values[200:260, 1] = np.nan
    return times, values


def pieces(rng, n):
    """Random slices that follow each other, single samples among them."""
    cuts = np.unique(np.concatenate(([0, 1, n], rng.integers(0, n, 40))))
    return [slice(a, b) for a, b in pairwise(cuts)]


def gathered(batches):
    """The newest word on each column: numbers, low, high."""
    found = {}
    for batch in batches:
        for place, number in enumerate(batch.numbers):
            found[int(number)] = batch.low[place], batch.high[place]
    numbers = sorted(found)
    return numbers, np.array([found[n][0] for n in numbers]), np.array([found[n][1] for n in numbers])


@pytest.mark.parametrize("column_s", [0.001, 0.0125, 0.3])
@pytest.mark.parametrize("seed", range(4))
def test_chunked_equals_whole(seed, column_s):
    rng = np.random.default_rng(seed)
    times, values = signal(rng)
    whole = gathered([Columns(column_s, 0.1).push(times, values)])
    columns = Columns(column_s, 0.1)
    parts = gathered([columns.push(times[part], values[part]) for part in pieces(rng, len(times))])
    assert parts[0] == whole[0]
    np.testing.assert_array_equal(parts[1], whole[1])
    np.testing.assert_array_equal(parts[2], whole[2])


def test_column_holds_the_extremes_of_the_line_through_the_samples():
    rng = np.random.default_rng(1)
    times = 100 + np.sort(rng.uniform(0, 2, 150))
    values = rng.standard_normal((150, 1)).astype(np.float32)
    column_s = 0.02
    batch = Columns(column_s, 10.0).push(times, values)
    assert list(batch.numbers) == list(range(batch.numbers[0], batch.numbers[-1] + 1))
    for number, low, high in zip(batch.numbers, batch.low[:, 0], batch.high[:, 0], strict=True):
        left, right = max(number * column_s, times[0]), min((number + 1) * column_s, times[-1])
        within = times[(times >= left) & (times <= right)]
        line = np.interp(np.concatenate(([left, right], within)), times, values[:, 0])
        assert low == pytest.approx(line.min(), abs=1e-5)
        assert high == pytest.approx(line.max(), abs=1e-5)


def test_neighbouring_columns_touch():
    times, rng = np.arange(300) / 100.0, np.random.default_rng(0)
    values = rng.standard_normal((300, 5)).astype(np.float32)
    _, low, high = gathered([Columns(1 / 37, 0.1).push(times, values)])
    assert (low[1:] <= high[:-1] + 1e-6).all()
    assert (high[1:] >= low[:-1] - 1e-6).all()


def test_slow_stream_is_joined_by_straight_lines():
    times = np.array([10.0, 10.2, 10.4])
    values = np.array([[0.0], [20.0], [0.0]], dtype=np.float32)
    batch = Columns(0.01, 0.6).push(times, values)
    assert len(batch.numbers) == 41
    middle = (batch.low + batch.high)[:, 0] / 2
    expected = np.interp((batch.numbers + 0.5) * 0.01, times, values[:, 0])
    np.testing.assert_allclose(middle[:40], expected[:40], atol=0.5)


def test_gap_stays_empty_and_a_lost_sample_joins_nothing():
    times = np.array([0.005, 0.015, 0.025, 1.005, 1.015])
    values = np.array([[1, 1], [2, np.nan], [3, 3], [4, 4], [5, 5]], dtype=np.float32)
    batch = Columns(0.01, 0.1).push(times, values)
    assert list(batch.numbers) == [0, 1, 2, 100, 101]
    np.testing.assert_array_equal(batch.low[:3, 1], [1, np.nan, 3])
    assert batch.high[2, 0] == 3  # nothing of the line to the sample behind the gap


def test_time_that_goes_back_a_little_is_taken_as_standing():
    batch = Columns(0.01, 0.1).push(
        np.array([1.0, 0.995, 1.02]), np.array([[1], [9], [1]], dtype=np.float32)
    )
    assert list(batch.numbers) == [100, 101, 102]
    assert batch.high[0, 0] == 9


@pytest.mark.parametrize(("column_s", "longest_s"), [(0.0, 0.1), (-1.0, 0.1), (0.01, 0.0), (np.nan, 0.1)])
def test_columns_refuse_what_makes_no_sense(column_s, longest_s):
    with pytest.raises(ValueError, match="column_s, longest_s: got"):
        Columns(column_s, longest_s)


def test_longest_step_depends_on_the_rate():
    assert gap_s(1000) == 0.1
    assert gap_s(10) == pytest.approx(0.3)
    assert gap_s(0.0) == 0.5


def batch_of(numbers, value):
    shape = (len(numbers), 2)
    return Batch(
        np.array(numbers), np.full(shape, value, np.float32), np.full(shape, value + 1, np.float32)
    )


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(1, 60)), min_size=1, max_size=12), st.integers(0, 9)
)
def test_page_shows_the_newest_columns_and_nothing_ahead(steps, ahead):
    page, written, number = Page(20, 2, ahead), {}, 0
    for value, (skip, length) in enumerate(steps):
        numbers = list(range(number + skip, number + skip + length))
        changed = page.put(batch_of(numbers, value))
        written.update(dict.fromkeys(numbers, float(value)))
        number = numbers[-1]
        assert len(changed) <= page.width
        assert number + ahead in changed or ahead == 0
    for one in range(page.oldest, number + ahead + 1):
        shown, expected = page.low[one % 20, 0], written.get(one, np.nan) if one <= number else np.nan
        assert shown == expected or (np.isnan(shown) and np.isnan(expected))


def test_page_tells_places_across_the_edge():
    page = Page(10, 1, 2)
    assert list(page.places(range(8, 13))) == [slice(8, 10), slice(0, 3)]
    assert list(page.places(range(5, 10))) == [slice(5, 10)]
    assert list(page.places(range(3, 40))) == [slice(0, 10)]
    assert list(page.places(range(3, 3))) == []


def test_advance_empties_what_it_passes_and_never_goes_back():
    page = Page(10, 2, 2)
    page.put(batch_of(range(10), 1.0))
    assert page.advance(9) == range(12, 12)
    assert page.advance(13) == range(10, 16)
    assert page.newest == 13
    assert np.isnan(page.low[:4]).all()
    assert not np.isnan(page.low[8:10]).any()
    page.clear()
    assert page.newest is None
    assert np.isnan(page.high).all()


def test_middle_and_spread_pass_over_what_is_empty():
    rng = np.random.default_rng(0)
    page = Page(4000, 3, 0)
    values = (50 + 3 * rng.standard_normal((3000, 3))).astype(np.float32)
    values[:, 2] = np.nan
    page.put(Batch(np.arange(3000), values, values))
    np.testing.assert_allclose(page.middle(), [50, 50, 0], atol=0.3)
    np.testing.assert_allclose(page.spread()[:2], [3, 3], rtol=0.06)
    assert np.isnan(page.spread()[2])


@given(st.floats(0, 19), st.floats(0, 30))
def test_a_stroke_covers_its_own_length(top, length):
    bottom = min(top + length, 20.0)
    covered = coverage(np.array([[top]]), np.array([[bottom]]), 20)
    assert covered.shape == (20, 1)
    assert covered.sum() / (LEVELS - 1) == pytest.approx(bottom - top, abs=0.05)
    if bottom - top > 2:
        assert (covered[int(top) + 1 : int(bottom), 0] == LEVELS - 1).all()


def test_strokes_add_up_to_full_at_most_and_empty_ones_cover_nothing():
    top = np.array([[2.0, 2.0, np.nan], [np.nan, np.nan, np.nan]])
    covered = coverage(top, top + 1.5, 6)
    np.testing.assert_array_equal(covered[:, 0], [0, 0, 255, 255, 0, 0])
    assert not covered[:, 1].any()


def test_shades_go_from_the_ground_to_the_colour():
    pixels = shades(("#000000", "#102030"), "#FF8000")
    assert pixels.shape == (2, LEVELS)
    assert [hex(pixels[0, 0]), hex(pixels[1, 0]), hex(pixels[1, -1])] == [
        "0xff000000",
        "0xff102030",
        "0xffff8000",
    ]


def picture(width=200, span_s=2.0):
    made = SweepPicture(width, 90, 1.0, span_s, 3, 0.1, DARK)
    third = np.arange(3)
    rows = Rows(
        origin=(third + 0.5) / 3,
        gain=np.full(3, 0.04),
        top=third / 3,
        bottom=(third + 1) / 3,
        layers=((np.array([2]), DARK.bad_trace), (np.array([0, 1]), DARK.trace)),
    )
    made.set_rows(rows, repaint=True)
    return made


@pytest.mark.parametrize("seed", range(3))
def test_picture_painted_in_pieces_equals_one_painted_anew(seed):
    rng = np.random.default_rng(seed)
    times, values = signal(rng)
    made = picture()
    for part in pieces(rng, len(times)):
        made.feed(times[part], values[part])
    in_pieces = made.pixels.copy()
    made.paint_all()
    np.testing.assert_array_equal(in_pieces, made.pixels)
    whole = picture()
    whole.feed(times, values)
    np.testing.assert_array_equal(in_pieces, whole.pixels)


def test_only_columns_said_to_have_changed_have():
    rng = np.random.default_rng(0)
    times, values = signal(rng)
    made = picture()
    made.feed(times[:700], values[:700])
    before = made.pixels.copy()
    parts = made.feed(times[700:709], values[700:709])
    touched = np.zeros(200, dtype=bool)
    for part in parts:
        touched[part] = True
    assert touched.sum() < 20
    assert (made.pixels != before).any()
    np.testing.assert_array_equal(made.pixels[:, ~touched], before[:, ~touched])


def test_picture_has_traces_grid_cursor_and_an_empty_band():
    made = picture()
    times = 10 + np.arange(400) / 250.0  # 1.6 s from the left edge
    made.feed(times, np.zeros((400, 3), dtype=np.float32))
    colours = {
        name: 0xFF000000 | int(colour[1:], 16)
        for name, colour in (
            ("trace", DARK.trace),
            ("bad", DARK.bad_trace),
            ("grid", DARK.grid),
            ("accent", DARK.accent),
        )
    }
    newest = made.page.newest % 200
    assert (made.pixels[:, newest + 1] == colours["accent"]).all()
    assert (made.pixels[:, newest + 2 : newest + 10] == 0xFF000000 | int(DARK.surface[1:], 16)).all()
    assert (made.pixels[:, 50] == colours["trace"]).sum() >= 2
    assert (made.pixels[:, 50] == colours["bad"]).sum() >= 1
    assert (made.pixels[:, 100] == colours["grid"]).any()  # one second
    assert made.place(11.0) == 100.5
    assert made.place(9.0) is None
    assert made.place(np.nan) is None


def test_trail_refuses_another_width_and_drops_what_has_no_time():
    trail = Trail(2, 100.0)
    assert not trail.push(np.arange(3.0), np.zeros((3, 5)))
    assert not trail.push(np.arange(3.0), np.zeros(3))
    assert trail.take() is None
    assert trail.push(np.array([1.0, np.nan, 1.02]), np.array([[1, 1e9], [2, 2], [np.inf, 3]]))
    times, samples, anew = trail.take()
    assert not anew
    np.testing.assert_array_equal(times, [1.0, 1.02])
    np.testing.assert_array_equal(samples, [[1, np.nan], [np.nan, 3]])
    assert trail.take() is None


def test_trail_keeps_some_seconds_however_long_nobody_takes():
    trail = Trail(1, 10.0)
    for second in range(200):
        trail.push(second + np.arange(10) / 10, np.zeros((10, 1)))
    times, _, _ = trail.take()
    assert KEEP_S - 1 <= times[-1] - times[0] <= KEEP_S + 1
    for second in range(200, 300):
        trail.push(second + np.arange(10) / 10, np.zeros((10, 1)))
        trail.take()
    kept, _ = trail.kept(1000.0)
    assert KEEP_S - 1 <= kept[-1] - kept[0] <= KEEP_S + 1
    assert trail.kept(5.0)[0][0] >= kept[-1] - 6


def test_time_that_goes_far_back_begins_anew():
    trail = Trail(1, 100.0)
    trail.push(np.arange(10) / 100 + 50, np.zeros((10, 1)))
    trail.take()
    trail.push(np.array([50.1, 50.11, 3.0, 3.01]), np.ones((4, 1)))
    times, _, anew = trail.take()
    assert anew
    assert list(times) == [3.0, 3.01]
    assert list(trail.kept(100.0)[0]) == [3.0, 3.01]


def test_segments_are_cut_at_gaps():
    trail = Trail(1, 100.0)
    times = np.array([1.0, 1.01, 2.0, 2.01, 2.02])
    assert list(trail.segments(times, np.nan)) == [(slice(0, 2), True), (slice(2, 5), True)]
    assert list(trail.segments(times, 0.99)) == [(slice(0, 2), False), (slice(2, 5), True)]
