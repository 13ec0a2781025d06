"""The whole way of a newcomer, as the documentation has it: from an unknown headset to their own model.

Nothing is edited, nothing is asked, and every command is one that a page or the command before it names.
"""

from __future__ import annotations

import contextlib
import csv
from pathlib import Path

import pytest
from joblib import parallel_config
from support.command_line import LIMIT_S, bci, refused
from support.senders import sending

from bci_m2s.sources.sender_process import SenderSpec

CAP = {"montage": "actichamp-32", "eeg_rate_hz": 250.0, "classes": ["calm", "stressed"]}
TIMES = {"rest_s": 12.0, "trial_s": 7.0, "pause_s": 2.0}
SIMULATE = ("--montage", "actichamp-32", "--rate-hz", 250, "--classes", "calm,stressed", "--rest", 12)


def said(*arguments: object) -> str:
    """What a command prints that must succeed."""
    done = bci(*arguments)
    assert done.returncode == 0, f"{arguments}: {done.stderr}{done.stdout}"
    assert "Traceback" not in done.stdout + done.stderr
    return done.stdout


@pytest.mark.nightly  # docs/own-model.md is walked whenever .ci/run is
def test_from_an_unknown_headset_to_a_model_that_runs_live(tmp_path):
    with contextlib.chdir(tmp_path), parallel_config(backend="threading"):  # no other interpreter
        _record()
        _make_files()
        with contextlib.chdir("my-lab"):
            _train()
            _run_live()


def _record() -> None:
    """Three people with a headset that no shipped model fits."""
    for subject in (1, 2, 3):
        path = f"data/sub-P00{subject}/ses-S001/session.xdf"
        assert "complete trials: 6" in said(
            "simulate", "--subject", subject, *SIMULATE, "--trial", 7, "--duration", 66, "--output", path
        )
    first = "data/sub-P001/ses-S001/session.xdf"
    assert f"bci-m2s new my-lab --from {first}" in refused("replay", first)


def _make_files() -> None:
    """Everything is found in the recordings."""
    printed = said(
        "new", "my-lab", "--from", "data/sub-P001/ses-S001/session.xdf", "--quick"
    )  # as replay said
    assert "32 electrodes" in printed
    assert "calm 9, stressed 9" in printed


def _train() -> None:
    """As README.md in the folder has it."""
    assert "not trained yet" in said("check", "pipeline.yaml")
    assert "Next: bci-m2s finetune training.yaml" in said("pretrain", "training.yaml")
    printed = said("finetune", "training.yaml", "--out", "my-lab.safetensors")
    assert "To run it live: bci-m2s run pipeline.yaml" in printed
    assert "eeg → eeg" in said("evaluate", "training.yaml")
    assert "pipeline.yaml: ok" in said("check", "pipeline.yaml")


def _run_live() -> None:
    """The same kind of headset, now on the network, and another person."""
    spec = SenderSpec(
        simulated={**CAP, **TIMES}, subject=9, streams=("eeg", "eye", "markers"), wait_s=LIMIT_S
    )
    folder = Path("sessions/sub-P009")
    with sending(spec):
        done = bci(
            "run",
            "pipeline.yaml",
            "--output",
            folder,
            "--headless",
            until=lambda: len(_answers(folder)) >= 8,
        )
    assert done.returncode == 0, done.stderr
    assert f"Next: bci-m2s report {folder}, bci-m2s verify {folder}" in done.stdout
    assert set(_answers(folder)) <= {"calm", "stressed", "unknown"}
    recording = folder / "session.xdf"
    assert "bit for bit" in said("verify", recording)
    assert "model 'my-lab'" in said("replay", recording)
    first = Path("..") / "data/sub-P001/ses-S001/session.xdf"
    assert "pipeline pipeline.yaml, model 'my-lab'" in said("replay", first)


def _answers(folder: Path) -> list[str]:
    """The answer of each row that has one; none while there is no file."""
    if not (folder / "estimates.csv").is_file():
        return []
    with (folder / "estimates.csv").open(newline="") as file:
        return [row["label"] for row in csv.DictReader(file) if row["status"] == "ok"]
