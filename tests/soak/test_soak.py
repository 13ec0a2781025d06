"""The soak itself for three quarters of a minute, reconnects, and sessions under strain."""

import os
import subprocess
import sys
import time
from contextlib import contextmanager

import numpy as np
import pytest
from rich.console import Console
from support.lateness import Lateness

from bci_m2s.errors import UsageError
from bci_m2s.recording.recorded import open_recording
from bci_m2s.review.verify import verify
from bci_m2s.soak.accounts import settle_accounts
from bci_m2s.soak.command import Deck, parse_kinds, run_soak
from bci_m2s.soak.faults import FAULTS, SHARED_FAULTS
from bci_m2s.soak.reconnects import Reconnects
from bci_m2s.soak.rig import Rig

pytestmark = pytest.mark.live

PATIENCE = 10.0  # a machine that runs other tests beside
SECONDS = 4.0  # under strain
DELAY_S = 0.5  # of each window, by a slow network


@pytest.mark.nightly
def test_a_soak_keeps_every_promise_and_says_so(tmp_path, capsys):
    status = run_soak(0.75, 7, tmp_path / "soak", PATIENCE)
    printed = capsys.readouterr().out
    print(printed)
    assert status == 0
    assert "every promise was kept" in printed
    assert "recorder loss: 0 samples" in printed
    assert "BROKEN" not in printed
    assert len(open_recording(tmp_path / "soak" / "session.xdf").raw_streams) == 4


@pytest.mark.nightly
def test_a_session_without_faults_is_judged_like_one_with_them(tmp_path, capsys):
    status = run_soak(0.3, 7, tmp_path / "soak", PATIENCE, faults="none")
    printed = capsys.readouterr().out
    assert status == 0, printed
    assert "0 faults of 0 kinds" in printed
    assert "recorder loss: 0 samples" in printed


def test_faults_are_drawn_from_those_that_were_asked_for():
    def drawn(kinds, rounds=18):
        deck = Deck(np.random.default_rng(0), kinds)
        return {deck.draw(deck.is_shared(number))[0] for number in range(1, rounds + 1)}

    assert drawn(("killed and restarted",)) == {"killed and restarted"}
    assert drawn(("huge marker",)) == {"huge marker"}
    assert drawn(("burst", "slow disk")) == {"burst", "slow disk"}
    assert drawn(None, 400) == {*FAULTS, *SHARED_FAULTS}
    assert Deck(np.random.default_rng(0), ()).is_empty


def test_kinds_of_faults_are_asked_for_by_name():
    assert parse_kinds("") is None
    assert parse_kinds("none") == ()
    assert parse_kinds("burst, killed for long") == ("burst", "killed for long")
    with pytest.raises(UsageError, match="--faults: got 'bursts'; nearest: 'burst'"):
        parse_kinds("bursts")


@pytest.mark.nightly
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


@pytest.mark.nightly  # of every run: tests/engine/test_engine.py, where inference is too slow
def test_a_slow_network_costs_windows_and_no_samples(tmp_path):
    """Eight or more windows are due per second and two can be judged: the others are skipped."""
    with Rig(tmp_path, ("cap", "ear"), patience=PATIENCE) as rig:
        judged = rig.watch.judged
        rig.watch.restart_longest(rig.now_s())
        rig.predictor.delay_s = DELAY_S
        time.sleep(SECONDS)
        judged, oldest_s = rig.watch.judged - judged, rig.watch.oldest_s
        rig.predictor.delay_s = 0.0
        rig.wait_until_steady()
        rig.finish()
    print(f"{judged} windows judged, {rig.engine.skipped} skipped, oldest estimate {oldest_s:.2f} s")
    assert rig.engine.skipped
    assert judged
    assert oldest_s <= 2.0 + len(rig.senders) * DELAY_S  # a window's time and a second, before the delays
    assert rig.recorder.state().lost_samples == 0
    assert [promise for account in settle_accounts(rig.path, rig.sent) for promise in account.broken] == []
    assert verify(rig.path).first is None


@contextmanager
def busy_cores(cores=2):
    """Confine this process and its children to a few cores, shared with a process that never pauses."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(sorted(allowed)[:cores]))
    burner = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        burner.kill()
        burner.wait()
        os.sched_setaffinity(0, allowed)


@pytest.mark.nightly
@pytest.mark.skipif(sys.platform != "linux", reason="affinity is set on Linux")
def test_estimates_come_beside_a_busy_process(tmp_path):
    with Lateness() as lateness, busy_cores(), Rig(tmp_path, ("cap", "ear"), patience=PATIENCE) as rig:
        time.sleep(SECONDS)
        rig.finish()
    p50, p95, p99 = rig.engine.publisher.statistics.percentiles_ms("age")
    ages = f"age of estimates p50 {p50:.1f} p95 {p95:.1f} p99 {p99:.1f} ms"
    print(ages, f"machine late by {lateness.worst_s:.2f} s at most")
    assert rig.engine.failure is None
    assert rig.recorder.state().lost_samples == 0
    assert rig.watch.judged + rig.engine.skipped > 3 * SECONDS * 2
    assert rig.watch.judged > 3 * SECONDS
    assert p50 < 500 + 2000 * lateness.worst_s
