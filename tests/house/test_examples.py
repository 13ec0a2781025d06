"""The example for PsychoPy sends the markers that training reads, and reads what a session sends."""

import os
import subprocess
import sys
from pathlib import Path

import pylsl
import pytest
from support.panel_sessions import FakeSession, until

from bci_m2s.simulator.markers import trial_spans

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "psychopy_trials.py"
pytestmark = pytest.mark.live


def test_trials_are_marked_and_the_estimate_is_read():
    session = FakeSession()
    options = [
        "--classes",
        "negative,positive",
        "--trials",
        "1",
        "--seconds",
        "2",
        "--rest",
        "0.1",
        "--pause",
        "0",
    ]
    script = subprocess.Popen(
        [sys.executable, str(SCRIPT), *options], stdout=subprocess.PIPE, text=True, env=os.environ
    )
    try:
        (info,) = pylsl.resolve_byprop("source_id", "psychopy-trials", timeout=60)
        inlet, received = pylsl.StreamInlet(info), []
        inlet.open_stream(60)

        def all_marked():
            session.estimate((0.1, 0.2, 0.7))
            samples, stamps = inlet.pull_chunk()
            received.extend(zip(stamps, (sample[0] for sample in samples), strict=True))
            return len(received) == 6

        until(all_marked, "the markers did not come")
        printed = script.communicate(timeout=60)[0]
    finally:
        script.kill()
        session.close()
    assert [text for _, text in received[:2]] == ["baseline/start", "baseline/stop"]
    trials = trial_spans(received)
    assert {trial.label for trial in trials} == {"negative", "positive"}
    assert all(1.9 < trial.stop_s - trial.start_s < 10 for trial in trials)
    assert "estimate: {'negative': 0.1, 'positive': 0.7}" in printed
