"""Fixations, saccades and blinks: definitions by hand, known ground truth, and pymovements as judge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.nightly import nightly, often

from bci_m2s.features.eye_events import NEVER, EventLimits, Events, detect_events, half_window
from bci_m2s.types import BoolArray, FloatArray

LIMITS = EventLimits()


@dataclass
class ScanPath:
    """Gaze whose events are known."""

    gaze_deg: FloatArray
    tracked: BoolArray
    saccade_start_s: FloatArray
    saccade_stop_s: FloatArray
    amplitude_deg: FloatArray
    blinks: list[tuple[int, int]]


def scan_path(rate_hz: float, seed: int, noise_deg: float = 0.05, with_blinks: bool = False) -> ScanPath:
    """20 s of fixations and minimum-jerk saccades of 21 ms + 2.2 ms per degree (Carpenter 1988)."""
    rng = np.random.default_rng(seed)
    times = np.arange(int(20 * rate_hz)) / rate_hz
    gaze = np.zeros((len(times), 2))
    start, stop, amplitude, blinks = [], [], [], []
    origin, now = np.zeros(2), rng.uniform(0.3, 0.6)
    while now < 19.3:
        turn, size = rng.uniform(0, 2 * np.pi), rng.uniform(1.5, 12)
        target = origin + size * np.array([np.cos(turn), np.sin(turn)])
        length = 0.021 + 0.0022 * size
        u = np.clip((times - now) / length, 0, 1)
        gaze += (u**3 * (10 - 15 * u + 6 * u**2))[:, None] * (target - origin)
        start.append(now)
        stop.append(now + length)
        amplitude.append(size)
        origin, now = target, now + length + rng.uniform(0.15, 0.6)
        if with_blinks and rng.random() < 0.3:
            begin = int((now + 0.15) * rate_hz)
            blinks.append((begin, begin + int(rng.uniform(0.07, 0.35) * rate_hz)))
            now += 0.75
    gaze += rng.normal(0, noise_deg, gaze.shape)
    tracked = np.ones(len(times), dtype=bool)
    for begin, end in blinks:
        tracked[begin:end] = False
    gaze[~tracked] = np.nan
    return ScanPath(gaze, tracked, np.array(start), np.array(stop), np.array(amplitude), blinks)


def detect(gaze: FloatArray, rate_hz: float, tracked: BoolArray | None = None) -> Events:
    """Detect with the default limits."""
    return detect_events(gaze, np.isfinite(gaze[:, 0]) if tracked is None else tracked, rate_hz, LIMITS)


def along_x(*pieces: NDArray[Any] | list[float]) -> FloatArray:
    """Gaze (n, 2) from pieces of x; y rests at 0 and is lost where x is."""
    x = np.concatenate(pieces)
    return np.column_stack((x, 0.0 * x))


def ramp(start: float, stop: float, samples: int) -> FloatArray:
    """The `samples` positions on the way, both ends left out."""
    return np.linspace(start, stop, samples + 2)[1:-1]


@pytest.mark.parametrize("rate_hz", [60.0, *nightly(120.0, 250.0, 500.0, 1000.0), 2000.0])
@pytest.mark.parametrize("noise_deg", [0.0, 0.05, 0.1])
def test_known_scan_path(rate_hz: float, noise_deg: float) -> None:
    """Every saccade, no other; onsets and ends to a sample plus the 10 ms half window."""
    path = scan_path(rate_hz, seed=int(rate_hz), noise_deg=noise_deg)
    events = detect(path.gaze_deg, rate_hz)
    assert len(events.saccades.start) == len(path.saccade_start_s)
    assert len(events.fixations.start) == len(path.saccade_start_s) + 1
    assert not len(events.blinks.start)
    tolerance_s = 0.01 + 1 / rate_hz
    np.testing.assert_allclose(events.saccades.start / rate_hz, path.saccade_start_s, atol=tolerance_s)
    np.testing.assert_allclose(events.saccades.stop / rate_hz, path.saccade_stop_s, atol=tolerance_s)
    np.testing.assert_allclose(events.amplitude_deg, path.amplitude_deg, atol=0.2 + 2 * noise_deg)
    # Fixations fill the time between the saccades.
    np.testing.assert_array_equal(events.fixations.start[1:], events.saccades.stop)
    np.testing.assert_array_equal(events.fixations.stop[:-1], events.saccades.start)
    assert events.fixations.known[-1] == NEVER
    # The flanks of a saccade that are slower than the threshold belong to the fixations beside it.
    assert np.all(events.extent_deg < 1.0 + 10 * noise_deg)


@pytest.mark.parametrize("rate_hz", [120.0, 1000.0])
@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_pymovements_on_fixations_and_saccades(rate_hz: float, seed: int) -> None:
    """Same events as I-VT and as the velocity ellipse of Engbert & Kliegl 2003 with equal radii."""
    from pymovements.events import ivt, microsaccades
    from pymovements.transforms.numpy import pos2vel

    path = scan_path(rate_hz, seed)
    events = detect(path.gaze_deg, rate_hz)
    if rate_hz > 200:  # a line fitted to the same 20 ms
        options = {
            "method": "savitzky_golay",
            "window_length": 2 * half_window(rate_hz) + 1,
            "polyorder": 1,
        }
    else:
        options = {"method": "neighbors"}
    velocity = pos2vel(path.gaze_deg, sampling_rate=rate_hz, **options)
    least = round(LIMITS.fixation_min_s * rate_hz) - 1  # theirs is last minus first sample
    fixations = ivt(velocity, minimum_duration=least, velocity_threshold=LIMITS.velocity_deg_s)
    compare(events.fixations.start, events.fixations.stop, fixations, tolerance=max(1, 0.003 * rate_hz))
    saccades = microsaccades(
        velocity, minimum_duration=1, threshold=(LIMITS.velocity_deg_s,) * 2, threshold_factor=1
    )
    compare(events.saccades.start, events.saccades.stop, saccades, tolerance=max(1, 0.003 * rate_hz))


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_pymovements_on_dispersion_fixations(seed: int) -> None:
    """I-DT knows no velocity, yet 19 in 20 of our fixations share 4/5 of their time with one of its."""
    from pymovements.events import idt

    path = scan_path(120.0, seed, noise_deg=0.02)
    fixations = detect(path.gaze_deg, 120.0).fixations
    theirs = idt(path.gaze_deg, minimum_duration=8, dispersion_threshold=1.0).frame
    onset, end = theirs["onset"].to_numpy(), theirs["offset"].to_numpy() + 1
    shared = np.minimum(fixations.stop[:, None], end) - np.maximum(fixations.start[:, None], onset)
    united = np.maximum(fixations.stop[:, None], end) - np.minimum(fixations.start[:, None], onset)
    assert np.mean((shared / united).max(axis=1) > 0.8) > 0.95
    assert abs(len(onset) - len(fixations.start)) <= 2


@pytest.mark.parametrize("rate_hz", [120.0, 1000.0])
@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_pymovements_on_blinks(rate_hz: float, seed: int) -> None:
    from pymovements.events import blink

    path = scan_path(rate_hz, seed, with_blinks=True)
    assert len(path.blinks) >= 3
    events = detect(path.gaze_deg, rate_hz)
    assert list(zip(events.blinks.start.tolist(), events.blinks.stop.tolist(), strict=True)) == path.blinks
    pupil = np.where(path.tracked, 3.0, 0.0)
    theirs = blink(
        pupil,
        delta=10.0,
        minimum_duration=round(LIMITS.blink_min_s * rate_hz) - 1,
        maximum_duration=round(LIMITS.blink_max_s * rate_hz) - 1,
        minimum_gap=0,
    )
    compare(events.blinks.start, events.blinks.stop, theirs, tolerance=0)


def compare(start: NDArray[Any], stop: NDArray[Any], theirs: Any, tolerance: float) -> None:
    """Same number of events, each beginning and ending within `tolerance` samples.

    Theirs end with their last sample, and go on to the last of all, where ours still waits to decide.
    """
    assert len(theirs.frame) == len(start)
    np.testing.assert_allclose(start, theirs.frame["onset"].to_numpy(), atol=tolerance)
    decided = np.minimum(theirs.frame["offset"].to_numpy(), max(stop, default=0) - 1 + tolerance)
    np.testing.assert_allclose(stop - 1, decided, atol=tolerance)


def test_one_saccade_by_hand() -> None:
    """At 100 Hz the speed is (x[i+1] - x[i-1]) / 20 ms: a ramp of 3 steps is fast at 4 samples."""
    events = detect(along_x(np.zeros(50), ramp(0, 6, 2), np.full(50, 6.0)), 100.0)
    assert (events.saccades.start.tolist(), events.saccades.stop.tolist()) == ([49], [53])
    assert events.amplitude_deg == pytest.approx([6.0])
    assert (events.fixations.start.tolist(), events.fixations.stop.tolist()) == ([0, 53], [49, 101])
    assert events.saccades.known.tolist() == [55]  # one sample of a possible dip, one of the speed window


def test_threshold_of_speed() -> None:
    """0.3 degrees a sample at 100 Hz are 30 deg/s: a little more is a leap, a little less a pursuit."""
    ramps = along_x(np.zeros(40), 0.3 * np.arange(1, 31), np.full(40, 9.0))
    assert detect(ramps * 1.01, 100.0).amplitude_deg == pytest.approx([9.09])
    below = detect(ramps * 0.99, 100.0)
    assert not len(below.saccades.start)
    assert below.extent_deg[:, 0] == pytest.approx([8.91])


@pytest.mark.parametrize(("size_deg", "expected"), [(0.45, 0), (0.55, 1)])
def test_smallest_saccade(size_deg: float, expected: int) -> None:
    """A smaller leap than 0.5 degrees is noise and does not end the fixation."""
    events = detect(along_x(np.zeros(60), np.full(60, size_deg)), 120.0)
    assert len(events.saccades.start) == expected
    assert len(events.fixations.start) == 1 + expected


def test_shortest_saccade() -> None:
    """At 1000 Hz eleven fast samples are a saccade, ten are not: longer than 10 ms is asked."""
    gaze = along_x(np.zeros(200), ramp(0, 5, 30), np.full(200, 5.0))
    length = np.diff(detect(gaze, 1000.0).saccades[:2], axis=0).item() / 1000.0
    for least_s, expected in ((length - 0.001, 1), (length, 0)):
        limits = EventLimits(saccade_min_s=least_s)
        assert len(detect_events(gaze, np.ones(len(gaze), bool), 1000.0, limits).saccades.start) == expected


def test_a_dip_belongs_to_its_saccade() -> None:
    """Fast, one slow sample, fast: one saccade of the whole amplitude."""
    x = [0.0, 2.0, 4.0, 4.1, 4.2, 6.2, 8.2]
    events = detect(along_x(np.zeros(30), x, np.full(30, 8.2)), 120.0)
    assert events.amplitude_deg == pytest.approx([8.2])
    apart = [0.0, 2.0, 4.0, 4.1, 4.2, 4.2, 4.2, 6.2, 8.2]
    assert len(detect(along_x(np.zeros(30), apart, np.full(30, 8.2)), 120.0).saccades.start) == 2


def test_a_spike_does_not_break_a_fixation() -> None:
    """And does not widen it: the fast samples and the dip between them are left out of its extent."""
    gaze = along_x(np.zeros(100))
    gaze[50, 1] = 3.0
    events = detect(gaze, 120.0)
    assert (events.fixations.start.tolist(), events.fixations.stop.tolist()) == ([0], [99])
    assert not len(events.saccades.start)
    assert events.extent_deg.tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize(("rate_hz", "least", "most"), [(120.0, 6, 48), (1000.0, 50, 400), (30.0, 2, 12)])
def test_blink_lasts_50_to_400_ms(rate_hz: float, least: int, most: int) -> None:
    """Both limits included; shorter and longer losses are no blinks."""
    for lost, expected in ((least - 1, 0), (least, 1), (most, 1), (most + 1, 0)):
        n = int(rate_hz)
        events = detect(along_x(np.zeros(n), np.full(lost, np.nan), np.zeros(n)), rate_hz)
        assert len(events.blinks.start) == expected, lost
        if expected:
            assert events.blinks.stop - events.blinks.start == [lost]


@pytest.mark.parametrize(
    ("lost", "moved_deg", "fixations"), [(5, 0.0, 1), (5, 0.6, 2), (6, 0.0, 2), (60, 0.0, 2)]
)
def test_what_a_loss_does_to_a_fixation(lost: int, moved_deg: float, fixations: int) -> None:
    """Five samples at 120 Hz are bridged unless gaze moved; a blink or a long loss ends a fixation."""
    events = detect(along_x(np.zeros(60), np.full(lost, np.nan), np.full(60, moved_deg)), 120.0)
    assert len(events.fixations.start) == fixations
    assert not len(events.saccades.start)  # a leap that was not seen is not counted


def test_fast_samples_beside_a_loss_are_no_saccade() -> None:
    """Lids that close drag gaze down before the loss; the blink counts, the drag does not."""
    drag = ramp(0, -6, 4)
    events = detect(along_x(np.zeros(60), drag, np.full(18, np.nan), drag[::-1], np.zeros(60)), 120.0)
    assert not len(events.saccades.start)
    assert len(events.blinks.start) == 1
    assert len(events.fixations.start) == 2


def test_a_lone_sample_is_lost() -> None:
    """One tracked sample in a gap has no speed; the gap stays one blink."""
    gaze = along_x(np.zeros(60), np.full(10, np.nan), [5.0], np.full(10, np.nan), np.zeros(60))
    events = detect(gaze, 120.0)
    assert events.blinks.stop - events.blinks.start == [21]


def test_shortest_fixation() -> None:
    """A rest of under 60 ms between two saccades is no fixation."""
    for rest, expected in ((8, 2), (11, 3)):  # the two samples at its ends are fast
        events = detect(along_x(np.zeros(60), np.full(rest, 5.0), np.full(60, 10.0)), 120.0)
        assert len(events.saccades.start) == 2
        assert len(events.fixations.start) == expected


@pytest.mark.parametrize("n", [0, 1, 2, 3, 50])
def test_nothing_to_find(n: int) -> None:
    """No samples, too few for a speed, or none tracked."""
    for tracked in (np.ones(n, bool), np.zeros(n, bool)):
        events = detect_events(np.zeros((n, 2)), tracked, 120.0, LIMITS)
        assert not len(events.saccades.start)
        assert not len(events.blinks.start)
        assert len(events.fixations.start) == int(n == 50 and bool(tracked.all()))
        assert events.extent_deg.shape == (len(events.fixations.start), 2)


@pytest.mark.parametrize("seed", often(range(60), range(20)))
def test_a_known_event_never_changes(seed: int) -> None:
    """Cut anywhere: the events known by then are those that the whole recording has, to the sample."""
    rng = np.random.default_rng(seed)
    rate_hz = float(rng.choice([30, 60, 120, 250, 500, 1000]))
    gaze, tracked = rough_gaze(rng, rate_hz)
    whole = detect_events(gaze, tracked, rate_hz, LIMITS)
    for cut in rng.integers(1, len(gaze), 10):
        part = detect_events(gaze[:cut], tracked[:cut], rate_hz, LIMITS)
        for kind in ("fixations", "saccades", "blinks"):
            expected, got = getattr(whole, kind), getattr(part, kind)
            expected, got = expected.pick(expected.known < cut), got.pick(got.known < cut)
            np.testing.assert_array_equal(got, expected, err_msg=f"{kind} at {cut}")
        for kind, values in (("fixations", "extent_deg"), ("saccades", "amplitude_deg")):
            expected = getattr(whole, values)[getattr(whole, kind).known < cut]
            got = getattr(part, values)[getattr(part, kind).known < cut]
            np.testing.assert_allclose(got, expected, atol=1e-9)


def rough_gaze(rng: np.random.Generator, rate_hz: float) -> tuple[FloatArray, BoolArray]:
    """Six seconds that hold every awkward case: tiny and large leaps, heavy noise, losses of any length."""
    n = int(6 * rate_hz)
    gaze, origin, at = np.zeros((n, 2)), np.zeros(2), 0
    while at < n:
        rest, move = rng.uniform(0.02, 0.6, 1).item(), rng.uniform(0.004, 0.06, 1).item()
        target = origin + rng.normal(0, rng.choice([0.3, 3.0]), 2)
        way = np.linspace(0, 1, int(move * rate_hz) + 2)[1:, None]
        piece = np.concatenate(
            (np.tile(origin, (int(rest * rate_hz) + 1, 1)), origin + (target - origin) * way)
        )
        gaze[at : at + len(piece)] = piece[: n - at]
        at, origin = at + len(piece), target
    gaze += rng.normal(0, rng.choice([0.02, 0.1, 0.3]), gaze.shape)
    tracked = np.ones(n, dtype=bool)
    for begin in rng.integers(0, n, rng.integers(0, 15)):
        length = int(rate_hz * rng.choice([0.005, 0.03, 0.06, 0.2, 0.41])) + rng.integers(0, 3)
        tracked[begin : begin + length] = False
    gaze[~tracked] = np.nan
    return gaze, tracked
