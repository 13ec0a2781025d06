"""Senders whose stamps are not LSL time are stamped on arrival, in every file that is written."""

import threading
import time
import uuid

import numpy as np
import pytest
import yaml
from support import command_line
from support.clock_files import Sender, marks, record

from bci_m2s.lsl.outlet import make_outlet
from bci_m2s.types import StreamInfo

LABELS = ("TP9", "AF7", "AF8", "TP10")


@pytest.fixture
def headset():
    """Sends EEG with Unix time, as muse-lsl does, until the test ends."""
    info = StreamInfo(
        "Unix", "EEG", uuid.uuid4().hex, rate_hz=256.0, labels=LABELS, units=("microvolts",) * 4
    )
    outlet, over = make_outlet(info, 10), threading.Event()

    def send():
        while not over.wait(0.05):
            outlet.push_chunk(np.zeros((12, 4), np.float32), time.time())

    thread = threading.Thread(target=send)
    thread.start()
    yield info
    over.set()
    thread.join()


@pytest.mark.live
def test_unix_time_on_the_network(headset, tmp_path):
    done = command_line.bci("new", tmp_path / "lab", "--eeg", headset.name, "--classes", "calm,tense")
    assert done.returncode == 0, done.stderr
    assert "'Unix' does not stamp in LSL time: its samples are stamped when they come" in done.stdout
    read = {
        name: yaml.safe_load((tmp_path / "lab" / f"{name}.yaml").read_text())
        for name in ("training", "pipeline")
    }
    assert read["pipeline"]["streams"]["eeg"]["stamps"] == "arrival"
    assert read["training"]["data"]["markers"]["stamps"] == "arrival"
    assert "streams" not in read["training"]["data"]


def test_unix_time_in_a_recording(tmp_path):
    true_s = 500 + np.arange(256 * 40) / 256
    samples = np.random.default_rng(0).normal(0, 20, (len(true_s), 4)).astype(np.float32)
    info = StreamInfo("Unix", "EEG", rate_hz=256.0, labels=LABELS, units=("uV",) * 4)
    offsets = [(at, 0.0) for at in np.arange(501.0, 540, 5)]
    texts = [(510.0, "trial/start/calm"), (520.0, "trial/stop/calm"), (521.0, "trial/start/tense")]
    path = tmp_path / "P1.xdf"
    record(path, [Sender(info, true_s, true_s + 1.7e9, samples, offsets), marks(texts, offsets)])
    done = command_line.bci("new", tmp_path / "lab", "--from", path)
    assert done.returncode == 0, done.stderr
    assert "does not stamp in LSL time" in done.stdout
    training = yaml.safe_load((tmp_path / "lab" / "training.yaml").read_text())
    assert training["data"]["markers"]["stamps"] == "arrival"
