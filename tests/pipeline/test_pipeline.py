"""The pipeline: the same estimates whatever the chunks, and none where there must be none."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.nightly import tries
from support.recorded_sessions import MARKER_INFO
from support.small_sessions import EEG_INFO, EYE_INFO, RATE_HZ, eeg, eye, pipeline

from bci_m2s.engine.publisher import Publisher
from bci_m2s.pipeline.pipeline import run_offline
from bci_m2s.recording.recorded import RecordedStream
from bci_m2s.sources.replay import ReplaySource
from bci_m2s.types import Chunk, Status


def estimates_of(made, times, samples, cuts=(), modality="eeg"):
    found = []
    for a, b in itertools.pairwise([0, *sorted(cuts), len(times)]):
        found += made.push(modality, Chunk.of(times[a:b], samples[a:b], received_s=5.0))
    return found


def facts(estimate):
    """All of an estimate but its stamps, comparable with == although NaN is inside."""
    names = [name for name in estimate.__slots__ if name not in ("stamps", "probabilities")]
    return repr([getattr(estimate, name) for name in names]), estimate.probabilities.tobytes()


TIMES, SAMPLES = eeg(30)
GAPPED_TIMES = TIMES + np.where(np.arange(len(TIMES)) > 4000, 1.5, 0.0)
HOLED = SAMPLES.copy()
HOLED[5000:5100] = np.nan
WHOLE = estimates_of(pipeline(), GAPPED_TIMES, HOLED)


@settings(max_examples=tries(5, 12), deadline=None)
@given(cuts=st.lists(st.integers(0, len(TIMES)), max_size=80))
def test_chunks_do_not_change_a_bit(cuts):
    again = estimates_of(pipeline(), GAPPED_TIMES, HOLED, cuts)
    assert [facts(one) for one in again] == [facts(one) for one in WHOLE]


def test_one_sample_at_a_time_is_the_same():
    again = estimates_of(pipeline(), GAPPED_TIMES, HOLED, range(1, len(TIMES)))
    assert [facts(one) for one in again] == [facts(one) for one in WHOLE]


def test_every_hop_has_an_answer_and_the_reasons_follow_in_order():
    found = estimates_of(pipeline(), *eeg(12))
    assert len(found) == 48
    order = [status for status, _ in itertools.groupby(one.status for one in found)]
    assert order == [Status.SETTLING, Status.FILLING, Status.OK]
    good = found[-1]
    assert good.probabilities.sum() == pytest.approx(1)
    assert good.confidence == good.probabilities.max()
    assert good.end_s - good.start_s == pytest.approx(5, abs=0.01)
    assert good.last_index - good.first_index + 1 == 5 * RATE_HZ
    assert good.stamps.received_s == 5
    assert good.stamps.inferred_s >= good.stamps.features_s
    assert all(np.isnan(one.probabilities).all() for one in found if one.status is not Status.OK)


def test_a_baseline_that_is_not_complete_gives_no_estimate_and_counts_down():
    long = {"normaliser": {"name": "baseline", "params": {"duration_s": 9.0}}}
    made = pipeline(eeg=long)
    found = estimates_of(made, *eeg(14))
    waiting = [one.reason for one in found if one.status is Status.BASELINE]
    assert waiting[0] == "baseline, 4 s left"
    assert waiting[-1] == "baseline, 1 s left"
    assert found[-1].status is Status.OK
    assert [event.kind for event in made.emitted] == ["baseline_complete"]


def test_a_marker_begins_the_baseline_when_the_pipeline_waits_for_one():
    made = pipeline(wait_for_marker=True)
    times, samples = eeg(24)
    half = 12 * int(RATE_HZ)
    before = estimates_of(made, times[:half], samples[:half])
    assert before[-1].status is Status.BASELINE
    assert before[-1].reason == "baseline waits for its marker"
    made.take_marker(times[half], "something else")
    made.take_marker(times[half], "7")
    hop = int(0.25 * RATE_HZ)
    (named,) = estimates_of(made, times[half : half + hop], samples[half : half + hop])
    assert named.reason == "baseline waits for its marker; others came: 'something else', '7'"
    half += hop
    made.take_marker(times[half], "baseline/start")
    after = estimates_of(made, times[half:], samples[half:])
    assert after[0].reason == "baseline, 2 s left"
    assert after[-1].status is Status.OK
    kinds = [event.kind for event in made.emitted]
    assert kinds == ["marker"] * 3 + ["baseline_started", "baseline_complete"]


def test_markers_of_another_clock_are_laid_on_the_shared_one():
    times, samples = eeg(20)
    offsets = np.array([[times[0], 20.0], [times[-1], 20.0]])
    stream = RecordedStream(EEG_INFO, times, lambda start, stop: samples[start:stop], offsets)
    texts = np.array([["trial/start/x"]], object)
    marks = RecordedStream(MARKER_INFO, np.array([times[0] + 30.0]), lambda start, stop: texts[start:stop])
    made = pipeline()
    publisher = Publisher(made.heads, made.hop_s, None)
    for estimate in run_offline(made, {"eeg": ReplaySource(stream)}, [ReplaySource(marks)]):
        publisher.put(estimate)
    (marker,) = [event for event in made.emitted if event.kind == "marker"]
    assert marker.fields["marker_s"] == times[0] + 30.0
    truth = [(times[0] + 20.0, times[-1] + 20.1, "positive")]  # the whole recording
    judged = publisher.statistics.agreement(truth, "eeg", "emotion").windows
    assert judged == publisher.statistics.made["eeg", "emotion"] > 10


def test_channels_are_picked_and_reordered_by_name():
    from dataclasses import replace

    times, samples = eeg(12)
    order = [3, 4, 0, 2, 1]
    shuffled = replace(EEG_INFO, labels=tuple(EEG_INFO.labels[column] for column in order))
    plain = estimates_of(pipeline(), times, samples)
    moved = estimates_of(pipeline({"eeg": shuffled}), times, samples[:, order])
    assert [facts(one) for one in plain] == [facts(one) for one in moved]


def test_a_gap_is_reported_counted_and_makes_windows_invalid():
    made = pipeline()
    times, samples = eeg(30)
    times[4000:] += 2.0
    found = estimates_of(made, times, samples)
    gaps = [event for event in made.emitted if event.kind == "gap"]
    assert len(gaps) == 1
    assert gaps[0].fields["lost_samples"] == made.state("eeg").lost_samples == 512
    spanning = [one for one in found if one.first_index < 4000 <= one.last_index]
    assert spanning == []
    assert {one.status for one in found if 4000 <= one.last_index < 4000 + 5 * RATE_HZ} == {Status.GAP}
    assert found[-1].status is Status.OK


def test_too_many_bad_channels_give_no_estimate_and_are_named():
    made = pipeline()
    times, samples = eeg(20)
    samples[3000:, 2] = 7.0  # one flat channel of four is within the limit of 0.25
    assert estimates_of(made, times, samples)[-1].status is Status.OK
    samples[3000:, 0] = np.nan
    last = estimates_of(pipeline(), times, samples)[-1]
    assert last.status is Status.BAD_SIGNAL
    assert last.reason == "2 of 4 channels bad (no samples: AF7; flat: TP9)"


def test_a_devices_loss_code_counts_as_missing():
    times, samples = eeg(12)
    samples[2500:2600] = 1e8
    assert estimates_of(pipeline(), times, samples)[-1].status is Status.BAD_SIGNAL


def test_two_modalities_run_side_by_side_and_say_which_they_are():
    made = pipeline({"eeg": EEG_INFO, "eye": EYE_INFO})
    alone = estimates_of(pipeline(), *eeg(16))
    both = []
    for second in range(16):
        for modality, (times, samples), rate in (("eye", eye(16), 120), ("eeg", eeg(16), int(RATE_HZ))):
            part = slice(second * rate, (second + 1) * rate)
            both += made.push(modality, Chunk.of(times[part], samples[part]))
    of_eeg = [one for one in both if one.modality == "eeg"]
    assert [facts(one) for one in of_eeg] == [facts(one) for one in alone]
    assert [one.status for one in both if one.modality == "eye"][-1] is Status.OK


def test_falling_behind_skips_windows_and_counts_them():
    made, whole = pipeline(), pipeline()
    times, samples = eeg(20)
    expected = estimates_of(whole, times, samples)
    skipping = made.push("eeg", Chunk.of(times, samples, received_s=5.0), newest_only=True)
    assert [facts(one) for one in skipping] == [facts(expected[-1])]
    assert made.skipped["eeg"] == len(expected) - 1
    answered = sum(one.status is Status.OK for one in expected)  # the others have nothing to be judged by
    assert (made.judgeable, made.judgeable_skipped) == (answered, answered - 1)


def test_an_empty_chunk_is_harmless():
    made = pipeline()
    times, samples = eeg(12)
    found = []
    for start in range(0, len(times), 500):
        assert made.push("eeg", Chunk.empty(5)) == []
        found += made.push("eeg", Chunk.of(times[start : start + 500], samples[start : start + 500], 5.0))
    assert [facts(one) for one in found] == [facts(one) for one in estimates_of(pipeline(), times, samples)]


def test_recorded_statistics_make_a_baseline_unnecessary():
    long = {"normaliser": {"name": "baseline", "params": {"duration_s": 60.0}}}
    made = pipeline(eeg=long)
    n = len(made.feature_names["eeg"])
    made.adopt_baseline("eeg", np.full(n, 3.0), np.full(n, 0.5))
    assert estimates_of(made, *eeg(12))[-1].status is Status.OK
