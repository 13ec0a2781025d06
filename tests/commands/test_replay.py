"""Recorded files of every kind through a pipeline of their own channels, in process and as commands."""

import csv
import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import yaml
from support.command_line import skipped_by
from support.model_files import contract_fields, small_tensors
from support.recorded_sessions import chunks_of, record_session
from support.rights import assert_rights
from support.small_sessions import eeg

from bci_m2s.commands.replay import match_pipeline, replay_file
from bci_m2s.errors import StreamError, UsageError
from bci_m2s.lsl.network import LslNetwork
from bci_m2s.model.contract import Contract
from bci_m2s.model.model_file import save_model
from bci_m2s.recording.recorded import open_recording
from bci_m2s.session.run import Options
from bci_m2s.types import Chunk

LIMIT_S = 120.0
FILES = {
    "EDF": "eegmat/Subject00_2.edf",
    "BioSemi EDF": "formats/biosemi_test.edf",
    "BDF": "formats/test_bdf_stim_channel.bdf",
    "BrainVision": "formats/test.vhdr",
    "XDF": "muse/muse2_sub-P002_ses-S001_task-Default_run-001_eeg.xdf",
}


def pipeline_for(folder, recording, hop_s=0.25):
    """A model and pipeline over the first four EEG channels of a recording."""
    (stream,) = [one for one in recording.streams if one.info.type == "EEG"]
    n = min(4, stream.info.n_channels)
    fields = contract_fields()
    del fields["modalities"]["eye"]
    fields["window"]["hop_s"] = hop_s
    fields["modalities"]["eeg"] |= {
        "channels": list(stream.info.labels[:n]),
        "units": [""] * n,
        "feature": {"name": "de", "n_features": 5 * n},
        "max_missing": 1.0,
        "normaliser": {"name": "training"},
        "smoothing": {"name": "none"},
    }
    contract = Contract.model_validate(fields)
    save_model(folder / "m.safetensors", contract, small_tensors(contract))
    path = folder / "p.yaml"
    path.write_text(yaml.safe_dump({"model": "m.safetensors", "streams": {"eeg": {"type": "EEG"}}}))
    return path


def rows_of(folder):
    with (folder / "estimates.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("kind", FILES)
def test_every_kind_of_file_gives_an_answer_every_hop(shared_data, tmp_path, capsys, kind):
    file = shared_data / FILES[kind]
    recording = open_recording(file)
    pipeline = pipeline_for(tmp_path, recording)
    replay_file(file, str(pipeline), None, 1, Options(output=tmp_path / "out"))
    (stream,) = [one for one in recording.streams if one.info.type == "EEG"]
    rows = rows_of(tmp_path / "out")
    assert len(rows) == int(stream.n_samples / stream.info.rate_hz / 0.25 + 1e-9)
    expected = stream.n_samples / stream.info.rate_hz >= 7.5
    assert any(row["status"] == "ok" for row in rows) == expected
    text = capsys.readouterr().out
    assert "Summary" in text
    assert expected or "no estimate from" in text


def test_a_recording_that_is_too_short_says_so(shared_data, tmp_path, capsys):
    file = shared_data / "formats" / "test.bdf"  # one second
    recording = open_recording(file)
    replay_file(file, str(pipeline_for(tmp_path, recording)), None, 1, Options())
    assert "no estimate from" in capsys.readouterr().out


def test_fif_gives_what_the_same_edf_gives(shared_data, tmp_path):
    import mne

    edf = shared_data / FILES["EDF"]
    fif = tmp_path / "same_raw.fif"
    raw = mne.io.read_raw_edf(edf, preload=True, verbose="error").crop(0, 12)
    raw.rename_channels(lambda name: name.removeprefix("EEG "))
    raw.save(fif, fmt="double", verbose="error")
    pipeline = pipeline_for(tmp_path, open_recording(edf))
    replay_file(edf, str(pipeline), None, 1, Options(output=tmp_path / "edf"))
    assert_rights(tmp_path / "edf")
    replay_file(fif, str(pipeline), None, 1, Options(output=tmp_path / "fif"))
    from_fif = rows_of(tmp_path / "fif")
    assert len(from_fif) == 48
    for a, b in zip(from_fif, rows_of(tmp_path / "edf"), strict=False):
        assert (a["status"], a["label"]) == (b["status"], b["label"])
        if a["status"] == "ok":
            assert float(a["p_positive"]) == pytest.approx(float(b["p_positive"]), abs=1e-4)


@pytest.mark.live
def test_paced_replay_runs_the_live_engine_and_gives_the_same(shared_data, tmp_path, capsys):
    file = shared_data / FILES["XDF"]
    pipeline = pipeline_for(tmp_path, open_recording(file))
    replay_file(file, str(pipeline), None, 1, Options(output=tmp_path / "fast"))
    replay_file(file, str(pipeline), 4.0, 1, Options(output=tmp_path / "paced"))
    by_window = {row["last_sample"]: row["p_positive"] for row in rows_of(tmp_path / "fast")}
    paced = [row for row in rows_of(tmp_path / "paced") if row["status"] != "stale"]
    for row in paced:
        assert row["p_positive"] == by_window[row["last_sample"]] or row["status"] == "late"
    # a machine that falls behind says so; every other window is there
    assert len(by_window) - len(paced) == skipped_by(capsys.readouterr().out)
    assert any(row["status"] == "ok" for row in paced)


def test_a_recording_that_fits_nothing_says_how_to_make_a_model(shared_data):
    recording = open_recording(shared_data / FILES["EDF"])
    with pytest.raises(UsageError, match=r"Subject00_2\.edf: no shipped model fits") as caught:
        match_pipeline(recording, None)
    assert f"bci-m2s new my-lab --from {recording.path} (docs/own-model.md)" in str(caught.value)
    assert "TP9" not in str(caught.value)  # why one does not fit is said where it is asked for by name
    with pytest.raises(StreamError, match=r"rate_hz|channels"):
        match_pipeline(recording, "muse")


@pytest.mark.live
def test_as_lsl_offers_every_stream_with_samples_until_it_is_stopped(shared_data):
    file = shared_data / FILES["XDF"]
    child = subprocess.Popen(
        [sys.executable, "-m", "bci_m2s", "replay", str(file), "--as-lsl", "--loop", "50"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        network, found, limit = LslNetwork(), {}, time.monotonic() + LIMIT_S
        while len(found) < 3 and time.monotonic() < limit:
            seen = network.streams().values()
            found |= {one.type(): one.nominal_srate() for one in seen if one.name() == "Muse"}
            time.sleep(0.05)
        assert found == {"EEG": 256, "ACC": 52, "GYRO": 52}
    finally:
        child.send_signal(signal.SIGINT)
        text, _ = child.communicate(timeout=LIMIT_S)
    assert child.returncode == 0
    assert "samples of 'Muse' (EEG)" in text


def test_the_markers_of_a_lab_and_of_its_operator_are_replayed_together(tmp_path):
    marks = [Chunk.of([1006.0], np.array([["baseline/start"]], object))]
    folder = tmp_path / "s"
    path = record_session(
        folder, {"eeg": chunks_of(*eeg(12))}, marks, during=lambda engine: engine.mark("by hand")
    )
    recording = open_recording(path)
    assert [one.info.name for one in match_pipeline(recording, None).markers] == [
        "marks",
        "bci_m2s operator markers",
    ]
    replay_file(path, None, speed=None, loops=1, options=Options(output=tmp_path / "again"))
    lines = (tmp_path / "again" / "events.jsonl").read_text().splitlines()
    markers = [one for one in map(json.loads, lines) if one["kind"] == "marker"]
    assert {(one["message"], one["origin"]) for one in markers} == {
        ("baseline/start", "marks"),
        ("by hand", "bci_m2s operator markers"),
    }
