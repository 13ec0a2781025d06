"""Which pipelines are there, which streams serve them, and when there is nothing to choose."""

import os
import subprocess
import sys
import uuid
from dataclasses import replace
from pathlib import Path

import pylsl
import pytest
from support.command_line import bci

from bci_m2s.panel.operate.offers import Lookout, find_offers, fitting, misfit, only_choice, serves
from bci_m2s.types import StreamInfo

DEMO, MUSE = find_offers("demo")[0], find_offers("muse")[0]


def stream(offer, modality, source_id, **changes):
    """A stream that fits a modality of an offer, but for the changes."""
    spec, said = offer.contract.modalities[modality], offer.needs[modality]
    whole = StreamInfo(
        name=said.name or "some stream",
        type=said.type or spec.stream_type,
        source_id=source_id,
        uid=f"uid-{source_id}",
        host="lab",
        rate_hz=spec.rate_min_hz,
        labels=spec.channels,
        units=spec.units,
    )
    return replace(whole, **changes)


EEG = stream(DEMO, "eeg", "eeg-1")
EYE = stream(DEMO, "eye", "eye-1")
MARKERS = StreamInfo("Simulated markers", "Markers", "marks", "um", "lab", 0.0, ("m",), ("",), "string")
BAND = stream(MUSE, "eeg", "muse-1", name="Muse-2A3F")


# ---- finding pipelines ----


def test_a_copy_of_the_shipped_pipelines_counts_once(tmp_path, monkeypatch):
    whole = [offer.name for offer in find_offers()]
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines/muse.yaml").write_bytes(MUSE.pipeline.read_bytes())
    monkeypatch.chdir(tmp_path)
    assert sorted(offer.name for offer in find_offers()) == sorted(whole)
    (tmp_path / "pipelines/muse.yaml").write_bytes(MUSE.pipeline.read_bytes() + b"\n# another\n")
    assert [offer.name for offer in find_offers()].count("muse") == 2


def test_the_shipped_ones_are_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    offers = find_offers()
    assert [offer.name for offer in offers] == ["demo", "muse"]
    assert all(offer.contract is not None and not offer.problem for offer in offers)
    assert list(offers[0].needs) == ["eeg", "eye", "markers"]
    assert list(offers[1].needs) == ["eeg"]


def test_those_of_the_current_folder_come_first_and_broken_ones_say_why(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("pipelines").mkdir()
    Path("pipelines/a.yaml").write_text("model: demo-62ch-eye\nstreams:\n  eeg: {type: EEG}\n")
    Path("pipelines/b.yaml").write_text("model: demo-62ch-eye\nstreams:\n  egg: {type: EEG}\n")
    Path("pipelines/c.yaml").write_text("model: no-such-model\nstreams:\n  eeg: {type: EEG}\n")
    Path("pipelines/d.yaml").write_text("modell: x\n")
    offers = {offer.name: offer for offer in find_offers()}
    assert list(offers) == ["a", "b", "c", "d", "demo", "muse"]
    assert list(offers["a"].needs) == ["eeg"]
    assert "streams.egg" in offers["b"].problem
    assert "nearest: 'eeg'" in offers["b"].problem
    assert "no-such-model" in offers["c"].problem
    assert "d.yaml" in offers["d"].problem
    assert all("\n" not in offer.problem for offer in offers.values())


def test_a_pipeline_beside_its_training_file_is_found_and_says_what_it_waits_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert bci("new", ".", "--montage", "muse", "--eye", "none", "--classes", "calm,tense").returncode == 0
    first = find_offers()[0]
    assert first.name == "pipeline"
    assert "not trained yet: bci-m2s pretrain training.yaml" in first.problem
    assert not any(offer.name == "training" for offer in find_offers())


def test_a_given_one_is_the_only_one():
    assert [offer.name for offer in find_offers("muse")] == ["muse"]
    missing = find_offers("nowhere/x.yaml")
    assert len(missing) == 1
    assert "no such file" in missing[0].problem


def test_streams_that_are_made_inside_need_nothing_of_the_network(tmp_path):
    file = tmp_path / "inside.yaml"
    file.write_text("model: demo-62ch-eye\nstreams:\n  eeg: {source: simulated, stream: eeg}\n")
    offer = find_offers(str(file))[0]
    assert not offer.problem
    assert not offer.needs
    assert only_choice([offer], [EEG]) is None


def test_neither_torch_nor_scipy_signal_keeps_a_panel_waiting():
    code = (
        "import sys, bci_m2s.panel.window\nfrom bci_m2s.panel.operate.offers import find_offers\n"
        "assert not find_offers('demo')[0].problem\n"
        "print('torch' in sys.modules or 'scipy.signal' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=240, check=True
    )
    assert done.stdout.strip() == "False"


# ---- what fits ----


def test_what_fits_fits():
    assert fitting(DEMO, [EEG, EYE, MARKERS, BAND]) == {"eeg": [EEG], "eye": [EYE], "markers": [MARKERS]}
    assert fitting(MUSE, [EEG, BAND]) == {"eeg": [BAND]}


@pytest.mark.parametrize(
    ("modality", "info", "words"),
    [
        ("eeg", replace(EEG, name="actiCHamp"), "eeg: name: got 'actiCHamp', expected 'Simulated EEG'"),
        ("eeg", replace(EEG, rate_hz=100.0), "eeg: rate_hz: got 100, expected a regular rate from 250"),
        ("eeg", replace(EEG, labels=("X", *EEG.labels[1:])), f"eeg: channels: got no '{EEG.labels[0]}'"),
        ("eeg", replace(EEG, units=("furlongs",) * 62), "eeg: units: got"),
        ("eeg", replace(EEG, channel_format="undefined"), "refused"),
        ("markers", replace(MARKERS, type="EEG", rate_hz=128.0), "type: got 'EEG', expected 'Markers'"),
    ],
)
def test_what_does_not_fit_says_which_field(modality, info, words):
    assert words in misfit(DEMO, modality, info)
    assert fitting(DEMO, [info])[modality] == []


def test_renamed_labels_are_those_of_the_model(tmp_path):
    file = tmp_path / "renamed.yaml"
    file.write_text("model: muse-4ch\nstreams:\n  eeg: {type: EEG, rename: {ch1: TP9}}\n")
    offer = find_offers(str(file))[0]
    assert misfit(offer, "eeg", replace(BAND, labels=("ch1", *BAND.labels[1:]))) == ""
    assert "rename: the stream has no channel 'ch1'" in misfit(offer, "eeg", BAND)


def test_streams_that_cannot_be_told_apart_do_not_fit():
    twin = replace(BAND, uid="other")
    assert "of 2 streams alike" in misfit(MUSE, "eeg", BAND, [BAND, twin])
    nameless = replace(BAND, source_id="")
    assert "no source id" in misfit(MUSE, "eeg", nameless, [nameless, EEG])
    assert misfit(MUSE, "eeg", nameless, [nameless, EYE]) == ""
    assert misfit(MUSE, "eeg", BAND, [BAND, EEG]) == ""


def test_a_stream_is_for_what_it_resembles():
    assert serves(DEMO, EEG) == {"eeg": ""}
    assert list(serves(DEMO, replace(EEG, name="actiCHamp"))) == ["eeg"]
    assert serves(DEMO, replace(EEG, type="Audio", name="x")) == {}


def test_what_is_looked_for_is_said_in_words():
    assert DEMO.describe("eeg") == "name 'Simulated EEG', type 'EEG', 62 channels, 250 to 4096 Hz"
    assert "type 'Markers'" in DEMO.describe("markers")


# ---- nothing to choose ----


def test_one_pipeline_with_one_stream_each_is_the_choice():
    assert only_choice([DEMO, MUSE], [EEG, EYE, MARKERS]) == (
        DEMO,
        {"eeg": "eeg-1", "eye": "eye-1", "markers": "marks"},
    )
    assert only_choice([DEMO, MUSE], [BAND]) == (MUSE, {"eeg": "muse-1"})
    assert only_choice([DEMO, MUSE], [BAND, EEG]) == (
        MUSE,
        {"eeg": "muse-1"},
    )  # the demo lacks an eye tracker


@pytest.mark.parametrize(
    "infos",
    [
        [],
        [EEG],
        [EEG, EYE],  # the pipeline names markers too
        [EEG, EYE, MARKERS, BAND],  # two pipelines
        [BAND, replace(BAND, source_id="muse-2", uid="u2")],  # two headbands
        [BAND, replace(BAND, uid="u2")],  # twins
    ],
)
def test_else_there_is_none(infos):
    assert only_choice([DEMO, MUSE], infos) is None


def test_a_broken_pipeline_is_never_the_choice():
    assert only_choice(find_offers("nowhere.yaml"), [EEG]) is None


# ---- the network ----


def test_streams_of_the_network_are_described(qtbot):
    name = f"offers-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    info = pylsl.StreamInfo(name, "EEG", 4, 256.0, pylsl.cf_float32, name)
    channels = info.desc().append_child("channels")
    for label in BAND.labels:
        channels.append_child("channel").append_child_value("label", label)
    outlet = pylsl.StreamOutlet(info)
    look = Lookout()
    found = []

    def seen():
        found[:] = [info for info in look() if info.name == name and info.labels == BAND.labels]
        return bool(found)

    qtbot.waitUntil(seen, timeout=120_000)
    assert misfit(MUSE, "eeg", found[0]) == ""
    del outlet
    qtbot.waitUntil(lambda: not seen(), timeout=120_000)
