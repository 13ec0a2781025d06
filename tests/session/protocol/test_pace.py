"""A fast clock runs as fast as answers keep up, and never backwards."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from bci_m2s.session.protocol.pace import HELD_BACK, FastClock, keep_pace


def passed_s(clock, real):
    """How far `clock` goes in one second."""
    begun_s = clock()
    real[0] += 1.0
    return clock() - begun_s


def test_time_is_slower_while_answers_are_late_and_fast_again_once_they_are_not():
    real = [100.0]
    clock = FastClock(lambda: real[0], 5.0)
    assert passed_s(clock, real) == 5.0
    before_s = clock()
    assert clock.pace(behind_s=3.0)
    assert clock() == before_s  # what has passed has passed
    assert passed_s(clock, real) == pytest.approx(3.5)
    for _ in range(20):
        clock.pace(behind_s=3.0)
    assert passed_s(clock, real) == pytest.approx(1.0)  # real people's time, at the slowest
    assert clock.pace(behind_s=1.5)  # neither late nor in time: as it is
    assert passed_s(clock, real) == pytest.approx(1.0)
    assert not [clock.pace(behind_s=0.5) for _ in range(20)][-1]
    assert passed_s(clock, real) == pytest.approx(5.0)


def test_it_is_told_once_and_only_where_answers_are_late():
    ages, told, over = [0.5, 3.0, 3.0, float("nan")], [], threading.Event()
    clock = FastClock(lambda: 0.0, 5.0)

    def latest():
        if not ages:
            over.set()
            return []
        return [SimpleNamespace(stamps=SimpleNamespace(last_sample_s=-ages.pop(0)))]

    keep_pace(clock, latest, told.append, over)
    assert told == [HELD_BACK]
