"""Markers are read from whatever shape a sender gives them, live and in files alike."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bci_m2s.lsl.markers import MarkerReader, is_marker_stream
from bci_m2s.types import StreamInfo

TIMES = np.array([1.0, 2.0, 3.0, 4.0])


def info(channel_format="string", channels=1, rate_hz=0.0, kind="Markers"):
    labels = ("",) * channels
    return StreamInfo(
        "task", kind, rate_hz=rate_hz, labels=labels, units=labels, channel_format=channel_format
    )


@pytest.mark.parametrize(
    ("rows", "texts"),
    [
        ([["a b"], [""], [" c"], ["1"]], ["a b", "", " c", "1"]),
        ([["0", "baseline/start"], ["", "x"], ["y", "2"], ["1", "2"]], ["baseline/start", "x", "y", "1 2"]),
    ],
)
def test_texts(rows, texts):
    read = MarkerReader(info(channels=len(rows[0]))).take(TIMES, np.array(rows, object))
    assert read == list(zip(TIMES.tolist(), texts, strict=True))


@pytest.mark.parametrize(
    ("kind", "dtype"), [("int32", "i4"), ("float32", "f4"), ("double64", "f8"), ("int8", "i1")]
)
def test_codes_are_their_digits(kind, dtype):
    codes = np.array([[7, 1], [0, 2], [0, 0], [100, 4]], dtype)  # 0 says nothing where another does
    read = MarkerReader(info(kind, 2)).take(TIMES, codes)
    assert read == list(zip(TIMES.tolist(), ["7", "2", "0", "100"], strict=True))


def test_what_is_no_number_is_no_marker():
    read = MarkerReader(info("float32")).take(
        TIMES, np.array([[math.nan], [2.5], [math.inf], [-1.0]], "f4")
    )
    assert read == [(2.0, "2.5"), (4.0, "-1")]


@pytest.mark.parametrize("size", [1, 3, 8])
def test_a_level_is_a_marker_where_it_changes_whatever_the_chunks(size):
    reader, read = MarkerReader(info("int32", rate_hz=256.0)), []
    levels, times = np.array([5, 5, 0, 0, 3, 3, 4, 0])[:, None], np.arange(8.0)
    for start in range(0, 8, size):
        read += reader.take(times[start : start + size], levels[start : start + size])
    assert read == [(4.0, "3"), (6.0, "4")]  # what stands at the beginning has changed from nothing


@pytest.mark.parametrize("size", [1, 3, 8])
def test_each_channel_is_a_level_of_its_own(size):
    reader, read = MarkerReader(info("int32", 2, rate_hz=256.0)), []
    levels = np.array([[0, 0, 0, 5, 5, 0, 0, 2], [0, 3, 3, 3, 4, 0, 7, 9]]).T
    for start in range(0, 8, size):
        read += reader.take(np.arange(8.0)[start : start + size], levels[start : start + size])
    assert read == [(1.0, "3"), (3.0, "5"), (4.0, "4"), (6.0, "7"), (7.0, "2")]


@pytest.mark.parametrize(
    ("stream", "markers"),
    [
        (info(), True),
        (info("int32"), True),
        (info("int32", rate_hz=256.0), True),
        (info(kind="markers"), True),
        (info(kind=""), True),
        (info(kind="Keyboard"), True),
        (info(kind="EEG", rate_hz=128.0), False),
        (info("float32", kind="EEG", rate_hz=128.0), False),
        (info("float32", kind="Mood"), False),
        (info(kind="bci_m2s-status"), False),
    ],
)
def test_which_streams_are_markers(stream, markers):
    assert is_marker_stream(stream) == markers


def test_a_time_beside_a_code_is_no_marker():
    """Emotiv's inlet of markers wants three channels: a time since 1970, the value, the time of sending."""
    rows = [[1.7e9, 7.0, 1.7e9 + 0.2], [1.7e12, 0.0, 3.0], [1.7e9, 0.0, 0.0]]
    read = MarkerReader(info("double64", channels=3)).take(TIMES, np.array(rows))
    assert [text for _, text in read] == ["7", "3", "1700000000"]
