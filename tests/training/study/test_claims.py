"""Claims of the paper on rows that a test states: seen, not seen, not testable."""

import pytest
from support.results import of, result
from support.training_files import training_values

from bci_m2s.training.results.statistics import bootstrap
from bci_m2s.training.results.summary import rows_of
from bci_m2s.training.settings import TrainingSettings, laid_over
from bci_m2s.training.study.sections.claims import CLAIMS, NOT_SEEN, NOT_TESTABLE, SEEN, find_claims
from bci_m2s.training.study.sections.rows import Entry, attention_of, is_m2s

BASE = TrainingSettings.model_validate(training_values(controls=[]))
BASE_VALUES = BASE.model_dump(mode="json")
PEOPLE = "abcdef"
GAIN, OWN, SUPERVISED, CONTRASTIVE, ATTENTION, CPC, STEPS, WINDOWS = CLAIMS


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    monkeypatch.setattr(bootstrap, "__defaults__", (0, 200))


def entry(name, own, across, point=(), **changes):
    """A row of these balanced accuracies with labels of the same and of the other signal; people differ."""
    settings = TrainingSettings.model_validate(laid_over(BASE_VALUES, changes))
    results = []
    for trained_on, tested_on in (("eeg", "eeg"), ("eye", "eye"), ("eeg", "eye"), ("eye", "eeg")):
        value = own if trained_on == tested_on else across
        if value is not None:
            counts = {person: of(value + 0.01 * i) for i, person in enumerate(PEOPLE)}
            made = result(counts, method=name)
            results.append(
                made.__class__(**{**vars(made), "trained_on": trained_on, "tested_on": tested_on})
            )
    rows = {direction: row for (_, _, direction), row in rows_of(results).items()}
    return Entry(name, settings, rows, point)


def weights(**values):
    return {"pretrain": {"loss": {"weights": values}}}


def method(name):
    return {"finetune": {"method": name}}


CLIP = weights(cpc=0, reconstruction=0, club=0)


def verdict(claim, *entries):
    (found,) = [one for one in find_claims(entries) if one.claim == claim]
    return found.verdict, found.figures


def test_rows_are_known_by_their_settings_and_not_by_their_names():
    assert is_m2s(entry("a name", 0.5, 0.5).settings)
    for other in (method("linear"), weights(club=0), weights(vicreg=1), weights(cpc_cross=0)):
        assert not is_m2s(entry("M2S", 0.5, 0.5, **other).settings)
    assert attention_of(BASE) == "sts"
    sequence = entry("x", 0.5, 0.5).settings.model_dump(mode="json")
    sequence["contract"]["modalities"]["eeg"]["network"] = sequence["contract"]["modalities"]["eye"][
        "network"
    ]
    assert attention_of(TrainingSettings.model_validate(sequence)) == "multi-head"


def test_the_gain_across_signals_is_over_the_best_of_other_methods():
    ours, best = entry("x", 0.8, 0.8), entry("best", 0.5, 0.74, **method("cca"))
    worse, clip = entry("worse", 0.9, 0.6, **method("pseudo")), entry("clip", 0.5, 0.7, **CLIP)
    part = entry("a part of ours", 0.5, 0.79, **weights(club=0))
    elsewhere = entry("another window", 0.5, 0.9, point=(("k", 1),), **method("cca"))
    said, figures = verdict(GAIN, ours, worse, clip, best, part, elsewhere)
    assert said == SEEN
    assert "x less the best other (best in eye → eeg, best in eeg → eye) +0.060" in figures or (
        "x less the best other (best in eeg → eye, best in eye → eeg) +0.060" in figures
    )
    assert "excludes 0" in figures
    assert verdict(GAIN, ours, entry("near", 0.5, 0.76, **method("cca")))[0] == NOT_SEEN  # 4 points
    assert verdict(GAIN, ours, part) == (NOT_TESTABLE, "no other method answers across signals")
    assert verdict(GAIN, clip, best)[0] == NOT_TESTABLE


def test_own_labels_are_above_those_of_the_other_signal():
    assert verdict(OWN, entry("x", 0.8, 0.7))[0] == SEEN
    assert verdict(OWN, entry("x", 0.7, 0.8))[0] == NOT_SEEN
    assert verdict(OWN, entry("x", 0.7, None))[0] == NOT_TESTABLE
    assert verdict(OWN, entry("x", 0.8, 0.7, **CLIP))[0] == NOT_TESTABLE


def test_supervised_encoders_are_below():
    ours = entry("x", 0.8, 0.7)
    by_start = {"finetune": {"start": "random", "freeze": False}}
    for supervised in (method("supervised"), by_start):
        assert verdict(SUPERVISED, ours, entry("y", 0.79, None, **supervised))[0] == SEEN
        assert verdict(SUPERVISED, ours, entry("y", 0.8, None, **supervised))[0] == NOT_SEEN
    frozen = {"finetune": {"start": "random"}}
    assert verdict(SUPERVISED, ours, entry("supervised", 0.7, None, **frozen))[0] == NOT_TESTABLE


def test_without_the_contrastive_loss_most_is_lost():
    ours = entry("x", 0.8, 0.8)
    without = entry("1", 0.8, 0.6, **weights(contrastive=0))
    others = [entry("2", 0.5, 0.7, **weights(club=0)), entry("3", 0.5, 0.75, **weights(cpc=0))]
    said, figures = verdict(CONTRASTIVE, ours, without, *others)
    assert said == SEEN
    assert "without CLUB less without contrastive loss +0.100" in figures
    assert "without M2M CPC less without contrastive loss +0.150" in figures
    worse = entry("4", 0.5, 0.5, **weights(reconstruction=0))
    assert verdict(CONTRASTIVE, ours, without, *others, worse)[0] == NOT_SEEN
    assert verdict(CONTRASTIVE, ours, without)[0] == NOT_TESTABLE
    in_its_place = entry("5", 0.8, 0.6, **weights(contrastive=0, vicreg=1))
    assert verdict(CONTRASTIVE, ours, in_its_place, *others)[0] == NOT_TESTABLE
    longer = entry("6", 0.8, 0.6, **laid_over(weights(contrastive=0), {"pretrain": {"epochs": 9}}))
    assert verdict(CONTRASTIVE, ours, longer, *others)[0] == NOT_TESTABLE


def attending(*values):
    """M2S with STS, with multi-head attention and with none."""
    made = []
    for name, value in zip(("sts", "multi-head", "none"), values, strict=True):
        one = entry(name, value, value)
        modalities = dict(one.settings.contract.modalities)
        spec = modalities["eeg"]
        there = spec.network.model_copy(update={"params": {**spec.network.params, "attention": name}})
        modalities["eeg"] = spec.model_copy(update={"network": there})
        contract = one.settings.contract.model_copy(update={"modalities": modalities})
        made.append(Entry(name, one.settings.model_copy(update={"contract": contract}), one.rows))
    return made


def test_sts_is_above_multi_head_attention_above_none():
    assert verdict(ATTENTION, *attending(0.8, 0.7, 0.6))[0] == SEEN
    assert verdict(ATTENTION, *attending(0.8, 0.6, 0.7))[0] == NOT_SEEN
    assert verdict(ATTENTION, *attending(0.8, 0.7, 0.6)[:2])[0] == NOT_TESTABLE


def test_cpc_helps_the_contrastive_loss_alone():
    plain, more = entry("a", 0.7, 0.6, **CLIP), weights(reconstruction=0, club=0)
    assert verdict(CPC, plain, entry("b", 0.75, 0.65, **more))[0] == SEEN
    assert verdict(CPC, plain, entry("b", 0.7, 0.6, **more))[0] == NOT_SEEN
    assert verdict(CPC, plain, entry("ours", 0.9, 0.9))[0] == NOT_TESTABLE


def test_cpc_may_be_added_to_a_method_of_another_kind():
    def called(name, value):
        one = entry(name, value, value)
        tuned = one.settings.finetune.model_copy(update={"method": name})
        return Entry(name, one.settings.model_copy(update={"finetune": tuned}), one.rows)

    said, figures = verdict(
        CPC, called("pairwise-cpc", 0.8), called("pairwise", 0.7), called("unicode", 0.9)
    )
    assert (said, "pairwise-cpc less pairwise +0.100" in figures) == (SEEN, True)
    assert verdict(CPC, called("pairwise-cpc", 0.6), called("pairwise", 0.7))[0] == NOT_SEEN
    assert verdict(CPC, called("unicode-cpc", 0.6), called("pairwise", 0.7))[0] == NOT_TESTABLE


def test_accuracy_rises_and_falls_with_the_number_of_predictions():
    def rows(*values, **changes):
        return [
            entry(str(n), value, value, **laid_over(changes, {"pretrain": {"predictions": n}}))
            for n, value in enumerate(values, 1)
        ]

    said, figures = verdict(STEPS, *rows(0.6, 0.8, 0.7))
    assert said == SEEN
    assert "3 s: N = 2 (the best) less N = 1 +0.200" in figures
    assert verdict(STEPS, *rows(0.6, 0.7, 0.8))[0] == NOT_SEEN
    assert verdict(STEPS, *rows(0.6, 0.8))[0] == NOT_TESTABLE
    longer = {"contract": {"window": {"steps": 5}}}
    assert verdict(STEPS, *rows(0.6, 0.8), *rows(0.7, 0.6, **longer))[0] == NOT_TESTABLE
    assert verdict(STEPS, *rows(0.6, 0.8, 0.7), *rows(0.6, 0.7, 0.8, **longer))[0] == NOT_SEEN


def test_longer_windows_help_at_one_number_of_predictions():
    def row(steps, value, n=2):
        changes = {"contract": {"window": {"steps": steps}}, "pretrain": {"predictions": n}}
        return entry(f"{steps}", value, value, **changes)

    said, figures = verdict(WINDOWS, row(3, 0.7), row(5, 0.8), row(4, 0.5))
    assert (said, "N = 2: 5 s less 3 s +0.100" in figures) == (SEEN, True)
    assert verdict(WINDOWS, row(3, 0.8), row(5, 0.7))[0] == NOT_SEEN
    assert verdict(WINDOWS, row(3, 0.7), row(5, 0.8, n=1))[0] == NOT_TESTABLE


def test_an_interval_that_includes_0_is_said_and_so_is_a_single_person():
    ours = entry("x", 0.8, 0.8)
    apart = result({person: of(0.8 + 0.15 * (-1) ** i) for i, person in enumerate(PEOPLE)})
    rows = {name: rows_of([apart])["emotion", "m", "eeg → eye"] for name in ours.rows}
    said, figures = verdict(
        SUPERVISED, ours, Entry("y", entry("y", 1, 1, **method("supervised")).settings, rows)
    )
    assert said == SEEN
    assert "includes 0" in figures
    alone = result({"a": of(0.7)})
    rows = {name: rows_of([alone])["emotion", "m", "eeg → eye"] for name in ours.rows}
    other = Entry("y", entry("y", 1, 1, **method("supervised")).settings, rows)
    assert "one person: no interval" in verdict(SUPERVISED, ours, other)[1]
    nobody = result({"z": of(0.7)})
    rows = {name: rows_of([nobody])["emotion", "m", "eeg → eye"] for name in ours.rows}
    assert verdict(SUPERVISED, ours, Entry("y", other.settings, rows))[0] == NOT_TESTABLE
