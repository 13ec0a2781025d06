"""``bci-m2s record --remote``: recordings begin and end when a program says so."""

import json
import threading
import time

import pytest
import yaml
from rich.console import Console
from support.rights import assert_rights
from support.running_sessions import Endless, until

from bci_m2s.commands.record_remote import record_takes
from bci_m2s.errors import CommandError
from bci_m2s.lsl.description import SessionDescription
from bci_m2s.recording.recorded import open_recording
from bci_m2s.session.control.client import ControlClient
from bci_m2s.session.control.rendezvous import announced
from bci_m2s.session.record_takes import RecordTakes
from bci_m2s.session.remote.address import Address
from bci_m2s.session.remote.server import RemoteServer

pytestmark = pytest.mark.live


@pytest.fixture
def recorder(tmp_path, tmp_path_factory, monkeypatch):
    """A recorder in a thread: takes, what asks it, and what it printed."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
    (tmp_path / "rec").mkdir(mode=0o700)
    with (tmp_path / "printed").open("w") as printed:
        session = SessionDescription(mode="record")
        source = Endless()
        takes = RecordTakes(
            {"cap": source}, time.monotonic, session, tmp_path / "rec", "cap", lambda _: None
        )
        server, stop = RemoteServer(Address(port=0)), threading.Event()
        arguments = (takes, server, False, Console(file=printed), stop, 0.0)
        thread = threading.Thread(target=record_takes, args=arguments)
        thread.start()
        until(announced)
        client = ControlClient.find(announced()[0])

        def ask(do, **fields):
            answer = client.request({"do": do, **fields}, 30.0)
            if "error" in answer:
                raise CommandError(answer["error"])
            return answer

        try:
            yield takes, ask, thread
        finally:
            client.close()
            stop.set()
            thread.join(60)
    assert not thread.is_alive()


def test_what_is_recorded_begins_with_start_and_ends_with_stop(recorder, tmp_path):
    takes, ask, thread = recorder
    with pytest.raises(CommandError, match="marker: nothing is being recorded"):
        ask("mark", text="early")
    with pytest.raises(CommandError, match="nothing is estimated here"):
        ask("baseline_start")
    assert ask("select_all")["said"] == "recorded are cap"
    assert ask("estimate")["estimates"] == []
    ask("filename", text="{template:%p_%b} {participant:7} {task:rest}")
    for folder in ("7_rest", "7_rest-2"):
        path = tmp_path / "rec" / folder
        assert ask("record_on")["said"] == f"recording into {path}"
        ask("mark", text=f"inside {folder}")
        until(lambda: ask("state")["status"]["recording"]["samples"] > 500)
        assert "recording closed" in ask("record_off")["said"]
        with pytest.raises(CommandError, match="nothing is being recorded"):
            ask("record_off")
        with pytest.raises(CommandError, match="nothing is being recorded"):
            ask("mark", text="late")
        assert_rights(path)
        cap, markers = open_recording(path / "session.xdf").raw_streams
        assert cap.n_samples > 400
        events = [json.loads(line) for line in (path / "events.jsonl").read_text().splitlines()]
        assert markers.read(0, markers.n_samples).tolist() == [[f"inside {folder}"]]
        assert not [one for one in events if one["kind"] == "gap"]
    assert yaml.safe_load((path / "session.yaml").read_text())["take"] == 2
    ask("stop")
    until(lambda: not thread.is_alive())
    assert takes.switch.ended == "stopped by the operator"
    assert "take 2: recording into" in " ".join((tmp_path / "printed").read_text().split())


def test_the_first_recording_without_a_name_is_in_the_folder_itself(recorder, tmp_path):
    _, ask, thread = recorder
    ask("record_on")
    ask("stop")
    until(lambda: not thread.is_alive())
    assert open_recording(tmp_path / "rec" / "session.xdf").streams
