"""Whole guided sessions: who conducts them, what is recorded, and how they are taken up again."""

import csv
import os
import signal
import time

import pytest
import yaml
from support.guided_sessions import recorded_markers, scripted, write_protocol
from support.session_stops import SESSIONS, _program

from bci_m2s.commands.session import run_guided
from bci_m2s.errors import CommandError, OutputError, UsageError
from bci_m2s.recording.trials import kept_trials, read_trials
from bci_m2s.review.verify import verify
from bci_m2s.session.protocol import conductor as conductor_module
from bci_m2s.session.protocol.conductor import Conductor
from bci_m2s.session.protocol.preparation import measure_baseline

pytestmark = pytest.mark.live


def until(condition, limit_s=120.0):
    limit = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.005)


def rows(folder):
    with (folder / "trials.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_session_from_check_to_live_run_with_an_experimenter_who_repeats_and_excludes(
    tmp_path, monkeypatch, capsys
):
    output = tmp_path / "out"

    def experimenter(conductor):
        until(lambda: conductor.state()["step"] == "trial" and conductor.state()["trial"] == 2)
        conductor.request("repeat")
        until(lambda: len(rows(output)) >= 3)
        until(lambda: conductor.state()["step"] == "trial" and conductor.state()["trial"] == 3)
        conductor.request("exclude", "coughed")
        conductor.request("pause")
        until(lambda: conductor.state()["step"] == "pause")
        with pytest.raises(CommandError, match="there is no question now"):
            conductor.request("answer", "7")
        conductor.request("resume")

    before_baseline = []

    def measured(stage):
        health = stage.takes.now.engine.reporter.snapshot().health
        before_baseline.extend(stream.baseline for stream in health)
        measure_baseline(stage)

    monkeypatch.setattr(conductor_module, "measure_baseline", measured)
    monkeypatch.setattr(Conductor, "__enter__", scripted(experimenter))
    run_guided(str(write_protocol(tmp_path)), output, fast=True, panel=False)

    assert before_baseline == ["waiting"]  # nothing is collected during the signal check
    table = rows(output)
    assert [(row["trial"], row["attempt"], row["excluded"]) for row in table[:4]] == [
        ("1", "1", ""),
        ("2", "1", "repeated"),
        ("2", "2", ""),
        ("3", "1", "coughed"),
    ]
    assert len(table) == 7
    events = recorded_markers(output / "session.xdf")
    texts = [text for _, text in events]
    order = ["session/start/quick", "check/start", "check/stop/ok", "baseline/start", "baseline/stop"]
    order += ["pause/start", "pause/stop", "break/start", "live/start", "live/stop", "session/stop"]
    assert [text for text in texts if text in order] == order
    kept = kept_trials(events)
    assert [trial.number for trial in kept] == [1, 2, 4, 5, 6]
    assert all(trial.duration_s > 7.9 for trial in kept)  # longer where the machine is busy
    assert all(set(trial.ratings) == {"valence", "emotion"} for trial in kept)
    assert [trial.ratings["emotion"] for trial in kept] == [trial.label for trial in kept]
    assert [row["valence"] for row in table if not row["excluded"]] == [t.ratings["valence"] for t in kept]
    stored = yaml.safe_load((output / "protocol.yaml").read_text(encoding="utf-8"))
    assert [item["label"] for item in stored["trials"]["items"]][:3] == [
        row["label"] for row in table[:2]
    ] + [table[3]["label"]]
    assert "the protocol is complete" not in capsys.readouterr().err
    assert verify(output / "session.xdf").first is None
    with pytest.raises(UsageError, match="complete"):
        run_guided(str(tmp_path / "quick.yaml"), output, resume=True)
    with pytest.raises(OutputError, match="--resume"):
        run_guided(str(tmp_path / "quick.yaml"), output, fast=True, panel=False)


def test_a_session_that_was_killed_goes_on_at_its_next_trial(tmp_path):
    output, log = tmp_path / "out", tmp_path / "log"
    log.touch()
    path = write_protocol(tmp_path)
    arguments = ["session", str(path), "--fast", "--headless", "--output", str(output)]
    child = SESSIONS.Process(target=_program, args=(arguments, log))
    child.start()
    until(lambda: "trial 4 of 6" in log.read_text(encoding="utf-8") or child.exitcode is not None)
    until(lambda: len(_recorded(output)) >= 3)  # a kill may cost the last half second
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    shown = _recorded(output)
    assert shown == [1, 2, 3, 4, 5][: len(shown)]

    run_guided(str(path), output, fast=True, panel=False, resume=True)
    again = read_trials(recorded_markers(output / "take-2" / "session.xdf"))
    assert [trial.number for trial in again] == [1, 2, 3, 4, 5, 6][len(shown) :]
    table = rows(output)
    assert [row["trial"] for row in table if not row["excluded"]] == ["1", "2", "3", "4", "5", "6"]
    assert verify(output / "take-2" / "session.xdf").first is None


def _recorded(output):
    """Numbers of the trials that the first take holds, while it is being written too."""
    return [trial.number for trial in kept_trials(recorded_markers(output / "session.xdf"))]
