"""Sessions: same bits however they are read, different people, markers, and speed."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from support.nightly import nightly, often

from bci_m2s.errors import ConfigurationError
from bci_m2s.simulator import SimulatedSession, SimulatorSettings
from bci_m2s.simulator.markers import trial_spans

SMALL = SimulatorSettings(
    montage=("Fp1", "Cz", "Oz"), eeg_rate_hz=128.0, rest_s=4.0, trial_s=3.0, pause_s=1.0
)


@pytest.mark.parametrize("seed", often(range(8), range(2)))
@pytest.mark.parametrize("stream", ["eeg", "eye"])
def test_chunks_equal_whole(stream: str, seed: int) -> None:
    """Random cuts, empty pieces and single samples included, give the bits of one long read."""
    settings = SimulatorSettings(montage="muse", eeg_rate_hz=256.0, eye_rate_hz=[120.0, 61.7][seed % 2])
    whole = getattr(SimulatedSession(settings, 1), stream)(0, 3000)
    rng = np.random.default_rng(seed)
    cuts = np.sort(np.concatenate([[0, 0, 256, 257, 3000], rng.integers(0, 3001, rng.integers(1, 60))]))
    session = SimulatedSession(settings, 1)
    pieces = [getattr(session, stream)(int(a), int(b)) for a, b in pairwise(cuts)]
    np.testing.assert_array_equal(np.concatenate(pieces), whole)
    assert whole.dtype == np.float32


def test_order_of_reading_does_not_matter() -> None:
    """Reading backwards, far ahead and again gives the same bits; a caller may write into them."""
    forward, backward = SimulatedSession(SMALL), SimulatedSession(SMALL)
    far = forward.eeg(500_000, 500_100)
    near = forward.eeg(100, 400)
    kept = near.copy()
    near[:] = 0.0
    np.testing.assert_array_equal(forward.eeg(100, 400), kept)
    np.testing.assert_array_equal(backward.eeg(100, 400), kept)
    np.testing.assert_array_equal(backward.eeg(500_000, 500_100), far)
    assert forward.eeg(7, 7).shape == (0, 3)
    assert forward.schedule.latent(np.empty(0)).shape == (0, 2)
    with pytest.raises(IndexError):
        forward.eeg(-1, 5)


@pytest.mark.parametrize("change", ["subject", "session", "seed"])
def test_people_sessions_and_seeds_differ(change: str) -> None:
    """Neither the samples nor the order of classes is shared."""
    seed, subject, session = {"subject": (0, 1, 0), "session": (0, 0, 1), "seed": (1, 0, 0)}[change]
    # Without mains, which everyone shares, and as differences: a minute of slow potentials has too
    # few independent values.
    settings = SimulatorSettings(montage="muse", eeg_rate_hz=128.0, n_trials=30, line_hz=0.0)
    first = SimulatedSession(settings)
    second = SimulatedSession(replace(settings, seed=seed), subject, session)
    a, b = (np.diff(s.eeg(0, 128 * 60), axis=0) for s in (first, second))
    for channel in range(4):
        assert abs(np.corrcoef(a[:, channel], b[:, channel])[0, 1]) < 0.1
    assert [t.label for t in first.trials] != [t.label for t in second.trials]
    assert [b.start_s for b in first.eyes.blinks(0, 60)] != [b.start_s for b in second.eyes.blinks(0, 60)]


def test_state_does_not_depend_on_montage_or_rates() -> None:
    """Streams of one session agree on it, whatever each is sampled at."""
    times = np.arange(0.0, 60.0, 0.1)
    small = SimulatedSession(SMALL)
    fast = SimulatedSession(
        SimulatorSettings(
            montage="muse", eeg_rate_hz=500.0, eye_rate_hz=60.0, rest_s=4.0, trial_s=3.0, pause_s=1.0
        )
    )
    np.testing.assert_array_equal(small.schedule.latent(times), fast.schedule.latent(times))
    assert [small.schedule.trial(i) for i in range(9)] == [fast.schedule.trial(i) for i in range(9)]
    assert small.eyes.blinks(0.0, 60.0) == fast.eyes.blinks(0.0, 60.0)


def test_only_the_state_tells_of_the_class() -> None:
    """With effect 0 the very same bits come whatever the classes and their order are."""
    base = SimulatorSettings(montage="muse", eeg_rate_hz=128.0, effect=0.0)
    two = SimulatedSession(replace(base, classes=("low", "high")))
    five = SimulatedSession(replace(base, classes=("a", "b", "c", "d", "e")))
    orders = [[s.settings.classes.index(s.schedule.trial(i).label) for i in range(9)] for s in (two, five)]
    assert orders[0] != orders[1]
    np.testing.assert_array_equal(two.eeg(0, 4_000), five.eeg(0, 4_000))
    np.testing.assert_array_equal(two.eye(0, 3_750), five.eye(0, 3_750))
    moved = SimulatedSession(replace(base, effect=1.0))
    assert (moved.eeg(3000, 3500) != two.eeg(3000, 3500)).any()


@pytest.mark.parametrize("n_classes", [2, *nightly(3, 4), 5])
@pytest.mark.parametrize("montage", [*nightly("standard_1020", "biosemi32"), "seed-62", ("C3", "C4")])
def test_any_montage_and_number_of_classes(montage: str | tuple[str, ...], n_classes: int) -> None:
    """Finite samples in every channel, every class in the trials and markers."""
    classes = tuple(f"class-{k}" for k in range(n_classes))
    settings = SimulatorSettings(
        montage=montage, eeg_rate_hz=128.0, classes=classes, n_trials=2 * n_classes
    )
    session = SimulatedSession(settings)
    eeg = session.eeg(0, 300)
    assert eeg.shape == (300, session.eeg_info.n_channels)
    assert np.isfinite(eeg).all()
    assert (eeg.std(axis=0) > 0.5).all()
    assert {t.label for t in session.trials} == set(classes)
    texts = [session.marker(index)[1] for index in range(2, session.n_markers)]
    assert {text.split("/")[2] for text in texts} == set(classes)


def test_stream_descriptions() -> None:
    """Labels, units, rates and types are complete."""
    session = SimulatedSession(SimulatorSettings(n_trials=3), subject=4, session=1)
    assert session.eeg_info.n_channels == 62
    assert session.eeg_info.units == ("microvolts",) * 62
    assert (session.eeg_info.type, session.eeg_info.rate_hz) == ("EEG", 1000.0)
    assert session.eye_info.labels == ("gaze_x", "gaze_y", "pupil_left", "pupil_right", "confidence")
    assert session.eye_info.units == ("normalized", "normalized", "mm", "mm", "normalized")
    assert (session.eye_info.type, session.eye_info.rate_hz) == ("Gaze", 120.0)
    assert (session.marker_info.channel_format, session.marker_info.rate_hz) == ("string", 0.0)
    infos = (session.eeg_info, session.eye_info, session.marker_info)
    assert len({info.source_id for info in infos}) == 3
    other = SimulatedSession(SimulatorSettings(n_trials=3), subject=4, session=2)
    assert other.eeg_info.source_id != session.eeg_info.source_id


def test_markers_and_trials_agree() -> None:
    """Every trial has its two markers at its times with its label; rest comes first."""
    session = SimulatedSession(SimulatorSettings(montage="muse", n_trials=9))
    markers = [session.marker(index) for index in range(session.n_markers)]
    assert markers[:2] == [(0.0, "rest/start"), (16.0, "rest/stop")]
    expected = []
    for trial in session.trials:
        expected += [
            (trial.start_s, f"trial/start/{trial.label}"),
            (trial.stop_s, f"trial/stop/{trial.label}"),
        ]
    assert markers[2:] == expected
    for wrong in (-1, len(markers)):
        with pytest.raises(IndexError):
            session.marker(wrong)
    no_rest = SimulatedSession(SimulatorSettings(montage="muse", rest_s=0.0))
    assert no_rest.n_markers == math.inf
    assert no_rest.marker(0)[1].startswith("trial/start/")


def test_a_finite_session_ends() -> None:
    """Reads beyond the end are cut there; samples before it equal those of an endless session."""
    settings = SimulatorSettings(
        montage="muse", eeg_rate_hz=128.0, rest_s=4.0, trial_s=3.0, pause_s=1.0, n_trials=3
    )
    session = SimulatedSession(settings)
    assert session.settings.duration_s == 16.0
    assert session.eeg(0, 10**6).shape == (16 * 128, 4)
    assert session.eye(16 * 120, 10**6).shape == (0, 5)
    endless = SimulatedSession(
        SimulatorSettings(montage="muse", eeg_rate_hz=128.0, rest_s=4.0, trial_s=3.0, pause_s=1.0)
    )
    np.testing.assert_array_equal(session.eeg(0, 14 * 128), endless.eeg(0, 14 * 128))
    assert endless.settings.duration_s == float("inf")
    with pytest.raises(ValueError, match="endless"):
        _ = endless.trials


def test_wrong_numbers_are_refused() -> None:
    """Subject and session count from 0."""
    with pytest.raises(ConfigurationError, match="subject: got -1"):
        SimulatedSession(SMALL, -1)
    with pytest.raises(ConfigurationError, match="session: got -2"):
        SimulatedSession(SMALL, 0, -2)


def test_faster_than_real_time() -> None:
    """62 channels at 1000 Hz and eyes at 120 Hz; the ratio is printed, the bound is generous."""
    session = SimulatedSession(SimulatorSettings())
    session.eeg(0, 1000)
    started_s = time.process_time()
    session.eeg(1000, 11_000)
    session.eye(120, 1320)
    ratio = 10.0 / (time.process_time() - started_s)
    print(f"simulated at {ratio:.0f} times real time")
    assert ratio > 5.0


def test_trials_from_markers() -> None:
    markers = [(0.0, "rest/start"), (5.0, "trial/start/positive"), (9.0, "trial/stop/positive")]
    markers += [(9.5, "trial/stop/neutral"), (11.0, "trial/start/negative")]
    assert trial_spans(markers) == [(5.0, 9.0, "positive"), (11.0, math.inf, "negative")]
