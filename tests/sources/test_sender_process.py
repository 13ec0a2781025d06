"""The sender's own process: it sends, says what went wrong, and never outlives its parent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import psutil
import pylsl
import pytest

from bci_m2s.errors import StreamError
from bci_m2s.sources.sender_process import SenderProcess, SenderSpec

LIMIT_S = 120.0
MUSE = "muse/muse2_sub-P031_ses-S001_task-Default_run-001_eeg.xdf"


@pytest.fixture
def spec(shared_data: Path) -> SenderSpec:
    """The EEG of a real recording, very slowly: it never ends by itself within a test."""
    return SenderSpec(recording=str(shared_data / MUSE), streams=("EEG",), speed=0.01, wait_s=120.0)


def test_it_sends_until_it_is_stopped(spec: SenderSpec) -> None:
    with SenderProcess(spec) as sender:
        (info,) = sender.infos
        assert info.labels == ("TP9", "AF7", "AF8", "TP10", "AUX_RIGHT")
        (found,) = pylsl.resolve_byprop("source_id", info.source_id, 1, LIMIT_S)
        inlet = pylsl.StreamInlet(found, recover=False)
        inlet.open_stream(timeout=LIMIT_S)
        sample, stamp = inlet.pull_sample(timeout=LIMIT_S)
        assert sample is not None
        assert abs(pylsl.local_clock() - stamp) < LIMIT_S
        assert not sender.wait(0)
        inlet.close_stream()
    assert sender.wait(0)
    assert len(sender.sent) == 1
    assert 0 < sender.sent[0] < 1284
    sender.stop()


def test_it_ends_with_the_recording(shared_data: Path) -> None:
    spec = SenderSpec(recording=str(shared_data / MUSE), streams=("EEG", "ACC"), speed=20.0)
    with SenderProcess(spec) as sender:
        assert sender.wait(LIMIT_S)
        assert sender.wait(0)
    assert sorted(sender.sent) == [261, 1284]


def test_simulated_streams_begin_together() -> None:
    """Headset, eye tracker and markers of one person, from the first sample on."""
    settings = {"montage": ["Fz", "Cz"], "eeg_rate_hz": 250.0, "rest_s": 1.0, "trial_s": 2.0, "n_trials": 1}
    spec = SenderSpec(simulated=settings, speed=4.0, wait_s=LIMIT_S)
    with SenderProcess(spec) as sender:
        assert [info.type for info in sender.infos] == ["EEG", "Gaze", "Markers"]
        assert sender.infos[0].labels == ("Fz", "Cz")
        inlets = []
        for info in sender.infos:
            (found,) = pylsl.resolve_byprop("source_id", info.source_id, 1, LIMIT_S)
            inlets.append(pylsl.StreamInlet(found, recover=False))
        for inlet in inlets:
            inlet.open_stream(timeout=LIMIT_S)
        firsts = [inlet.pull_sample(timeout=LIMIT_S) for inlet in inlets]
        stamps = [stamp for _, stamp in firsts]
        assert stamps == pytest.approx([stamps[0]] * 3, abs=1e-6)
        assert firsts[2][0] == ["rest/start"]
        for inlet in inlets:
            inlet.close_stream()
        assert sender.wait(LIMIT_S)
    assert sender.sent[:2] == (5 * 250, 5 * 120)


def test_a_wrong_simulation_is_refused() -> None:
    with pytest.raises(StreamError, match="trial_s: got 0"):
        SenderProcess(SenderSpec(simulated={"trial_s": 0.0}))


def test_errors_are_reported_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(StreamError, match=r"^sender process: .*none\.xdf: no such file$"):
        SenderProcess(SenderSpec(recording=str(tmp_path / "none.xdf")))


def test_ctrl_c_is_left_to_the_parent(spec: SenderSpec) -> None:
    with SenderProcess(spec) as sender:
        os.kill(sender.pid, signal.SIGINT)
        assert not sender.wait(0.3)
        os.kill(sender.pid, signal.SIGTERM)
        assert sender.wait(LIMIT_S)
    assert sender.sent == (0,)


def test_a_killed_child_is_noticed(spec: SenderSpec) -> None:
    with SenderProcess(spec) as sender:
        os.kill(sender.pid, signal.SIGKILL)
        assert sender.wait(LIMIT_S)
        assert sender.wait(0)
    assert sender.sent == ()


def test_it_ends_when_its_parent_is_killed(spec: SenderSpec) -> None:
    script = (
        "import json, sys, time\n"
        "from bci_m2s.sources.sender_process import SenderProcess, SenderSpec\n"
        "fields = json.loads(sys.argv[1])\n"
        "sender = SenderProcess(SenderSpec(**{**fields, 'streams': tuple(fields['streams'])}))\n"
        "print(sender.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    command = [sys.executable, "-c", script, json.dumps(asdict(spec))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        assert _lives(child)
        parent.kill()
    until = time.monotonic() + LIMIT_S
    while _lives(child) and time.monotonic() < until:
        time.sleep(0.02)
    assert not _lives(child)


def _lives(process: psutil.Process) -> bool:
    """Whether it runs; where nothing collects orphans, an ended one stays in the table as a zombie."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
