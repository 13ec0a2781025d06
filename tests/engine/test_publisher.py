"""Answers of the past are not given as answers of now."""

from __future__ import annotations

import math

import numpy as np
import pytest
from support.recorded_sessions import chunks_of, record_session
from support.small_sessions import Collector, eeg

from bci_m2s.engine.publisher import Publisher
from bci_m2s.recording.recorded import open_recording
from bci_m2s.review.verify import verify
from bci_m2s.types import Estimate, Stamps, Status

HEADS = {"emotion": ("a", "b")}


def estimate(last_sample_s, status=Status.OK):
    made = status is Status.OK
    return Estimate(
        modality="eeg",
        head="emotion",
        first_index=0,
        last_index=9,
        start_s=0.0,
        end_s=last_sample_s,
        status=status,
        reason="" if made else "why",
        probabilities=np.array([0.25, 0.75]) if made else np.full(2, np.nan),
        confidence=0.75 if made else math.nan,
        stamps=Stamps(last_sample_s=last_sample_s, received_s=last_sample_s),
    )


def published(item, late_after_s, clock=lambda: 100.0):
    publisher, sink = Publisher(HEADS, 0.25, clock, late_after_s=late_after_s), Collector()
    publisher.attach([sink])
    publisher.complete()
    publisher.put(item)
    while publisher.step():
        """Until all is out."""
    return sink.estimates[0]


@pytest.mark.parametrize("age_s", [0.01, 4.9])
def test_a_recent_answer_is_given(age_s):
    given = published(estimate(100.0 - age_s), 5.0)
    assert (given.status, given.confidence) == (Status.OK, 0.75)


def test_an_old_answer_has_a_status_of_its_own():
    given = published(estimate(77.0), 5.0)
    assert given.status is Status.LATE
    assert given.reason == "the answer came 23.0 s after its samples"
    assert np.isnan(given.probabilities).all()
    assert math.isnan(given.confidence)
    assert given.label(HEADS["emotion"]) == ""


def test_what_is_no_answer_keeps_its_reason_and_without_a_clock_nothing_is_late():
    assert published(estimate(77.0, Status.GAP), 5.0).reason == "why"
    assert published(estimate(math.nan), 5.0).status is Status.OK


def test_a_recording_with_late_answers_verifies(tmp_path):
    path = record_session(tmp_path / "session", {"eeg": chunks_of(*eeg(16))}, age_s=23.0, late_after_s=5.0)
    result = verify(path)
    assert result.first is None
    assert result.made == 0
    (estimates,) = [
        stream for stream in open_recording(path).streams if stream.info.type == "bci_m2s-estimates"
    ]
    codes = estimates.read(0, estimates.n_samples)[:, estimates.info.labels.index("status")]
    assert (codes == Status.LATE).sum() > 10
    assert (codes == Status.OK).sum() == 0
