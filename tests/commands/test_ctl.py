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
