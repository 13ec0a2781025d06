"""Recorders killed at random moments: what is left has no gap and misses half a second at most."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from bci_m2s.errors import RecordingError
from bci_m2s.recording.recorded import open_recording
from bci_m2s.recording.recovery import recover

pytestmark = pytest.mark.live

RATES = (250, 1000)
TESTS = Path(__file__).resolve().parents[1]
CHILD = "support.killed_recorder"


def start_child(folder: Path, number: int) -> tuple[subprocess.Popen[str], Path, Path]:
    path, counts = folder / f"{number}.xdf", folder / f"{number}.counts"
    counts.write_bytes(bytes(24))
    command = [sys.executable, "-m", CHILD, str(path), str(counts)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=TESTS), path, counts


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
@pytest.mark.parametrize("kills", [10, pytest.param(50, marks=pytest.mark.nightly)])
def test_kills_cost_half_a_second_at_most(tmp_path: Path, kills: int) -> None:
    rng = np.random.default_rng(kills)
    losses, durations = [], []
    for first in range(0, kills, 10):
        children = [start_child(tmp_path, number) for number in range(first, first + 10)]
        try:
            for child, _, _ in children:
                assert child.stdout is not None
                assert child.stdout.readline() == "ready\n"
            begun = time.monotonic()
            moments = 0.2 + 0.18 * (np.arange(10) + rng.random(10))  # s: one in every tenth of the time
            for (child, _, _), after_s in zip(reversed(children), moments, strict=True):
                time.sleep(max(0.0, begun + after_s - time.monotonic()))  # the moment is what is tested
                child.send_signal(signal.SIGKILL)
        finally:
            for child, _, _ in children:
                child.kill()
                child.communicate()
        for _, path, counts in children:
            given = np.fromfile(counts, np.int64)
            late_s = 2 * given[2] / 1e6  # whoever samples may wait for a core, and then whoever writes
            for had, has, rate in zip(given, kept_counts(path), RATES, strict=False):
                assert had - has >= 0
                losses.append((had - has) / rate - late_s)
            durations.append(given[0] / RATES[0])
    assert len(durations) == kills
    assert np.ptp(durations) > 1  # seconds: the moments were as different as was wanted
    assert max(losses) <= 0.5


def kept_counts(path: Path) -> list[int]:
    """How many samples of both streams are left, after a look that they count from 0 without a gap."""
    try:
        report = recover(path)
    except RecordingError:  # killed before its first flush
        return [0, 0]
    kept = {one.info.name: one for one in open_recording(report.out or path).streams}
    lengths = []
    for name, rate_hz in zip(("amp", "fast"), RATES, strict=True):
        stream = kept.get(name)
        n = stream.n_samples if stream else 0
        if stream:
            np.testing.assert_array_equal(stream.read(0, n)[:, -1], np.arange(n))
            np.testing.assert_array_equal(stream.times, np.arange(n) / rate_hz)
        lengths.append(n)
    return lengths
