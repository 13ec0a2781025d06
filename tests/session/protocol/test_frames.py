"""The onset of a clip from the reports of its frames."""

from __future__ import annotations

import math
import random

import pytest

from bci_m2s.session.protocol.frames import LAST_FRAME, Frames


def frames_of(rate_hz: float, zero_s: float, late_s: list[float]) -> Frames:
    frames = Frames()
    for number, late in enumerate(late_s):
        frames.add(zero_s + number / rate_hz + late, number / rate_hz)
    return frames


def test_the_onset_is_the_median_however_late_the_first_reports_are():
    chance = random.Random(1)
    late_s = [0.9, 0.3, 0.1, 0.05, *(chance.gauss(0.0, 0.004) for _ in range(60))]
    late_s[20] = 0.2  # the machine was busy
    frames = frames_of(25, 100.0, late_s)
    assert frames.onset_s() == pytest.approx(100.0, abs=0.002)
    assert 0.02 < frames.spread_s() < 0.04  # one outlier of 0.2 s among 47
    assert frames.used == LAST_FRAME - 3


def test_frames_after_the_fiftieth_change_nothing():
    some = frames_of(25, 5.0, [0.001] * (LAST_FRAME + 1))
    more = frames_of(25, 5.0, [0.001] * (LAST_FRAME + 1) + [0.5] * 100)
    assert some.are_enough
    assert (some.onset_s(), some.spread_s()) == (more.onset_s(), more.spread_s())


def test_the_same_frame_reported_again_is_one_frame():
    frames = frames_of(25, 0.0, [0.0] * 10)
    frames.add(9.0, 9 / 25)
    assert frames.used == 6
    assert frames.spread_s() == pytest.approx(0.0, abs=1e-9)


def test_few_frames_give_what_they_can():
    assert math.isnan(Frames().onset_s())
    assert math.isnan(Frames().spread_s())
    assert frames_of(25, 7.0, [0.3, 0.1]).onset_s() == pytest.approx(7.1)
