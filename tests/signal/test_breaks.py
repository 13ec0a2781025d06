"""Breaks of stamps that lose nothing are told as jitter, with the way out."""

import numpy as np
import pytest

from bci_m2s.signal.blocks import BlockCutter
from bci_m2s.signal.breaks import BreakReport
from bci_m2s.types import Chunk

RATE_HZ = 128.0


def told(times):
    events = []
    report = BreakReport(events.append, RATE_HZ)
    cutter = BlockCutter(1, RATE_HZ, 0.25, 0.1, report.gap)
    for start in range(0, len(times), 32):
        part = times[start : start + 32]
        list(cutter.push(Chunk.of(part, np.zeros((len(part), 1)))))
        report.report()
    return events, report.lost_samples


@pytest.mark.parametrize("jitter_s", [0.15, 0.3])
def test_chunks_that_jitter_lose_nothing_and_name_gap_s(jitter_s):
    chunk_s = np.repeat(np.random.default_rng(0).uniform(-jitter_s, jitter_s, 40), 128)
    events, lost = told(100 + np.arange(40 * 128) / RATE_HZ + chunk_s)
    last = events[-1]
    assert "nothing is lost: stamps jitter by" in last.message
    assert "or `stamps: arrival` in the pipeline bridges" in last.message
    assert float(last.message.split("`gap_s: ")[1].split("`")[0]) > jitter_s
    assert last.fields["lost_samples"] == lost == 0


def test_chunks_of_one_stamp_each_are_no_losses():
    events, lost = told(np.repeat(100.0 + np.arange(20), 128))
    assert "`gap_s: 1.2`" in events[-1].message
    assert lost == 0


def test_samples_that_are_lost_again_and_again_are_lost():
    times = 100 + np.arange(6000) / RATE_HZ + 0.2 * (np.arange(6000) // 200)
    events, lost = told(times)
    assert not any("jitter" in event.message for event in events)
    assert lost == 29 * 26
