"""Remote control over TCP: clients as people write them, and clients that mean harm."""

import contextlib
import socket
import threading
import time

import pytest

from bci_m2s.errors import CommandError
from bci_m2s.session.control.connections import MOST_CONNECTIONS
from bci_m2s.session.remote import incoming, server
from bci_m2s.session.remote.address import Address
from bci_m2s.session.remote.incoming import Allowance
from bci_m2s.session.remote.listening import listening
from bci_m2s.session.remote.server import RemoteServer
from bci_m2s.session.remote.words import VERBS
from bci_m2s.session.setup.config import RemoteSettings

LIMIT_S = 120.0
KEY = "correct-horse-battery"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(server, "SILENCE_S", 0.1)
    monkeypatch.delenv("BCI_M2S_REMOTE_KEY", raising=False)


class Session:
    """Stands for a session: remembers what it was asked for, with how long ago."""

    def __init__(self, key=None):
        self.asked, self.ago_s, self.lines = [], [], []
        self.hold = threading.Event()
        self.hold.set()
        self.server = RemoteServer(Address("127.0.0.1", 0, key))
        self.server.serve(self.handle, self.lines.append)

    def handle(self, request, ago_s):
        self.asked.append(request)
        self.ago_s.append(ago_s)
        if request["do"] == "record_on":
            self.hold.wait(LIMIT_S)
        if request["do"] == "record_off":
            raise CommandError("nothing is being recorded")
        if request["do"] == "baseline_end":
            raise ZeroDivisionError("oops")
        return {"said": "done", "estimates": [], "status": {"state": "ok"}}

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.server.address.port), LIMIT_S)

    def texts(self):
        return [request.get("text") for request in self.asked]


@pytest.fixture
def session():
    made = Session()
    yield made
    made.server.close()


def until(condition):
    limit = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.005)


def said(client, *lines):
    """What comes back for lines, one after another."""
    with client.makefile("rb") as replies:
        found = []
        for line in lines:
            client.sendall(line)
            found.append(replies.readline())
    return found


def is_cut(client):
    try:
        while client.recv(65536):
            pass
    except ConnectionResetError:
        pass
    return True


# ---- clients as people write them ----


def test_labrecorders_commands_as_its_readme_sends_them(session):
    client = socket.create_connection(("localhost", session.server.address.port))
    client.sendall(b"update\n")
    client.sendall(b"select all\n")
    client.sendall(b"filename {root:C:\\Data\\} {template:exp%n\\%p.xdf} {run:2} {participant:P003}\n")
    client.sendall(b"start\n")
    client.close()
    until(lambda: len(session.asked) == 4)
    assert [one["do"] for one in session.asked] == ["update", "select_all", "filename", "record_on"]
    assert session.texts()[2] == "{root:C:\\Data\\} {template:exp%n\\%p.xdf} {run:2} {participant:P003}"
    assert session.lines == ["remote: done"] * 2


def test_every_line_has_one_line_of_reply(session):
    with session.connect() as client:
        assert said(
            client, b"start\r\n", b"stop\n", b"Estimate\n", b"state\n", b"x\n", b"baseline stop\n"
        ) == [
            b"OK\n",
            b"ERR nothing is being recorded\n",
            b'{"said": "done", "estimates": [], "status": {"state": "ok"}}\n',
            b'{"state": "ok"}\n',
            f"ERR got 'x', expected one of: {', '.join(VERBS)}, help\n".encode(),
            b"ERR ZeroDivisionError: oops\n",
        ]
        assert said(client, b"\n\nhelp\n")[0].startswith(b"commands: start; stop; filename {task")


def test_a_client_that_reads_two_bytes(session):
    with session.connect() as client:
        client.sendall(b"select all\n")
        assert client.recv(2) == b"OK"
        client.sendall(b"start\n")
        assert client.recv(2)
        until(lambda: len(session.asked) == 2)


def test_a_line_without_its_end_is_carried_out_after_a_silence_or_at_the_close(session):
    with session.connect() as client:
        client.sendall(b"start")
        assert client.recv(3) == b"OK\n"
        client.sendall(b"marker half")
        client.shutdown(socket.SHUT_WR)
        assert client.recv(3) == b"OK\n"
    assert [one["do"] for one in session.asked] == ["record_on", "mark"]
    assert session.ago_s[0] > 0.09  # the silence is no part of when it came


def test_a_line_may_come_in_pieces_and_several_in_one(session, monkeypatch):
    monkeypatch.setattr(server, "SILENCE_S", LIMIT_S)  # a pause on this side is no end of a line
    with session.connect() as client:
        for piece in (b"mar", b"ker \xc3", b"\xa9\nmarker b\nmark", b"er c\n"):
            client.sendall(piece)
            time.sleep(0.02)
        with client.makefile("rb") as replies:
            assert [replies.readline() for _ in range(3)] == [b"OK\n"] * 3
    assert session.texts() == ["é", "b", "c"]


def test_a_marker_that_waits_for_a_recording_to_begin_is_stamped_when_it_came(session, monkeypatch):
    came, plain = [], server.incoming

    def noted(*arguments):
        for line in plain(*arguments):
            came.append(line)
            yield line

    monkeypatch.setattr(server, "incoming", noted)
    session.hold.clear()
    with session.connect() as client:
        client.sendall(b"start\n")
        until(lambda: session.asked)
        client.sendall(b"marker early\n")
        until(lambda: len(came) == 2)
        time.sleep(0.3)
        session.hold.set()
        until(lambda: len(session.asked) == 2)
    assert 0.29 < session.ago_s[1] < LIMIT_S


def test_who_never_fetches_a_reply_is_still_heard(session, monkeypatch):
    monkeypatch.setattr(server, "reply_of", lambda *_: "x" * 4_000_000)
    with session.connect() as client:
        client.sendall(b"marker 1\nmarker 2\nmarker 3\n")
        until(lambda: len(session.asked) == 3)


# ---- keys ----


def test_with_a_key_nothing_is_done_before_it(monkeypatch):
    monkeypatch.setattr(server, "PROOF_S", LIMIT_S)
    with contextlib.closing(Session(KEY).server) as listener:
        port = listener.address.port

        def connect():
            return socket.create_connection(("127.0.0.1", port), LIMIT_S)

        with connect() as client:
            assert said(client, f"key {KEY}\n".encode(), b"marker a\n") == [b"OK\n", b"OK\n"]
        for line, reply in (
            (b"marker a\n", b"ERR expected the line 'key KEY' first\n"),
            (b"key wrong\n", b"ERR wrong key\n"),
            (f"key {KEY}x\n".encode(), b"ERR wrong key\n"),
        ):
            with connect() as client:
                client.sendall(line + f"key {KEY}\nmarker b\n".encode())  # one try for each connection
                with client.makefile("rb") as replies:
                    assert replies.readline() == reply
                    assert replies.read() == b""
        monkeypatch.setattr(server, "PROOF_S", 0.2)
        with connect() as client:
            assert is_cut(client)  # silent
        assert listener.handle.__self__.texts() == ["a"]


def test_others_can_connect_only_where_there_is_a_key(monkeypatch):
    with pytest.raises(CommandError, match=r"0\.0\.0\.0:0: others can connect there: got no key"):
        listening(Address("0.0.0.0", 0))
    monkeypatch.setenv("BCI_M2S_REMOTE_KEY", KEY)
    with contextlib.closing(listening(Address("0.0.0.0", 0))) as made:
        assert made.key == KEY
    assert listening(None) is None
    with contextlib.closing(listening(None, RemoteSettings(port=0, key="of-the-pipeline"))) as made:
        assert (made.key, made.describe().split()[-1]) == ("of-the-pipeline", "key")


def test_a_port_in_use_and_a_host_that_is_not_there_are_refused(session):
    port = session.server.address.port
    with pytest.raises(CommandError, match=rf"remote: 127\.0\.0\.1:{port}: cannot listen: Addr"):
        RemoteServer(Address("127.0.0.1", port))
    with pytest.raises(CommandError, match="no such host"):
        RemoteServer(Address("no.such.host.invalid", 0))


# ---- clients that mean harm ----


def test_a_line_that_is_too_long_is_refused_and_the_connection_ends(session):
    with session.connect() as client:
        client.sendall(b"marker " + b"x" * 5000)
        with client.makefile("rb") as replies:
            assert replies.readline() == b"ERR line: too long, expected 4096 bytes at most\n"
            assert is_cut(client)
    assert session.asked == []


def test_bytes_that_are_no_text_are_refused(session):
    with session.connect() as client:
        assert said(client, bytes(range(128, 256)) + b"\n")[0].startswith(b"ERR got bytes that are no text")
        assert said(client, b"\x00\x1b[2J\n")[0].startswith(b"ERR got '\\x00\\x1b[2J'")
    assert session.asked == []


def test_a_line_that_drips_is_given_up(session, monkeypatch):
    monkeypatch.setattr(incoming, "LINE_S", 0.3)
    monkeypatch.setattr(server, "SILENCE_S", LIMIT_S)
    with session.connect() as client:
        with contextlib.suppress(OSError):
            for _ in range(40):
                client.sendall(b"m")
                time.sleep(0.03)
        with client.makefile("rb") as replies:
            assert replies.readline() == b"ERR line: got no end within 0.3 s\n"
    assert session.asked == []


def test_a_page_in_a_browser_cannot_give_commands(session):
    with session.connect() as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nstop-session\n")
        assert is_cut(client)
    assert session.asked == []


@pytest.mark.parametrize("name", ["AT_ONCE", "ALL_AT_ONCE"])
def test_a_flood_of_lines_is_refused_and_who_goes_on_has_to_wait(session, monkeypatch, name):
    monkeypatch.setattr(server, name, 10.0)  # half of it at first
    monkeypatch.setattr(server, name.replace("AT_ONCE", "PER_SECOND"), 0.001)
    session.server.allowance = Allowance(server.ALL_PER_SECOND, server.ALL_AT_ONCE)
    with session.connect() as flood:
        begun = time.monotonic()
        flood.sendall(b"marker x\n" * 10)
        with flood.makefile("rb") as replies:
            found = [replies.readline() for _ in range(10)]
        assert found == [b"OK\n"] * 5 + [b"ERR not done: expected 25 lines per second at most\n"] * 5
        assert time.monotonic() - begun > 0.02 * (1 + 2 + 4 + 8)
    assert len(session.asked) == 5


def test_a_calm_connection_is_served_when_others_spend_all(session, monkeypatch):
    monkeypatch.setattr(server, "PER_SECOND", 1000.0)  # calm after a fifth of a second
    session.server.allowance = Allowance(0.1, 2.0)
    with session.connect() as calm, session.connect() as flood:
        time.sleep(0.2)
        assert said(flood, *[b"marker x\n"] * 3)[0] == b"OK\n"
        flood.sendall(b"marker x\n" * 300)
        with flood.makefile("rb") as replies:
            assert any(replies.readline().startswith(b"ERR") for _ in range(300))
        assert said(calm, b"marker a\n", b"marker b\n") == [b"OK\n"] * 2


def test_patience_ends_and_comes_back():
    patience = incoming.Patience()
    pauses_s = [patience.pause_s(True) for _ in range(20)]
    assert pauses_s[:3] == [0.02, 0.04, 0.08]
    assert pauses_s[-1] == 1.0
    assert [patience.pause_s(False), patience.pause_s(True)] == [0.0, 0.02]


def test_many_silent_connections_leave_room_for_one_that_works(session):
    with contextlib.ExitStack() as stack:
        worker = stack.enter_context(session.connect())
        assert said(worker, b"marker a\n") == [b"OK\n"]
        for _ in range(MOST_CONNECTIONS + 8):
            stack.enter_context(session.connect())
        until(lambda: len(session.server.connections()) == MOST_CONNECTIONS)
        late = stack.enter_context(session.connect())
        assert said(late, b"marker b\n") == [b"OK\n"]
        assert said(worker, b"marker c\n") == [b"OK\n"]
    assert session.texts() == ["a", "b", "c"]


def test_the_end_of_a_session_ends_connections_within_a_second(session):
    with session.connect() as client:
        assert said(client, b"marker a\n") == [b"OK\n"]
        begun = time.monotonic()
        session.server.close()
        assert is_cut(client)
        assert time.monotonic() - begun < LIMIT_S / 2
    names = [thread.name for thread in threading.enumerate()]
    assert "remote" not in names
