"""A skimmed XDF file says the same of itself as one that is read, but for its samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.raw_files import xdf

from bci_m2s.errors import RecordingError
from bci_m2s.recording import xdf_skim
from bci_m2s.recording.recorded import open_recording
from bci_m2s.recording.xdf_skim import skim_recording

ROOT = Path(__file__).resolve().parents[2]
TIMES = 100.0 + np.arange(1000) / 250
CAP = ("cap", "EEG", 250, ("Fz", "Cz"), ("uV", "uV"), TIMES, np.zeros((1000, 2)))
LEVEL = ("box", "Trigger", 250, ("level",), ("",), TIMES, np.arange(1000)[:, None] // 300)
MARKS = [(101.0, "trial/start/calm"), (102.5, "trial/stop/calm")]


def make(folder, *streams, **options):
    path = folder / "a.xdf"
    path.write_bytes(xdf(streams, MARKS, **options))
    return path


def assert_alike(path, tolerance_s=0.0):
    skimmed, read = skim_recording(path), open_recording(path)
    assert [stream.info for stream in skimmed.streams] == [stream.info for stream in read.streams]
    for short, long in zip(skimmed.streams, read.streams, strict=True):
        assert short.is_markers or short.is_text or short.n_samples == min(2, long.n_samples)
        np.testing.assert_array_equal(short.clock_offsets, long.clock_offsets)
        if long.n_samples:
            assert short.first_s == long.first_s
            assert short.last_s == pytest.approx(long.last_s, abs=tolerance_s)
    marks = [
        [(stream.times.tolist(), stream.read(0, stream.n_samples).tolist()) for stream in recording.markers]
        for recording in (skimmed, read)
    ]
    assert marks[0] == marks[1]
    return skimmed


def test_times_offsets_and_markers_are_those_of_the_whole_file(tmp_path):
    skimmed = assert_alike(make(tmp_path, CAP, LEVEL, offset_s=-90.0))
    assert len(skimmed.markers) == 2  # a level is a marker too
    with pytest.raises(RecordingError, match="stream 'cap': only its headers were read"):
        skimmed.streams[0].read(0, 1)


def test_our_own_recording():
    assert_alike(ROOT / "recordings" / "simulated-session.xdf", tolerance_s=1e-3)


def test_no_sample_of_a_number_is_read(tmp_path, monkeypatch):
    path, seen = make(tmp_path, CAP), []
    honest = xdf_skim.decode_xdf
    monkeypatch.setattr(
        xdf_skim, "decode_xdf", lambda path, file: seen.append(len(file.getvalue())) or honest(path, file)
    )
    skim_recording(path)
    assert seen[0] < 2000 < path.stat().st_size / 5


def test_a_damaged_file_is_read_whole_and_says_what_it_lost(tmp_path):
    path = make(tmp_path, CAP)
    path.write_bytes(path.read_bytes()[:-10])
    assert "the rest is lost" in skim_recording(path).warnings[0]
    path.write_bytes(b"XDF:")
    with pytest.raises(RecordingError, match="holds no stream"):
        skim_recording(path)
    path.write_bytes(b"nothing")
    with pytest.raises(RecordingError, match="not an XDF file"):
        skim_recording(path)
