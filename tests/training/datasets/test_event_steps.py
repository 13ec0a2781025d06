"""Features of events: values that can be said beforehand."""

import numpy as np
import pytest

from bci_m2s.training.datasets.event_steps import EYE_NAMES, HEART_NAMES, EyeEvents, eye_steps, heart_steps


def events(fixations=(), saccades=(), blinks=()):
    shaped = zip((fixations, saccades, blinks), (4, 3, 2), strict=True)
    return EyeEvents(*(np.array(rows, dtype=float).reshape(-1, width) for rows, width in shaped))


def named(rows, step=0):
    return dict(zip(EYE_NAMES, rows[step], strict=True))


def test_events_of_a_step_are_counted_and_measured():
    rows = eye_steps(
        events(
            fixations=[(0.0, 1.0, 2.0, 1.0), (1.1, 3.1, 6.0, 1.0), (3.3, 4.3, 6.0, 5.0)],
            saccades=[(1.0, 1.1, 4.0), (3.1, 3.3, 2.0)],
            blinks=[(4.3, 4.5)],
        ),
        5.0,
        1,
    )
    found = named(rows)
    assert found["fixation_duration_mean"] == pytest.approx(4 / 3)
    assert found["fixation_duration_longest"] == pytest.approx(2.0)
    assert found["fixation_frequency"] == pytest.approx(3 / 5)
    assert found["saccade_frequency"] == pytest.approx(2 / 5)
    assert found["saccade_duration_mean"] == pytest.approx(0.15)
    assert found["saccade_amplitude_mean"] == pytest.approx(3.0)
    assert found["saccade_latency_average"] == pytest.approx(2.0)  # from the end of one to the next
    assert found["blink_frequency"] == pytest.approx(1 / 5)
    assert found["blink_duration_mean"] == pytest.approx(0.2)
    assert found["gaze_spread_x_deg"] == pytest.approx(np.std([2, 6, 6]))
    assert found["gaze_spread_y_deg"] == pytest.approx(np.std([1, 1, 5]))


def test_an_event_over_the_end_of_a_step_counts_once_and_a_fixation_with_its_length_so_far():
    rows = eye_steps(events(fixations=[(0.0, 4.0, 0, 0), (4.2, 7.2, 0, 0), (7.3, 10.0, 0, 0)]), 5.0, 2)
    first, second = named(rows, 0), named(rows, 1)
    assert first["fixation_frequency"] == pytest.approx(1 / 5)
    assert first["fixation_duration_mean"] == pytest.approx((4.0 + 0.8) / 2)
    assert second["fixation_frequency"] == pytest.approx(1 / 5)  # the last still goes on
    assert second["fixation_duration_longest"] == pytest.approx(3.0)


def test_no_step_knows_what_comes_after_it():
    whole = events(
        fixations=[(0.0, 4.0, 0, 0), (4.2, 9.2, 3, 0), (9.4, 12.0, 0, 0)],
        saccades=[(4.0, 4.2, 3.0), (9.2, 9.4, 3.0)],
        blinks=[(12.0, 12.2)],
    )
    cut = EyeEvents(*(part[part[:, 0] < 5.0] for part in whole))
    np.testing.assert_array_equal(eye_steps(whole, 5.0, 1), eye_steps(cut, 5.0, 1))


def test_what_is_no_blink_saccade_or_fixation_by_the_live_limits_is_not_counted():
    found = named(
        eye_steps(
            events(
                fixations=[(0.0, 3.0, 0, 0), (3.5, 3.55, 0, 0)],
                saccades=[(3.0, 3.1, 0.3), (3.2, 3.4, 5.0), (3.41, 3.415, 5.0), (3.45, 3.5, np.nan)],
                blinks=[(3.25, 3.35), (4.0, 4.02), (4.1, 4.9)],
            ),
            5.0,
            1,
        )
    )
    assert found["fixation_frequency"] == pytest.approx(1 / 5)
    assert found["saccade_frequency"] == 0.0  # too small, with a blink in it, too short, of unknown size
    assert found["blink_frequency"] == pytest.approx(1 / 5)


def test_a_step_of_which_half_is_lost_is_unknown():
    rows = eye_steps(events(fixations=[(0.0, 2.4, 0, 0), (5.0, 7.6, 0, 0)], blinks=[(2.4, 5.0)]), 5.0, 3)
    assert np.isnan(rows).all(axis=1).tolist() == [True, False, True]
    assert np.isnan(eye_steps(events(), 5.0, 2)).all()


def test_beats_are_measured_over_half_a_minute_as_those_of_a_live_ecg():
    beats = np.cumsum(np.tile([0.8, 0.9], 40))
    rows = heart_steps(beats, 5.0, 12)
    assert np.isnan(rows[:5]).all()
    assert np.isfinite(rows[5:]).all()
    found = dict(zip(HEART_NAMES, rows[-1], strict=True))
    assert found["heart_rate_bpm"] == pytest.approx(60 / 0.85, rel=0.01)
    assert found["rmssd_ms"] == pytest.approx(100.0)
    assert found["pnn50_percent"] == pytest.approx(100.0)
    later = heart_steps(np.append(beats[beats < 40.0], 41.0), 5.0, 12)
    np.testing.assert_array_equal(later[:8], rows[:8])  # nothing of what comes after
    assert np.isnan(later[11]).all()  # beats cover too little of it


def test_without_a_beat_nothing_is_known():
    assert np.isnan(heart_steps(np.empty(0), 5.0, 8)).all()
    assert np.isnan(heart_steps(np.array([3.0]), 5.0, 8)).all()
