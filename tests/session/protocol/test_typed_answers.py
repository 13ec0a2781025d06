"""Free text in the terminal: what is typed is shown, with the letters that were taken back left out."""

import threading
from types import SimpleNamespace
from typing import Any

from support.guided_sessions import write_protocol
from support.running_sessions import until
from typer.testing import CliRunner

from bci_m2s.commands import session as command
from bci_m2s.commands.cli import app
from bci_m2s.session.protocol.keyboard import Keys
from bci_m2s.session.protocol.pace import FastClock
from bci_m2s.session.protocol.settings import RatingSettings, load_protocol
from bci_m2s.session.protocol.stage import Conduct, Stage


def test_what_is_typed_is_shown(tmp_path):
    takes: Any = SimpleNamespace(is_running=False, switch=SimpleNamespace(is_over=False))
    conduct = Conduct(load_protocol(write_protocol(tmp_path)), tmp_path, FastClock(lambda: 0.0))
    said: list[str] = []
    stage = Stage(conduct, takes, said.append, threading.Event())
    controls, keys = stage.controls, Keys(stage.controls, said.append)
    question = RatingSettings(scale="remark", kind="text")
    answers: list[str | None] = []
    asking = threading.Thread(
        target=lambda: answers.append(controls.wait_for_answer(question, 10.0)), daemon=True
    )
    asking.start()
    until(lambda: controls.question is not None)
    for sign in "tire\x7fed\t":
        keys.press(sign)
    assert stage.headline().endswith("(text, Enter) tired▏")
    keys.press("\n")
    asking.join(120.0)
    assert answers == ["tired"]
    assert said == ["answer: tired"]
    assert controls.typed == ""
    stage.current = 12
    stage.set_step("rest", "", 5.0)
    assert stage.headline().startswith("rest 12 of ")
    stage.set_step("live", "", 5.0)
    assert stage.headline() == "live, 5 s"  # it is of no trial


def test_a_session_that_was_ended_before_its_last_step_is_no_success(tmp_path, monkeypatch):
    for is_complete, status in ((True, 0), (False, 1)):
        monkeypatch.setattr(command, "run_guided", lambda *_, is_complete=is_complete, **__: is_complete)
        done = CliRunner().invoke(app, ["session", "demo", "--output", str(tmp_path / "new")])
        assert done.exit_code == status


def test_the_report_is_written_once_the_session_is_complete(tmp_path, monkeypatch, capsys):
    written: list[object] = []
    monkeypatch.setattr(command, "_report", lambda folder, _console: written.append(folder))
    for is_complete in (False, True):
        output = tmp_path / str(is_complete)

        def run(_pipeline, options, _console, is_complete=is_complete, output=output):
            output.mkdir()
            (output / "session.xdf").write_bytes(b"XDF:")
            _, _, conductors = options.conduct.args
            conductors.append(SimpleNamespace(is_complete=is_complete))

        monkeypatch.setattr("bci_m2s.commands.run.run_session", run)
        path = write_protocol(tmp_path, report=True)
        assert command.run_guided(str(path), output, fast=True, panel=False) is is_complete
    assert written == [tmp_path / "True"]
    said = capsys.readouterr().out
    assert f"a report of what there is: bci-m2s report {tmp_path / 'False'}" in said.replace("\n", "")
