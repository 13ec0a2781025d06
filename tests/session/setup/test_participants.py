"""Pipelines of several participants: what each one's pipeline is, and what is refused."""

from __future__ import annotations

import pytest
import yaml
from support.recorded_sessions import write_pipeline

from bci_m2s.errors import ConfigurationError
from bci_m2s.session.participants.run import named_by
from bci_m2s.session.setup import build
from bci_m2s.session.setup.participants import plans_of
from bci_m2s.types import StreamInfo


def plans(tmp_path, participants, streams=None, **settings):
    streams = streams or {"eeg": {"name": "Amp-{id}", "wait_s": 3.0}}
    path = write_pipeline(tmp_path, streams=streams, participants=participants, **settings)
    return plans_of(build.make_plan(str(path)))


def refused(tmp_path, participants, **settings):
    with pytest.raises(ConfigurationError) as caught:
        plans(tmp_path, participants, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_id_takes_its_place_in_every_text_of_streams_markers_and_outlet(tmp_path):
    made = plans(
        tmp_path,
        ["p01", "p02"],
        {"eeg": {"name": "Amp-{id}", "source_id": "{id}-x-{id}"}},
        markers={"name": "keys {id}"},
    )
    assert list(made) == ["p01", "p02"]
    settings = made["p02"].settings
    assert (settings.streams["eeg"].name, settings.streams["eeg"].source_id) == ("Amp-p02", "p02-x-p02")
    assert settings.markers.name == "keys p02"
    assert settings.outlet.name == "bci_m2s-p02"
    assert settings.participants == {}
    assert made["p01"].tensors is made["p02"].tensors  # one model


def test_an_outlet_says_where_the_id_is(tmp_path):
    made = plans(tmp_path, ["a", "b"], outlet={"name": "{id} of class 3"})
    assert made["b"].settings.outlet.name == "b of class 3"


def test_a_participant_may_have_keys_of_their_own(tmp_path):
    own = {"streams": {"eeg": {"name": "Other", "unit": "uV"}}}
    made = plans(tmp_path, {"p01": None, "p07": own, "p08": {"streams": {"eeg": {"name": "X {id}"}}}})
    assert [plan.settings.streams["eeg"].name for plan in made.values()] == ["Amp-p01", "Other", "X p08"]
    assert made["p07"].settings.streams["eeg"].wait_s == 3.0  # the rest is that of all
    simulated = {"source": "simulated", "stream": "eeg", "subject": 3}
    (tmp_path / "other").mkdir()
    made = plans(tmp_path / "other", {"p01": {}, "sim": {"streams": {"eeg": simulated}}})
    assert made["sim"].settings.streams["eeg"].source == "simulated"


@pytest.mark.parametrize(
    ("participants", "words"),
    [
        (["p01", "../p02"], "participants.../p02"),
        (["p01", ""], "1 to 32 letters"),
        (["p01", "P01"], "case"),
        (["p01", "p01"], "each id once"),
        ([], "participants: got [], expected at least one id"),
        (["p01", 2], "participants.1: got 2, expected an id as text, in quotes"),
        (["p01", True], "participants.1: got true, expected an id as text, in quotes"),
        (["p01", "con"], "participants.con: got 'con', expected an id that is no device on Windows"),
        (["p01", "LPT9"], "participants.LPT9: got 'LPT9', expected an id that is no device"),
        (["p01", "nul.txt"], "1 to 32 letters"),
        (["p01", "p02."], "1 to 32 letters"),
        (["p01", "p02 "], "1 to 32 letters"),
        (["p01", "take-2"], "participants.take-2: got 'take-2', expected an id that is no take's folder"),
        ({"p01": {}, "p02": {"streams": {"egg": {"name": "x"}}}}, "p02.streams.egg: got 'egg'"),
        ({"p01": {"stream": {}}}, "unknown key; nearest: 'streams'"),
        ({"p01": {"streams": {"eeg": {"nam": "x"}}}, "p02": {}}, "unknown key; nearest: 'name'"),
        ([f"p{n}" for n in range(65)], "at most 64"),
    ],
)
def test_what_is_no_participant_is_refused_in_a_line(tmp_path, participants, words):
    assert words in refused(tmp_path, participants)


def test_two_participants_with_the_same_streams_are_refused(tmp_path):
    words = refused(tmp_path, ["p01", "p02"], streams={"eeg": {"type": "EEG"}})
    assert "'p01' and 'p02' have the same 'eeg' stream" in words
    assert "{id}" in words


@pytest.mark.parametrize("second", ["p01-status", "p01-evidence-eeg"])
def test_ids_that_give_two_streams_one_name_are_refused(tmp_path, second):
    words = refused(tmp_path, [second, "p01"])
    assert words.startswith(f"{tmp_path / 'small.yaml'}:")
    assert (
        f"participants.p01: got 'p01', whose stream 'bci_m2s-{second}' would have the name of one of "
        f"{second!r}; expected ids with which all names of streams differ"
    ) in words


@pytest.mark.parametrize("outlet", [{"enabled": False}, {"name": "{id} of class 3"}])
def test_the_same_ids_are_fine_where_their_streams_have_other_names_or_none(tmp_path, outlet):
    assert len(plans(tmp_path, ["p01", "p01-status"], outlet=outlet)) == 2


def test_an_id_may_be_another_with_more_behind_it_and_devices_inside_of_names_are_fine(tmp_path):
    assert len(plans(tmp_path, ["p01", "p01-2", "p01_status", "console", "aux-1", "take-two"])) == 6


def test_one_stream_in_common_is_refused_whatever_else_is_said_of_it(tmp_path):
    own = {"streams": {"eeg": {"name": "Amp-p01", "unit": "mV"}}}
    assert "'p01' and 'p02' have the same 'eeg' stream" in refused(tmp_path, {"p01": {}, "p02": own})


def test_one_stream_in_common_is_refused_where_the_others_differ(tmp_path):
    path = tmp_path / "pair.yaml"
    streams = {"eeg": {"name": "Amp-{id}"}, "eye": {"type": "Gaze"}}
    path.write_text(
        yaml.safe_dump({"model": "demo-62ch-eye", "participants": ["p01", "p02"], "streams": streams})
    )
    with pytest.raises(ConfigurationError, match="'p01' and 'p02' have the same 'eye' stream"):
        plans_of(build.make_plan(str(path)))


def test_a_pipeline_of_one_person_has_no_participants(tmp_path):
    path = write_pipeline(tmp_path)
    assert "participants" not in yaml.safe_load(path.read_text())
    assert plans_of(build.make_plan(str(path))) == {}


def test_a_stream_that_is_named_for_somebody_is_nobody_elses(tmp_path):
    is_named = named_by(plans(tmp_path, ["p01", "p02"], markers={"name": "keys {id}"}))
    assert is_named(StreamInfo("keys p02", "Markers"))
    assert is_named(StreamInfo("Amp-p01", "EEG"))
    assert not is_named(StreamInfo("PsychoPy", "Markers"))
    assert not is_named(StreamInfo("keys p03", "Markers"))
