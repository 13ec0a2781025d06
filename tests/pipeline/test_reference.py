"""A model's reference: common signals do not matter, chunks neither, and what cannot be is refused."""

from dataclasses import replace

import numpy as np
import pytest
from support.small_sessions import EEG_INFO, contract, eeg

from bci_m2s.model.stream_check import check_stream, stream_doubts
from bci_m2s.pipeline.steps import StepStage
from bci_m2s.types import Chunk


def steps(samples, info=EEG_INFO, size=64, **fields):
    spec = contract(**fields)
    times = 1000 + np.arange(len(samples)) / info.rate_hz
    stage, made = StepStage(spec.modalities["eeg"], spec.window, info), []
    for start in range(0, len(samples), size):
        part = slice(start, start + size)
        made += [step for _, step in stage.push(Chunk.of(times[part], samples[part])) if step is not None]
    return np.array([step.values for step in made]), [step.problem for step in made]


def common(n):
    """Something that all electrodes see against their reference, in microvolts."""
    return np.random.default_rng(9).normal(scale=40, size=(n, 1))


@pytest.mark.parametrize("reference", ["average", ["AUX"], ["aux", "TP9"]])
def test_what_the_recording_was_referred_to_does_not_matter(reference):
    _, samples = eeg(6.0)
    samples = samples.astype(np.float64)
    shifted = samples + common(len(samples))
    values, _ = steps(samples, reference=reference)
    again, _ = steps(shifted, reference=reference)
    np.testing.assert_allclose(values[5:], again[5:], atol=1e-6)
    as_recorded, _ = steps(samples)
    assert np.nanmax(np.abs(as_recorded[5:] - values[5:])) > 0.01
    assert np.nanmax(np.abs(as_recorded[5:] - steps(shifted)[0][5:])) > 1.0


@pytest.mark.parametrize("reference", ["average", ["AUX"]])
def test_chunks_do_not_change_a_bit(reference):
    _, samples = eeg(4.0)
    whole, _ = steps(samples, size=10_000, reference=reference)
    pieces, _ = steps(samples, size=7, reference=reference)
    np.testing.assert_array_equal(whole, pieces)


def test_a_reference_channel_that_does_not_move_gives_no_features_and_says_why():
    _, samples = eeg(4.0)
    samples[:, EEG_INFO.labels.index("AUX")] = 0.0
    values, problems = steps(samples, reference=["AUX"])
    assert np.isnan(values).all()
    assert problems[-1] == "4 of 4 channels bad (reference missing: TP9, AF7, AF8, TP10)"


def test_a_flat_channel_has_no_part_in_the_average():
    _, samples = eeg(4.0)
    samples[:, EEG_INFO.labels.index("AF7")] = 500.0
    values, problems = steps(samples, reference="average")
    assert "flat: AF7" in problems[-1]
    assert np.isnan(values[-1]).sum() == 5


@pytest.mark.parametrize(
    ("reference", "stated", "problem", "doubt"),
    [
        ("as recorded", "Cz", "", ""),
        ("average", "Cz", "", ""),
        (["AUX"], "Cz", "", ""),  # it is a channel of the stream
        (["Cz"], "cz", "", ""),
        (["Cz"], "", "", "reference: not stated; taken as the model's (Cz)"),
        (["Cz"], "average", "reference: got 'average', expected Cz, or these among the channels", ""),
        (["A1", "A2"], "linked ears", "", ""),
        (["M1", "M2"], "FCz", "reference: got 'FCz', expected M1 + M2, or these among the channels", ""),
    ],
)
def test_streams_state_a_reference_or_are_in_doubt(reference, stated, problem, doubt):
    spec = contract(reference=reference).modalities["eeg"]
    info = replace(EEG_INFO, reference=stated)
    problems = [str(each) for each in check_stream(spec, info)]
    assert problems == ([f"stream 'cap': {problem}"] if problem else [])
    doubts = [text for text in stream_doubts(spec, info) if "reference" in text]
    assert doubts == ([f"stream 'cap': {doubt}"] if doubt else [])
