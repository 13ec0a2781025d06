"""Several people in one process, as a user runs them: real senders, one of them never there."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.live
LIMIT_S = 240.0
ROOT = Path(__file__).resolve().parents[2]


def command(*arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "bci_m2s", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        **options,
    )


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "bci_m2s", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        cwd=ROOT,
    )


@pytest.fixture(scope="module")
def senders():
    """Two simulated people with a four-channel headset each."""
    sender = command("simulate", "--montage", "muse", "--no-eye", "--participants", 2, "--rest", 1)
    try:
        for line in sender.stdout:
            if "Ctrl-C ends" in line:
                break
        yield
    finally:
        sender.send_signal(signal.SIGINT)
        sender.communicate(timeout=LIMIT_S)


def answered(folder):
    """How many estimates a participant's table has."""
    file = folder / "estimates.csv"
    if not file.is_file():
        return 0
    with file.open(newline="") as lines:
        return sum(row["status"] == "ok" for row in csv.DictReader(lines))


def pipeline(folder, participants):
    path = folder / "class.yaml"
    streams = {"eeg": {"name": "Simulated EEG {id}", "wait_s": 2.0}}
    markers = {"name": "Simulated markers {id}"}
    settings = {"model": "muse-4ch", "participants": participants, "streams": streams, "markers": markers}
    path.write_text(yaml.safe_dump(settings))
    return path


@pytest.mark.usefixtures("senders")
def test_two_people_run_without_the_third_until_ctrl_c_and_each_recording_is_verified(tmp_path):
    out = tmp_path / "out"
    session = command("run", pipeline(tmp_path, ["p01", "p02", "ghost"]), "--output", out, "--headless")
    limit = time.monotonic() + LIMIT_S
    while min(answered(out / name) for name in ("p01", "p02")) < 8 and session.poll() is None:
        assert time.monotonic() < limit
        time.sleep(0.1)
    session.send_signal(signal.SIGINT)
    printed, _ = session.communicate(timeout=LIMIT_S)
    assert session.returncode == 0, printed
    assert "ghost: does not take part yet: eeg: no stream with name 'Simulated EEG ghost'" in printed
    assert not (out / "ghost").exists()
    for name in ("p01", "p02"):
        folder = out / name
        assert {"session.xdf", "session.yaml", "estimates.csv", "events.jsonl", "baseline.json"} <= {
            path.name for path in folder.iterdir()
        }
        described = yaml.safe_load((folder / "session.yaml").read_text())
        assert described["participant"] == name
        assert described["outlet_name"] == f"bci_m2s-{name}"
        assert described["streams"]["eeg"]["name"] == f"Simulated EEG {name}"
        done = run("verify", folder / "session.xdf")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "come back bit for bit" in done.stdout
        assert "note:" not in done.stdout
        assert not any(other in printed.split("Summary")[0] for other in ("ended:", "LOST"))


@pytest.mark.usefixtures("senders")
def test_where_nobody_comes_the_session_says_so_at_its_end(tmp_path):
    done = run(
        "run",
        pipeline(tmp_path, ["nobody", "noone"]),
        "--output",
        tmp_path / "out",
        "--headless",
        "--duration",
        3,
    )
    assert done.returncode == 2
    assert "error: nobody took part: nobody: eeg: no stream with name 'Simulated EEG nobody'" in done.stderr
    assert not (tmp_path / "out").exists()
    assert "saved in" not in done.stdout


@pytest.mark.usefixtures("senders")
def test_nobody_is_given_the_stream_of_another(tmp_path):
    path = tmp_path / "class.yaml"
    same = {"streams": {"eeg": {"type": "EEG"}}}  # found otherwise, and yet the same
    streams = {"eeg": {"name": "Simulated EEG p01", "wait_s": 2.0}}
    people = {"p01": {"streams": {"eeg": {"type": ""}}}, "twin": same}
    path.write_text(yaml.safe_dump({"model": "muse-4ch", "participants": people, "streams": streams}))
    done = run("run", path, "--headless", "--duration", 8)
    pair = ("p01", "twin") if "p01: does not take part" in done.stdout else ("twin", "p01")
    words = "%s: does not take part yet: eeg: stream 'Simulated EEG p01': got that of participant '%s'"
    assert done.stdout.count(words % pair) == 1, done.stdout + done.stderr
    assert f"{pair[0]} " in done.stdout.split("Summary")[1]
    assert "never took part" in done.stdout
