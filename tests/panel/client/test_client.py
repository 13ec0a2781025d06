"""The panel's client against real LSL outlets."""

import json

import numpy as np
import pylsl
import pytest
from support.panel_sessions import CLASSES, EEG_LABELS, FakeSession, until

from bci_m2s.panel.client.client import SessionClient
from bci_m2s.panel.client.facts import parse_session
from bci_m2s.session.control.rendezvous import folder_path
from bci_m2s.types import Status

pytestmark = pytest.mark.live


@pytest.fixture
def session():
    made = FakeSession()
    yield made
    made.close()


@pytest.fixture
def client(session):
    made = SessionClient(session.session_id)
    made.start()
    until(lambda: made.facts is not None, "no session was found")
    yield made
    made.close()


def answers_of(client, session, **estimate):
    found = []

    def some():
        session.estimate(**estimate)
        found.extend(client.take_answers())
        return found

    until(some, "no estimate came")
    return found


def test_finds_the_session_and_its_streams(client, session):
    facts = client.facts
    assert (facts.session_id, facts.model_name) == (session.session_id, "test model")
    assert facts.simulated
    assert facts.heads == {"emotion": CLASSES}
    assert facts.coordinates["emotion"]["positive"] == (1, 0.3)
    assert facts.lines == ("eeg", "eye")
    assert facts.streams["eeg"].labels == EEG_LABELS


def test_status_and_silence(client, session):
    until(lambda: session.report(elapsed_s=7.5) or client.status.get("elapsed_s") == 7.5)
    assert not client.is_silent
    client.status_received_s -= 4
    assert client.is_silent


def test_estimates_arrive_with_their_stamps(client, session):
    answer = answers_of(client, session, probabilities=(0.1, 0.2, 0.7))[-1]
    assert answer.probabilities == pytest.approx([0.1, 0.2, 0.7], abs=1e-6)
    assert (answer.head, answer.modality, answer.status) == ("emotion", "eeg", Status.OK)
    assert answer.age_ms == pytest.approx(6, abs=0.1)
    assert 0 <= pylsl.local_clock() - answer.stamp_s < 5


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_an_estimate_that_is_no_number_is_a_failure(client, session, broken):
    answer = answers_of(client, session, probabilities=(broken, 0.5, 0.5), status=Status.OK)[-1]
    assert answer.status == Status.FAILED
    assert np.isnan(answer.probabilities).all()


def test_no_estimate_comes_with_the_status_reports_reason(client, session):
    why = {"modality": "eye", "head": "emotion", "reason": "track loss"}
    until(lambda: session.report(latest=[why]) or client.status.get("latest"))
    answer = answers_of(client, session, probabilities=None, modality="eye")[-1]
    assert (answer.reason, answer.status) == ("track loss", Status.BAD_SIGNAL)
    assert np.isnan(answer.probabilities).all()


def test_a_reason_of_another_status_is_not_said_of_this_one(client, session):
    why = {"modality": "eeg", "head": "emotion", "status": "baseline", "reason": "baseline, 3 s left"}
    until(lambda: session.report(latest=[why]) or client.status.get("latest"))
    answer = answers_of(client, session, probabilities=None, status=Status.GAP)[-1]
    assert (answer.status, answer.reason) == (Status.GAP, "")
    while answer.status == Status.GAP:  # more than one of them was sent
        answer = answers_of(client, session, probabilities=None, status=Status.BASELINE)[-1]
    assert answer.reason == "baseline, 3 s left"


def test_raw_samples_arrive_in_order_and_in_local_time(client, session):
    reader = client.readers["eeg"]
    until(lambda: reader.info is not None)
    until(lambda: session.eeg.have_consumers())
    times, samples = [], []

    def enough():
        session.send("eeg", 0.1)
        taken = reader.take()
        if taken is not None:
            times.append(taken[0])
            samples.append(taken[1])
        return sum(map(len, times)) >= 100

    until(enough)
    got = np.concatenate(samples)
    assert got.shape[1] == len(EEG_LABELS)
    phase = np.arcsin(got[0, 0] / 30)  # the first channel is a sine of 8 Hz without a break
    steps = np.diff(np.unwrap(np.arcsin(np.clip(got[:, 0] / 30, -1, 1))))
    assert np.isfinite(phase)
    assert np.abs(steps).max() < 2 * np.pi * 8 / 250 + 1e-3
    assert abs(np.concatenate(times)[-1] - pylsl.local_clock()) < 2


def test_nobody_takes_and_nothing_grows(client, session):
    reader = client.readers["eeg"]
    until(lambda: session.eeg.have_consumers())
    until(lambda: session.send("eeg", 1.0) or reader.dropped > 0)
    assert reader.waiting <= 3.2 * 250 + 1024


def test_a_session_that_ends_says_why_and_the_next_one_is_followed(session):
    client = SessionClient()
    client.start()
    try:
        until(lambda: client.facts is not None and client.facts.session_id == session.session_id)
        until(lambda: session.report(ended="stopped by Ctrl-C") or client.ended)
        assert client.ended == "stopped by Ctrl-C"
        session.close()
        other = FakeSession()
        try:
            until(lambda: client.facts.session_id == other.session_id, "the new session was not found")
            assert client.ended == ""
        finally:
            other.close()
    finally:
        client.close()


def test_the_user_chooses_between_sessions(client):
    other = FakeSession()
    try:
        until(lambda: len(client.sessions) == 2)
        uid = next(facts.uid for facts in client.sessions if facts.session_id == other.session_id)
        client.follow(uid)
        until(lambda: client.facts is not None and client.facts.session_id == other.session_id)
        answer = answers_of(client, other, probabilities=(1, 0, 0))[-1]
        assert answer.probabilities[0] == 1
    finally:
        other.close()


def test_a_session_that_begins_later_is_followed_when_it_is_awaited(client):
    until(lambda: len(client.sessions) == 1)
    client.follow_newcomer()
    other = FakeSession()
    try:
        until(lambda: len(client.sessions) == 2)
        assert client.facts.session_id != other.session_id  # a stranger's is not what is awaited
        other.announce()
        until(lambda: client.facts.session_id == other.session_id, "the newcomer was not followed")
        third = FakeSession()
        try:
            until(lambda: len(client.sessions) == 3)
            assert client.facts.session_id == other.session_id  # once, not for ever
        finally:
            third.close()
    finally:
        other.close()


@pytest.mark.usefixtures("session")
def test_sessions_of_other_hosts_need_remote(monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "elsewhere")
    near, far = SessionClient(), SessionClient(remote=True)
    near.start()
    far.start()
    try:
        until(lambda: far.facts is not None)
        assert near.facts is None
        assert near.sessions == ()
    finally:
        near.close()
        far.close()


def test_this_users_own_session_is_shown_before_a_newer_one_of_a_stranger(session):
    stranger, client = FakeSession(), SessionClient()
    client.start()
    try:
        until(lambda: len(client.sessions) == 2)
        until(lambda: client.stranger == "it has no entry in this user's private folder")
        session.announce()
        until(lambda: client.facts.session_id == session.session_id, "one's own session has to be shown")
        until(lambda: not client.stranger)
        assert client.facts.uid in client.own
        client.follow(client.sessions[1].uid)  # but who asks for the stranger's gets it
        until(lambda: client.facts.session_id == stranger.session_id and client.stranger)
    finally:
        client.close()
        stranger.close()


def test_a_session_whose_entry_went_stays_this_users(session):
    session.announce()
    client = SessionClient(session.session_id)
    client.start()
    try:
        until(lambda: client.facts is not None)
        (folder_path() / f"{session.session_id}.json").unlink()
        until(lambda: session.report(ended="stopped by Ctrl-C") or client.ended)
        assert client.stranger == ""
    finally:
        client.close()


def test_a_copied_session_id_makes_nobody_this_users(session):
    session.announce()
    info = pylsl.StreamInfo("copy-status", "bci_m2s-status", 1, 0, "string", "copy-status")
    info.desc().append_child_value("session", json.dumps({"session_id": session.session_id}))
    copy, client = pylsl.StreamOutlet(info), SessionClient()
    client.start()
    try:
        until(lambda: len(client.sessions) == 2)
        own, stranger = client.sessions
        assert (own.session_id, stranger.session_id) == (session.session_id, "")
        assert own.uid in client.own
        assert stranger.uid not in client.own
    finally:
        client.close()
        del copy


def test_a_second_outlet_under_the_same_source_id_is_told(client, session):
    source_id = f"{session.session_id}-emotion"
    imitator = pylsl.StreamOutlet(pylsl.StreamInfo("imitator", "Emotion", 8, 0, "double64", source_id))
    until(lambda: client.twins)
    assert "'imitator' on" in client.twins
    assert f"'{session.session['outlet_name']}' on" in client.twins
    assert source_id in client.twins
    del imitator
    until(lambda: not client.twins)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "nonsense",
        "[" * 100_000,
        '{"heads": 3, "model": [], "streams": "x"}',
        '{"modalities": ["eeg"]}',
        '{"coordinates": {"a": {"b": [NaN, 2], "c": [1], "d": "xy", "e": [1e999, 0]}}, '
        '"heads": {"a": [1, 2]}}',
        json.dumps({"modalities": ["eeg"], "streams": {"eeg": {"rate_hz": "fast", "labels": [1, None]}}}),
    ],
)
def test_nonsense_makes_empty_facts(text):
    facts = parse_session(text, "uid", "host", 0.0, "name")
    assert facts.outlet_name == "name"
    assert not any(facts.coordinates.values())
    for stream in facts.streams.values():
        assert len(stream.labels) == len(stream.units)
