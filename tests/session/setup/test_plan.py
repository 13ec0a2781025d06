"""What a pipeline asks for that its model cannot give is said with file, line and key, before streams."""

from __future__ import annotations

import pytest

from bci_m2s.errors import ConfigurationError, OutputError
from bci_m2s.files.access import refuse_full
from bci_m2s.session.setup.build import make_plan

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
