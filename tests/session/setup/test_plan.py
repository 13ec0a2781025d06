"""What a pipeline asks for that its model cannot give is said with file, line and key, before streams."""

from __future__ import annotations

import shutil

import pytest

from bci_m2s.errors import ConfigurationError, OutputError, UsageError
from bci_m2s.files.access import refuse_full
from bci_m2s.session.setup.build import make_plan
from bci_m2s.session.setup.shipped import find_model

CASES = {
    "eeg: {type: EEG, bad_channels: interpolate}": ":3: streams.eeg.bad_channels: got 'interpolate' of 4",
    "egg: {type: EEG}": ":3: streams.egg: got 'egg', expected a modality of the model 'muse-4ch'; nearest:",
    "eeg: {type: EEG}\nbaseline: {start: marker}": ":4: baseline.start: got 'marker', expected a 'markers'",
}


@pytest.mark.parametrize("text", CASES)
def test_a_disagreement_with_the_model(tmp_path, text):
    path = tmp_path / "mine.yaml"
    path.write_text(f"model: muse-4ch\nstreams:\n  {text}\n")
    with pytest.raises(ConfigurationError) as caught:
        make_plan(str(path))
    assert str(caught.value).startswith(f"{path}{CASES[text]}")


def test_an_output_folder_that_holds_anything_is_refused_before_anything_is_loaded(tmp_path):
    refuse_full(None)
    refuse_full(tmp_path)
    refuse_full(tmp_path / "new")
    (tmp_path / "x").touch()
    with pytest.raises(OutputError, match="the folder is not empty"):
        refuse_full(tmp_path)


def test_another_model_takes_the_place_of_the_pipelines(tmp_path, monkeypatch):
    folder, here = tmp_path / "lab", tmp_path / "here"
    folder.mkdir()
    here.mkdir()
    (folder / "mine.yaml").write_text("model: demo-62ch-eye\nstreams:\n  eeg: {type: EEG}\n")
    shutil.copy(find_model("muse-4ch"), here / "me.safetensors")
    monkeypatch.chdir(here)
    plan = make_plan(str(folder / "mine.yaml"), model="me.safetensors")  # seen from the current folder
    assert plan.contract.name == "muse-4ch"
    assert make_plan(str(folder / "mine.yaml"), model="muse-4ch").model_path == find_model("muse-4ch")
    with pytest.raises(UsageError, match=r"model 'you\.safetensors'"):
        make_plan(str(folder / "mine.yaml"), model="you.safetensors")
