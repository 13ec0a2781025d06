"""A file that was paused is read with its pauses, and what it calls bad is missing; in every format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import mne
import numpy as np
import pytest

import bci_m2s
from bci_m2s.recording.file_pauses import UNKNOWN_PAUSE_S, FileTimes
from bci_m2s.recording.recorded import Recording, open_recording

RATE_HZ, SECONDS, PAUSED_AT_S, PAUSE_S = 100, 8, 3, 600.0
LABELS = ["Cz", "Pz"]
DATA_UV = np.random.default_rng(0).normal(0.0, 20.0, (RATE_HZ * SECONDS, 2))
MARKS = ((1.0, "before"), (4.0, "after"))  # on the file's own samples


def write_edf(folder: Path, unit: bytes = b"uV", kind: bytes = b"EDF+D", begin_s: float = 0.0) -> Path:
    def fields(width: int, *texts: object) -> bytes:
        return b"".join(
            (text if isinstance(text, bytes) else str(text).encode()).ljust(width) for text in texts
        )

    head = fields(8, 0) + fields(80, "X X X X", "Startdate 01-JAN-2024 X X X") + b"01.01.2410.00.00"
    head += fields(8, 256 * 4) + fields(44, kind) + fields(8, SECONDS, 1) + fields(4, 3)
    head += fields(16, *LABELS, "EDF Annotations") + fields(80, "", "", "") + fields(8, unit, unit, "")
    head += fields(8, -500, -500, -1, 500, 500, 1, *[-32768] * 3, *[32767] * 3)
    head += fields(80, "", "", "") + fields(8, RATE_HZ, RATE_HZ, 30) + fields(32, "", "", "")
    counts = np.rint((DATA_UV + 500) / 1000 * 65535 - 32768).astype("<i2")
    records = []
    for second in range(SECONDS):
        onset_s = begin_s + second + (PAUSE_S if kind == b"EDF+D" and second >= PAUSED_AT_S else 0.0)
        notes = f"+{onset_s:g}\x14\x14\x00"
        for at_s, text in MARKS:
            notes += f"+{onset_s:g}\x14{text}\x14\x00" if at_s == second else ""
        block = counts[second * RATE_HZ : (second + 1) * RATE_HZ]
        records.append(block[:, 0].tobytes() + block[:, 1].tobytes() + notes.encode().ljust(60, b"\0"))
    path = folder / "paused.edf"
    path.write_bytes(head + b"".join(records))
    return path


def write_brainvision(folder: Path, date: str = "20240101101003000000") -> Path:
    (DATA_UV / 0.01).astype("<i2").tofile(folder / "paused.eeg")
    channels = "".join(f"Ch{number}={label},,0.01,µV\n" for number, label in enumerate(LABELS, 1))
    (folder / "paused.vhdr").write_text(
        "Brain Vision Data Exchange Header File Version 1.0\n\n[Common Infos]\nCodepage=UTF-8\n"
        "DataFile=paused.eeg\nMarkerFile=paused.vmrk\nDataFormat=BINARY\nDataOrientation=MULTIPLEXED\n"
        f"NumberOfChannels=2\nSamplingInterval={1e6 / RATE_HZ:g}\n\n[Binary Infos]\nBinaryFormat=INT_16\n\n"
        f"[Channel Infos]\n{channels}",
        encoding="utf-8",
    )
    marks = "".join(
        f"Mk{number}=Stimulus,{text},{round(at_s * RATE_HZ) + 1},1,0\n"
        for number, (at_s, text) in enumerate(MARKS, 3)
    )
    (folder / "paused.vmrk").write_text(
        "Brain Vision Data Exchange Marker File, Version 1.0\n\n[Common Infos]\nCodepage=UTF-8\n"
        "DataFile=paused.eeg\n\n[Marker Infos]\nMk1=New Segment,,1,1,0,20240101100000000000\n"
        f"Mk2=New Segment,,{PAUSED_AT_S * RATE_HZ + 1},1,0,{date}\n{marks}",
        encoding="utf-8",
    )
    return folder / "paused.vhdr"


def raw_of(samples_uv: np.ndarray) -> mne.io.BaseRaw:
    return mne.io.RawArray(samples_uv.T * 1e-6, mne.create_info(LABELS, RATE_HZ, "eeg"), verbose="error")


def write_joined(folder: Path) -> Path:
    edge = PAUSED_AT_S * RATE_HZ
    raw = mne.concatenate_raws([raw_of(DATA_UV[:edge]), raw_of(DATA_UV[edge:])], verbose="error")
    raw.set_annotations(
        raw.annotations + mne.Annotations(*zip(*((at, 0.0, text) for at, text in MARKS), strict=True))
    )
    raw.save(folder / "paused_raw.fif", verbose="error")
    return folder / "paused_raw.fif"


def write_undated(folder: Path) -> Path:
    return write_brainvision(folder, "00000000000000000000")


def marks_of(recording: Recording) -> dict[str, float]:
    (stream,) = [stream for stream in recording.streams if stream.info.name.endswith("annotations")]
    texts = stream.read(0, stream.n_samples)[:, 0]
    return {text.rsplit("/", 1)[-1]: time for text, time in zip(texts, stream.times.tolist(), strict=True)}


@pytest.mark.parametrize(
    ("write", "pause_s"),
    [
        (write_edf, PAUSE_S),
        (write_brainvision, PAUSE_S),
        (write_undated, UNKNOWN_PAUSE_S),
        (write_joined, UNKNOWN_PAUSE_S),
    ],
)
def test_what_follows_a_pause_has_its_own_time(
    tmp_path: Path, write: Callable[[Path], Path], pause_s: float
) -> None:
    recording = open_recording(write(tmp_path))
    (stream,) = [stream for stream in recording.streams if not stream.is_text]
    expected = np.arange(len(DATA_UV)) / RATE_HZ
    expected[PAUSED_AT_S * RATE_HZ :] += pause_s
    np.testing.assert_allclose(stream.times, expected, atol=1e-9)
    np.testing.assert_allclose(stream.read(0, stream.n_samples), DATA_UV, atol=0.02)
    marks = marks_of(recording)
    assert marks["before"] == pytest.approx(1.0)
    assert marks["after"] == pytest.approx(4.0 + pause_s)
    unknown = [
        warning
        for warning in recording.warnings
        if "paused at 3.0 s, it is not known for how long" in warning
    ]
    assert len(unknown) == (pause_s == UNKNOWN_PAUSE_S)
    assert len(recording.warnings) == len(unknown)


def test_segments_without_a_pause_are_one(tmp_path: Path) -> None:
    """A file in which recording went on at once: the dates of both segments say so."""
    stream = open_recording(write_brainvision(tmp_path, "20240101100003000000")).streams[0]
    np.testing.assert_allclose(stream.times, np.arange(len(DATA_UV)) / RATE_HZ)


def test_a_continuous_edf_has_no_pause(tmp_path: Path) -> None:
    stream = open_recording(write_edf(tmp_path, kind=b"EDF+C")).streams[0]
    np.testing.assert_allclose(stream.times, np.arange(len(DATA_UV)) / RATE_HZ)


@pytest.mark.parametrize("kind", [b"EDF+C", b"EDF+D"])
def test_annotations_of_an_edf_count_from_its_first_record(tmp_path: Path, kind: bytes) -> None:
    """They are written from the full second of the start time, which the first record may follow."""
    begun = marks_of(open_recording(write_edf(tmp_path, kind=kind)))
    assert marks_of(open_recording(write_edf(tmp_path, kind=kind, begin_s=0.25))) == begun


def test_a_discontinuous_edf_that_does_not_say_when_is_refused(tmp_path: Path) -> None:
    path = write_edf(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"+603", b"x603"))
    with pytest.raises(Exception, match="data record 4 does not say when it began"):
        open_recording(path)


def test_what_the_file_calls_bad_is_missing(tmp_path: Path) -> None:
    raw = raw_of(DATA_UV)
    raw.info["bads"] = ["Pz"]
    raw.set_annotations(
        mne.Annotations([1.0, 5.0, 6.0], [1.0, 1.0, 0.5], ["BAD muscle", "BAD_ACQ_SKIP", "badly"])
    )
    raw.save(tmp_path / "bad_raw.fif", verbose="error")
    stream = open_recording(tmp_path / "bad_raw.fif").streams[0]
    samples = stream.read(0, stream.n_samples)
    assert np.isnan(samples[:, 1]).all()
    times = np.array([time for time in np.arange(len(DATA_UV)) / RATE_HZ if not 5.0 <= time < 6.0])
    np.testing.assert_allclose(stream.times, times)
    bad = ((times >= 1.0) & (times < 2.0)) | ((times >= 6.0) & (times < 6.5))
    np.testing.assert_array_equal(np.isnan(samples[:, 0]), bad)
    assert {"BAD muscle", "badly"} <= set(marks_of(open_recording(tmp_path / "bad_raw.fif")))


def write_bad_fif(folder: Path, at_s: float) -> Path:
    raw = raw_of(DATA_UV)
    raw.set_annotations(mne.Annotations([at_s], [0.5], ["BAD electrode"], ch_names=[["Pz"]]))
    raw.save(folder / "bad_raw.fif", verbose="error")
    return folder / "bad_raw.fif"


def write_bad_edf(folder: Path, at_s: float, kind: bytes = b"EDF+C") -> Path:
    path = write_edf(folder, kind=kind)
    onset = b"+%g" % (at_s + (PAUSE_S if kind == b"EDF+D" and at_s >= PAUSED_AT_S else 0.0))
    written, wanted = (onset + text for text in (b"\x14after\x14", b"\x150.5\x14BAD electrode@@Pz\x14"))
    extra = len(wanted) - len(written)
    assert written + bytes(extra) in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(written + bytes(extra), wanted))
    return path


def write_bad_edf_behind_a_pause(folder: Path, at_s: float) -> Path:
    return write_bad_edf(folder, at_s, b"EDF+D")


def write_bad_brainvision(folder: Path, at_s: float) -> Path:
    path = write_brainvision(folder, "20240101100003000000")
    marks = path.with_suffix(".vmrk")
    more = f"Mk9=Bad Interval,electrode,{round(at_s * RATE_HZ) + 1},{RATE_HZ // 2},2\n"
    marks.write_text(marks.read_text("utf-8") + more, "utf-8")
    return path


@pytest.mark.parametrize(
    "write", [write_bad_fif, write_bad_edf, write_bad_edf_behind_a_pause, write_bad_brainvision]
)
def test_an_annotation_may_call_one_channel_bad(tmp_path: Path, write: Callable[..., Path]) -> None:
    path, bad = write(tmp_path, 4.0), slice(4 * RATE_HZ, 4 * RATE_HZ + RATE_HZ // 2)
    (stream,) = [stream for stream in open_recording(path).streams if not stream.is_text]
    expected = DATA_UV.copy()
    expected[bad, 1] = np.nan
    np.testing.assert_allclose(stream.read(0, stream.n_samples), expected, atol=0.02)
    np.testing.assert_allclose(stream.read(420, 460), expected[420:460], atol=0.02)
    raw = bci_m2s.open_recording(path).to_mne()
    (mark,) = [mark for mark in raw.annotations if "electrode" in mark["description"]]
    assert (mark["ch_names"], mark["duration"]) == (("Pz",), 0.5)
    assert mark["onset"] == pytest.approx(4.0)
    assert not any("@@" in text for text in marks_of(open_recording(path)))


@pytest.mark.parametrize(
    ("unit", "stated", "factor"),
    [
        (b"uV", "microvolts", 1.0),
        ("µV".encode("latin-1"), "microvolts", 1.0),
        ("µV".encode(), "microvolts", 1.0),
        (b"UV", "microvolts", 1.0),
        (b"microV", "microvolts", 1.0),
        (b"mV", "microvolts", 1e3),
        (b"V", "microvolts", 1e6),
        (b"nV", "microvolts", 1e-3),
        (b"", "", 1.0),
        (b".V", "", 1.0),
        (b"n/a", "", 1.0),
    ],
)
def test_the_files_own_word_for_its_unit_decides(
    tmp_path: Path, unit: bytes, stated: str, factor: float
) -> None:
    recording = open_recording(write_edf(tmp_path, unit, b"EDF+C"))
    (stream,) = [stream for stream in recording.streams if not stream.is_text]
    assert set(stream.info.units) == {stated}
    np.testing.assert_allclose(stream.read(0, stream.n_samples), DATA_UV * factor, atol=0.02 * factor)
    assert len(recording.warnings) == 2 * (unit == b".V")
    assert all("unit '.V' is not known" in warning for warning in recording.warnings)


@pytest.mark.parametrize(
    ("unit", "factor"),
    [(b"uV", 1.0), (b"UV", 1.0), (b"microV", 1.0), (b"mV", 1e3), (b"nV", 1e-3), (b"", 1.0)],
)
def test_raw_is_in_volts_whatever_the_file_calls_its_unit(
    tmp_path: Path, unit: bytes, factor: float
) -> None:
    raw = bci_m2s.open_recording(write_edf(tmp_path, unit, b"EDF+C")).to_mne()
    np.testing.assert_allclose(raw.get_data()[:2].T, 1e-6 * DATA_UV * factor, atol=2e-8 * factor)


@pytest.mark.parametrize(
    ("word", "factor"), [("UV", 1.0), ("uVolts", 1.0), ("\u03bcV", 1.0), ("mVolt", 1e3)]
)
def test_a_brainvision_file_may_spell_its_unit(tmp_path: Path, word: str, factor: float) -> None:
    path = write_brainvision(tmp_path)
    path.write_text(path.read_text("utf-8").replace(",0.01,µV", f",0.01,{word}"), "utf-8")
    stream = open_recording(path).find(stream_type="EEG")
    assert stream.info.units == ("microvolts",) * 2
    np.testing.assert_allclose(stream.read(0, stream.n_samples), DATA_UV * factor, atol=0.02 * factor)
    raw = bci_m2s.open_recording(path).to_mne()
    assert raw.get_channel_types() == ["eeg", "eeg"]
    np.testing.assert_allclose(raw.get_data().T, 1e-6 * DATA_UV * factor, atol=2e-8 * factor)


@pytest.mark.parametrize("write", [write_edf, write_brainvision, write_undated, write_joined])
def test_a_paused_file_as_raw_has_a_boundary(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    raw = bci_m2s.open_recording(write(tmp_path)).to_mne()
    marks = [mark["onset"] for mark in raw.annotations if mark["description"] == "BAD boundary"]
    assert marks == [pytest.approx(PAUSED_AT_S, abs=1e-6)]


def test_the_pause_that_is_known_counts() -> None:
    times = FileTimes(10.0, [(20, float("nan")), (20, 5.0), (50, float("nan")), (0, 9.0)])
    assert times.at([0, 19, 20, 49, 50]).tolist() == [0.0, 1.9, 7.0, 9.9, 10.0 + UNKNOWN_PAUSE_S]
    assert len(times.notes) == 1
