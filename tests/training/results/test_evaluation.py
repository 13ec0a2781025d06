"""The four directions of a pair: learnt where there is something to learn, chance where there is not."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, confusion_matrix
from support.small_pairs import PAIR, corpus, finetune_settings, job, training_settings, unit

from bci_m2s.errors import ContractError, OutputError, TrainingError
from bci_m2s.model.model_file import load_model_file, unpack_modality
from bci_m2s.model.predictor import load_model
from bci_m2s.training.data.windows import WindowSet
from bci_m2s.training.methods import METHODS, NotPossible
from bci_m2s.training.methods.cca import CCA
from bci_m2s.training.methods.finetune import head_logits, project
from bci_m2s.training.methods.linear import LINEAR
from bci_m2s.training.methods.methods import fit_modalities
from bci_m2s.training.methods.model_files import (
    CROSSED,
    OWN,
    crossings,
    exchanged,
    expected_calibration_error,
    write_model,
)
from bci_m2s.training.methods.permuted import permuted_parts
from bci_m2s.training.methods.pretrain import load_pretrained, pretrain
from bci_m2s.training.methods.pseudo import PSEUDO
from bci_m2s.training.results.evaluation import (
    EvaluationSetup,
    evaluate,
    evaluate_files,
    evaluate_fitted,
    evaluate_guesses,
)

DIRECTIONS = {"eeg → eeg", "eye → eeg", "eye → eye", "eeg → eye", "both → both"}


class Trained:
    """A pair, pre-trained and fine-tuned on the corpus, with its model files in `folder`."""

    def __init__(self, folder):
        self.settings = training_settings(pretrain={"epochs": 8, "batch": 32, "learning_rate": 1e-2})
        self.data = unit(self.settings, corpus(people=12, per_session=6, steps=8))
        self.job, self.folder = job(self.settings), folder
        path = folder / "pretrain.safetensors"
        pretrain(self.job, self.data.parts["train"], self.data.parts["validation"], path)
        self.pretrained = lambda: load_pretrained(self.job, path)
        self.tuning = finetune_settings(epochs=12)
        self.fitted = fit_modalities(self.job, self.data, self.pretrained(), self.tuning)
        self.test = self.data.parts["test"]
        for name, teachers in ((OWN, None), (CROSSED, crossings(self.fitted)[CROSSED])):
            self.write(folder / name, teachers=teachers)

    def write(self, path, fitted=None, tuning=None, **options):
        options = {"record": {"made": "by a test"}, **options}
        record = options.pop("record")
        settings = self.settings.model_copy(update={"finetune": tuning or self.tuning})
        return write_model(path, settings, fitted or self.fitted, self.data, record, **options)

    def setup(self, seed=0):
        return EvaluationSetup("all", seed, "emotion", 2, self.data.names.subjects)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return Trained(tmp_path_factory.mktemp("trained"))


def by_direction(results):
    return {result.direction: result for result in results}


def test_true_labels_are_learnt_in_every_direction(trained):
    results = by_direction(evaluate_files(trained.setup(), trained.folder, PAIR, trained.test))
    assert results.keys() == DIRECTIONS
    assert all(result.figures["balanced_accuracy"] > 0.9 for result in results.values())


@pytest.mark.nightly  # of every run, for a classifier: tests/training/test_estimator.py
def test_shuffled_labels_give_chance_in_every_direction(trained):
    """Each permutation of so few trials leaves some class information; over many it cancels."""
    shuffled = {direction: [] for direction in DIRECTIONS}
    for seed in range(16):
        data = replace(trained.data, parts=permuted_parts(trained.data.parts, seed))
        fitted = METHODS["permuted"].fit(
            replace(trained.job, seed=seed), data, trained.pretrained, finetune_settings()
        )
        test = data.parts["test"]
        for result in evaluate_fitted(trained.setup(seed), "permuted", fitted, test, shared=True):
            shuffled[result.direction].append(result.figures["balanced_accuracy"])
    for direction, values in shuffled.items():
        assert len(values) == 16
        assert abs(np.mean(values) - 0.5) < 0.2, direction


def test_a_direction_is_the_classifier_of_one_on_the_embedding_of_the_other(trained):
    rng = np.random.default_rng(3)  # so much noise that every classifier errs in its own way
    noisy = {
        name: (rows + 3 * rng.normal(size=rows.shape)).astype(np.float32)
        for name, rows in trained.test.features.items()
    }
    test = replace(trained.test, features=noisy)
    results = by_direction(evaluate_files(trained.setup(), trained.folder, PAIR, test))
    own = {name: fitted.network for name, fitted in trained.fitted.items()}
    crossed = exchanged(trained.fitted, crossings(trained.fitted)[CROSSED], trained.data.parts["train"])
    for source, target in (("eeg", "eeg"), ("eeg", "eye"), ("eye", "eeg"), ("eye", "eye")):
        projected = own[target].project(torch.from_numpy(noisy[target]))
        classifiers = own if source == target else crossed
        guesses = classifiers[target].heads["emotion"](projected).argmax(dim=1).numpy()
        result = results[f"{source} → {target}"]
        assert result.figures["confusion"] == confusion_matrix(test.labels["emotion"], guesses).tolist()
        assert (result.method, result.trained_on, result.tested_on) == ("pretrained", source, target)
        assert sum(result.figures["support"]) == len(test)
        people = {trained.data.names.subjects[i] for i in set(test.subjects)}
        assert set(result.figures["by_subject"]) == people
    apart = [
        results["eeg → eye"].figures != results["eye → eye"].figures,
        results["eye → eeg"].figures != results["eeg → eeg"].figures,
    ]
    assert any(apart)  # otherwise nothing would be shown


def test_both_is_the_mean_of_the_calibrated_probabilities(trained):
    test = trained.test.take(np.arange(len(trained.test)))
    test.present["eye"][::4] = False
    results = by_direction(evaluate_files(trained.setup(), trained.folder, PAIR, test))
    kept = test.having(PAIR)
    model = load_model(trained.folder / OWN, "cpu", None)
    mean = sum(model.predict_proba(name, kept.features[name]) for name in PAIR)
    expected = balanced_accuracy_score(kept.labels["emotion"], mean.argmax(axis=1))
    assert results["both → both"].figures["balanced_accuracy"] == pytest.approx(expected)
    assert sum(results["both → both"].figures["support"]) == len(kept) < len(test)
    assert sum(results["eye → eye"].figures["support"]) == len(kept)
    assert sum(results["eeg → eeg"].figures["support"]) == len(test)


def test_the_oracle_is_given_for_a_modalitys_own_direction_only(trained, tmp_path):
    chosen = {"eeg": {"oracle": {"emotion": 0.99}}, "eye": {"oracle": None}}
    for name, teachers in ((OWN, None), (CROSSED, crossings(trained.fitted)[CROSSED])):
        trained.write(tmp_path / name, teachers=teachers, record={"chosen": chosen})
    results = by_direction(evaluate_files(trained.setup(), tmp_path, PAIR, trained.test))
    assert results["eeg → eeg"].oracle == 0.99
    assert all(result.oracle is None for direction, result in results.items() if direction != "eeg → eeg")


def test_networks_kept_in_memory_are_judged_like_files(trained):
    files = by_direction(evaluate_files(trained.setup(), trained.folder, PAIR, trained.test))
    memory = by_direction(
        evaluate_fitted(
            trained.setup(),
            "again",
            trained.fitted,
            trained.test,
            shared=True,
            unlabelled=trained.data.parts["train"],
        )
    )
    assert memory.keys() == files.keys()
    for direction in DIRECTIONS - {"both → both"}:  # temperatures weigh there
        probabilities = (
            memory[direction].figures.pop("reliability"),
            files[direction].figures.pop("reliability"),
        )
        assert memory[direction].figures == files[direction].figures
        # files hold a temperature, which changes the confidence and not what is guessed
        assert sum(probabilities[0]["right"]) == sum(probabilities[1]["right"])
        assert probabilities[0]["confidence"] != probabilities[1]["confidence"]
    alone = by_direction(
        evaluate_fitted(trained.setup(), "again", trained.fitted, trained.test, shared=False)
    )
    assert alone.keys() == {"eeg → eeg", "eye → eye", "both → both"}


def test_the_linear_control_is_judged_on_each_and_on_both(trained):
    results = by_direction(evaluate_guesses(trained.setup(), "linear", LINEAR, trained.data.parts, PAIR))
    assert results.keys() == {"eeg → eeg", "eye → eye", "both → both"}
    assert all(result.figures["balanced_accuracy"] > 0.9 for result in results.values())


def test_a_rival_without_networks_may_give_every_direction(trained):
    results = by_direction(evaluate_guesses(trained.setup(), "cca", CCA, trained.data.parts, PAIR))
    assert results.keys() == DIRECTIONS
    assert all(result.figures["balanced_accuracy"] > 0.9 for result in results.values())


def test_a_direction_that_is_not_possible_leaves_the_others(trained):
    """No validation window has both signals: nothing chooses a model of both side by side."""
    validation = trained.data.parts["validation"]
    validation = validation.take(np.arange(len(validation)))
    for name, which in zip(PAIR, (slice(0, None, 2), slice(1, None, 2)), strict=True):
        validation.present[name][which] = False
    parts = dict(trained.data.parts) | {"validation": validation}
    results = by_direction(evaluate_guesses(trained.setup(), "linear", LINEAR, parts, PAIR))
    assert results.keys() == {"eeg → eeg", "eye → eye"}
    with pytest.raises(NotPossible, match="no validation window has"):
        evaluate_guesses(trained.setup(), "pseudo", PSEUDO, parts, PAIR)


def test_a_direction_without_test_windows_is_left_out(trained):
    test = trained.test.take(np.arange(len(trained.test)))
    test.present["eye"][:] = False
    parts = dict(trained.data.parts) | {"test": test}
    results = by_direction(evaluate_files(trained.setup(), trained.folder, PAIR, test))
    assert results.keys() == {"eeg → eeg", "eye → eeg"}
    memory = by_direction(evaluate_fitted(trained.setup(), "m", trained.fitted, test, shared=True))
    assert memory.keys() == {"eeg → eeg", "eye → eeg"}
    assert by_direction(evaluate_guesses(trained.setup(), "linear", LINEAR, parts, PAIR)).keys() == {
        "eeg → eeg"
    }


def test_the_model_file_holds_what_was_trained_calibrated_on_validation(trained):
    contract, tensors = load_model_file(trained.folder / OWN)
    assert contract.training == {"made": "by a test"}
    validation = trained.data.parts["validation"]
    model = load_model(trained.folder / OWN, "cpu", None)
    for name in PAIR:
        arrays = unpack_modality(tensors, name)
        np.testing.assert_array_equal(arrays["scaler.mean"], trained.data.scalers[name].mean)
        np.testing.assert_array_equal(arrays["scaler.std"], trained.data.scalers[name].std)
        np.testing.assert_array_equal(arrays["baseline.std"], trained.data.scalers[name].spread)
        calibration = contract.modalities[name].calibration["emotion"]
        assert (calibration.windows, calibration.trials) == (
            len(validation),
            len(trained.data.split.validation),
        )
        chances = model.predict_proba(name, validation.features[name])
        labels = validation.labels["emotion"]
        assert calibration.ece_after == pytest.approx(expected_calibration_error(chances, labels), abs=1e-6)
        assert (chances.max(axis=1) < calibration.unknown_below).mean() <= trained.tuning.most_unknown
        logits = head_logits(trained.fitted[name].network, trained.test.features[name])["emotion"]
        np.testing.assert_allclose(model.logits(name, trained.test.features[name]), logits, atol=1e-5)


def test_the_crossed_file_has_the_other_modalitys_classifier_and_calibration(trained):
    own, own_tensors = load_model_file(trained.folder / OWN)
    crossed, crossed_tensors = load_model_file(trained.folder / CROSSED)
    for name, other in (PAIR, PAIR[::-1]):
        theirs, mine = unpack_modality(crossed_tensors, name), unpack_modality(own_tensors, name)
        taught = unpack_modality(own_tensors, other)
        for key, array in theirs.items():
            source = taught if key.startswith("network.heads") else mine
            if (
                ".norm.running" not in key and "tracked" not in key
            ):  # these are of the modality that is judged
                np.testing.assert_array_equal(array, source[key])
        expected = own.modalities[other].calibration["emotion"].model_copy(update={"windows_of": other})
        assert crossed.modalities[name].calibration == {"emotion": expected}
        assert own.modalities[name].calibration["emotion"].windows_of == ""
        assert not np.array_equal(
            taught["network.heads.emotion.out.weight"], mine["network.heads.emotion.out.weight"]
        )


def test_an_exchanged_classifier_is_centred_on_the_modality_that_it_judges(trained):
    plain = exchanged(trained.fitted, crossings(trained.fitted)[CROSSED], None)["eye"]
    adapted = exchanged(trained.fitted, crossings(trained.fitted)[CROSSED], trained.data.parts["train"])[
        "eye"
    ]
    windows = trained.data.parts["train"].having(["eye"])
    projected = torch.tensor(project(adapted, windows.features["eye"])).float()
    before = {key: value for key, value in plain.heads.state_dict().items() if "running" not in key}
    after = adapted.heads.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items() if "tracked" not in key)
    classifier = adapted.heads["emotion"]
    hidden = torch.relu(classifier.hidden(projected))
    for running, wanted in (("mean", hidden.mean(dim=0)), ("var", hidden.var(dim=0))):
        kept = after[f"emotion.norm.running_{running}"]
        np.testing.assert_allclose(kept, wanted.detach(), rtol=1.3e-6, atol=1e-5)
    assert not torch.allclose(plain.heads["emotion"].norm.running_mean, hidden.mean(dim=0))


def test_one_modalitys_labels_can_serve_both(trained):
    networks = exchanged(trained.fitted, {"eeg": "eeg", "eye": "eeg"}, None)
    assert networks["eeg"] is trained.fitted["eeg"].network
    theirs = trained.fitted["eeg"].network.heads.state_dict()
    assert all(torch.equal(value, theirs[key]) for key, value in networks["eye"].heads.state_dict().items())


def test_crossing_leaves_the_fitted_networks_alone(trained):
    before = {key: value.clone() for key, value in trained.fitted["eeg"].network.state_dict().items()}
    crossed = exchanged(trained.fitted, crossings(trained.fitted)[CROSSED], None)
    crossed["eeg"].heads["emotion"].out.weight.data.zero_()
    after = trained.fitted["eeg"].network.state_dict()
    assert all((before[key] == after[key]).all() for key in before)


def test_one_modality_may_be_kept_and_no_file_is_overwritten_unasked(trained, tmp_path):
    path = tmp_path / "eye.safetensors"
    contract = trained.write(path, keep=("eye",))
    assert list(contract.modalities) == list(load_model_file(path)[0].modalities) == ["eye"]
    with pytest.raises(OutputError, match="exists already"):
        trained.write(path)
    trained.write(path, overwrite=True)
    assert list(load_model_file(path)[0].modalities) == list(PAIR)


def test_half_precision_takes_half_the_space_and_answers_alike(trained, tmp_path):
    path = tmp_path / "half.safetensors"
    trained.write(path, tuning=finetune_settings(storage="float16"))
    assert path.stat().st_size < 0.8 * (trained.folder / OWN).stat().st_size
    full, half = load_model(trained.folder / OWN, "cpu", None), load_model(path, "cpu", None)
    features = trained.test.features["eeg"]
    np.testing.assert_allclose(
        half.predict_proba("eeg", features), full.predict_proba("eeg", features), atol=0.02
    )


def test_a_record_that_is_no_json_is_refused(trained, tmp_path):
    with pytest.raises((ContractError, ValueError)):
        trained.write(tmp_path / "a.safetensors", record={"loss": float("nan")})
    assert not list(tmp_path.iterdir())


N = 40  # windows


@pytest.mark.parametrize(
    ("guesses", "chances", "words"),
    [
        (np.full(N, np.nan), None, r"float64 \(40,\), expected a class index from 0 to 1 for each of 40"),
        (np.zeros(N - 1, int), None, r"got guesses int64 \(39,\)"),
        (np.zeros((N, 2), int), None, r"got guesses int64 \(40, 2\)"),
        (np.zeros(1, int), None, r"got guesses int64 \(1,\)"),  # else it would be everybody's
        (np.full(N, 2), None, "2 to 2, expected a class index from 0 to 1"),
        (np.full(N, -1), None, "-1 to -1, expected a class index from 0 to 1"),  # else the last class
        (None, None, r"got guesses object \(\)"),
        (np.zeros(N, int), np.full((N, 2), np.nan), r"got probabilities float64 \(40, 2\), expected"),
        (np.zeros(N, int), np.full((N, 2), -0.1), "expected numbers from 0 to 1"),
        (np.zeros(N, int), np.full((N, 3), 0.3), r"of shape \(40, 2\)"),
    ],
)
def test_what_is_no_answer_is_counted_as_none(guesses, chances, words):
    """A method of somebody's own may give anything."""
    labels = np.arange(N) % 2
    windows = WindowSet({}, {}, {"emotion": labels}, *(np.zeros(N, int) for _ in range(4)))
    setup = EvaluationSetup("fold-1", 0, "emotion", 2, ("a",))
    with pytest.raises(TrainingError, match=f"mine: got .*{words}|mine: {words}"):
        evaluate(setup, "mine", "eeg", "eeg", windows, guesses, chances=chances)
