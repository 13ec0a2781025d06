"""Sessions on this machine are listed and ended from the command line: after a panel died, say."""

import contextlib
import io
import sys
import threading

import pytest
from rich.console import Console

from bci_m2s.commands.sessions import end_sessions, list_sessions
from bci_m2s.errors import CommandError, UsageError
from bci_m2s.session.control.rendezvous import Entry, announced, make_folder, write_entry
from bci_m2s.session.control.server import ControlServer

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the folder's rules are those of POSIX")
IDS = ("0123456789abcdef", "01ff456789abcdef")
STATE = {
    "elapsed_s": 125.4,
    "state": "ok",
    "streams": [{"modality": "eeg", "name": "Muse"}],
    "recording": {"file": "session.xdf", "bytes": 2_500_000},
}


@pytest.fixture(autouse=True)
def runtime(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


@contextlib.contextmanager
def session(session_id, state=STATE, refuses=False):
    """A session that answers; it goes when it is asked to."""

    def handle(request):
        if request["do"] == "state":
            return {"status": state}
        if refuses:
            raise CommandError("not now")
        threading.Timer(0.05, server.close).start()
        return {"said": "the session ends"}

    server = ControlServer(session_id, handle)
    with contextlib.closing(server):
        yield server


def listed():
    console = Console(file=io.StringIO(), width=200)
    list_sessions(console)
    return console.file.getvalue()


def ended(wanted):
    console = Console(file=io.StringIO(), width=200)
    end_sessions(wanted, console)
    return console.file.getvalue()


def test_without_sessions_that_is_said():
    assert listed() == ended("all") == "no session of yours runs on this machine\n"


def test_sessions_are_listed_with_what_they_do():
    silent = {**STATE, "recording": None, "elapsed_s": 3.0}
    with session(IDS[0]), session(IDS[1], silent):
        text = listed()
    first, second = text.splitlines()[1:3]
    assert first.split(maxsplit=1)[0] == IDS[0]
    assert "2 min 05 s" in first
    assert "eeg: Muse" in first
    assert "session.xdf, 2.5 MB" in first
    assert "0 min 03 s" in second
    assert "none" in second


def test_one_session_is_ended_by_the_first_digits_of_its_id():
    with session(IDS[0]), session(IDS[1]):
        with pytest.raises(
            UsageError, match="'01', which fits 2 sessions; running: 0123456789abcdef, 01ff"
        ):
            ended("01")
        assert ended("012") == f"{IDS[0]}: has ended\n"
        assert announced() == [IDS[1]]


def test_all_are_ended_and_one_that_refuses_is_named():
    with session(IDS[0], refuses=True), session(IDS[1]):
        with pytest.raises(CommandError, match=f"{IDS[0]}: not now"):
            ended("all")
        assert announced() == [IDS[0]]


def test_an_entry_without_a_session_is_no_session():
    with session(IDS[0]) as server:
        port = server.server_address[1]
    write_entry(make_folder(), IDS[1], Entry(port, b"k" * 32))
    assert announced() == []
