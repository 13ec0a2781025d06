"""A session describes itself once; who replays reads it strictly, who looks takes what makes sense."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from support.nightly import tries

from bci_m2s.files.explain import describe
from bci_m2s.lsl.description import (
    DisplayStream,
    ReplayableSession,
    SessionDescription,
    StreamDescription,
)
from bci_m2s.types import StreamInfo

INFO = StreamInfo("cap", "EEG", "id", "uid", "host", 256.0, ("Fp1", "Fp2"), ("µV", "µV"), "float32")
VALUES: dict[str, Any] = {
    "bci_m2s": "0.2.0",
    "mode": "live",
    "session_id": "a" * 32,
    "operator_note": {"room": 3},
    "pipeline": {
        "file": "lab.yaml",
        "modality": "auto",
        "streams": {"eeg": {"source": "lsl"}},
        "threads": 2,
    },
    "model": {"name": "small", "file": "small.safetensors", "sha256": "0" * 64, "simulated": False},
    "heads": {"emotion": ["negative", "positive"]},
    "coordinates": {"emotion": {"negative": [-1, 0.5], "positive": [1, 0.5]}},
    "modalities": ["eeg"],
    "voices": ["eeg"],
    "streams": {"eeg": StreamDescription.of(INFO).values()},
    "device": "cpu",
    "versions": {"numpy": "2.0"},
}


def with_value(place: tuple[str, ...], value: Any) -> dict[str, Any]:
    """The values with one of them replaced, or taken out where `value` is an ellipsis."""
    values: dict[str, Any] = json.loads(json.dumps(VALUES))
    inner = values
    for part in place[:-1]:
        inner = inner[part]
    if value is ...:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    return values


def test_what_is_written_is_read_back_whole():
    written = SessionDescription.model_validate(VALUES)
    assert written.values() == VALUES
    assert yaml.safe_load(yaml.safe_dump(written.values())) == VALUES
    for read in (SessionDescription.strict(written.values()), SessionDescription.lenient(written.values())):
        assert read.values() == VALUES
        assert read.streams["eeg"].info() == INFO
        assert read.combinations == ("eeg",)


def test_a_copy_with_more_keeps_the_rest():
    shown = SessionDescription.model_validate(VALUES)
    panel = DisplayStream(source_id="raw", type="bci_m2s-raw")
    streams = {"eeg": shown.streams["eeg"].model_copy(update={"panel": panel})}
    values = shown.model_copy(update={"streams": streams, "take": 2}).values()
    assert values.pop("take") == 2
    assert values["streams"]["eeg"].pop("panel") == {"source_id": "raw", "type": "bci_m2s-raw"}
    assert values == VALUES


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (("model",), ..., "model: got nothing, expected a value"),
        (("model",), None, "model: got nothing, expected"),
        (("model", "sha256"), "0", "model.sha256: got '0', expected"),
        (("streams", "eeg", "rate_hz"), "fast", "streams.eeg.rate_hz: got 'fast', expected a number"),
        (("streams", "eeg", "rate_hz"), 1e9, "streams.eeg.rate_hz: got 1000000000.0, expected less than"),
        (("streams", "eeg", "labels"), [], "streams.eeg.labels: got [], expected at least 1 of these"),
        (("streams", "eeg", "labels"), [None], "streams.eeg.labels.0: got nothing, expected text"),
        (("streams",), {}, "streams: got {}, expected at least 1 of these"),
        (("heads",), {"h": "abc"}, "heads.h: got 'abc' (text), expected a list"),
        (("pipeline",), [], "pipeline: got [] (a list), expected a mapping"),
        (("device",), ..., "device: got nothing, expected a value"),
    ],
)
def test_who_replays_refuses_and_who_looks_leaves_out(place, value, words):
    values = with_value(place, value)
    with pytest.raises(ValidationError) as caught:
        SessionDescription.strict(values)
    assert describe(caught.value, ReplayableSession).startswith(words)
    seen = SessionDescription.lenient(values)
    assert seen.session_id == VALUES["session_id"]
    assert seen.modalities == ("eeg",)


def test_texts_to_show_are_printable_and_short_and_those_to_look_up_exact():
    values = with_value(("streams", "eeg", "name"), "c\nap")
    values["heads"] = {"e\x1bmotion": ["n" * 500, "p"]}
    seen = SessionDescription.lenient(values)
    assert seen.streams["eeg"].name == "c\nap"
    ((head, classes),) = seen.heads.items()
    assert head == "e?motion"
    assert (len(classes[0]), classes[1]) == (200, "p")


anything = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=4) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=tries(40, 400))
@given(st.dictionaries(st.sampled_from(sorted(SessionDescription.model_fields)), anything) | anything)
def test_nonsense_is_never_an_error(values):
    seen = SessionDescription.lenient(values)
    assert seen.simulated in ((), ("model",), ("signals",), ("model", "signals"))
    json.dumps(seen.values())


def test_what_is_simulated():
    assert SessionDescription.lenient(VALUES).simulated == ()
    made_up = with_value(("pipeline", "streams", "eeg", "source"), "simulated")
    made_up["model"]["simulated"] = True
    assert SessionDescription.lenient(made_up).simulated == ("model", "signals")
    assert SessionDescription.lenient({"simulated_signals": {"seed": 0}}).simulated == ("signals",)
