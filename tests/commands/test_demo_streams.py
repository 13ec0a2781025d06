"""The demo waits for its own streams, whatever else is on the network."""

from types import SimpleNamespace

import pytest

from bci_m2s.commands import demo
from bci_m2s.sources import sender_process


class Network:
    """Others' streams at once, and at each look one of the demo's more."""

    def __init__(self):
        self.looks = 0

    def streams(self):
        names = ["other-1", "other-2", "other-3", *("a", "b", "c")[: max(0, self.looks)]]
        self.looks += 1
        return {name: SimpleNamespace(source_id=lambda name=name: name) for name in names}


class Clock:
    """Time that passes only where somebody sleeps."""

    def __init__(self):
        self.now_s = 100.0

    def monotonic(self):
        return self.now_s

    def sleep(self, seconds):
        self.now_s += seconds


def begun(monkeypatch, network, running):
    """What comes of a sender whose process runs while `running` says so; the time that passed."""
    infos = [SimpleNamespace(source_id=name) for name in "abc"]

    class Sender:
        def __init__(self, _spec):
            self.infos = infos

        @property
        def is_running(self):
            return running()

    clock = Clock()
    monkeypatch.setattr(sender_process, "SenderProcess", Sender)
    monkeypatch.setattr(demo, "time", clock)
    assert demo._begin_to_send(None, network).infos == infos
    return clock.now_s - 100.0


def test_streams_of_others_do_not_count(monkeypatch):
    network = Network()
    begun(monkeypatch, network, lambda: True)
    assert network.looks == 4


def test_a_busy_machine_may_take_many_seconds_while_the_sender_runs(monkeypatch):
    slow = Network()
    slow.looks = -400  # 20 s until the first is seen
    assert 20.0 < begun(monkeypatch, slow, lambda: True) < 21.0
    slow.looks = -10_000
    assert begun(monkeypatch, slow, lambda: True) == pytest.approx(30.0, abs=0.1)
    slow.looks = -10_000
    assert begun(monkeypatch, slow, lambda: slow.looks < -9_900) == pytest.approx(5.0, abs=0.1)
