"""The status report: plain JSON, what a panel needs, and what is worth a report at once."""

import json
import math
from dataclasses import replace

import pytest

from bci_m2s.engine.health import Snapshot, StreamHealth, signature, status_report

NAN = math.nan
STREAM = StreamHealth("eeg", "cap", 256.0, 255.9, 1000, 0, 0.01)
MARKS = ((5.00004, "one", "operator"), (NAN, "two", "box"))


def snapshot(*streams, markers=MARKS):
    return Snapshot({}, streams or (STREAM,), 12.0, markers=markers)


def test_markers_offset_and_baseline_are_reported():
    collecting = replace(STREAM, clock_offset_s=-0.123456, baseline="collecting", baseline_left_s=7.256)
    report = status_report(snapshot(collecting), {})
    assert report["markers"] == [[5.0, "one", "operator"], [None, "two", "box"]]
    assert report["streams"][0]["clock_offset_s"] == -0.1235
    assert report["streams"][0]["baseline"] == {"state": "collecting", "seconds_left": 7.26}
    json.dumps(report, allow_nan=False)


def test_what_is_not_known_is_null():
    report = status_report(snapshot(markers=()), {})["streams"][0]
    assert report["clock_offset_s"] is None
    assert report["baseline"] == {"state": "none", "seconds_left": 0.0}


@pytest.mark.parametrize(
    ("change", "at_once"),
    [
        ({"baseline": "complete"}, True),
        ({"problem": "another sender"}, True),
        ({"bad_channels": {"T8": "flat"}}, True),
        ({"baseline_left_s": 3.0}, False),
        ({"clock_offset_s": 0.5}, False),
        ({"samples": 2000, "age_s": 0.2}, False),
    ],
)
def test_what_is_worth_a_report_at_once(change, at_once):
    before, after = signature(snapshot()), signature(snapshot(replace(STREAM, **change)))
    assert (before != after) is at_once


def test_a_new_marker_is_worth_a_report_at_once():
    marks = ((1.0, "a", "operator"), (2.0, "b", "operator"))
    assert signature(snapshot(markers=marks[:1])) != signature(snapshot(markers=marks))
    assert signature(snapshot(markers=marks)) == signature(snapshot(markers=marks[1:]))
