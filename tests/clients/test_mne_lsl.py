"""mne-lsl feeds a session, reads its estimates, and reads a recording that is sent as LSL streams."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import mne
import numpy as np
import pytest
import yaml
from support import command_line
from support.client_environment import ClientEnvironment, older_peer_settings, printed

from bci_m2s.recording.recorded import open_recording

pytestmark = [pytest.mark.nightly, pytest.mark.live]

HERE = Path(__file__).parent
SHIPPED = HERE.parents[1] / "recordings" / "simulated-session.xdf"
LABELS = ["TP9", "AF7", "AF8", "TP10"]
RATE_HZ, SECONDS = 256, 60
PER_MICROVOLT = {"volts": 1e-6, "millivolts": 1e-3, "microvolts": 1.0}
CODES = {"volts": "0", "millivolts": "-3", "microvolts": "-6"}
N_OK = 6


@pytest.fixture(scope="module")
def mne_lsl(tmp_path_factory) -> ClientEnvironment:
    return ClientEnvironment(tmp_path_factory.mktemp("mne-lsl"), "mne-lsl")


@pytest.fixture(scope="module")
def played(tmp_path_factory) -> tuple[Path, np.ndarray]:
    """A FIF file of a minute of noise, and its values in microvolts, (n, 4)."""
    path = tmp_path_factory.mktemp("played") / "noise_raw.fif"
    values = np.random.default_rng(0).normal(0.0, 15.0, (4, RATE_HZ * SECONDS))
    raw = mne.io.RawArray(values * 1e-6, mne.create_info(LABELS, RATE_HZ, "eeg"), verbose="error")
    raw.save(path, verbose="error")
    return path, mne.io.read_raw(path, verbose="error").get_data().T * 1e6


class Story:
    """A session that PlayerLSL feeds in one unit, and whose estimates StreamLSL reads."""

    def __init__(self, folder, client, file, unit):
        name = f"player-{unit}"
        pipeline = {
            "model": "muse-4ch",
            "streams": {"eeg": {"type": "EEG", "name": name, "wait_s": 120}},
        }
        (folder / "player.yaml").write_text(yaml.safe_dump(pipeline))
        player = client.start(HERE / "mne_lsl_player.py", file, name, unit)
        peer = older_peer_settings(folder)
        reader = client.start(
            HERE / "mne_lsl_reader.py", folder / "read.json", "Emotion", N_OK, "status", 0, **peer
        )
        run = ("run", folder / "player.yaml", "--headless", "--output", folder / "out")
        try:
            self.done = command_line.bci(*run, until=lambda: reader.poll() is not None)
            assert self.done.returncode == 0, self.done.stdout + self.done.stderr
            printed(reader)
        finally:
            reader.kill()
            printed(player)  # its standard input ends
        self.read = json.loads((folder / "read.json").read_text())
        with (folder / "out" / "estimates.csv").open(newline="") as table:
            self.rows = list(csv.DictReader(table))
        self.events = (folder / "out" / "events.jsonl").read_text(encoding="utf-8")
        self.recording = open_recording(folder / "out" / "session.xdf")


@pytest.fixture(scope="module", params=PER_MICROVOLT)
def story(request, tmp_path_factory, mne_lsl, played):
    made = Story(tmp_path_factory.mktemp(request.param), mne_lsl, played[0], request.param)
    made.unit = request.param
    return made


def test_the_players_codes_of_units_are_understood(story, played):
    (stream,) = [one for one in story.recording.streams if one.info.name == f"player-{story.unit}"]
    assert (stream.info.type, set(stream.info.units)) == ("eeg", {CODES[story.unit]})
    converted = f"units: {story.unit} are converted to "
    assert (converted in story.events + story.done.stdout) == (story.unit != "microvolts")
    samples = stream.read(0, 1000) / PER_MICROVOLT[story.unit]
    start = int(np.argmin(np.abs(played[1] - samples[0]).sum(axis=1)))
    expected = np.roll(played[1], -start, axis=0)[: len(samples)]  # the player begins again at the end
    np.testing.assert_allclose(samples, expected, rtol=1e-5, atol=1e-4)


def test_a_player_gives_estimates(story):
    assert sum(row["status"] == "ok" for row in story.rows) >= N_OK
    assert not any("amplitude" in row["reason"] for row in story.rows)


def test_stream_lsl_reads_the_estimates(story):
    """Those of the table, at their stamps, under their labels."""
    labels, read = story.read["labels"], story.read
    assert labels[-5:] == ["confidence", "age", "status", "modality", "unknown"]
    pairs = zip(read["samples"], read["stamps"], strict=True)
    got = {stamp: dict(zip(labels, sample, strict=True)) for sample, stamp in pairs}
    got = {stamp: one for stamp, one in got.items() if one["status"] == 0}
    assert len(got) >= N_OK
    ok = {float(row["window_end_s"]): row for row in story.rows if row["status"] == "ok"}
    for stamp, one in got.items():
        at_s = min(ok, key=lambda end_s: abs(end_s - stamp))
        assert at_s == pytest.approx(stamp, abs=5e-3)  # the player's clock is read as another's
        for name in labels[:-5]:
            assert one[name] == pytest.approx(float(ok[at_s][f"p_{name}"]), abs=1e-5)
        assert one["confidence"] == pytest.approx(float(ok[at_s]["confidence"]), abs=1e-5)


def test_stream_lsl_reads_a_recording_that_is_sent(tmp_path, mne_lsl):
    (stream,) = [one for one in open_recording(SHIPPED).streams if one.info.type == "EEG"]
    peer = older_peer_settings(tmp_path)
    reader = mne_lsl.start(HERE / "mne_lsl_reader.py", tmp_path / "read.json", "EEG", 500, "", "", **peer)
    try:
        done = command_line.bci("replay", SHIPPED, "--as-lsl", until=lambda: reader.poll() is not None)
        printed(reader)
    finally:
        reader.kill()
    assert done.returncode == 0, done.stderr
    read = json.loads((tmp_path / "read.json").read_text())
    assert (tuple(read["labels"]), read["kinds"]) == (stream.info.labels, ["eeg"])
    assert read["rate_hz"] == stream.info.rate_hz
    assert set(read["units"]) == {-6}  # as a power of ten of a volt
    samples, whole = np.array(read["samples"], np.float32), stream.read(0, stream.n_samples)
    start = int(np.flatnonzero((whole == samples[0]).all(axis=1))[0])
    np.testing.assert_array_equal(samples, whole[start : start + len(samples)])
    spacing = np.diff(read["stamps"])
    np.testing.assert_allclose(spacing, 1 / stream.info.rate_hz, atol=2e-3)
