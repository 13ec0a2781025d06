"""What the writer writes pyxdf reads, sample for sample and stamp for stamp."""

import json
import math
import subprocess
import sys
import tracemalloc
import zlib
from dataclasses import replace

import numpy as np
import pytest
import pyxdf

from bci_m2s.errors import OutputError
from bci_m2s.recording.disk import Growth, check_disk
from bci_m2s.recording.xdf_headers import stream_xml
from bci_m2s.recording.xdf_writer import MOST_FOOTER_OFFSETS, NUMBERS, XdfWriter
from bci_m2s.types import StreamInfo

EEG = StreamInfo("cap", "EEG", "id-1", "uid-1", "host", 250.0, ("Fp1", "Fp2", "Cz"), ("microvolts",) * 3)
TEXT = StreamInfo("marks", "Markers", labels=("text",), units=("",), channel_format="string")


def read(path):
    """Streams as they stand in the file, by name."""
    streams, header = pyxdf.load_xdf(path, synchronize_clocks=False, dejitter_timestamps=False)
    assert header["info"]["version"] == ["1.0"]
    return {stream["info"]["name"][0]: stream for stream in streams}


def check_sums(path):
    """Every line of the side file agrees with the bytes, and together they cover the file."""
    data, at = path.read_bytes(), 4
    heading, *lines = path.with_name(path.name + ".sums").read_text().splitlines()
    assert heading.startswith("# checksums of an XDF file")
    for line in lines:
        begin, length, crc = line.split()
        assert int(begin) == at
        at += int(length)
        assert zlib.crc32(data[int(begin) : at]) == int(crc, 16)
    assert at == len(data)
    return len(lines)


def values_of(channel_format, n, n_channels):
    """The whole range of a number type, its ends included."""
    dtype, rng = np.dtype(NUMBERS[channel_format]), np.random.default_rng(len(channel_format))
    if dtype.kind == "f":
        values = rng.standard_normal((n, n_channels)).astype(dtype)
        values[0, 0], values[0, 1], values[1, 0] = np.nan, np.inf, np.finfo(dtype).tiny
        return values
    ends = np.iinfo(dtype)
    values = rng.integers(ends.min, ends.max, (n, n_channels), dtype, endpoint=True)
    values[0, 0], values[0, 1] = ends.min, ends.max
    return values


@pytest.mark.parametrize("channel_format", NUMBERS)
def test_every_number_type_comes_back_bit_for_bit(tmp_path, channel_format):
    path = tmp_path / "a.xdf"
    times = 1e5 + np.cumsum(np.random.default_rng(3).exponential(0.004, 1000))
    times[[10, 20]] = np.nan, times[5]  # no stamp, and one that goes back
    samples = values_of(channel_format, 1000, 3)
    writer = XdfWriter(path)
    stream = writer.add_stream(replace(EEG, channel_format=channel_format))
    assert stream == 1
    for first, last in ((0, 1), (1, 1), (1, 300), (300, 1000)):  # an empty one leaves no trace
        assert writer.samples(stream, times[first:last], samples[first:last])
    writer.close()
    writer.close()
    back = read(path)["cap"]
    assert back["time_stamps"].tobytes() == times.tobytes()
    assert back["time_series"].astype(samples.dtype).tobytes() == samples.tobytes()
    assert check_sums(path) == 1 + 1 + 3 + 1
    footer = back["footer"]["info"]
    assert footer["sample_count"] == ["1000"]
    assert float(footer["first_timestamp"][0]) == times[0]
    assert float(footer["last_timestamp"][0]) == times[-1]
    assert float(footer["measured_srate"][0]) == pytest.approx(999 / (times[-1] - times[0]))
    assert (writer.samples_written, writer.lost_samples, writer.problem) == (1000, 0, "")


def test_text_comes_back(tmp_path):
    texts = ["plain", "", "Zoë 漢字 🧠 \0 \x01 \r\n", "x" * 300, "y" * 70_000, "\ud800 alone"]
    writer = XdfWriter(tmp_path / "a.xdf")
    writer.add_stream(TEXT)
    writer.samples(1, np.arange(6.0), np.array(texts, object)[:, None])
    writer.close()
    back = read(tmp_path / "a.xdf")["marks"]
    assert [row[0] for row in back["time_series"]] == [*texts[:-1], "? alone"]
    np.testing.assert_array_equal(back["time_stamps"], np.arange(6.0))
    check_sums(tmp_path / "a.xdf")


def test_streams_without_samples_and_many_streams(tmp_path):
    writer = XdfWriter(tmp_path / "a.xdf")
    for number in range(300):  # ids beyond a byte, chunks that alternate
        assert writer.add_stream(replace(EEG, name=f"s{number}")) == number + 1
    writer.add_stream(TEXT)
    for number in range(0, 300, 2):
        writer.samples(number + 1, np.array([float(number)]), np.full((1, 3), number, np.float32))
        writer.boundary()
    writer.close()
    back = read(tmp_path / "a.xdf")
    assert len(back) == 301
    assert len(back["marks"]["time_series"]) == len(back["s1"]["time_series"]) == 0
    assert back["s1"]["footer"]["info"]["sample_count"] == ["0"]
    assert back["s298"]["time_series"].tolist() == [[298.0] * 3]
    assert (tmp_path / "a.xdf").read_bytes().count(bytes.fromhex("43A546DCCBF5410FB30ED5467383CBE4")) == 150
    check_sums(tmp_path / "a.xdf")


def test_clock_offsets_are_kept_as_measured(tmp_path):
    writer = XdfWriter(tmp_path / "a.xdf")
    writer.add_stream(EEG)
    n = 2 * MOST_FOOTER_OFFSETS + 10
    for number in range(n):
        writer.clock_offset(1, 1000.0 + 2 * number, -0.25)
    writer.close()
    back = read(tmp_path / "a.xdf")["cap"]
    assert back["clock_times"] == [1000.25 + 2 * number for number in range(n)]
    assert back["clock_values"] == [-0.25] * n
    listed = back["footer"]["info"]["clock_offsets"][0]["offset"]
    times = [float(offset["time"][0]) for offset in listed]
    assert 1000 < len(times) < MOST_FOOTER_OFFSETS
    assert times[0] == 1000.25
    assert len(set(np.diff(times))) == 1  # an even choice
    assert times[-1] > 1000 + 2 * (n - 10)
    assert float(listed[0]["value"][0]) == -0.25


def test_offsets_bring_stamps_to_the_local_clock(tmp_path):
    """pyxdf, asked to synchronise, adds the offset: the sign is right."""
    writer = XdfWriter(tmp_path / "a.xdf")
    writer.add_stream(EEG)
    times = 50.0 + np.arange(500) / 250
    writer.samples(1, times, np.zeros((500, 3), np.float32))
    for measured_s in (150.0, 151.0, 152.0):
        writer.clock_offset(1, measured_s, 100.0)
    writer.close()
    (stream,), _ = pyxdf.load_xdf(tmp_path / "a.xdf", dejitter_timestamps=False)
    np.testing.assert_allclose(stream["time_stamps"], times + 100.0, atol=1e-9)


def test_headers_hold_what_is_known_even_hostile_text(tmp_path):
    evil = "a<b>&\"'\x00\x08\x1f\ufffe\ud800]]><!DOCTYPE x>"
    info = replace(EEG, name=evil, type="EEG & <co>", labels=(evil, "", "Ω\t1"), units=("µV", "", "\x0b"))
    writer = XdfWriter(tmp_path / "a.xdf")
    writer.add_stream(info)
    writer.close()
    (stream,), _ = pyxdf.load_xdf(tmp_path / "a.xdf")
    head = {key: value[0] for key, value in stream["info"].items() if isinstance(value, list) and value}
    assert head["name"] == "a<b>&\"']]><!DOCTYPE x>"
    assert (head["type"], head["source_id"], head["uid"], head["hostname"]) == (
        "EEG & <co>",
        "id-1",
        "uid-1",
        "host",
    )
    assert (head["channel_count"], head["channel_format"], float(head["nominal_srate"])) == (
        "3",
        "float32",
        250.0,
    )
    channels = head["desc"]["channels"][0]["channel"]
    assert [channel["label"][0] for channel in channels] == ["a<b>&\"']]><!DOCTYPE x>", None, "Ω\t1"]
    assert [channel["unit"][0] for channel in channels] == ["µV", None, None]


def test_the_senders_own_description_is_kept(tmp_path):
    own = stream_xml(EEG, {"amplifier": {"serial": "&#1;17", "1 odd name": 5}})
    writer = XdfWriter(tmp_path / "a.xdf")
    writer.add_stream(EEG, own.replace("&amp;#1;", "&#1;"))  # as liblsl writes a control character
    writer.close()
    amplifier = read(tmp_path / "a.xdf")["cap"]["info"]["desc"][0]["amplifier"][0]
    assert amplifier == {"serial": ["17"], "_1_odd_name": ["5"]}


@pytest.mark.parametrize(
    "description",
    [
        "<info><name>cut",
        "<other/>",
        stream_xml(replace(EEG, labels=("one",), units=("",))),
        stream_xml(replace(EEG, channel_format="int8")),
        '<!DOCTYPE info [<!ENTITY a "b">]>' + stream_xml(EEG).removeprefix('<?xml version="1.0"?>'),
    ],
)
def test_a_description_that_cannot_be_trusted_is_replaced(tmp_path, description):
    writer = XdfWriter(tmp_path / "a.xdf")
    writer.add_stream(EEG, description)
    writer.samples(1, np.zeros(1), np.ones((1, 3), np.float32))
    writer.close()
    back = read(tmp_path / "a.xdf")["cap"]
    assert back["time_series"].tolist() == [[1.0, 1.0, 1.0]]
    assert b"DOCTYPE" not in (tmp_path / "a.xdf").read_bytes()


@pytest.mark.parametrize(
    ("info", "message"),
    [
        (
            replace(EEG, channel_format="float16"),
            "format: got 'float16', expected one of int8,",
        ),
        (replace(EEG, labels=(), units=()), "'cap': channels: got 0, expected at least 1"),
    ],
)
def test_streams_that_xdf_cannot_hold_are_refused(tmp_path, info, message):
    writer = XdfWriter(tmp_path / "a.xdf")
    with pytest.raises(OutputError, match=message):
        writer.add_stream(info)
    writer.close()
    assert read(tmp_path / "a.xdf") == {}


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros((4, 2), np.float32), r"'cap': samples: got shape \(4, 2\), expected \(4, 3\)"),
        (np.zeros((4, 3)), "'cap': samples: got float64, which float32 cannot hold"),
    ],
)
def test_samples_that_do_not_fit_are_refused(tmp_path, samples, message):
    writer = XdfWriter(tmp_path / "a.xdf")
    writer.add_stream(EEG)
    with pytest.raises(OutputError, match=message):
        writer.samples(1, np.zeros(4), samples)
    writer.close()


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "a.xdf.sums").write_text("mine")
    with pytest.raises(OutputError, match=r"a\.xdf\.sums: cannot be created"):
        XdfWriter(tmp_path / "a.xdf")
    assert [path.name for path in tmp_path.iterdir()] == ["a.xdf.sums"]


def test_sums_never_run_ahead_of_the_file(tmp_path):
    writer = XdfWriter(tmp_path / "a.xdf")
    writer.add_stream(EEG)
    assert (tmp_path / "a.xdf.sums").read_text() == ""
    writer.flush()
    writer.fsync()
    assert check_sums(tmp_path / "a.xdf") == 2
    writer.close()


def test_long_sessions_take_constant_memory(tmp_path):
    """Two minutes of 64 channels at 1 kHz."""
    labels = tuple(f"c{number}" for number in range(64))
    writer = XdfWriter(tmp_path / "a.xdf")
    writer.add_stream(StreamInfo("big", "EEG", rate_hz=1000.0, labels=labels, units=("uV",) * 64))
    block = np.random.default_rng(1).standard_normal((250, 64)).astype(np.float32)
    tracemalloc.start()
    try:
        for number in range(480):
            writer.samples(1, number / 4 + np.arange(250) / 1000, block)
            writer.clock_offset(1, float(number), 0.0)
            writer.flush()
            if number == 40:
                tracemalloc.reset_peak()
                early = tracemalloc.get_traced_memory()[0]
        late, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    writer.close()
    assert late - early < 20_000  # what a footer keeps: two numbers of each offset
    assert peak - early < 2_000_000
    assert writer.bytes_written > 480 * 250 * (64 * 4 + 9)
    check_sums(tmp_path / "a.xdf")


# The limit on a file's size stands for a full disk; it holds for a whole process.
FULL = """
import json, resource, sys, time
from pathlib import Path
import numpy as np
from bci_m2s.recording.xdf_writer import XdfWriter
from bci_m2s.types import StreamInfo
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))
writer = XdfWriter(Path(sys.argv[1]))
writer.add_stream(StreamInfo("cap", "EEG", labels=tuple("abcd"), units=("",) * 4))
for number in range(100):
    writer.samples(1, number + np.arange(100) / 100, np.full((100, 4), number, np.float32))
    writer.flush()
reported = {"problem": writer.problem, "waiting": writer.waiting_bytes}
if sys.argv[2] == "raised":
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    until = time.monotonic() + 120
    while not writer.flush() and time.monotonic() < until:
        time.sleep(0.05)
writer.close()
reported |= {"lost": writer.lost_samples, "written": writer.samples_written, "then": writer.problem}
print(json.dumps(reported))
"""


@pytest.mark.parametrize("limit", ["raised", "stays"])
def test_a_full_disk(tmp_path, limit):
    path = tmp_path / "a.xdf"
    out = subprocess.run(
        [sys.executable, "-c", FULL, str(path), limit], capture_output=True, text=True, timeout=240
    )
    assert out.returncode == 0, out.stderr
    reported = json.loads(out.stdout)
    assert reported["problem"].endswith("a.xdf: cannot be written: File too large")
    assert reported["waiting"] > 150_000
    check_sums(path)
    samples = read(path)["cap"]["time_series"]
    assert len(samples) == reported["written"] == 10_000 - reported["lost"]
    np.testing.assert_array_equal(samples[:, 0], np.repeat(np.arange(100), 100)[: len(samples)])
    if limit == "raised":
        assert (reported["lost"], reported["then"]) == (0, "")
    else:
        assert reported["lost"] == 10_000 - 100 * (len(samples) // 100) > 0
        assert "File too large" in reported["then"]
        assert path.stat().st_size <= 50_000


def test_whether_a_recording_fits(tmp_path, monkeypatch):
    wide = replace(EEG, rate_hz=1000.0, labels=("a",) * 32, channel_format="double64")
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 360_000_000})())
    assert check_disk(tmp_path, [EEG, TEXT]) == ""
    assert check_disk(tmp_path, []) == ""
    rate = 250 * (9 + 12) + 1000 * (9 + 256)
    expected = f"360 MB free: the recording fits for about {360_000_000 / rate / 60:.0f} minutes"
    assert expected in check_disk(tmp_path, [EEG, wide, TEXT])
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 49_000_000})())
    with pytest.raises(OutputError, match="free space: got 49 MB, expected at least 50 MB"):
        check_disk(tmp_path, [EEG])
    monkeypatch.undo()
    with pytest.raises(OutputError, match="none: cannot be used"):
        check_disk(tmp_path / "none", [EEG])


def test_growth_is_that_of_the_last_seconds():
    growth = Growth()
    growth.add(0.0, 0)
    assert math.isnan(growth.seconds_left(1000.0))
    for second in range(1, 30):
        growth.add(float(second), 100 * second if second < 10 else 1000)
    assert growth.seconds_left(5.0) == math.inf
    growth.add(30.0, 2000)
    assert growth.seconds_left(1000.0) == pytest.approx(10.0)
