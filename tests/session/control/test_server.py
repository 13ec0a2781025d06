"""The local command channel: good requests, and everything that can go wrong with the other end."""

import contextlib
import json
import os
import secrets
import subprocess
import sys
import threading
import time
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client

import pytest

from bci_m2s.errors import CommandError
from bci_m2s.session.control import rendezvous
from bci_m2s.session.control import server as control
from bci_m2s.session.control.server import LONGEST_REQUEST, ControlClient, ControlServer

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the folder's rules are those of POSIX")
ID = "0123456789abcdef"
LIMIT_S = 10.0
CLIENTS = []  # closed after each test


@pytest.fixture(autouse=True)
def runtime(tmp_path_factory, monkeypatch):
    """A runtime folder of the test's own, with a short path: a socket's may not be long."""
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


def lines():
    return [thread for thread in threading.enumerate() if thread.name == "control-line"]


@pytest.mark.usefixtures("server")
def test_a_request_is_answered():
    with contextlib.closing(found()) as client:
        assert client.ask({"do": "mark", "text": "é ☃"}) == {
            "ok": True,
            "got": {"do": "mark", "text": "é ☃"},
        }
        assert client.ask({"n": 2})["got"] == {"n": 2}


@pytest.mark.usefixtures("server")
def test_refusals_and_failures_are_answered_in_words_and_the_connection_goes_on(caplog):
    with contextlib.closing(found()) as client:
        assert client.ask({"do": "refuse"}) == {"error": "not now"}
        assert not caplog.records
        assert client.ask({"do": "break"}) == {"error": "ZeroDivisionError: oops"}
        assert "a command failed" in caplog.text
        assert client.ask({})["ok"] is True


def test_an_answer_that_is_no_json_is_a_failure(caplog):
    with contextlib.closing(ControlServer(ID, lambda _: {"what": {1, 2}})):
        assert found().ask({})["error"].startswith("TypeError")
        assert "a command failed" in caplog.text


def test_an_answer_may_be_long_but_not_too_long():
    with contextlib.closing(ControlServer(ID, lambda request: {"x": "x" * request["n"]})):
        client = found()
        assert len(client.ask({"n": 4_000_000})["x"]) == 4_000_000
        assert client.ask({"n": 4_200_000}) == {"error": "answer: too long, expected 4194304 bytes at most"}


def test_a_request_that_is_too_long_is_refused_on_both_sides(entry):
    client = found()
    with pytest.raises(CommandError, match=r"request: got \d+ bytes, expected 65536 at most"):
        client.ask({"text": "x" * LONGEST_REQUEST})
    assert client.ask({})["ok"]
    with Client(entry.address, authkey=entry.key) as raw:
        raw.send_bytes(b"x" * (LONGEST_REQUEST + 1))
        assert "too long" in json.loads(raw.recv_bytes())["error"]
        with pytest.raises((EOFError, OSError)):
            raw.recv_bytes()  # the server let go of it
    assert client.ask({})["ok"]


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (b"\xff\x00garbage", "request: not JSON"),
        (b"[" * 60_000, "request: not JSON"),
        (b"9" * 20_000, "request: not JSON"),
        (b"[1]", "request: got list, expected a JSON object"),
        (b"", "request: not JSON"),
    ],
)
def test_garbage_is_answered_and_the_connection_goes_on(entry, sent, told):
    with Client(entry.address, authkey=entry.key) as raw:
        raw.send_bytes(sent)
        assert json.loads(raw.recv_bytes()) == {"error": told}
        raw.send_bytes(b"{}")
        assert json.loads(raw.recv_bytes())["ok"] is True


def test_a_wrong_key_is_refused(entry, caplog):
    with pytest.raises((AuthenticationError, EOFError, OSError)):
        Client(entry.address, authkey=secrets.token_bytes(32)).recv_bytes()
    assert found().ask({})["ok"]
    assert "a connection was refused" in caplog.text


def test_a_client_finds_out_that_the_key_is_wrong(entry, runtime):
    path = runtime / f"{ID}.json"
    path.write_text(path.read_text().replace(entry.key.hex(), "00" * 32))
    assert ControlClient.find(ID) is None


def test_a_client_that_never_proves_itself_is_cut_and_holds_nobody_up(entry, monkeypatch):
    monkeypatch.setattr(control, "HANDSHAKE_S", 0.3)
    silent = Client(entry.address)
    begun = time.monotonic()
    assert found().ask({})["ok"]
    assert time.monotonic() - begun < 0.25
    silent.recv_bytes()  # the challenge
    with pytest.raises((EOFError, OSError)):
        silent.recv_bytes()
    assert 0.2 < time.monotonic() - begun < LIMIT_S
    silent.close()


def test_a_client_that_stops_inside_a_message_is_cut(entry, monkeypatch):
    monkeypatch.setattr(control, "MESSAGE_S", 0.3)
    with Client(entry.address, authkey=entry.key) as half:
        os.write(half.fileno(), b"\x00\x00\x00\x64{")
        with pytest.raises((EOFError, OSError)):
            half.recv_bytes()
    wait_until(lambda: not lines())


def test_a_client_that_does_not_fetch_its_answer_is_cut(entry, server, monkeypatch):
    monkeypatch.setattr(control, "MESSAGE_S", 0.3)
    monkeypatch.setattr(server, "_handle", lambda _: {"x": "x" * 4_000_000})
    with Client(entry.address, authkey=entry.key) as lazy:
        lazy.send_bytes(b"{}")
        wait_until(lambda: not lines())


def test_close_is_quick_whatever_clients_do(server, entry, runtime):
    hanging = [Client(entry.address), Client(entry.address, authkey=entry.key)]
    half = Client(entry.address, authkey=entry.key)
    os.write(half.fileno(), b"\x00\x00")
    idle = found()
    wait_until(lambda: len(lines()) == 4)
    begun = time.monotonic()
    server.close()
    server.close()
    assert time.monotonic() - begun < 1.5
    wait_until(lambda: not lines())
    assert not any(thread.name == "control" for thread in threading.enumerate())
    assert list(runtime.iterdir()) == []
    with pytest.raises(CommandError, match="did not answer within"):
        idle.ask({})
    with pytest.raises(CommandError, match="connection is closed"):
        idle.ask({})
    for one in (*hanging, half):
        one.close()


def test_a_command_that_is_under_way_gets_its_answer_at_the_end():
    entered, go = threading.Event(), threading.Event()

    def slow(_):
        entered.set()
        go.wait(LIMIT_S)
        return {}

    server, answers = ControlServer(ID, slow), []
    client = found()
    asking = threading.Thread(target=lambda: answers.append(client.ask({"do": "stop"}, LIMIT_S)))
    asking.start()
    assert entered.wait(LIMIT_S)
    threading.Timer(0.1, go.set).start()
    server.close()
    asking.join(LIMIT_S)
    assert answers == [{"ok": True}]


@pytest.mark.usefixtures("server")
def test_a_killed_client_leaves_nothing_behind():
    code = (
        "from bci_m2s.session.control.server import ControlClient as C\n"
        f"c = C.find({ID!r}); c.ask({{}}); input()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as child:
        try:
            wait_until(lambda: len(lines()) == 1)
        finally:
            child.kill()
    wait_until(lambda: not lines())
    assert found().ask({})["ok"]


def test_two_clients_do_not_wait_for_one_another():
    both = threading.Barrier(2, timeout=LIMIT_S)

    def together(request):
        both.wait()
        return {"n": request["n"]}

    with contextlib.closing(ControlServer(ID, together)):
        answers = {}

        def ask(n):
            answers[n] = found().ask({"n": n}, LIMIT_S)["n"]

        threads = [threading.Thread(target=ask, args=(n,)) for n in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LIMIT_S)
        assert answers == {0: 0, 1: 1}


@pytest.mark.usefixtures("server")
def test_a_ninth_client_is_refused_until_one_goes():
    clients = [found() for _ in range(8)]
    assert all(client.ask({})["ok"] for client in clients)
    assert ControlClient.find(ID) is None
    clients[3].close()
    wait_until(lambda: len(lines()) == 7)
    assert found().ask({})["ok"]
    for client in clients:
        client.close()


def test_an_engine_that_hangs_is_given_up_in_time():
    go = threading.Event()
    server = ControlServer(ID, lambda _: go.wait(LIMIT_S) and {})
    client, begun = found(), time.monotonic()
    with pytest.raises(CommandError, match=r"did not answer within 0\.2 s"):
        client.ask({}, timeout_s=0.2)
    assert time.monotonic() - begun < 2.0
    go.set()
    server.close()


# ---- where sessions are found ----


def test_files_are_private_and_gone_at_the_end(runtime):
    with contextlib.closing(ControlServer(ID, echo)):
        assert runtime.stat().st_mode & 0o777 == 0o700
        assert sorted(path.suffix for path in runtime.iterdir()) == [".json", ".sock"]
        assert all(path.stat().st_mode & 0o777 == 0o600 for path in runtime.iterdir())
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
        assert found().ask({})["ok"]


def test_what_dead_sessions_left_is_removed_and_what_lives_stays(runtime):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait(LIMIT_S)
    living = ControlServer("a" * 8, echo)
    left = rendezvous.new_address(runtime)
    with contextlib.closing(control.Listener(left)) as listener:
        listener._listener._unlink = None  # as when a process is killed
        rendezvous.write_entry(runtime, ID, rendezvous.Entry(left, b"k" * 32, dead.pid))
        outside = runtime.parent / "precious"
        outside.write_text("x")
        rendezvous.write_entry(runtime, "b" * 8, rendezvous.Entry(str(outside), b"k" * 32, dead.pid))
        (runtime / f"{'c' * 8}.json").write_text("{half")
        (runtime / "notes.json").write_text("{}")
    assert ControlClient.find(ID) is None
    with contextlib.closing(ControlServer("d" * 8, echo)):
        names = sorted(path.name for path in runtime.iterdir() if path.suffix == ".json")
        assert names == ["aaaaaaaa.json", "dddddddd.json", "notes.json"]
        assert not os.path.lexists(left)
        assert outside.exists()
    living.close()


@pytest.mark.usefixtures("server")
def test_one_id_is_served_once():
    with pytest.raises(CommandError, match="takes commands already"):
        ControlServer(ID, echo)
    assert found().ask({})["ok"]


def test_a_path_that_is_too_long_for_a_socket_is_told(monkeypatch, tmp_path):
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    with pytest.raises(CommandError, match="expected 100 at most for a socket"):
        ControlServer(ID, echo)


def test_a_runtime_folder_of_someone_else_is_not_used(monkeypatch, tmp_path):
    """``sudo -E`` hands it on: what root made there would shut its owner out."""
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
