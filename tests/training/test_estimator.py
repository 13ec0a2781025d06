"""M2SClassifier keeps scikit-learn's rules, and the package's: training rows alone choose the epoch."""

import pickle
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import joblib
import numpy as np
import pytest
import sklearn
import torch
from scipy.special import softmax
from sklearn.base import clone
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from support.small_pairs import THREE, corpus, training_settings, unit

import bci_m2s
from bci_m2s import M2SClassifier, OutputError, load_model
from bci_m2s.training import estimator
from bci_m2s.training.data.windows import joined
from bci_m2s.training.estimator_parts import estimator_contract, held_out
from bci_m2s.training.methods import METHODS, methods
from bci_m2s.training.methods.model_files import CROSSED, crossings, write_model
from bci_m2s.training.methods.pretrain import Job, load_pretrained, pretrain
from bci_m2s.training.settings import TrainingSettings
from bci_m2s.training.training_file import preset

PAGE = Path(__file__).resolve().parents[2] / "docs" / "notebooks.md"
# Checks that may fail, and why: none does.
EXPECTED_FAILURES = {}


def classifier(**changes):
    settings = {"depth": 1, "heads": 2, "ffn": 16, "embedding": 16, "projection": 16, "hidden": 32}
    training = {"epochs": 20, "batch": 64, "learning_rate": 1e-2, "random_state": 0, "device": "cpu"}
    return M2SClassifier(**{**settings, **training, **changes})


@pytest.fixture(autouse=True)
def _one_thread():
    """Networks as small as these only wait for each other's threads, most of all on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.nightly
@parametrize_with_checks([classifier()], expected_failed_checks=lambda _: EXPECTED_FAILURES)
def test_scikit_learn(estimator, check):
    check(estimator)


def pairs(n=240, people=6, steps=3, effect=1.5, seed=0):
    """EEG (n, T, 4 channels × 2 bands), eye (n, T, 5), labels, people: a shared state carries the class."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    state = rng.normal(size=(n, steps, 3))
    state[:, :, 0] += effect * (2 * labels[:, None] - 1)
    ways = rng.normal(size=(3, 8)), rng.normal(size=(3, 5))
    eeg, eye = (state @ way + 0.3 * rng.normal(size=(n, steps, way.shape[1])) for way in ways)
    return eeg / eeg.std(), eye / eye.std(), np.array(["low", "high"])[labels], np.arange(n) % people


class TestFit:
    def test_learns_with_either_network_from_either_shape(self):
        eeg, _, y, _ = pairs()
        for n_channels in (0, 4):
            model = classifier(n_channels=n_channels, epochs=5).fit(eeg[:160], y[:160])
            assert (model.predict(eeg[160:]) == y[160:]).mean() > 0.9
            flat = classifier(steps=3, n_channels=n_channels, epochs=5).fit(
                eeg[:160].reshape(160, -1), y[:160]
            )
            assert np.array_equal(flat.predict_proba(eeg[160:]), model.predict_proba(eeg[160:]))
        assert list(model.classes_) == ["high", "low"]
        assert model.n_features_in_ == 24

    def test_shuffled_labels_are_chance(self):
        eeg, _, y, _ = pairs(400)
        scores = []
        for seed in range(3):
            wrong = np.random.default_rng(seed).permutation(y[:300])
            model = classifier(n_channels=4, random_state=seed, epochs=10).fit(eeg[:300], wrong)
            scores.append((model.predict(eeg[300:]) == y[300:]).mean())
        assert 0.2 < np.mean(scores) < 0.7  # one axis carries the class: three are far from .5 by chance

    def test_same_seed_same_answer_whatever_stands_beside(self):
        eeg, _, y, _ = pairs(80)
        one, two = (classifier(epochs=5).fit(eeg, y).predict_proba(eeg) for _ in range(2))
        assert np.array_equal(one, two)
        other = classifier(epochs=5, random_state=1).fit(eeg, y).predict_proba(eeg)
        assert not np.array_equal(one, other)
        model = classifier(epochs=5).fit(eeg, y)
        alone = np.concatenate([model.predict_proba(row[None]) for row in eeg[:10]])
        np.testing.assert_allclose(alone, one[:10], atol=1e-12)

    def test_the_callers_random_numbers_go_on(self):
        eeg, eye, y, _ = pairs(40)
        torch.manual_seed(7)
        wanted = torch.rand(3)
        torch.manual_seed(7)
        classifier(epochs=2, pretrain_epochs=1).pretrain(eeg, eye).fit(eeg, y)
        assert torch.equal(torch.rand(3), wanted)

    @pytest.mark.parametrize(
        ("change", "named"),
        [
            ({"steps": 5}, "steps"),
            ({"n_channels": 7}, "n_features"),
            ({"n_channels": -1}, "channels"),
            ({"heads": 3}, "embedding"),
            ({"epochs": 0}, "epochs"),
            ({"learning_rate": 0.0}, "learning_rates"),
            ({"validation": 1.0}, "validation"),
            ({"dropout": 1.5}, "dropout"),
        ],
    )
    def test_parameters_that_cannot_be_are_value_errors(self, change, named):
        eeg, _, y, _ = pairs(20)
        with pytest.raises(ValueError, match=named):
            classifier(**change).fit(eeg.reshape(20, -1), y)

    def test_groups_of_another_length_are_refused(self):
        eeg, eye, y, people = pairs(20)
        with pytest.raises(ValueError, match="groups"):
            classifier().fit(eeg, y, groups=people[:-1])
        with pytest.raises(ValueError, match="groups"):
            classifier().pretrain(eeg, eye, groups=people[:-1])


class TestValidation:
    def test_only_whole_groups_are_held_out_and_classes_stay(self):
        labels, groups = np.arange(40) % 3, np.arange(40) // 4
        for seed in range(20):
            held = held_out(labels, groups, 0.3, seed)
            assert held.sum() == 12
            assert not set(groups[held]) & set(groups[~held])
            assert set(labels[~held]) == {0, 1, 2}

    def test_a_group_with_the_only_rows_of_a_class_trains(self):
        labels, groups = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 0, 0, 0, 1, 1])
        assert not held_out(labels, groups, 0.5, 0).any()
        labels, groups = np.array([0, 1, 0, 1, 2, 2]), np.array([0, 0, 1, 1, 2, 2])
        for seed in range(10):
            held = held_out(labels, groups, 0.3, seed)
            assert held.sum() == 2
            assert not held[4:].any()

    def test_rows_of_each_class_without_groups(self):
        labels = np.repeat([0, 1, 2], [50, 10, 1])
        held = held_out(labels, None, 0.2, 0)
        assert np.bincount(labels[held], minlength=3).tolist() == [10, 2, 0]
        assert not held_out(labels, None, 0.0, 0).any()

    def test_only_training_rows_reach_the_optimiser(self, monkeypatch):
        """Epochs are chosen on held-out groups of the rows given to fit; those are not trained on."""
        eeg, _, y, people = pairs()
        seen = {}
        real = methods.finetune

        def spy(network, parts, *rest):
            seen.update(parts)
            return real(network, parts, *rest)

        monkeypatch.setattr(methods, "finetune", spy)
        model = classifier(epochs=3).fit(eeg, y, groups=people)
        train, validation = (
            set(map(bytes, seen[part].features["own"])) for part in ("train", "validation")
        )
        assert not train & validation
        assert len(train | validation) == len(eeg)
        assert not set(seen["train"].subjects) & set(seen["validation"].subjects)
        assert model.n_validation_ == len(validation) == 40
        assert 0 <= model.score_ <= 1
        assert 1 <= model.epoch_ <= 3

    def test_without_validation_the_last_epoch_is_taken(self):
        eeg, _, y, _ = pairs(60)
        model = classifier(epochs=4, validation=0.0).fit(eeg, y)
        assert model.epoch_ == 4
        assert model.n_validation_ == 0
        assert np.isnan(model.score_)


class TestPretrain:
    def test_one_modalitys_labels_judge_the_other(self):
        eeg, eye, y, people = pairs(360, people=2)
        model = classifier(
            n_channels=4, pretrain_epochs=10, pretrain_batch=64, pretrain_learning_rate=3e-3, dropout=0.0
        )
        model.pretrain(eeg[:240], eye[:240], groups=people[:240])
        assert len(model.losses_) == 10
        assert model.losses_[-1]["contrastive"] < model.losses_[0]["contrastive"]
        model.fit(eeg[:240], y[:240])
        assert (model.predict(eeg[240:]) == y[240:]).mean() > 0.8
        assert (model.predict_other(eye[240:]) == y[240:]).mean() > 0.65  # chance is 0.5 ± 0.05
        assert np.allclose(model.predict_proba_other(eye[240:]).sum(axis=1), 1)

    def test_fit_leaves_the_encoder_as_it_is(self):
        eeg, eye, y, _ = pairs(60)
        model = classifier(n_channels=4, n_channels_other=5, pretrain_epochs=1, epochs=3).pretrain(eeg, eye)
        before = {key: value.clone() for key, value in model.encoders_["own"].state_dict().items()}
        first = model.fit(eeg, y).predict_proba(eeg)
        for key, value in model.encoders_["own"].state_dict().items():
            assert torch.equal(value, before[key])
            if not key.startswith("heads."):
                assert torch.equal(model.network_.state_dict()[key].float(), value), key
        assert np.array_equal(model.fit(eeg, y).predict_proba(eeg), first)

    def test_one_step_has_no_prediction_loss(self):
        eeg, eye, _, _ = pairs(40, steps=1)
        model = classifier(pretrain_epochs=2).pretrain(eeg, eye)
        assert "cpc" not in model.losses_[0]
        assert "cpc" in classifier(pretrain_epochs=1).pretrain(*pairs(40, steps=2)[:2]).losses_[0]

    def test_clone_forgets_and_changed_sizes_are_refused(self):
        eeg, eye, y, _ = pairs(40)
        model = classifier(pretrain_epochs=1, epochs=2).pretrain(eeg, eye)
        assert not hasattr(clone(model), "encoders_")
        with pytest.raises(ValueError, match="as in pretrain"):
            model.fit(eeg[:, :2], y)
        with pytest.raises(ValueError, match="call it again"):
            model.set_params(embedding=8).fit(eeg, y)

    def test_pairs_that_are_none_are_refused(self):
        eeg, eye, y, _ = pairs(20)
        model = classifier(pretrain_epochs=1, epochs=2)
        for other, named in ((eye[:-1], "inconsistent"), (eye[:, :2], "steps"), (eye * np.nan, "X_other")):
            with pytest.raises(ValueError, match=named):
                model.pretrain(eeg, other)
        with pytest.raises(ValueError, match="expected at least 2"):
            model.pretrain(eeg[:1], eye[:1])
        with pytest.raises(ValueError, match="device: got"):
            clone(model).set_params(device="cuda:99").pretrain(eeg, eye)
        with pytest.raises(sklearn.exceptions.NotFittedError):
            clone(model).fit(eeg, y).predict_other(eye)
        with pytest.raises(ValueError, match="X_other"):
            model.pretrain(eeg, eye).fit(eeg, y).predict_other(eye[:, :, :4])


def as_commands_do(settings, data, folder):
    """Logits of the test windows of both signals, by the files that ``finetune`` would write."""
    job = Job(settings.contract, settings.pair, settings.pretrain, settings.seeds[0], torch.device("cpu"))
    checkpoint = folder / "p.safetensors"
    pretrain(job, data.parts["train"], data.parts["validation"], checkpoint)
    start = lambda: load_pretrained(job, checkpoint)  # noqa: E731
    fitted = METHODS["pretrained"].fit(job, data, start, settings.finetune)
    made = {}
    for name, teachers in (("own", None), ("other", crossings(fitted)[CROSSED])):
        path = folder / f"{name}.safetensors"
        write_model(path, settings, fitted, data, {}, teachers=teachers)
        made[name] = load_model(path, threads=None).logits(name, data.parts["test"].features[name])
    return made


@pytest.mark.parametrize("name", ["sound", "aligned"])
def test_it_does_what_the_commands_do(tmp_path, name):
    """The same windows, people and seed: the losses of the preset, what is masked, who validates, the epoch
    that is kept, the readout, and whose the batch norm is."""
    model = classifier(n_channels=4, pretrain_epochs=2, pretrain_batch=32, epochs=3, preset=name)
    model.set_params(random_state=5, dropout=0.0)
    held = held_out(np.full(8, -1), np.arange(8), model.validation, 5)
    sessions = corpus({"own": 8, "other": 5}, people=10, per_session=4, steps=7)
    shapes = {"own": (1, 4, 8), "other": (1, 4, 5)}
    recipe = preset(name)
    settings = TrainingSettings.model_validate(
        {
            "contract": estimator_contract(model.get_params(), shapes, 2).model_dump(),
            "pair": ["own", "other"],
            "data": {"format": "simulated"},
            "split": {
                "kind": "named",
                "test": ["9", "10"],
                "validation": [str(i + 1) for i in np.flatnonzero(held)],
            },
            "pretrain": recipe["pretrain"] | {"epochs": 2, "batch": 32},
            "finetune": recipe["finetune"]
            | {"epochs": 3, "batch": 64, "learning_rates": [1e-2], "weight_decays": [1e-4]},
            "seeds": [5],
        }
    )
    sessions = [
        replace(one, trials=tuple(replace(t, labels={"label": t.labels["emotion"]}) for t in one.trials))
        for one in sessions
    ]
    data = unit(settings, sessions)
    made = as_commands_do(settings, data, tmp_path)
    expected = softmax(made["other"], axis=1)
    rows = joined(data.parts["train"], data.parts["validation"])
    own, other = rows.features["own"], rows.features["other"]
    model.pretrain(own, other, groups=rows.subjects, trials=rows.trials, starts=rows.starts)
    model.fit(own, rows.labels["label"], groups=rows.subjects)
    test = data.parts["test"].features["other"]
    np.testing.assert_allclose(model.predict_proba_other(test), expected, atol=1e-5)
    own_test = data.parts["test"].features["own"]
    np.testing.assert_allclose(model.predict_proba(own_test), softmax(made["own"], axis=1), atol=1e-5)
    assert ("vicreg" in model.losses_[0]) == (name == "aligned")
    assert np.ptp(expected[:, 0]) > 0.1
    if name == "aligned":  # whose readout scales each signal; it has no norm to adapt
        return
    model.set_params(adapt_norm=False).fit(own, rows.labels["label"], groups=rows.subjects)
    assert not np.allclose(model.predict_proba_other(test), expected, atol=1e-3)


def test_three_classes_are_crossed_too_and_presets_are_known():
    eeg, eye, _, people = pairs(90)
    y = np.arange(90) % 3
    model = classifier(n_channels=4, pretrain_epochs=1, epochs=1, preset="aligned").pretrain(
        eeg, eye, people
    )
    assert model.fit(eeg, y).predict_proba_other(eye).shape == (90, 3)
    with pytest.raises(ValueError, match=r"preset: got 'alignd', .* nearest: 'aligned'"):
        model.set_params(preset="alignd").fit(eeg, y)


class TestAlone:
    def test_it_goes_on_from_what_predicts_its_future(self):
        eeg, _, y, people = pairs(160)
        model = classifier(n_channels=4, pretrain_epochs=3, pretrain_batch=32, epochs=12)
        model.pretrain(eeg, groups=people).fit(eeg[:120], y[:120])
        assert list(model.encoders_) == ["own"]
        assert model.losses_[-1]["cpc"] < model.losses_[0]["cpc"]
        assert (model.predict(eeg[120:]) == y[120:]).mean() > 0.9
        start, end = (network.encoder.affine.weight for network in (model.encoders_["own"], model.network_))
        assert not torch.equal(start.double(), end)
        with pytest.raises(ValueError, match="modality: got 'other', expected one of none"):
            model.predict_other(eeg)

    def test_one_step_has_no_future(self):
        with pytest.raises(ValueError, match="got 1 step, expected at least 2"):
            classifier().pretrain(pairs(20, steps=1)[0])


class TestModelFile:
    """One, two and three modalities: the file answers as the estimator does."""

    @pytest.fixture(scope="class")
    @staticmethod
    def data():
        names = list(THREE)
        return unit(training_settings(names=names), corpus(THREE, people=8, per_session=4, steps=6))

    @pytest.mark.parametrize("names", [["eye"], ["eeg", "eye"], ["skin", "eeg", "eye"]])
    @pytest.mark.parametrize("recipe", ["sound", "aligned"])
    def test_answers_as_the_estimator_does(self, data, tmp_path, names, recipe):
        own, *rest = names
        train, test = (data.parts[part].having(names, "emotion") for part in ("train", "test"))
        model = classifier(
            n_channels=4 * (own == "eeg"),
            n_channels_other={"eeg": 4},
            epochs=3,
            pretrain_epochs=1,
            preset=recipe,
        )
        if rest:
            model.pretrain(train.features[own], {name: train.features[name] for name in rest})
        model.fit(train.features[own], np.array(["negative", "positive"])[train.labels["emotion"]])
        path = tmp_path / "model.safetensors"
        model.to_model_file(path, data, modality=own)
        made = load_model(path, threads=None)
        assert set(made.contract.modalities) == set(names)
        assert made.contract.training["labels"] == own
        assert made.contract.modalities[own].calibration["emotion"].windows
        for name in names:
            temperature = made.contract.modalities[name].calibration["emotion"].temperature
            expected = (
                model.predict_proba(test.features[name])
                if name == own
                else model.predict_proba_other(test.features[name], name)
            )
            scaled = expected ** (1 / temperature)
            got = made.predict_proba(name, test.features[name])
            np.testing.assert_allclose(got, scaled / scaled.sum(axis=1, keepdims=True), atol=1e-5)
        with pytest.raises(OutputError, match="exists"):
            model.to_model_file(path, data, modality=own)

    def test_what_does_not_fit_is_a_value_error(self, data, tmp_path):
        train = data.parts["train"].having(["eye"], "emotion")
        model = classifier(epochs=1).fit(train.features["eye"], train.labels["emotion"])
        path = tmp_path / "model.safetensors"
        for options, words in (
            ({}, r"eeg: got steps and features \(4, 5\), expected \(4, 8\)"),
            ({"modality": "ecg"}, "modality: got 'ecg', expected one of eeg, eye, skin"),
            ({"modality": "eye", "head": "valence"}, "head: got 'valence', expected one of emotion"),
        ):
            with pytest.raises(ValueError, match=words):
                model.to_model_file(path, data, **options)
        model.fit(train.features["eye"], train.labels["emotion"] + 1)
        with pytest.raises(ValueError, match="classes: got 1, 2, expected negative, positive"):
            model.to_model_file(path, data, modality="eye")
        with pytest.raises(sklearn.exceptions.NotFittedError):
            clone(model).to_model_file(path, data)
        assert not path.exists()


class TestInPipelines:
    def test_cross_validation_by_person(self):
        eeg, _, y, people = pairs()
        model = make_pipeline(StandardScaler(), classifier(steps=3, n_channels=4, epochs=8))
        scores = cross_val_score(model, eeg.reshape(240, -1), y, groups=people, cv=GroupKFold(3))
        assert scores.min() > 0.85

    def test_groups_reach_fit_by_metadata_routing(self, monkeypatch):
        eeg, _, y, people = pairs()
        seen = []
        monkeypatch.setattr(
            estimator,
            "held_out",
            lambda labels, groups, *rest: (seen.append(groups), held_out(labels, groups, *rest))[1],
        )
        with sklearn.config_context(enable_metadata_routing=True):
            model = make_pipeline(StandardScaler(), classifier(epochs=2).set_fit_request(groups=True))
            cross_val_score(model, eeg.reshape(240, -1), y, params={"groups": people}, cv=GroupKFold(3))
        assert [len(set(groups)) for groups in seen] == [4, 4, 4]

    @pytest.mark.parametrize("kept", ["pickle", "joblib"])
    def test_kept_and_read_again(self, tmp_path, kept):
        eeg, eye, y, _ = pairs(60)
        model = classifier(pretrain_epochs=1, epochs=2).pretrain(eeg, eye).fit(eeg, y)
        if kept == "joblib":
            joblib.dump(model, tmp_path / "m.joblib")
            again = joblib.load(tmp_path / "m.joblib")
        else:
            again = pickle.loads(pickle.dumps(model))
        assert np.array_equal(again.predict_proba(eeg), model.predict_proba(eeg))
        assert np.array_equal(again.predict_other(eye), model.predict_other(eye))


def test_the_package_loads_it_only_when_asked(monkeypatch):
    code = "import sys, bci_m2s\nprint([n for n in ('torch', 'sklearn', 'numpy') if n in sys.modules])"
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=240
    )
    assert out.stdout.strip() == "[]"
    monkeypatch.delitem(vars(bci_m2s), "M2SClassifier")  # as before it was imported here
    assert bci_m2s.M2SClassifier is estimator.M2SClassifier


def test_the_pages_examples_run():
    """Every Python block of docs/notebooks.md, one after the other, as a notebook would."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(blocks) == 4
    names = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    assert names["scores"].mean() > 0.8
    assert names["honest"].mean() > 0.8
    assert len(names["crossed"]) == 2
    assert np.allclose(names["probabilities"].sum(axis=1), 1)
