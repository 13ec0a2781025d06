"""The training files that come with the project are sound and name what is there."""

from pathlib import Path

import pytest
from support.small_pairs import RELEASED_LOSSES

from bci_m2s.model.model_file import modality_network
from bci_m2s.training.datasets import DATASETS
from bci_m2s.training.training_file import load_training, preset

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
    assert settings.finetune.oracle == settings.preset.startswith("released")
    theirs = DATASETS[settings.data.format].heads
    assert settings.data.format == "recordings" or contract.heads.keys() <= theirs.keys()


def test_there_is_one_for_each_kind_of_data():
    formats = {load_training(path).data.format for path in FILES}
    published = {"eegmat", "stress-predict", "brain-body-behaviour", "deap", "dreamer", "seed-iv"}
    assert {"simulated", "recordings"} | published <= formats


def test_the_released_recipe_is_released_in_all_but_size():
    """On the people, folds, features and networks of the other file, of which no recipe is left."""
    folder = FILES[0].parent
    base, ours = (load_training(folder / name) for name in ("eegmat.yaml", "eegmat-released.yaml"))
    released = preset("released-cross-subject")
    assert (ours.split, ours.data, ours.pair, ours.seeds) == (base.split, base.data, base.pair, base.seeds)
    changed = {"pretrain": {"epochs"}, "finetune": {"epochs", "learning_rates", "weight_decays"}}
    for section, keys in changed.items():
        values = getattr(ours, section).model_dump(exclude={*keys, "loss"})
        for key, value in released[section].items():
            assert key in {*keys, "loss"} or values[key] == value, key
    assert ours.pretrain.loss == RELEASED_LOSSES
    assert ours.windows.own_session
    assert ours.windows.straddling
    networks = {name: spec.network.params for name, spec in ours.contract.modalities.items()}
    assert networks["eeg"] == base.contract.modalities["eeg"].network.params
    assert networks["ecg"] == base.contract.modalities["ecg"].network.params | {"causal": False}
