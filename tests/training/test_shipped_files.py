"""The training files that come with the project are sound and name what is there."""

from pathlib import Path

import pytest

from bci_m2s.model.model_file import modality_network
from bci_m2s.training.datasets import DATASETS
from bci_m2s.training.settings import load_training

FILES = sorted((Path(__file__).resolve().parents[2] / "pipelines" / "train").glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_loads_and_its_networks_fit_its_features(path):
    settings = load_training(path)
    contract = settings.contract
    assert settings.data.format in DATASETS
    assert contract.simulated == (settings.data.format == "simulated")
    for name in contract.modalities:
        modality_network(contract, name)
    assert len(settings.seeds) >= 3
    assert not settings.finetune.oracle
    theirs = DATASETS[settings.data.format].heads
    assert settings.data.format == "recordings" or contract.heads.keys() <= theirs.keys()


def test_there_is_one_for_each_kind_of_data():
    formats = {load_training(path).data.format for path in FILES}
    published = {"eegmat", "stress-predict", "brain-body-behaviour", "deap", "dreamer", "seed-iv"}
    assert {"simulated", "recordings"} | published <= formats
