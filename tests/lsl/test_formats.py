"""What is packed into a sample is read back from it, and what others send is read without harm."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bci_m2s.lsl.formats import (
    EstimateLayout,
    RecordLayout,
    code_names,
    event_line,
    evidence_channels,
    pack_evidence,
    parse_line,
    session_line,
    unpack_evidence,
)
from bci_m2s.types import Estimate, Event, Stamps, Status, Trace

CLASSES = ("negative", "neutral", "positive")
MODALITIES = ("eeg", "eye")
COMBINATIONS = ("eeg", "eye", "eeg+eye")
OUTLET = EstimateLayout(CLASSES, COMBINATIONS)
RECORD = RecordLayout(CLASSES, MODALITIES, COMBINATIONS)

share = st.floats(0, 1, width=32)
crc = st.integers(0, 2**32 - 1)
index = st.integers(0, 2**40)


@st.composite
def estimates(draw: Any) -> Estimate:
    """Any estimate that the engine can publish."""
    made_by = draw(st.sampled_from(COMBINATIONS))
    status = draw(st.sampled_from(list(Status)))
    shares = np.array(draw(st.lists(share, min_size=3, max_size=3)), np.float64)
    if status is not Status.OK:
        shares[:] = math.nan
    common = {
        "head": "emotion",
        "start_s": 0.0,
        "end_s": draw(st.floats(-1e9, 1e9)),
        "status": status,
        "reason": "",
        "probabilities": shares,
        "confidence": float(shares.max()),
        "stamps": Stamps(last_sample_s=draw(st.floats(0, 1e6)), published_s=draw(st.floats(0, 1e6))),
        "unknown": draw(st.booleans()),
    }

    def part(modality: str, **more: Any) -> Estimate:
        first, trace = draw(index), Trace(draw(crc), draw(crc), draw(crc))
        return Estimate(modality, first_index=first, last_index=first + 1000, trace=trace, **common, **more)

    parts = tuple(part(name) for name in made_by.split("+"))
    return part(made_by, parts=parts) if len(parts) > 1 else parts[0]


@given(estimates())
def test_an_estimate_comes_back_from_the_outlet(estimate: Estimate) -> None:
    sample = OUTLET.pack(estimate)
    assert len(sample) == len(OUTLET.labels) == len(OUTLET.units)
    sent = OUTLET.unpack(sample)
    np.testing.assert_array_equal(sent.probabilities, np.float32(estimate.probabilities))
    assert sent.combination == estimate.modality
    assert (sent.status, sent.unknown) == (estimate.status, estimate.unknown)
    np.testing.assert_allclose(sent.age_s, estimate.stamps.age_s, rtol=1e-6, atol=1e-30)
    np.testing.assert_equal(sent.confidence, float(np.float32(estimate.confidence)))


@given(estimates())
def test_an_estimate_comes_back_from_a_recording_bit_for_bit(estimate: Estimate) -> None:
    sample = RECORD.pack(estimate)
    assert len(sample) == len(RECORD.labels) == len(RECORD.units)
    back = RecordLayout.read(RECORD.labels, COMBINATIONS).unpack(sample)
    assert back.probabilities.tobytes() == estimate.probabilities.tobytes()
    assert (back.status, back.unknown, back.combination) == (
        estimate.status,
        estimate.unknown,
        estimate.modality,
    )
    stamps = (estimate.stamps.age_s, estimate.stamps.last_sample_s, estimate.end_s)
    assert (back.age_s, back.last_sample_s, back.end_s) == stamps
    parts = estimate.parts or (estimate,)
    assert list(back.windows) == [part.modality for part in parts]
    for part in parts:
        window = back.windows[part.modality]
        assert (window.first_sample, window.last_sample) == (part.first_index, part.last_index)
        assert window.trace == part.trace


@given(st.lists(st.floats(), min_size=len(RECORD.labels), max_size=len(RECORD.labels)))
def test_any_numbers_are_read_without_harm(values: list[float]) -> None:
    back = RECORD.unpack(np.array(values))
    assert -1 <= back.status < 1e6
    assert back.combination in ("", *COMBINATIONS)
    sent = OUTLET.unpack(values[: len(OUTLET.labels)])
    assert -1 <= sent.status < 1e6
    assert sent.combination in ("", *COMBINATIONS)
    assert all(-1 <= code < 1e6 for code in unpack_evidence(values)[1:])


def test_another_number_of_channels_is_refused() -> None:
    with pytest.raises(ValueError, match="got 4 channels, expected 8"):
        OUTLET.unpack([0.0] * 4)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (CLASSES, "no channel 'confidence'"),
        (RECORD.labels[:-1], "got channel '', expected 'end_s'"),
        ((*RECORD.labels[:-2], "end_s", "last_sample_s"), "got channel 'end_s', expected 'last_sample_s'"),
    ],
)
def test_channels_of_something_else_are_refused(labels: tuple[str, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        RecordLayout.read(labels)


@given(st.lists(st.floats(width=32, allow_nan=False), max_size=9), st.integers(0, 7), st.integers(0, 63))
def test_evidence_comes_back(values: list[float], head: int, class_index: int) -> None:
    names = tuple(f"f{number}" for number in range(len(values)))
    sample = pack_evidence(np.array(values), head, class_index)
    labels, units = evidence_channels(names)
    assert len(sample) == len(labels) == len(units)
    back, *codes = unpack_evidence(sample)
    assert back.tolist() == values
    assert codes == [head, class_index]


def test_codes_have_names_that_xml_may_have() -> None:
    assert code_names(COMBINATIONS)["modality"] == {"eeg": 0, "eye": 1, "eeg_and_eye": 2}
    assert code_names(())["status"]["bad_signal"] == 5


def test_lines_of_events() -> None:
    event = Event("marker", "Ärger", math.nan, 0.5, {"text": "a", "left_s": math.inf})
    line = parse_line(event_line(event))
    assert line["utc"] == "1970-01-01T00:00:00.500+00:00"
    assert (line["message"], line["local_s"], line["left_s"]) == ("Ärger", None, None)
    assert parse_line(session_line({"mode": "live"})) == {"kind": "session", "session": {"mode": "live"}}


@pytest.mark.parametrize("text", ["", "[]", "3", "{", "[" * 100_000, json.dumps("x")])
def test_what_is_no_event(text: str) -> None:
    with pytest.raises(ValueError, match=r"nested|not a JSON object|Expecting"):
        parse_line(text)
