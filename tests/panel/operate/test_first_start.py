"""An engine that the panel starts: a process of its own, whose last words can be read."""

import os
import signal
import sys
import time
from types import SimpleNamespace

import pytest
from PyQt6.QtWidgets import QWidget

from bci_m2s.panel.app import PanelOptions
from bci_m2s.panel.look.theme import DARK
from bci_m2s.panel.operate import first_start
from bci_m2s.panel.operate.first_start import EngineProcess, FirstStart
from bci_m2s.session.detached import TAIL_BYTES
from bci_m2s.text import LONGEST

LIMIT_S = 120.0


def ended(engine):
    limit = time.monotonic() + LIMIT_S
    while engine.status is None:
        assert time.monotonic() < limit
        time.sleep(0.02)
    return engine.status


@pytest.fixture
def log(tmp_path):
    return tmp_path / "engine.log"


@pytest.fixture(scope="module")
def failed(tmp_path_factory):
    """An engine that could not start, and its log."""
    log = tmp_path_factory.mktemp("engine") / "engine.log"
    engine = EngineProcess("nowhere/none.yaml", {}, log)
    ended(engine)
    return engine, log


def test_why_it_failed(failed):
    engine, log = failed
    assert engine.status == 2
    assert engine.last_words().startswith("error: pipeline 'nowhere/none.yaml': no such file")
    assert log.read_text().splitlines()[-1] == engine.last_words()


@pytest.mark.skipif(sys.platform == "win32", reason="process groups")
def test_it_lives_in_a_group_of_its_own_and_is_reaped(log):
    engine = EngineProcess("muse", {"eeg": "no-such-id"}, log)
    assert engine.status is None
    assert os.getpgid(engine._process.pid) == engine._process.pid != os.getpgid(0)
    os.kill(engine._process.pid, signal.SIGKILL)
    assert ended(engine) == -signal.SIGKILL
    with pytest.raises(ProcessLookupError):
        os.kill(engine._process.pid, 0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ""),
        ("\n \n", ""),
        ("starting\nready\n\n", "ready"),
        ("error: the first\nerror: the second\nTraceback\n", "error: the second"),
        ("a\x1b[31mred\x07", "a?[31mred?"),
        (b"error: \xff\n", "error: \N{REPLACEMENT CHARACTER}"),
        ("error: before\n" + "x" * TAIL_BYTES, "x" * (LONGEST - 1) + "…"),
    ],
)
def test_last_words(failed, text, words):
    engine, log = failed
    log.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert engine.last_words() == words


def test_a_log_that_is_gone_has_no_words(failed):
    engine, log = failed
    log.unlink()
    assert engine.last_words() == ""


def test_while_an_engine_starts_nothing_else_can_be_started(qtbot, tmp_path):
    window = QWidget()
    qtbot.addWidget(window)
    client = SimpleNamespace(facts=None)
    first = FirstStart(client, PanelOptions(), tmp_path, lambda *_: None, window, lambda: DARK)
    assert not first.is_starting
    first.engine, first._started_s = (
        SimpleNamespace(pipeline="here/muse.yaml", status=None),
        time.monotonic() - 7,
    )
    assert first.is_starting
    headline, details = first.words()
    assert headline == "Starting the session … 7 s"
    assert "'muse'" in details
    client.facts = object()
    assert not first.is_starting


def test_a_session_that_runs_unseen_is_not_called_absent(qtbot, tmp_path, monkeypatch):
    window = QWidget()
    qtbot.addWidget(window)
    options = PanelOptions(session="ab12")
    first = FirstStart(
        SimpleNamespace(facts=None), options, tmp_path, lambda *_: None, window, lambda: DARK
    )
    announced = ["ab12"]
    monkeypatch.setattr(first_start, "has_entry", announced.__contains__)
    assert first.words()[0] == "The session starts"
    assert first.is_starting  # no second one is offered
    first._begun_s -= 10
    assert first.words()[1].startswith("It runs, but LSL does not show its streams")
    announced.clear()
    assert first.words()[1].startswith("No session on this machine yet")
