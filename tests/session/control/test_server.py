"""The control connection: good requests, and everything that can go wrong with the other end."""

import contextlib
import logging
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from bci_m2s.errors import CommandError
from bci_m2s.session.control import rendezvous
from bci_m2s.session.control import server as control
from bci_m2s.session.control.client import ControlClient
from bci_m2s.session.control.connections import MOST_CONNECTIONS
from bci_m2s.session.control.lines import LONGEST_REQUEST, parse, proof, to_line
from bci_m2s.session.control.server import ControlServer

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the folder's rules are those of POSIX")
ID = "0123456789abcdef"
LIMIT_S = 120.0
CLIENTS = []  # closed after each test


@pytest.fixture(autouse=True)
def runtime(tmp_path_factory, monkeypatch):
    """A runtime folder of the test's own."""
    folder = tmp_path_factory.mktemp("run")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    yield folder / "bci_m2s"
    while CLIENTS:
        CLIENTS.pop().close()


def echo(request):
    if request.get("do") == "refuse":
        raise CommandError("not now")
    if request.get("do") == "break":
        raise ZeroDivisionError("oops")
    return {"got": request}


@pytest.fixture
def server():
    with contextlib.closing(ControlServer(ID, echo)) as made:
        yield made


@pytest.fixture
def entry(server, runtime):
    assert server is not None
    return rendezvous.read_entry(runtime / f"{ID}.json")


def found():
    client = ControlClient.find(ID)
    assert client is not None
    CLIENTS.append(client)
    return client


def wait_until(condition):
    limit = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.01)


class Raw:
    """A client that can do everything wrong."""

    def __init__(self, entry, token=None):
        self.socket = rendezvous.connect(entry)
        self.file = self.socket.makefile("rb")
        CLIENTS.append(self)
        if token is not None:
            challenge = self.reply()["challenge"]
            self.proof = proof(token, "client", challenge, "mine")
            self.send(to_line({"challenge": "mine", "proof": self.proof}))
            self.answer = self.file.readline()

    def send(self, data):
        self.socket.sendall(data)

    def reply(self):
        return parse(self.file.readline())

    def is_cut(self):
        try:
            return self.file.read(1) == b""
        except ConnectionResetError:
            return True

    def close(self):
        self.file.close()
        self.socket.close()


def connections():
    return [thread for thread in threading.enumerate() if "process_request_thread" in thread.name]


@pytest.mark.usefixtures("server")
def test_a_request_is_answered():
    with contextlib.closing(found()) as client:
        assert client.request({"do": "mark", "text": "é ☃"}) == {
            "ok": True,
            "got": {"do": "mark", "text": "é ☃"},
        }
        assert client.request({"n": 2})["got"] == {"n": 2}


@pytest.mark.usefixtures("server")
def test_refusals_and_failures_are_answered_in_words_and_the_connection_goes_on(caplog):
    with contextlib.closing(found()) as client:
        assert client.request({"do": "refuse"}) == {"error": "not now"}
        assert not caplog.records
        assert client.request({"do": "break"}) == {"error": "ZeroDivisionError: oops"}
        assert "a command failed" in caplog.text
        assert client.request({})["ok"] is True


def test_an_answer_that_is_no_json_is_a_failure(caplog):
    with contextlib.closing(ControlServer(ID, lambda _: {"what": {1, 2}})):
        assert found().request({})["error"].startswith("TypeError")
        assert "a command failed" in caplog.text


def test_an_answer_may_be_long_but_not_too_long():
    with contextlib.closing(ControlServer(ID, lambda request: {"x": "x" * request["n"]})):
        client = found()
        assert len(client.request({"n": 4_000_000})["x"]) == 4_000_000
        assert client.request({"n": 4_200_000}) == {
            "error": "reply: too long, expected 4194304 bytes at most"
        }


def test_a_request_that_is_too_long_is_refused_on_both_sides(entry):
    client = found()
    with pytest.raises(CommandError, match=r"request: got \d+ bytes, expected 65536 at most"):
        client.request({"text": "x" * LONGEST_REQUEST})
    assert client.request({})["ok"]
    raw = Raw(entry, entry.token)
    raw.send(b"x" * (LONGEST_REQUEST + 1))
    assert raw.reply()["error"] == "request: too long, expected 65536 bytes at most"
    assert raw.is_cut()
    assert client.request({})["ok"]


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (b"\xff\x00garbage", "request: not JSON"),
        (b"[" * 60_000, "request: not JSON"),
        (b"9" * 20_000, "request: not JSON"),
        (b"[1]", "request: got list, expected a JSON object"),
        (b"", "request: not JSON"),
    ],
)
def test_garbage_is_answered_and_the_connection_goes_on(entry, sent, error):
    raw = Raw(entry, entry.token)
    raw.send(sent + b"\n")
    assert raw.reply() == {"error": error}
    raw.send(b"{}\n")
    assert raw.reply()["ok"] is True


@pytest.mark.parametrize("token", [bytes(32), b""], ids=["another", "none"])
def test_who_does_not_know_the_token_is_cut_and_gives_no_command(runtime, token, caplog):
    requests = []
    with contextlib.closing(ControlServer(ID, lambda request: requests.append(request) or {})):
        entry = rendezvous.read_entry(runtime / f"{ID}.json")
        # a panel in this process may have set the level of a parent
        with caplog.at_level(logging.INFO, "bci_m2s.session.control.server"):
            stranger = Raw(entry, token)
            assert stranger.answer == b""
            wait_until(lambda: caplog.text)
        assert "does not know the session's token" in caplog.text
        assert requests == []
        assert found().request({})["ok"]


@pytest.mark.parametrize(
    "sent",
    [
        b"{}\n",
        b"POST / HTTP/1.1\r\n\r\n{}\n",
        b'{"proof": null, "challenge": {}}\n',
        b'{"proof": "\\ud800", "challenge": "\\ud800"}\n',
        b"[" * 500 + b"\n",
        b"x" * 100_000,
        b"\xff\n",
    ],
)
def test_a_command_before_the_proof_is_not_carried_out(runtime, sent, caplog):
    requests = []
    with contextlib.closing(ControlServer(ID, lambda request: requests.append(request) or {})):
        stranger = Raw(rendezvous.read_entry(runtime / f"{ID}.json"))
        stranger.reply()  # the challenge
        stranger.send(sent)
        assert stranger.is_cut()
    assert requests == []
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


def test_a_proof_cannot_be_used_twice_nor_for_the_other_end(entry):
    first = Raw(entry, entry.token)
    again = Raw(entry)
    again.reply()
    again.send(to_line({"challenge": "mine", "proof": first.proof}))
    assert again.is_cut()
    challenge = (reflecting := Raw(entry)).reply()["challenge"]
    reflecting.send(
        to_line({"challenge": "mine", "proof": proof(entry.token, "server", challenge, "mine")})
    )
    assert reflecting.is_cut()


@pytest.mark.parametrize(
    "replies", [[b"{}\n"], [b'{"challenge": "a"}\n', b'{"proof": "a"}\n'], [b"x\n" * 999], []]
)
def test_a_client_gives_up_on_a_server_that_does_not_know_the_token(runtime, replies):
    folder = rendezvous.make_folder()
    assert folder == runtime
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def pose():
            accepted, _ = listener.accept()
            with accepted:
                for reply in replies:
                    accepted.sendall(reply)
                accepted.shutdown(socket.SHUT_WR)
                while accepted.recv(4096):
                    pass

        posing = threading.Thread(target=pose)
        posing.start()
        rendezvous.write_entry(folder, ID, rendezvous.Entry(listener.getsockname()[1], b"k" * 32))
        assert ControlClient.find(ID) is None
        posing.join(LIMIT_S)


def test_a_client_finds_out_that_the_token_is_wrong(entry, runtime):
    path = runtime / f"{ID}.json"
    path.write_text(path.read_text().replace(entry.token.hex(), "00" * 32))
    assert ControlClient.find(ID) is None


def test_a_client_that_never_proves_itself_is_cut_and_holds_nobody_up(entry, monkeypatch):
    monkeypatch.setattr(control, "HANDSHAKE_S", LIMIT_S)
    patient = Raw(entry)
    patient.reply()  # the challenge
    assert found().request({})["ok"]
    monkeypatch.setattr(control, "HANDSHAKE_S", 0.3)
    silent, begun = Raw(entry), time.monotonic()
    silent.reply()
    assert silent.is_cut()
    assert time.monotonic() - begun < LIMIT_S / 2
    wait_until(lambda: len(connections()) == 2)  # the patient one is still there


def test_any_number_of_silent_strangers_does_not_shut_the_user_out(server, entry):
    client = found()
    strangers = [Raw(entry) for _ in range(3 * MOST_CONNECTIONS)]
    assert found().request({})["ok"]
    assert client.request({})["ok"]
    wait_until(lambda: len(connections()) <= MOST_CONNECTIONS)
    assert len(server.connections()) == MOST_CONNECTIONS
    assert strangers[0].reply()
    assert strangers[0].is_cut()


def test_a_client_that_stops_inside_a_message_is_cut(entry, monkeypatch):
    monkeypatch.setattr(control, "MESSAGE_S", 0.3)
    half = Raw(entry, entry.token)
    half.send(b'{"do"')
    assert half.is_cut()
    wait_until(lambda: not connections())


def test_a_client_that_does_not_fetch_its_reply_is_cut(server, monkeypatch, runtime):
    monkeypatch.setattr(control, "MESSAGE_S", 0.3)
    monkeypatch.setattr(server, "handle", lambda _: {"x": "x" * 4_000_000})
    entry = rendezvous.read_entry(runtime / f"{ID}.json")
    lazy = Raw(entry, entry.token)
    for _ in range(4):  # more than the system keeps for it
        lazy.send(b"{}\n")
    wait_until(lambda: not connections())


def test_close_is_quick_whatever_clients_do(server, entry, runtime):
    Raw(entry), Raw(entry, entry.token)
    Raw(entry, entry.token).send(b'{"do"')
    idle = found()
    wait_until(lambda: len(connections()) == 4)
    begun = time.monotonic()
    server.close()
    server.close()
    assert time.monotonic() - begun < LIMIT_S / 2
    wait_until(lambda: not connections())
    assert not any(thread.name == "control" for thread in threading.enumerate())
    assert list(runtime.iterdir()) == []
    with pytest.raises(CommandError, match="did not reply within"):
        idle.request({})
    with pytest.raises(CommandError, match="connection is closed"):
        idle.request({})


def test_a_command_that_is_under_way_gets_its_answer_at_the_end():
    entered, go = threading.Event(), threading.Event()

    def slow(_):
        entered.set()
        go.wait(LIMIT_S)
        return {}

    server, replies = ControlServer(ID, slow), []
    client = found()
    requesting = threading.Thread(target=lambda: replies.append(client.request({"do": "stop"}, LIMIT_S)))
    requesting.start()
    assert entered.wait(LIMIT_S)
    threading.Timer(0.1, go.set).start()
    server.close()
    requesting.join(LIMIT_S)
    assert replies == [{"ok": True}]


@pytest.mark.usefixtures("server")
def test_a_killed_client_leaves_nothing_behind():
    code = (
        "from bci_m2s.session.control.client import ControlClient as C\n"
        f"c = C.find({ID!r}); c.request({{}}); input()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as child:
        try:
            wait_until(lambda: len(connections()) == 1)
        finally:
            child.kill()
    wait_until(lambda: not connections())
    assert found().request({})["ok"]


def test_two_clients_do_not_wait_for_one_another():
    both = threading.Barrier(2, timeout=LIMIT_S)

    def together(request):
        both.wait()
        return {"n": request["n"]}

    with contextlib.closing(ControlServer(ID, together)):
        replies = {}

        def request(n):
            replies[n] = found().request({"n": n}, LIMIT_S)["n"]

        threads = [threading.Thread(target=request, args=(n,)) for n in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LIMIT_S)
        assert replies == {0: 0, 1: 1}


@pytest.mark.usefixtures("server")
def test_one_client_too_many_is_refused_until_one_goes():
    clients = [found() for _ in range(MOST_CONNECTIONS)]
    assert all(client.request({})["ok"] for client in clients)
    assert ControlClient.find(ID) is None
    clients[3].close()
    wait_until(lambda: len(connections()) == MOST_CONNECTIONS - 1)
    assert found().request({})["ok"]


def test_an_engine_that_hangs_is_given_up_in_time():
    go = threading.Event()
    server = ControlServer(ID, lambda _: go.wait(LIMIT_S) and {})
    client, begun = found(), time.monotonic()
    with pytest.raises(CommandError, match=r"did not reply within 0\.2 s"):
        client.request({}, timeout_s=0.2)
    assert time.monotonic() - begun < LIMIT_S / 2
    go.set()
    server.close()


# ---- where sessions are found ----


def test_files_are_private_and_gone_at_the_end(runtime):
    with contextlib.closing(ControlServer(ID, echo)):
        assert runtime.stat().st_mode & 0o777 == 0o700
        (path,) = runtime.iterdir()
        assert path.stat().st_mode & 0o777 == 0o600
    assert list(runtime.iterdir()) == []


def test_nobody_there():
    assert ControlClient.find(ID) is None  # no folder
    with contextlib.closing(ControlServer("f" * 64, echo)):
        assert ControlClient.find(ID) is None  # no file


@pytest.mark.parametrize(
    "bad", ["../0123456789", "", "ABCDEF0123", "0123456", "0" * 65, "01234567\n", None]
)
def test_an_id_that_is_none_never_becomes_a_path(runtime, bad):
    for refused in (lambda: ControlServer(bad, echo), lambda: ControlClient.find(bad)):
        with pytest.raises(CommandError, match=r"session id: got .*expected 8 to 64 hexadecimal digits"):
            refused()
    assert not runtime.exists()


def test_a_folder_that_is_open_to_others_is_refused(runtime):
    runtime.mkdir(mode=0o755)
    runtime.chmod(0o755)
    for refused in (lambda: ControlServer(ID, echo), lambda: ControlClient.find(ID)):
        with pytest.raises(CommandError, match="mode: got 755, expected 700"):
            refused()


def test_a_folder_that_is_a_link_is_refused(runtime, tmp_path):
    runtime.symlink_to(tmp_path)
    with pytest.raises(CommandError, match="expected a folder"):
        ControlServer(ID, echo)


def test_without_a_runtime_folder_the_temporary_one_serves(monkeypatch, tmp_path_factory):
    base = tmp_path_factory.mktemp("t")
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setattr(rendezvous.tempfile, "gettempdir", lambda: str(base))
    with contextlib.closing(ControlServer(ID, echo)):
        assert (base / f"bci_m2s-{os.getuid()}" / f"{ID}.json").is_file()
        assert found().request({})["ok"]


def test_what_dead_sessions_left_is_removed_and_what_lives_stays(runtime):
    living = ControlServer("a" * 8, echo)
    code = f"from bci_m2s.session.control.server import ControlServer as S; S({ID!r}, dict); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as dead:
        wait_until(lambda: (runtime / f"{ID}.json").exists())
        dead.kill()
    (runtime / f"{'c' * 8}.json").write_text("{half")
    (runtime / "notes.json").write_text("{}")
    assert ControlClient.find(ID) is None
    with contextlib.closing(ControlServer("d" * 8, echo)):
        names = sorted(path.name for path in runtime.iterdir())
        assert names == ["aaaaaaaa.json", "dddddddd.json", "notes.json"]
    living.close()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        '{"port": 0, "token": "aa"}',
        '{"port": "1", "token": "aa"}',
        '{"port": 80, "token": ""}',
    ],
)
def test_an_entry_that_makes_no_sense_is_none(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    assert rendezvous.read_entry(tmp_path / "a.json") is None


@pytest.mark.usefixtures("server")
def test_one_id_is_served_once():
    with pytest.raises(CommandError, match="takes commands already"):
        ControlServer(ID, echo)
    assert found().request({})["ok"]


def test_a_runtime_folder_of_someone_else_is_not_used(monkeypatch, tmp_path):
    """``sudo -E`` passes it on: what root made there would shut its owner out."""
    folder = rendezvous.folder_path()
    assert folder.name == "bci_m2s"
    monkeypatch.setattr(rendezvous.tempfile, "gettempdir", lambda: str(tmp_path))
    uid = os.getuid() + 1
    monkeypatch.setattr(rendezvous.os, "getuid", lambda: uid)
    assert rendezvous.folder_path() == tmp_path / f"bci_m2s-{uid}"
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "gone"))
    assert rendezvous.folder_path() == tmp_path / f"bci_m2s-{uid}"


def test_without_any_folder_for_temporary_files_it_is_refused_in_words(monkeypatch):
    def nowhere():
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setattr(rendezvous.tempfile, "gettempdir", nowhere)
    with pytest.raises(CommandError, match="temporary files: No usable temporary directory"):
        ControlServer(ID, echo)
    with pytest.raises(CommandError, match="temporary files"):
        ControlClient.find(ID)
