"""From a training file to live estimates with one signal, and with three: every command once."""

import csv
import json

import pytest
import yaml
from support.small_pairs import TINY
from support.training_files import SIMULATOR, training_values, without_pictures
from typer.testing import CliRunner

from bci_m2s import training_data
from bci_m2s.commands.cli import app
from bci_m2s.model.model_file import read_contract
from bci_m2s.simulator.devices import find_device
from bci_m2s.training.data import load, prepare
from bci_m2s.training.estimator import M2SClassifier

SKIN = {
    "stream_type": "GSR",
    "rate_min_hz": 16.0,
    "rate_max_hz": 1000.0,
    "channels": ["GSR"],
    "units": ["uS"],
    "feature": {"name": "physiology", "params": {"columns": {"gsr": "GSR"}, "window_s": 8.0}},
    "normaliser": {"name": "baseline", "params": {"duration_s": 2.0}},
    "network": {"name": "m2s-sequence", "params": TINY | {"causal": True}},
}
SHORT = {
    "split": {"kind": "subjects", "test_subjects": 1, "validation_subjects": 1},
    "pretrain": {"epochs": 1, "batch": 16},
    "finetune": {"epochs": 2, "batch": 16, "learning_rates": [1e-2], "weight_decays": [1e-4]},
    "seeds": [0],
}


def call(*words):
    """Run a command; its output, or its exception."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception is not None:
        raise result.exception
    return result.output


def file_of(folder, names, device="muse", rate_hz=128.0, **changes):
    """A training file for some signals of four simulated people with that cap."""
    montage = "muse" if device == "muse" else list(find_device(device).channels)
    simulator = SIMULATOR | {"montage": montage, "eeg_rate_hz": rate_hz, "n_trials": 2, "effect": 1.0}
    values = training_values(**SHORT, **changes)
    values |= {"pair": names, "data": {"format": "simulated", "persons": 3, "simulator": simulator}}
    modalities = values["contract"]["modalities"] | {"skin": SKIN}
    if device != "muse":
        eeg = modalities["eeg"] | {"channels": montage, "units": ["uV"] * len(montage)}
        modalities["eeg"] = eeg | {"rate_min_hz": rate_hz, "feature": {"name": "de"}}
    values["contract"]["modalities"] = {name: modalities[name] for name in names}
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(json.loads(json.dumps(values))))
    return path


class Story:
    """Training, and a recording of somebody else: what was printed, and the files."""

    def __init__(self, folder, names, device, rate_hz):
        self.folder, self.names, self.device = folder, names, device
        self.model = folder / "mine.safetensors"
        controls = {} if len(names) == 1 else {"controls": ["linear"]}
        self.config = file_of(folder, names, device, rate_hz, **controls)
        self.run, self.recording = folder / "run", folder / "rec.xdf"
        where = (self.config, "--run", self.run)
        with without_pictures():
            self.printed = {
                "pretrain": call("pretrain", *where, "--device", "cpu"),
                "finetune": call("finetune", *where, "--out", self.model),
                "evaluate": call("evaluate", *where),
            }
        how = ("--montage", device, "--rate-hz", rate_hz, "--rest", 12, "--trial", 8, "--duration", 26)
        call("simulate", *how, "--subject", 9, "--skin", "--output", self.recording)

    def results(self):
        return json.loads((self.run / "results.json").read_text())["summaries"]

    def replay(self, mode="auto", model=None):
        """Rows of estimates.csv that are estimates."""
        streams = {"eeg": "EEG", "eye": "Gaze", "skin": "GSR"}
        settings = {name: {"type": streams[name]} for name in self.names}
        if self.device == "openbci-8":  # which sends no labels
            labels = find_device(self.device).channels
            settings["eeg"]["rename"] = {f"ch{n}": label for n, label in enumerate(labels, start=1)}
        pipeline = {"model": str(model or self.model), "streams": settings, "modality": mode}
        path = self.folder / f"{mode}.yaml"
        path.write_text(yaml.safe_dump(pipeline))
        out = self.folder / f"out-{mode}-{model is None}"
        call("replay", self.recording, "--pipeline", path, "--output", out)
        with (out / "estimates.csv").open() as file:
            return [row for row in csv.DictReader(file) if row["status"] == "ok"]


CAPS = [
    pytest.param(("emotiv-14", 128.0), id="14", marks=pytest.mark.nightly),
    pytest.param(("openbci-8", 250.0), id="8"),
]


@pytest.fixture(scope="module", params=CAPS)
def one(request, tmp_path_factory):
    return Story(tmp_path_factory.mktemp("one"), ["eeg"], *request.param)


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    return Story(tmp_path_factory.mktemp("three"), ["eeg", "eye", "skin"], "muse", 128.0)


class TestOne:
    def test_it_predicts_its_future_and_then_learns_labels(self, one):
        assert ", cpc " in one.printed["pretrain"]
        assert "contrastive" not in one.printed["pretrain"]
        contract = read_contract(one.model)
        assert list(contract.modalities) == ["eeg"]
        assert "its own future, then encoder and classifier" in contract.training["method"]
        assert contract.training["finetune"]["freeze"] is False
        weights = contract.training["pretrain"]["loss"]["weights"]
        assert [name for name, weight in weights.items() if weight] == ["cpc", "cpc_within"]

    def test_one_direction_and_every_control(self, one):
        rows = [(row["method"], row["direction"]) for row in one.results()]
        methods = ("pretrained", "linear", "random", "supervised", "permuted")
        assert rows == [(method, "eeg → eeg") for method in methods]
        assert not list(one.run.rglob("crossed*"))

    def test_it_runs(self, one):
        rows = one.replay()
        assert {row["modality"] for row in rows} == {"eeg"}
        assert len(rows) > 10


class TestThree:
    def test_every_direction(self, three):
        own = [row["direction"] for row in three.results() if row["method"] == "pretrained"]
        names = three.names
        assert set(own) == {f"{a} → {b}" for a in names for b in names} | {"all → all"}
        assert len(own) == 10
        linear = [row["direction"] for row in three.results() if row["method"] == "linear"]
        assert linear == [*(f"{name} → {name}" for name in names), "all → all"]
        teachers = {path.name for path in three.run.rglob("crossed*")}
        assert teachers == {"crossed.safetensors", "crossed-2.safetensors"}

    @pytest.mark.parametrize(
        ("mode", "modalities"),
        [("each", {"eeg", "eye", "skin"}), ("auto", {"eeg"}), ("fused", {"eeg+eye+skin"})],
    )
    def test_one_model_answers_from_all(self, three, mode, modalities):
        rows = three.replay(mode)
        assert modalities <= {row["modality"] for row in rows}

    def test_the_estimators_file_runs_too(self, three, monkeypatch):
        """What M2SClassifier learns from the same file's windows, with the classifier of EEG alone."""

        def kept(settings, folder, console):  # the features of the run, which are the same
            assert folder is None
            return load.load_sessions(settings, three.run / "features", console)

        monkeypatch.setattr(prepare, "load_sessions", kept)
        data = training_data(three.config)
        train = data.parts["train"].having(three.names, "emotion")
        own, *others = three.names
        model = M2SClassifier(
            n_channels=4, depth=1, heads=2, ffn=16, embedding=8, epochs=2, pretrain_epochs=1, random_state=0
        )
        model.pretrain(train.features[own], {name: train.features[name] for name in others})
        model.fit(train.features[own], train.labels["emotion"], groups=train.subjects)
        path = three.folder / "estimator.safetensors"
        model.to_model_file(path, data)
        assert read_contract(path).training["labels"] == "eeg"
        assert {row["modality"] for row in three.replay("each", path)} == set(three.names)
