"""The commands as a user types them; those that end by a signal in processes of their own."""

import contextlib
import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pylsl
import pytest
import yaml
from support.command_line import LIMIT_S, bci, refused
from support.model_files import small_tensors
from support.senders import sending
from support.small_sessions import contract

from bci_m2s.model.model_file import save_model
from bci_m2s.recording.recorded import open_recording
from bci_m2s.sources.sender_process import SenderSpec

COMMAND = [sys.executable, "-m", "bci_m2s"]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a small model and a pipeline over the simulator's Muse-like cap."""
    folder = tmp_path_factory.mktemp("home")
    made = contract()
    save_model(folder / "small.safetensors", made, small_tensors(made))
    pipeline = {
        "model": "small.safetensors",
        "streams": {"eeg": {"name": "Simulated EEG", "type": "EEG"}},
        "markers": {"name": "Simulated markers", "type": "Markers"},
        "outlet": {"name": f"test-{os.getpid()}"},
    }
    (folder / "live.yaml").write_text(yaml.safe_dump(pipeline))
    return folder


def simulated(**spec):
    settings = {"montage": "muse", "eeg_rate_hz": 256.0, "rest_s": 3.0, "trial_s": 6.0, "pause_s": 1.0}
    return sending(SenderSpec(simulated=settings, streams=("eeg", "markers"), wait_s=LIMIT_S, **spec))


def rows_of(folder):
    with (folder / "estimates.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def good_rows(folder):
    """Rows with an estimate; none while there is no file."""
    there = (folder / "estimates.csv").is_file()
    return [row for row in rows_of(folder) if row["status"] == "ok"] if there else []


def test_it_starts_as_a_program():
    done = subprocess.run(
        [*COMMAND, "--version"], capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert done.returncode == 0
    assert done.stdout.startswith("bci_m2s 0.")


@pytest.mark.parametrize("when", ["find_spec", "main"])
def test_a_ctrl_c_while_it_starts_ends_it_without_a_word(when):
    """It comes while the command line is imported, or begins."""
    program = f"""
import os, signal, sys, types
signal.signal(signal.SIGINT, signal.default_int_handler)  # also where whoever runs the tests ignores it
class Pressing:
    def find_spec(self, name, *_):
        if name == "bci_m2s.commands.cli":
            os.kill(os.getpid(), signal.SIGINT)
def main():
    os.kill(os.getpid(), signal.SIGINT)
if "{when}" == "main":
    sys.modules["bci_m2s.commands.cli"] = types.SimpleNamespace(main=main)
sys.meta_path.insert(0, Pressing())
from bci_m2s.__main__ import main
main()
"""
    run = [sys.executable, "-c", program]
    done = subprocess.run(run, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_a_folder_means_the_recording_in_it(tmp_path):
    for command in ("verify", "show", "replay"):
        assert "is a folder without session.xdf" in refused(command, tmp_path)


def test_help():
    for arguments in (["--help"], ["run", "--help"], ["replay", "--help"], ["simulate", "--help"]):
        done = bci(*arguments)
        assert done.returncode == 0
        assert "Usage" in done.stdout
    assert "--remote" in bci("panel", "--help").stdout


@pytest.mark.live
def test_run_on_a_live_stream(home, tmp_path):
    out = tmp_path / "out"
    run = ("run", home / "live.yaml", "--headless")
    with simulated():
        done = bci(*run, "--output", out, until=lambda: len(good_rows(out)) >= 5)
        assert done.returncode == 0, done.stdout + done.stderr
        # the same person again, without a rest, until the time is over
        again = bci(*run, "--duration", 1, "--baseline", out / "baseline.json")
        # and never over an earlier session
        assert "nothing is overwritten" in refused(*run, "--output", out)
    assert again.returncode == 0, again.stderr
    assert "baseline of eeg taken" in again.stdout
    assert "trained on simulated data" in done.stdout
    assert "Summary" in done.stdout
    good = good_rows(out)
    assert len(good) >= 5
    assert all(0 < float(row["age_ms"]) < 1000 * LIMIT_S for row in good)
    assert {row["modality"] for row in rows_of(out)} == {"eeg"}
    events = [json.loads(line) for line in (out / "events.jsonl").read_text().splitlines()]
    kinds = [event["kind"] for event in events]
    assert kinds[0] == "started"
    assert kinds[-1] == "stopped"
    assert {"baseline_complete", "marker"} <= set(kinds)
    session = yaml.safe_load((out / "session.yaml").read_text())
    assert session["streams"]["eeg"]["labels"] == ["TP9", "AF7", "AF8", "TP10"]
    assert session["model"]["simulated"] is True
    assert session["versions"]["liblsl"]
    baseline = json.loads((out / "baseline.json").read_text())
    assert len(baseline["modalities"]["eeg"]["mean"]) == 20


@pytest.mark.live
def test_markers_that_the_pipeline_does_not_name_are_recorded(home, tmp_path):
    """Trigger codes, and whoever else sends markers; a signal that is not named is said to be left out."""
    text = (home / "live.yaml").read_text()
    settings = yaml.safe_load(text)
    del settings["markers"]
    (home / "no-markers.yaml").write_text(yaml.safe_dump(settings))
    trigger = pylsl.StreamOutlet(
        pylsl.StreamInfo("Trigger", "markers", 1, 0, "int32", f"trigger-{os.getpid()}")
    )
    motion = pylsl.StreamOutlet(pylsl.StreamInfo("Motion", "ACC", 3, 50, "float32", f"acc-{os.getpid()}"))
    out, late = tmp_path / "out", []

    def has_enough():
        if trigger.have_consumers():
            trigger.push_sample([7])
        n_rows = len(rows_of(out)) if (out / "estimates.csv").is_file() else 0
        if n_rows and not late:  # the experiment is often started after the recording
            info = pylsl.StreamInfo("Late", "Markers", 1, 0, "string", f"late-{os.getpid()}")
            late.append(pylsl.StreamOutlet(info))
        if late and late[0].have_consumers():
            late[0].push_sample(["began late"])
        return n_rows >= 8 and "began late" in (out / "events.jsonl").read_text()

    with simulated():
        done = bci("run", home / "no-markers.yaml", "--headless", "--output", out, until=has_enough)
    assert not motion.have_consumers()
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("connected; the pipeline does not name it") == 3
    assert "note: not recorded, since the pipeline does not name it: 'Motion' (ACC" in done.stdout
    streams = {stream.info.name: stream for stream in open_recording(out / "session.xdf").streams}
    assert streams["Trigger"].info.channel_format == "int32"
    assert set(streams["Trigger"].read(0, streams["Trigger"].n_samples).ravel()) == {7}
    assert "Simulated markers" in streams
    assert set(streams["Late"].read(0, streams["Late"].n_samples).ravel()) == {"began late"}
    events = [json.loads(line) for line in (out / "events.jsonl").read_text().splitlines()]
    codes = [event for event in events if event["kind"] == "marker" and event.get("origin") == "Trigger"]
    assert codes
    assert all("7" in event["message"] for event in codes)


@pytest.mark.live
def test_a_stream_that_does_not_fit_is_refused_with_every_difference(home):
    settings = {"montage": ["TP9", "AF7", "Cz"], "eeg_rate_hz": 100.0}
    with sending(SenderSpec(simulated=settings, streams=("eeg", "markers"))):
        message = refused("run", home / "live.yaml")
    assert "rate_hz: got 100, expected a regular rate from 128 to 2048 Hz" in message
    assert "channels: got no 'AF8', 'TP10'" in message


@pytest.mark.live
def test_a_stream_can_be_named_by_its_source_id(home, tmp_path):
    """Whatever name the pipeline asks for: the person at the screen has chosen."""
    text = (home / "live.yaml").read_text().replace("name: Simulated EEG", "name: another cap")
    (home / "pinned.yaml").write_text(text)
    out = tmp_path / "out"
    with simulated() as sender:
        pin = f"eeg={sender.infos[0].source_id}"
        options = ["--duration", 2, "--output", out, "--no-record", "--headless"]
        done = bci("run", home / "pinned.yaml", "--stream", pin, *options)
        assert done.returncode == 0, done.stderr
        source = yaml.safe_load((out / "session.yaml").read_text())["streams"]["eeg"]["source_id"]
        assert source == sender.infos[0].source_id
    for wrong, words in (
        (["eeg"], "got 'eeg', expected MODALITY=SOURCE_ID"),
        (["eeg=a", "--stream", "eeg=b"], "each modality once"),
        (["eg=a"], "the pipeline has none; nearest: 'eeg'"),
    ):
        assert words in refused("run", home / "pinned.yaml", "--stream", *wrong)


def test_a_stream_inside_the_engine_cannot_be_named(home):
    streams = {"eeg": {"source": "simulated", "stream": "eeg", "montage": "muse"}}
    (home / "inside.yaml").write_text(yaml.safe_dump({"model": "small.safetensors", "streams": streams}))
    message = refused("run", home / "inside.yaml", "--stream", "eeg=x")
    assert "source: got 'simulated', expected 'lsl'" in message


def test_a_theme_that_there_is_not():
    assert "--theme: got 'drak'; nearest: 'dark'" in refused("panel", "--theme", "drak")


@pytest.mark.nightly  # its parts: tests/session/test_panel_process.py, tests/soak/test_stops.py
@pytest.mark.live
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
def test_a_session_opens_a_panel_where_there_is_a_display_and_ctrl_c_closes_both(home, tmp_path):
    (home / "shown.yaml").write_text(
        yaml.safe_dump(
            {
                "model": "small.safetensors",
                "streams": {"eeg": {"source": "simulated", "stream": "eeg", "montage": "muse"}},
                "outlet": {"name": f"shown-{os.getpid()}"},
            }
        )
    )
    command = [*COMMAND, "run", str(home / "shown.yaml"), "--output", str(tmp_path / "out")]
    terminal = tmp_path / "terminal"
    with terminal.open("w") as output:
        child = subprocess.Popen(command, stdout=output, env={**os.environ, "DISPLAY": ":none"})
    limit = time.monotonic() + LIMIT_S
    while "no estimate" not in terminal.read_text():
        assert time.monotonic() < limit
        assert child.poll() is None
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    assert child.wait(LIMIT_S) == 0
    printed = terminal.read_text()
    assert "panel opened; --headless for none" in printed
    session_id = yaml.safe_load((tmp_path / "out" / "session.yaml").read_text())["session_id"]
    assert not processes_of(session_id)


def processes_of(session_id):
    """Processes whose command line holds this session."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if session_id.encode() in path.read_bytes():
                found.append(path.parent.name)
    return found


def test_no_stream_is_reported_after_the_wait(home, tmp_path):
    text = (home / "live.yaml").read_text().replace("name: Simulated EEG", "name: nobody\n    wait_s: 0.3")
    (home / "absent.yaml").write_text(text)
    (tmp_path / "mine").mkdir()
    for name in ("never", "mine"):
        message = refused("run", home / "absent.yaml", "--output", tmp_path / name)
        assert "eeg: no stream with name 'nobody', type 'EEG' came within 0.3 s" in message
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]  # what it made and left empty is gone


@pytest.mark.live
def test_streams_lists_what_is_there_and_what_fits(home, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    settings = {"montage": "muse", "eeg_rate_hz": 256.0}
    with sending(SenderSpec(simulated=settings)):
        done = bci("streams", "--model", home / "small.safetensors")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert "fits" in lines[0]
    assert any("Simulated EEG" in line and "256 Hz" in line and "fits eeg" in line for line in lines)
    assert any("Simulated eye tracker" in line and "fits eye" in line for line in lines)
    assert any("Simulated markers" in line and "irregular" in line for line in lines)


def test_names_from_the_network_are_printed_as_they_are():
    name = "[bold]cap[/bold] [/x]"
    outlet = pylsl.StreamOutlet(pylsl.StreamInfo(name, "EEG", 1, 100, "float32", "markup"))
    done = bci("streams")
    assert done.returncode == 0, done.stderr
    assert name in done.stdout
    del outlet


def test_streams_with_nobody_there(tmp_path):
    """In a lab of its own: an outlet of the test before may not be gone yet."""
    config = Path(os.environ["LSLAPICFG"]).read_text(encoding="utf-8")
    own = tmp_path / "lsl_api.cfg"
    own.write_text(config.replace("SessionID = ", "SessionID = nobody-"), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "bci_m2s", "streams", "--wait", "0.5"],
        env=os.environ | {"LSLAPICFG": str(own)},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert done.returncode == 0, done.stderr
    assert "no LSL stream found" in done.stdout


def test_check(home):
    done = bci("check", home / "live.yaml")
    assert done.returncode == 0
    assert "4 channels in microvolts, 128–2048 Hz" in done.stdout
    assert done.stdout.endswith(f"live.yaml: ok. Next: bci-m2s run {home / 'live.yaml'}\n")


def test_bad_files_are_one_line(home, tmp_path):
    text = (home / "live.yaml").read_text()
    pickle = tmp_path / "m.safetensors"
    pickle.write_bytes(b"\x80\x04\x95" + b"x" * 100)
    cases = {
        "nearest: 'streams'": text.replace("streams:", "stream:"),
        "nearest: 'eeg'": text.replace("eeg:", "eeg2:"),
        "no such file": text.replace("small.safetensors", "missing.safetensors"),
        "pickle": text.replace("small.safetensors", str(pickle)),
    }
    for words, content in cases.items():
        (home / "bad.yaml").write_text(content)
        assert words in refused("check", home / "bad.yaml")
    assert "no such file" in refused("check", tmp_path / "none.yaml")
    assert "no such file" in refused("run", "dmeo")


def test_replay_of_what_is_no_recording(tmp_path):
    path = tmp_path / "x.xdf"
    path.write_bytes(b"XDF:")
    assert str(path) in refused("replay", path)
    assert "no such file" in refused("replay", tmp_path / "none.xdf")
    (tmp_path / "x.doc").write_text("x")
    assert ".xdf" in refused("replay", tmp_path / "x.doc")
    assert bci("replay", path, "--loop", "0").returncode == 2


def test_an_unknown_device_is_refused(home):
    """Before any stream is looked for: nobody sends one."""
    assert "cuda:7" in refused("run", home / "live.yaml", "--device", "cuda:7")
    assert "device" in refused("run", home / "live.yaml", "--device", "tpu")


def test_dataset_check_of_nothing(tmp_path):
    assert "nearest: 'seed" in refused("dataset", "check", tmp_path, "--format", "seed-6")
    assert bci("dataset", "check", tmp_path / "none", "--format", "seed-iv").returncode == 2
