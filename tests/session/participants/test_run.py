"""A session of several participants in this process: who ends alone, and what is said of it."""

from __future__ import annotations

import sys
import threading
import time

import pytest
from support.recorded_sessions import write_pipeline
from support.running_sessions import LIMIT_S, Endless, InThread, until

from bci_m2s.errors import ModelError, OutputError, ParticipantError, StreamError
from bci_m2s.model import arithmetic
from bci_m2s.review.verify import verify
from bci_m2s.session.participants import one
from bci_m2s.session.participants.run import MOST_FILES, allow_many_files, run_participants
from bci_m2s.session.run import Options
from bci_m2s.session.setup import build
from bci_m2s.session.setup.connect import Connected
from bci_m2s.session.setup.participants import plans_of


class Running(InThread):
    """A session of several people; their streams are there once `connects` lets them be."""

    def __init__(self, tmp_path, monkeypatch, names, connects, load=lambda: None, **options):
        super().__init__(self._session)
        monkeypatch.setattr(arithmetic, "ask_for_strict", lambda: None)  # this process has other tests
        monkeypatch.setattr(one, "connect", self._connect)
        monkeypatch.setattr(one, "TRY_AGAIN_S", 0.05)
        streams = {"eeg": {"name": "cap {id}"}}
        path = write_pipeline(tmp_path, streams=streams, participants=names, outlet={"enabled": False})
        self.plan, self.connects, self._options = build.make_plan(str(path)), connects, Options(**options)
        self.load, self.sources = load, []
        self.folder = tmp_path / "out"
        self.folder.mkdir()

    def _connect(self, plan, environment):
        del environment
        name = plan.settings.streams["eeg"].name.removeprefix("cap ")
        self.connects(name)
        self.sources.append(Endless())
        return Connected({"eeg": self.sources[-1]}, (), time.monotonic)

    def _session(self, console):
        def make_predictor():
            self.load()
            return build.make_predictor(self.plan, "cpu")

        plans = plans_of(self.plan)
        run_participants(self.plan, plans, make_predictor, self._options, self.folder, console, self.stop)

    def rows(self, name):
        file = self.folder / name / "estimates.csv"
        return len(file.read_text().splitlines()) - 1 if file.is_file() else 0


def test_one_whose_folder_cannot_be_made_ends_alone_and_the_others_are_whole(tmp_path, monkeypatch):
    running = Running(tmp_path, monkeypatch, ["p01", "p02", "p03"], lambda _name: None)
    (running.folder / "p02").write_text("in the way")
    with running:
        until(lambda: min(map(running.rows, ("p01", "p03"))) > 40, running)
    assert isinstance(running.failure, ParticipantError)
    assert str(running.failure).startswith("1 of 3 participants ended early: p02: ")
    assert "p02: ended: " in running.printed
    for name in ("p01", "p03"):
        result = verify(running.folder / name / "session.xdf")
        assert result.first is None
        assert sum(result.equal.values()) >= 40


def test_a_bug_in_one_ends_that_one_and_is_raised_at_the_end(tmp_path, monkeypatch):
    def connects(name):
        if name == "p02":
            raise ZeroDivisionError("a bug")

    running = Running(tmp_path, monkeypatch, ["p01", "p02"], connects)
    with running:
        until(lambda: running.rows("p01") > 40, running)
    assert isinstance(running.failure, ZeroDivisionError)
    assert "p02: ended: ZeroDivisionError: a bug" in running.printed
    assert verify(running.folder / "p01" / "session.xdf").first is None


def test_who_comes_later_takes_part_from_then_on_and_is_said_to_be_missing_once(tmp_path, monkeypatch):
    there = {"p01"}

    def connects(name):
        if name not in there:
            raise StreamError(f"no stream for {name}")

    running = Running(tmp_path, monkeypatch, ["p01", "late"], connects)
    with running:
        until(lambda: running.rows("p01") > 20, running)
        assert running.rows("late") == 0
        there.add("late")
        until(lambda: running.rows("late") > 20, running)
    assert running.failure is None
    assert running.printed.count("late: does not take part yet: no stream for late") == 1
    assert verify(running.folder / "late" / "session.xdf").first is None


def test_who_stops_it_while_nobody_is_there_is_told_for_whom_it_waited_and_it_is_no_failure(
    tmp_path, monkeypatch
):
    def connects(name):
        raise StreamError(f"no stream for {name}")

    running = Running(tmp_path, monkeypatch, ["p01", "p02"], connects)
    with running:
        until(lambda: running.printed.count("does not take part yet") == 2, running)
    assert running.failure is None
    assert "stopped while waiting for p01, p02: nobody took part\n" in running.printed
    assert "never took part" not in running.printed
    assert not list(running.folder.iterdir())


def test_streams_are_opened_while_the_model_is_loaded(tmp_path, monkeypatch):
    connected = {"p01": threading.Event(), "p02": threading.Event()}

    def load():
        assert all(event.wait(LIMIT_S) for event in connected.values())

    running = Running(tmp_path, monkeypatch, list(connected), lambda name: connected[name].set(), load)
    with running:
        until(lambda: min(map(running.rows, connected)) > 20, running)
    assert running.failure is None
    for name in connected:
        assert verify(running.folder / name / "session.xdf").first is None


def test_where_the_model_cannot_be_loaded_that_is_said_and_the_streams_are_closed(tmp_path, monkeypatch):
    connected = threading.Event()

    def load():
        assert connected.wait(LIMIT_S)
        raise ModelError("no such network")

    running = Running(tmp_path, monkeypatch, ["p01"], lambda _name: connected.set(), load)
    with running:
        until(lambda: not running.is_alive())
    assert isinstance(running.failure, ModelError)
    assert running.printed == ""
    assert all(source.closed for source in running.sources)
    assert not list(running.folder.iterdir())


def test_who_stops_it_while_the_model_is_loaded_is_told_so(tmp_path, monkeypatch):
    connected = threading.Event()

    def load():
        assert connected.wait(LIMIT_S)
        assert running.stop.wait(LIMIT_S)

    running = Running(tmp_path, monkeypatch, ["p01"], lambda _name: connected.set(), load)
    with running:
        until(connected.is_set)
        until(lambda: running.sources, running)
    assert running.failure is None
    assert (
        "stopped while waiting for the model, which was being loaded: nobody took part" in running.printed
    )
    assert all(source.closed for source in running.sources)


def test_a_failure_before_anybody_is_there_is_one_also_when_it_is_stopped(tmp_path, monkeypatch):
    def connects(name):
        raise StreamError("none") if name == "p01" else OutputError("no room")

    running = Running(tmp_path, monkeypatch, ["p01", "p02"], connects)
    with running:
        until(lambda: "p02: ended: no room" in running.printed, running)
    assert isinstance(running.failure, ParticipantError)
    assert "1 of 2 participants ended early: p02: no room" in str(running.failure)


@pytest.mark.skipif(sys.platform == "win32", reason="has no such limit")
def test_the_limit_of_open_files_is_raised_as_far_as_it_may_be():
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (700, before[1]))
        allow_many_files()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert hard == before[1]
        assert soft == (MOST_FILES if hard == resource.RLIM_INFINITY else min(MOST_FILES, hard))
        allow_many_files()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (soft, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_when_the_time_is_over_all_end_also_who_never_came(tmp_path, monkeypatch):
    def connects(name):
        if name == "never":
            raise StreamError("no stream")

    running = Running(tmp_path, monkeypatch, ["p01", "never"], connects, duration_s=3.0)
    with running:
        until(lambda: not running.is_alive())
    assert running.failure is None
    assert "never took part: no stream" in running.printed
    assert not (running.folder / "never").exists()
