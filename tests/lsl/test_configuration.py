"""LSL's configuration: the search order, session ids, and that sessions do not see each other."""

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from bci_m2s.errors import ConfigurationError, OutputError, UsageError
from bci_m2s.lsl.configuration import (
    OWN,
    LslSession,
    check_session_id,
    fresh_session,
    in_force,
    lsl_on_this_machine,
    read_settings,
    search_paths,
    with_session_id,
)
from bci_m2s.sources.sender_process import SenderProcess, SenderSpec

TEXT = "; x\n[multicast]\nResolveScope = machine\r\n\n[lab]\n  SessionID=old one  \nKnownPeers = {a, b}\n"


def written(path, text=TEXT):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


class TestFile:
    def test_settings(self, tmp_path):
        assert read_settings(written(tmp_path / "a.cfg")) == {
            "multicast.ResolveScope": "machine",
            "lab.SessionID": "old one",
            "lab.KnownPeers": "{a, b}",
        }

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("[lab\nSessionID = a", "1: got '[lab', expected a closing bracket"),
            ("[lab]\nPK\0\x03 = \0", "2: got a zero byte, expected text"),
            ("[lab]\nSessionID", "2: got 'SessionID', expected KEY = VALUE"),
            ("[lab]\nSessionID =", "2: got 'SessionID =', expected KEY = VALUE"),
            ("[lab]\n = a", "2: got ' = a', expected KEY = VALUE"),
            ("[lab]\nSessionID = a\n[x]\n[lab]\nSessionID = b", "5: lab.SessionID: occurs twice"),
        ],
    )
    def test_malformed(self, tmp_path, text, words):
        path = written(tmp_path / "a.cfg", text)
        with pytest.raises(ConfigurationError) as caught:
            read_settings(path)
        assert str(caught.value) == f"{path}:{words}"

    def test_search_order_is_liblsls(self, tmp_path, monkeypatch):
        monkeypatch.chdir(written(tmp_path / "here" / "x").parent)
        environment = {"LSLAPICFG": str(tmp_path / "named.cfg"), "HOME": str(tmp_path / "home")}
        order = search_paths(environment)
        assert order == [
            tmp_path / "named.cfg",
            Path("lsl_api.cfg"),
            tmp_path / "home" / "lsl_api" / "lsl_api.cfg",
            Path("/etc/lsl_api/lsl_api.cfg"),
        ]
        for path in reversed(order[:3]):  # each of them hides those after it
            written(path, f"[lab]\nSessionID = {len(str(path))}")
            assert in_force(environment) == (path, {"lab.SessionID": str(len(str(path)))})
        written(order[0], "[broken")
        assert in_force(environment)[0] == order[1]
        del environment["LSLAPICFG"]
        assert in_force(environment)[0] == order[1]

    def test_another_session_id_and_nothing_else(self, tmp_path):
        path = written(tmp_path / "a.cfg")
        again = written(tmp_path / "b.cfg", with_session_id(path.read_text(), "new one"))
        assert read_settings(again) == {**read_settings(path), "lab.SessionID": "new one"}
        assert with_session_id("", "x") == "[lab]\nSessionID = x\n"


class TestSessionId:
    @pytest.mark.parametrize("good", ["a", "sub-01/ses-02", "x" * 64, "my lab, room 3"])
    def test_good(self, good):
        assert check_session_id(good) == good

    @pytest.mark.parametrize(
        "bad",
        ["", " ", " a", "a ", "x" * 65, "a\nb", "a\0", "[lab]", "a]b", "it's", 'a"b', "a&b", "ä", "a\x7f"],
    )
    def test_bad(self, bad):
        with pytest.raises(UsageError, match=r"^session id: got .*expected 'new' or 1 to 64") as caught:
            check_session_id(bad)
        assert "\n" not in str(caught.value)

    def test_environment_is_set_and_put_back(self, monkeypatch, tmp_path):
        monkeypatch.setenv("LSLAPICFG", str(written(tmp_path / "a.cfg")))
        seen = set()
        for _ in range(2):
            with fresh_session() as session:
                path, settings = in_force()
                assert path is None
                assert settings["lab.SessionID"] == session.session_id
                assert settings["multicast.ResolveScope"] == "machine"
                assert settings["lab.KnownPeers"] == "{a, b}"
                seen.add(session.session_id)
            assert in_force() == (tmp_path / "a.cfg", read_settings(tmp_path / "a.cfg"))
        assert len(seen) == 2
        with fresh_session("mine") as session, lsl_on_this_machine():
            assert in_force()[1]["lab.SessionID"] == session.session_id == "mine"
        assert OWN not in os.environ

    def test_this_machine_only_unless_told_otherwise(self, monkeypatch, tmp_path):
        monkeypatch.delenv("LSLAPICFG")
        with lsl_on_this_machine():
            assert in_force()[1]["multicast.ResolveScope"] == "machine"
            with fresh_session("a") as session:
                assert "ResolveScope = machine" in session.text
                assert in_force()[1]["lab.SessionID"] == "a"
            assert "lab.SessionID" not in in_force()[1]
        assert OWN not in os.environ
        monkeypatch.setenv("LSLAPICFG", str(written(tmp_path / "mine.cfg")))
        with lsl_on_this_machine():
            assert in_force()[0] == tmp_path / "mine.cfg"

    def test_file_for_the_senders(self, tmp_path):
        session = LslSession("a-b", with_session_id("", "a-b"))
        path = session.save(tmp_path)
        assert path == tmp_path / "lsl_api.cfg"
        assert read_settings(path) == {"lab.SessionID": "a-b"}
        with pytest.raises(OutputError, match=r"lsl_api\.cfg: cannot be created: File exists"):
            session.save(tmp_path)
        for words in ("SessionID = a-b", "accidents, not attacks"):
            assert words in session.describe()


SENDER = """
import sys
import pylsl
from bci_m2s.lsl.configuration import fresh_session
with fresh_session(sys.argv[1]):
    outlet = pylsl.StreamOutlet(pylsl.StreamInfo("of-" + sys.argv[1], "EEG", 1, 0, "float32", sys.argv[1]))
    print("ready", flush=True)
    sys.stdin.read()
"""
SEEKER = """
import sys
from bci_m2s.lsl.configuration import fresh_session
with fresh_session(sys.argv[1]):
    from bci_m2s.lsl.network import list_streams
    found, looks = [], 0
    while looks < 10 and not found:
        found, looks = list_streams(1.0, describe=False), looks + 1
    print([info.name for info in found])
"""
CHILD = """
import pylsl
outlet = pylsl.StreamOutlet(pylsl.StreamInfo("child", "x", 1, 0, "float32", "child"))
print(outlet.get_info().session_id())
"""
PARENT = f"""
import os, subprocess, sys
from bci_m2s.lsl.configuration import fresh_session
with fresh_session("handed on"):
    for head in ("from bci_m2s.lsl.configuration import inherit; inherit()", ""):
        subprocess.run([sys.executable, "-c", head + {CHILD!r}], check=True)
"""


def test_children_have_the_session_too_and_need_no_file():
    """Also a child of ours inherits it only by asking for it: the second one is as the tests' file says."""
    output = subprocess.run(
        [sys.executable, "-c", PARENT], capture_output=True, text=True, check=True
    ).stdout
    assert output.splitlines()[0] == "handed on"
    assert output.splitlines()[1].startswith("bci-m2s-test-")


def test_a_sender_process_sends_in_the_session_of_who_started_it():
    with fresh_session(f"{os.getpid()}-sender"), SenderProcess(SenderSpec(streams=("markers",))) as sender:
        (info,) = sender.infos
        command = [sys.executable, "-m", "bci_m2s", "streams", "--wait", "2"]
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert info.source_id in listed


def test_the_log_of_liblsl_does_not_reach_the_user_unless_it_is_asked_for(tmp_path):
    text = f"[multicast]\nResolveScope = machine\n[lab]\nSessionID = {os.getpid()}-log\n"
    logs = []
    for level in ("", "[log]\nlevel = 9\n"):
        file = tmp_path / f"{len(logs)}.cfg"
        file.write_text(text + level)
        command = [sys.executable, "-m", "bci_m2s", "streams", "--wait", "0.2"]
        environment = {**os.environ, "LSLAPICFG": str(file)}
        logs.append(subprocess.run(command, capture_output=True, text=True, check=True, env=environment))
    assert logs[0].stderr == ""
    assert logs[1].stderr


def test_sessions_do_not_see_each_other():
    """Two senders of two sessions; each session's seeker finds its own sender and not the other one."""
    ids = [f"{os.getpid()}-{name}" for name in ("one", "two")]
    with ExitStack() as stack:
        for session_id in ids:
            command = [sys.executable, "-c", SENDER, session_id]
            sender = stack.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            stack.callback(sender.stdin.close)
            assert sender.stdout.readline() == "ready\n"
        seekers = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", SEEKER, session_id], stdout=subprocess.PIPE, text=True
                )
            )
            for session_id in ids
        ]
        for session_id, seeker in zip(ids, seekers, strict=True):
            names, _ = seeker.communicate(timeout=240)
            assert names == f"{[f'of-{session_id}']}\n"
