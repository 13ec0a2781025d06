"""Whole sessions in a thread of the test's process."""

import threading
import time

from rich.console import Console

from bci_m2s.session import run
from bci_m2s.session.setup import build
from bci_m2s.session.setup.connect import Connected
from support.pace import BEGIN_S
from support.recorded_sessions import chunks_of, write_pipeline
from support.small_sessions import EEG_INFO, ScriptedSource, eeg

LIMIT_S = 120.0


def until(condition, running=None):
    limit = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < limit
        assert running is None or running.is_alive()
        time.sleep(0.01)


class InThread:
    """Something that runs in a thread of this process until `stop`; what it prints, and what ended it.

    work : gets the console
    """

    def __init__(self, work):
        self.stop, self.failure = threading.Event(), None
        self.lines, self._work = [], work
        self._thread = threading.Thread(target=self._run)

    def write(self, text):
        self.lines.append(text)

    def flush(self):
        """Everything is kept."""

    def _run(self):
        try:
            self._work(Console(file=self, width=400))
        except BaseException as problem:
            self.failure = problem

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        self.end()

    def is_alive(self):
        return self._thread.is_alive()

    def end(self):
        self.stop.set()
        self._thread.join(LIMIT_S)
        assert not self._thread.is_alive()

    @property
    def printed(self):
        return "".join(self.lines)


class Running(InThread):
    """A session."""

    def __init__(self, plan, connected, folder=None, predictor=None, **options):
        predictor = predictor or build.make_predictor(plan, "cpu")

        def work(console):
            run.run_connected(
                plan, predictor, connected, run.Options(**options), folder, console, self.stop
            )

        super().__init__(work)


class Endless(ScriptedSource):
    """Delivers noise without end, stamps going on, about twenty times as fast as live."""

    def __init__(self):
        super().__init__(EEG_INFO)
        self.given, self.ahead_s = 0, time.monotonic() - BEGIN_S
        self.refused_at = None

    def pull(self, timeout_s):
        time.sleep(0.01)
        times, samples = eeg(0.25, seed=self.given)
        self._chunks = chunks_of(times + self.ahead_s + 0.25 * self.given, samples, size=64)
        self.given += 1
        return super().pull(timeout_s)


def quiet_session(tmp_path, source=None, **options):
    """A session without LSL."""
    path = write_pipeline(tmp_path, outlet={"enabled": False}, **options.pop("pipeline", {}))
    plan = build.make_plan(str(path))
    source = source or Endless()
    return Running(plan, Connected({"eeg": source}, (), time.monotonic), **options)
