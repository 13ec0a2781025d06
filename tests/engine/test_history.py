"""The memory of a session: bounded, coarser as it grows, and nothing in it that is not so."""

import json
import math

import numpy as np
import pytest

from bci_m2s.engine.history import MARKER_CHARACTERS, MOST_BINS, MOST_MARKERS, History
from bci_m2s.types import Estimate, Stamps, Status

HEADS = {"emotion": ("negative", "neutral", "positive")}
NAN = math.nan


def made(at_s, *probabilities, status=Status.OK, head="emotion"):
    p = np.array(probabilities or [NAN] * 3)
    return Estimate(
        "eeg",
        head,
        0,
        9,
        0.0,
        1.0,
        status,
        "",
        p,
        float(p.max()),
        Stamps(published_s=at_s, last_sample_s=1e9),
    )


def test_means_shares_and_the_newest_status_of_a_second():
    history = History(HEADS)
    history.add(made(10.0, 0.2, 0.2, 0.6))
    history.add(made(10.25, 0.4, 0.2, 0.4))
    history.add(made(10.5, status=Status.GAP))
    history.add(made(10.75, 0.3, 0.2, 0.5))
    history.add(made(11.0, status=Status.GAP))
    values = history.as_json()
    assert json.loads(json.dumps(values, allow_nan=False)) == values
    assert values == {
        "bin_s": 1.0,
        "lines": {
            "": {
                "emotion": {
                    "classes": ["negative", "neutral", "positive"],
                    "t": [10.0, 11.0],
                    "p": [[0.3, 0.2, 0.5], [None, None, None]],
                    "share": [0.75, 0.0],
                    "status": [Status.OK, Status.GAP],
                }
            }
        },
        "markers": [],
    }


def test_a_second_of_silence_counts_as_a_second():
    history = History(HEADS, hop_s=0.25)
    for k in range(4):
        history.add(made(10.0 + k / 4, 1.0, 0.0, 0.0))
    history.add(made(10.9, status=Status.STALE))
    assert history.as_json()["lines"][""]["emotion"]["share"] == [0.5]


def test_seconds_without_any_answer_are_left_out():
    history = History(HEADS)
    for at_s in (10.0, 15.5, 15.75):
        history.add(made(at_s, 0.0, 0.0, 1.0))
    assert history.as_json()["lines"][""]["emotion"]["t"] == [10.0, 15.0]


def test_bins_double_and_sums_stay():
    history, rng = History(HEADS), np.random.default_rng(1)
    p = rng.dirichlet(np.ones(3), 3 * MOST_BINS)
    for second, row in enumerate(p):
        history.add(made(50.0 + second, *row))
    values = history.as_json()
    line = values["lines"][""]["emotion"]
    assert values["bin_s"] == 4.0
    assert len(line["t"]) == 3 * MOST_BINS / 4
    np.testing.assert_allclose(np.diff(line["t"]), 4.0)
    np.testing.assert_allclose(line["p"], p.reshape(-1, 4, 3).mean(axis=1), atol=6e-5)
    assert set(line["share"]) == {1.0}


def test_folding_keeps_the_newer_status_and_the_share():
    history = History(HEADS)
    history.add(made(0.0, 0.0, 0.0, 1.0))
    history.add(made(1.0, status=Status.BAD_SIGNAL))
    history.add(made(2.0, 0.0, 1.0, 0.0))  # second 3 has no answer
    history.add(made(float(MOST_BINS), 1.0, 0.0, 0.0))
    line = history.as_json()["lines"][""]["emotion"]
    assert line["t"] == [0.0, 2.0, float(MOST_BINS)]
    assert line["status"] == [Status.BAD_SIGNAL, Status.OK, Status.OK]
    assert line["share"] == [0.5, 1.0, 1.0]
    assert line["p"] == [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]


def test_a_clock_that_leaps_a_century_costs_no_memory():
    history = History(HEADS)
    history.add(made(0.0, 1.0, 0.0, 0.0))
    history.add(made(3.2e9, 0.0, 1.0, 0.0))
    history.add(made(-5.0, 0.0, 0.0, 1.0))  # backward: in the first bin
    values = history.as_json()
    assert values["bin_s"] * MOST_BINS > 3.2e9
    assert values["lines"][""]["emotion"]["p"] == [[0.5, 0.0, 0.5], [0.0, 1.0, 0.0]]


@pytest.mark.parametrize("estimate", [made(NAN, 1.0, 0.0, 0.0), made(1.0, 1.0, 0.0, 0.0, head="other")])
def test_what_has_no_place_is_left_out(estimate):
    history = History(HEADS)
    history.add(estimate)
    assert history.as_json()["lines"] == {}


def test_lines_stand_side_by_side():
    history = History({"valence": ("low", "high")})
    history.add(made(1.0, 0.25, 0.75, head="valence"), "eeg")
    history.add(made(1.1, 0.5, 0.5, head="valence"), "eye")
    values = history.as_json()
    assert list(values["lines"]) == ["eeg", "eye"]
    assert values["lines"]["eeg"]["valence"]["p"] == [[0.25, 0.75]]
    assert values["lines"]["eye"]["valence"]["p"] == [[0.5, 0.5]]


def test_the_newest_markers_are_kept():
    history = History(HEADS)
    for number in range(MOST_MARKERS + 5):
        history.mark(number + 0.123456, f"m{number}", "operator")
    history.mark(NAN, "no stamp", "box")
    markers = history.as_json()["markers"]
    assert len(markers) == MOST_MARKERS
    assert markers[0] == [6.1235, "m6", "operator"]
    assert markers[-1] == [None, "no stamp", "box"]
    assert [text for _, text, _ in history.newest_markers(2)] == [f"m{MOST_MARKERS + 4}", "no stamp"]


def test_a_whole_history_is_short_enough_to_send():
    history = History(HEADS)
    for second in range(MOST_BINS):
        history.add(made(1e5 + second, 0.1234, 0.2345, 0.6421))
    for number in range(MOST_MARKERS):
        history.mark(1e5 + number, "😀" * 1000, "operator")  # 12 bytes each as JSON
    values = history.as_json()
    assert len(json.dumps(values)) < 4 * 1024 * 1024
    assert {text for _, text, _ in values["markers"]} == {"😀" * MARKER_CHARACTERS}
