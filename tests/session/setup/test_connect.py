"""Plans and their streams: sources of every kind in YAML, and what is refused before anything starts."""

import threading
import time
import uuid
from dataclasses import replace

import pylsl
import pytest
import yaml
from support.model_files import contract_fields, small_tensors
from support.small_sessions import contract

from bci_m2s.engine.engine import Engine
from bci_m2s.errors import ConfigurationError, ModelError, OutputError, StreamError, UsageError
from bci_m2s.files.shipped import names
from bci_m2s.lsl.formats import ANSWER_TYPE, RAW_TYPE
from bci_m2s.lsl.network import shared_network
from bci_m2s.model.contract import Contract
from bci_m2s.model.model_file import save_model
from bci_m2s.session.setup import build
from bci_m2s.session.setup.connect import Connected, connect, fits, with_unnamed
from bci_m2s.session.setup.shipped import find_model, find_pipeline
from bci_m2s.sources import Environment
from bci_m2s.sources.streams import LslStream
from bci_m2s.types import Status, StreamInfo


def write(folder, streams, **rest):
    made = contract()
    if not (folder / "m.safetensors").exists():
        save_model(folder / "m.safetensors", made, small_tensors(made))
    (folder / "p.yaml").write_text(
        yaml.safe_dump({"model": "m.safetensors", "streams": streams, **rest}, sort_keys=False)
    )
    return str(folder / "p.yaml")


def around():
    return Environment(time.monotonic, lambda _: None, threading.Event().is_set)


MUSE = {"source": "simulated", "stream": "eeg", "montage": "muse"}


@pytest.mark.live
def test_simulated_streams_run_in_the_live_engine(tmp_path):
    streams = {"eeg": MUSE, "eye": {"source": "simulated", "stream": "eye"}}
    plan = build.make_plan(write(tmp_path, streams, markers={"source": "simulated", "stream": "markers"}))
    connected = connect(plan, around())
    infos = {modality: source.info for modality, source in connected.sources.items()}
    publisher = build.make_publisher(plan, time.monotonic)
    pipeline = build.make_pipeline(plan, build.make_predictor(plan), infos, time.monotonic, publisher.emit)
    engine = Engine(pipeline, connected.sources, publisher, time.monotonic, connected.markers)
    engine.start()
    limit = time.monotonic() + 120
    while not (
        engine.publisher.statistics.made["eeg", "emotion"] and engine.publisher.markers
    ) and not engine.wait(0.05):
        assert time.monotonic() < limit
    engine.finish()
    assert engine.failure is None
    assert engine.publisher.markers[0][1] == "rest/start"
    assert engine.reporter.snapshot().latest["eeg", "emotion"].status is Status.OK
    assert {one.lost for one in engine.reporter.snapshot().health} == {0}


def test_only_streams_of_devices_are_offered_however_many_sessions_are_there(tmp_path, monkeypatch):
    labels = ("TP9", "AF7", "AF8", "TP10")

    class Network:
        def streams(self):
            kinds = [*[RAW_TYPE] * 5, *[ANSWER_TYPE] * 5, "EEG"]
            raws = [pylsl.StreamInfo(f"{kind} {n}", kind, 4, 256) for n, kind in enumerate(kinds)]
            return {raw.name(): raw for raw in raws}

    def asked(_raw, info):
        return replace(info, labels=labels, units=("uV",) * 4)

    def never(*_arguments):
        raise StreamError("not there")

    monkeypatch.setattr("bci_m2s.lsl.network.shared_network", Network)
    monkeypatch.setattr("bci_m2s.lsl.network.request_info", asked)
    monkeypatch.setattr(LslStream, "make_source", never)
    plan = build.make_plan(write(tmp_path, {"eeg": {"name": "cap"}}))
    with pytest.raises(StreamError, match=r"not there.*name: EEG 10"):
        connect(plan, around())


@pytest.mark.parametrize("record_also", ["markers", "all"])
def test_what_the_pipeline_does_not_name_is_recorded_or_named(record_also):
    kinds = {
        "trigger": ("Markers", 0, "int32"),
        "motion": ("ACC", 50, "float32"),
        "told": ("Emotion", 0, "float32"),
    }
    tag = uuid.uuid4().hex[:6]
    outlets = [
        pylsl.StreamOutlet(pylsl.StreamInfo(f"{word}-{tag}", type_, 1, rate, form, f"{word}-{tag}"))
        for word, (type_, rate, form) in kinds.items()
    ]
    shared, limit = shared_network(), time.monotonic() + 120
    while {f"{word}-{tag}" for word in kinds} - {raw.name() for raw in shared.streams().values()}:
        assert time.monotonic() < limit
        time.sleep(0.05)
    lines = []
    environment = Environment(time.monotonic, lines.append, threading.Event().is_set)
    made = with_unnamed(Connected({}, (), time.monotonic), environment, record_also)

    def names_of(sources):
        return {source.info.name for source in sources if source.info.name.endswith(tag)}

    assert names_of(made.markers) == {f"trigger-{tag}"}
    assert names_of(made.others) == ({f"motion-{tag}"} if record_also == "all" else set())
    said = "\n".join(lines)
    assert f"markers: 'trigger-{tag}'" in said
    # another test's stream may have gone meanwhile, which is said too
    is_named = any(
        f"'motion-{tag}'" in line for line in lines if line.startswith("note: not recorded, since")
    )
    assert is_named == (record_also == "markers")
    made.close()
    del outlets


def test_recorded_streams_in_yaml(shared_data, tmp_path):
    file = shared_data / "muse" / "muse2_sub-P001_ses-S001_task-Default_run-001_eeg.xdf"
    plan = build.make_plan(write(tmp_path, {"eeg": {"source": "replay", "file": str(file), "loops": 2}}))
    connected = connect(plan, around())
    assert connected.sources["eeg"].info.labels[:2] == ("TP9", "AF7")
    connected.close()


@pytest.mark.parametrize(
    ("streams", "rest", "error", "words"),
    [
        ({"ecg": MUSE}, {}, ConfigurationError, "expected a modality of the model"),
        (
            {"eeg": MUSE},
            {"baseline": {"start": "marker"}},
            ConfigurationError,
            "a 'markers' stream beside it",
        ),
        ({"eeg": MUSE}, {"model": "nothing"}, UsageError, "no such file"),
    ],
)
def test_plans_that_cannot_work(tmp_path, streams, rest, error, words):
    path = write(tmp_path, streams)
    if rest:
        (tmp_path / "p.yaml").write_text(
            yaml.safe_dump({"model": "m.safetensors", "streams": streams, **rest})
        )
    with pytest.raises(error, match=words):
        build.make_plan(path)


@pytest.mark.parametrize(
    ("feature", "words"),
    [
        ({"name": "de", "n_features": 20, "params": {"bands_hz": {"x": [1, 90]}}}, "n_features|Nyquist"),
        ({"name": "de", "n_features": 20, "params": {"nonsense": 1}}, "nonsense"),
        (
            {"name": "de", "n_features": 20, "params": {"order": "x"}},
            "eeg.feature.params.order: got .x., expected a whole",
        ),
    ],
)
def test_a_model_whose_feature_cannot_be_built_is_refused(tmp_path, feature, words):
    fields = contract_fields()
    fields["modalities"]["eeg"]["feature"] = feature
    made = Contract.model_validate(fields)
    save_model(tmp_path / "m.safetensors", made, small_tensors(made))
    with pytest.raises(ModelError, match=words):
        build.make_plan(write(tmp_path, {"eeg": MUSE}))


def test_one_stream_that_does_not_fit_closes_those_before_it(tmp_path):
    eye = {"source": "simulated", "stream": "eye"}
    notified = []
    plan = build.make_plan(write(tmp_path, {"eye": eye, "eeg": dict(eye)}))
    with pytest.raises(
        StreamError, match="eeg: stream 'Simulated eye tracker': rate_hz: got 120"
    ) as caught:
        connect(plan, Environment(time.monotonic, notified.append, threading.Event().is_set))
    assert "channels: got no 'TP9', 'AF7'" in str(caught.value)  # every difference, not the first alone
    assert notified[0].startswith("eye: 'Simulated eye tracker'")


def test_labels_can_be_renamed():
    info = StreamInfo("cap", "EEG", labels=("A1", "A2"), units=("", ""))
    assert LslStream(rename={"A1": "TP9"}).applied_to(info).labels == ("TP9", "A2")
    with pytest.raises(StreamError, match="no channel 'B1'; nearest: 'A1'"):
        LslStream(rename={"B1": "x"}).applied_to(info)


def test_the_pipelines_unit_counts_whatever_the_sender_states():
    info = StreamInfo("cap", "EEG", labels=("A1", "A2"), units=("V", ""))
    assert LslStream(unit="nV").applied_to(info).units == ("nV", "nV")
    assert LslStream().applied_to(info).units == ("V", "")


def test_the_pipelines_rate_counts_whatever_the_sender_states():
    info = StreamInfo("tracker", "Gaze", labels=("x",), units=("",))
    assert LslStream(rate_hz=120.0).applied_to(info).rate_hz == 120.0
    assert LslStream().applied_to(StreamInfo("t", "Gaze", rate_hz=60.0)).rate_hz == 60.0


def test_fits_says_which_modality_or_what_differs():
    made = contract()
    eeg = StreamInfo("cap", "EEG", rate_hz=256, labels=("TP9", "AF7", "AF8", "TP10"), units=("uV",) * 4)
    assert fits(made, eeg) == ["fits eeg"]
    assert (
        "got 50" in fits(made, StreamInfo("cap", "EEG", rate_hz=50, labels=eeg.labels, units=eeg.units))[0]
    )
    assert fits(made, StreamInfo("m", "Markers")) == ["the model uses no stream of type 'Markers'"]


def test_output_folders_are_new_or_empty(tmp_path):
    (tmp_path / "empty").mkdir()
    assert build.make_folder(tmp_path / "empty") == tmp_path / "empty"
    assert build.make_folder(tmp_path / "a" / "b").is_dir()
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "x").write_text("mine")
    with pytest.raises(OutputError, match="nothing is overwritten"):
        build.make_folder(tmp_path / "used")
    with pytest.raises(OutputError, match="cannot be used as output folder"):
        build.make_folder(tmp_path / "used" / "x" / "deeper")


def test_shipped_files_are_found_by_name_and_by_path():
    assert {"demo", "muse"} <= set(names("pipelines", ".yaml"))
    assert find_pipeline("demo") == find_pipeline("demo.yaml")
    for name in names("models", ".safetensors"):
        assert find_model(name).is_file()
    with pytest.raises(UsageError, match="nearest: 'demo'"):
        find_pipeline("dmeo")
    with pytest.raises(UsageError, match="no such file"):
        find_pipeline("elsewhere/demo")
