"""A person's baseline as a file: exact, checked, never overwritten."""

import json
from functools import cache

import numpy as np
import pytest
from support.small_sessions import eeg, pipeline

from bci_m2s.errors import ConfigurationError, OutputError
from bci_m2s.pipeline.baseline_file import adopt_baseline, save_baseline
from bci_m2s.types import Chunk, Status

TIMES, SAMPLES = eeg(20)


@cache
def rested():
    made = pipeline()
    made.push("eeg", Chunk.of(TIMES, SAMPLES))
    return made


def test_a_saved_baseline_gives_the_same_estimates_without_rest(tmp_path):
    first = rested()
    assert save_baseline(tmp_path / "b.json", first, "small")
    again = pipeline()
    assert adopt_baseline(tmp_path / "b.json", again) == ["eeg"]
    for made, adopted in zip(
        first.baselines()["eeg"],
        again.baselines()["eeg"],
        strict=True,
    ):
        np.testing.assert_array_equal(made, adopted)
    found = again.push("eeg", Chunk.of(TIMES, SAMPLES))
    assert found[-1].status is Status.OK


def test_an_unfinished_baseline_leaves_no_file(tmp_path):
    assert not save_baseline(tmp_path / "b.json", pipeline(), "small")
    assert not (tmp_path / "b.json").exists()


def test_nothing_is_overwritten(tmp_path):
    path = tmp_path / "b.json"
    path.write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        save_baseline(path, rested(), "small")
    assert path.read_text() == "mine"


def change(content, **parts):
    content["modalities"]["eeg"] |= parts
    return content


BAD = {
    "not JSON": (lambda _: "{", "not valid JSON"),
    "deep": (lambda _: "[" * 100_000, "not valid JSON"),
    "another format": (
        lambda content: {**content, "format": "x"},
        "got 'x', expected 'bci_m2s-baseline'",
    ),
    "a list": (lambda _: [], "got [] (a list), expected a mapping"),
    "no modalities": (
        lambda content: {**content, "modalities": 3},
        "modalities: got 3 (a whole number), expected",
    ),
    "another modality": (
        lambda content: {**content, "modalities": {"ecg": content["modalities"]["eeg"]}},
        "modalities: got ecg, expected one of eeg",
    ),
    "other features": (lambda content: change(content, features=["a"]), "eeg.features"),
    "short": (lambda content: change(content, mean=[1.0]), "eeg: expected 20 means"),
    "text": (
        lambda content: change(content, mean=["a"] * 20),
        "eeg.mean.0: got 'a'",
    ),
    "zero": (
        lambda content: change(content, std=[0.0] * 20),
        "eeg.std.0: got 0.0, expected greater",
    ),
    "infinite": (
        lambda content: change(content, mean=[1e999] * 20),
        "not valid JSON",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_refused_in_one_line(tmp_path, case):
    save_baseline(tmp_path / "good.json", rested(), "small")
    spoil, words = BAD[case]
    spoilt = spoil(json.loads((tmp_path / "good.json").read_text()))
    path = tmp_path / "bad.json"
    path.write_text(spoilt if isinstance(spoilt, str) else json.dumps(spoilt))
    with pytest.raises(ConfigurationError) as caught:
        adopt_baseline(path, pipeline())
    assert str(caught.value).startswith(f"{path}: ")
    assert words in str(caught.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be read"):
        adopt_baseline(tmp_path / "none.json", pipeline())
