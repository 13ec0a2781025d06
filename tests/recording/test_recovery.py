"""Recovery: cut at every byte, damaged at every byte; what is kept is true."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyxdf
from support.nightly import nightly, tries

from bci_m2s.commands.recover import recover_file
from bci_m2s.errors import OutputError, RecordingError
from bci_m2s.recording.recorded import open_recording
from bci_m2s.recording.recovery import recover
from bci_m2s.recording.recovery_report import RecoveryReport
from bci_m2s.recording.xdf_writer import BOUNDARY_MARK, XdfWriter
from bci_m2s.types import StreamInfo

STREAMS = {
    1: StreamInfo("amp", "EEG", "a", rate_hz=100.0, labels=("n", "x"), units=("", "uV")),
    2: StreamInfo("gaze", "Gaze", "b", rate_hz=50.0, labels=("n",), units=("",), channel_format="double64"),
    3: StreamInfo("aux", "Misc", "c", rate_hz=0.0, labels=("n",), units=("",), channel_format="int16"),
    4: StreamInfo("marks", "Markers", "d", labels=("m",), units=("",), channel_format="string"),
}
Values = dict[int, list[tuple[float, Any]]]


class Session:
    """A small recording of four streams, and which sample stands in which chunk of it."""

    def __init__(self, path: Path, rounds: int = 4) -> None:
        self.path, self.sums = path, path.with_name(path.name + ".sums")
        self._writer = XdfWriter(path)
        self.kinds: list[tuple[str, int, list[tuple[float, Any]]]] = [("file header", 0, [])]
        for number, info in STREAMS.items():
            assert self._writer.add_stream(info) == number
            self.kinds.append(("header", number, []))
        for number in range(rounds):
            self._round(number)
        self._writer.close()
        self.kinds += [("footer", number, []) for number in STREAMS]
        lines = [line.split() for line in self.sums.read_text().splitlines() if not line.startswith("#")]
        self.spans = [(int(start), int(start) + int(length)) for start, length, _ in lines]
        assert len(self.spans) == len(self.kinds)
        assert self.spans[-1][1] == path.stat().st_size

    def _round(self, number: int) -> None:
        for stream, info in STREAMS.items():
            n = 1 if info.channel_format == "string" else 3
            first = number * n
            counts = np.arange(first, first + n)
            times = 100 + counts / (info.rate_hz or 10.0)
            values = np.array([[f"mark {k} é"] for k in counts], dtype=object)
            if info.channel_format != "string":
                kind = {"float32": "f4", "double64": "f8", "int16": "i2"}[info.channel_format]
                values = np.stack([counts + 1000 * c for c in range(info.n_channels)], axis=1).astype(kind)
            self._writer.samples(stream, times, values)
            rows = list(zip(times.tolist(), [row.tolist() for row in values], strict=True))
            self.kinds.append(("samples", stream, rows))
        self._writer.clock_offset(1, 100.0 + number, -0.25)
        self.kinds.append(("offset", 1, []))
        self._writer.boundary()
        self.kinds.append(("boundary", 0, []))

    def kept(self, keep: Any) -> Values:
        """Samples of the streams that have a header, from the chunks whose span `keep` accepts."""
        chosen = [kind for kind, span in zip(self.kinds, self.spans, strict=True) if keep(*span)]
        values: Values = {stream: [] for what, stream, _ in chosen if what == "header"}
        for what, stream, rows in chosen:
            if what == "samples" and stream in values:
                values[stream] += rows
        return values


_READ: dict[bytes, Values] = {}


def read_by_pyxdf(path: Path) -> Values:
    """What pyxdf finds, checked against our own reader; a copy seen before is not read again."""
    content = path.read_bytes()
    if content not in _READ:
        found, _ = pyxdf.load_xdf(path, synchronize_clocks=False, dejitter_timestamps=False, verbose=False)
        values: Values = {}
        for stream in found:
            number, stamps = stream["info"]["stream_id"], stream["time_stamps"].tolist()
            rows = [list(row) for row in np.asarray(stream["time_series"]).tolist()] if stamps else []
            values[number] = list(zip(stamps, rows, strict=True))
            assert int(stream["footer"]["info"]["sample_count"][0]) == len(stamps)
        ours = open_recording(path)
        # only the first stream has clock offsets, which is said of the others
        assert [w for w in ours.warnings if not w.startswith("no clock offsets")] == []
        assert [len(one) for one in values.values()] == [one.n_samples for one in ours.streams]
        _READ[content] = values
    return _READ[content]


def recovered(session: Session, **options: Any) -> tuple[RecoveryReport | None, Values]:
    """Recover, and what is then in the readable file; (None, {}) when nothing can be recovered."""
    try:
        report = recover(session.path, **options)
    except RecordingError:
        return None, {}
    assert "\n" not in "".join(report.lines())
    path = report.out or session.path
    values = read_by_pyxdf(path)
    for stream in report.streams:
        assert stream.samples == len(values[stream.number])
    if report.out is not None:
        report.out.unlink()
    return report, values


@pytest.fixture(autouse=True)
def no_wait_for_the_disk(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Thousands of copies are made here; that they are synchronised has a test of its own."""
    if "synchronised" not in request.node.name:
        monkeypatch.setattr(os, "fsync", lambda _fd: None)


(EVERY_BYTE,) = nightly(1)


@pytest.mark.parametrize("step", [11, EVERY_BYTE])
@pytest.mark.parametrize("with_sums", [True, False])
def test_cut_at_any_byte(tmp_path: Path, with_sums: bool, step: int) -> None:
    session = Session(tmp_path / "s.xdf", rounds=2)
    whole = session.path.read_bytes()
    if not with_sums:
        session.sums.unlink()
    made = 0
    for size in range(0, len(whole), step):
        session.path.write_bytes(whole[:size])
        expected = session.kept(lambda _start, stop, size=size: stop <= size)
        report, values = recovered(session)
        assert values == expected, size
        assert (report is None) == (not expected)
        made += report is not None
        if report is not None:
            assert report.out is not None  # a footer is missing at least
            partial = {start: stop for start, stop in session.spans if start < size < stop}
            assert report.lost_bytes == sum(size - start for start in partial)
            assert report.n_places == len(partial)
    assert made == len(range(0, len(whole), step)) - len(range(0, session.spans[1][1], step))


@pytest.mark.parametrize("step", [11, EVERY_BYTE])
def test_our_reader_opens_every_cut(tmp_path: Path, step: int) -> None:
    """Without recovery too: what stands before the cut comes, or one line says why not."""
    session = Session(tmp_path / "s.xdf", rounds=2)
    whole = session.path.read_bytes()
    for size in range(0, len(whole), step):
        session.path.write_bytes(whole[:size])
        expected = session.kept(lambda _start, stop, size=size: stop <= size)
        if not expected:
            with pytest.raises(RecordingError):
                open_recording(session.path)
            continue
        streams = open_recording(session.path).streams
        assert [one.n_samples for one in streams] == [len(rows) for rows in expected.values()]


@pytest.mark.parametrize("step", [17, EVERY_BYTE])
def test_with_checksums_a_damaged_byte_costs_its_own_chunk_only(tmp_path: Path, step: int) -> None:
    session = Session(tmp_path / "s.xdf", rounds=2)
    whole = session.path.read_bytes()
    rng = np.random.default_rng(0)
    for place in range(0, len(whole), step):
        damaged = bytearray(whole)
        damaged[place] ^= int(rng.integers(1, 256))
        session.path.write_bytes(damaged)
        _, values = recovered(session)
        expected = session.kept(lambda start, stop, place=place: not start <= place < stop)
        assert values == expected, place


def test_a_run_of_overwritten_bytes_costs_what_it_touches(tmp_path: Path) -> None:
    session = Session(tmp_path / "s.xdf", rounds=6)
    whole = session.path.read_bytes()
    rng = np.random.default_rng(3)
    for _ in range(tries(50, 150)):
        begin = int(rng.integers(len(whole)))
        end = min(len(whole), begin + int(rng.integers(1, 300)))
        overwritten = np.frombuffer(whole[begin:end], np.uint8) ^ rng.integers(
            1, 256, end - begin, np.uint8
        )
        session.path.write_bytes(
            whole[:begin] + overwritten.tobytes() + whole[end:]
        )  # no byte is as before
        _, values = recovered(session)
        assert values == session.kept(lambda start, stop, b=begin, e=end: stop <= b or start >= e)


def test_without_checksums_damage_costs_up_to_the_next_boundary(tmp_path: Path) -> None:
    session = Session(tmp_path / "s.xdf")
    session.sums.unlink()
    whole = session.path.read_bytes()
    lengths = [start for (start, _), kind in zip(session.spans, session.kinds, strict=True)
               if kind[0] == "samples"]  # fmt: skip
    boundaries = [stop for (_, stop), kind in zip(session.spans, session.kinds, strict=True)
                  if kind[0] == "boundary"]  # fmt: skip
    for start in lengths:
        session.path.write_bytes(whole[:start] + b"\x07" + whole[start + 1 :])
        again = min(stop for stop in boundaries if stop > start)
        _, values = recovered(session)
        assert values == session.kept(lambda a, b, start=start, again=again: b <= start or a >= again)


def test_a_length_that_lies_but_fits_does_not_hide_what_follows_the_next_boundary(tmp_path: Path) -> None:
    session = Session(tmp_path / "s.xdf", rounds=6)
    session.sums.unlink()
    whole = bytearray(session.path.read_bytes())
    start, stop = session.spans[5]
    assert session.kinds[5][0] == "samples"
    boundary = next(span[1] for span, kind in zip(session.spans, session.kinds, strict=True)
                    if kind[0] == "boundary")  # fmt: skip
    whole[start + 1] = 250  # the chunk seems to hold the following ones, the boundary among them
    assert stop < boundary < start + 252
    session.path.write_bytes(whole)
    _, values = recovered(session)
    assert values == session.kept(lambda a, b: b <= start or a >= boundary)


def test_any_byte_of_the_side_file_may_be_wrong(tmp_path: Path) -> None:
    """What it wrongly denies is lost, what it cannot speak of is kept; nothing false appears."""
    session = Session(tmp_path / "s.xdf", rounds=2)
    sums = session.sums.read_bytes()
    every = session.kept(lambda _start, _stop: True)
    for place in range(0, len(sums), tries(3, 1)):
        damaged = bytearray(sums)
        damaged[place] ^= 1 + place % 255
        session.sums.write_bytes(damaged)
        _, values = recovered(session)
        missing = sum(len(every[stream]) - len(values.get(stream, [])) for stream in every)
        assert missing <= 6  # at most a stream's header, and so all of its samples
        assert all(set(map(str, values[stream])) <= set(map(str, every[stream])) for stream in values)


def test_the_side_file_of_another_recording_is_ignored(tmp_path: Path) -> None:
    session, other = Session(tmp_path / "s.xdf"), Session(tmp_path / "o.xdf", rounds=1)
    text = other.sums.read_text()
    session.sums.write_text("".join(f"{line[:-8]}deadbeef\n" for line in text.splitlines()[1:]))
    report = recover(session.path)
    assert report.is_whole
    assert not report.with_sums


def chunk(tag: int, content: bytes) -> bytes:
    return b"\x04" + struct.pack("<IH", len(content) + 2, tag) + content


HEADER = chunk(
    2,
    b"\1\0\0\0<info><name>amp</name><type>EEG</type><channel_count>1</channel_count><nominal_srate>10"
    b"</nominal_srate><channel_format>int16</channel_format></info>",
)
DATA = [chunk(3, struct.pack("<IBB", 1, 1, 1) + struct.pack("<Bdh", 8, 10 + k / 10, k)) for k in range(6)]
UNSTAMPED = chunk(3, struct.pack("<IBB", 1, 1, 2) + struct.pack("<BhBh", 0, 7, 0, 8))
MARK = chunk(5, BOUNDARY_MARK)
REFUSED = {
    "samples before their header": ([DATA[0], HEADER, *DATA[1:]], [0, 1, 2, 3, 4, 5]),
    "a second header": ([HEADER, *DATA[:3], HEADER, *DATA[3:]], [0, 1, 2, 3, 4, 5]),
    "a hostile second header": (
        [HEADER, *DATA[:3], chunk(2, b'\1\0\0\0<!DOCTYPE a [<!ENTITY b "c">]><info/>'), *DATA[3:]],
        [0, 1, 2, 3, 4, 5],
    ),
    "a hostile file header": ([chunk(1, b"<!DOCTYPE a><a/>"), HEADER, *DATA], [0, 1, 2, 3, 4, 5]),
    "a bad stream beside a good one": (
        [HEADER, chunk(2, b"\2\0\0\0<info><channel_count>0</channel_count></info>"), *DATA],
        [0, 1, 2, 3, 4, 5],
    ),
    "a length of 2**40": ([HEADER, *DATA[:2], b"\x08" + struct.pack("<Q", 2**40), MARK, *DATA[2:]],
                          [0, 1, 2, 3, 4, 5]),
    "a hole": ([HEADER, *DATA[:2], b"\x99" * 40, MARK, *DATA[4:]], [0, 1, 4, 5]),
    "a footer in the middle": (
        [HEADER, *DATA[:2], chunk(6, b"\1\0\0\0<info><sample_count>2</sample_count></info>"), *DATA[2:]],
        [0, 1, 2, 3, 4, 5],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_reader_refuses_as_a_whole_is_kept_in_part(tmp_path: Path, case: str) -> None:
    chunks, expected = REFUSED[case]
    path = tmp_path / "s.xdf"
    path.write_bytes(b"XDF:" + b"".join(chunks))
    report = recover(path)
    assert report.out == tmp_path / "s-recovered.xdf"
    assert read_by_pyxdf(report.out) == {1: [(10 + k / 10, [k]) for k in expected]}


def test_the_magic_itself_may_be_damaged(tmp_path: Path) -> None:
    path = tmp_path / "s.xdf"
    path.write_bytes(b"XDX:" + HEADER + DATA[0])
    report = recover(path)
    assert report.out is not None
    assert read_by_pyxdf(report.out) == {1: [(10.0, [0])]}
    assert "begins with b'XDX:'" in "".join(report.lines())


def test_a_hole_is_reported_in_bytes_time_and_samples(tmp_path: Path) -> None:
    path = tmp_path / "s.xdf"
    before = b"XDF:" + HEADER + b"".join(DATA[:2])
    path.write_bytes(before + b"\x99" * 40 + MARK + b"".join(DATA[4:]))
    report = recover(path)
    (stream,) = report.streams
    assert (stream.samples, stream.lost_samples) == (4, 2)
    assert stream.lost_s == pytest.approx(0.2)
    assert (report.places[0].start, report.places[0].stop) == (len(before), len(before) + 40 + len(MARK))
    lines = list(report.lines())
    assert f"damaged at 1 place; {40 + len(MARK)} of {path.stat().st_size} bytes are lost" in lines[0]
    assert lines[1] == "  stream 1 'amp': 4 samples kept, 2 lost (0.200 s)"
    assert lines[2].startswith(f"  damaged at byte {len(before)}: ")
    assert lines[2].endswith("('amp' between 10.100 s and 10.400 s)")


def test_a_recording_that_never_ended_gets_footers(tmp_path: Path) -> None:
    session = Session(tmp_path / "s.xdf")
    begin = session.spans[session.kinds.index(("footer", 1, []))][0]
    session.path.write_bytes(session.path.read_bytes()[:begin])
    report, values = recovered(session)
    assert values == session.kept(lambda _start, stop: stop <= begin)
    assert report is not None
    assert "not damaged, but footers are missing" in next(report.lines())
    assert report.lost_bytes == 0
    broken_off = "  writing was broken off: what came after the last samples is not in the file"
    assert broken_off in list(report.lines())
    assert report.beyond == []


@pytest.mark.parametrize("log", ["", "no JSON", '{"kind": "disk"'])
def test_the_log_beside_a_recording_without_an_end_says_why(tmp_path: Path, log: str) -> None:
    session = Session(tmp_path / "s.xdf")
    begin = session.spans[session.kinds.index(("footer", 1, []))][0]
    session.path.write_bytes(session.path.read_bytes()[:begin])
    lines = [
        {"kind": "started", "utc": "2026-01-01T10:00:00.000+00:00", "message": "engine started"},
        {"kind": "disk", "utc": "2026-01-01T10:05:00.000+00:00", "message": "s.xdf: No space left"},
        {"kind": "stopped", "utc": "2026-01-01T10:07:00.000+00:00", "message": "engine stopped"},
    ]
    text = log or "\n".join(map(json.dumps, lines))
    (tmp_path / "events.jsonl").write_text(text)
    report, _ = recovered(session)
    assert report is not None
    expected = [
        "events.jsonl, 2026-01-01T10:05:00.000+00:00: s.xdf: No space left",
        "events.jsonl, 2026-01-01T10:07:00.000+00:00: engine stopped",
    ]
    assert report.beyond == ([] if log else expected)


def test_a_footer_tells_the_loss_exactly(tmp_path: Path) -> None:
    session = Session(tmp_path / "s.xdf")
    whole = bytearray(session.path.read_bytes())
    places = [number for number, kind in enumerate(session.kinds) if kind[:2] == ("samples", 4)]
    for number in places[:2]:
        whole[session.spans[number][1] - 1] ^= 1
    session.path.write_bytes(whole)
    report, _ = recovered(session)
    assert report is not None
    assert [stream.lost_samples for stream in report.streams] == [0, 0, 0, 2]
    assert report.chunks_lost == 2
    assert report.streams[3].words() == "stream 4 'marks': 2 samples kept, 2 lost"


def test_samples_without_stamps_behind_damage_are_named(tmp_path: Path) -> None:
    path = tmp_path / "s.xdf"
    path.write_bytes(b"XDF:" + HEADER + DATA[0] + b"\x99" * 9 + MARK + UNSTAMPED + DATA[5] + UNSTAMPED)
    report = recover(path)
    assert report.streams[0].unsure == 2
    assert "2 after damage have no stamps of their own" in report.streams[0].words()


def test_a_whole_file_gets_no_copy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session = Session(tmp_path / "s.xdf")
    before = sorted(tmp_path.iterdir())
    assert recover_file(session.path).is_whole
    assert "is whole" in capsys.readouterr().out
    assert sorted(tmp_path.iterdir()) == before


def test_the_command_tells_what_was_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session = Session(tmp_path / "s.xdf")
    session.path.write_bytes(session.path.read_bytes()[:-1])
    report = recover_file(session.path, tmp_path / "copy.xdf")
    out = capsys.readouterr().out
    assert "the rest is lost" in out
    assert f"copy: {tmp_path / 'copy.xdf'}" in out
    assert report.out == tmp_path / "copy.xdf"


@pytest.mark.parametrize("content", [b"", b"XDF:", b"RIFF" + b"x" * 300, b"XDF:" + DATA[0]])
def test_nothing_to_recover_is_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "s.xdf"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match="nothing can be recovered: no stream header is whole"):
        recover(path)
    assert list(tmp_path.iterdir()) == [path]


def test_the_original_is_never_touched(tmp_path: Path) -> None:
    session = Session(tmp_path / "s.xdf")
    content = session.path.read_bytes()[:-30]
    session.path.write_bytes(content)
    session.path.chmod(0o444)
    before = session.path.stat()
    sums = session.sums.read_bytes()
    report = recover(session.path)
    with pytest.raises(OutputError, match="exists already"):
        recover(session.path)
    with pytest.raises(OutputError, match="is the recording itself"):
        recover(session.path, session.path, overwrite=True)
    assert recover(session.path, overwrite=True).out == report.out
    after = session.path.stat()
    assert (after.st_mtime_ns, after.st_ino, after.st_size) == (
        before.st_mtime_ns,
        before.st_ino,
        len(content),
    )
    assert session.path.read_bytes() == content
    assert session.sums.read_bytes() == sums


def test_a_copy_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(tmp_path / "s.xdf")
    session.path.write_bytes(session.path.read_bytes()[:-30])
    before = sorted(tmp_path.iterdir())

    def full(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left on device"):
        recover(session.path)
    assert sorted(tmp_path.iterdir()) == before
    with pytest.raises(OutputError, match="No such file"):
        recover(session.path, tmp_path / "nowhere" / "s.xdf")
    with pytest.raises(RecordingError, match="No such file"):
        recover(tmp_path / "nowhere.xdf")
    with pytest.raises(RecordingError, match="not a regular file"):
        recover(tmp_path)


def test_the_copy_is_synchronised_before_it_takes_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(tmp_path / "s.xdf")
    session.path.write_bytes(session.path.read_bytes()[:-30])
    there = []
    monkeypatch.setattr(os, "fsync", lambda _fd: there.append((tmp_path / "s-recovered.xdf").exists()))
    recover(session.path)
    assert there[0] is False


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """60 MB of damaged chunks pass through a process that may take 24 MB more than it has."""
    path = tmp_path / "s.xdf"
    with path.open("wb") as file:
        file.write(b"XDF:" + HEADER)
        body = struct.pack("<IBI", 1, 4, 20_000)
        records = np.zeros(20_000, np.dtype([("f", "u1"), ("t", "<f8"), ("v", "<i2")]))
        for number in range(275):
            records["f"], records["t"] = 8, number * 2000 + np.arange(20_000) / 10
            file.write(chunk(3, body + records.tobytes()))
            if number % 10 == 5:
                file.write(b"\x99" * 100 + MARK)
    code = (
        "import sys, resource\nfrom bci_m2s.recording.recovery import recover\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak()\nreport = recover(sys.argv[1])\n"
        "print(report.n_places, report.streams[0].samples, (peak() - before) / 1024)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True, timeout=240
    )
    places, samples, grown_mb = done.stdout.split()
    assert (int(places), int(samples)) == (27, 275 * 20_000)
    assert float(grown_mb) < 24
