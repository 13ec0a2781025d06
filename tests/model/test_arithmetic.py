"""Windows that are judged together have the bits that each has alone, where the arithmetic is strict."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from support.model_files import small_tensors
from support.small_sessions import contract

from bci_m2s.model import arithmetic
from bci_m2s.model.predictor import Predictor

# A process of its own: the mode is chosen with the first product of one.
TRY = """
import numpy as np, torch
from bci_m2s.model import arithmetic
from bci_m2s.session.setup.shipped import find_model
from bci_m2s.model.predictor import load_model
if {late}:
    torch.ones(5, 300) @ torch.ones(300, 128)
arithmetic.ask_for_strict()
print(arithmetic.strict_mode())
model = load_model(find_model("demo-62ch-eye"), "cpu")
print(model.judge_together(), model.at_once)
windows = np.random.default_rng(1).standard_normal((32, 5, 310))
alone = [model.predict_all("eeg", row[None])["emotion"].tobytes() for row in windows]
for size in (1, 2, 7, 32):
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
    ("recorded", "environment", "mode"),
    [
        ("", "", arithmetic.STRICT),
        ("", "AVX2,STRICT", "AVX2,STRICT"),
        ("", "COMPATIBLE", arithmetic.STRICT),
        ("AVX2,STRICT", "AVX512,STRICT", "AVX2,STRICT"),
        ("rm -rf", "", arithmetic.STRICT),
        ("AVX2", "AVX512,STRICT", "AVX512,STRICT"),
    ],
)
def test_the_mode_is_the_recordings_else_the_environments(monkeypatch, recorded, environment, mode):
    monkeypatch.setenv(arithmetic.VARIABLE, environment)
    arithmetic.ask_for_strict(recorded)
    assert os.environ[arithmetic.VARIABLE] == mode


@pytest.mark.usefixtures("has_mkl")
def test_asked_for_too_late_it_is_not_said_to_be_strict_and_windows_are_judged_one_by_one():
    done = tried(late=True)
    assert done.stdout.split("\n")[:2] == ["", "False 1"], done.stderr


def test_a_network_whose_rows_depend_on_each_other_judges_one_by_one(monkeypatch):
    spec = contract()
    model = Predictor(spec, small_tensors(spec), "cpu")
    plain = Predictor._pass
    monkeypatch.setattr(
        Predictor, "_pass", lambda self, name, rows: plain(self, name, rows) + np.float32(len(rows) == 5)
    )
    assert not model.judge_together()
    assert model.at_once == 1
