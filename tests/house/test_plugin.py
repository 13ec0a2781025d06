"""The example package in a fresh virtual environment: one of each kind, through YAML and the CLI."""

from __future__ import annotations

import json
import os
import site
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest
import yaml
from support.lots_of_commands import PARTED

from bci_m2s.errors import BciM2sError
from bci_m2s.session.setup.build import make_plan

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = ROOT / "examples" / "plugin"
GROUPS = ("features", "sources", "sinks", "networks", "normalisers", "datasets", "methods")
pytestmark = [pytest.mark.plugin, pytest.mark.live]  # it waits for pip and for a session


def modality(kind):
    return {
        "stream_type": kind.upper(),
        "rate_min_hz": 100.0,
        "rate_max_hz": 200.0,
        "channels": ["a", "b"],
        "units": ["microvolts", "microvolts"],
        "feature": {"name": "loudness", "n_features": 2},
        "normaliser": {"name": "clipped"},
        "network": {"name": "dense", "params": {"width": 8}},
    }


TRAINING = {
    "contract": {
        "name": "example",
        "simulated": True,
        "heads": {"mood": {"classes": ["calm", "excited"]}},
        "window": {"steps": 3, "step_s": 1.0, "hop_s": 0.5},
        "modalities": {"eeg": modality("eeg"), "ecg": modality("ecg")},
    },
    "pair": ["eeg", "ecg"],
    "data": {"format": "arrays", "root": "data"},
    "split": {"kind": "subjects", "test_subjects": 1, "validation_subjects": 1},
    "pretrain": {"epochs": 2, "batch": 16},
    "finetune": {"epochs": 5, "batch": 16, "learning_rates": [0.01], "weight_decays": [0.0]},
    "controls": ["nearest-mean"],
    "seeds": [0],
}
PIPELINE = {
    "model": "example.safetensors",
    "streams": {"eeg": {"source": "tone", "labels": ["a", "b"]}},
    "sinks": {"diary": {"title": "answers"}},
    "outlet": {"enabled": False},
}


def write_people(root, people=4):
    """Two sensors of noise, louder in the excited trials of 8 s."""
    rng = np.random.default_rng(0)
    for person in range(people):
        folder = root / f"person-{person}"
        folder.mkdir(parents=True)
        labels = np.array([0, 1, 1, 0, 1, 0])
        loud = np.repeat(np.where(labels, 40.0, 10.0), 8 * 128)[:, None]
        np.save(folder / "labels.npy", labels)
        for name in ("eeg", "ecg"):
            np.save(folder / f"{name}.npy", np.float32(loud * rng.normal(size=(len(loud), 2))))


class Installed:
    """A fresh virtual environment with the example package, and with what this Python has besides."""

    def __init__(self, folder):
        venv.create(folder / "venv", with_pip=False)
        self.folder = folder
        self.python = folder / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        self.packages = Path(self.run("-c", "import site; print(site.getsitepackages()[0])"))
        (self.packages / "outer.pth").write_text("\n".join(site.getsitepackages()))
        pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "--python")
        options = ("install", "--no-deps", "--no-index", "--no-build-isolation")
        subprocess.run([*pip, str(self.python), *options, str(PLUGIN)], check=True, timeout=240, cwd=folder)

    def run(self, *arguments):
        path = os.pathsep.join(map(str, (ROOT, ROOT / "tests")))
        done = subprocess.run(
            [str(self.python), *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return (done.stdout + done.stderr).strip()

    def bci(self, *lots):
        """Run lots of commands of the CLI in one process; return what each command printed."""
        return self.run("-m", "support.lots_of_commands", json.dumps(lots)).split(PARTED)[1:]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    made = Installed(tmp_path_factory.mktemp("plugin"))
    write_people(made.folder / "data")
    (made.folder / "train.yaml").write_text(yaml.safe_dump(TRAINING))
    (made.folder / "run.yaml").write_text(yaml.safe_dump(PIPELINE))
    return made


@pytest.fixture(scope="module")
def used(installed):
    """With the model file that the example's parts make, a session with it, and what was printed."""
    printed = installed.bci(
        ["dataset check data --format arrays"],
        [
            "pretrain train.yaml --device cpu",
            "finetune train.yaml --out example.safetensors",
            "evaluate train.yaml",
        ],
        [
            "check run.yaml",
            "run run.yaml --headless --duration 6 --output out",
            "verify out/session.xdf --model example.safetensors",
            "replay out/session.xdf --pipeline run.yaml --headless --output again",
        ],
    )
    installed.data_checked, installed.checked, installed.verified = printed[0], printed[4], printed[6]
    return installed


def test_it_is_small():
    files = [path for path in PLUGIN.rglob("*") if path.suffix in (".py", ".toml")]
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files) < 120


def test_every_kind_has_an_entry_point(installed):
    code = (
        "from importlib.metadata import distribution\n"
        "print(sorted(entry.group for entry in distribution('bci_m2s_example').entry_points))"
    )
    assert installed.run("-c", code) == str(sorted(f"bci_m2s.{group}" for group in GROUPS))
    where = installed.run("-c", "import bci_m2s_example, sys; print(bci_m2s_example.__file__, sys.prefix)")
    assert where.split() == [str(installed.packages / "bci_m2s_example.py"), str(installed.folder / "venv")]


def test_its_data_set_is_checked_and_its_method_evaluated_beside_the_pretrained_one(used):
    assert "people: 4; sessions: 4; trials: 24" in used.data_checked
    assert "mood: calm 12, excited 12" in used.data_checked
    results = (used.folder / "runs" / "train" / "results.md").read_text(encoding="utf-8")
    assert {"nearest-mean", "pretrained"} <= {
        line.split("|")[1].strip() for line in results.splitlines() if "→" in line
    }


def test_its_model_runs_live_from_its_source_into_its_sink_and_comes_back(used):
    assert "eeg: from tone, type 'EEG', 2 channels" in used.checked
    assert "feature 'loudness', normaliser 'clipped'" in used.checked
    assert "session.xdf: verified" in used.verified
    assert {"estimates.csv", "session.xdf"} <= {path.name for path in (used.folder / "out").iterdir()}
    for folder in ("out", "again"):
        answers = (used.folder / folder / "answers.txt").read_text(encoding="utf-8").splitlines()
        assert "eeg OK" in {answer.rsplit(" ", 1)[0] for answer in answers}


@pytest.mark.nightly
def test_the_contract_tests_run_over_its_entries(installed):
    files = (
        "house/test_every_entry.py",
        "sources/test_every_source.py",
        "sinks/test_every_sink.py",
        "training/datasets/test_check.py",
        "training/methods/test_methods.py",
    )
    names = ("loudness", "dense", "clipped", "tone", "diary", "arrays", "nearest")
    options = ("-q", "-n", "0", "-p", "no:cacheprovider", "-k", " or ".join(names), "--rootdir", str(ROOT))
    done = installed.run("-m", "pytest", *options, *(str(ROOT / "tests" / file) for file in files))
    assert done.splitlines()[-1].startswith("8 passed"), done


@pytest.mark.parametrize(
    ("streams", "words"),
    [
        (
            {"eeg": {"source": "tone"}},
            "source: got 'tone', expected a source: 'lsl', 'replay', 'simulated'; no",
        ),
        ({"eeg": {}}, "feature.name: got 'loudness', expected a known name"),
    ],
)
def test_without_the_package_one_line_says_what_is_missing(used, streams, words, monkeypatch):
    monkeypatch.chdir(used.folder)
    Path("without.yaml").write_text(yaml.safe_dump({"model": "example.safetensors", "streams": streams}))
    with pytest.raises(BciM2sError) as caught:
        make_plan("without.yaml")
    assert "\n" not in str(caught.value)
    assert words in str(caught.value)
    assert "no installed package has it in the group 'bci_m2s." in str(caught.value)
