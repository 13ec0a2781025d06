"""Drift in a session: refused, noted or not looked for; the same bits whatever the chunks."""

import itertools
import math

import numpy as np
import pytest
from support.model_files import small_tensors
from support.small_sessions import EEG_INFO, contract, eeg, pipeline

from bci_m2s.errors import ModelError
from bci_m2s.model.model_file import load_model_file, save_model
from bci_m2s.pipeline.modality import ModalityStage
from bci_m2s.types import Chunk, Status

F = 20
TIMES, SAMPLES = eeg(24)
LOUD = SAMPLES.copy()
LOUD[3072:4352, 0] *= 4.0  # AF7 from 12 s to 17 s
WITHOUT = contract()
TENSORS = small_tensors(WITHOUT)
DRIFT = {
    "views": {"profile": {"whole": 50.0, "channel": 4.0}},
    "smoothing_s": 1.0,
    "share": 0.02,
    "people": 10,
    "validation_people": 10,
}
WITH = contract(drift=DRIFT)


def run(spec, samples, cuts=(), times=TIMES, **options):
    made = pipeline(spec=spec, tensors=options.pop("tensors", TENSORS), **options)
    found = []
    for a, b in itertools.pairwise([0, *sorted(cuts), len(times)]):
        found += made.push("eeg", Chunk.of(times[a:b], samples[a:b], received_s=5.0))
    return made, found


def usual() -> dict[str, np.ndarray]:
    """Arrays around what the quiet recording has, with a fifth of a nat of spread."""
    stage = ModalityStage(
        "eeg",
        WITHOUT.modalities["eeg"],
        WITHOUT.window,
        EEG_INFO,
        {name: TENSORS[f"eeg.{name}"] for name in ("scaler.mean", "scaler.std", "baseline.std")},
    )
    rows = [step.values for _, step in stage._steps.push(Chunk.of(TIMES, SAMPLES)) if step is not None][20:]
    parts = {"mean": np.mean(rows, axis=0), "scale": np.full(F, 0.2), "usual": np.ones(F)}
    arrays = {f"eeg.drift.profile.{name}": array for name, array in parts.items()}
    return arrays | {"eeg.drift.profile.precision": np.eye(F, dtype=np.float32)}


ARRAYS = TENSORS | usual()


@pytest.fixture(scope="module")
def refusing():
    return run(WITH, LOUD, tensors=ARRAYS)


@pytest.fixture(scope="module")
def whole(refusing):
    return refusing[1]


def test_a_channel_that_changes_is_refused_and_named_and_both_ends_are_events(refusing):
    made, found = refusing
    drifting = [one for one in found if one.status is Status.DRIFT]
    assert drifting[0].reason.startswith("unknown: drift (AF7 ")
    assert 12 < drifting[0].end_s - 1000 < 17
    assert np.isnan(drifting[0].probabilities).all()
    assert drifting[0].drift > 1
    assert found[-1].status is Status.OK
    assert 0 < found[-1].drift < 1
    events = [event for event in made.emitted if event.kind.startswith("drift")]
    assert [event.kind for event in events] == ["drift_started", "drift_ended"]
    assert events[0].fields["at_sample"] == drifting[0].last_index
    assert events[0].fields["drivers"].startswith("AF7")
    assert events[0].fields["modality"] == "eeg"
    assert made.state("eeg").drift.distance == found[-1].drift
    assert made.notes == []  # it passed


def test_a_drift_that_lasts_is_a_note_that_says_what_to_put_right():
    lasting = SAMPLES.copy()
    lasting[2304:, 0] *= 4.0  # AF7 from 9 s on
    made, _ = run(WITH, lasting, tensors=ARRAYS)
    (note,) = made.notes
    assert note.startswith("eeg: drift (AF7 ")
    assert "put electrodes, plugs and reference right" in note
    short, _ = run(WITH, lasting[:4900], times=TIMES[:4900], tensors=ARRAYS)  # 10 s of it, found late
    assert [event.kind for event in short.emitted if "drift" in event.kind] == ["drift_started"]
    assert short.notes == []


@pytest.mark.parametrize(("modality", "what"), [("eye", "the eye tracker"), ("ecg", "the sensor")])
def test_what_to_put_right_is_of_the_signal(monkeypatch, modality, what):
    monkeypatch.setattr("bci_m2s.pipeline.drift.LASTING_S", 0.0)
    stage = ModalityStage(
        modality, WITH.modalities["eeg"], WITH.window, EEG_INFO,
        {name.removeprefix("eeg."): array for name, array in ARRAYS.items() if name.startswith("eeg.")},
    )  # fmt: skip
    stage.push(Chunk.of(TIMES, LOUD))
    (note,) = stage.notes
    assert f"put {what}" in note


def test_a_note_leaves_every_probability_as_it_is_and_off_measures_nothing():
    _, without = run(WITHOUT, LOUD)
    _, noted = run(WITH, LOUD, tensors=ARRAYS, on_drift="note")
    off, silent = run(WITH, LOUD, tensors=ARRAYS, on_drift="off")
    for before, note, none in zip(without, noted, silent, strict=True):
        assert (
            before.probabilities.tobytes() == note.probabilities.tobytes() == none.probabilities.tobytes()
        )
        assert before.status is note.status
        assert before.trace == note.trace == none.trace
        assert math.isnan(none.drift)
        assert math.isnan(before.drift)
    assert any(note.reason.startswith("drift (AF7") for note in noted)
    assert off.state("eeg").drift is None


def test_chunks_change_nothing(whole):
    cuts = np.random.default_rng(0).integers(0, len(TIMES), 60).tolist()
    _, parts = run(WITH, LOUD, cuts, tensors=ARRAYS)
    facts = [(one.status, one.reason, repr(one.drift), one.probabilities.tobytes()) for one in whole]
    assert [
        (one.status, one.reason, repr(one.drift), one.probabilities.tobytes()) for one in parts
    ] == facts


def test_nothing_is_said_before_it_is_smoothed_and_chunks_change_nothing():
    spec = contract(drift={**DRIFT, "wait_s": 2.0})
    times = TIMES + np.where(np.arange(len(TIMES)) > 2800, 2.0, 0.0)
    _, at_once = run(WITH, LOUD, times=times, tensors=ARRAYS)
    _, later = run(spec, LOUD, times=times, tensors=ARRAYS)

    def first_measured(found):
        return next(one.end_s for one in found if one.end_s > times[2801] and not math.isnan(one.drift))

    assert first_measured(later) - first_measured(at_once) == pytest.approx(2.0)
    cuts = np.random.default_rng(1).integers(0, len(TIMES), 60).tolist()
    _, parts = run(spec, LOUD, cuts, times=times, tensors=ARRAYS)
    facts = [[(one.status, one.reason, repr(one.drift)) for one in some] for some in (later, parts)]
    assert facts[0] == facts[1]


def test_a_gap_and_a_new_baseline_end_a_drift():
    times = TIMES + np.where(np.arange(len(TIMES)) > 4200, 2.0, 0.0)
    made, _ = run(WITH, LOUD, times=times, tensors=ARRAYS)
    ended = [event.message for event in made.emitted if event.kind == "drift_ended"]
    assert ended[0] == "eeg: drift ended: a new segment begins"
    made, _ = run(WITH, LOUD[:4200], times=TIMES[:4200], tensors=ARRAYS)
    made.start_baseline()
    ended = [event.message for event in made.emitted if event.kind == "drift_ended"]
    assert ended == ["eeg: drift ended: another baseline"]


def test_a_model_file_holds_its_statistics_and_lacks_none(tmp_path):
    save_model(tmp_path / "with.safetensors", WITH, ARRAYS)
    read, tensors = load_model_file(tmp_path / "with.safetensors")
    assert read.modalities["eeg"].drift == WITH.modalities["eeg"].drift
    np.testing.assert_array_equal(tensors["eeg.drift.profile.usual"], ARRAYS["eeg.drift.profile.usual"])
    with pytest.raises(ModelError, match=r"tensor 'eeg\.drift\.profile\.mean' is missing"):
        save_model(tmp_path / "less.safetensors", WITH, TENSORS)
    with pytest.raises(ModelError, match=r"'eeg\.drift\.profile\.mean' is not part of this model"):
        save_model(tmp_path / "more.safetensors", WITHOUT, ARRAYS)
