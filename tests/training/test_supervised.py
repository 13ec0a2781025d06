"""The training command: a model that the live side accepts, whose figures were made on other people."""

import numpy as np
import pytest
import yaml

from bci_m2s import load_model
from bci_m2s.build import check_feature
from bci_m2s.errors import ConfigurationError, OutputError
from bci_m2s.training.supervised import load_settings, main

SMALL = {"depth": 1, "ffn": 32, "heads": 2, "head_width": 8, "embedding": 16}


def config(folder, **changes):
    fields = {
        "contract": {
            "name": "tiny",
            "simulated": True,
            "classes": ["negative", "positive"],
            "window": {"steps": 3, "step_s": 1.0, "hop_s": 0.5},
            "modalities": {
                "eeg": {
                    "stream_type": "EEG",
                    "rate_min_hz": 128.0,
                    "rate_max_hz": 1024.0,
                    "channels": ["TP9", "AF7", "AF8", "TP10"],
                    "units": ["uV"] * 4,
                    "feature": {"name": "de", "n_features": 20, "params": {"notch_hz": [50.0]}},
                    "normaliser": {"name": "baseline", "params": {"duration_s": 5.0}},
                    "network": {"name": "m2s-electrode", "params": SMALL},
                }
            },
        },
        "simulator": {
            "montage": "muse",
            "eeg_rate_hz": 128.0,
            "rest_s": 10.0,
            "trial_s": 10.0,
            "n_trials": 4,
            "effect": 2.0,
        },
        "train_persons": 6,
        "validation_persons": 1,
        "test_persons": 2,
        "epochs": 2,
        "batch": 32,
        **changes,
    }
    path = folder / "train.yaml"
    path.write_text(yaml.safe_dump(fields))
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    main([str(config(folder)), "--out", str(folder / "tiny.safetensors")])
    return folder


def test_the_model_loads_and_its_feature_can_be_built(trained):
    model = load_model(trained / "tiny.safetensors")
    check_feature(trained / "tiny.safetensors", model.contract, "eeg")
    chances = model.predict_proba("eeg", np.zeros((2, 3, 20), dtype=np.float32))
    np.testing.assert_allclose(chances.sum(axis=1), 1)
    assert model.logits("eeg", np.zeros((2, 3, 20), dtype=np.float32)).shape == (2, 2)


def test_the_record_names_data_split_seed_selection_and_support(trained):
    record = load_model(trained / "tiny.safetensors").contract.training
    assert record["data"] == "bci_m2s simulator (no real people)"
    assert record["split"] == "by person: 6 training, 1 validation, 2 test people"
    assert "validation people" in record["selection"]
    metrics = record["metrics"]["eeg"]
    assert sum(metrics["support_test"].values()) == metrics["windows"]["test"]
    assert 0 <= metrics["permuted_labels_test"] <= 1
    assert record["seed"] == 0
    assert "train.yaml --out tiny.safetensors" in record["command"]


def test_the_same_seed_gives_the_same_model(trained, tmp_path):
    main([str(config(tmp_path)), "--out", str(tmp_path / "again.safetensors")])
    first, again = load_model(trained / "tiny.safetensors"), load_model(tmp_path / "again.safetensors")
    for name, array in first.tensors.items():
        np.testing.assert_array_equal(array, again.tensors[name])


def test_nothing_is_overwritten(trained):
    with pytest.raises(OutputError, match="nothing is overwritten without --overwrite"):
        main([str(config(trained)), "--out", str(trained / "tiny.safetensors")])


def test_wrong_settings_are_one_line(tmp_path):
    with pytest.raises(ConfigurationError, match="epoch_count"):
        load_settings(config(tmp_path, epoch_count=3))
