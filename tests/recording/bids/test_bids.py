"""What stands beside a recording as BIDS has it: kinds and state of channels, reference, events."""

from pathlib import Path

import numpy as np
import pytest
from support.bids_files import EVENTS, RATE_HZ, table, values, write_bids
from support.raw_files import edf

from bci_m2s.errors import RecordingError
from bci_m2s.recording.bids.files import beside, read_texts
from bci_m2s.recording.recorded import RecordedStream, Recording, open_recording


def by_type(recording: Recording) -> dict[str, RecordedStream]:
    return {stream.info.type: stream for stream in recording.streams}


def texts(stream: RecordedStream) -> list[str]:
    return [str(text) for text in stream.read(0, stream.n_samples)[:, 0]]


def test_channels_are_of_the_kind_that_stands_beside(tmp_path: Path) -> None:
    recording = open_recording(write_bids(tmp_path))
    streams = by_type(recording)
    assert {kind: one.info.labels for kind, one in streams.items()} == {
        "EEG": ("TP9", "AF7", "AF8", "TP10"),
        "EMG": ("chin",),
        "Peripheral": ("GSR",),
        "Markers": ("marker",),
    }
    np.testing.assert_allclose(streams["EEG"].read(0, 2048), values()[:, :4], atol=1e-3)
    assert streams["EEG"].info.reference == "Cz"
    assert recording.line_hz == 60.0
    assert recording.warnings == []


def test_a_bad_channel_is_missing_and_what_does_not_fit_is_said(tmp_path: Path) -> None:
    path = write_bids(
        tmp_path, status={"AF7": "bad"}, EEGReference="the left earlobe, roughly", SamplingFrequency=500
    )
    recording = open_recording(path)
    samples = by_type(recording)["EEG"].read(0, 100)
    np.testing.assert_array_equal(np.isnan(samples).all(axis=0), [False, True, False, False])
    assert recording.warnings == [
        "its EEG is referred to 'the left earlobe, roughly', which names no channel: not stated",
        "bad by channels.tsv, so missing: AF7",
        "eeg.json says 500 Hz; the file's 256 Hz counts",
    ]
    assert by_type(recording)["EEG"].info.reference == ""


def test_a_reference_that_is_not_known_is_none(tmp_path: Path) -> None:
    recording = open_recording(write_bids(tmp_path, EEGReference="n/a"))
    assert by_type(recording)["EEG"].info.reference == ""
    assert recording.warnings == []


def test_events_are_markers_in_the_order_of_time_with_durations_and_columns(tmp_path: Path) -> None:
    recording = open_recording(write_bids(tmp_path))
    (stream,) = recording.markers
    assert stream.times.tolist() == [1.25, 4.5, 6.0]
    assert texts(stream) == ["stim/neutral", "7", "stim/positive"]
    np.testing.assert_array_equal(stream.durations_s, [2.0, 1.5, np.nan])
    (pictures,) = recording.markers_by("picture")
    assert texts(pictures) == ["b.png", "a.png", "c.png"]
    with pytest.raises(RecordingError, match=r"no column .pictures."):
        recording.markers_by("pictures")


def test_the_files_own_annotations_give_way_to_events_and_bad_events_exclude(tmp_path: Path) -> None:
    path = write_bids(tmp_path, events=(*EVENTS, ("2", "0.5", "BAD_cough", "n/a", "n/a")))
    stream = by_type(open_recording(path))["EEG"]
    lost = np.isnan(stream.read(0, stream.n_samples)).all(axis=1)
    assert np.flatnonzero(lost).tolist() == list(range(2 * RATE_HZ, 2 * RATE_HZ + RATE_HZ // 2))


def test_without_such_files_names_say_what_is_no_eeg(tmp_path: Path) -> None:
    path = tmp_path / "a.edf"
    path.write_bytes(edf(["Fp1", "EMG chin", "VEOG", "EKG", "Temp"], values(count=5), RATE_HZ))
    recording = open_recording(path)
    assert {kind: one.info.labels for kind, one in by_type(recording).items()} == {
        "EEG": ("Fp1",),
        "EMG": ("chin",),
        "EOG": ("VEOG",),
        "ECG": ("EKG",),
        "Peripheral": ("Temp",),
    }
    assert recording.warnings[0] == "VEOG: EOG by name, no EEG"


def test_the_general_file_gives_way_to_the_special_one(tmp_path: Path) -> None:
    path = write_bids(tmp_path, run="2")
    names = [file.name for file in beside(path, "events.tsv")]
    assert names == ["sub-01_ses-01_task-x_run-2_events.tsv"]
    (tmp_path / "task-x_events.tsv").touch()
    (tmp_path / "task-other_events.tsv").touch()
    (tmp_path / "notmyevents.tsv").touch()
    names = [file.name for file in beside(path, "events.tsv")]
    assert names == ["task-x_events.tsv", "sub-01_ses-01_task-x_run-2_events.tsv"]
    plain = tmp_path / "lab" / "rec1.vhdr"
    plain.parent.mkdir()
    (plain.parent / "rec1_events.tsv").touch()
    (plain.parent / "rec2_events.tsv").touch()
    assert [file.name for file in beside(plain, "events.tsv")] == ["rec1_events.tsv"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        (table(("onset", "x"), ("1",)), "row 2 has 1 cells, expected 2"),
        (table(("when", "x"), ("1", "a")), "no column 'onset'; it has 'when', 'x'"),
    ],
)
def test_a_table_of_events_that_is_none_is_said_and_not_used(tmp_path: Path, text: str, said: str) -> None:
    path = write_bids(tmp_path)
    (path.parent / "sub-01_ses-01_task-x_events.tsv").write_text(text)
    recording = open_recording(path)
    assert recording.markers == ()
    assert len(recording.warnings) == 1
    assert said in recording.warnings[0]


def test_odd_rows_of_events(tmp_path: Path) -> None:
    path = write_bids(
        tmp_path,
        events=(("n/a", "1", "a", "1", "x"), ("inf", "1", "b", "1", "x"), ("2", "x", "c", "1", "x")),
    )
    recording = open_recording(path)
    (stream,) = recording.markers
    assert texts(stream) == ["c"]
    assert np.isnan(stream.durations_s).all()
    assert recording.warnings == ["sub-01_ses-01_task-x_events.tsv: 2 events have no onset; left out"]


def test_a_table_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.tsv"
    path.write_text(table(("a", "b"), ("1", "2"), ("3", "4")))
    assert read_texts(path) == {"a": ["1", "3"], "b": ["2", "4"]}
    monkeypatch.setattr("bci_m2s.recording.bids.files.MOST_ROWS", 2)
    with pytest.raises(RecordingError, match="3 rows of 2 columns"):
        read_texts(path)
    monkeypatch.setattr("bci_m2s.recording.bids.files.LARGEST_BYTES", 5)
    with pytest.raises(RecordingError, match="larger than"):
        read_texts(path)
