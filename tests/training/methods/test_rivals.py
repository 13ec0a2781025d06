"""Rivals without networks: what each may see, what it finds, and by what it is chosen."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from support.small_pairs import PAIR, SIZES, THREE, corpus, training_settings, trials, unit

from bci_m2s.training.data.sessions import from_steps
from bci_m2s.training.methods import METHODS, NotPossible, flat
from bci_m2s.training.methods.canonical import canonical_maps
from bci_m2s.training.methods.cca import fit_crossed, fit_within
from bci_m2s.training.methods.linear import STRENGTHS, fit_linear, fit_logistic, mean_steps
from bci_m2s.training.methods.majority import fit_majority
from bci_m2s.training.methods.pseudo import fit_pseudo
from bci_m2s.training.results.metrics import mean_over_subjects


@pytest.fixture(scope="module")
def data():
    return unit(training_settings(), corpus(people=10, per_session=6, steps=6))


def noisy(data, size=6.0):
    """The same windows with so much noise that no two models err alike."""
    rng = np.random.default_rng(0)
    return {
        part: replace(
            windows,
            features={
                name: (rows + size * rng.normal(size=rows.shape)).astype(np.float32)
                for name, rows in windows.features.items()
            },
        )
        for part, windows in data.parts.items()
    }


def accuracy(fitted, windows):
    return balanced_accuracy_score(windows.labels["emotion"], fitted.predict(windows))


def test_the_linear_model_is_scikit_learns_with_the_view_and_penalty_that_validation_chose(data):
    parts = noisy(data)
    fit = fit_linear(parts, ("eye",), "emotion")
    train, validation = parts["train"], parts["validation"]
    scores = {}
    for view in (flat, mean_steps):
        for strength in STRENGTHS:
            model = LogisticRegression(C=strength, max_iter=2000, class_weight="balanced")
            model.fit(view(train, ["eye"]), train.labels["emotion"])
            guesses = model.predict(view(validation, ["eye"]))
            scores[view, strength] = mean_over_subjects(
                validation.labels["emotion"], guesses, validation.subjects, 2
            )
    assert len(set(scores.values())) > 2
    assert scores[fit.view, fit.model.C] == max(scores.values())


def test_a_mean_step_is_the_mean_over_the_steps_side_by_side(data):
    part = data.parts["test"]
    rows = mean_steps(part, PAIR)
    assert rows.shape == (len(part), sum(SIZES.values()))
    np.testing.assert_array_equal(rows[3, :8], part.features["eeg"][3].mean(axis=0))
    np.testing.assert_array_equal(rows[3, 8:], part.features["eye"][3].mean(axis=0))


def test_the_linear_model_needs_both_modalities_where_it_uses_both(data):
    parts = {name: part.take(np.arange(len(part))) for name, part in data.parts.items()}
    parts["train"].present["eeg"][:] = False
    fit_linear(parts, ("eye",), "emotion")
    with pytest.raises(NotPossible, match="no labelled training window has eeg and eye"):
        fit_linear(parts, PAIR, "emotion")
    parts = {name: part.take(np.arange(len(part))) for name, part in data.parts.items()}
    parts["validation"].present["eye"][:] = False
    with pytest.raises(NotPossible, match="no labelled validation window has eeg and eye"):
        fit_linear(parts, PAIR, "emotion")


def test_validation_of_one_class_is_not_won_by_a_constant_guess(data):
    """By accuracy the strongest penalty would be as good as any; likelihood takes the one that knows."""
    validation = data.parts["validation"]
    one = {**data.parts, "validation": validation.take(validation.labels["emotion"] == 1)}
    assert min(STRENGTHS) < fit_linear(one, ("eye",), "emotion").model.C
    assert fit_logistic(np.zeros((3, 1)), np.array([1, 1, 1]), 1.0).predict([[0.0]]) == 1


def without_labels(windows):
    return replace(windows, labels={"emotion": np.full(len(windows), -1)})


def unpaired(data):
    """Half of the people give labels of EEG without pairs, the others pairs without labels."""
    train = data.parts["train"]
    is_labelled = np.isin(train.subjects, np.unique(train.subjects)[::2])
    labels = np.where(is_labelled, train.labels["emotion"], -1)
    present = {"eeg": train.present["eeg"], "eye": train.present["eye"] & ~is_labelled}
    return {**data.parts, "train": replace(train, labels={"emotion": labels}, present=present)}


@pytest.mark.parametrize("cross", [fit_pseudo, fit_crossed])
def test_a_rival_crosses_by_unlabelled_pairs_and_labels_without_pairs(data, cross):
    assert accuracy(cross(unpaired(data), "eeg", "eye", "emotion"), data.parts["test"]) > 0.9
    with pytest.raises(NotPossible, match="no labelled"):
        cross(unpaired(data), "eye", "eeg", "emotion")  # nobody has a label of the eyes


@pytest.mark.parametrize("cross", [fit_pseudo, fit_crossed])
def test_a_rival_finds_nothing_between_signals_that_share_nothing(cross):
    group = trials(people=16, per_session=4, steps=6, seed=1)
    for trial, other in zip(
        group, trials(people=16, per_session=4, steps=6, seed=2, effect=0.0), strict=True
    ):
        trial.steps["eye"] = other.steps["eye"]
    data = unit(training_settings(), from_steps(group, 1.0, SIZES))
    test = data.parts["test"]
    assert accuracy(fit_linear(data.parts, ("eeg",), "emotion"), test) > 0.9
    assert abs(accuracy(cross(data.parts, "eeg", "eye", "emotion"), test) - 0.5) < 0.2


def test_the_axis_is_of_what_both_share_and_needs_no_labels(data):
    parts = {**data.parts, "train": without_labels(data.parts["train"])}
    with pytest.raises(NotPossible, match="no labelled training window has eeg"):
        fit_within(parts, ("eeg",), "emotion")
    within = fit_within(data.parts, ("eeg",), "emotion")
    scores = within.view(data.parts["train"], ["eeg"])
    assert scores.shape[1] == 1
    assert abs(scores.mean()) < 1e-6
    assert scores.std() == pytest.approx(1.0, abs=1e-5)


def test_canonical_maps_are_those_of_a_plain_eigenproblem():
    """Of one shared column: the weights of ridge CCA solve C_xx⁻¹ C_xy C_yy⁻¹ C_yx w = ρ² w."""
    rng = np.random.default_rng(0)
    shared = rng.normal(size=400)
    one = np.stack([shared + rng.normal(size=400), rng.normal(size=400)], axis=1)
    other = np.stack([rng.normal(size=400), shared + rng.normal(size=400), rng.normal(size=400)], axis=1)
    one, other = one - one.mean(axis=0), other - other.mean(axis=0)
    (found, _), correlations = canonical_maps([one, other], 1, [1.0, 1.0])
    c_one = one.T @ one / 400 + np.eye(2)
    c_other = other.T @ other / 400 + np.eye(3)
    mixed = one.T @ other / 400
    values, vectors = np.linalg.eig(np.linalg.solve(c_one, mixed) @ np.linalg.solve(c_other, mixed.T))
    best = np.real(vectors[:, values.real.argmax()])
    assert correlations[0] ** 2 == pytest.approx(values.real.max())
    assert abs(best @ found[:, 0]) == pytest.approx(np.linalg.norm(best) * np.linalg.norm(found))


def test_persons_means_have_no_say_in_the_axis(data):
    """Whatever tells people apart in both signals would else be the strongest thing that they share."""
    train = data.parts["train"]
    shift = dict.fromkeys(PAIR, 40.0 * train.subjects[:, None, None] / 9)
    moved = {name: (train.features[name] + shift[name]).astype(np.float32) for name in PAIR}
    parts = {**data.parts, "train": replace(train, features=moved)}
    axes = fit_crossed(parts, "eeg", "eye", "emotion").view
    for windows in (train, data.parts["test"]):
        one, other = (axes(windows, [name])[:, 0] for name in PAIR)
        assert np.corrcoef(one, other)[0, 1] > 0.8


def test_of_three_each_has_the_axis_of_what_it_shares_with_the_others():
    data = unit(
        training_settings(names=tuple(THREE)), corpus(sizes=THREE, people=8, per_session=4, steps=6)
    )
    for names in (("eeg",), tuple(THREE)):
        assert accuracy(fit_within(data.parts, names, "emotion"), data.parts["test"]) > 0.9


def test_one_modality_alone_shares_nothing():
    alone = unit(training_settings(names=("eeg",)), corpus(sizes={"eeg": 8}, people=6))
    with pytest.raises(NotPossible, match="one modality alone"):
        fit_within(alone.parts, ("eeg",), "emotion")


def test_the_majority_is_the_same_whatever_the_signals_say(data):
    train = data.parts["train"]
    keep = (train.labels["emotion"] == 1) | (np.arange(len(train)) % 2 == 0)
    parts = {**data.parts, "train": train.take(keep)}
    for fit in (
        METHODS["majority"].guess(parts, ("eeg",), "emotion"),
        fit_majority(parts, "eeg", "eye", "emotion"),
    ):
        assert set(fit.predict(data.parts["test"]).tolist()) == {1}
