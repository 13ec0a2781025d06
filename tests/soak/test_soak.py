"""The soak itself for three quarters of a minute, reconnects, and sessions under strain."""

import sys

import pytest
from rich.console import Console
from support.lateness import Lateness

from bci_m2s.recording.recorded import open_recording
from bci_m2s.soak.command import run_soak
from bci_m2s.soak.reconnects import Reconnects
from bci_m2s.soak.strain import beside_a_burner, with_a_slow_network

pytestmark = pytest.mark.live

PATIENCE = 10.0  # a machine that runs other tests beside


def test_a_soak_keeps_every_promise_and_says_so(tmp_path, capsys):
    status = run_soak(0.75, 7, tmp_path / "soak", PATIENCE)
    printed = capsys.readouterr().out
    print(printed)
    assert status == 0
    assert "every promise was kept" in printed
    assert "recorder loss: 0 samples" in printed
    assert "BROKEN" not in printed
    assert len(open_recording(tmp_path / "soak" / "session.xdf").raw_streams) == 4


def test_reconnects_grow_nothing_and_lose_nothing(tmp_path):
    test = Reconnects(tmp_path, senders=2, seed=1)
    accounts = test.run(8, Console(quiet=True))
    assert test.broken == []
    assert len(test.back_s) == 8
    for account in accounts:
        assert account.broken == []
        assert account.runs == 5
        assert account.gaps == 4
    first, last = test.usages[0], test.usages[-1]
    assert last.descriptors <= first.descriptors + 8
    assert last.threads <= first.threads + 6


def test_a_slow_network_costs_windows_and_no_samples(tmp_path):
    assert with_a_slow_network(tmp_path, 4.0, patience=PATIENCE) == []


@pytest.mark.nightly
@pytest.mark.skipif(sys.platform != "linux", reason="affinity is set on Linux")
def test_estimates_come_beside_a_busy_process(tmp_path):
    with Lateness() as lateness:
        rig, ages = beside_a_burner(tmp_path, 4.0, patience=PATIENCE)
    print(ages, f"machine late by {lateness.worst_s:.2f} s at most")
    assert rig.engine.failure is None
    assert rig.recorder.state().lost_samples == 0
    assert rig.watch.judged + rig.engine.skipped > 3 * 4 * 2
    assert rig.watch.judged > 3 * 4
    assert rig.engine.publisher.statistics.percentiles_ms("age", (50,))[0] < 500 + 2000 * lateness.worst_s
