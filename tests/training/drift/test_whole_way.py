"""From a training file to a sender with another reference, who is refused; a good person is not."""

import csv

import pytest
import yaml
from support.training_files import SIMULATOR, training_values, without_pictures
from typer.testing import CliRunner

from bci_m2s.commands.cli import app
from bci_m2s.model.model_file import read_contract
from bci_m2s.simulator import SimulatedSession

PEOPLE = 17  # 8 to train, 8 to validate, 1 to test
GOOD = 16 + PEOPLE  # of the same population, and in no part of the training


def call(*words):
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception is not None:
        raise result.exception
    return result.output


def answers(folder, pipeline, name):
    """Record and replay a person; end, status and reason of each window."""
    recording, out = folder / f"{name}.xdf", folder / name
    words = ("--montage", "muse", "--rate-hz", 128, "--subject", GOOD, "--rest", 12, "--trial", 8)
    call("simulate", *words, "--classes", "negative,positive", "--duration", 60, "--output", recording)
    call("replay", recording, "--pipeline", pipeline, "--headless", "--output", out)
    with (out / "estimates.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["modality"] == "eeg"]
    return [(float(row["window_end_s"]), row["status"], row["reason"]) for row in rows]


@pytest.mark.nightly
def test_another_reference_is_refused_within_ten_seconds_and_a_good_person_is_not(tmp_path, monkeypatch):
    values = training_values(
        data={"format": "simulated", "persons": PEOPLE, "simulator": SIMULATOR | {"effect": 1.0}},
        split={"kind": "subjects", "test_subjects": 1, "validation_subjects": 8},
        pretrain={"epochs": 0},
        controls=[],
        seeds=[0],
    )
    values["finetune"] |= {"epochs": 1, "oracle": False}
    config, run, model = tmp_path / "small.yaml", tmp_path / "run", tmp_path / "small.safetensors"
    config.write_text(yaml.safe_dump(values))
    with without_pictures():
        call("pretrain", config, "--run", run, "--device", "cpu")
        printed = call("finetune", config, "--run", run, "--out", model)
    assert "drift of eeg: limit from 8 validation people" in printed
    drift = read_contract(model).modalities["eeg"].drift
    assert set(drift.views) == {"profile", "course", "coupling"}

    pipeline = tmp_path / "pipeline.yaml"
    pipeline.write_text(yaml.safe_dump({"model": model.name, "streams": {"eeg": {"type": "EEG"}}}))
    good = answers(tmp_path, pipeline, "good")
    answered = [status for _, status, _ in good].count("ok")
    refused = [status for _, status, _ in good].count("drift")
    assert answered > 50
    assert refused <= 0.05 * (answered + refused)

    as_sent = SimulatedSession.eeg

    def against_the_mean(self, start, stop):
        samples = as_sent(self, start, stop)
        return samples - samples.mean(axis=1, keepdims=True)

    monkeypatch.setattr(SimulatedSession, "eeg", against_the_mean)
    other = answers(tmp_path, pipeline, "other")
    first = next(time for time, status, _ in other if status in ("ok", "drift"))
    found, reason = next((time, reason) for time, status, reason in other if status == "drift")
    assert found - first <= 10
    assert reason.startswith("unknown: drift (")
    late = [status for time, status, _ in other if time > first + 10]
    assert late.count("drift") > 0.9 * len(late)
