"""A table that cannot be written now, because the disk is full or another program has it open."""

import threading
from types import SimpleNamespace

from support.guided_sessions import write_protocol

from bci_m2s.session.protocol.pace import FastClock
from bci_m2s.session.protocol.settings import load_protocol
from bci_m2s.session.protocol.stage import Conduct, Stage


def test_it_is_said_once_and_tried_again(tmp_path):
    lines = []
    root = tmp_path / "out"
    conduct = Conduct(load_protocol(write_protocol(tmp_path)), root, FastClock(lambda: 0.0))
    stage = Stage(conduct, SimpleNamespace(), lines.append, threading.Event())
    for _ in range(2):
        stage.write_table()
    assert len(lines) == 1
    assert "trials.csv" in lines[0]
    root.mkdir()
    stage.write_table()
    assert (root / "trials.csv").read_text(encoding="utf-8").startswith("trial,")
