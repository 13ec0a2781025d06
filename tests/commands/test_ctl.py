"""``bci-m2s ctl``: finds the session, says what came of a command in one line."""

import contextlib
import json

import pytest

from bci_m2s.commands.ctl import give
from bci_m2s.errors import CommandError, UsageError
from bci_m2s.session.control.server import ControlServer
from bci_m2s.session.remote.address import Address
from bci_m2s.session.remote.server import RemoteServer

KEY = "correct-horse-battery"


@pytest.fixture(autouse=True)
def runtime(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
    monkeypatch.delenv("BCI_M2S_REMOTE_KEY", raising=False)


def answer(request, ago_s=0.0):
    del ago_s
    if request["do"] == "record_off":
        raise CommandError("nothing is being recorded")
    if request["do"] == "estimate":
        return {"estimates": [{"head": "emotion"}]}
    return {"said": f"done {request.get('text', '')}".strip(), "status": {"state": "ok"}}


def printed(capsys, *words, remote="", session=""):
    give(words, remote, session)
    return capsys.readouterr().out


def test_the_session_of_this_machine_is_found(capsys):
    with contextlib.closing(ControlServer("ab" * 16, answer)):
        assert printed(capsys, "start") == "done\n"
        assert printed(capsys, "marker", "two", "words", session="ab") == "done two words\n"
        assert json.loads(printed(capsys, "state")) == {"state": "ok"}
        assert json.loads(printed(capsys, "estimate")) == {"estimates": [{"head": "emotion"}]}
        with pytest.raises(CommandError, match=r"^nothing is being recorded$"):
            give(["stop"], "", "")


def test_none_or_several_sessions():
    with pytest.raises(CommandError, match=r"^no session of yours runs on this machine; of another"):
        give(["start"], "", "")
    with (
        contextlib.closing(ControlServer("ab" * 16, answer)),
        contextlib.closing(ControlServer("ac" * 16, answer)),
    ):
        with pytest.raises(UsageError, match="--session: 2 sessions run; running: abab"):
            give(["start"], "", "")
        with pytest.raises(UsageError, match="got 'a', which fits 2 sessions"):
            give(["start"], "", "a")
        give(["start"], "", "ac")


def test_a_session_elsewhere_is_told_by_its_port_with_the_key(capsys, monkeypatch):
    server = RemoteServer(Address("127.0.0.1", 0, KEY))
    server.serve(answer, lambda _: None)
    port = str(server.address.port)
    with contextlib.closing(server):
        with pytest.raises(CommandError, match="expected the line 'key KEY' first"):
            give(["start"], port, "")
        monkeypatch.setenv("BCI_M2S_REMOTE_KEY", KEY)
        assert printed(capsys, "start", remote=port) == "OK\n"
        assert json.loads(printed(capsys, "estimate", remote=f"localhost:{port}"))["estimates"]
        with pytest.raises(CommandError, match=r"^nothing is being recorded$"):
            give(["stop"], port, "")
    with pytest.raises(CommandError, match=rf"^127\.0\.0\.1:{port}: .*: does a session listen there\?$"):
        give(["start"], port, "")


def test_what_is_no_command_is_refused_before_anything_is_sent(capsys):
    with pytest.raises(UsageError, match="ctl: got 'strat', expected one of: start, stop"):
        give(["strat"], "1", "")
    with pytest.raises(UsageError, match=r"stop-session, help$"):
        give(["strat"], "1", "")
    for word in ("help", "HELP"):  # as over TCP, where letter case does not matter
        assert "baseline stop                   use what was collected" in printed(capsys, word)


def member(name, together):
    """A session of one participant of several."""

    def handle(request, ago_s=0.0):
        del ago_s
        if request["do"] == "state":
            return {"status": {"participant": name, "together": together}}
        if request["do"] == "record_off" and name == "p02":
            raise CommandError("nothing is being recorded")
        return {"said": f"done by {name}"}

    return handle


def test_participants_of_one_session_are_told_together_or_one_alone(capsys):
    with contextlib.ExitStack() as servers:
        for digits, name in (("ab", "p01"), ("ac", "p02"), ("ad", "p03")):
            servers.enter_context(contextlib.closing(ControlServer(digits * 16, member(name, "class"))))
        assert printed(capsys, "start") == "p01: done by p01\np02: done by p02\np03: done by p03\n"
        give(["start"], "", "", "p02")
        assert capsys.readouterr().out == "done by p02\n"
        assert printed(capsys, "start", session="ad") == "done by p03\n"
        with pytest.raises(CommandError, match=r"^p02: nothing is being recorded$"):
            give(["stop"], "", "")
        assert capsys.readouterr().out == "p01: done by p01\np03: done by p03\n"
        with pytest.raises(UsageError, match="got 'p09', and nobody of that name"):
            give(["start"], "", "", "p09")


def test_beside_another_session_participants_are_not_told_unless_they_are_named(capsys):
    with contextlib.ExitStack() as servers:
        for digits, handle in (("ab", member("p01", "x")), ("ac", member("p02", "x")), ("ad", answer)):
            servers.enter_context(contextlib.closing(ControlServer(digits * 16, handle)))
        with pytest.raises(UsageError, match="3 sessions run"):
            give(["start"], "", "")
        give(["start"], "", "", "p01")
        assert capsys.readouterr().out == "done by p01\n"
        servers.enter_context(contextlib.closing(ControlServer("ae" * 16, member("p01", "y"))))
        with pytest.raises(UsageError, match="2 sessions have a participant 'p01'"):
            give(["start"], "", "", "p01")
