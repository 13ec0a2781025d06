"""Which view gets what: decided between the client and the views, without any network."""

import itertools
import json
import math
from contextlib import closing

import numpy as np
import pytest
from PyQt6.QtWidgets import QWidget
from support.nightly import nightly
from support.panel_windows import markers_of

from bci_m2s.lsl.network import local_clock
from bci_m2s.panel.answer.answer import AnswerView
from bci_m2s.panel.answer.plane import PlaneView
from bci_m2s.panel.answer.sparkline import Sparkline
from bci_m2s.panel.client.answers import Answer
from bci_m2s.panel.client.client import EvidenceSample
from bci_m2s.panel.client.facts import heads_in_plane, is_eye_tracker, line_name, parse_session
from bci_m2s.panel.controls.status_line import StatusLine
from bci_m2s.panel.controls.stream_table import COLUMNS, StreamTable
from bci_m2s.panel.head.topography import TopographyView
from bci_m2s.panel.layout import Arrangement, Views
from bci_m2s.panel.look.theme import DARK
from bci_m2s.panel.presenter import Presenter
from bci_m2s.panel.timeline.timeline import TimelineView
from bci_m2s.panel.traces.channel_rows import ChannelRows
from bci_m2s.panel.traces.eye_rows import EyeRows
from bci_m2s.types import Status

CLASSES = ("negative", "neutral", "positive")
PLACES = {"negative": [-1, 0.5], "neutral": [0, 0], "positive": [1, 0.5]}
EEG = {"name": "cap", "type": "EEG", "rate_hz": 250.0, "labels": ["FZ", "CZ", "PZ", "O1", "T8"]}
EYE = {"name": "tracker", "rate_hz": 120.0, "labels": ["gaze_x", "gaze_y", "pupil_left", "pupil_right"]}
BANDS = ("delta", "theta", "alpha", "beta", "gamma")
FEATURES = [f"{label}.{band}" for label in EEG["labels"] for band in BANDS]
_numbers = itertools.count()


def session(**changes):
    """Facts of a session, each one another."""
    said = {
        "modalities": ["eeg", "eye"],
        "streams": {"eeg": EEG, "eye": EYE},
        "heads": {"emotion": list(CLASSES)},
        "coordinates": {"emotion": PLACES},
        "features": {"eeg": FEATURES},
        **changes,
    }
    return parse_session(json.dumps(said), f"uid-{next(_numbers)}", "host", 0.0, "name")


class Client:
    """What the presenter asks of a client, by hand."""

    def __init__(self):
        self.facts, self.status, self.readers, self.ended = None, {}, {}, ""
        self.stranger = self.twins = ""
        self.status_received_s = local_clock()
        self.answers, self.evidence = [], []

    def take_answers(self):
        taken, self.answers = self.answers, []
        return taken

    def take_evidence(self):
        taken, self.evidence = self.evidence, []
        return taken


class Reader:
    """A raw stream of which everything has come at once."""

    def __init__(self, *chunks):
        self._chunks = list(chunks)

    def take(self):
        return self._chunks.pop(0) if self._chunks else None


@pytest.fixture
def client():
    return Client()


@pytest.fixture(scope="module")
def views(qapp):
    assert qapp is not None
    return Views(
        status=StatusLine(DARK),
        answer=AnswerView(DARK),
        plane=PlaneView(DARK),
        head_map=TopographyView(DARK),
        timeline=TimelineView(DARK),
        table=StreamTable(DARK),
        latency=Sparkline(DARK, "age", "ms"),
    )


@pytest.fixture(scope="module")
def arrangement(views):
    """Shared, as making a plot takes long: to a presenter each session is another one anyway."""
    with closing(Arrangement(views, QWidget(), QWidget(), QWidget(), QWidget())) as made:
        made.show()
        yield made


@pytest.fixture
def place(arrangement):
    arrangement.resize(1920, 1080)
    return arrangement


@pytest.fixture
def presenter(client, views, place):
    views.timeline.set_session(local_clock() - 1e6)  # else that of the last test goes on
    made = Presenter(client, views, place, DARK)
    yield made
    for view in made.traces.values():
        view.hide()
        view.setParent(None)
        view.deleteLater()


@pytest.fixture
def points(views, monkeypatch):
    """What the plane is given."""
    given = []
    monkeypatch.setattr(views.plane, "add", lambda *point: given.append(point))
    return given


def answer(head="emotion", probabilities=(0.1, 0.2, 0.7), modality="eeg", **changes):
    fields = {
        "stamp_s": local_clock(),
        "probabilities": np.array(probabilities, dtype=float),
        "confidence": max(probabilities),
        "age_ms": 6.0,
        "status": Status.OK,
        **changes,
    }
    return Answer(head=head, modality=modality, **fields)


def shown(presenter, client, *answers, **status):
    client.answers += answers
    client.status = {"elapsed_s": 1.0, **status}
    presenter.numbers()


# ---- which place an estimate has ----


def test_each_modality_has_a_place_unless_they_are_combined(presenter, client, views):
    client.facts = session()
    shown(presenter, client, answer(), answer(modality="eye", probabilities=(1, 0, 0)))
    assert list(views.answer.blocks) == [("eeg", "emotion"), ("eye", "emotion")]
    assert [block.shown.headline for block in views.answer.blocks.values()] == ["POSITIVE", "NEGATIVE"]
    for mode in ("auto", "fused"):
        client.facts = session(pipeline={"modality": mode}, voices=["eeg", "eye", "eeg+eye"])
        shown(
            presenter, client, answer(modality="eeg+eye", probabilities=(1, 0, 0)), answer(modality="eye")
        )
        (block,) = views.answer.blocks.values()
        assert block.shown.headline == "POSITIVE"
        assert "eye" in block.shown.detail
        assert views.timeline.combo.count() == 1


def test_names_of_lines():
    one = session()
    assert line_name(one, "eeg", "emotion") == "EEG"
    assert line_name(one, "", "emotion") == "emotion"
    two = session(heads={"valence": ["low", "high"], "arousal": ["low", "high"]})
    assert line_name(two, "eye", "valence") == "eye · valence"
    assert line_name(two, "", "arousal") == "arousal"


# ---- the plane ----

TWO_HEADS = {
    "heads": {"valence": ["low", "high"], "arousal": ["low", "high"], "stress": ["no", "yes"]},
    "coordinates": {
        "valence": {"low": [-1, 0], "high": [1, 0]},
        "arousal": {"low": [0, -1], "high": [0, 1]},
        "stress": {"no": [0, 0]},
    },
}


def test_a_point_lies_between_its_classes(presenter, client, points, views):
    client.facts = session()
    given = answer(probabilities=(0.1, 0.2, 0.7))
    shown(presenter, client, given)
    ((stamp_s, valence, arousal),) = points
    assert (stamp_s, valence, arousal) == pytest.approx((given.stamp_s, 0.6, 0.4))
    assert views.plane.isVisibleTo(views.plane.parentWidget())


def test_two_heads_make_one_point_and_wait_for_each_other(presenter, client, points):
    client.facts = session(**TWO_HEADS)
    assert heads_in_plane(client.facts) == ["valence", "arousal"]  # stress has a class without a place
    stamp_s = local_clock()
    shown(presenter, client, answer("valence", (0.2, 0.8), stamp_s=stamp_s))
    assert points == []
    shown(presenter, client, answer("stress", (0.2, 0.8), stamp_s=stamp_s))
    assert points == []
    shown(presenter, client, answer("arousal", (0.9, 0.1), stamp_s=stamp_s))
    assert points == [pytest.approx((stamp_s, 0.6, -0.8))]
    shown(presenter, client, answer("arousal", (0.9, 0.1), stamp_s=stamp_s + 0.25))  # another window
    assert len(points) == 1


def test_no_estimate_leaves_the_plane_without_a_point(presenter, client, points):
    client.facts = session()
    nothing = (math.nan,) * 3
    shown(presenter, client, answer(probabilities=nothing, status=Status.GAP))
    ((_, valence, arousal),) = points
    assert math.isnan(valence)
    assert math.isnan(arousal)


def test_the_second_modality_moves_the_point_only_while_the_first_does_not_answer(
    presenter, client, points
):
    client.facts = session()
    begun_s = local_clock() - 10

    def given(modality, after_s, **options):
        before = len(points)
        shown(presenter, client, answer(modality=modality, stamp_s=begun_s + after_s, **options))
        return len(points) > before

    assert given("eeg", 0.0)
    assert not given("eye", 0.1)
    assert given("eeg", 0.25)
    assert not given("eye", 1.9)  # the first one may be late
    refused = {"probabilities": (math.nan,) * 3, "status": Status.GAP}
    assert given("eeg", 2.0, **refused)  # a hole in its trail
    assert given("eye", 2.5)
    assert given("eye", 2.75)
    assert not given("eeg", 2.8, **refused)
    assert given("eeg", 3.0)  # it is back
    assert not given("eye", 3.1)


def test_without_coordinates_there_is_no_plane(presenter, client, views, points):
    client.facts = session(coordinates={"emotion": {"positive": [1, 1], "neutral": [0, 0]}})
    shown(presenter, client, answer())
    assert points == []
    assert views.plane.isHidden()


# ---- the head map ----


@pytest.fixture
def evidence(presenter, client, views, monkeypatch):
    """Gives the presenter a sample of evidence; returns what the map is given."""
    shown = []
    monkeypatch.setattr(views.head_map, "show_evidence", lambda *evidence: shown.append(evidence))

    def give(values, class_index=2, head=0, modality="eeg"):
        shown.clear()
        client.evidence = [EvidenceSample(modality, 0.0, np.asarray(values, float), head, class_index)]
        presenter.numbers()
        presenter.maps()
        return list(shown)

    return give


def test_evidence_lands_on_its_channels_whatever_the_order(client, evidence):
    names = [f"{label}.{band}" for label in ("t8", "O1", "CZ", "FZ") for band in BANDS[::-1]]
    order = np.random.default_rng(5).permutation(len(names))
    client.facts = session(features={"eeg": [names[place] for place in order]})
    cell = {name: float(number) for number, name in enumerate(names)}
    ((values, label),) = evidence([cell[names[place]] for place in order])
    assert label == "positive"
    for row, channel in enumerate(client.facts.streams["eeg"].labels):
        known = {"T8": "t8"}.get(channel, channel)
        for column, band in enumerate(BANDS):
            expected = cell.get(f"{known}.{band}", math.nan)  # PZ is not among the features
            assert values[row, column] == pytest.approx(expected, nan_ok=True)


def test_evidence_that_does_not_belong_is_ignored(client, evidence):
    client.facts = session()
    for count, changes in (
        (len(FEATURES) - 1, {}),
        (len(FEATURES) + 1, {}),
        (0, {}),
        (len(FEATURES), {"class_index": 3}),
        (len(FEATURES), {"class_index": -1}),
        (len(FEATURES), {"head": 1}),
        (len(FEATURES), {"modality": "eye"}),
        (len(FEATURES), {"modality": ""}),
    ):
        assert evidence(np.ones(count), **changes) == []
        assert len(evidence(np.ones(len(FEATURES)))) == 1  # the next one is taken


def test_features_without_channels_make_no_evidence(client, evidence):
    client.facts = session(features={"eeg": ["heart_rate", "blink_rate"]})
    assert evidence([1.0, 2.0]) == []


def test_samples_go_to_the_traces_and_the_first_head_to_the_map(presenter, client, views, monkeypatch):
    powers = []
    monkeypatch.setattr(views.head_map, "show_power", lambda values: powers.append(values))
    client.facts = session()
    presenter.numbers()
    assert isinstance(presenter.traces["eeg"].rows, ChannelRows)
    assert isinstance(presenter.traces["eye"].rows, EyeRows)
    times = local_clock() - 2 + np.arange(500) / 250
    sine = 10 * np.sin(2 * np.pi * 10 * times)[:, None] * [1, 2, 4, 8, 16]
    client.readers = {"eeg": Reader((times, sine.astype(np.float32)))}
    presenter.frame()
    presenter.maps()
    alpha = powers[-1][:, BANDS.index("alpha")]
    assert np.diff(alpha) == pytest.approx(20 * np.log10(2), abs=0.01)  # twice the amplitude each
    assert np.all(alpha > powers[-1][:, BANDS.index("gamma")] + 20)


def test_no_map_is_made_where_there_is_no_room_or_the_picture_is_held(presenter, client, place, evidence):
    client.facts = session()
    place.resize(1366, 768)
    assert evidence(np.ones(len(FEATURES))) == []
    place.resize(1920, 1080)
    presenter.set_frozen(True)
    assert evidence(np.ones(len(FEATURES))) == []
    presenter.set_frozen(False)
    assert len(evidence(np.ones(len(FEATURES)))) == 1


def test_time_that_passes_faster_has_no_past_on_this_clock(presenter, client, views, monkeypatch):
    begun = []
    monkeypatch.setattr(views.timeline, "set_session", lambda begin_s, _speed: begun.append(begin_s))
    for speed, elapsed_s in ((1.0, 40.0), (5.0, 0.0)):
        client.facts = session()
        shown(presenter, client, elapsed_s=40.0, protocol={"speed": speed})
        assert client.status_received_s - begun[-1] == pytest.approx(elapsed_s)


def test_where_time_passes_faster_the_timeline_says_that_its_axis_is_not_the_sessions(
    presenter, client, views
):
    said = []
    for speed in (1.0, 5.0):
        client.facts = session()
        shown(presenter, client, elapsed_s=40.0, protocol={"speed": speed})
        views.timeline.tick(local_clock() + 10.0)
        said.append(views.timeline._title.full_text)
    assert said == [
        "probability over session time (min:s)",
        "probability over real time (min:s); the session's passes up to 5 times as fast",
    ]


def test_where_time_passes_faster_a_marker_is_on_the_timeline_when_it_was_reported(
    presenter, client, views, monkeypatch
):
    placed = []
    monkeypatch.setattr(views.timeline, "add_marker", lambda at_s, text: placed.append((at_s, text)))
    client.facts = session()
    old, new = [local_clock() + 40.0, "check/start"], [local_clock() + 70.0, "baseline/start"]
    shown(presenter, client, protocol={"speed": 5.0}, markers=[old])
    assert placed == []
    client.status_received_s += 2.0
    shown(presenter, client, protocol={"speed": 5.0}, markers=[old, new])
    assert placed == [(client.status_received_s, "baseline/start")]


# ---- one session after another ----


def test_another_session_forgets_the_last(presenter, client, views):
    now_s = local_clock()
    client.facts = session()
    shown(presenter, client, answer(), markers=[[now_s, "old", "lab"]])
    assert markers_of(views.timeline) == ["old"]
    old = presenter.traces["eeg"]
    client.facts = session(modalities=["eeg"], streams={"eeg": {**EEG, "labels": ["A", "B", "C", "D"]}})
    shown(presenter, client, elapsed_s=50.0, markers=[[now_s, "new", "lab"]])
    assert markers_of(views.timeline) == ["new"]
    assert list(presenter.traces) == ["eeg"]
    assert presenter.traces["eeg"] is not old
    assert old.isHidden()
    assert old.parent() is None
    assert len(views.answer.blocks) == 1


def test_trace_settings_go_from_one_session_to_the_next(presenter, client):
    client.facts = session()
    presenter.numbers()
    presenter.traces["eeg"].rows.restore({"span_s": 20})
    montage = presenter.traces["eeg"].rows.montage
    client.facts = session(modalities=["eye"])
    presenter.numbers()
    assert presenter.trace_settings_now()[montage]["span_s"] == 20  # there is no trace view to ask
    client.facts = session(streams={"eeg": {**EEG, "labels": ["A", "B", "C", "D"]}})
    presenter.numbers()
    assert presenter.traces["eeg"].rows.settings()["span_s"] == 10  # another montage
    client.facts = session()
    presenter.numbers()
    assert presenter.traces["eeg"].rows.settings()["span_s"] == 20


def test_history_waits_for_the_first_status(presenter, client, views):
    row = {"classes": list(CLASSES), "t": [0.0], "p": [[0.2, 0.3, 0.5]], "share": [1.0]}
    marker = [client.status_received_s - 0.5, "early", "lab"]
    client.facts = session()
    presenter.numbers()
    presenter.load_history({"bin_s": 1.0, "lines": {"eeg": {"emotion": row}}, "markers": [marker]})
    assert markers_of(views.timeline) == []
    shown(presenter, client)
    assert markers_of(views.timeline) == ["early"]


def test_bad_channels_reach_traces_and_map(presenter, client, views):
    client.facts = session()
    bad = {"T8": "flat", "gone": "noisy"}
    shown(presenter, client, streams=[{"modality": "eeg", "bad_channels": bad}])
    assert presenter.traces["eeg"].rows.states["T8"] == "flat"
    assert views.head_map._bad == {"T8"}


def test_of_channels_that_are_judged_it_is_said_how_many_are_good(presenter, client, views):
    stream = {"modality": "eeg", "name": "Cap", "state": "ok"}
    for channels, words in (({"eeg": ["T8", "Fp1"]}, "● 2 of 2 good"), ({}, f"● {len(EEG['labels'])} of")):
        client.facts = session(channels=channels)
        shown(presenter, client, streams=[stream])
        assert views.table.table.item(0, COLUMNS.index("quality")).text().startswith(words)
    assert presenter.traces["eeg"].controls.used.full_text == ""  # it is not known which are used


def test_an_ended_session_stands_still(presenter, client, views):
    client.facts = session()
    shown(presenter, client, answer())
    client.ended = "stopped by the operator"
    shown(presenter, client, answer())
    for block in views.answer.blocks.values():
        assert block.shown.detail == "the session has ended: stopped by the operator"


# ---- nonsense ----

NONSENSE = (None, 7, -1, 1e308, "text", [], {}, [None], {"a": {}}, [[1]], True)
STATUS = ("elapsed_s", "streams", "markers", "recording", "latest", "problems", "take", "state", "ended")
STREAM = ("modality", "bad_channels", "state", "rate_hz", "measured_hz", "age_s", "baseline", "lost")


def test_a_status_of_wrong_types_is_survived(presenter, client):
    client.facts = session()
    values = (*NONSENSE, [{"modality": value} for value in NONSENSE])
    for key, value in itertools.product(STATUS, values):
        shown(presenter, client, answer(), **{key: value})
        presenter.frame()
        presenter.maps()


def test_a_stream_of_wrong_types_is_survived(presenter, client):
    client.facts = session()
    for key, value in itertools.product(STREAM, NONSENSE):
        shown(presenter, client, streams=[{"modality": "eeg", key: value}])


@pytest.mark.parametrize(
    "changes",
    [
        {"modalities": []},
        *nightly({"modalities": [], "pipeline": {"modality": "auto"}}, {"heads": {}}),
        {"streams": {}},
        {"streams": {"eeg": {"rate_hz": -5.0, "labels": EEG["labels"]}}},
        *nightly(
            {"streams": {"eeg": {"rate_hz": 1e300, "labels": EEG["labels"]}}},
            {"streams": {"eeg": {"rate_hz": 3.9, "labels": EEG["labels"]}}},
            {"streams": {"eeg": {"rate_hz": 200_000.0, "labels": EEG["labels"]}}},
        ),
        {"streams": {"eye": {**EYE, "rate_hz": 1e300}}},
        {"streams": {"eeg": {**EEG, "labels": ["same"] * 5}}},
        {"features": {"eeg": [""] * 20}},
    ],
)
def test_a_session_that_makes_no_sense_is_survived(presenter, client, changes):
    client.facts = session(**changes)
    for _ in range(2):
        client.evidence = [EvidenceSample("eeg", 0.0, np.ones(len(FEATURES)), 0, 0)]
        shown(presenter, client, answer(), answer(modality=""), answer(modality="eye"))
        presenter.frame()
        presenter.maps()
    client.facts = session()
    shown(presenter, client, answer())
    assert list(presenter.traces) == ["eeg", "eye"]


def test_eye_trackers_are_known_by_their_channels():
    facts = session()
    assert is_eye_tracker(facts.streams["eye"])
    assert not is_eye_tracker(facts.streams["eeg"])
