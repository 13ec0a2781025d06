"""Windows that are judged together have the bits that each has alone, where the arithmetic is strict."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from support.model_files import small_tensors
from support.small_sessions import contract

from bci_m2s.model import arithmetic
from bci_m2s.model.predictor import Predictor, load_model
from bci_m2s.session.setup.shipped import find_model

# A process of its own: the mode is chosen with the first product of one.
TRY = """
import numpy as np, torch
from bci_m2s.model import arithmetic
from bci_m2s.session.setup.shipped import find_model
from bci_m2s.model.predictor import load_model
if {late}:
    torch.ones(5, 300) @ torch.ones(300, 128)
arithmetic.ask_for_strict()
print(arithmetic.mode())
model = load_model(find_model("demo-62ch-eye"), "cpu")
print(model.judge_together(), model.at_once)
windows = np.random.default_rng(1).standard_normal((model.at_once, 5, 310))
alone = [model.predict_all("eeg", row[None])["emotion"].tobytes() for row in windows]
for size in {{1, 2, 7, model.at_once}}:
    each = model.predict_each("eeg", windows[:size][::-1])
    assert [one["emotion"].tobytes() for one in each] == alone[:size][::-1], size
print("same bits")
"""


def tried(late=False):
    kept = {name: text for name, text in os.environ.items() if name != arithmetic.VARIABLE}
    return subprocess.run(
        [sys.executable, "-c", TRY.format(late=late)],
        env=kept,
        capture_output=True,
        text=True,
        timeout=240,
    )


@pytest.fixture(scope="module")
def has_mkl():
    import torch

    if not torch.backends.mkl.is_available():
        pytest.skip("torch multiplies with another library here")


@pytest.mark.usefixtures("has_mkl")
def test_windows_judged_together_have_the_bits_that_each_has_alone():
    done = tried()
    assert done.stdout.split("\n")[:3] == [arithmetic.STRICT, "True 32", "same bits"], done.stderr


@pytest.mark.parametrize(
    ("environment", "mode"),
    [("", arithmetic.STRICT), ("AVX2,STRICT", "AVX2,STRICT"), ("COMPATIBLE", arithmetic.STRICT)],
)
def test_the_strict_mode_is_the_environments_own_where_it_names_one(monkeypatch, environment, mode):
    monkeypatch.setenv(arithmetic.VARIABLE, environment)
    arithmetic.ask_for_strict()
    assert os.environ[arithmetic.VARIABLE] == mode


@pytest.mark.parametrize(
    ("recorded", "mode"),
    [("", None), ("AVX2,STRICT", "AVX2,STRICT"), ("COMPATIBLE", "COMPATIBLE"), ("rm -rf", "AVX512,STRICT")],
)
def test_a_recording_is_replayed_in_the_mode_that_it_names(monkeypatch, recorded, mode):
    monkeypatch.setenv(arithmetic.VARIABLE, "AVX512,STRICT")
    arithmetic.ask_for(recorded)
    assert os.environ.get(arithmetic.VARIABLE) == mode


@pytest.mark.usefixtures("has_mkl")
@pytest.mark.parametrize("named", ["COMPATIBLE", "AUTO", "AUTO,STRICT", ""])
def test_the_mode_is_what_the_library_does(named):
    command = "from bci_m2s.model import arithmetic; print(arithmetic.mode())"
    environment = os.environ | {arithmetic.VARIABLE: named}
    done = subprocess.run([sys.executable, "-c", command], env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == named, done.stderr


@pytest.mark.usefixtures("has_mkl")
def test_asked_for_too_late_it_is_not_said_to_be_strict_and_bits_are_the_same_nevertheless():
    lines = tried(late=True).stdout.split("\n")  # one by one, unless the usual mode is as good here
    assert lines[0] == ""
    assert lines[1:3] in (["False 1", "same bits"], ["True 32", "same bits"])


def test_where_few_rows_are_rounded_otherwise_a_small_pass_is_filled_up(monkeypatch):
    spec = contract()
    model = Predictor(spec, small_tensors(spec), "cpu")
    shape = (spec.window.steps, spec.modalities["eeg"].feature.n_features)
    windows = np.ones((2, *shape), np.float32) * [[[1]], [[2]]]

    def network(_self, _modality, rows):
        return rows[:, 0, :3] + np.float32(len(rows) < 4)

    monkeypatch.setattr(Predictor, "_network", network)
    assert model.predict_all("eeg", windows)["emotion"] == pytest.approx(1 / 3)
    assert model.judge_together()
    assert (model.least, model.at_once) == (4, 32)
    assert len(model.logits("eeg", windows)) == 2
    assert model.logits("eeg", windows).tolist() == [[1, 1, 1], [2, 2, 2]]


def test_a_network_whose_rows_depend_on_each_other_judges_one_by_one(monkeypatch):
    spec = contract()
    model = Predictor(spec, small_tensors(spec), "cpu")
    plain = Predictor._pass
    monkeypatch.setattr(
        Predictor, "_pass", lambda self, name, rows: plain(self, name, rows) + np.float32(len(rows) == 5)
    )
    assert not model.judge_together()
    assert model.at_once == 1


def faked(monkeypatch, whole, in_parts):
    """A model whose passes of several windows are off by these, and two windows."""
    spec = contract()
    model = Predictor(spec, small_tensors(spec), "cpu")
    shape = (spec.window.steps, spec.modalities["eeg"].feature.n_features)

    def off(by):
        return lambda _self, _modality, rows: rows[:, 0, :3] + np.float32(by * (len(rows) > 1))

    monkeypatch.setattr(Predictor, "_network", off(whole))
    monkeypatch.setattr(Predictor, "_in_parts", off(in_parts))
    return model, np.ones((2, *shape), np.float32) * [[[1]], [[2]]]


@pytest.mark.parametrize(
    ("whole", "in_parts", "at_once"), [(0, 0, 8), (0, 0.5, 8), (0.5, 0, 8), (0.5, 0.25, 1)]
)
def test_windows_of_a_recording_are_judged_in_passes_only_where_each_has_what_it_has_alone(
    monkeypatch, whole, in_parts, at_once
):
    model, windows = faked(monkeypatch, whole, in_parts)
    assert model.judge_in_passes() is (at_once > 1)
    assert (model.at_once, model.least) == (at_once, 1)
    if at_once > 1:
        assert model.logits("eeg", windows).tolist() == [[1, 1, 1], [2, 2, 2]]


def test_a_network_that_has_no_parts_is_tried_as_a_whole_only(monkeypatch):
    model, _ = faked(monkeypatch, 0.5, 0)
    model._networks = dict.fromkeys(model._networks, torch.nn.Identity())
    assert not model.judge_in_passes()
    assert model.at_once == 1


def test_passes_of_several_people_stay_as_they_are(monkeypatch):
    model, _ = faked(monkeypatch, 0, 0)
    assert model.judge_together()
    assert model.judge_in_passes()
    assert model.at_once == 32


@pytest.mark.parametrize("name", ["demo-62ch-eye", "muse-4ch"])
def test_a_window_of_a_recording_has_the_bits_that_it_has_live(name):
    model = load_model(find_model(name), "cpu")
    shape = (model.contract.window.steps, model.contract.modalities["eeg"].feature.n_features)
    windows = np.random.default_rng(2).standard_normal((8, *shape))
    alone = [model.predict_all("eeg", row[None])["emotion"].tobytes() for row in windows]
    model.judge_in_passes()
    assert model.predict_all("eeg", windows[:1])["emotion"].tobytes() == alone[0]
    for size in range(1, model.at_once + 1):
        each = model.predict_each("eeg", windows[:size])
        assert [one["emotion"].tobytes() for one in each] == alone[:size], size
