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
        names = ["other-1", "other-2", "other-3", *("a", "b", "c")[: self.looks]]
        self.looks += 1
        return {name: SimpleNamespace(source_id=lambda name=name: name) for name in names}


@pytest.mark.parametrize(("seen_s", "looks"), [(10.0, 4), (0.0, 0)])
def test_streams_of_others_do_not_count(monkeypatch, seen_s, looks):
    infos = [SimpleNamespace(source_id=name) for name in "abc"]
    monkeypatch.setattr(sender_process, "SenderProcess", lambda _spec: SimpleNamespace(infos=infos))
    monkeypatch.setattr(demo, "SEEN_S", seen_s)
    network = Network()
    assert demo._begin_to_send(None, network).infos == infos
    assert network.looks == looks
