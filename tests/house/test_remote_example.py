"""The PsychoPy example of remote control does what it says, without PsychoPy's window."""

import contextlib
import importlib.util
import socket
from pathlib import Path

import pytest

from bci_m2s.session.remote.address import Address
from bci_m2s.session.remote.server import RemoteServer

connect = socket.create_connection
SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "psychopy_remote.py"


@pytest.fixture
def example():
    spec = importlib.util.spec_from_file_location("psychopy_remote", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_trials_are_recorded_and_marked_and_the_estimate_is_shown(example, monkeypatch):
    asked, shown, opened = [], [], []

    def handle(request, ago_s):
        del ago_s
        asked.append(" ".join(request.values()))
        label = "happy" if len(asked) < 6 else ""
        estimate = {"modality": "eeg", "label": label, "reason": "window fills"}
        return {"said": "done", **({"estimates": [estimate]} if request["do"] == "estimate" else {})}

    server = RemoteServer(Address("127.0.0.1", 0))
    server.serve(handle, lambda _: None)
    monkeypatch.setattr(
        example.socket, "create_connection", lambda at: opened.append(connect(at)) or opened[-1]
    )
    with contextlib.closing(server):
        ask = example.asker(server.address.port)
        example.run(ask, lambda words, _seconds: shown.append(words), ("sad", "happy"), 0.0)
        with pytest.raises(SystemExit, match="nonsense: ERR got 'nonsense'"):
            ask("nonsense")
        opened[0].close()
    assert asked == [
        "filename {participant:01} {task:words}",
        "record_on",
        *("mark trial/start/sad", "mark trial/stop/sad", "estimate"),
        *("mark trial/start/happy", "mark trial/stop/happy", "estimate"),
        "record_off",
    ]
    assert shown == ["sad", "eeg: happy", "happy", "eeg: window fills"]
