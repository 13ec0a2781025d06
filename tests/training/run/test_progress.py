"""What training says at its end."""

from pathlib import Path
from types import SimpleNamespace

from rich.console import Console
from support.small_pairs import training_settings

from bci_m2s.training.run.progress import say_how_to_run


def test_the_pipeline_that_is_proposed_states_of_streams_what_the_training_file_does(tmp_path):
    settings = training_settings(
        data={
            "format": "recordings",
            "root": str(tmp_path),
            "streams": {"eeg": {"missing_channels": "interpolate", "rename": {"EXG *": "*"}}},
        }
    )
    console = Console(width=200, record=True)
    experiment = SimpleNamespace(settings=settings, config=tmp_path / "train.yaml", console=console)
    say_how_to_run(experiment, Path("lab.safetensors"))
    *_, model, streams = console.export_text().splitlines()
    assert model == "  model: lab.safetensors"
    assert "eeg: {type: EEG, rename: {EXG *: '*'}, missing_channels: interpolate}" in streams
    assert "eye: {type: Gaze}" in streams
