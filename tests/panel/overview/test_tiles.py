"""What a tile says of a participant; no Qt, no network."""

import json
import math

import numpy as np
import pytest

from bci_m2s.lsl.formats import EstimateLayout
from bci_m2s.lsl.network import local_clock
from bci_m2s.panel.client.everybody import Member
from bci_m2s.panel.client.facts import parse_session
from bci_m2s.panel.overview.tiles import tile_of
from bci_m2s.types import Estimate, Stamps, Status

CLASSES = ("sad", "happy")
TEXT = json.dumps(
    {"session_id": "ab", "participant": "p01", "heads": {"emotion": CLASSES}, "modalities": ["eeg"]}
)
LAYOUT = EstimateLayout(CLASSES, ("eeg",))


@pytest.fixture
def member():
    return Member(parse_session(TEXT, "uid", "pc", 1.0, "bci_m2s-p01"))


def report(member, **values):
    import json

    values = {
        "state": "ok",
        "problems": [],
        "streams": [],
        "recording": {"file": "x"},
        "ended": "",
        **values,
    }
    member.take_status(0.0, [json.dumps(values)])


def answer(member, probabilities=(0.3, 0.7), status=Status.OK, unknown=False):
    now_s = local_clock()
    made = Estimate(
        modality="eeg",
        head="emotion",
        first_index=0,
        last_index=9,
        start_s=now_s - 5,
        end_s=now_s,
        status=status,
        reason="",
        probabilities=np.array(probabilities),
        confidence=max(probabilities),
        stamps=Stamps(last_sample_s=now_s - 0.02, published_s=now_s),
        unknown=unknown,
    )
    member.take_answer("emotion", LAYOUT, now_s, LAYOUT.pack(made))


def shown(member):
    (tile,) = [tile_of(member, local_clock())]
    ((_, found),) = tile.answers
    return tile, found


def test_a_sound_participant_has_class_confidence_and_age(member):
    report(member)
    answer(member)
    tile, found = shown(member)
    assert (tile.name, tile.session_id, tile.state, tile.words) == ("p01", "ab", "ok", "recording")
    assert (found.headline, found.number, found.place) == ("HAPPY", "0.70", 1)
    assert "age 20 ms" in found.detail


def test_before_the_first_report_and_window(member):
    tile, found = shown(member)
    assert (tile.state, tile.words, found.headline) == ("warn", "connecting", "no estimate")


@pytest.mark.parametrize(
    ("values", "state", "words"),
    [
        ({"recording": None}, "ok", "not recorded"),
        ({"state": "bad", "problems": ["markers gone"]}, "bad", "markers gone"),
        (
            {"state": "bad", "streams": [{"modality": "eeg", "state": "bad", "problem": ""}]},
            "bad",
            "eeg: silent",
        ),
        (
            {"state": "bad", "streams": [{"modality": "eeg", "state": "bad", "problem": "units: got V"}]},
            "bad",
            "eeg: units: got V",
        ),
        (
            {
                "state": "warn",
                "streams": [{"modality": "eeg", "state": "warn", "bad_channels": {"FZ": "flat"}}],
            },
            "warn",
            "eeg: 1 bad channel",
        ),
        ({"state": "bad", "recording": {"problem": "disk full"}}, "bad", "NOT RECORDED: disk full"),
        ({"state": ["nonsense"], "problems": 3, "streams": [7]}, "warn", "recording"),
        ({"ended": "stopped at the terminal"}, "gone", "ended: stopped at the terminal"),
    ],
)
def test_trouble_is_said_in_words_and_colour(member, values, state, words):
    report(member, **values)
    tile, _ = shown(member)
    assert (tile.state, tile.words) == (state, words)


def test_silence_of_the_engine_and_old_answers_are_never_shown_as_now(member):
    report(member)
    answer(member)
    member.status_received_s -= 10
    tile, _ = shown(member)
    assert (tile.state, tile.words) == ("bad", "nothing comes from the engine")
    (tile,) = [tile_of(member, local_clock() + 60)]
    assert tile.answers[0][1].headline == "no estimate"
    member.is_there = False
    assert tile_of(member, local_clock()).state == "gone"


def test_no_estimate_says_why(member):
    report(member)
    answer(member, (math.nan, math.nan), Status.BAD_SIGNAL)
    _, found = shown(member)
    assert (found.headline, found.detail) == ("no estimate", "too much of the signal is bad")
