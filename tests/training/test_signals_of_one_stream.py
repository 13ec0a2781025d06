"""Several signals of one stream as modalities of their own, and pairwise learning of three and more."""

import io
from itertools import combinations

import numpy as np
import pytest
import yaml
from rich.console import Console
from support.look_alikes import SHORT_S, deap_signals
from support.small_pairs import TINY, job
from support.stress_files import write_stress_predict

from bci_m2s.files.shipped import folder
from bci_m2s.model.contract import Contract
from bci_m2s.training.check.training_file import check_training
from bci_m2s.training.data.load import load_sessions
from bci_m2s.training.data.prepare import prepare
from bci_m2s.training.data.splits import make_splits
from bci_m2s.training.data.windows import Names
from bci_m2s.training.datasets import deap
from bci_m2s.training.datasets.layout import with_parts
from bci_m2s.training.methods import METHODS
from bci_m2s.training.settings import TrainingSettings, laid_over
from bci_m2s.training.training_file import settings_of, training_values

DEAP_SIGNALS = {
    "skin": (["GSR"], {"gsr": "GSR"}),
    "breath": (["Resp"], {"respiration": "Resp"}),
    "pulse": (["Pleth"], {"plethysmograph": "Pleth"}),
    "muscles": (["zEMG", "tEMG"], {"emg": ["zEMG", "tEMG"]}),
}
QUICK = {
    "pretrain": {"epochs": 2, "batch": 64},
    "finetune": {"epochs": 3, "learning_rates": [1e-2], "weight_decays": [1e-4]},
}
QUIET = Console(file=io.StringIO())


def shipped(name, **changes):
    """Settings of a shipped training file with small networks."""
    path = folder("pipelines") / "train" / f"{name}.yaml"
    values = training_values(path)
    for spec in values["contract"]["modalities"].values():
        spec["network"] = {"name": "m2s-sequence", "params": TINY | {"causal": True}}
    return settings_of(path, laid_over(laid_over(values, QUICK), changes))


def deap_contract(names):
    """The contract of DEAP with these signals in place of EEG and all peripheral ones."""
    usual = training_values(folder("pipelines") / "train" / "deap.yaml")["contract"]
    peripheral, modalities = usual["modalities"]["peripheral"], {}
    for name in names:
        channels, columns = DEAP_SIGNALS[name]
        units = ["uV"] * len(channels) if name == "muscles" else [""] * len(channels)
        modalities[name] = peripheral | {
            "channels": channels,
            "units": units,
            "feature": {"name": "physiology", "params": {"columns": columns, "window_s": 15}},
            "network": {"name": "m2s-sequence", "params": TINY | {"causal": True}},
        }
    return usual | {"modalities": modalities}


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(deap, "N_TRIALS", 12)
    monkeypatch.setattr(deap, "N_SAMPLES", 63 * 128)


def first_segment(root):
    (segments,) = deap.read_deap(root, lambda _: None)
    return segments[0]


@pytest.mark.usefixtures("few")
def test_a_stream_is_every_modality_whose_channels_it_has(tmp_path):
    deap_signals(tmp_path, 12)
    segment = first_segment(tmp_path)
    found = with_parts(segment, Contract.model_validate(deap_contract(DEAP_SIGNALS)))
    assert found.streams.keys() == {"eeg", "peripheral", *DEAP_SIGNALS}
    assert all(found.streams[name] is segment.streams["peripheral"] for name in DEAP_SIGNALS)
    values = deap_contract(["skin", "pulse"])
    values["modalities"]["eeg"] = values["modalities"].pop("skin")  # a name that a stream has
    values["modalities"]["pulse"]["channels"] = ["Pulse"]  # a channel that none has
    values["modalities"]["pulse"]["feature"]["params"]["columns"] = {"plethysmograph": "Pulse"}
    assert with_parts(segment, Contract.model_validate(values)) is segment


@pytest.mark.nightly
@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("names", [tuple(DEAP_SIGNALS)[:3], tuple(DEAP_SIGNALS)], ids=len)
def test_signals_of_deap_are_learnt_from_pairwise(names, tmp_path):
    deap_signals(tmp_path, 12)
    values = {
        "contract": deap_contract(names),
        "pair": list(names),
        "data": {"format": "deap", "root": str(tmp_path)},
        "split": {"kind": "trial-folds", "folds": 3, "validation_trials": 1},
        "windows": {"every_hops": 4},
    }
    check_subsets(TrainingSettings.model_validate(values | QUICK))


def test_the_shipped_file_of_three_signals_finds_them(tmp_path):
    write_stress_predict(tmp_path / "data", range(2, 9), SHORT_S, quick=True)
    values = training_values(folder("pipelines") / "train" / "stress-predict-three.yaml")
    values["data"]["root"] = "data"
    (tmp_path / "three.yaml").write_text(yaml.safe_dump(values))
    checked = check_training(tmp_path / "three.yaml")
    streams = checked.listing.segments[0][1].streams
    assert {*checked.settings.pair} <= streams.keys()
    assert streams["conductance"] is streams["temperature"] is streams["skin"]


@pytest.mark.nightly
def test_three_signals_of_real_people_are_learnt_from_pairwise(shared_data):
    root = shared_data / "stress-predict"
    people = sorted(int(path.name[1:3]) for path in root.glob("S*_BVP.csv"))[:4]
    split = {"kind": "subjects", "test_subjects": 1, "validation_subjects": 1}
    data = {"root": str(root), "subjects": [str(person) for person in people]}
    check_subsets(shipped("stress-predict-three", data=data, split=split))


def check_subsets(settings):
    """Every subset of the signals answers, and one that is dropped changes no answer of the others."""
    sessions = load_sessions(settings, None, QUIET)
    (split, *_) = make_splits(sessions, settings.split, settings.contract.first_head)
    data = prepare(settings, sessions, split, Names.of(sessions))
    test, names = data.parts["test"], settings.pair
    assert len(test.having(names)) > 5
    answers = METHODS["pairwise"].learn(job(settings), data, settings.finetune)
    sizes = {1, len(names) - 1, len(names)}
    subsets = [kept for size in sorted(sizes) for kept in combinations(names, size)]
    assert list(answers) == [(kept, kept) for kept in subsets]
    head = settings.contract.first_head
    together = test.having(names)
    for kept in subsets:
        chances = answers[kept, kept](together, head)
        assert chances.shape == (len(together), 2)
        np.testing.assert_allclose(chances.sum(axis=1), 1, atol=1e-6)
        for dropped in set(names) - set(kept):
            together.features[dropped][:] = np.nan
        np.testing.assert_array_equal(answers[kept, kept](together, head), chances)
        together = test.having(names)
