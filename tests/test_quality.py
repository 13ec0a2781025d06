"""The effective rate: told from 1 % off, refused from 5 % off, silent about jitter."""

import numpy as np
import pytest
from small_sessions import RATE_HZ, eeg, pipeline

from bci_m2s.quality import RateGuard
from bci_m2s.types import Chunk, Status
from bci_m2s.windows import BlockCutter


def verdicts(rate_hz, jitter_s=0.0, seconds=20):
    n = int(seconds * rate_hz)
    times = np.arange(n) / rate_hz + np.random.default_rng(0).uniform(-jitter_s, jitter_s, n)
    guard, cutter = RateGuard(250.0, 0.25), BlockCutter(1, 250.0, 0.25, 0.1)
    return [guard.push(block) for block in cutter.push(Chunk.of(times, np.zeros((n, 1))))]


@pytest.mark.parametrize(
    ("rate_hz", "doubtful", "wrong"),
    [(250, 0, 0), (251, 0, 0), (254, 1, 0), (246, 1, 0), (264, 1, 1), (236, 1, 1), (500, 1, 1)],
)
def test_verdict(rate_hz, doubtful, wrong):
    found = verdicts(rate_hz, jitter_s=0.004)
    assert np.isnan(found[3].effective_hz)
    assert not found[3].doubtful
    last = found[-1]
    assert (last.doubtful, last.wrong) == (bool(doubtful), bool(wrong))
    assert last.effective_hz == pytest.approx(rate_hz, rel=0.002)


def test_heavy_jitter_is_no_wrong_rate():
    assert not any(verdict.doubtful for verdict in verdicts(250, jitter_s=0.02))


def test_the_pipeline_warns_once_and_refuses_what_is_wrong():
    times, samples = eeg(30)
    made = pipeline()
    found = made.push("eeg", Chunk.of(1000 + (times - 1000) * 1.02, samples))
    assert [event.kind for event in made.events()].count("rate") == 1
    assert found[-1].status is Status.OK
    made = pipeline()
    found = made.push("eeg", Chunk.of(1000 + (times - 1000) * 1.08, samples))
    assert found[-1].status is Status.MISMATCH
    assert found[-1].reason == f"effective rate 237 Hz, nominal {RATE_HZ:g} Hz"
