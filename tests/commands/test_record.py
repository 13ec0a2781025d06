"""``bci-m2s record``, ``verify`` and ``recover`` as a user calls them, on real streams."""

import json
import threading
import time
import uuid

import numpy as np
import pylsl
import pytest
from support.command_line import refused
from support.recorded_sessions import chunks_of, record_session
from support.rights import assert_rights
from support.small_sessions import ScriptedSource, eeg
from typer.testing import CliRunner

from bci_m2s.commands.cli import app
from bci_m2s.commands.record import record_streams
from bci_m2s.errors import StreamError
from bci_m2s.recording.recorded import open_recording

pytestmark = pytest.mark.live

LIMIT_S = 120.0


def run(*arguments):
    return CliRunner().invoke(app, [str(one) for one in arguments])


def outlet(name, stream_type="EEG", rate_hz=250.0):
    info = pylsl.StreamInfo(name, stream_type, 2, rate_hz, "int32", uuid.uuid4().hex)
    info.set_channel_labels(["count", "run"])
    return pylsl.StreamOutlet(info)


def send(sender, stop):
    sender.wait_for_consumers(LIMIT_S)
    count = 0
    while not stop.is_set():
        rows = [[count + row, 1] for row in range(25)]
        sender.push_chunk(np.array(rows, np.int32))
        count += 25
        time.sleep(0.1)


def test_named_streams_are_recorded_sample_for_sample(tmp_path):
    name, other = f"cap-{uuid.uuid4().hex[:6]}", f"other-{uuid.uuid4().hex[:6]}"
    sender, unwanted, stop = outlet(name), outlet(other), threading.Event()
    thread = threading.Thread(target=send, args=(sender, stop))
    thread.start()
    try:
        record_streams([name], tmp_path / "r", 3.0, LIMIT_S)
    finally:
        stop.set()
        thread.join()
    del unwanted
    assert_rights(tmp_path / "r")
    recording = open_recording(tmp_path / "r" / "session.xdf")
    (stream,) = recording.raw_streams
    assert (stream.info.name, stream.info.labels) == (name, ("count", "run"))
    counts = stream.read(0, stream.n_samples)[:, 0]
    assert len(counts) > 0
    np.testing.assert_array_equal(counts, counts[0] + np.arange(len(counts)))
    kinds = [
        json.loads(line)["kind"] for line in (tmp_path / "r" / "events.jsonl").read_text().splitlines()
    ]
    assert kinds[:2] == ["started", "connected"]
    assert kinds[-1] == "stopped"


def test_a_stream_that_does_not_come_is_named_and_nothing_is_left_behind(tmp_path):
    with pytest.raises(StreamError, match=r"no stream named or of type 'nobody' came within 0\.5 s"):
        record_streams(["nobody"], tmp_path / "r", 1.0, 0.5)
    assert not (tmp_path / "r").exists()


def test_verify_says_what_came_back_and_its_status(tmp_path):
    path = record_session(tmp_path / "s", {"eeg": chunks_of(*eeg(12))})
    result = run("verify", path)
    assert result.exit_code == 0, result.output
    assert "48 answers come back bit for bit (eeg 48)" in result.output
    assert "session.xdf: verified" in result.output


class Unhurried(ScriptedSource):
    """Takes time over its chunks, so that the recorder writes them little by little."""

    def pull(self, timeout_s):
        time.sleep(0.02)
        return super().pull(timeout_s)


def test_a_damaged_session_is_recovered_and_then_verified(tmp_path):
    path = record_session(tmp_path / "s", {"eeg": chunks_of(*eeg(20))}, source_of=Unhurried)
    content = path.read_bytes()
    path.write_bytes(content[: int(0.8 * len(content))])
    result = run("recover", path)
    assert result.exit_code == 0, result.output
    copy = path.with_name("session-recovered.xdf")
    assert copy.is_file()
    result = run("verify", copy)
    assert result.exit_code == 0, result.output
    assert "session-recovered.xdf: verified" in result.output


@pytest.mark.nightly  # twenty seconds; test_cli has one who comes later in every run
def test_whoever_comes_later_is_recorded_too(tmp_path):
    name, late, stop = f"cap-{uuid.uuid4().hex[:6]}", [], threading.Event()
    sender = outlet(name)

    def come_late():
        sender.wait_for_consumers(LIMIT_S)
        info = pylsl.StreamInfo(f"late-{name}", "Markers", 1, 0, "string", uuid.uuid4().hex)
        late.append(pylsl.StreamOutlet(info))
        late[0].wait_for_consumers(LIMIT_S)
        while not stop.wait(0.1):
            late[0].push_sample(["here"])

    threads = [threading.Thread(target=come_late), threading.Thread(target=send, args=(sender, stop))]
    for thread in threads:
        thread.start()
    try:
        record_streams([], tmp_path / "r", 20.0, LIMIT_S)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    streams = {
        stream.info.name: stream for stream in open_recording(tmp_path / "r" / "session.xdf").streams
    }
    assert streams[name].n_samples > 0
    assert set(streams[f"late-{name}"].read(0, streams[f"late-{name}"].n_samples).ravel()) == {"here"}


def test_commands_tell_what_they_need():
    result = run("record")
    assert result.exit_code == 2
    assert "--output" in result.output
    assert "error: nothing.xdf: no such file" in refused("verify", "nothing.xdf")


def test_recording_needs_a_folder():
    result = run("run", "muse", "--record")
    assert str(result.exception) == "--record: got no --output, expected the folder to record into"
