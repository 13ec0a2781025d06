"""XDF: real files against pyxdf, and files built or broken byte by byte."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import pyxdf

from bci_m2s.errors import RecordingError
from bci_m2s.recording.recorded import Recording, open_recording
from bci_m2s.recording.xdf_survey import BOUNDARY_MARK
from bci_m2s.recording.xdf_writer import XdfWriter
from bci_m2s.types import StreamInfo

MUSE = [
    f"muse/muse2_sub-{person}_ses-S001_task-Default_run-001_eeg.xdf"
    for person in ("P001", "P002", "P003", "P023", "P031", "P032", "P050")
]
EXAMPLES = ["xdf/ex_clock_resets.xdf", "xdf/ex_empty_streams.xdf", "xdf/ex_minimal.xdf"]
CLOCK_WARNINGS = {
    "xdf/ex_clock_resets.xdf": [
        "stream 'MyMarkerStream': its sender's clock began again at sample 91",
        "stream 'BioSemi': its sender's clock began again at sample 12876",
        "stream 'BioSemi': effective rate 92.88 Hz, nominal 100 Hz",
    ],
    "xdf/ex_minimal.xdf": ["no clock offsets were recorded for 'SendDataString'; its stamps are taken as"],
}
MALFORMED = [
    "xdf/xdfrs_chunk_length_lie.xdf",
    "xdf/xdfrs_out_of_order_clock_offsets.xdf",
    "xdf/xdfrs_out_of_order_sample_chunk.xdf",
]
BOMB = '<!DOCTYPE b [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'


def chunk(tag: int, content: bytes) -> bytes:
    """One chunk with a 4-byte length."""
    return b"\x04" + struct.pack("<IH", len(content) + 2, tag) + content


def header(
    stream: int = 1,
    count: str = "2",
    rate: str = "100",
    kind: str = "float32",
    desc: str = "",
    before: str = "",
    name: str = "amp",
) -> bytes:
    """A stream header chunk."""
    xml = (
        f"{before}<info><name>{name}</name><type>EEG</type><channel_count>{count}</channel_count>"
        f"<nominal_srate>{rate}</nominal_srate><channel_format>{kind}</channel_format>"
        f"<source_id>s1</source_id><desc>{desc}</desc></info>"
    )
    return chunk(2, struct.pack("<I", stream) + xml.encode())


def samples(
    stamps: list[float | None], values: np.ndarray | list[str], stream: int = 1, count: int | None = None
) -> bytes:
    """A sample chunk; a stamp of None is left to be deduced, `count` may lie."""
    stated = len(stamps) if count is None else count
    body = struct.pack("<I", stream) + b"\x08" + struct.pack("<Q", stated)
    for stamp, value in zip(stamps, values, strict=True):
        body += b"\0" if stamp is None else b"\x08" + struct.pack("<d", stamp)
        if isinstance(value, str):
            text = value.encode()
            body += b"\x04" + struct.pack("<I", len(text)) + text
        else:
            body += np.asarray(value).tobytes()
    return chunk(3, body)


FILE_HEADER = chunk(1, b"<?xml version='1.0'?><info><version>1.0</version></info>")
BOUNDARY = chunk(5, BOUNDARY_MARK)
OFFSET = chunk(4, struct.pack("<Idd", 1, 5.0, -0.25))
FIRST = np.arange(6, dtype=np.float32).reshape(3, 2)
SECOND = FIRST + 100
GOOD = (
    FILE_HEADER
    + header()
    + samples([10.0, None, None], FIRST)
    + OFFSET
    + BOUNDARY
    + samples([10.03, 10.04, 10.05], SECOND)
    + chunk(6, struct.pack("<I", 1) + b"<info><sample_count>6</sample_count></info>")
)


def write(folder: Path, content: bytes, name: str = "file.xdf") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def opened(folder: Path, chunks: bytes) -> Recording:
    return open_recording(write(folder, b"XDF:" + chunks))


@pytest.mark.parametrize("name", MUSE + EXAMPLES)
def test_real_file_equals_pyxdf(shared_data: Path, name: str) -> None:
    expected, _ = pyxdf.load_xdf(
        shared_data / name, synchronize_clocks=False, dejitter_timestamps=False, verbose=False
    )
    recording = open_recording(shared_data / name)
    for warning, words in zip(recording.warnings, CLOCK_WARNINGS.get(name, []), strict=True):
        assert warning.startswith(words)
    assert len(recording.streams) == len(expected) > 0
    for stream, raw in zip(recording.streams, expected, strict=True):
        assert stream.info.name == raw["info"]["name"][0]
        assert stream.info.type == raw["info"]["type"][0]
        assert stream.info.rate_hz == float(raw["info"]["nominal_srate"][0])
        assert stream.info.n_channels == int(raw["info"]["channel_count"][0])
        assert stream.n_samples == len(raw["time_stamps"])
        np.testing.assert_array_equal(stream.times, raw["time_stamps"])
        values = stream.read(0, stream.n_samples)
        assert values.shape == (stream.n_samples, stream.info.n_channels)
        assert values.tolist() == np.asarray(raw["time_series"]).reshape(values.shape).tolist()


@pytest.mark.parametrize("name", MUSE)
def test_muse_description(shared_data: Path, name: str) -> None:
    (eeg,) = open_recording(shared_data / name).pick(["EEG"])
    assert eeg.info.labels == ("TP9", "AF7", "AF8", "TP10", "AUX_RIGHT")
    assert eeg.info.units == ("microvolts",) * 5
    assert eeg.info.channel_format == "float32"
    assert eeg.info.rate_hz == 256.0
    assert eeg.n_samples > 1000
    assert eeg.last_s > eeg.first_s


def test_empty_streams_are_kept(shared_data: Path) -> None:
    streams = {one.info.type: one for one in open_recording(shared_data / MUSE[2]).streams}
    for kind in ("PPG", "ACC", "GYRO"):
        assert streams[kind].n_samples == 0
        assert streams[kind].read(0, 0).shape == (0, 3)
        assert np.isnan(streams[kind].first_s)
        assert np.isnan(streams[kind].last_s)


@pytest.mark.parametrize("name", MUSE[:3])
def test_when_samples_came_shows_in_the_order_of_a_file(shared_data: Path, name: str) -> None:
    """Their stamps are of the recorder's clock, so that samples came a little after them."""
    for stream in open_recording(shared_data / name).streams:
        if stream.n_samples:
            assert 0 <= stream.behind_s - np.median(stream.clock_offsets[:, 1]) < 0.5


def unix_recording(folder: Path, interleaved: bool = True) -> Path:
    """A headset in Unix time beside markers of the recorder's clock, which begins at 100 s."""
    headset = StreamInfo("cap", "EEG", "c", rate_hz=100.0, labels=("a",), units=("uV",))
    marks = StreamInfo("task", "Markers", "m", labels=("m",), units=("",), channel_format="string")
    path = folder / "unix.xdf"
    writer = XdfWriter(path)
    writer.add_stream(headset)
    writer.add_stream(marks)
    for second in range(20):
        at = second + np.arange(100) / 100
        writer.samples(1, 1.7e9 + at, np.zeros((100, 1), np.float32))
        if second == 8:
            writer.samples(2, np.array([108.0]), np.array([["trial/start/calm"]], object))
        if second % 5 == 4 and interleaved:
            writer.clock_offset(1, 101.0 + second, 0.0)
    writer.close()
    return path


def test_a_stream_of_another_clock_is_named_and_can_be_moved_to_when_it_came(tmp_path: Path) -> None:
    recording = open_recording(unix_recording(tmp_path))
    (warning,) = recording.warnings
    assert warning.startswith("stream 'cap': its stamps are 1.7e+09 s from those of all others")
    assert "`stamps: arrival`" in warning
    cap = recording.find("cap")
    assert recording.stamped(cap, "sent") is cap
    moved = recording.stamped(cap, "arrival")
    np.testing.assert_allclose(moved.times, 100.01 + np.arange(2000) / 100, atol=1e-5)
    np.testing.assert_array_equal(moved.times + moved.offsets_s(), moved.times)


def test_markers_of_another_clock_are_named_and_not_the_headset(tmp_path: Path) -> None:
    headset = StreamInfo("cap", "EEG", "c", rate_hz=100.0, labels=("a",), units=("uV",))
    marks = StreamInfo("task", "Markers", "m", labels=("m",), units=("",), channel_format="string")
    writer = XdfWriter(path := tmp_path / "unix.xdf")
    writer.add_stream(headset)
    writer.add_stream(marks)
    for second in range(20):  # the headset's clock is 5000 s behind the recorder's
        writer.samples(1, second + np.arange(100) / 100, np.zeros((100, 1), np.float32))
        if second in (3, 8, 12):
            writer.samples(2, np.array([1.7e9 + second]), np.array([["go"]], object))
        if second % 5 == 4:
            writer.clock_offset(1, 5001.0 + second, 5000.0)
    writer.close()
    (warning,) = open_recording(path).warnings
    assert warning.startswith("stream 'task': its stamps are 1.7e+09 s from those of all others")


def test_where_it_does_not_show_when_samples_came_none_are_moved(tmp_path: Path) -> None:
    recording = open_recording(unix_recording(tmp_path, interleaved=False))
    with pytest.raises(RecordingError, match=r"stream 'cap': stamps: got 'arrival', but the file does not"):
        recording.stamped(recording.find("cap"), "arrival")


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_real_file_is_refused_in_one_line(shared_data: Path, name: str) -> None:
    with pytest.raises(RecordingError) as caught:
        open_recording(shared_data / name)
    assert Path(name).name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_clock_resets_give_one_rising_time(shared_data: Path) -> None:
    """The sender restarted: its stamps fall by 652,914 s, the shared time has a gap of 274 s instead."""
    path = shared_data / "xdf/ex_clock_resets.xdf"
    synchronised, _ = pyxdf.load_xdf(path, dejitter_timestamps=False, verbose=False)
    streams = open_recording(path).streams
    for stream, raw in zip(streams, synchronised, strict=True):
        assert np.diff(stream.times).min() < -600_000
        np.testing.assert_allclose(stream.times + stream.offsets_s(), raw["time_stamps"], atol=1e-3)
    (eeg,) = (stream for stream in streams if stream.info.type == "EEG")
    steps = np.diff(eeg.times + eeg.offsets_s())
    assert steps.min() > 0
    assert steps.max() == pytest.approx(273.6, abs=0.1)
    assert np.sort(steps)[-2] < 0.05


def test_built_file(tmp_path: Path) -> None:
    recording = opened(tmp_path, GOOD)
    (stream,) = recording.streams
    assert recording.warnings == []
    np.testing.assert_allclose(stream.times, 10 + np.arange(6) / 100, atol=1e-12)
    np.testing.assert_array_equal(stream.read(0, 6), np.concatenate([FIRST, SECOND]))
    assert stream.info.labels == ("ch1", "ch2")
    assert stream.info.source_id == "s1"
    np.testing.assert_array_equal(stream.offsets_s(), -0.25)


@pytest.mark.parametrize("kind", ["int8", "int16", "int32", "int64", "float32", "double64"])
def test_number_formats(tmp_path: Path, kind: str) -> None:
    values = np.array([[1, -2], [3, 100]], dtype=kind.replace("double64", "float64"))
    (stream,) = opened(tmp_path, header(kind=kind) + samples([1.0, 2.0], values)).streams
    assert stream.read(0, 2).dtype == values.dtype
    np.testing.assert_array_equal(stream.read(0, 2), values)


@pytest.mark.parametrize("missing", [b"<name></name>", b"<name/>", b"<name>\t</name>", b""])
def test_a_stream_may_have_no_name(tmp_path: Path, missing: bytes) -> None:
    body = header(desc="<channels/>µ")[5:].replace(b"<name>amp</name>", missing)
    nameless = b"\x04" + struct.pack("<I", len(body)) + body
    recording = opened(tmp_path, FILE_HEADER + nameless + samples([1.0, 2.0, 3.0], FIRST))
    (stream,) = recording.streams
    assert (stream.info.name, stream.info.source_id) == ("", "s1")
    np.testing.assert_array_equal(stream.read(0, 3), FIRST)
    assert not recording.warnings


def test_texts_come_unchanged(tmp_path: Path) -> None:
    texts = ["", "Prüfung", "two\nlines", "end\0"]
    content = header(count="1", rate="0", kind="string") + samples([1.0, 2.0, 2.0, 3.0], texts)
    (stream,) = opened(tmp_path, content).streams
    assert stream.is_text
    assert stream.read(0, 4)[:, 0].tolist() == texts
    assert all(type(text) is str for text in stream.read(0, 4)[:, 0])


def test_labels_are_kept_or_numbered(tmp_path: Path) -> None:
    desc = "<channels><channel><label> Fp1 </label><unit>uV</unit></channel><channel/></channels>"
    (stream,) = opened(tmp_path, header(desc=desc)).streams
    assert stream.info.labels == ("Fp1", "ch2")
    assert stream.info.units == ("uV", "")


@pytest.mark.parametrize(
    ("desc", "reference"),
    [
        ("<reference><label>FCz</label></reference>", "FCz"),
        ("<reference><label>x</label><common_average>Yes</common_average></reference>", "average"),
        ("<reference><common_average>No</common_average></reference>", ""),
        ("", ""),
    ],
)
def test_the_reference_is_read(tmp_path: Path, desc: str, reference: str) -> None:
    (stream,) = opened(tmp_path, FILE_HEADER + header(desc=desc)).streams
    assert stream.info.reference == reference


def test_labels_that_do_not_fit_are_not_guessed(tmp_path: Path) -> None:
    recording = opened(tmp_path, header(desc="<channels><channel><label>Fp1</label></channel></channels>"))
    assert recording.streams[0].info.labels == ("ch1", "ch2")
    assert "stream 'amp': channels described: 1, sent: 2; the labels are not used" in recording.warnings[0]


BAD = {
    "magic": (b"RIFF" + GOOD, "begins with b'RIFF'"),
    "magic only": (b"XDF:", "holds no stream"),
    "2**40": (b"XDF:\x08" + struct.pack("<QH", 2**40, 2), "1099511627776 bytes is announced"),
    "no header": (b"XDF:" + FILE_HEADER + samples([1.0], FIRST[:1]), "holds no stream"),
    "0 channels": (b"XDF:" + header(count="0"), "channel_count: got '0'"),
    "many channels": (b"XDF:" + header(count="2000000000"), "channel_count: got '2000000000'"),
    "no count": (b"XDF:" + header(count="two"), "channel_count: got 'two'"),
    "negative rate": (b"XDF:" + header(rate="-100"), "nominal_srate: got '-100'"),
    "NaN rate": (b"XDF:" + header(rate="nan"), "nominal_srate: got 'nan'"),
    "infinite rate": (b"XDF:" + header(rate="1e999"), "nominal_srate: got '1e999'"),
    "format": (b"XDF:" + header(kind="float16"), "channel_format: got 'float16', expected one of int8"),
    "entity bomb": (b"XDF:" + header(before=BOMB, name="&b;"), "DOCTYPE"),
    "hidden bomb": (b"XDF:" + chunk(1, (BOMB + "<info>&b;</info>").encode("utf-16")), "DOCTYPE"),
    "deep XML": (b"XDF:" + header(desc="<a>" * 100_000), "nested deeper"),
    "open XML": (b"XDF:" + chunk(2, b"\1\0\0\0<info><name>"), "not XML"),
    "other XML": (b"XDF:" + chunk(2, b"\1\0\0\0<html/>"), "expected 'info'"),
    "second header": (b"XDF:" + header() + header(), "second header"),
    "late header": (b"XDF:" + samples([1.0], FIRST[:1]) + header(), "come before its header"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_file_is_refused_in_one_line(tmp_path: Path, case: str) -> None:
    content, message = BAD[case]
    path = write(tmp_path, content)
    with pytest.raises(RecordingError) as caught:
        open_recording(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


DAMAGED = {
    "sample count too high": samples([10.0], FIRST[:1], count=2**31),
    "sample count too low": samples([10.0, 10.1], FIRST[:2], count=1),
    "stream never described": samples([10.0], FIRST[:1], stream=9),
    "short clock offset": chunk(4, struct.pack("<Id", 1, 5.0)),
    "broken footer": chunk(6, struct.pack("<I", 1) + b"<info>"),
    "no stream id": chunk(3, b"\1\0"),
    "length of 2**40": b"\x08" + struct.pack("<Q", 2**40),
    "garbage": b"\x99" * 50,
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damage_in_the_middle_costs_only_itself(tmp_path: Path, case: str) -> None:
    content = header() + samples([10.0, None, None], FIRST) + DAMAGED[case] + BOUNDARY
    recording = opened(tmp_path, content + samples([10.03, 10.04, 10.05], SECOND))
    assert recording.warnings
    assert all("\n" not in warning for warning in recording.warnings)
    np.testing.assert_array_equal(recording.streams[0].read(0, 6), np.concatenate([FIRST, SECOND]))


def test_a_cut_anywhere_leaves_the_samples_before_it(tmp_path: Path) -> None:
    whole = b"XDF:" + GOOD
    values = np.concatenate([FIRST, SECOND])
    counts = []
    for size in range(1, len(whole)):
        try:
            recording = open_recording(write(tmp_path, whole[:size]))
        except RecordingError:
            counts.append(-1)
            continue
        (stream,) = recording.streams
        np.testing.assert_array_equal(stream.read(0, stream.n_samples), values[: stream.n_samples])
        counts.append(stream.n_samples)
    assert counts == sorted(counts)
    assert set(counts) == {-1, 0, 3, 6}


def test_a_cut_inside_a_chunk_is_reported(tmp_path: Path) -> None:
    recording = opened(tmp_path, GOOD[: len(GOOD) - 20])
    assert len(recording.warnings) == 1
    assert "the rest is lost" in recording.warnings[0]


def test_samples_cannot_be_changed(tmp_path: Path) -> None:
    (stream,) = opened(tmp_path, GOOD).streams
    with pytest.raises(ValueError, match="read-only"):
        stream.read(0, 1)[0, 0] = 1.0
