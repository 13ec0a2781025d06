"""A whole session under remote control, from LabRecorder's words to files on the disk."""

import json
import socket

import pytest
import yaml
from support.running_sessions import Endless, quiet_session, until

from bci_m2s.errors import CommandError
from bci_m2s.session.remote.address import Address

pytestmark = pytest.mark.live
KEY = "correct-horse-battery"


def asked(port, *lines):
    """What a program gets for its lines, one connection for all."""
    with socket.create_connection(("127.0.0.1", port), 60) as client, client.makefile("r") as replies:
        found = []
        for line in lines:
            client.sendall(f"{line}\n".encode())
            found.append(replies.readline().strip())
    return found


def port_of(running):
    until(lambda: "remote control on 127.0.0.1:" in running.printed, running)
    return int(running.printed.split("remote control on 127.0.0.1:")[1].split(":")[0])


def test_a_program_records_marks_and_asks(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    options = {"folder": folder, "record": False, "remote": Address(port=0)}
    with quiet_session(tmp_path, Endless(), **options) as running:
        port = port_of(running)
        asked(port, "filename {template:%p/%b-%r} {participant:7} {task:rest}")
        until(lambda: '"status": "ok"' in asked(port, "estimate")[0], running)
        assert asked(port, "stop", "start", "marker inside", "start")[1:3] == ["OK", "OK"]
        until(lambda: json.loads(asked(port, "state")[0])["recording"]["samples"] > 5000, running)
        assert asked(port, "stop", "start", "stop") == ["OK"] * 3  # the same name again
        (estimate,) = json.loads(asked(port, "estimate")[0])["estimates"]
        assert (estimate["modality"], estimate["head"]) == ("eeg", "emotion")
        assert asked(port, "stop-session") == ["OK"]
        until(lambda: not running.is_alive())
    assert running.failure is None
    assert "remote: recordings that follow go into 7/rest-001" in running.printed
    recorded = folder / "7" / "rest-001"
    assert (folder / "7" / "rest-001-2" / "session.xdf").exists()
    events = [json.loads(line) for line in (recorded / "events.jsonl").read_text().splitlines()]
    assert [event["message"] for event in events if event["kind"] == "marker"] == ["inside"]
    assert not (folder / "session.xdf").exists()


def test_the_key_is_in_no_file_and_a_link_leads_nowhere(tmp_path):
    folder, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    asks = {"remote": {"port": 0, "key": KEY}}
    with quiet_session(tmp_path, Endless(), folder=folder, record=False, pipeline=asks) as running:
        port = port_of(running)
        (folder / "link").symlink_to(elsewhere)
        found = asked(port, f"key {KEY}", "filename {template:link/%p}", "start")
        assert found[:2] == ["OK", "OK"]
        assert "expected a folder inside" in found[2]
        assert asked(port, f"key {KEY}", "filename {template:%p}", "start") == ["OK"] * 3
    assert running.failure is None
    assert list(elsewhere.iterdir()) == []
    assert yaml.safe_load((folder / "P001" / "session.yaml").read_text())["pipeline"]["remote"] == {
        "port": 0,
        "host": "127.0.0.1",
    }
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert len(files) > 5
    assert not any(KEY.encode() in file.read_bytes() for file in files)
    assert KEY not in running.printed


def test_a_port_in_use_is_known_before_anything_is_written(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        folder = tmp_path / "out"
        folder.mkdir()
        address = Address(port=taken.getsockname()[1])
        with quiet_session(tmp_path, Endless(), folder=folder, remote=address) as running:
            until(lambda: not running.is_alive())
    assert isinstance(running.failure, CommandError)
    assert list(folder.iterdir()) == []


def test_a_replay_opens_no_port_though_its_pipeline_did(tmp_path):
    asks = {"remote": {"port": 0}}
    with quiet_session(tmp_path, Endless(), mode="replay", pipeline=asks) as running:
        until(lambda: "EEG" in running.printed, running)
    assert running.failure is None
    assert "remote control" not in running.printed
