"""The recording that comes with the project holds what its description says, and replays."""

import json
import platform
from pathlib import Path

import pytest

from bci_m2s.recording.recorded import open_recording
from bci_m2s.recording.recovery import recover
from bci_m2s.review.recorded import read_recorded_session
from bci_m2s.review.verify import verify
from bci_m2s.session.description import versions
from bci_m2s.types import Status

PATH = Path(__file__).resolve().parents[2] / "recordings" / "simulated-session.xdf"


@pytest.fixture(scope="module")
def session():
    return read_recorded_session(open_recording(PATH))


@pytest.fixture(scope="module")
def events(session):
    stream = next(one for one in session.recording.streams if one.info.type == "bci_m2s-events")
    return [json.loads(row[0]) for row in stream.read(0, stream.n_samples)]


def test_it_is_small_whole_and_says_that_it_is_simulated(session, events):
    assert PATH.stat().st_size < 8_000_000
    assert recover(PATH).is_whole
    assert events[0]["session"]["model"]["simulated"] is True
    assert "simulated_signals" in events[0]["session"]
    assert session.record.pipeline.modality == "auto"


def test_the_outage_the_bad_channels_the_fail_over_and_the_markers_are_in_it(events):
    (gap,) = [one for one in events if one["kind"] == "gap"]
    assert (gap["modality"], gap["lost_samples"]) == ("eeg", 1500)
    ways = [(one["from"], one["to"]) for one in events if one["kind"] == "failover"]
    assert ways.count(("eye", "eeg")) == 2
    assert ways[0] == ("", "eeg")
    bad = {(one["channel"], one["state"]) for one in events if one["kind"] == "quality"}
    assert ("T7", "noisy") in bad
    assert not any(one["kind"] == "drift_started" for one in events)  # nor once it is good again
    assert sum(state == "flat" for _, state in bad) == 20
    markers = [one["message"] for one in events if one["kind"] == "marker"]
    assert "trial/start/positive" in markers


def test_estimates_go_on_from_the_eyes_while_the_headset_is_silent(session):
    stream = session.estimates()["emotion"]
    labels = stream.info.labels
    rows = stream.read(0, stream.n_samples)
    made = rows[:, labels.index("status")] == Status.OK
    by_eye = made & (rows[:, labels.index("modality")] == 1)
    assert by_eye.sum() > 60
    first = stream.times[made][0]
    without = [b - a for a, b in zip(stream.times[made], stream.times[made][1:], strict=False)]
    assert stream.times[made][-1] - first > 75
    assert max(without) < 5.0


def test_it_replays(events):
    """To the bit where it was recorded; elsewhere rounding may differ, but not what samples were seen."""
    result = verify(PATH, seed=3)
    recorded = events[0]["session"]["versions"]
    alike = recorded["system"] == platform.platform() and all(
        recorded.get(name) == version for name, version in versions().items() if name != "pylsl"
    )
    if alike:
        assert result.first is None
        assert result.made > 300
    elif result.first is not None:
        assert result.first.stage in ("filters", "features", "network")
