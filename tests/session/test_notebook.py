"""The live pipeline from Python: the same estimates as the command gives, from files, Raws and arrays."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import mne
import numpy as np
import pandas
import pytest
from support.raw_files import xdf

import bci_m2s
from bci_m2s.commands.replay import replay_file
from bci_m2s.errors import StreamError, UsageError
from bci_m2s.model.model_file import load_model_file
from bci_m2s.recording.recorded import open_recording
from bci_m2s.session import notebook
from bci_m2s.session.run import Options
from bci_m2s.types import Chunk, StreamInfo

SHIPPED = Path(__file__).resolve().parents[2] / "recordings" / "simulated-session.xdf"
MODEL = "demo-62ch-eye"
pytestmark = pytest.mark.filterwarnings("ignore:.*the rest is lost")  # of a recording cut short


def beginning(folder, seconds):
    """The shipped recording as if it had ended after some of its 96 seconds."""
    whole, file = SHIPPED.read_bytes(), folder / "beginning.xdf"
    file.write_bytes(whole[: len(whole) * seconds // 96])
    return file


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """34 s of the shipped one, cut short, with a gap of the EEG soon after the first estimates."""
    streams = []
    for stream in open_recording(SHIPPED).streams[:2]:
        info, times = stream.info, stream.times - stream.times[0]
        kept = (times < 34) & ((info.type != "EEG") | (times < 20) | (times > 21.5))
        samples = stream.read(0, stream.n_samples)[kept]
        streams.append((info.name, info.type, info.rate_hz, info.labels, info.units, times[kept], samples))
    file = tmp_path_factory.mktemp("recording") / "short.xdf"
    file.write_bytes(xdf(streams, [(33.0, "the last marker")])[:-10])
    return file


@pytest.fixture(scope="module")
def rows(recording):
    return bci_m2s.run_offline(MODEL, recording)


def test_a_recording_gives_what_the_command_gives(rows, recording, tmp_path):
    pipeline = tmp_path / "pipeline.yaml"
    pipeline.write_text(f"model: {MODEL}\nstreams: {{eeg: {{type: EEG}}, eye: {{type: Gaze}}}}\n")
    replay_file(recording, str(pipeline), None, 1, Options(output=tmp_path / "out"))
    with (tmp_path / "out" / "estimates.csv").open(newline="", encoding="utf-8") as file:
        expected = {(row["modality"], row["window_end_s"]): row for row in csv.DictReader(file)}
    compared = 0
    for row in rows:
        theirs = expected.get((row["modality"], repr(row["end_s"])))
        if theirs is not None and row["status"] == "ok":
            assert repr(row["p_positive"]) == theirs["p_positive"]
            assert row["label"] == theirs["label"]
            compared += 1
    assert compared > 100


def test_rows_make_a_table(rows):
    table = pandas.DataFrame(rows)
    assert set(table["modality"]) == {"eeg", "eye"}
    good = table[table["status"] == "ok"]
    np.testing.assert_allclose(good[["p_negative", "p_neutral", "p_positive"]].sum(axis=1), 1.0)
    assert table.loc[table["status"] == "gap", "confidence"].isna().all()
    assert set(table.loc[table["status"] != "ok", "label"]) == {""}


def test_a_raw_gives_what_its_recording_gave(rows, recording, tmp_path):
    """Gaps included: what was bridged in the Raw is missing again. A FIF that it was saved in too."""
    with pytest.warns(RuntimeWarning, match="the rest is lost"):
        raw = bci_m2s.open_recording(recording).to_mne()
    eeg = [row for row in rows if row["modality"] == "eeg"]
    made = bci_m2s.run_offline(MODEL, raw)
    counts = Counter(row["status"] for row in made)
    assert counts == Counter(row["status"] for row in eeg)
    assert counts["gap"] > 0
    pairs = [
        (a["p_positive"], b["p_positive"]) for a, b in zip(made, eeg, strict=True) if a["status"] == "ok"
    ]
    mine, theirs = np.array(pairs).T
    np.testing.assert_allclose(mine, theirs, atol=1e-3)
    raw.crop(tmax=20.0).save(tmp_path / "a_raw.fif", verbose="error")
    pandas.testing.assert_frame_equal(
        pandas.DataFrame(bci_m2s.run_offline(MODEL, tmp_path / "a_raw.fif")),
        pandas.DataFrame(bci_m2s.run_offline(MODEL, raw)),
        atol=1e-4,
    )


def test_what_is_odd_about_a_recording_is_warned_of(tmp_path):
    short = beginning(tmp_path, 12)
    with pytest.warns(RuntimeWarning, match=r"beginning\.xdf: damaged at byte .* the rest is lost"):
        bci_m2s.run_offline(MODEL, short)


def muse_raw(**about):
    labels = [*load_model_file(bci_m2s.find_model("muse-4ch"))[0].modalities["eeg"].channels]
    samples = np.random.default_rng(2).normal(0, 20e-6, (len(labels), 256 * 12))
    raw = mne.io.RawArray(samples, mne.create_info(labels, 256.0, "eeg"), verbose="error")
    raw.info["bads"] = about.get("bads", [])
    return raw


def test_a_raw_that_leaves_something_open_is_warned_of():
    raw = muse_raw(bads=["TP9"])
    with pytest.warns(RuntimeWarning) as caught:
        bci_m2s.run_offline("muse-4ch", raw)
    said = [str(warning.message) for warning in caught]
    assert said[0] == "raw: called bad by the file, so missing: TP9"
    assert said[-1] == "raw: eeg: TP9: missing throughout (no samples)"
    assert all(one.startswith("raw: eeg: drift (") for one in said[1:-1])  # noise is unlike anybody
    raw = muse_raw()
    raw.set_annotations(mne.Annotations([5.0], [0.0], ["BAD boundary"]))
    with pytest.warns(RuntimeWarning) as caught:
        bci_m2s.run_offline("muse-4ch", raw)
    assert any("raw: paused at 5.0 s, it is not known for how long" in str(one.message) for one in caught)


def test_markers_of_a_raw_are_those_of_its_file(tmp_path):
    """MNE prefixes BrainVision's markers by their kind; a comment is a marker as it was sent."""
    header = tmp_path / "m.vhdr"
    muse_raw().get_data().T.astype("<f4").tofile(tmp_path / "m.eeg")
    channels = "".join(f"Ch{n}={label},,1,V\n" for n, label in enumerate(muse_raw().ch_names, 1))
    header.write_text(
        "Brain Vision Data Exchange Header File Version 1.0\n\n[Common Infos]\nCodepage=UTF-8\n"
        "DataFile=m.eeg\nMarkerFile=m.vmrk\nDataFormat=BINARY\nDataOrientation=MULTIPLEXED\n"
        "NumberOfChannels=4\nSamplingInterval=3906.25\n\n[Binary Infos]\nBinaryFormat=IEEE_FLOAT_32\n\n"
        f"[Channel Infos]\n{channels}",
        "utf-8",
    )
    (tmp_path / "m.vmrk").write_text(
        "Brain Vision Data Exchange Marker File, Version 1.0\n\n[Common Infos]\nCodepage=UTF-8\n"
        "DataFile=m.eeg\n\n[Marker Infos]\nMk1=New Segment,,1,1,0,20240101100000000000\n"
        "Mk2=Comment,baseline/start,257,1,0\nMk3=Stimulus,S  1,513,1,0\n",
        "utf-8",
    )
    (file,) = open_recording(header).markers
    (raw,) = notebook._opened(mne.io.read_raw(header, verbose="error")).markers
    texts = file.read(0, file.n_samples)[:, 0].tolist()
    assert texts[-2:] == ["baseline/start", "Stimulus/S  1"]
    assert raw.read(0, raw.n_samples)[:, 0].tolist() == texts
    np.testing.assert_allclose(raw.times, file.times)


def test_streams_and_modality_can_be_chosen(tmp_path):
    short = beginning(tmp_path, 24)
    made = bci_m2s.run_offline(MODEL, short, streams={"eye": "Gaze"})
    assert {row["modality"] for row in made} == {"eye"}
    fused = bci_m2s.run_offline(MODEL, short, modality="fused")
    assert "eeg+eye" in {row["modality"] for row in fused}


def test_the_pipeline_can_be_fed_by_hand_in_chunks_of_any_size():
    contract, _ = load_model_file(bci_m2s.find_model("muse-4ch"))
    labels = contract.modalities["eeg"].channels
    rng = np.random.default_rng(1)
    times, samples = np.arange(256 * 40) / 256, rng.normal(0, 20, (256 * 40, len(labels)))

    def fed(streams, sizes):
        pipeline = bci_m2s.make_pipeline("muse-4ch", streams)
        made, at = [], 0
        while at < len(times):
            stop = at + next(sizes)
            made += pipeline.push("eeg", Chunk.of(times[at:stop], samples[at:stop]))
            at = stop
        return [
            (estimate.status, estimate.last_index, estimate.probabilities.tolist()) for estimate in made
        ]

    whole = fed({"eeg": 256.0}, iter([len(times)]))
    assert whole
    info = StreamInfo("x", "EEG", rate_hz=256.0, labels=labels, units=("microvolts",) * len(labels))
    drawn = (int(size) for size in iter(lambda: rng.integers(1, 700), None))
    np.testing.assert_equal(fed({"eeg": info}, drawn), whole)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: bci_m2s.make_pipeline("muse", {"eeg": 256.0}), UsageError, "nearest: 'muse-4ch'"),
        (lambda: bci_m2s.make_pipeline("muse-4ch", {"eye": 60.0}), UsageError, "no modality 'eye'"),
        (lambda: bci_m2s.make_pipeline("muse-4ch", {"eeg": 10.0}), StreamError, "eeg: .*rate_hz: got 10"),
        (lambda: bci_m2s.run_offline("muse-4ch", SHIPPED), StreamError, "fits the model 'muse-4ch': eeg: "),
        (
            lambda: bci_m2s.run_offline(MODEL, SHIPPED, streams={"ecg": "x"}),
            UsageError,
            "no modality 'ecg'",
        ),
    ],
)
def test_what_does_not_fit(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_a_raw_without_anything_that_fits():
    raw = mne.io.RawArray(np.zeros((1, 100)), mne.create_info(["x"], 100.0, "misc"), verbose="error")
    with pytest.raises(StreamError, match="no stream of type 'EEG', 'Gaze'"):
        bci_m2s.run_offline(MODEL, raw)
