"""A recording as MNE's Raw: volts, positions, gaps, markers and events at the right time."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bci_m2s.errors import RecordingError, StreamError
from bci_m2s.lsl.formats import EVENTS_TYPE
from bci_m2s.recording.opened import open_recording
from bci_m2s.recording.raw_axis import LONGEST_GAP_S
from bci_m2s.recording.recorder import Recorder
from bci_m2s.types import Chunk, StreamInfo

SHIPPED = Path(__file__).resolve().parents[2] / "recordings" / "simulated-session.xdf"
EEG = StreamInfo(
    "cap", "EEG", rate_hz=100.0, labels=("Fp1", "cz", "Cz2", "n"), units=("uV", "mV", "", "none")
)
GAZE = StreamInfo(
    "eyes",
    "Gaze",
    rate_hz=50.0,
    labels=("gaze_x", "gaze_y", "pupil_left", "confidence"),
    units=("deg", "norm", "mm", ""),
)
TEXT = StreamInfo("marks", "Markers", labels=("text",), units=("",), channel_format="string")
EVENTS = StreamInfo("events", EVENTS_TYPE, labels=("json",), units=("",), channel_format="string")


def write(path, streams, offsets=()):
    """An XDF file of ours. streams : (info, stamps, samples)"""
    recorder = Recorder(path, lambda: 0.0)
    recorder.start()
    for info, times, samples in streams:
        number = recorder.add_stream(info)
        for when, offset in offsets if info is EEG else ():
            recorder.clock_offset(number, when + offset, offset)
        kind = object if info.channel_format == "string" else np.float32
        for start in range(0, len(times), 40):
            stop = start + 40
            recorder.samples(number, Chunk.of(times[start:stop], np.asarray(samples[start:stop], kind)))
    recorder.close()
    return path


def counted(n, columns=4):
    return np.arange(n)[:, None] + np.zeros(columns)


def test_damaged_numbers_are_missing_without_a_warning_of_numpys(tmp_path):
    samples = counted(300).astype(np.float32)
    samples[100] = np.array([0x7FA00000], np.uint32).view(np.float32)  # a NaN that signals
    raw = open_recording(write(tmp_path / "a.xdf", [(EEG, np.arange(300) / 100, samples)])).to_mne()
    assert np.isnan(raw.get_data()[0]).sum() == 1


def test_our_own_recording_in_one_line():
    raw = open_recording(SHIPPED).to_mne()
    assert set(raw.get_channel_types()) == {"eeg"}
    assert len(raw.ch_names) == 62
    assert raw.get_montage() is not None
    assert 1e-6 < np.median(raw.get_data().std(axis=1)) < 1e-4  # volts
    texts = list(raw.annotations.description)
    assert texts.count("trial/start/negative") == 2
    assert any(text.startswith("baseline_complete: eeg") for text in texts)
    assert "BAD_gap" in texts
    starts = raw.annotations.onset[raw.annotations.description == "trial/start/negative"]
    stops = raw.annotations.onset[raw.annotations.description == "trial/stop/negative"]
    np.testing.assert_allclose(stops - starts, 10.0, atol=0.02)


def test_a_gap_keeps_its_length_and_markers_their_time(tmp_path):
    times = np.r_[np.arange(200), 200 + 150 + np.arange(300)] / 100 + 1000.0  # 1.5 s are missing
    marks = [999.0, 1001.0, 1004.25, 1100.0]
    events = [
        {"kind": "session", "session": {}},
        {"kind": "marker", "message": "twice"},
        {"kind": "failover", "message": "to the eyes"},
    ]
    path = write(
        tmp_path / "a.xdf",
        [
            (EEG, times, counted(500)),
            (TEXT, np.array(marks), [["before"], ["one"], ["two"], ["after"]]),
            (EVENTS, np.array([1000.0, 1001.0, 1004.0]), [[json.dumps(event)] for event in events]),
        ],
    )
    raw = open_recording(path).to_mne()
    assert raw.n_times == 650
    volts = raw.get_data()
    np.testing.assert_allclose(volts[0, :200], np.arange(200) * 1e-6)
    np.testing.assert_allclose(volts[0, 350:], np.arange(200, 500) * 1e-6)
    np.testing.assert_allclose(volts[0, 200:350], 1e-6 * (199 + np.arange(1, 151) / 151))
    found = sorted((a["onset"], a["duration"], a["description"]) for a in raw.annotations)
    assert [text for _, _, text in found] == ["one", "BAD_gap", "failover: to the eyes", "two"]
    np.testing.assert_allclose([onset for onset, _, _ in found], [1.0, 2.0, 4.0, 4.25], atol=0.011)
    assert found[1][1] == pytest.approx(1.5)


def test_types_and_units(tmp_path):
    times = np.arange(100) / 100
    path = write(tmp_path / "a.xdf", [(EEG, times, counted(100)), (GAZE, times[:50] * 2, counted(50))])
    raw = open_recording(path).to_mne()
    assert raw.get_channel_types() == ["eeg", "eeg", "eeg", "misc"]
    np.testing.assert_allclose(raw.get_data()[:, 7], [7e-6, 7e-3, 7e-6, 7.0])
    assert set(raw.get_montage().ch_names) >= {"Fp1", "cz"}
    np.testing.assert_allclose(
        open_recording(path).to_mne(unit="volts").get_data()[:3, 7], [7e-6, 7e-3, 7.0]
    )
    gaze = open_recording(path).to_mne("eyes")
    assert gaze.get_channel_types() == ["eyegaze", "eyegaze", "pupil", "misc"]
    np.testing.assert_allclose(gaze.get_data()[:, 7], [7 * np.pi / 180, 7.0, 7e-3, 7.0])
    assert open_recording(path).to_mne("gaze").ch_names == gaze.ch_names  # by its type


def test_markers_follow_the_shared_clock(tmp_path):
    times = np.arange(300) / 100 + 5000.0  # the sender's clock is 4000 s ahead of the recorder's
    path = write(
        tmp_path / "a.xdf",
        [(EEG, times, counted(300)), (TEXT, np.array([1001.0]), [["go"]])],
        offsets=[(5000.0, -4000.0), (5001.0, -4000.0), (5002.0, -4000.0)],
    )
    with pytest.warns(RuntimeWarning, match="no clock offsets were recorded for 'marks'"):
        (mark,) = open_recording(path).to_mne().annotations
    assert (mark["description"], round(mark["onset"], 3)) == ("go", 1.0)


def test_stamps_that_lie_cost_neither_memory_nor_samples(tmp_path):
    times = np.arange(300) / 100
    times[100:] += 1e9
    times[200:] -= 2e9
    times[50] = np.nan
    with (
        pytest.warns(RuntimeWarning, match="a.xdf: stream 'cap': 1 stamps are not finite numbers"),
        pytest.warns(RuntimeWarning, match="a.xdf: stream 'cap': its stamps fall by 2e[+]09 s at"),
    ):
        raw = open_recording(write(tmp_path / "a.xdf", [(EEG, times, counted(300))])).to_mne()
    assert raw.n_times == 300 + LONGEST_GAP_S * 100
    assert list(raw.annotations.description) == ["BAD_gap", "BAD_gap"]
    np.testing.assert_allclose(raw.annotations.duration, [LONGEST_GAP_S, 0.01])


@pytest.mark.parametrize("stated_hz", [600.0, 1e6, 0.001])
def test_a_false_rate_gives_the_true_time_axis_and_is_said(tmp_path, stated_hz):
    """The stream is of 250 Hz, whatever it states; 2 s are missing in the middle."""
    jitter = np.random.default_rng(0).uniform(0.0, 0.002, 5000)
    times = 1000.0 + np.arange(5000) / 250 + 2.0 * (np.arange(5000) >= 2500) + jitter
    info = replace(EEG, rate_hz=stated_hz)
    path = write(tmp_path / "a.xdf", [(info, times, counted(5000)), (TEXT, np.array([1015.0]), [["go"]])])
    with pytest.warns(RuntimeWarning) as caught:
        raw = open_recording(path).to_mne()
    assert [str(warning.message).removeprefix(f"{path}: ") for warning in caught] == [
        f"stream 'cap': effective rate 250 Hz, nominal {stated_hz:g} Hz",
        "stream 'cap': its Raw has the effective rate, 250 Hz",
    ]
    assert raw.info["sfreq"] == pytest.approx(250.0, abs=0.01)
    found = {one["description"]: one["onset"] for one in raw.annotations}
    assert found == pytest.approx({"BAD_gap": 10.0, "go": 15.0}, abs=0.01)
    assert raw.times[-1] == pytest.approx(22.0, abs=0.01)


def test_a_rate_that_is_a_little_off_stays_and_its_shift_is_said(tmp_path):
    times = np.arange(30_000) / 100.5
    with pytest.warns(
        RuntimeWarning, match=r"leave the even time axis of a Raw by up to 1\.5 s .*rate 100\.5 Hz"
    ):
        raw = open_recording(write(tmp_path / "a.xdf", [(EEG, times, counted(30_000))])).to_mne()
    assert raw.info["sfreq"] == 100.0


def test_channels_get_names_of_their_own(tmp_path):
    info = StreamInfo("x", "EEG", rate_hz=10.0, labels=("a", "a", ""), units=("uV",) * 3)
    raw = open_recording(write(tmp_path / "a.xdf", [(info, np.arange(9) / 10, counted(9, 3))])).to_mne()
    assert raw.ch_names == ["a", "a-2", "ch3"]
    assert raw.get_montage() is None


def test_labels_that_differ_only_in_case(tmp_path):
    info = StreamInfo("x", "EEG", rate_hz=10.0, labels=("tp9", "TP9", "cz"), units=("uV",) * 3)
    raw = open_recording(write(tmp_path / "a.xdf", [(info, np.arange(9) / 10, counted(9, 3))])).to_mne()
    assert raw.ch_names == ["tp9", "TP9", "cz"]
    placed = [np.isfinite(channel["loc"][:3]).all() for channel in raw.info["chs"]]
    assert placed == [False, True, True]


def test_what_is_odd_about_a_file_is_said(tmp_path):
    times = np.arange(300) / 100
    path = write(tmp_path / "a.xdf", [(EEG, times, counted(300)), (GAZE, 2 * times + 1.7e9, counted(300))])
    with pytest.warns(RuntimeWarning) as caught:
        raw = open_recording(path).to_mne()
    assert raw.n_times == 300
    texts = [str(warning.message) for warning in caught]
    assert [text.startswith(f"{path}: stream ") for text in texts] == [True, True]
    assert {warning.filename for warning in caught} == {__file__}


@pytest.mark.parametrize(
    ("streams", "wanted", "words"),
    [
        ([(TEXT, [1.0], [["x"]])], "", "no stream with a sampling rate"),
        ([(EEG, [0.0], counted(1))], "cup", "no stream 'cup' with a sampling rate; nearest: 'cap'"),
        ([(EEG, [], np.empty((0, 4)))], "", "stream 'cap' is empty"),
        ([(EEG, [0.0], counted(1)), (EEG, [0.0], counted(1))], "", "2 streams fit; name one"),
    ],
)
def test_what_cannot_be_opened(tmp_path, streams, wanted, words):
    path = write(tmp_path / "a.xdf", streams)
    with pytest.raises(StreamError) as caught:
        open_recording(path).to_mne(wanted)
    assert str(caught.value).startswith(f"{path}: {words}")


def test_a_stream_of_one_sample(tmp_path):
    assert open_recording(write(tmp_path / "a.xdf", [(EEG, [5.0], counted(1))])).to_mne().n_times == 1


@pytest.mark.parametrize("name", ["formats/test.vhdr", "formats/test.bdf", "eegmat/Subject00_1.edf"])
def test_files_of_mne_keep_all_of_their_channels(shared_data, name):
    path = shared_data / name
    raw = open_recording(path).to_mne()
    assert "eeg" in raw.get_channel_types()
    assert raw.get_montage() is not None
    with pytest.raises(StreamError, match="its file has one Raw"):
        open_recording(path).to_mne("EEG")


def test_others_recordings(shared_data):
    raw = open_recording(
        shared_data / "muse" / "muse2_sub-P001_ses-S001_task-Default_run-001_eeg.xdf"
    ).to_mne()
    assert raw.ch_names[:2] == ["TP9", "AF7"]
    assert 1e-6 < np.median(raw.get_data(picks=["TP9", "AF7"]).std(axis=1)) < 1e-2


def test_what_is_no_recording(tmp_path):
    for name in ("nothing.xdf", "nothing.edf", "nothing.txt"):
        with pytest.raises(RecordingError, match="no such file"):
            open_recording(tmp_path / name)
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(RecordingError, match="unknown kind"):
        open_recording(tmp_path / "a.txt")


def test_a_table_is_a_raw_whose_annotations_last(tmp_path: Path) -> None:
    rows = "".join(f"{n / 64},{n % 9},{'calm' if 64 <= n < 192 else ''}\n" for n in range(256))
    (tmp_path / "a.csv").write_text("time,Cz (uV),label\n" + rows)
    raw = open_recording(tmp_path / "a.csv").to_mne()
    np.testing.assert_allclose(raw.get_data()[0], np.arange(256) % 9 * 1e-6)
    (mark,) = raw.annotations
    assert (mark["onset"], mark["duration"], mark["description"]) == (1.0, 2.0, "calm")
