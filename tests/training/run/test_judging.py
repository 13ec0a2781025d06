"""``evaluate FILE --model MODEL``: a ready model on people who did not train it."""

from __future__ import annotations

import pytest
import yaml
from support.model_files import small_tensors
from support.own_recordings import write_recordings
from support.training_files import training_values
from typer.testing import CliRunner

from bci_m2s.commands.cli import app
from bci_m2s.errors import BciM2sError
from bci_m2s.files.checksum import file_sha256
from bci_m2s.model.contract import Contract
from bci_m2s.model.model_file import save_model
from bci_m2s.training.run import judging

SPLIT = {"kind": "named", "test": ["P001"], "validation": ["P002"]}


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A training file with the recordings of three people, and a folder with those of two more."""
    folder = tmp_path_factory.mktemp("lab")
    write_recordings(folder / "first")
    write_recordings(folder / "second", ("P001", "P009"), first=7)
    values = training_values(data={"format": "recordings", "root": "first"}, split=SPLIT)
    (folder / "lab.yaml").write_text(yaml.safe_dump(values))
    return folder


def model(lab, name="m", subjects=(), sums=()):
    """A model file that says it was trained on these people and recordings."""
    record = {
        "data": "recordings",
        "subjects": {"train": list(subjects), "validation": [], "test": ["P002"]},
    }
    record["recordings"] = {"train": [], "validation": list(sums), "test": []}
    contract = Contract.model_validate(training_values()["contract"] | {"training": record})
    save_model(lab / f"{name}.safetensors", contract, small_tensors(contract), overwrite=True)
    return lab / f"{name}.safetensors"


def said(lab, *words):
    result = CliRunner().invoke(
        app, ["evaluate", str(lab / "lab.yaml"), "--run", str(lab / "run"), *map(str, words)]
    )
    if result.exception is not None:
        raise result.exception
    return " ".join(result.output.split())


def test_people_of_the_training_file_who_trained_it_are_left_out(lab):
    text = said(lab, "--model", model(lab, subjects=["P001", "P003"]))
    assert "1 person (P002), 4 trials" in text
    assert "left out, because they trained the model: P001, P003" in text
    assert "eeg → eeg: chance 0.50; test windows negative 10, positive 10; confusion" in text
    assert "both → both" in text
    assert "Tested: 1 of 1 people: P002." in text
    said(lab, "--model", model(lab, subjects=["P001", "P003"]))
    first, second = sorted((lab / "run").glob("*.md"))
    assert first.read_text() == second.read_text()  # beside it, not over it
    assert "| eeg → eeg |" in first.read_text()
    assert "left out, because they trained the model: P001, P003" in first.read_text()


def test_who_has_nothing_to_test_a_modality_on_is_named(lab, monkeypatch):
    windows = judging.scaled_windows

    def without_eye(*arguments):
        found = windows(*arguments)
        found.present["eye"][:] = found.subjects > 0
        return found

    monkeypatch.setattr(judging, "scaled_windows", without_eye)
    text = said(lab, "--model", model(lab, subjects=["P002"]))
    assert "Tested: 2 of 2 people: P001, P003. Without a test window of eye that can be used: P001." in text
    written = [path.read_text() for path in (lab / "run").glob("*.md")]
    assert any("- Without a test window of eye that can be used: P001." in one for one in written)


def test_who_trained_on_everybody_there_is_refused(lab):
    with pytest.raises(
        BciM2sError, match=r"trained on everybody here \(P001, P002, P003\): .* --data FOLDER"
    ):
        said(lab, "--model", model(lab, subjects=["P001", "P002", "P003"]))


def test_other_data_may_have_people_of_the_same_names_but_not_the_same_recordings(lab):
    other = lab / "second"
    text = said(lab, "--model", model(lab, subjects=["P001"]), "--data", other)
    assert "2 people (P001, P009), 8 trials" in text
    assert "note: people of these names trained the model: P001; if they are the same people" in text
    copied = file_sha256(other / "sub-P009" / "ses-S001" / "session.xdf")
    text = said(lab, "--model", model(lab, subjects=["P003"], sums=[copied]), "--data", other)
    assert "1 person (P001), 4 trials" in text
    assert "left out, because they trained the model: P009" in text


def test_a_model_that_names_nobody_is_doubted(lab):
    text = said(lab, "--model", model(lab), "--data", lab / "second")
    assert "note: the model does not say who trained it" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--model", "gone.safetensors"), "--model: gone.safetensors: no such file"),
        (("--data", "second"), "--data and --format: got no --model"),
        (("--model", "M", "--format", "eegmat"), "--format: got no --data"),
        (("--model", "M", "--data", "nowhere"), "--data: .*nowhere: no such folder"),
        (("--model", "M", "--data", "L", "--format", "recordngs"), "recordngs.* nearest: 'recordings'"),
    ],
)
def test_what_cannot_be_evaluated_is_said_in_a_line(lab, words, message):
    given = {"M": model(lab), "L": lab / "second"}
    with pytest.raises(BciM2sError, match=message):
        said(lab, *(given.get(word, word) for word in words))
