"""The effective rate, and each channel's state: found, masked, named and told, whatever the chunks."""

import itertools
import re
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.nightly import tries
from support.small_sessions import EEG_INFO, EYE_INFO, RATE_HZ, contract, eeg, eye, pipeline

from bci_m2s.features import EXTRACTORS
from bci_m2s.model.contract import WindowContract
from bci_m2s.model.stream_check import channel_order
from bci_m2s.pipeline.steps import StepStage
from bci_m2s.signal.blocks import Block, BlockCutter
from bci_m2s.signal.quality import LOST, STATES, ChannelQuality, RateGuard, rate_verdict, say_never_used
from bci_m2s.types import Chunk, Status


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
    assert [event.kind for event in made.emitted].count("rate") == 1
    assert made.notes == [f"eeg: effective rate 251 Hz, nominal {RATE_HZ:g} Hz"]
    assert found[-1].status is Status.OK
    made = pipeline()
    found = made.push("eeg", Chunk.of(1000 + (times - 1000) * 1.08, samples))
    assert found[-1].status is Status.MISMATCH
    assert found[-1].reason == f"effective rate 237 Hz, nominal {RATE_HZ:g} Hz"


@pytest.mark.parametrize("size", [5, 77, 10_000])
def test_the_newest_sample_first_gives_no_estimate(size):
    times, samples = eeg(30)
    order = np.arange(len(times)) // 5 * 10 + 4 - np.arange(len(times))  # 4 3 2 1 0, 9 8 …
    order = order[: len(order) // 5 * 5]
    made, found = pipeline(), []
    for start in range(0, len(order), size):
        some = order[start : start + size]
        found += made.push("eeg", Chunk.of(times[some], samples[some]))
    assert Status.OK not in {estimate.status for estimate in found}
    assert found[-1].status is Status.MISMATCH
    assert found[-1].reason.startswith("82 % of the samples are stamped before the one they follow")
    assert "newest first" in made.notes[0]
    assert "newest first" in rate_verdict(RATE_HZ, times[order]).describe(RATE_HZ)


def test_the_verdict_on_all_stamps_takes_jitter_and_shared_stamps_for_what_they_are():
    rng = np.random.default_rng(0)
    times = np.arange(100 * RATE_HZ) / RATE_HZ
    assert not rate_verdict(RATE_HZ, times + rng.uniform(-0.02, 0.02, len(times))).doubtful
    for size, jitter_s in ((12, 0.03), (128, 0.15)):  # of a push; its samples have one stamp
        pushes = times[size - 1 :: size]
        pushed = np.repeat(pushes + rng.uniform(-jitter_s, jitter_s, len(pushes)), size)
        verdict = rate_verdict(RATE_HZ, pushed)
        assert verdict.effective_hz == pytest.approx(RATE_HZ, rel=0.02)
        assert not verdict.wrong
        assert rate_verdict(RATE_HZ, pushed * RATE_HZ / 200).wrong


def test_stamps_that_stand_still_give_no_estimate():
    times, samples = eeg(30)
    times[5000:] = times[5000]
    last = pipeline().push("eeg", Chunk.of(times, samples))[-1]
    assert (last.status, last.reason) == (Status.MISMATCH, f"effective rate inf Hz, nominal {RATE_HZ:g} Hz")


# ---- channels ----


@pytest.mark.parametrize("size", [7, 10_000])
def test_channels_that_are_missing_throughout_are_named_in_a_line(size):
    times, samples = eeg(10.0)
    samples = samples.copy()
    labels = dict(zip(EEG_INFO.labels, samples.T, strict=True))
    labels["TP9"] *= 1e-6
    labels["AF7"][:] = np.nan
    labels["TP10"][:] = 4.0
    labels["AF8"][300:] = np.nan  # was good once
    made = pipeline(eeg={"max_missing": 1.0})
    for start in range(0, len(times), size):
        made.push("eeg", Chunk.of(times[start : start + size], samples[start : start + size]))
    (said,) = made.never_used
    parts = re.split(r"(?<=\)); ", said.removeprefix("eeg: "))
    assert "AF7: missing throughout (no samples)" in parts
    assert "TP10: missing throughout (flat)" in parts
    assert (
        "TP9: missing throughout (amplitude 0.000009 µV; would be 9 µV if the sender sends volts)" in parts
    )
    assert "AF8" not in said


def test_many_channels_that_are_missing_throughout_are_one_line():
    named = {f"E{number}": "no samples" for number in range(60)}
    assert say_never_used(named) == (
        "E0, E1, E2, E3, E4, E5, E6, E7 and 52 more: missing throughout (no samples)"
    )
    assert say_never_used({}) == ""
    assert pipeline().never_used == []


SHAPE = WindowContract()
CHECKS = {"railed_share": 0.2, "noisy_ratio": 8.0}
HOP_N = int(RATE_HZ / 4)


def judged(samples, *, cuts=(), units=None, **checks):
    """States (blocks, channels) and missing samples of each block, at 256 Hz."""
    samples = np.asarray(samples, dtype=np.float64)
    (n, channels), events = samples.shape, []
    quality = ChannelQuality(
        [f"c{i}" for i in range(channels)], units or ["uV"] * channels, 0.25, **checks, emit=events.append
    )
    cutter = BlockCutter(channels, RATE_HZ, 0.25, 0.1)
    states, missing = [], []
    for a, b in itertools.pairwise([0, *sorted(cuts), n]):
        for block in cutter.push(Chunk.of(np.arange(a, b) / RATE_HZ, samples[a:b])):
            missing.append(quality.push(block))
            states.append([STATES[state] for state in quality.states])
    return np.array(states), missing, events


def noise(seconds=5, channels=6, seed=0):
    return np.random.default_rng(seed).normal(scale=10, size=(int(seconds * RATE_HZ), channels))


def damaged():
    """Good noise, and from its second second one channel of each kind."""
    samples, begin = noise(), int(RATE_HZ)
    samples[begin:, 1] = np.nan
    samples[begin:, 2] = 7.0
    samples[begin:, 3] = samples[begin:, 3].clip(-10, 10)
    samples[begin:, 4] *= 20
    return samples


def test_each_state_is_found_from_its_first_block_on():
    states, missing, _ = judged(damaged(), **CHECKS)
    assert (states[:4] == "good").all()
    assert [set(column) for column in states[4:].T] == [
        {"good"},
        {"lost"},
        {"flat"},
        {"railed"},
        {"noisy"},
        {"good"},
    ]
    for block in missing[4:]:
        assert block.all(axis=0).tolist() == [False, True, False, True, True, False]
        assert block.any(axis=0).tolist() == block.all(axis=0).tolist()


def test_without_checks_only_lost_samples_are_missing():
    samples = damaged()
    samples[:, 5] = np.where(np.arange(len(samples)) % 3, samples[:, 5], 1e8)
    states, missing, _ = judged(samples)
    assert set(states[5:].ravel()) == {"good", "lost", "flat"}
    mask = np.concatenate(missing)
    np.testing.assert_array_equal(mask, np.isnan(samples) | (samples == 1e8))


@settings(max_examples=tries(12, 30), deadline=None)
@given(
    cuts=st.lists(st.integers(0, 5 * int(RATE_HZ)), max_size=40), seed=st.integers(0, 3), few=st.booleans()
)
def test_states_do_not_depend_on_chunks(cuts, seed, few):
    samples = np.where(noise(seed=seed + 10) > 25, np.nan, damaged())
    units = ["uV", "uV", "mV", "mV", "V", "V"] if few else None
    whole, parts = judged(samples, units=units, **CHECKS), judged(samples, cuts=cuts, units=units, **CHECKS)
    np.testing.assert_array_equal(whole[0], parts[0])
    np.testing.assert_array_equal(np.concatenate(whole[1]), np.concatenate(parts[1]))
    assert whole[2] == parts[2]


@pytest.mark.parametrize("code", [np.nan, np.inf, -np.inf, 1e8, -1e8, 0.0, -1.0, 0.1])
def test_loss_codes(code):
    samples = noise().astype(np.float32)
    samples[300:303, 2] = code
    states, missing, _ = judged(samples, sentinels=(0.0, -1.0, 0.1))  # 0.1 arrives as float32 rounds it
    assert np.flatnonzero(np.concatenate(missing)[:, 2]).tolist() == [300, 301, 302]
    assert np.argwhere(states != "good").tolist() == [[300 // HOP_N, 2]]


def test_the_limit_is_the_contracts():
    samples = noise()
    samples[300, 0] = 500.0
    assert not np.concatenate(judged(samples)[1]).any()
    assert np.argwhere(np.concatenate(judged(samples, limit=400.0)[1])).tolist() == [[300, 0]]


def test_the_converters_range_is_railed_also_when_the_channel_stands_there():
    samples = noise()
    samples[300, 0] = 187.5
    samples[600:, 1] = -187.5
    states, missing, _ = judged(samples, rails=(-187.5, 187.5))
    assert np.flatnonzero(states[:, 0] == "railed").tolist() == [300 // HOP_N]
    assert set(states[600 // HOP_N + 1 :, 1]) == {"railed"}
    assert missing[300 // HOP_N][:, 0].all()


@pytest.mark.parametrize("times_usual", [3, 30])
def test_a_channel_of_its_own_unit_is_compared_with_its_own_past(times_usual):
    samples = noise(20, 2)
    samples[10 * int(RATE_HZ) :, 0] *= times_usual
    states, _, _ = judged(samples, units=["uV", "ohm"], noisy_ratio=8.0)
    assert set(states[:40, 0]) == {"good"}
    assert set(states[40:, 0]) == {"good" if times_usual == 3 else "noisy"}
    assert set(states[:, 1]) == {"good"}


def test_noise_in_all_channels_is_no_noisy_channel_but_two_of_four_are():
    samples = noise(8, 4)
    samples[1000:] *= 30
    assert set(judged(samples, noisy_ratio=8.0)[0].ravel()) == {"good"}
    samples = noise(8, 4)
    samples[1024:, :2] *= 30
    assert judged(samples, noisy_ratio=8.0)[0][-1].tolist() == ["noisy", "noisy", "good", "good"]


def test_a_confidence_that_stands_still_is_not_flat():
    samples = np.ones((512, 2))
    assert judged(samples, units=["normalized", "microvolts"])[0][-1].tolist() == ["good", "flat"]


def test_changes_are_reported_once_they_last_and_a_flicker_at_most_every_five_seconds():
    samples = noise(30, 5)
    samples[1024:1100, 1] = np.nan  # 0.3 s: not told
    samples[2048:3072, 2] = np.nan  # 4 s
    for start in range(0, len(samples), 768):  # 1.5 s lost, 1.5 s not
        samples[start : start + 384, 3] = np.nan
    events = [(event.message, event.fields) for event in judged(samples)[2]]
    of_c2 = [(message, fields) for message, fields in events if fields["channel"] == "c2"]
    assert [message for message, _ in of_c2] == ["channel c2 lost", "channel c2 good again"]
    assert of_c2[0][1] == {"channel": "c2", "state": "lost", "was": "good", "at_sample": 2048 + 256 - 1}
    assert {fields["channel"] for _, fields in events} == {"c2", "c3"}
    reported = (
        np.array([fields["at_sample"] for _, fields in events if fields["channel"] == "c3"]) / RATE_HZ
    )
    assert 2 <= len(reported) <= 6
    assert np.diff(reported).min() >= 5


def test_a_blink_makes_no_channel_bad_and_no_moment_makes_one_good():
    times, samples = eeg(8)
    for lost_s in (slice(2, 2.75), slice(4, 5.25)):
        samples[int(lost_s.start * RATE_HZ) : int(lost_s.stop * RATE_HZ), 2] = np.nan
    stage = StepStage(contract().modalities["eeg"], SHAPE, EEG_INFO)
    bad_from = []
    for start in range(0, len(times), 64):
        part = slice(start, start + 64)
        list(stage.push(Chunk.of(times[part], samples[part])))
        bad_from += [start / RATE_HZ] if stage.bad_channels == {"TP9": "lost"} else []
    assert bad_from == [4.75, 5.0, 5.25, 5.5, 5.75]  # after a second of loss until one of signal


def test_a_channel_that_is_bad_in_turns_is_bad():
    stage = ChannelQuality(["A"], ["uV"], 0.25, rails=(-9.0, 9.0))
    for number in range(6):
        values = np.full((64, 1), np.nan if number % 2 else 9.0)
        stage.push(Block(values, 64 * number, 64 * number + 63, 0.0, 0.0, 0.0, number, 0, None))
    assert stage.lasting[0] == stage.states[0] == LOST


def steps_of(stage, times, samples):
    return [step for _, step in stage.push(Chunk.of(times, samples)) if step is not None]


def test_a_contract_without_checks_gives_the_features_of_the_extractor_alone_bit_for_bit():
    times, samples = eeg(20)
    samples[2000:2100, 0], samples[3000:3010, 2], samples[3500, 3] = np.nan, 1e8, -np.inf
    samples[4000:, 4] = 3.0
    samples[2500:3500, 2] = samples[2500:3500, 2].clip(-2, 2)
    spec = contract(smoothing={"name": "none"}).modalities["eeg"]
    order = channel_order(spec, EEG_INFO)
    extractor = EXTRACTORS["de"](dict(spec.feature.params), spec.channels, RATE_HZ, 1.0, 0.25)
    expected = []
    for start in range(0, len(samples), HOP_N):
        block = np.ascontiguousarray(samples[start : start + HOP_N, order], dtype=np.float64)
        expected.append(extractor.push(block, ~(np.abs(block) <= 1e7)))
    found = steps_of(StepStage(spec, SHAPE, EEG_INFO), times, samples)
    for one, other in zip(found, expected[3:], strict=True):
        assert one.values.tobytes() == other.values.tobytes()
        assert (one.problem, one.filters_crc) == (other.problem, other.filters_crc)


def test_the_reason_names_kind_and_channels_until_the_filters_have_settled():
    times, samples = eeg(40)
    hurt = slice(15 * 256, 20 * 256)
    samples[hurt, 0] = samples[hurt, 0].clip(-8, 8)  # AF7
    samples[hurt, 2] = np.nan  # TP9
    samples[hurt, 4] *= 30  # AF8
    found = pipeline(eeg={"quality": CHECKS}).push("eeg", Chunk.of(times, samples))
    reason = "3 of 4 channels bad (no samples: TP9; railed: AF7; noisy: AF8)"
    bad = [one for one in found if one.status is Status.BAD_SIGNAL]
    assert {one.reason for one in bad} == {reason}
    assert bad[0].last_index == hurt.start + HOP_N - 1
    assert bad[-1].last_index > hurt.stop + 5 * RATE_HZ  # windows with echoes
    assert found[-1].status is Status.OK


def test_masked_samples_never_reach_the_features():
    times, samples = eeg(30)
    samples[10 * 256 : 12 * 256, 4] *= 1000
    spec = contract(quality=CHECKS).modalities["eeg"]
    steps = steps_of(StepStage(spec, SHAPE, EEG_INFO), times, samples)
    clean = steps_of(StepStage(spec, SHAPE, EEG_INFO), *eeg(30))
    np.testing.assert_allclose(steps[-1].values, clean[-1].values, atol=0.05)
    assert np.isnan(steps[45].values).sum() == 5


def test_the_stage_says_each_channels_state_and_what_changed():
    times, samples = eeg(10)
    samples[5 * 256 :, 2] = np.nan
    events = []
    stage = StepStage(contract().modalities["eeg"], SHAPE, EEG_INFO, emit=events.append)
    steps_of(stage, times, samples)
    assert stage.bad_channels == {"TP9": "lost"}
    assert [event.message for event in events] == ["channel TP9 lost"]


@cache
def values_with_a_loss(value, confidence=1.0):
    times, samples = eye(30)
    samples[1500:1524, :4], samples[1500:1524, 4] = value, confidence
    fields = contract().modalities["eye"].model_dump()
    fields["quality"]["sentinels"] = (0.0, -1.0)
    stage = StepStage(type(contract().modalities["eye"]).model_validate(fields), SHAPE, EYE_INFO)
    return [step.values for step in steps_of(stage, times, samples)]


OTHER_LOSSES = [pytest.param(value, 1.0, marks=pytest.mark.nightly) for value in (np.inf, -1.0)]


@pytest.mark.parametrize(("value", "confidence"), [(0.0, 1.0), (1e8, 1.0), (0.5, 0.1), *OTHER_LOSSES])
def test_every_loss_code_of_an_eye_tracker_gives_the_same_features(value, confidence):
    np.testing.assert_array_equal(values_with_a_loss(value, confidence), values_with_a_loss(np.nan))


def test_an_extractor_that_names_no_channels_gives_what_was_masked():
    times, samples = eye(30)
    fields = contract().modalities["eye"].model_dump()
    fields["quality"]["rails"] = (-2.0, 6.0)
    samples[2400:, 0] = 6.0
    stage = StepStage(type(contract().modalities["eye"]).model_validate(fields), SHAPE, EYE_INFO)
    assert steps_of(stage, times, samples)[-1].problem == "track lost 100 % of the step (railed: gaze_x)"


def test_the_pipeline_tells_of_channels_and_of_repaired_stamps():
    times, samples = eeg(20)
    times[3000:3050] = np.nan
    samples[3800:, 2] = np.nan
    made = pipeline()
    last = made.push("eeg", Chunk.of(times, samples))[-1]
    assert (last.status, last.reason) == (Status.OK, "")  # one channel of four is within the limit
    events = {event.kind: event for event in made.emitted}
    assert "gap" not in events
    assert events["stamps_repaired"].fields["samples"] == 50
    assert events["quality"].message == "eeg: channel TP9 lost"
    assert made.state("eeg").bad_channels == {"TP9": "lost"}
