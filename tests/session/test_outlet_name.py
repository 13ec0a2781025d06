"""Two sessions on one network have names that a script can tell apart."""

import io
import threading

import pytest
from rich.console import Console

from bci_m2s.lsl.description import SessionDescription
from bci_m2s.lsl.formats import ANSWER_TYPE, STATUS_TYPE
from bci_m2s.session import outlet_name
from bci_m2s.session.outlet_name import Namesakes, free_name, namesakes, stream_names, with_own_name
from bci_m2s.sinks import outlets
from bci_m2s.types import StreamInfo


@pytest.mark.parametrize(
    ("taken", "name"),
    [
        ({}, "bci_m2s"),
        ({"other": {"lab"}}, "bci_m2s"),
        ({"bci_m2s": {"lab"}}, "bci_m2s-2"),
        ({"bci_m2s": {"lab"}, "bci_m2s-2": {"lab"}, "bci_m2s-4": {"lab"}}, "bci_m2s-3"),
        ({"bci_m2s": {"far"}}, "bci_m2s-lab"),
        ({"bci_m2s": {"far", "lab"}, "bci_m2s-lab": {"lab"}}, "bci_m2s-lab-2"),
    ],
)
def test_a_name_that_is_free(taken, name):
    assert free_name("bci_m2s", taken, "lab") == name


@pytest.mark.parametrize("heads", [{"emotion": ("a", "b")}, {"emotion": ("a", "b"), "arousal": ("c", "d")}])
def test_the_names_of_streams_are_those_that_are_sent(heads, monkeypatch):
    sent = set()
    monkeypatch.setattr(outlets, "make_outlet", lambda info, *_how: sent.add(info.name))
    session = SessionDescription(outlet_name="mine", heads=heads, modalities=("eeg", "eye"))
    outlets.OutletSink(None, session).open()
    outlets.StatusSink(None, session).open()
    for modality in session.modalities:
        outlets.EvidenceOutlet(session, modality, ["x"])
    assert stream_names("mine", heads, session.modalities) == sent


class Known:
    """Neighbours that are known."""

    def __init__(self, taken):
        self.names = lambda: taken


def named(wanted, taken, monkeypatch):
    """The name that a session gets, and what was said."""
    monkeypatch.setattr("socket.gethostname", lambda: "lab")
    said = io.StringIO()
    console = Console(file=said, width=200)
    session = with_own_name(SessionDescription(outlet_name=wanted), Known(taken), console)
    return session.outlet_name, said.getvalue().strip()


def test_a_name_that_nobody_has_is_kept_without_a_word(monkeypatch):
    assert named("bci_m2s", {"other": {"far"}}, monkeypatch) == ("bci_m2s", "")


def test_the_usual_name_gets_a_suffix_and_that_is_said(monkeypatch):
    said = "outlet 'bci_m2s': a session on far has this name, so this one is 'bci_m2s-lab'"
    assert named("bci_m2s", {"bci_m2s": {"far"}}, monkeypatch) == ("bci_m2s-lab", said)


def test_a_name_of_ones_own_is_kept_and_the_clash_is_said(monkeypatch):
    said = "outlet 'mine': a session on lab has this name too; scripts cannot tell them apart by it"
    assert named("mine", {"mine": {"lab"}}, monkeypatch) == ("mine", said)


def session_of(session_id, heads=("emotion",)):
    classes = dict.fromkeys(heads, ("a", "b"))
    return SessionDescription(session_id=session_id, outlet_name="bci_m2s", heads=classes)


def sent(session_id, name="bci_m2s", kind=ANSWER_TYPE, head="emotion"):
    return StreamInfo(name, kind, f"{session_id}-{head}", host="lab")


def test_two_sessions_that_took_one_name_at_the_same_time_both_say_so():
    ours, theirs = sent("aaaa"), sent("bbbb")
    for own, other in (("aaaa", "bbbb"), ("bbbb", "aaaa")):
        assert namesakes(session_of(own), [ours, theirs]) == (
            "note: 2 sessions have the name 'bci_m2s'; scripts can tell them apart by source_id: "
            f"this one's begins with '{own}', the other is '{other}-emotion' on lab"
        )


@pytest.mark.parametrize(
    "others",
    [[], [sent("bbbb", "bci_m2s-2")], [sent("bbbb", kind=STATUS_TYPE)], [sent("bbbb", kind="EEG")]],
)
def test_a_name_of_its_own_is_no_news(others):
    assert namesakes(session_of("aaaa"), [sent("aaaa"), *others]) == ""


def test_streams_of_heads_are_compared_too():
    several = session_of("aaaa", ("valence", "arousal"))
    assert "'bbbb-valence'" in namesakes(several, [sent("bbbb", "bci_m2s-valence", head="valence")])


def test_it_looks_once_the_streams_are_there(monkeypatch):
    class Network:
        streams = staticmethod(lambda: {"a": sent("aaaa"), "b": sent("bbbb")})

    monkeypatch.setattr("bci_m2s.lsl.network.shared_network", Network)
    monkeypatch.setattr("bci_m2s.lsl.network.brief_info", lambda info: info)
    monkeypatch.setattr(outlet_name, "LOOK_AGAIN_S", 0.0)
    said, done = [], threading.Event()
    with Namesakes(session_of("aaaa"), lambda text: (said.append(text), done.set())):
        assert done.wait(60.0)
    assert len(said) == 1
