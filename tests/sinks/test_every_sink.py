"""What every sink promises, run over each entry of SINKS through the builder that a session uses."""

from __future__ import annotations

import math
import uuid

import numpy as np
import pytest
import yaml
from support.model_files import contract_fields, small_tensors

from bci_m2s.lsl.description import SessionDescription
from bci_m2s.model.contract import Contract
from bci_m2s.model.model_file import save_model
from bci_m2s.session.setup import build
from bci_m2s.sinks import SINKS, USUAL
from bci_m2s.types import Estimate, Event, Stamps, Status, StatusReport

NAN = math.nan
SESSION = SessionDescription.model_validate(
    {
        "heads": {"emotion": ["negative", "neutral", "positive"]},
        "modalities": ["eeg", "eye"],
        "voices": ["eeg", "eye", "eeg+eye"],
        "model": {"name": "m", "simulated": True},
        "outlet_name": f"every-{uuid.uuid4().hex[:8]}",
    }
)
ITEMS = (
    Estimate(
        *("eye", "emotion", 10, 1289, 5.0, 10.0, Status.OK, ""),
        *(np.array([0.1, 0.2, 0.7]), 0.7, Stamps(100.0, 100.001, 100.002, 100.004, 100.0045)),
    ),
    Estimate(
        *("eeg", "emotion", 0, 9, 5.0, 5.1, Status.GAP, "gap, “quoted”"),
        *(np.full(3, NAN), NAN, Stamps(101.0, NAN, NAN, NAN, 101.5)),
    ),
    Event("gap", "eeg: gap of 1 s", 12.5, 1.8e9, {"lost_samples": 255}),
    Event("marker", "x", NAN, 1.8e9),
    StatusReport(12.5, 1.8e9, {"state": "ok"}),
)


@pytest.fixture
def plan(tmp_path):
    def make(**rest):
        made = Contract.model_validate(contract_fields())
        if not (tmp_path / "m.safetensors").exists():
            save_model(tmp_path / "m.safetensors", made, small_tensors(made))
        streams = {"eeg": {"source": "simulated", "stream": "eeg", "montage": "muse"}}
        (tmp_path / "p.yaml").write_text(
            yaml.safe_dump({"model": "m.safetensors", "streams": streams, **rest})
        )
        return build.make_plan(str(tmp_path / "p.yaml"))

    return make


@pytest.mark.parametrize("name", SINKS)
def test_a_sink_that_a_pipeline_names_is_built_once_and_takes_everything(name, plan, tmp_path):
    named = plan(sinks=[name])
    folder = tmp_path / "out"
    folder.mkdir()
    live = build.make_sinks(named, None, SESSION, outlet=True)
    files = build.make_sinks(named, folder, SESSION, outlet=False)
    (made,) = [sink for sink in (*live, *files) if type(sink) is SINKS[name]]
    assert made in (live if SINKS[name].kind == "outlet" else files)
    made.close()
    made.open()
    for item in ITEMS:
        made.take(item)
    assert made.problem == ""
    made.close()
    made.close()
    assert made.problem == ""


def test_every_session_has_the_usual_sinks(plan, tmp_path):
    for kind, names in USUAL.items():
        assert {SINKS[name].kind for name in names} == {kind}
    everything = build.make_sinks(plan(), tmp_path, SESSION, outlet=True)
    assert [type(sink) for sink in everything] == [
        SINKS[name] for names in USUAL.values() for name in names
    ]
    silent = build.make_sinks(plan(outlet={"enabled": False}), None, SESSION, outlet=True)
    assert silent == []
