"""Exports of the Empatica E4, as folder and as zip."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from support.e4_files import BEGIN_S, e4_texts, write_e4, zip_e4

from bci_m2s.errors import RecordingError
from bci_m2s.recording.file_names import recording_in
from bci_m2s.recording.recorded import RecordedStream, Recording, open_recording
from bci_m2s.training.datasets.recorded_files import recordings_below


def by_type(recording: Recording) -> dict[str, RecordedStream]:
    return {stream.info.type: stream for stream in recording.streams}


@pytest.mark.parametrize("form", ["folder", "part", "zip", "zip with a folder"])
def test_an_export_is_read_as_it_comes(tmp_path: Path, form: str) -> None:
    if form.startswith("zip"):
        path = zip_e4(tmp_path / "x.zip", "E4/" if "folder" in form else "")
    else:
        path = write_e4(tmp_path / "E4") / ("TEMP.csv" if form == "part" else "")
    recording = open_recording(path)
    streams = by_type(recording)
    assert recording.warnings == []
    assert recording.unix_s == BEGIN_S
    assert {kind: one.info.rate_hz for kind, one in streams.items()} == {
        "Peripheral": 4.0,
        "PPG": 64.0,
        "ACC": 32.0,
        "HR": 1.0,
        "IBI": 0.0,
        "Markers": 0.0,
    }
    skin = streams["Peripheral"]
    assert skin.info.labels == ("EDA", "TEMP")
    assert skin.info.units == ("microsiemens", "celsius")
    np.testing.assert_array_equal(skin.times, np.arange(80) / 4)
    np.testing.assert_array_equal(skin.read(0, 80), np.stack([np.arange(80)] * 2, axis=1))
    np.testing.assert_array_equal(streams["ACC"].read(0, 3)[:, 0], np.arange(3, dtype=np.float32) / 64)
    assert streams["HR"].times[0] == 10.0
    assert streams["IBI"].times.tolist() == [2.5, 3.25]
    assert recording.markers[0].times.tolist() == [5.0, 12.5]


def test_files_with_the_person_before_their_names_are_one_export_each(tmp_path: Path) -> None:
    for person, seconds in (("S02", 20), ("S_04", 30)):
        for file in write_e4(tmp_path / person, seconds=seconds).iterdir():
            file.rename(tmp_path / f"{person}_{file.name}")
        (tmp_path / person).rmdir()
    for person, seconds in (("S02", 20), ("S_04", 30)):
        recording = open_recording(tmp_path / f"{person}_TEMP.csv")
        assert recording.path.name == f"{person}_EDA.csv"
        assert by_type(recording)["Peripheral"].n_samples == 4 * seconds
        assert recording.warnings == []
    found = [(file.subject, file.path.name) for file in recordings_below(tmp_path)]
    assert found == [("S02", "S02_EDA.csv"), ("S_04", "S_04_EDA.csv")]
    with pytest.raises(RecordingError, match="is a folder without"):  # whose?
        recording_in(tmp_path)


def test_what_is_absent_or_empty_is_said(tmp_path: Path) -> None:
    folder = write_e4(tmp_path)
    for name in ("BVP.csv", "tags.csv", "HR.csv"):
        (folder / name).unlink()
    (folder / "TEMP.csv").write_text("")
    (folder / "IBI.csv").write_text("")
    recording = open_recording(folder)
    assert set(by_type(recording)) == {"Peripheral", "ACC"}
    assert by_type(recording)["Peripheral"].info.labels == ("EDA",)
    assert recording.warnings == ["not in it: BVP.csv, HR.csv, tags.csv"]


def test_signals_that_do_not_begin_together_stay_apart(tmp_path: Path) -> None:
    folder = write_e4(tmp_path)
    (folder / "TEMP.csv").write_text(e4_texts(begin_s=BEGIN_S + 0.5)["TEMP.csv"])
    found = [one for one in open_recording(folder).streams if one.info.type == "Peripheral"]
    assert [one.info.labels for one in found] == [("EDA",), ("TEMP",)]
    assert found[1].times[0] == 0.5


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("EDA.csv", "1700000000\n4\nx\n", "EDA.csv: cannot be read"),
        ("EDA.csv", "1700000000\n0\n1\n", "expected a Unix time and a rate"),
        ("ACC.csv", "1700000000\n4\n1\n", "ACC.csv: 1 columns, expected 3"),
        ("tags.csv", "soon\n", "tags.csv: expected the Unix time"),
        ("IBI.csv", "soon, IBI\n1,2\n", "IBI.csv: its first line"),
    ],
)
def test_damage_is_one_line(tmp_path: Path, name: str, text: str, said: str) -> None:
    folder = write_e4(tmp_path)
    (folder / name).write_text(text)
    with pytest.raises(RecordingError, match=said) as caught:
        open_recording(folder)
    assert "\n" not in str(caught.value)


def test_a_zip_that_is_none_and_one_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(RecordingError, match=r"a\.zip: cannot be read"):
        open_recording(tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("../../EDA.txt", "x")
    with pytest.raises(RecordingError, match="no export of an Empatica E4"):
        open_recording(tmp_path / "b.zip")


def test_nothing_of_a_zip_is_unpacked_and_its_size_is_limited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = zip_e4(tmp_path / "in" / "a.zip", "../../")
    open_recording(path)
    assert sorted(file.name for file in tmp_path.rglob("*") if file.is_file()) == ["a.zip"]
    monkeypatch.setattr("bci_m2s.recording.empatica.LARGEST_BYTES", 1000)
    with pytest.raises(RecordingError, match="is larger than"):
        open_recording(path)
    monkeypatch.setattr("bci_m2s.recording.empatica.MOST_MEMBERS", 3)
    with pytest.raises(RecordingError, match="8 files, expected at most 3"):
        open_recording(path)


def test_a_table_of_that_name_that_is_no_export_is_a_table(tmp_path: Path) -> None:
    (tmp_path / "EDA.csv").write_text("time,EDA (uS)\n" + "".join(f"{n / 4},{n}\n" for n in range(40)))
    (stream,) = open_recording(tmp_path / "EDA.csv").streams
    assert stream.info.rate_hz == 4.0
    assert stream.info.units == ("microsiemens",)
