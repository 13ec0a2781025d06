"""``bci-m2s simulate --output``: a recording of a simulated person, faster than real time."""

from __future__ import annotations

import numpy as np
import pytest
from support.command_line import bci, refused

from bci_m2s.recording.recorded import open_recording
from bci_m2s.simulator import SimulatedSession, SimulatorSettings

OPTIONS = (
    "--montage",
    "emotiv-5",
    "--rest",
    3,
    "--trial",
    4,
    "--classes",
    "calm,stressed",
    "--duration",
    9,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("made") / "sub-P001" / "session.xdf"
    done = bci("simulate", "--subject", 7, *OPTIONS, "--output", path)
    assert done.returncode == 0, done.stderr
    return path, done.stdout


def test_the_file_has_the_samples_that_would_be_sent(made):
    settings = SimulatorSettings("emotiv-5", 128.0, classes=("calm", "stressed"), rest_s=3.0, trial_s=4.0)
    person, recording = SimulatedSession(settings, subject=7), open_recording(made[0])
    eeg, eye, markers = recording.streams
    assert (eeg.info.labels, eeg.info.units, eeg.info.rate_hz) == (
        ("AF3", "T7", "Pz", "T8", "AF4"),
        ("microvolts",) * 5,
        128.0,
    )
    for stream, read, rate_hz in ((eeg, person.eeg, 128.0), (eye, person.eye, 120.0)):
        n = round(9 * rate_hz)
        np.testing.assert_array_equal(stream.read(0, stream.n_samples), read(0, n))
        np.testing.assert_allclose(stream.times - eeg.first_s, np.arange(n) / rate_hz, atol=1e-9)
    texts = markers.read(0, markers.n_samples)[:, 0].tolist()
    expected = [person.marker(index) for index in range(4)]  # the pause after the first trial is 2 s
    assert texts == [text for _, text in expected]
    np.testing.assert_allclose(markers.times - eeg.first_s, [time_s for time_s, _ in expected], atol=1e-9)
    assert not recording.warnings


def test_it_says_how_much_and_how_long(made):
    path, said = made
    assert f"{path}: subject 7, 9 s, complete trials: 1," in said
    assert "signals are simulated" in said


def test_without_a_duration_there_are_four_trials_of_each_class(tmp_path):
    path = tmp_path / "all.xdf"
    bci("simulate", *OPTIONS[:-2], "--trial", 2, "--output", path)
    texts = open_recording(path).streams[2].read(0, 18)[:, 0].tolist()
    assert [texts.count(f"trial/stop/{label}") for label in ("calm", "stressed")] == [4, 4]


def test_the_eye_tracker_can_be_left_out(tmp_path):
    path = tmp_path / "alone.xdf"
    bci("simulate", *OPTIONS, "--no-eye", "--output", path)
    assert [stream.info.type for stream in open_recording(path).streams] == ["EEG", "Markers"]


def test_nothing_is_overwritten(made):
    before = made[0].read_bytes()
    assert "File exists" in refused("simulate", *OPTIONS, "--output", made[0])
    assert made[0].read_bytes() == before


def test_an_unknown_montage_is_refused_with_the_nearest(tmp_path):
    said = refused("simulate", "--montage", "actichamp32", "--output", tmp_path / "none.xdf")
    assert "nearest: 'actichamp-32'" in said
    assert not list(tmp_path.iterdir())
