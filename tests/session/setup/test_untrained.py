"""A pipeline whose model is still to be trained: checked as far as it goes, refused where it must run."""

from __future__ import annotations

from support.command_line import bci, refused


def test_check_says_what_is_missing_and_how_to_make_it(tmp_path):
    folder = tmp_path / "my-lab"
    assert bci("new", folder, "--montage", "muse", "--eye", "tobii").returncode == 0
    pipeline = folder / "pipeline.yaml"
    done = bci("check", pipeline)
    assert done.returncode == 0, done.stderr
    assert "eeg: from lsl, type 'EEG', 4 channels" in done.stdout
    assert (
        "not trained yet: bci-m2s pretrain training.yaml, then bci-m2s finetune training.yaml"
        in done.stdout
    )
    assert "not trained yet" in refused("run", pipeline)


def test_a_mistake_in_the_pipeline_is_found_before_the_model_is_there(tmp_path):
    folder = tmp_path / "my-lab"
    bci("new", folder, "--montage", "muse", "--eye", "none", "--classes", "calm,stressed")
    pipeline = folder / "pipeline.yaml"
    pipeline.write_text(pipeline.read_text().replace("eeg:", "eegs:"))
    assert "streams.eegs: got 'eegs', expected a modality of the model 'my-lab'; nearest: 'eeg'" in refused(
        "check", pipeline
    )


def test_without_a_training_file_a_missing_model_is_one(tmp_path):
    (tmp_path / "pipeline.yaml").write_text("model: nobody.safetensors\nstreams: {eeg: {type: EEG}}\n")
    assert "no such file" in refused("check", tmp_path / "pipeline.yaml")
