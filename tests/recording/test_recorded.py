"""Opening recordings: files that are none, choice of streams, clock offsets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bci_m2s.errors import RecordingError, StreamError
from bci_m2s.recording.recorded import READERS, RecordedStream, Recording, open_recording
from bci_m2s.types import StreamInfo


def stream_of(times: list[float], offsets: list[tuple[float, float]], name: str = "a") -> RecordedStream:
    samples = np.zeros((len(times), 1))
    info = StreamInfo(name, "EEG", labels=("x",), units=("",))
    return RecordedStream(
        info, np.array(times), lambda i, j: samples[i:j], np.array(offsets).reshape(-1, 2)
    )


def refusal(path: Path) -> str:
    with pytest.raises(RecordingError) as caught:
        open_recording(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("ending", READERS)
def test_missing_empty_and_folder(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"x{ending}"
    assert refusal(path) == f"{path}: no such file"
    path.touch()
    assert refusal(path) == f"{path}: is empty (0 bytes)"
    path.unlink()
    path.mkdir()
    assert refusal(path) == f"{path}: is a folder, expected a file"


def test_unknown_kind_lists_the_known(tmp_path: Path) -> None:
    path = tmp_path / "x.doc"
    path.write_text("a,b\n")
    assert all(ending in refusal(path) for ending in READERS)


def test_parts_of_brainvision_name_the_header(tmp_path: Path) -> None:
    path = tmp_path / "x.eeg"
    path.write_text("x")
    assert ".vhdr" in refusal(path)


def test_impossible_name() -> None:
    assert "not a file name" in refusal(Path("a\0b.xdf"))


def test_special_file_is_refused() -> None:
    device = Path("/dev/null")
    if not device.exists():
        pytest.skip("no /dev/null here")
    assert "not a regular file" in refusal(device)


def test_pick_by_name_and_type() -> None:
    first, second = stream_of([], [], "a"), stream_of([], [], "b")
    recording = Recording(Path("f.xdf"), (first, second))
    assert recording.pick([]) == (first, second)
    assert recording.pick(["b"]) == (second,)
    assert recording.pick(["EEG"]) == (first, second)
    with pytest.raises(RecordingError, match=r"f\.xdf: no stream named or of type 'EEGG'; nearest: 'EEG'"):
        recording.pick(["EEGG"])


def test_find_takes_what_is_meant_and_what_fits_of_several() -> None:
    """Headsets of one name and type, one of them empty; an accelerometer that calls itself EEG."""
    left, right, empty, accelerometer = (
        replace(stream_of(times, []), info=StreamInfo("cap", "EEG", source_id, host=host, rate_hz=rate_hz))
        for times, source_id, host, rate_hz in (
            ([1.0], "left", "a", 256.0),
            ([1.0], "right", "b", 256.0),
            ([], "old", "b", 256.0),
            ([1.0], "left", "a", 16.0),
        )
    )
    recording = Recording(Path("f.xdf"), (left, right, empty, accelerometer))
    assert recording.find(source_id="right") is right
    assert recording.find("cap", "eeg", host="b") is right
    assert recording.find(source_id="old") is empty
    assert recording.find(host="a", fits=lambda info: info.rate_hz > 100) is left
    with pytest.raises(StreamError, match=r"3 streams have name 'cap' and type 'EEG'; .*source id 'right'"):
        recording.find("cap", "EEG", fits=lambda _: False)
    with pytest.raises(StreamError, match="no stream has source id 'x'"):
        recording.find(source_id="x")


def test_markers_of_every_shape_are_texts() -> None:
    times = [1.0, 2.0, 3.0]
    codes, signal = stream_of(times, [(1, 5.0)]), stream_of(times, [])
    codes = replace(
        codes, info=StreamInfo("c", "Markers", labels=("",), units=("",), channel_format="int32")
    )
    recording = Recording(Path("f.xdf"), (codes, signal))
    (stream,) = recording.markers
    assert stream.info.channel_format == "string"
    assert stream.read(0, 3).tolist() == [["0"], ["0"], ["0"]]
    np.testing.assert_array_equal(stream.offsets_s(), 5.0)


def test_offset_is_the_median_of_its_run() -> None:
    stream = stream_of([1.0, 2.0, 3.0], [(1, 5.0), (2, 5.2), (3, 5.1)])
    np.testing.assert_array_equal(stream.offsets_s(), 5.1)


def test_offset_follows_a_reset_of_the_clock() -> None:
    measured = [(100.0, -90.0), (105.0, -90.0), (3.0, 27.0), (8.0, 27.0)]
    stream = stream_of([99.0, 104.0, 107.0, 1.0, 9.0], measured)
    np.testing.assert_array_equal(stream.offsets_s(), [-90, -90, -90, 27, 27])


def test_one_faulty_measurement_is_ignored() -> None:
    stream = stream_of([1.0, 20.0], [(1, 5.0), (6, 5.0), (11, 5.0), (16, -4000.0), (21, float("nan"))])
    np.testing.assert_array_equal(stream.offsets_s(), 5.0)


def test_no_measurement_means_one_clock() -> None:
    np.testing.assert_array_equal(stream_of([1.0, 2.0], []).offsets_s(), 0.0)
