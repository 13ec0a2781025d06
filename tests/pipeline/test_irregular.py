"""Streams that state no rate: put on a grid, or measured; the same in whatever chunks they come."""

from dataclasses import replace

import numpy as np
import pytest
from support.small_sessions import EYE_INFO, contract

from bci_m2s.errors import StreamError
from bci_m2s.model.stream_check import check_stream
from bci_m2s.pipeline.steps import StepStage
from bci_m2s.recording.recorded import RecordedStream
from bci_m2s.sources.facts import StreamFacts
from bci_m2s.sources.measure import first_stamps
from bci_m2s.sources.replay import ReplaySource
from bci_m2s.types import Chunk

CONTRACT = contract()
SPEC, WINDOW = CONTRACT.modalities["eye"], CONTRACT.window
IRREGULAR = replace(EYE_INFO, rate_hz=0.0)


def gaze(seconds=12, seed=0):
    """Irregular gaze of about 120 Hz with a blink, which the device marks with −1."""
    rng = np.random.default_rng(seed)
    times = 50 + np.cumsum(rng.gamma(4.0, 1 / 480, 120 * seconds))
    samples = np.column_stack(
        [np.sin(times), np.cos(times), 3 + 0.1 * np.sin(times), 3 + 0.1 * np.cos(times)]
    )
    samples = np.column_stack([samples, np.ones(len(times))])
    samples[400:420] = -1.0
    return times, samples


def steps(facts, times, samples, edges=()):
    spec = SPEC.model_copy(update={"quality": SPEC.quality.model_copy(update={"sentinels": (-1.0,)})})
    stage = StepStage(spec, WINDOW, facts.applied_to(IRREGULAR, times), facts)
    found = []
    for start, stop in zip((0, *edges), (*edges, len(times)), strict=True):
        for block, step in stage.push(Chunk.of(times[start:stop], samples[start:stop])):
            found.append((block.end_s, block.samples.copy(), None if step is None else step.values))
    return found


def test_an_irregular_stream_gives_the_same_in_whatever_chunks_it_comes():
    facts, (times, samples) = StreamFacts(resample_hz=60.0), gaze()
    whole = steps(facts, times, samples)
    cut = steps(
        facts, times, samples, sorted(np.random.default_rng(1).integers(0, len(times), 40).tolist())
    )
    assert len(whole) > 40
    for (end_s, block, values), (cut_end_s, cut_block, cut_values) in zip(whole, cut, strict=True):
        assert end_s == cut_end_s
        np.testing.assert_array_equal(block, cut_block)
        assert (values is None) == (cut_values is None)
        np.testing.assert_array_equal(np.array(values), np.array(cut_values))
    together = np.vstack([block for _, block, _ in whole])
    known = together[~np.isnan(together).any(axis=1)]
    assert len(known) < len(together)
    assert (known[:, 2:4] > 2.8).all()  # no value between a pupil and the code for none


def test_a_stream_without_a_rate_is_refused_with_the_ways_out_and_fits_with_either():
    (problem,) = check_stream(SPEC, IRREGULAR)
    assert "got 0 (irregular)" in str(problem)
    assert "`rate_hz: auto` measures a steady one, `resample_hz` is for others" in str(problem)
    times, _ = gaze()
    for facts in (StreamFacts(rate_hz="auto"), StreamFacts(resample_hz=60.0)):
        assert check_stream(SPEC, facts.applied_to(IRREGULAR, times)) == []
    assert StreamFacts(rate_hz="auto").applied_to(IRREGULAR, times).rate_hz == pytest.approx(120, rel=0.05)
    assert StreamFacts(rate_hz="auto").applied_to(IRREGULAR).rate_hz == 0.0
    with pytest.raises(
        StreamError, match=r"rate_hz: got stamps of .* Hz, expected a steady rate; `resample_hz`"
    ):
        StreamFacts(rate_hz="auto").applied_to(IRREGULAR, 100 + np.sqrt(np.arange(900)))


@pytest.mark.parametrize(
    ("rate_hz", "fits"), [(59.95, True), (59.93, False), (1000.9, True), (1001.1, False)]
)
def test_a_rate_at_the_edge_fits_within_a_thousandth(rate_hz, fits):
    spec = SPEC.model_copy(update={"rate_min_hz": 60.0, "rate_max_hz": 1000.0})
    problems = check_stream(spec, replace(EYE_INFO, rate_hz=rate_hz))
    assert (problems == []) == fits
    assert all(f"got {rate_hz}, expected" in str(problem) for problem in problems)


def test_first_stamps_wait_for_enough_and_take_nothing_from_a_recording():
    times, samples = gaze()
    stream = RecordedStream(IRREGULAR, times, lambda start, stop: samples[start:stop])
    recorded = ReplaySource(stream, speed=None)
    np.testing.assert_array_equal(first_stamps(recorded, lambda: False), times)
    assert recorded.pull(0.0).times[0] == times[0]

    class Live:
        finished, at = False, 0

        def pull(self, _timeout_s):
            self.at += 50
            return Chunk.of(times[self.at - 50 : self.at], samples[self.at - 50 : self.at])

    live = Live()
    pulled = first_stamps(live, lambda: False)
    assert times[live.at - 51] < times[0] + 5 <= pulled[-1] == times[live.at - 1]
    facts = StreamFacts(rate_hz="auto")
    assert facts.applied_to(IRREGULAR, pulled) == facts.applied_to(
        IRREGULAR, times
    )  # live, in files, in training
    assert len(first_stamps(Live(), lambda: True)) == 0
