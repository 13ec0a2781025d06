"""Several files of one session on one clock: tables, and a watch beside a recording."""

from __future__ import annotations

from pathlib import Path

import mne
import numpy as np
import pytest
from support.bids_files import RATE_HZ, values
from support.e4_files import BEGIN_S, write_e4, zip_e4
from support.raw_files import edf

from bci_m2s.recording.file_settings import FileSettings, find_zone
from bci_m2s.recording.recorded import Recording
from bci_m2s.recording.together import open_together

LABELS = ["TP9", "AF7", "AF8", "TP10"]


def fif(path: Path, begun_s: float | None) -> Path:
    """8 s, begun at a Unix time."""
    raw = mne.io.RawArray(
        values()[:, :4].T * 1e-6, mne.create_info(LABELS, RATE_HZ, "eeg"), verbose="error"
    )
    raw.set_meas_date(begun_s)
    raw.save(path, verbose="error")
    return path


def first_times(recording: Recording) -> dict[str, float]:
    return {stream.info.type: float(stream.times[0]) for stream in recording.streams}


@pytest.mark.parametrize("form", ["folder", "zip"])
def test_a_watch_is_laid_beside_a_recording_by_the_dates_of_both(tmp_path: Path, form: str) -> None:
    watch = zip_e4(tmp_path / "w.zip") if form == "zip" else write_e4(tmp_path / "E4") / "EDA.csv"
    recording = open_together([fif(tmp_path / "a_raw.fif", BEGIN_S + 4), watch])
    assert first_times(recording)["EEG"] == 0.0
    assert first_times(recording)["Peripheral"] == -4.0
    assert recording.markers[0].times.tolist() == [1.0, 8.5]
    said = (
        f"{watch.name}: by the dates of both, its time 0 is 4.000 s before that of a_raw.fif; as exact as "
    )
    assert recording.warnings == [f"{said}their clocks were set"]


def test_hours_of_a_watch_are_cut_to_what_is_near(tmp_path: Path) -> None:
    watch = zip_e4(tmp_path / "w.zip", seconds=900)
    recording = open_together([fif(tmp_path / "a_raw.fif", BEGIN_S + 400), watch])
    skin = next(stream for stream in recording.streams if stream.info.type == "Peripheral")
    assert (skin.times[0], skin.times[-1]) == (-120.0, 127.75)
    np.testing.assert_array_equal(skin.read(0, 4)[:, 0], (np.arange(1120, 1124)) % 100)


def test_without_a_date_a_watch_is_left_out_unless_its_offset_is_stated(tmp_path: Path) -> None:
    paths = [fif(tmp_path / "a_raw.fif", None), zip_e4(tmp_path / "w.zip")]
    recording = open_together(paths)
    assert set(first_times(recording)) == {"EEG"}
    (said,) = recording.warnings
    assert said == (
        "left out: w.zip: cannot be laid beside a_raw.fif: a_raw.fif has no date in a known time zone; "
        "data.files: `timezone` (EDF, BrainVision) or `offset_s`"
    )
    recording = open_together(paths, [FileSettings(file="*.zip", offset_s=-2.5)])
    assert first_times(recording)["Peripheral"] == -2.5
    assert recording.warnings == []


def test_the_date_of_an_edf_needs_its_time_zone(tmp_path: Path) -> None:
    path = tmp_path / "a.edf"
    date = b"14.11.2300.13.24"  # of the place: 2023-11-14 00:13:24 there, 22:13:24 of the day before in UTC
    path.write_bytes(edf(LABELS, values(count=4), RATE_HZ).replace(b"01.01.1110.00.00", date))
    watch = zip_e4(tmp_path / "w.zip", begin_s=BEGIN_S - 86_400)
    assert "no date in a known time zone" in open_together([path, watch]).warnings[0]
    told = [FileSettings(file="*.edf", timezone="+02:00")]
    assert first_times(open_together([path, watch], told))["Peripheral"] == -4.0
    wrong = [FileSettings(file="*.edf", timezone="+01:00")]
    assert "no sample of it lies within a.edf" in open_together([path, watch], wrong).warnings[-1]


def table(path: Path, begin_s: float, name: str, rate_hz: int = 64) -> Path:
    times = begin_s + np.arange(8 * rate_hz) / rate_hz
    path.write_text(f"time,{name}\n" + "".join(f"{time:.6f},{n}\n" for n, time in enumerate(times)))
    return path


@pytest.mark.parametrize("begin_s", [1.7e9, 12.0], ids=["unix", "a common clock"])
def test_tables_are_of_one_clock(tmp_path: Path, begin_s: float) -> None:
    (tmp_path / "markers.csv").write_text(f"time,label\n{begin_s + 3.5},calm\n")
    paths = [
        table(tmp_path / "eeg.csv", begin_s, "TP9"),
        table(tmp_path / "eye.csv", begin_s + 1.25, "gaze_x"),
    ]
    recording = open_together([*paths, tmp_path / "markers.csv"])
    found = first_times(recording)
    assert found["Gaze"] - found["EEG"] == pytest.approx(1.25)
    assert recording.markers[0].times[0] - found["EEG"] == pytest.approx(3.5)


def test_a_dated_table_beside_one_without_is_left_out(tmp_path: Path) -> None:
    recording = open_together(
        [table(tmp_path / "eeg.csv", 1.7e9, "TP9"), table(tmp_path / "eye.csv", 0, "gaze_x")]
    )
    assert set(first_times(recording)) == {"EEG"}
    assert "left out: eye.csv: cannot be laid beside eeg.csv: eye.csv has no date" in recording.warnings[0]


def test_time_zones() -> None:
    assert find_zone("+05:30") is not None
    with pytest.raises(ValueError, match="no time zone that this computer knows"):
        FileSettings(timezone="Mars/Olympus")
    with pytest.raises(ValueError, match="timezone"):
        FileSettings(timezone="+99:00")
