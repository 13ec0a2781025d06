"""Windows of a session of ours are those that the live session judged, with its own baseline and gaps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax

from bci_m2s.errors import RecordingError
from bci_m2s.lsl.formats import RecordLayout
from bci_m2s.model.model_file import load_model_file, read_contract
from bci_m2s.recording.recorded import open_recording
from bci_m2s.review.labelled import recorded_run, session_model
from bci_m2s.review.recorded import read_recorded_session
from bci_m2s.session.setup.shipped import find_model
from bci_m2s.training.calibration.base import Base
from bci_m2s.training.calibration.candidates import Scale, Situation, make, scores
from bci_m2s.training.calibration.material import gather
from bci_m2s.training.calibration.unlabelled import unlabelled
from bci_m2s.training.calibration.write import record

SHIPPED = Path(__file__).resolve().parents[3] / "recordings" / "simulated-session.xdf"


@pytest.fixture(scope="module")
def session():
    return read_recorded_session(open_recording(SHIPPED))


def test_the_base_model_answers_as_it_did_live(session):
    path = session_model(session)
    base = Base(path, *load_model_file(path))
    run = recorded_run(session, base.contract)
    assert run.is_simulated
    assert set(run.streams) == {"eeg", "eye"}
    run = replace(run, streams={"eye": run.streams["eye"]})
    material = gather([run], base.contract, base.tensors, "emotion")
    live = recorded_answers(session)
    windows = material.windows["eye"]
    assert len(windows.trials) == 42
    it = Situation(
        base.network("eye"),
        Scale(base.array("eye.scaler.mean"), base.array("eye.scaler.std")),
        windows.features,
        windows.trials,
        material.labels,
        "emotion",
        3,
    )
    temperature = base.contract.modalities["eye"].calibration["emotion"].temperature
    again = softmax(scores(make("base", it), it) / temperature, axis=1)
    near = np.array([np.abs(live - row).max(axis=1).min() for row in again])
    # where the session answered from the EEG there is no recorded answer of the eyes to compare with
    assert np.count_nonzero(near < 1e-6) > 10
    of_few_trials_and_of_none(material, base, run)


def of_few_trials_and_of_none(material, base, run):
    """Neither signal can be judged here: each stays the base model's, which is said and recorded."""
    left = unlabelled(material, base, {}, {})
    said = {name: one.sentence(name) for name, one in left.items()}
    stays = "not judged, its base model stays as it is"
    n_trials = len(material.labels)
    assert said["eeg"] == f"eeg: {stays}: the sessions have no stream of it"
    assert said["eye"].startswith(
        f"eye: {stays}: {left['eye'].trials} of {n_trials} trials have usable windows"
    )
    assert said["eye"].endswith("wanted 4 of each class")
    told = record(base, material, {}, left, [run], base.path)["calibration"]["modalities"]
    assert {name: one["decision"] for name, one in told.items()} == said
    assert [one["promoted"] for one in told.values()] == [False, False]
    assert told["eye"]["windows"] == 42


def recorded_answers(session):
    """Probabilities of every estimate from the eyes alone, as recorded live."""
    stream = session.estimates()["emotion"]
    layout = RecordLayout.read(stream.info.labels)
    rows = [layout.unpack(row) for row in stream.read(0, stream.n_samples).astype(np.float64)]
    return np.array(
        [row.probabilities for row in rows if tuple(row.windows) == ("eye",) and row.status == 0]
    )


def test_a_session_of_another_montage_is_refused(session):
    with pytest.raises(RecordingError, match=r"channels: got no 'TP9'.*") as told:
        recorded_run(session, read_contract(find_model("muse-4ch")))
    assert "\n" not in str(told.value)
