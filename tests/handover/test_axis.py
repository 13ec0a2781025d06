"""Where things lie on the time axis of the EEG."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bci_m2s.handover.axis import TimeAxis, axis_of
from bci_m2s.handover.names import names_for
from bci_m2s.recording.recorded import RecordedStream, Recording
from bci_m2s.review.facts import recording_facts
from bci_m2s.types import FloatArray, StreamInfo

INFO = StreamInfo("cap", "EEG", rate_hz=250.0, labels=("Cz",), units=("uV",))


def axis_for(times: FloatArray) -> TimeAxis:
    values = np.zeros((len(times), 1), np.float32)
    stream = RecordedStream(INFO, times, lambda start, stop: values[start:stop])
    (found,) = recording_facts(Recording(Path("x.xdf"), (stream,))).streams
    return axis_of(found)


def test_even_stamps_are_their_own_axis() -> None:
    axis = axis_for(1000 + np.arange(250 * 60) / 250)
    at = np.array([-3.0, 0.0, 0.1234567, 30.0, 59.996, 70.0])
    np.testing.assert_allclose(axis.at(at), at, atol=1e-9)
    assert (axis.rate_hz, axis.n_samples, len(axis.gaps)) == (250.0, 15000, 0)


def test_jitter_of_the_samples_does_not_move_what_lies_beside_them() -> None:
    even = np.arange(250 * 60) / 250
    jitter = np.random.default_rng(0).uniform(-0.015, 0.015, len(even))
    axis = axis_for(1000 + np.sort(even + jitter))
    at = np.linspace(1, 59, 500)
    # jitter of 15 ms, uniform, averaged over 2500 samples
    assert np.ptp(axis.at(at) - at) < 0.002


def test_a_clock_that_runs_fast_is_followed() -> None:
    # 250.05 samples come in a second: after an hour the even axis is 0.72 s ahead
    axis = axis_for(1000 + np.arange(250 * 600) / 250.05)
    at = np.array([0.0, 100.0, 599.0])
    np.testing.assert_allclose(axis.at(at), at * 250.05 / 250, atol=1e-5)


def test_a_gap_is_as_long_as_it_was_up_to_a_minute() -> None:
    even = np.arange(250 * 30) / 250
    axis = axis_for(np.concatenate([even, even + 40, even + 40 + 30 + 3600]))
    np.testing.assert_allclose(axis.at(np.array([29.0, 41.0, 69.0])), [29.0, 41.0, 69.0], atol=1e-6)
    np.testing.assert_allclose(axis.gaps, [[30.0, 10.0], [70.0, 60.0]], atol=1e-9)
    # an hour is shortened to a minute, as in a Raw
    assert axis.at(np.array([40 + 30 + 3600 + 1.0]))[0] == pytest.approx(70 + 60 + 1, abs=1e-6)


@pytest.mark.parametrize(
    ("path", "prefix"),
    [
        ("study/sub-P01_ses-2/session.xdf", "sub-P01_ses-2_task-emotion_run-01"),
        ("study/sub-P01/take-3/session.xdf", "sub-P01_ses-1_task-emotion_run-03"),
        ("sub-P001_ses-S001_task-Default_run-004_eeg.xdf", "sub-P001_ses-S001_task-Default_run-04"),
        ("2026-11-29_lab/session.xdf", "sub-20261129lab_ses-1_task-emotion_run-01"),
    ],
)
def test_labels_come_from_the_path(path: str, prefix: str) -> None:
    stream = RecordedStream(INFO, np.empty(0), lambda _start, _stop: np.empty((0, 1)))
    facts = recording_facts(Recording(Path(path), (stream,)))
    assert names_for(facts).prefix == prefix
    assert names_for(facts, "A", "B", "C", 7).prefix == "sub-A_ses-B_task-C_run-07"
