"""Tables of samples: CSV, TSV and Parquet, read block by block."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bci_m2s.errors import RecordingError
from bci_m2s.recording.file_settings import FileSettings
from bci_m2s.recording.recorded import RecordedStream, Recording, open_recording
from bci_m2s.recording.tables import text_rows
from bci_m2s.recording.tables.times import regular_rate_hz

N, RATE_HZ = 640, 128.0
VALUES = np.arange(N)[:, None] % 50 + 100.0 * np.arange(2)


def rows(
    times: object, label: object = "", sep: str = ",", header: str = "time,TP9 (uV),AF7 [mV],label"
) -> str:
    """A table of two channels and a column of labels."""
    lines = [header.replace(",", sep)]
    for index, time in enumerate(times):  # type: ignore[arg-type, var-annotated]
        text = label(index) if callable(label) else label
        lines.append(sep.join([str(time), *(f"{value:g}" for value in VALUES[index % N]), text]))
    return "\n".join(lines) + "\n"


def opened(path: Path, text: str | bytes, *said: FileSettings) -> Recording:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return open_recording(path, said)


def samples(stream: RecordedStream) -> np.ndarray:
    return stream.read(0, stream.n_samples)


def marks(recording: Recording) -> list[tuple[float, str, float]]:
    (stream,) = recording.markers
    assert stream.durations_s is not None
    texts = [str(text) for text in stream.read(0, stream.n_samples)[:, 0]]
    return list(zip(stream.times.tolist(), texts, np.round(stream.durations_s, 6).tolist(), strict=True))


SECONDS = [index / RATE_HZ for index in range(N)]


def happy(index: int) -> str:
    return "happy" if 128 <= index < 384 else ""


def test_a_table_is_streams_with_units_and_labels_with_durations(tmp_path: Path) -> None:
    recording = opened(tmp_path / "a.csv", rows(SECONDS, happy))
    (stream, _) = recording.streams
    assert recording.warnings == []
    assert stream.info.labels == ("TP9", "AF7")
    assert stream.info.units == ("microvolts", "millivolts")
    assert (stream.info.type, stream.info.rate_hz) == ("EEG", 128.0)
    np.testing.assert_array_equal(samples(stream), VALUES)
    np.testing.assert_allclose(stream.times, SECONDS)
    assert marks(recording) == [(1.0, "happy", 2.0)]
    assert np.isnan(recording.unix_s)


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ([f"{1.7e9 + time:.6f}" for time in SECONDS], {}),
        ([f"{1.7e12 + 1e3 * time:.0f}" for time in SECONDS], {}),
        ([f"{1.7e15 + 1e6 * time:.0f}" for time in SECONDS], {}),
        (
            [
                f"2023-11-14T22:13:{20 + int(time):02d}.{round(time % 1 * 1e6):06d}+00:00"
                for time in SECONDS
            ],
            {},
        ),
        (
            [f"2023-11-14 23:13:{20 + int(time):02d}.{round(time % 1 * 1e6):06d}" for time in SECONDS],
            {"timezone": "Europe/Berlin"},
        ),
    ],
    ids=["s", "ms", "us", "iso", "iso of a stated zone"],
)
def test_unix_time_in_any_unit_counts_from_its_first_second(
    tmp_path: Path, times: list[str], said: dict[str, str]
) -> None:
    recording = opened(tmp_path / "a.csv", rows(times), FileSettings(**said))  # type: ignore[arg-type]
    (stream, _) = recording.streams
    assert recording.unix_s == 1.7e9
    np.testing.assert_allclose(stream.times, SECONDS, atol=5e-4)
    assert stream.info.rate_hz == 128.0  # also where stamps are rounded to milliseconds


def test_a_unit_in_the_name_or_the_settings_counts(tmp_path: Path) -> None:
    times = [1e3 * time for time in SECONDS]
    header = "Time (ms),TP9,AF7,label"
    (stream, _) = opened(tmp_path / "a.csv", rows(times, header=header)).streams
    np.testing.assert_allclose(stream.times, SECONDS)
    said = FileSettings(file="b*", time="clock", time_unit="ms", type="ECG", marker="TP9")
    recording = opened(tmp_path / "b.csv", rows(times, header="clock,TP9,AF7,x"), said)
    assert recording.streams[0].info.type == "ECG"
    assert recording.streams[0].info.labels == ("AF7",)
    assert recording.streams[1].n_samples > 1
    recording = opened(tmp_path / "c.csv", rows(times, header="time,TP9,AF7,label"))
    assert recording.streams[0].info.rate_hz == 0.128
    assert recording.warnings == ["samples are 7.812 s apart; if times are ms, data.files: time_unit: ms"]


def test_without_a_column_of_time_the_rate_is_stated(tmp_path: Path) -> None:
    text = rows([0] * N, header="count,TP9,AF7,label")
    with pytest.raises(
        RecordingError, match=r"no column of time; `time:` in data\.files names one of 'count'"
    ):
        opened(tmp_path / "a.csv", text)
    (stream, _) = opened(tmp_path / "a.csv", text, FileSettings(rate_hz=64)).streams[:2]
    assert stream.info.rate_hz == 64
    assert stream.times[1] == 1 / 64
    with pytest.raises(RecordingError, match=r"data\.files\.time: no column 'tine'.*nearest: 'time'"):
        opened(tmp_path / "a.csv", rows(SECONDS), FileSettings(time="tine"))


def test_blocks_equal_the_whole_and_odd_cells_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = rows(SECONDS, happy).splitlines()
    lines[5] = lines[5].replace(",4,", ",,")  # an empty cell
    lines[300] = f"{SECONDS[299]},x"  # a row that breaks off, and a word
    lines[400] = ",1,2,"  # no time
    monkeypatch.setattr(text_rows, "BLOCK_BYTES", 700)
    recording = opened(tmp_path / "a.csv", "\r\n".join(lines) + "\r\n\r\n")
    stream = recording.streams[0]
    expected = VALUES.copy()
    expected[4, 0], expected[299] = np.nan, np.nan
    expected = np.delete(expected, 399, axis=0)
    np.testing.assert_array_equal(samples(stream), expected)
    assert recording.warnings == ["1 rows have no time; left out"]
    for start in (0, 17, 298, 398, 638, 5):
        np.testing.assert_array_equal(stream.read(start, start + 40), expected[start : start + 40])
    assert stream.read(3, 3).shape == (0, 2)


def test_a_channel_whose_first_cells_say_that_nothing_was_measured(tmp_path: Path) -> None:
    for cell in ("n/a", "NaN", "NA", ""):
        lines = rows(SECONDS).splitlines()
        lines[1] = f"0,{cell},{VALUES[0, 1]:g},"
        recording = opened(tmp_path / "a.csv", "\n".join(lines) + "\n")
        assert recording.streams[0].info.labels == ("TP9", "AF7")
        assert np.isnan(samples(recording.streams[0])[0, 0])
        np.testing.assert_array_equal(samples(recording.streams[0])[1:], VALUES[1:])


def test_semicolons_decimal_commas_tabs_and_lines_before_the_header(tmp_path: Path) -> None:
    text = "%made by\n#somebody\n" + rows(SECONDS, happy, ";").replace(".", ",")
    recording = opened(tmp_path / "a.csv", b"\xef\xbb\xbf" + text.encode())
    np.testing.assert_allclose(recording.streams[0].times, SECONDS)
    np.testing.assert_array_equal(samples(recording.streams[0]), VALUES)
    assert marks(recording) == [(1.0, "happy", 2.0)]
    recording = opened(tmp_path / "a.tsv", rows(SECONDS, happy, "\t"))
    np.testing.assert_array_equal(samples(recording.streams[0]), VALUES)


def test_columns_go_to_the_stream_of_their_kind(tmp_path: Path) -> None:
    header = "time,TP9,gaze_x,EMG chin,EDA (uS),note,counter\n"
    text = header + "".join(f"{time},1,2,3,4,word,{index}\n" for index, time in enumerate(SECONDS))
    recording = opened(tmp_path / "session.csv", text)
    found = {stream.info.type: stream.info.labels for stream in recording.streams}
    assert found == {
        "EEG": ("TP9",),
        "Gaze": ("gaze_x",),
        "EMG": ("EMG chin",),
        "Peripheral": ("EDA",),
        "Misc": ("counter",),
    }
    assert recording.warnings == ["columns without numbers, not read: note"]
    recording = opened(tmp_path / "P01_eye.csv", text.replace("counter", "confidence"))
    gaze = next(stream for stream in recording.streams if stream.info.type == "Gaze")
    assert gaze.info.labels == ("gaze_x", "confidence")  # what nothing is known of is of the file's kind


def test_irregular_times_stay_and_gaps_do_not_count(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    (stream, _) = opened(tmp_path / "a.csv", rows(np.cumsum(rng.exponential(0.02, N)))).streams
    assert stream.info.rate_hz == 0.0
    times = np.concatenate([np.arange(2000), np.arange(3000, 5000)]) / 256
    assert regular_rate_hz(times) == 256.0
    assert regular_rate_hz(np.round(times, 3)) == 256.0
    assert regular_rate_hz(np.arange(2000) / 59.94) == 59.94
    assert regular_rate_hz(np.arange(3.0)) == 0.0


def test_a_table_of_markers_alone(tmp_path: Path) -> None:
    recording = opened(tmp_path / "a.csv", "onset,label,duration\n2,1.0,3\n1,calm,0.5\n3,0,\n4,,1\n")
    assert marks(recording)[:2] == [(2.0, "1", 3.0), (1.0, "calm", 0.5)]
    assert marks(recording)[2][:2] == (3.0, "0")  # 0 is a label, and no code
    assert len(marks(recording)) == 3
    recording = opened(tmp_path / "b.csv", "time,marker\n1,0\n2,7\n")
    assert [mark[:2] for mark in marks(recording)] == [(2.0, "7")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1,2,3\n4,5,6\n", "its first line has no names"),
        ("time,x\n", "no column holds numbers or markers"),
        ("time,TP9\n", "no row has a time"),
        ("time,TP9\nnever,1\n", "no row has a time"),
        ("time,note\n1,word\n", "no column holds numbers or markers"),
        (
            "time,TP9\n0,5,1,25\n",
            "rows have 4 cells, but the first line names 2 columns; decimal commas need",
        ),
        (
            "time;TP9\n1;0;5\n",
            "rows have 3 cells, but the first line names 2 columns$",
        ),  # row names, as of R
        ("\0\0\0\0", "is no text"),
        ("time," + "x" * 1_000_100 + "\n", "a line is longer than"),
        (",".join(f"c{n}" for n in range(5000)) + "\n", "5000 columns, expected at most 4096"),
    ],
)
def test_what_is_no_table_is_refused_in_a_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(RecordingError, match=said) as caught:
        opened(tmp_path / "a.csv", text)
    assert str(caught.value).startswith(str(tmp_path / "a.csv"))
    assert "\n" not in str(caught.value)


def test_a_table_that_changes_is_noticed(tmp_path: Path) -> None:
    recording = opened(tmp_path / "a.csv", rows(SECONDS))
    (tmp_path / "a.csv").write_text(rows(SECONDS[:10]))
    with pytest.raises(RecordingError, match="changed since it was opened"):
        samples(recording.streams[0])


def test_parquet_is_the_same(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow

    holes = [None if index == 3 else float(value) for index, value in enumerate(VALUES[:, 0])]
    columns = {"time": SECONDS, "TP9 (uV)": holes, "AF7": VALUES[:, 1], "label": list(map(happy, range(N)))}
    parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet", row_group_size=100)
    recording = open_recording(tmp_path / "a.parquet")
    expected = VALUES.copy()
    expected[3, 0] = np.nan
    np.testing.assert_array_equal(samples(recording.streams[0]), expected)
    assert marks(recording) == [(1.0, "happy", 2.0)]
    (tmp_path / "b.parquet").write_bytes(b"PAR1" + bytes(100))
    with pytest.raises(RecordingError, match=r"b\.parquet: cannot be read"):
        open_recording(tmp_path / "b.parquet")


def test_without_pyarrow_parquet_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(RecordingError, match=r"Parquet needs pyarrow: pip install 'bci_m2s\[parquet\]'"):
        open_recording(tmp_path / "a.parquet")
