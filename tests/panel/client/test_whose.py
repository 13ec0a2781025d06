"""Who is one of this user's own, and which outlets claim to be the same."""

import pytest

from bci_m2s.panel.client.facts import parse_session
from bci_m2s.panel.client.whose import OwnSessions, claimed_twice
from bci_m2s.session.control.rendezvous import Entry, make_folder, write_entry
from bci_m2s.types import StreamInfo

ID = "0123456789abcdef"


@pytest.fixture
def entry(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return write_entry(make_folder(), ID, Entry(1, b"token"))


def facts(session_id=ID, host="here", uid="uid"):
    return parse_session(f'{{"session_id": "{session_id}"}}', uid, host, 0.0, "name")


def test_an_entry_makes_a_session_this_users_for_good(entry):
    own = OwnSessions("here")
    assert own.look(facts())
    assert own.why_not(facts()) == ""
    entry.unlink()
    assert own.look(facts())  # it has ended
    assert not own.look(facts(uid="another"))


@pytest.mark.usefixtures("entry")
@pytest.mark.parametrize(
    "session_id", ["", "fedcba9876543210", "../../etc/passwd", "x" * 100, "0123456789ABCDEF"]
)
def test_no_entry_makes_a_stranger(session_id):
    own = OwnSessions("here")
    assert own.why_not(facts(session_id)) == "it has no entry in this user's private folder"
    assert "uid" not in own


@pytest.mark.usefixtures("entry")
def test_a_session_of_another_machine_is_a_strangers_whatever_its_id():
    assert OwnSessions("here").why_not(facts(host="there")) == "it is on another machine, 'there'"


def test_a_folder_that_others_may_enter_makes_nobody_an_owner(entry):
    entry.parent.chmod(0o755)
    assert OwnSessions("here").why_not(facts()) != ""


def outlet(name, source_id, uid, kind="Emotion", host="here"):
    return StreamInfo(name, kind, source_id, uid, host, labels=("1",), units=("",))


def test_two_outlets_of_one_source_id_are_named_both():
    one, two = (
        outlet("bci_m2s", f"{ID}-emotion", "aaaaaaaa1"),
        outlet("evil", f"{ID}-emotion", "bbbbbbbb2", host="b"),
    )
    said = claimed_twice([two, outlet("bci_m2s-status", f"{ID}-status", "c", "bci_m2s-status"), one], ID)
    assert said == (
        "two outlets claim one source id: 'bci_m2s' on 'here' [aaaaaaaa] and 'evil' on 'b' [bbbbbbbb] "
        f"({ID}-emotion)"
    )
    third = outlet("third", f"{ID}-emotion", "c")
    assert ", and 1 more (" in claimed_twice([one, two, third], ID)


def test_outlets_of_their_own_and_those_of_other_sessions_are_no_twins():
    one, other = outlet("bci_m2s", f"{ID}-emotion", "a"), outlet("bci_m2s", "fedcba-emotion", "b")
    same = outlet("x", "fedcba-emotion", "c")
    assert claimed_twice([one, other, same], ID) == ""
    assert claimed_twice([other, same], "") == ""
