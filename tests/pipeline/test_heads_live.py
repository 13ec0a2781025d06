"""Several heads, thresholds and layouts, from raw samples to files; one pass of the network for all."""

import csv
import math
import time

import numpy as np
import yaml
from support.model_files import small_tensors
from support.recorded_sessions import chunks_of
from support.small_sessions import (
    EEG_INFO,
    Collector,
    ScriptedSource,
    contract,
    eeg,
    engine_of,
    paced_engine,
    pipeline,
)

from bci_m2s.commands.replay import replay_file
from bci_m2s.model.contract import Contract
from bci_m2s.model.model_file import layout_order, save_model
from bci_m2s.session.run import Options
from bci_m2s.types import Chunk, Status

AROUSAL = {"classes": ["low", "high"]}


def two_heads(calibration=None):
    fields = contract().model_dump(mode="json")
    fields["heads"]["arousal"] = AROUSAL
    fields["modalities"]["eeg"]["calibration"] = calibration or {}
    return Contract.model_validate(fields)


def estimates(made, seconds=12):
    return made.push("eeg", Chunk.of(*eeg(seconds)))


def test_every_due_window_gives_one_estimate_a_head():
    spec = two_heads()
    found = estimates(pipeline(spec=spec))
    assert len(found) == 2 * 12 * 4
    for emotion, arousal in zip(found[::2], found[1::2], strict=True):
        assert (emotion.head, arousal.head) == ("emotion", "arousal")
        assert (len(emotion.probabilities), len(arousal.probabilities)) == (3, 2)
        same = ("modality", "first_index", "last_index", "status", "reason")
        assert [getattr(emotion, name) for name in same] == [getattr(arousal, name) for name in same]
        if emotion.status is Status.OK:
            assert emotion.stamps == arousal.stamps  # judged in one pass
            assert arousal.probabilities.sum() == 1
        else:
            assert math.isnan(arousal.confidence)
            assert not arousal.unknown
    assert found[-1].status is Status.OK


def test_an_estimate_below_the_threshold_of_its_head_is_unknown():
    plain = estimates(pipeline(spec=two_heads()))[-2:]
    limits = {"emotion": {"unknown_below": 1.0}, "arousal": {"unknown_below": plain[1].confidence}}
    emotion, arousal = estimates(pipeline(spec=two_heads(calibration=limits)))[-2:]
    assert emotion.status is Status.OK
    assert emotion.unknown
    assert emotion.class_index == -1
    assert emotion.label(("negative", "neutral", "positive")) == "unknown"
    np.testing.assert_array_equal(emotion.probabilities, plain[0].probabilities)
    assert emotion.confidence == plain[0].confidence
    assert not arousal.unknown  # not below: equal
    assert arousal.class_index == plain[1].class_index >= 0
    assert arousal.label(("low", "high")) in ("low", "high")


def test_the_live_estimate_is_calibrated():
    plain = estimates(pipeline(spec=two_heads()))[-1]
    warm = estimates(pipeline(spec=two_heads(calibration={"arousal": {"temperature": 3.0}})))[-1]
    odds = np.log(plain.probabilities[1] / plain.probabilities[0])
    np.testing.assert_allclose(np.log(warm.probabilities[1] / warm.probabilities[0]), odds / 3, rtol=1e-6)


def test_band_major_is_the_same_features_in_another_order():
    """A network whose inputs stand band-major gives what its channel-major twin gives."""
    network = {"name": "m2s-sequence", "params": {"depth": 1, "heads": 2, "embedding": 8, "projection": 4}}
    plain, banded = contract(network=network), contract(network=network, layout="band-major")
    order = layout_order(banded.modalities["eeg"])
    tensors = small_tensors(plain)
    moved = dict(tensors)
    for name in ("scaler.mean", "scaler.std"):
        moved[f"eeg.{name}"] = tensors[f"eeg.{name}"][order]
    affine = "eeg.network.encoder.affine.weight"
    moved[affine] = np.ascontiguousarray(tensors[affine][:, order])
    expected = estimates(pipeline(spec=plain, tensors=tensors))
    found = estimates(pipeline(spec=banded, tensors=moved))
    assert [one.status for one in found] == [one.status for one in expected]
    assert found[-1].status is Status.OK
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-6)
    wrong = estimates(pipeline(spec=banded, tensors=tensors))[-1]
    assert np.abs(wrong.probabilities - expected[-1].probabilities).max() > 1e-4


def test_a_band_major_channel_that_is_bad_is_masked_as_the_same_channel():
    """Missing features of one channel stay those of that channel after the reordering."""
    times, samples = eeg(12)
    samples[:, EEG_INFO.labels.index("TP10")] = 7.0  # flat
    made, windows = pipeline(spec=contract(layout="band-major")), []
    made.on_judged = lambda window, *_: windows.append(window)
    made.push("eeg", Chunk.of(times, samples))
    values = windows[-1].features.reshape(5, 5, 4)  # (T, bands, channels)
    assert (values[..., 3] == 0).all()  # 0 is the training mean
    assert (values[..., :3] != 0).all()


def test_a_silent_stream_is_reported_for_every_head_and_the_snapshot_keeps_all():
    source, sink = ScriptedSource(EEG_INFO, [Chunk.of(*eeg(8))]), Collector()
    source.hold.set()
    engine = engine_of(pipeline(spec=two_heads()), {"eeg": source}, [sink], time.monotonic)
    engine.start()
    limit = time.monotonic() + 120
    while len(engine.reporter.snapshot().latest) < 2 and not engine.wait(0.02):
        assert time.monotonic() < limit
    engine.finish()
    assert engine.failure is None
    stale = sink.estimates[:2]
    assert [one.status for one in stale] == [Status.STALE] * 2
    assert [one.head for one in stale] == ["emotion", "arousal"]
    assert [len(one.probabilities) for one in stale] == [3, 2]
    assert set(engine.reporter.snapshot().latest) == {("eeg", "emotion"), ("eeg", "arousal")}


def test_the_engine_counts_every_head_and_a_window_once():
    source, sink = ScriptedSource(EEG_INFO, chunks_of(*eeg(10))), Collector()
    engine = paced_engine(pipeline(spec=two_heads()), {"eeg": source}, [sink])
    engine.start()
    assert engine.wait(120)
    engine.finish()
    assert engine.failure is None
    made = sum(one.status is Status.OK for one in sink.estimates)
    assert (
        engine.publisher.statistics.made["eeg", "emotion"]
        == engine.publisher.statistics.made["eeg", "arousal"]
        == made / 2
        > 0
    )
    assert sum(engine.publisher.statistics.refused.values()) == 40 - made / 2


def test_windows_skipped_are_counted_as_windows():
    made = pipeline(spec=two_heads())
    found = made.push("eeg", Chunk.of(*eeg(12)), newest_only=True)
    assert [one.head for one in found] == ["emotion", "arousal"]
    assert made.skipped["eeg"] == 12 * 4 - 1


def test_a_replayed_recording_writes_a_row_a_head(shared_data, tmp_path, capsys):
    spec = two_heads(calibration={"emotion": {"unknown_below": 1.0}})
    save_model(tmp_path / "m.safetensors", spec, small_tensors(spec))
    path = tmp_path / "p.yaml"
    path.write_text(yaml.safe_dump({"model": "m.safetensors", "streams": {"eeg": {}}}))
    file = shared_data / "muse" / "muse2_sub-P001_ses-S001_task-Default_run-001_eeg.xdf"
    replay_file(file, str(path), None, 1, Options(output=tmp_path / "out"))
    with (tmp_path / "out" / "estimates.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))
    assert [row["head"] for row in rows[:2]] == ["emotion", "arousal"]
    assert {row["label"] for row in rows if row["head"] == "emotion" and row["status"] == "ok"} == {
        "unknown"
    }
    labels = {row["label"] for row in rows if row["head"] == "arousal" and row["status"] == "ok"}
    assert labels
    assert labels <= {"low", "high"}
    session = yaml.safe_load((tmp_path / "out" / "session.yaml").read_text())
    assert session["heads"] == {"emotion": ["negative", "neutral", "positive"], "arousal": ["low", "high"]}
    printed = capsys.readouterr().out
    assert "EEG emotion: " in printed
    assert "EEG arousal: " in printed
