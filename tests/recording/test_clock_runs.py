"""Clocks of senders that begin again, drift, or were not measured: where each sample truly was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import pyxdf
from support.clock_files import Sender, marks, record, sender
from support.small_sessions import EEG_INFO, eeg, pipeline

import bci_m2s
from bci_m2s.pipeline.pipeline import run_offline
from bci_m2s.recording.recorded import Recording, open_recording
from bci_m2s.sources.replay import ReplaySource
from bci_m2s.training.datasets.recordings import RecordedChunks
from bci_m2s.types import StreamInfo

BEFORE = (1000.0, 1060.0, 900.0)  # the sender's clock shows 100 to 160 s


def opened(folder: Path, *senders: Sender, flush_s: float = 0.5) -> Recording:
    return open_recording(record(folder / "a.xdf", senders, flush_s))


def assert_true(recording: Recording, *senders: Sender, within_s: float = 1e-9) -> None:
    for stream, one in zip(recording.streams, senders, strict=True):
        np.testing.assert_allclose(stream.times + stream.offsets_s(), one.true_s, rtol=0, atol=within_s)


@pytest.mark.parametrize(
    "after",
    [
        [(1075.0, 1135.0, 940.0)],  # it shows 135 to 195 s: in the middle of what it showed before
        [(1090.0, 1150.0, 1085.0)],  # 5 to 65 s: wholly before
        [(1080.0, 1083.0, 1000.0)],  # measured once only
        [(1061.0, 1121.0, 903.0)],  # a second later
        [(1064.0, 1120.0, -4000.0)],  # it shows much more
        [(1070.0, 1130.0, 940.0), (1140.0, 1200.0, 1000.0)],  # twice
    ],
)
def test_a_clock_that_begins_again_is_followed_in_the_order_of_the_file(tmp_path, after):
    cap = sender("cap", [BEFORE, *after])
    recording = opened(tmp_path, cap)
    assert_true(recording, cap)
    (warning,) = recording.warnings
    assert warning.startswith(
        "stream 'cap': its sender's clock began again at sample 6000 (clock offset 900 s"
    )


def test_pyxdf_agrees_where_the_stamps_do_not_overlap(tmp_path):
    cap = sender("cap", [BEFORE, (1090.0, 1150.0, 1085.0)])
    path = record(tmp_path / "a.xdf", [cap])
    (theirs,), _ = pyxdf.load_xdf(path, dejitter_timestamps=False, handle_clock_resets=True)
    (ours,) = open_recording(path).streams
    np.testing.assert_allclose(ours.times + ours.offsets_s(), theirs["time_stamps"], atol=1e-3)


@pytest.mark.parametrize("number", [0, 5, 11])
@pytest.mark.parametrize("wrong_s", [-3000.0, 4000.0, 903.0])
def test_a_faulty_measurement_is_no_restart(tmp_path, number, wrong_s):
    cap = sender("cap", [BEFORE])
    measured = [(at, wrong_s if index == number else s) for index, (at, s) in enumerate(cap.measured)]
    cap = replace(cap, measured=measured)
    recording = opened(tmp_path, cap)
    assert_true(recording, cap)
    assert recording.warnings == []


def test_an_old_offset_that_is_written_again_after_the_restart(tmp_path):
    cap = sender("cap", [BEFORE, (1075.0, 1135.0, 940.0)])
    cap = replace(cap, measured=[*cap.measured[:12], (1076.0, 900.0), *cap.measured[13:]])
    assert_true(opened(tmp_path, cap), cap)


def test_stamps_that_are_no_numbers_and_a_false_one_do_no_harm(tmp_path):
    cap = sender("cap", [BEFORE, (1075.0, 1135.0, 940.0)])
    wrong = np.array([10, 5990, 6005, 9000])
    stamps = cap.stamps.copy()
    stamps[wrong] = np.nan, 1e9, np.nan, -1e9
    recording = opened(tmp_path, replace(cap, stamps=stamps))
    (stream,) = recording.streams
    good = np.delete(np.arange(12000), wrong)
    np.testing.assert_allclose((stream.times + stream.offsets_s())[good], cap.true_s[good], atol=1e-9)


def test_raw_and_training_have_the_gap_and_the_true_time(tmp_path):
    cap = sender("cap", [BEFORE, (1075.0, 1135.0, 940.0)])
    path = record(tmp_path / "a.xdf", [cap, marks([(1010.0, "a"), (1100.0, "b")], [(1000.0, 0.0)])])
    with pytest.warns(RuntimeWarning, match="a.xdf: stream 'cap': its sender's clock began again"):
        raw = bci_m2s.open_recording(path).to_mne()
    found = {one["description"]: (one["onset"], one["duration"]) for one in raw.annotations}
    assert {text: onset for text, (onset, _) in found.items()} == pytest.approx(
        {"a": 10.0, "b": 100.0, "BAD_gap": 60.0}, abs=0.011
    )
    assert found["BAD_gap"][1] == pytest.approx(15.0, abs=0.02)
    times = np.concatenate([chunk.times for chunk in RecordedChunks(path, 0)()])
    np.testing.assert_allclose(times, cap.true_s, rtol=0, atol=1e-9)


def test_a_replay_has_a_gap_event_at_the_restart(tmp_path):
    times, samples = eeg(20)
    half = len(times) // 2
    stamps = np.concatenate([times[:half], times[half:] - 7.0])  # it shows 3 s of what it showed before
    true_s = times + 500.0 + 9.0 * (np.arange(len(times)) >= half)
    n_s = half / EEG_INFO.rate_hz
    measured = [(true_s[0] + at, 500.0) for at in np.arange(1, n_s, 2)]
    measured += [(true_s[half] + at, 516.0) for at in np.arange(1, n_s, 2)]
    recording = opened(tmp_path, Sender(EEG_INFO, true_s, stamps, samples, measured))
    made = pipeline()
    estimates = list(run_offline(made, {"eeg": ReplaySource(recording.streams[0])}))
    (gap,) = [event for event in made.emitted if event.kind == "gap"]
    assert gap.fields["at_sample"] == half
    assert estimates


def test_stamps_without_offsets_are_named_where_it_can_matter(tmp_path):
    away = sender("cap", [BEFORE], host="headset")
    here = sender("desk", [(1000.0, 1060.0, 0.0)], host="rec")
    text = "no clock offsets were recorded for 'x'; its stamps are taken as they stand"

    def warnings_of(*senders: Sender) -> list[str]:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.xdf"
        return open_recording(record(path, senders)).warnings

    def unmeasured(host: str) -> Sender:
        return replace(sender("x", [(1000.0, 1060.0, 0.0)], host=host), measured=())

    assert warnings_of(away, unmeasured("tablet")) == [text]
    assert warnings_of(away, unmeasured("")) == [text]
    assert warnings_of(here, unmeasured("tablet")) == [text]
    assert warnings_of(away, here, unmeasured("rec")) == []  # the recorder's own clock
    assert warnings_of(here, unmeasured("")) == []
    assert warnings_of(unmeasured("a"), unmeasured("b")) == []  # nothing was measured at all


def test_a_restart_that_was_never_measured_is_named(tmp_path):
    cap = sender("cap", [BEFORE, (1075.0, 1135.0, 940.0)])
    (warning,) = opened(tmp_path, replace(cap, measured=cap.measured[:12])).warnings
    assert warning.startswith(
        "stream 'cap': its stamps fall by 25 s at sample 6000, and no clock offset says"
    )


def test_stamps_of_arrival_follow_a_restart(tmp_path):
    cap = sender("cap", [BEFORE, (1075.0, 1105.0, 940.0)])
    recording = opened(tmp_path, cap)
    moved = recording.stamped(recording.streams[0], "arrival")
    late_s = moved.times + moved.offsets_s() - cap.true_s
    assert np.ptp(late_s) < 1e-9
    assert 0.0 <= late_s[0] < 0.6


@pytest.mark.parametrize(
    ("at", "offset_s"),
    [
        ([1010.0, 1030.0, 1058.0, 1077.0, 1120.0], [900.0, 900.0, 900.0, 940.0, 940.0]),
        ([1077.0, 1120.0], [940.0, 940.0]),  # none before the restart
        ([1010.0, 1058.0], [900.0, 900.0]),  # none after it
    ],
)
def test_markers_of_a_clock_that_begins_again(tmp_path, at, offset_s):
    cap = sender("cap", [BEFORE, (1075.0, 1135.0, 940.0)])
    sent = marks([(when, "x") for when in at], cap.measured)
    sent = replace(sent, stamps=sent.true_s - np.array(offset_s))
    recording = opened(tmp_path, sent)
    assert_true(recording, sent)
    (texts,) = recording.markers
    np.testing.assert_allclose(texts.times + texts.offsets_s(), at, rtol=0, atol=1e-9)


@pytest.mark.parametrize("noise_s", [0.0002, 0.005])
def test_a_drift_is_followed_and_none_is_made_of_noise(tmp_path, noise_s):
    """Half an hour at 100 ppm, some measurements slow; beside it a clock that does not drift."""
    random = np.random.default_rng(1)
    true_s = 1000.0 + np.arange(36_000) / 20
    at = np.arange(1300.0, 2800.0, 5.0)  # the first offset comes late
    noise = noise_s * random.standard_normal(len(at)) + 0.2 * (random.random(len(at)) < 0.05)
    info = StreamInfo("cap", "EEG", rate_hz=20.0, labels=("Cz",), units=("uV",))
    drifting, steady = (
        Sender(
            replace(info, name=name),
            true_s,
            (true_s - 1000.0) * (1 + ppm * 1e-6) + 100.0,
            np.zeros((len(true_s), 1), np.float32),
            list(zip(at, 900.0 - (at - 1000.0) * ppm * 1e-6 + noise, strict=True)),
        )
        for name, ppm in (("drifts", 100.0), ("steady", 0.0))
    )
    recording = opened(tmp_path, drifting, steady, flush_s=4.0)
    assert_true(recording, drifting, steady, within_s=max(0.0005, noise_s))
    assert np.ptp(recording.streams[1].offsets_s()) == 0.0
    assert recording.warnings == []
