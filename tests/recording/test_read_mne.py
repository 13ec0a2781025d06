"""EDF, BDF, FIF and BrainVision: real files against mne, generated ones against what was put in."""

from __future__ import annotations

import contextlib
import struct
import warnings
from pathlib import Path
from typing import Any

import mne
import numpy as np
import pytest
from support.signal_files import write_edf

import bci_m2s
from bci_m2s.errors import RecordingError
from bci_m2s.recording.recorded import RecordedStream, open_recording

REAL = [
    "formats/biosemi_test.edf",
    "formats/test.bdf",
    "formats/test_bdf_stim_channel.bdf",
    "formats/test.vhdr",
    "eegmat/Subject00_2.edf",
]


def by_type(path: Path) -> dict[str, RecordedStream]:
    return {one.info.type: one for one in open_recording(path).streams if not one.is_text}


def markers(path: Path, name: str) -> list[tuple[float, str]]:
    (stream,) = open_recording(path).pick([name])
    return list(zip(stream.times.tolist(), stream.read(0, stream.n_samples)[:, 0], strict=True))


@pytest.mark.parametrize("name", REAL)
def test_real_file_equals_mne(shared_data: Path, name: str) -> None:
    raw = mne.io.read_raw(shared_data / name, verbose="error")
    recording = open_recording(shared_data / name)
    signals = [stream for stream in recording.streams if not stream.is_text]
    assert recording.warnings == []
    n_stim = raw.get_channel_types().count("stim")
    assert sum(stream.info.n_channels for stream in signals) == len(raw.ch_names) - n_stim
    for stream in signals:
        assert stream.n_samples == raw.n_times
        assert stream.info.rate_hz == raw.info["sfreq"]
        np.testing.assert_allclose(stream.times, raw.times, atol=1e-12)
        shown = {channel.rsplit(" ", 1)[-1]: channel for channel in raw.ch_names}
        picks = [channel if channel in raw.ch_names else shown[channel] for channel in stream.info.labels]
        factors = np.array([1e6 if unit == "microvolts" else 1.0 for unit in stream.info.units])
        expected = (raw.get_data(picks=picks) * factors[:, None]).T.astype(np.float32)
        np.testing.assert_array_equal(stream.read(0, raw.n_times), expected)


def test_edf_labels_are_split_into_kind_and_sensor(shared_data: Path) -> None:
    streams = by_type(shared_data / "eegmat/Subject00_2.edf")
    assert streams["EEG"].info.labels[:3] == ("Fp1", "Fp2", "F3")
    assert streams["EEG"].info.n_channels == 20
    assert streams["ECG"].info.labels == ("ECG",)
    assert streams["ECG"].info.units == ("microvolts",)


def test_brainvision_markers_and_units(shared_data: Path) -> None:
    path = shared_data / "formats/test.vhdr"
    found = markers(path, "test annotations")
    assert len(found) == 13
    assert found[0] == (0.486, "Stimulus/S253")  # data point 487, counted from 1, at 1000 Hz
    misc = by_type(path)["Misc"].info
    assert dict(zip(misc.labels, misc.units, strict=True))["ReRef"] == "celsius"


def test_bdf_triggers(shared_data: Path) -> None:
    path = shared_data / "formats/test_bdf_stim_channel.bdf"
    raw = mne.io.read_raw(path, preload=True, verbose="error")
    expected = mne.find_events(raw, shortest_event=1, consecutive=True, verbose="error")
    assert len(expected) == 9
    assert markers(path, "test_bdf_stim_channel Status") == [
        (sample / 500, str(code)) for sample, _, code in expected
    ]


def test_pieces_equal_the_whole(shared_data: Path) -> None:
    """Reads across the edges of what was read before, backwards too."""
    stream = by_type(shared_data / "eegmat/Subject00_2.edf")["EEG"]
    again = by_type(shared_data / "eegmat/Subject00_2.edf")["EEG"].read(0, 31_000)
    rng = np.random.default_rng(3)
    for start in [0, 4_990, 4_999, 30_999, 10, *rng.integers(0, 30_000, 10)]:
        stop = min(int(start) + 40, 31_000)
        np.testing.assert_array_equal(stream.read(int(start), stop), again[start:stop])
    assert stream.read(31_000, 31_000).shape == (0, 20)


@pytest.fixture
def raw() -> Any:
    """3 s at 100 Hz: two EEG, one ECG, one temperature and one trigger channel."""
    rng = np.random.default_rng(1)
    data = rng.normal(scale=1e-5, size=(5, 300))
    data[4] = 0
    data[4, 100:110], data[4, 110:120], data[4, 250] = 3, 7, 3
    kinds = ["eeg", "eeg", "ecg", "temperature", "stim"]
    made = mne.io.RawArray(
        data, mne.create_info(["Fp1", "Cz", "heart", "skin", "STI"], 100.0, kinds), verbose="error"
    )
    made.set_annotations(mne.Annotations([0.5, 2.505], [0.0, 0.2], ["go", "stop"]))
    return made


@pytest.mark.parametrize("ending", [".fif", "_raw.fif.gz"])
def test_fif_round_trip(tmp_path: Path, raw: Any, ending: str) -> None:
    path = tmp_path / f"one{ending}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # mne's naming convention
        raw.save(path, fmt="double", verbose="error")
    recording = open_recording(path)
    assert recording.warnings == []
    streams = by_type(path)
    assert set(streams) == {"EEG", "ECG", "Peripheral"}
    assert streams["EEG"].info.labels == ("Fp1", "Cz")
    np.testing.assert_allclose(streams["EEG"].read(0, 300), raw.get_data(["Fp1", "Cz"]).T * 1e6, rtol=1e-6)
    np.testing.assert_allclose(streams["Peripheral"].read(0, 300), raw.get_data(["skin"]).T, rtol=1e-6)
    assert streams["Peripheral"].info.units == ("celsius",)
    name = path.name.removesuffix(".gz").removesuffix(".fif")
    assert markers(path, f"{name} STI") == [(1.0, "3"), (1.1, "7"), (2.5, "3")]
    assert markers(path, f"{name} annotations") == [(0.5, "go"), (2.505, "stop")]


@pytest.mark.parametrize("measured", [None, 1e9])
def test_fif_that_begins_later_counts_from_its_first_sample(
    tmp_path: Path, raw: Any, measured: float | None
) -> None:
    raw.set_meas_date(measured)
    path = tmp_path / "cut_raw.fif"
    raw.crop(2.0).save(path, verbose="error")
    ((at, text),) = markers(path, "cut_raw annotations")
    assert (at, text) == (pytest.approx(0.505), "stop")
    assert by_type(path)["EEG"].first_s == 0.0


def test_brainvision_round_trip(tmp_path: Path) -> None:
    values = np.arange(40, dtype="<i2").reshape(20, 2)
    values.tofile(tmp_path / "b.eeg")
    (tmp_path / "b.vmrk").write_text(
        "Brain Vision Data Exchange Marker File, Version 1.0\n\n[Common Infos]\nCodepage=UTF-8\n"
        "DataFile=b.eeg\n\n[Marker Infos]\nMk1=Stimulus,S  7,11,1,0\n"
        "Mk2=Comment,baseline/start,5,1,0\n"
    )
    (tmp_path / "b.vhdr").write_text(
        "Brain Vision Data Exchange Header File Version 1.0\n\n[Common Infos]\nCodepage=UTF-8\n"
        "DataFile=b.eeg\nMarkerFile=b.vmrk\nDataFormat=BINARY\nDataOrientation=MULTIPLEXED\n"
        "NumberOfChannels=2\nSamplingInterval=10000\n\n[Binary Infos]\nBinaryFormat=INT_16\n\n"
        "[Channel Infos]\nCh1=Cz,,0.5,µV\nCh2=Pz,,0.5,µV\n",
        encoding="utf-8",
    )
    eeg = by_type(tmp_path / "b.vhdr")["EEG"]
    assert eeg.info.rate_hz == 100.0
    np.testing.assert_allclose(eeg.read(0, 20), values * 0.5, rtol=1e-6)
    assert markers(tmp_path / "b.vhdr", "b annotations") == [
        (0.04, "baseline/start"),  # as the script sent it
        (0.1, "Stimulus/S  7"),
    ]
    assert list(bci_m2s.open_recording(tmp_path / "b.vhdr").to_mne().annotations.description) == [
        "baseline/start",
        "Stimulus/S  7",
    ]
    (tmp_path / "b.eeg").unlink()
    with pytest.raises(RecordingError, match=r"b\.vhdr: cannot be read"):
        open_recording(tmp_path / "b.vhdr")


def edf_bytes(labels: list[str], per_record: list[int], records: int) -> bytes:
    """An EDF of 1-s records with values counting up; physical units are microvolts, one a digit."""
    values = [np.arange(count * records).reshape(records, count) for count in per_record]
    body = b"".join(one[record].astype("<i2").tobytes() for record in range(records) for one in values)
    return edf_header(labels, per_record, records, "0".ljust(8).encode(), 2**15) + body


def edf_header(labels: list[str], per_record: list[int], records: int, version: bytes, limit: int) -> bytes:
    """The header that EDF and BDF share; `limit` is how far the digital values reach."""
    n = len(labels)

    def fields(width: int, texts: list[str]) -> str:
        return "".join(text.ljust(width) for text in texts)

    head = fields(80, ["X X X X", "Startdate X X X X"]) + "01.01.2001.00.00"
    head += fields(8, [str(256 * (n + 1))]) + fields(44, [""]) + fields(8, [str(records), "1"])
    head += fields(4, [str(n)]) + fields(16, labels) + fields(80, [""] * n) + fields(8, ["uV"] * n)
    head += fields(8, ([str(-limit)] * n + [str(limit - 1)] * n) * 2)
    head += fields(80, [""] * n) + fields(8, [str(count) for count in per_record]) + fields(32, [""] * n)
    return version + head.encode("ascii")


def test_bdf_triggers_are_the_lower_16_bits(tmp_path: Path) -> None:
    """25 s at 100 Hz; the upper 8 bits carry BioSemi's own status, one change is where pieces meet."""
    status = np.full(2500, 0xD00000)
    status[1000:1100] |= 5
    status[1100:1200] |= 0xFFFF
    status[1500:] ^= 0x100000  # a change of status alone is no trigger
    status[2200:] |= 5
    signals = np.zeros(2500, dtype=int), status
    body = b"".join(
        one[second * 100 : (second + 1) * 100].astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
        for second in range(25)
        for one in signals
    )
    path = tmp_path / "a.bdf"
    path.write_bytes(edf_header(["Cz", "Status"], [100, 100], 25, b"\xffBIOSEMI", 2**23) + body)
    assert markers(path, "a Status") == [(10.0, "5"), (11.0, "65535"), (22.0, "5")]


def test_edf_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "a.edf"
    path.write_bytes(edf_bytes(["EEG Cz", "EOG left"], [100, 100], 4))
    assert open_recording(path).warnings == []
    streams = by_type(path)
    assert (streams["EEG"].info.labels, streams["EOG"].info.labels) == (("Cz",), ("left",))
    np.testing.assert_allclose(streams["EEG"].read(0, 400)[:, 0], np.arange(400), atol=1e-3)


def test_edf_of_two_rates_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "a.edf"
    path.write_bytes(edf_bytes(["EEG Cz", "Temp skin"], [100, 10], 4))
    (warning,) = open_recording(path).warnings
    assert "raised to 100 Hz" in warning
    assert "Temp skin" in warning


def test_edf_that_breaks_off_is_read_and_told(tmp_path: Path) -> None:
    path = tmp_path / "a.edf"
    path.write_bytes(edf_bytes(["EEG Cz"], [100], 4)[:-250])
    recording = open_recording(path)
    assert recording.streams[0].n_samples == 200
    assert len(recording.warnings) == 1
    np.testing.assert_allclose(recording.streams[0].read(0, 200)[:, 0], np.arange(200), atol=1e-3)


@pytest.mark.parametrize("name", ["x.edf", "x.bdf", "x.fif", "x.fif.gz", "x.vhdr"])
@pytest.mark.parametrize(
    "content", [b"only text\n" * 100, b"\0" * 3000, b"0"], ids=["text", "zeros", "one"]
)
def test_not_what_the_name_says(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(RecordingError) as caught:
        open_recording(path)
    assert str(caught.value).startswith(f"{path}: cannot be read: ")
    assert "\n" not in str(caught.value)


def test_fif_whose_tags_go_round_in_circles(tmp_path: Path, raw: Any) -> None:
    path = tmp_path / "a_raw.fif"
    raw.save(path, verbose="error")
    content = bytearray(path.read_bytes())
    content[12:16] = struct.pack(">i", 0)
    second = 16 + struct.unpack(">i", content[8:12])[0]
    content[second + 12 : second + 16] = struct.pack(
        ">i", second
    )  # the directory pointer's next tag is itself
    content[second + 16 : second + 20] = struct.pack(">i", -1)  # and there is no directory to use instead
    path.write_bytes(content)
    with pytest.raises(RecordingError, match="chain of tags returns to byte"):
        open_recording(path)


def test_file_that_vanishes_while_played(tmp_path: Path) -> None:
    path = tmp_path / "a.edf"
    path.write_bytes(edf_bytes(["EEG Cz"], [100], 40))
    (stream,) = open_recording(path).streams
    assert len(stream.read(0, 10)) == 10
    path.unlink()
    with pytest.raises(RecordingError, match=r"a\.edf"):
        stream.read(3000, 3010)


@pytest.mark.parametrize("size", [16 * 3 + 5, 667_266_103, -4])
def test_fif_whose_directory_claims_what_is_not_there(tmp_path: Path, raw: Any, size: int) -> None:
    path = tmp_path / "a_raw.fif"
    raw.save(path, verbose="error")
    data = bytearray(path.read_bytes())
    at = following = 0
    while following >= 0:  # to the last tag, which becomes a directory that the file cuts short
        _, _, length, following = struct.unpack_from(">4i", data, at)
        at = at if following < 0 else following or at + 16 + length
    data[at:] = struct.pack(">4i", 102, 0, size, -1) + bytes(21)
    path.write_bytes(data)
    with contextlib.suppress(RecordingError):
        open_recording(path)


def test_a_channel_whose_range_is_empty_is_missing(tmp_path):
    path = tmp_path / "empty-range.edf"
    write_edf(path, np.random.default_rng(0).normal(0, 10, (512, 2)), ("Cz", "Pz"), 128.0, "µV", "int16")
    head = bytearray(path.read_bytes())
    limits = 256 + 2 * (16 + 80 + 8)
    head[limits + 8 : limits + 16] = head[limits + 24 : limits + 32]  # Pz: the least is the largest
    path.write_bytes(head)
    recording = open_recording(path)
    assert any("least and the largest value are equal, so missing: EEG Pz" in w for w in recording.warnings)
    (stream,) = recording.raw_streams
    assert np.isnan(stream.read(0, 512)).all(axis=0).tolist() == [False, True]
