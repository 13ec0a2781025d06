"""Windows of several pipelines in one pass of the network."""

from __future__ import annotations

import numpy as np
import pytest
from support.small_sessions import EEG_INFO, EYE_INFO, eeg, eye, pipeline

from bci_m2s.errors import ModelError
from bci_m2s.pipeline.due import judge
from bci_m2s.types import Chunk, Status

N = 3


def pipelines():
    """Pipelines with one predictor."""
    made = [pipeline() for _ in range(N)]
    for one in made[1:]:
        one._predictor = made[0]._predictor
    return made


def spied(monkeypatch, predictor, bad=()):
    """How many windows each pass judges; one with a window of `bad` fails."""
    passes, plain = [], predictor._all_logits

    def all_logits(modality, features):
        passes.append(len(features))
        if any(np.array_equal(row, one) for row in np.asarray(features) for one in bad):
            raise ModelError("not finite")
        return plain(modality, features)

    monkeypatch.setattr(predictor, "_all_logits", all_logits)
    return passes


def collected(made, seconds=8.0):
    dues = []
    for number, one in enumerate(made):
        times, samples = eeg(seconds, seed=number)
        dues.append(one.collect("eeg", Chunk.of(times, samples), 0.0))
    return dues


def test_what_is_due_in_several_pipelines_is_judged_in_one_pass(monkeypatch):
    made = pipelines()
    made[0]._predictor.at_once = 100
    passes = spied(monkeypatch, made[0]._predictor)
    dues = collected(made)
    judge([due for of_one in dues for due in of_one])
    valid = [due for of_one in dues for due in of_one if due.window.features is not None]
    assert passes == [len(valid)]
    for number, (one, of_one) in enumerate(zip(made, dues, strict=True)):
        together = one.complete(of_one)
        alone = pipeline().push("eeg", Chunk.of(*eeg(8.0, seed=number)), 0.0)
        assert [one.status for one in together] == [one.status for one in alone]
        answers = [one.probabilities for one in together if one.status is Status.OK]
        expected = [one.probabilities for one in alone if one.status is Status.OK]
        assert len(answers) > 1
        np.testing.assert_allclose(answers, expected, atol=1e-6)


def test_no_more_windows_than_the_predictor_takes_are_in_a_pass(monkeypatch):
    made = pipelines()
    made[0]._predictor.at_once = 4
    passes = spied(monkeypatch, made[0]._predictor)
    dues = [due for of_one in collected(made) for due in of_one]
    judge(dues)
    assert max(passes) == 4
    assert sum(passes) == sum(due.window.features is not None for due in dues)


def test_a_window_without_an_answer_takes_no_other_with_it(monkeypatch):
    made = pipelines()
    made[0]._predictor.at_once = 100
    dues = collected(made)
    bad = next(due for due in dues[1] if due.window.features is not None)
    spied(monkeypatch, made[0]._predictor, bad=[bad.window.features])
    judge([due for of_one in dues for due in of_one])
    for number in (0, 2):
        assert any(one.status is Status.OK for one in made[number].complete(dues[number]))
    with pytest.raises(ModelError, match="not finite"):
        made[1].complete(dues[1])


def test_modalities_of_one_pipeline_stay_apart():
    made = pipeline({"eeg": EEG_INFO, "eye": EYE_INFO})
    dues = made.collect("eye", Chunk.of(*eye(8.0)), 0.0)
    judge(dues)
    assert {one.modality for one in made.complete(dues)} == {"eye"}
