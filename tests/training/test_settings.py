"""Training files: presets, and messages that name file, field, got and expected."""

import math
import re

import pytest
import yaml
from support.small_pairs import RELEASED_LOSSES, contract_values, training_settings

from bci_m2s.errors import ConfigurationError
from bci_m2s.training.methods.loss_settings import LossSettings
from bci_m2s.training.settings import TrainingSettings, recorded
from bci_m2s.training.training_file import load_training, preset, presets


def write(folder, **fields):
    values = {
        "contract": contract_values(),
        "pair": ["eeg", "eye"],
        "data": {"format": "simulated"},
        **fields,
    }
    path = folder / "train.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def refusal(folder, **fields):
    path = write(folder, **fields)
    with pytest.raises(ConfigurationError) as caught:
        load_training(path)
    return str(caught.value).removeprefix(f"{path}:")


def test_the_presets_are_the_five_that_are_promised_and_each_makes_a_training(tmp_path):
    assert presets() == ["aligned", "released-cross-subject", "released-seed", "released-seed-iv", "sound"]
    for name in presets():
        assert load_training(write(tmp_path, preset=name)).preset == name


def test_the_sound_preset_is_the_defaults(tmp_path):
    sound = load_training(write(tmp_path))
    plain = TrainingSettings.model_validate(
        {"contract": contract_values(), "pair": ["eeg", "eye"], "data": {"format": "simulated"}}
    )
    assert sound == plain
    assert sound.pretrain.loss == LossSettings()


@pytest.mark.parametrize("name", ["released-seed", "released-seed-iv", "released-cross-subject"])
def test_released_presets_do_as_the_released_code_does_but_never_select_on_test(tmp_path, name):
    settings = load_training(write(tmp_path, preset=name))
    assert settings.pretrain.loss == RELEASED_LOSSES
    assert settings.pretrain.layers_start == "copies"
    assert settings.pretrain.sampler == "mixed"
    assert settings.pretrain.last_batch == settings.finetune.last_batch == "keep"
    assert not settings.pretrain.causal_only
    assert settings.pretrain.club_limit is None
    assert settings.windows.straddling
    assert settings.finetune.frozen_dropout
    assert settings.finetune.frozen_in_optimiser
    assert settings.finetune.class_weight == "none"
    assert settings.finetune.select == "validation"
    assert settings.finetune.oracle
    assert (settings.pretrain.batch, settings.finetune.batch, settings.pretrain.weight_decay) == {
        "released-seed": (512, 512, 1e-4),
        "released-seed-iv": (256, 256, 1e-4),
        "released-cross-subject": (128, 2048, 1e-3),
    }[name]
    assert settings.pretrain.epochs == settings.finetune.epochs == 200
    assert settings.finetune.learning_rates == (1e-3, 1e-4, 1e-5)


def test_released_splits(tmp_path):
    splits = {name: load_training(write(tmp_path, preset=name)).split for name in presets()}
    assert (splits["released-seed"].kind, splits["released-seed"].train_trials) == ("trials", 9)
    assert splits["released-seed-iv"].train_trials == 16
    assert (splits["released-cross-subject"].kind, splits["released-cross-subject"].folds) == (
        "subject-folds",
        0,
    )


def test_a_file_is_laid_over_its_preset_setting_by_setting(tmp_path):
    settings = load_training(
        write(tmp_path, preset="released-seed", pretrain={"batch": 64, "loss": {"weights": {"club": 0}}})
    )
    assert (settings.pretrain.batch, settings.pretrain.epochs) == (64, 200)
    assert settings.pretrain.loss.weights.club == 0
    assert settings.pretrain.loss.weights.cpc == 1.0
    assert settings.pretrain.loss.max_logit_scale == math.inf
    assert preset("released-seed")["pretrain"]["batch"] == 512


def test_a_base_gives_data_and_contract_but_no_recipe(tmp_path):
    (tmp_path / "set").mkdir()
    base = write(
        tmp_path / "set",
        data={"format": "seed", "root": "copy"},
        pretrain={"epochs": 7},
        finetune={"epochs": 8},
        controls=["linear"],
        seeds=[5],
    )
    path = tmp_path / "other.yaml"

    def other(**fields):
        path.write_text(yaml.safe_dump({"base": f"set/{base.name}", **fields}), encoding="utf-8")
        return load_training(path)

    causal = {"modalities": {"eye": {"network": {"params": {"causal": False}}}}}
    made = other(preset="released-cross-subject", contract=causal, pretrain={"batch": 99})
    assert made.data.root == (tmp_path / "set/copy").resolve()
    assert (made.seeds, made.controls, made.split.kind) == ((5,), ("linear",), "subjects")
    assert (made.pretrain.epochs, made.finetune.epochs, made.pretrain.batch) == (200, 200, 99)
    assert made.pretrain.sampler == "mixed"
    plain = load_training(base).contract.modalities
    eye = made.contract.modalities["eye"].network.params
    assert eye == plain["eye"].network.params | {"causal": False}
    assert made.contract.modalities["eeg"] == plain["eeg"]
    for wrong in ("none.yaml", "other.yaml", 3):
        with pytest.raises(ConfigurationError, match=r"base: got .*, expected another training file"):
            other(base=wrong)


def test_a_root_is_relative_to_the_file_and_a_draft_is_a_contract(tmp_path):
    settings = load_training(write(tmp_path, data={"format": "seed", "root": "copy/of/it"}))
    assert settings.data.root == (tmp_path / "copy/of/it").resolve()
    assert settings.contract.name == "tiny-pair"
    assert not settings.contract.training


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"pretrain": {"batch": 1}}, "pretrain.batch: got 1, expected greater than or equal to 2"),
        ({"pretrain": {"epoch": 3}}, "pretrain.epoch: unknown key; nearest: 'epochs'"),
        (
            {"pretrain": {"sampler": "everyone"}},
            "pretrain.sampler: got 'everyone', expected .*'within-person'",
        ),
        ({"pretrain": {"loss": {"weights": {"club": -1}}}}, "pretrain.loss.weights.club: got -1"),
        ({"pretrain": {"loss": {"wait": 1}}}, "pretrain.loss.wait: unknown key"),
        ({"finetune": {"learning_rates": []}}, "finetune.learning_rates: got .*expected at least 1"),
        ({"finetune": {"oracle": "perhaps"}}, "finetune.oracle: got 'perhaps'"),
        ({"split": {"kind": "random"}}, "split.kind: got 'random', expected .*'subject-folds'"),
        ({"data": {"format": "seed"}}, "data.root: got nothing, expected the folder of your copy"),
        ({"data": {}}, "data.format: got nothing"),
        ({"pair": ["eeg", "ecg"]}, "pair.1: got 'ecg', expected a modality of the contract"),
        ({"pair": ["eeg", "eeg"]}, "pair: got eeg, eeg, expected each modality of the contract once"),
        ({"seeds": [1, 1]}, "seeds: got .*different numbers"),
        ({"seeds": []}, "seeds"),
        ({"seeds": 0}, "seeds: got 0, expected their number, 1 to 1000, or a list"),
        ({"controls": ["linear", "linear"]}, "controls: got linear, linear, expected each once"),
        ({"contract": {}}, "contract.name: got nothing"),
        ({"contract": None}, "contract: got nothing, expected a mapping"),
        ({"contract": contract_values(layout="diagonal")}, "layout"),
        ({"controls": ["guess"]}, "controls.0: got 'guess', expected a method; valid: pretrained, random"),
        ({"controls": ["randm"]}, "nearest: 'random'; no installed package has it in the group"),
        ({"finetune": {"method": "mine"}}, "finetune.method: got 'mine', expected a method"),
        ({"controls": ["pretrained"]}, "controls.0: got 'pretrained', expected methods other than"),
        ({"finetune": {"keep": ["ecg"]}}, "got 'ecg', expected a modality"),
        (
            {"finetune": {"labels": "eye", "freeze": False}},
            "finetune.labels: got 'eye', expected own, since labels train the encoders here",
        ),
        (
            {"finetune": {"labels": "eye", "method": "supervised"}},
            "finetune.labels: got 'eye', expected own",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_file(tmp_path, fields, message):
    line, words = refusal(tmp_path, **fields).split(": ", 1)
    assert line.isdecimal()
    assert re.search(message, words)


@pytest.mark.parametrize(
    ("right", "wrong", "words"),
    [
        ("format: simulated", "fromat: simulated", "data.fromat: unknown key; nearest: 'format'"),
        ("stream_type: EEG", "stream_typ: EEG", "contract.modalities.eeg.stream_typ: unknown key; nearest"),
        ("hop_s: 1.0", "hop_s: 0.3", "contract.window.hop_s: got 0.3, expected"),  # two fields disagree
        ("- eeg\n", "- ecg\n", "pair.0: got 'ecg', expected a modality of the contract"),
    ],
)
def test_the_line_is_that_of_the_key(tmp_path, right, wrong, words):
    path = write(tmp_path)
    text = path.read_text(encoding="utf-8")
    assert right in text
    path.write_text(text.replace(right, wrong, 1), encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load_training(path)
    number = text[: text.index(right)].count("\n") + 1
    assert str(caught.value).startswith(f"{path}:{number}: {words}")


def test_an_unknown_preset_and_a_file_that_is_not_there(tmp_path):
    with pytest.raises(
        ConfigurationError, match=r"yaml:\d+: preset: got 'released', expected a known preset"
    ):
        load_training(write(tmp_path, preset="released"))
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_training(tmp_path / "none.yaml")


def test_a_model_file_in_its_place_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"got a model file, .*lab.safetensors --on TRAINING.yaml"):
        load_training(tmp_path / "lab.safetensors")


def test_recorded_settings_are_strict_json_and_mean_the_same():
    settings = training_settings(pretrain={"loss": {"max_logit_scale": math.inf, "club_ceiling": math.inf}})
    values = recorded(settings.pretrain)
    assert values["loss"]["max_logit_scale"] == "inf"
    assert values["loss"]["weights"]["club"] == 0.3
    assert type(settings.pretrain).model_validate(values) == settings.pretrain
