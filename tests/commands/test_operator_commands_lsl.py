"""Commands through the pipe to an engine on a real LSL stream; its recording verifies bit for bit."""

import contextlib
import sys
import threading
import time
import uuid
from types import SimpleNamespace

import numpy as np
import pylsl
import pytest
from support.recorded_sessions import write_pipeline
from support.small_sessions import EEG_INFO, RATE_HZ, Collector

from bci_m2s.engine.engine import Engine
from bci_m2s.lsl.network import local_clock
from bci_m2s.review.verify import verify
from bci_m2s.session.control.client import ControlClient
from bci_m2s.session.control.server import ControlServer
from bci_m2s.session.description import describe_session
from bci_m2s.session.operator_commands import Commands
from bci_m2s.session.setup import build
from bci_m2s.session.setup.connect import Environment, connect
from bci_m2s.sources.operator import OperatorMarkers

LIMIT_S = 120.0
CHUNK = 32


class Sender:
    """An LSL stream that is sent faster than it claims, as far as it is told to."""

    def __init__(self):
        self.name = f"cap-{uuid.uuid4().hex[:8]}"
        info = pylsl.StreamInfo(self.name, "EEG", 5, RATE_HZ, "float32", self.name)
        info.set_channel_labels(list(EEG_INFO.labels))
        info.set_channel_units(list(EEG_INFO.units))
        self._outlet = pylsl.StreamOutlet(info)
        self._rng, self._sent = np.random.default_rng(3), 0
        self._begun_s = pylsl.local_clock() - 57.0  # so that no stamp lies ahead of the clock

    def send_until(self, n):
        """Send on up to n samples in all; stamps as if a second took one."""
        while self._sent < n:
            self._sent += CHUNK
            samples = self._rng.normal(scale=10, size=(CHUNK, 5)).astype(np.float32)
            self._outlet.push_chunk(samples, self._begun_s + self._sent / RATE_HZ)
            time.sleep(0.002)  # an outlet's buffer is not what is tested


def wait_until(condition):
    limit = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.01)


@pytest.mark.skipif(sys.platform == "win32", reason="the folder is chosen as on POSIX")
def test_an_operator_at_work(tmp_path, tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
    sender, sink = Sender(), Collector()
    normaliser = {"name": "baseline", "params": {"duration_s": 60.0}}
    streams = {"eeg": {"source": "lsl", "name": sender.name}}
    plan = build.make_plan(str(write_pipeline(tmp_path, eeg={"normaliser": normaliser}, streams=streams)))
    connected = connect(plan, Environment(local_clock, lambda _: None, threading.Event().is_set))
    infos = {modality: source.info for modality, source in connected.sources.items()}
    publisher = build.make_publisher(plan, local_clock)
    predictor = build.make_predictor(plan, "cpu")
    pipeline = build.make_pipeline(plan, predictor, infos, local_clock, publisher.emit)
    session = describe_session(plan, infos, "cpu", "live")
    recorder, _ = build.make_recorder(tmp_path, list(infos.values()), local_clock)
    publisher.attach([*build.make_sinks(plan, None, session, outlet=False, recorder=recorder), sink])
    markers = [*connected.markers, OperatorMarkers(local_clock)]
    engine = Engine(pipeline, connected.sources, publisher, local_clock, markers, recorder)
    takes = SimpleNamespace(
        now=SimpleNamespace(engine=engine, is_recorded=True), stop=engine.request_stop, takes_markers=True
    )
    commands = Commands(takes)
    engine.start()
    try:
        with (
            contextlib.closing(ControlServer(session.session_id, commands.handle)),
            contextlib.closing(ControlClient.find(session.session_id)) as panel,
        ):
            sender.send_until(7008)
            wait_until(lambda: pipeline.state("eeg").samples >= 7008)
            assert panel.request({"do": "baseline_end"}) == {"ok": True, "said": "eeg: baseline ended"}
            before_s = local_clock()
            assert panel.request({"do": "mark", "text": "trial/start"})["ok"]
            after_s = local_clock()
            sender.send_until(9024)
            wait_until(lambda: pipeline.state("eeg").samples >= 9024)
            assert panel.request({"do": "baseline_start"})["ok"]
            assert "it goes on" in panel.request({"do": "baseline_end"})["error"]
            threading.Thread(target=sender.send_until, args=(14016,)).start()
            while "error" in panel.request({"do": "baseline_end"}):  # while samples stream in
                assert local_clock() < after_s + LIMIT_S
            wait_until(lambda: pipeline.state("eeg").samples >= 14016)
            assert panel.request({"do": "stop"})["ok"]
            assert engine.wait(LIMIT_S)
    finally:
        engine.finish()
    assert engine.failure is None
    ((marked_s, text, origin),) = engine.publisher.markers
    assert (text, origin) == ("trial/start", "operator")
    assert before_s <= marked_s <= after_s
    kinds = [event.kind for event in sink.events]
    assert (kinds.count("baseline_started"), kinds.count("baseline_ended")) == (1, 2)
    result = verify(tmp_path / "session.xdf")
    assert result.first is None
    assert result.tolerance == 0.0
    assert result.made > 10
    assert sum(result.equal.values()) > 200
