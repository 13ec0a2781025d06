"""From one pipeline to the next: no answer is missing, none comes twice, and the new one's are its own."""

import time
from itertools import pairwise

import numpy as np
import pytest
from support.nightly import nightly
from support.small_sessions import EEG_INFO, EYE_INFO, RATE_HZ, eeg, eye, pipeline

from bci_m2s.engine.handover import LONGEST_S, Handover
from bci_m2s.types import Chunk, Status

HOP_S = 0.25
SWITCH_S = 12.3  # not at a hop of the former pipeline
INFOS = {"eeg": EEG_INFO, "eye": EYE_INFO}


class Clock:
    now_s = 0.0

    def __call__(self):
        return self.now_s


def chunks(signals, from_s, to_s, seed=0):
    """Chunks of all streams in the order of time, of random sizes: modality and chunk."""
    rng, parts = np.random.default_rng(seed), []
    for modality, (times, samples) in signals.items():
        first, stop = np.searchsorted(times, (1000 + from_s, 1000 + to_s))
        while first < stop:
            end = min(stop, first + int(rng.integers(1, 0.3 * INFOS[modality].rate_hz)))
            parts.append(
                (times[end - 1], modality, Chunk.of(times[first:end], samples[first:end], times[end - 1]))
            )
            first = end
    return [(modality, chunk) for _, modality, chunk in sorted(parts, key=lambda part: part[:2])]


def signals(modalities, seconds=30.0):
    made = {"eeg": eeg(seconds), "eye": eye(seconds)}
    return {modality: made[modality] for modality in modalities}


def switched(given, mode="each", seed=0, former_from_s=0.0):
    """Published before the switch and after it, made by the new pipeline, the handover, its events."""
    infos, events = {modality: INFOS[modality] for modality in given}, []
    former, follower = pipeline(infos, mode), pipeline(infos, mode)
    before = [
        estimate
        for modality, chunk in chunks(given, former_from_s, SWITCH_S)
        for estimate in former.push(modality, chunk, 0.0)
    ]
    follower.take_over(former)
    handover = Handover(former, list(infos), Clock(), events.append)
    published, recorded = [], []
    for modality, chunk in chunks(given, SWITCH_S, 30.0, seed):
        made = follower.push(modality, chunk, 0.0)
        recorded += made
        if handover.is_over:
            published += made
        else:
            published += handover.published(modality, former.push(modality, chunk, 0.0), made)
    return before, published, recorded, handover, events


def of(estimates, modality=""):
    return [estimate for estimate in estimates if modality in ("", estimate.modality)]


@pytest.mark.parametrize("seed", [0, 1, *nightly(2)])
def test_side_by_side_no_hop_is_missing_and_each_line_changes_over_once(seed):
    before, published, recorded, handover, events = switched(signals(INFOS), seed=seed)
    assert handover.is_over
    assert sorted(event.fields["modality"] for event in events) == ["eeg", "eye"]
    for modality in INFOS:
        line, own = of(before + published, modality), of(recorded, modality)
        ok = [estimate for estimate in line if estimate.status is Status.OK]
        assert all(estimate.status is Status.OK for estimate in line[line.index(ok[0]) :])
        steps = [b.end_s - a.end_s for a, b in pairwise(ok)]
        assert min(steps) > 0
        assert max(steps) <= HOP_S + 1e-3
        # from the first estimate on, what is published is what is recorded, the same objects
        first = next(n for n, estimate in enumerate(own) if estimate.status is Status.OK)
        assert first > 10  # it had to settle
        assert of(published, modality)[-len(own) + first :] == own[first:]
        assert own[first - 1] not in published


@pytest.mark.parametrize("mode", ["auto", "fused"])
def test_one_line_does_not_jump_to_another_modality_and_back(mode):
    before, published, recorded, handover, events = switched(signals(INFOS), mode)
    assert handover.is_over
    assert [event.fields["modality"] for event in events] == [""]
    last = before[-1]
    assert last.status is Status.OK
    assert {estimate.status for estimate in published} == {Status.OK}
    assert {estimate.modality for estimate in published} == {last.modality}
    steps = [b.end_s - a.end_s for a, b in pairwise([last, *published])]
    assert min(steps) > 0
    assert max(steps) <= HOP_S + 1e-3
    assert published[-20:] == recorded[-20:]


def test_a_former_pipeline_that_has_to_settle_too_answers_no_more():
    _, published, recorded, _, events = switched(signals(["eeg"]), former_from_s=SWITCH_S - 2.0)
    assert published == recorded
    assert len(events) == 1


def test_after_a_gap_both_begin_anew_and_the_new_one_answers():
    given = signals(["eeg"])
    given["eeg"][0][round(14 * RATE_HZ) :] += 1.0
    _, published, recorded, _, _ = switched(given)
    assert published[-len(of(recorded)) + 10 :] == recorded[10:]
    assert published[0].status is Status.OK


def test_one_that_never_settles_is_not_waited_for():
    clock = Clock()
    former, follower = pipeline(), pipeline()
    times, samples = eeg(12)
    (*_, answer) = former.push("eeg", Chunk.of(times, samples), 0.0)
    assert answer.status is Status.OK
    (filling, *_) = follower.push("eeg", Chunk.of(times[:128], samples[:128]), 0.0)
    handover = Handover(former, ["eeg"], clock, lambda _event: None)
    assert handover.published("eeg", [answer], [filling]) == [answer]
    clock.now_s = LONGEST_S + 1
    assert handover.published("eeg", [answer], [filling]) == [filling]
    assert handover.is_over


def test_silence_is_said_by_the_new_one():
    former, follower = pipeline(), pipeline()
    handover = Handover(former, ["eeg"], time.monotonic, lambda _event: None)
    silent = [one.no_estimates("eeg", Status.STALE, "silent") for one in (former, follower)]
    assert handover.published("eeg", *silent) == silent[1]
    assert handover.is_over
