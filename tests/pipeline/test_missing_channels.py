"""A cap that lacks a few of a model's channels, and channels that turn bad."""

from dataclasses import replace

import numpy as np
import pytest
from support.small_sessions import contract

from bci_m2s.model.channel_check import absent_channels
from bci_m2s.model.contract import Component
from bci_m2s.model.stream_check import check_stream, stream_doubts
from bci_m2s.pipeline.steps import StepStage
from bci_m2s.signal.interpolation import spline_weights
from bci_m2s.signal.windows import WindowAssembler
from bci_m2s.simulator.montage import known_positions
from bci_m2s.sources.facts import StreamFacts
from bci_m2s.types import Chunk, Status, StreamInfo

LABELS = ("FP1", "FP2", "F3", "F4", "C3", "C4", "P3", "P4", "O1", "O2", "F7", "F8")
CONTRACT = contract()
WINDOW = CONTRACT.window
UNSMOOTHED = Component(name="none")  # so that a step rests on its own second alone
PART = {"channels": LABELS, "units": ("uV",) * 12, "max_missing": 0.25, "smoothing": UNSMOOTHED}
SPEC = CONTRACT.modalities["eeg"].model_copy(update=PART)
RATE_HZ, SECONDS = 128.0, 14


def cap(*lacking):
    labels = tuple(label.title() for label in LABELS[::-1] if label not in lacking)
    return StreamInfo("cap", "EEG", rate_hz=RATE_HZ, labels=labels, units=("uV",) * len(labels))


def signal(info):
    """Every channel's own noise, the same whatever the cap has; offsets as electrodes have them."""
    n = round(SECONDS * RATE_HZ)
    rows = {label: np.random.default_rng(seed).normal(0, 20, n) for seed, label in enumerate(LABELS)}
    columns = [
        rows.get(label.upper(), np.zeros(n)) + 3000 * place for place, label in enumerate(info.labels)
    ]
    return 50 + np.arange(n) / RATE_HZ, np.column_stack(columns)


def run(facts, info, times, samples, spec=SPEC, edges=()):
    applied = facts.applied_to(info)
    assert check_stream(spec, applied) == []
    events, found = [], []
    stage = StepStage(spec, WINDOW, applied, facts, events.append)
    assembler = WindowAssembler(
        "eeg", WINDOW.steps, WINDOW.blocks_per_step, WINDOW.hop_s, 0.0, spec.max_missing
    )
    for start, stop in zip((0, *edges), (*edges, len(times)), strict=True):
        for block, step in stage.push(Chunk.of(times[start:stop], samples[start:stop])):
            found.append((step, assembler.push(step, block)))
    told = [event.fields["channels"] for event in events if event.kind == "filled"]
    assert told == [absent_channels(spec, info)] * bool(absent_channels(spec, info))
    return stage, found


def values(found):
    return np.array([step.values for step, _ in found if step is not None])


def test_a_cap_that_lacks_channels_is_refused_with_the_ways_out():
    (problem,) = check_stream(SPEC, cap("C3", "O2"))
    assert "got no 'C3', 'O2'" in str(problem)
    assert "`missing_channels: interpolate` or `training_mean` does without them" in str(problem)
    (problem,) = check_stream(SPEC, replace(cap(*LABELS[:4]), missing_channels="interpolate"))
    assert "at most 25% of them may be missing, 33% are" in str(problem)
    assert "does without" not in str(check_stream(SPEC, cap(*LABELS[:4]))[0])


def test_the_demos_eye_and_a_small_cap_cannot_be_interpolated():
    spec = CONTRACT.modalities["eye"].model_copy(update={"max_missing": 0.25})
    info = StreamInfo(
        "eye",
        "Gaze",
        rate_hz=120.0,
        labels=spec.channels[1:],
        units=spec.units[1:],
        missing_channels="interpolate",
    )
    (problem,) = check_stream(spec, info)
    assert "got 'interpolate' for the feature 'eye', expected `missing_channels: training_mean`" in str(
        problem
    )
    small = CONTRACT.modalities["eeg"].model_copy(update={"max_missing": 0.25})
    info = StreamInfo(
        "muse",
        "EEG",
        rate_hz=256.0,
        labels=small.channels[1:],
        units=("uV",) * 3,
        missing_channels="interpolate",
    )
    (problem,) = check_stream(small, info)
    assert "got 'interpolate' from 3 channels, expected 8 or more" in str(problem)


@pytest.mark.parametrize("reference", ["as recorded", "average"])
def test_what_is_interpolated_is_what_splines_of_the_signal_itself_would_give(reference):
    """Interpolation is linear and without memory: it changes places with filters and a reference."""
    spec = SPEC.model_copy(update={"reference": reference})
    info, facts = cap("C3", "O2"), StreamFacts(missing_channels="interpolate")
    times, samples = signal(info)
    stage, found = run(facts, info, times, samples, spec)
    good = [place for place, label in enumerate(LABELS) if label not in ("C3", "O2")]
    known = samples[:, ::-1]  # in the contract's order
    weights = spline_weights(known_positions(LABELS)[good], known_positions(LABELS)[[4, 9]])
    whole = np.empty((len(times), 12))
    whole[:, good], whole[:, [4, 9]] = known, known @ weights.T
    if reference == "average":
        whole = whole - known.mean(axis=1, keepdims=True)
    plain = replace(cap(), labels=LABELS)
    _, expected = run(StreamFacts(), plain, times, whole)
    np.testing.assert_allclose(values(found)[20:], values(expected)[20:], atol=1e-6)
    last = found[-1][1]
    assert (last.status, last.filled) == (Status.OK, "interpolated: C3, O2")
    assert stage.bad_channels == {}
    assert stream_doubts(spec, facts.applied_to(info))[-1].endswith(
        "'C3', 'O2' are not sent; they are interpolated"
    )


def test_without_interpolation_the_training_mean_stands_for_what_is_not_sent():
    info = cap("C3", "O2")
    _, found = run(StreamFacts(missing_channels="training_mean"), info, *signal(info))
    step, window = found[-1]
    assert np.isnan(step.values).sum() == 2 * len(step.values) // 12
    assert window.filled == "training mean: 2 of 12 channels bad (not sent: C3, O2)"


def test_bad_channels_are_interpolated_where_that_is_asked_for_and_only_while_they_are_bad():
    info = cap("C3")
    times, samples = signal(info)
    lost = info.labels.index("F4")
    samples[600:700, lost] = np.nan
    facts = StreamFacts(missing_channels="interpolate", bad_channels="interpolate")
    edges = sorted(np.random.default_rng(0).integers(0, len(times), 30).tolist())
    stage, found = run(facts, info, times, samples)
    _, again = run(facts, info, times, samples, edges=edges)
    for (step, window), (other, cut) in zip(found, again, strict=True):
        assert (window.status, window.filled) == (cut.status, cut.filled)
        if step is not None:
            np.testing.assert_array_equal(step.values, other.values)  # the same bits, whatever the chunks
            assert step.filters_crc == other.filters_crc
            assert not np.isnan(step.values).any()
    said = [window.filled for _, window in found if window.status is Status.OK]
    assert "interpolated: F4, C3" in "; ".join(said)
    assert stage.bad_channels == {}
    _, off = run(StreamFacts(missing_channels="interpolate"), info, times, samples)
    assert any("training mean: 1 of 12 channels bad (no samples: F4)" in window.filled for _, window in off)
    for (step, _), (other, _) in zip(found, off, strict=True):
        if step is not None and step.filled == other.filled:
            np.testing.assert_array_equal(step.values, other.values)
