"""The panel beside a session: started where there is a display, noticed when it goes, ended when told."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from rich.console import Console

from bci_m2s.errors import CommandError
from bci_m2s.session import companions, panel_process
from bci_m2s.session.companions import Companions
from bci_m2s.session.control.client import ControlClient
from bci_m2s.session.panel_process import PanelProcess, has_display, start_panel

pytestmark = pytest.mark.live

LIMIT_S = 120.0
STAYS = "import sys, time\nprint('ready', flush=True)\ntime.sleep(600)"
STUBBORN = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + STAYS


@pytest.fixture
def panel(tmp_path):
    """Starts a Python script in the panel's place."""
    started = []

    def start(script):
        started.append(PanelProcess([sys.executable, "-c", script], tmp_path))
        return started[-1]

    yield start
    for one in started:
        one.end(0.0)


def news_of(process):
    limit = time.monotonic() + LIMIT_S
    while not (news := process.news()):
        assert time.monotonic() < limit
        time.sleep(0.01)
    return news


def is_ready(process):
    limit = time.monotonic() + LIMIT_S
    while "ready" not in process.log.read_text():
        assert time.monotonic() < limit
        time.sleep(0.01)
    return process


@pytest.mark.parametrize(
    ("environment", "system", "expected"),
    [
        ({}, "linux", False),
        ({"DISPLAY": ""}, "linux", False),
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({"DISPLAY": "localhost:10.0", "SSH_CONNECTION": "1.2.3.4"}, "linux", True),  # forwarded
        ({}, "darwin", True),
        ({}, "win32", True),
        ({"SSH_CONNECTION": "1.2.3.4 5 6.7.8.9 22"}, "darwin", False),
        ({"SSH_CONNECTION": "1.2.3.4 5 6.7.8.9 22"}, "win32", False),
    ],
)
def test_where_a_window_can_be_shown(environment, system, expected):
    assert has_display(environment, system) is expected


def test_the_command_names_the_session(monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr(
        panel_process, "PanelProcess", lambda command, folder: seen.append((command, folder))
    )
    start_panel("ab" * 16, tmp_path)
    assert seen == [([sys.executable, "-m", "bci_m2s", "panel", "--session", "ab" * 16], tmp_path)]


def test_a_panel_that_is_closed_is_reported_once(panel):
    process = panel("pass")
    assert news_of(process) == "panel closed; the session continues; `bci-m2s panel` opens it again"
    assert process.news() == ""
    assert not process.log.exists()
    process.end()


def test_a_panel_that_fails_is_reported_with_its_last_words(panel):
    process = panel("import sys\nprint('error: no Qt \\x1b[31m here')\nsys.exit(2)")
    news = news_of(process)
    assert "status 2: error: no Qt ?[31m here" in news
    assert "\n" not in news


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_killed_panel_is_reported_and_has_its_own_group(panel):
    process = is_ready(panel(STAYS))
    assert os.getpgid(process.process.pid) != os.getpgid(0)  # so that Ctrl-C does not reach it
    assert process.news() == ""
    os.kill(process.process.pid, signal.SIGKILL)
    assert "panel ended (status -9);" in news_of(process)


def test_a_panel_is_ended_by_force_if_need_be(panel):
    for script in (STAYS, STUBBORN):
        process = is_ready(panel(script))
        begun = time.monotonic()
        process.end(0.2)
        assert time.monotonic() - begun < LIMIT_S
        assert process.process.poll() is not None
        assert not process.log.exists()


def test_lsl_configuration_reaches_it(panel):
    process = panel("import os, sys\nsys.exit(os.environ['LSLAPICFG'])")
    assert f"status 1: {os.environ['LSLAPICFG']})" in news_of(process)
    assert process.log.exists()


# ---- beside a session ----


class FakeEngine:
    def __init__(self):
        self.asked = []

    def clock(self):
        return 0.0

    def mark(self, text, at_s):
        del at_s
        self.asked.append(text)
        return "written"


class FakeTakes:
    """What ``Companions`` needs of takes."""

    takes_markers = is_recorded = True

    def __init__(self):
        self.now = self
        self.engine = FakeEngine()
        self.takes_commands = False

    def record_on(self):
        raise CommandError("recording already")

    def record_off(self):
        return "closed"

    def stop(self):
        """Nothing runs."""


@pytest.fixture
def console(tmp_path):
    with (tmp_path / "terminal").open("w+") as file:
        yield Console(file=file, width=240)


def printed(console):
    console.file.flush()
    console.file.seek(0)
    return console.file.read()


def test_without_a_display_it_is_said(console, monkeypatch):
    monkeypatch.setattr(companions, "has_display", lambda: False)
    with Companions("ab" * 16, FakeTakes(), console, panel=True):
        pass
    assert printed(console) == "no display: terminal only\n"


def test_a_headless_session_says_nothing_of_panels(console, monkeypatch):
    monkeypatch.setattr(companions, "start_panel", pytest.fail)
    monkeypatch.setattr(companions, "has_display", lambda: True)
    with Companions("ab" * 16, FakeTakes(), console, panel=False) as made:
        made.check_panel()
        made.end_panel()
    assert printed(console) == ""


def test_a_panel_opens_is_missed_and_is_closed(console, monkeypatch, panel):
    started = []
    monkeypatch.setattr(companions, "has_display", lambda: True)
    monkeypatch.setattr(companions, "start_panel", lambda _: started.append(panel(STAYS)) or started[-1])
    with Companions("ab" * 16, FakeTakes(), console, panel=True) as made:
        made.check_panel()
        made.end_panel()
        assert started[0].process.poll() is not None
        made.check_panel()
        made.check_panel()
    lines = printed(console).splitlines()
    assert lines[0] == "panel opened; --headless for none"
    assert len(lines) == 2
    assert lines[1].startswith("panel ended (status ")


def test_a_session_that_ends_leaves_the_panel_open(console, monkeypatch, panel):
    process = is_ready(panel(STAYS))
    monkeypatch.setattr(companions, "has_display", lambda: True)
    monkeypatch.setattr(companions, "start_panel", lambda _: process)
    with Companions("ab" * 16, FakeTakes(), console, panel=True):
        assert process.log.exists()
    assert process.process.poll() is None
    assert not process.log.exists()  # nobody is left to read it


def test_a_panel_that_cannot_be_started_costs_a_line(console, monkeypatch):
    def missing(session):
        raise FileNotFoundError(2, "No such file or directory", session)

    monkeypatch.setattr(companions, "has_display", lambda: True)
    monkeypatch.setattr(companions, "start_panel", missing)
    with Companions("ab" * 16, FakeTakes(), console, panel=True) as made:
        made.check_panel()
    assert "the panel cannot be started" in printed(console)


def test_commands_reach_the_takes_and_the_engine_of_the_day(console):
    takes, session_id = FakeTakes(), "cd" * 16
    with Companions(session_id, takes, console, panel=False) as made:
        assert takes.takes_commands
        later = FakeEngine()
        made.commands.engine = later
        with contextlib.closing(ControlClient.find(session_id)) as client:
            assert client.request({"do": "record_off"})["said"] == "closed"
            assert client.request({"do": "mark", "text": "x"})["ok"] is True
            assert client.request({"do": "record_on"})["error"] == "recording already"
        assert later.asked == ["x"]
        assert not takes.engine.asked
    assert ControlClient.find(session_id) is None


def test_a_session_runs_without_commands_where_there_can_be_none(console, monkeypatch):
    def refused(*_):
        raise CommandError("the folder is open to others")

    monkeypatch.setattr(companions, "ControlServer", refused)
    takes = FakeTakes()
    with Companions("ab" * 16, takes, console, panel=False):
        assert not takes.takes_commands
    assert "no commands from a panel: the folder is open to others" in printed(console)


def test_no_thread_is_left(console):
    before = threading.active_count()
    with Companions("ef" * 16, FakeTakes(), console, panel=False):
        assert threading.active_count() > before
    assert threading.active_count() == before


def test_the_module_starts_neither_qt_nor_torch():
    code = (
        "import sys\nimport bci_m2s.session.panel_process, bci_m2s.session.companions\n"
        "print({'PyQt6', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=240, check=True
    )
    assert done.stdout.strip() == "set()"
