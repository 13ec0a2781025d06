"""What the simulated eye tracker shows: ranges, saccades, fixations, and the state."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from support.nightly import nightly, tries

from bci_m2s.simulator import SimulatedSession, SimulatorSettings
from bci_m2s.simulator.gaze import SCREEN_DEG

RATE_HZ = 120.0
LIVE = SimulatorSettings(montage="muse", eeg_rate_hz=128.0)


def _degrees(eye: NDArray[np.float32]) -> NDArray[np.float64]:
    return (eye[:, :2].astype(np.float64) - 0.5) * np.array(SCREEN_DEG)


@pytest.mark.parametrize("rate_hz", [30.0, *nightly(60.0), 120.0, 1000.0])
def test_values_stay_in_their_ranges(rate_hz: float) -> None:
    """Gaze about the screen, pupils of people, confidence 0 exactly where the rest is lost."""
    settings = SimulatorSettings(montage="muse", eye_rate_hz=rate_hz)
    for subject in range(tries(2, 3)):
        eye = SimulatedSession(settings, subject).eye(0, int(60 * rate_hz))
        assert eye.dtype == np.float32
        lost = np.isnan(eye[:, 0])
        np.testing.assert_array_equal(np.isnan(eye[:, :4]), np.tile(lost[:, None], 4))
        np.testing.assert_array_equal(eye[:, 4] == 0.0, lost)
        assert 0.005 < lost.mean() < 0.15
        assert np.nanmin(eye[:, :2]) > -0.1
        assert np.nanmax(eye[:, :2]) < 1.1
        assert 2.0 < np.nanmin(eye[:, 2:4]) < np.nanmax(eye[:, 2:4]) < 8.0
        assert 0.0 <= eye[:, 4].min() <= eye[:, 4].max() <= 1.0


def test_gaze_is_fixations_and_saccades() -> None:
    """Slow most of the time; fast, short and at most 900 deg/s in between: two to five a second."""
    eye = SimulatedSession(SimulatorSettings(montage="muse", eye_rate_hz=500.0), 2).eye(0, 60_000)
    degrees = _degrees(eye)
    smooth = np.stack([np.convolve(d, np.ones(5) / 5, mode="same") for d in degrees.T], axis=1)
    speed = np.linalg.norm(smooth[4:] - smooth[:-4], axis=1) * 500.0 / 4
    seen = ~np.isnan(speed)
    assert np.mean(speed[seen] < 30.0) > 0.7
    assert 200.0 < np.percentile(speed[seen], 99.5) < 900.0
    onsets = np.sum(np.diff((speed > 60.0).astype(np.int8)) == 1)
    assert 1.5 < onsets / 120.0 < 5.0


def test_gaze_does_not_jump_between_pieces() -> None:
    """At the joints of the scan path gaze moves no faster than in a saccade."""
    session = SimulatedSession(LIVE, 1)
    times = np.arange(0.0, 100.0, 0.001)
    gaze = session.eyes.gaze(times)
    assert np.linalg.norm(np.diff(gaze, axis=0), axis=1).max() < 0.9
    at_joints = session.eyes.gaze(np.array([19.999999, 20.000001]))
    np.testing.assert_allclose(at_joints[0], at_joints[1], atol=1e-3)


def test_blinks_are_in_the_published_range() -> None:
    """0.08 to 0.3 s long, never two at once, 5 to 25 a minute, different between people."""
    rates = []
    for subject in range(5):
        blinks = SimulatedSession(LIVE, subject).eyes.blinks(0.0, 600.0)
        starts = np.array([b.start_s for b in blinks])
        assert all(0.08 <= b.duration_s <= 0.3 for b in blinks)
        assert np.diff(starts).min() > 0.4
        rates.append(len(blinks) / 10.0)
    assert 5.0 < min(rates) < max(rates) < 25.0
    assert np.ptp(rates) > 1.0


@pytest.fixture(scope="module")
def by_class() -> dict[str, list[tuple[float, float]]]:
    """Median pupil (mm) and width of gaze (degrees) of trials, less the person's mean, for each class."""
    settings = SimulatorSettings(montage="muse", n_trials=24, trial_s=8.0)
    values: dict[str, list[tuple[float, float]]] = {label: [] for label in settings.classes}
    for subject in range(tries(3, 6)):
        session = SimulatedSession(settings, subject)
        rows = []
        for trial in session.trials:
            eye = session.eye(int((trial.start_s + 3.0) * RATE_HZ), int(trial.stop_s * RATE_HZ))
            rows.append((np.nanmedian(eye[:, 2:4]), np.nanstd(_degrees(eye), axis=0).mean()))
        centred = np.array(rows) - np.mean(rows, axis=0)
        for trial, (pupil, width) in zip(session.trials, centred, strict=True):
            values[trial.label].append((float(pupil), float(width)))
    return values


@pytest.mark.nightly
def test_pupil_follows_arousal_not_valence(by_class: dict[str, list[tuple[float, float]]]) -> None:
    """Wider in both emotional classes than in the neutral one, by a tenth of a millimetre or more."""
    pupil = {label: np.mean([row[0] for row in rows]) for label, rows in by_class.items()}
    assert pupil["positive"] - pupil["neutral"] > 0.1
    assert pupil["negative"] - pupil["neutral"] > 0.1
    assert abs(pupil["positive"] - pupil["negative"]) < 0.1


def test_scan_width_follows_valence(by_class: dict[str, list[tuple[float, float]]]) -> None:
    """Gaze spreads wider in positive than in negative trials."""
    width = {label: np.mean([row[1] for row in rows]) for label, rows in by_class.items()}
    assert width["positive"] - width["negative"] > 0.4


def test_light_moves_the_pupil_without_telling_of_the_class(
    by_class: dict[str, list[tuple[float, float]]],
) -> None:
    """Trials of one class differ by more than their mean does from another class's."""
    spread = np.mean([np.std([row[0] for row in rows]) for rows in by_class.values()])
    assert 0.1 < spread < 0.5
