"""From settings and sessions to standardised windows; the features kept on disk."""

import copy
import io
import math
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console
from support.small_pairs import SIZES, corpus, training_settings, unit

from bci_m2s.errors import ConfigurationError, RecordingError, UsageError
from bci_m2s.model.model_file import layout_order
from bci_m2s.training.data import load
from bci_m2s.training.data.load import load_sessions, read_features, write_features
from bci_m2s.training.data.prepare import prepare
from bci_m2s.training.data.splits import PARTS, make_splits
from bci_m2s.training.data.windows import Names

QUIET = Console(quiet=True)


def test_parts_hold_the_trials_of_the_split_and_nothing_else():
    settings, sessions = training_settings(), corpus()
    data = unit(settings, sessions)
    for part in PARTS:
        assert {data.names.trials[i] for i in data.parts[part].trials} == getattr(data.split, part)


def test_the_scaler_comes_from_training_rows_only():
    settings, sessions = training_settings(), corpus()
    data = unit(settings, sessions)
    rows = data.parts["train"].features["eeg"].reshape(-1, SIZES["eeg"])
    np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(rows.std(axis=0), 1, rtol=1e-4)
    for session in sessions:
        if session.subject in {key.split("/")[0] for key in data.split.test | data.split.validation}:
            session.values["eeg"][:] = session.values["eeg"] * 50 + 1000
    moved = unit(settings, sessions)
    np.testing.assert_array_equal(moved.scalers["eeg"].mean, data.scalers["eeg"].mean)
    np.testing.assert_array_equal(moved.scalers["eeg"].std, data.scalers["eeg"].std)
    np.testing.assert_array_equal(moved.scalers["eeg"].spread, data.scalers["eeg"].spread)
    np.testing.assert_array_equal(moved.parts["train"].features["eeg"], data.parts["train"].features["eeg"])
    assert np.abs(moved.parts["test"].features["eeg"]).min() > 5


def test_within_a_session_nothing_of_the_test_trials_reaches_training():
    split = {"kind": "trials", "train_trials": 4}
    baseline = {"normaliser": {"name": "baseline", "params": {"duration_s": 6.0}}}
    settings, sessions = training_settings(eeg=baseline, split=split), corpus(people=2)
    data = unit(settings, sessions)
    for session in sessions:
        session.values["eeg"][4 * 8 :] *= 100  # the test trials' rows
    moved = unit(settings, sessions)
    for part in ("train", "validation"):
        np.testing.assert_array_equal(moved.parts[part].features["eeg"], data.parts[part].features["eeg"])
    np.testing.assert_array_equal(moved.scalers["eeg"].spread, data.scalers["eeg"].spread)
    assert np.abs(moved.parts["test"].features["eeg"]).max() > 20


def test_band_major_is_the_same_features_permuted():
    """Place band·C + channel of the layout holds feature channel·K + band of the extractor."""
    sessions = corpus(people=5)
    split = {"split": {"kind": "subjects", "test_subjects": 1, "validation_subjects": 1}}
    plain = unit(training_settings(**split), sessions)
    settings = training_settings(eeg={"layout": "band-major"}, **split)
    banded = unit(settings, sessions)
    channels, bands = 4, 2
    order = [channel * bands + band for band in range(bands) for channel in range(channels)]
    assert order == [0, 2, 4, 6, 1, 3, 5, 7]
    np.testing.assert_array_equal(layout_order(settings.contract.modalities["eeg"]), order)
    np.testing.assert_allclose(
        banded.parts["test"].features["eeg"], plain.parts["test"].features["eeg"][:, :, order], rtol=1e-6
    )
    np.testing.assert_array_equal(banded.scalers["eeg"].mean, plain.scalers["eeg"].mean[order])
    np.testing.assert_array_equal(banded.scalers["eeg"].spread, plain.scalers["eeg"].spread)
    np.testing.assert_array_equal(banded.parts["test"].features["eye"], plain.parts["test"].features["eye"])


def test_a_session_scaled_by_itself_is_a_named_option():
    sessions = corpus()
    for number, session in enumerate(sessions):
        session.values["eye"][:] += 100 * number
    plain = unit(training_settings(), sessions)
    own = unit(training_settings(windows={"own_session": True}), sessions)
    for subject in np.unique(own.parts["test"].subjects):
        mine = own.parts["test"].subjects == subject
        assert np.abs(own.parts["test"].features["eye"][mine].mean()) < 0.5
        assert np.ptp(own.parts["test"].features["eye"][mine]) > 1
    assert plain.parts["test"].features["eye"].std() < own.parts["test"].features["eye"].std()


def test_a_session_scaled_by_itself_may_lack_a_modality_or_a_column():
    sessions = corpus()
    sessions[0].values["eye"][:] = np.nan
    sessions[0].usable["eye"][:] = False
    sessions[1].values["eye"][:, 3] = np.nan
    data = unit(training_settings(windows={"own_session": True}), sessions)
    for part in data.parts.values():
        assert np.isfinite(part.features["eye"]).all()


def test_people_outside_the_split_do_not_matter():
    settings, sessions = training_settings(), corpus(people=9)
    (split,) = make_splits(sessions[:8], settings.split, "emotion")
    all_people = prepare(settings, sessions, split, Names.of(sessions))
    other = prepare(settings, sessions[:8], split, Names.of(sessions))
    np.testing.assert_array_equal(
        all_people.parts["train"].features["eeg"], other.parts["train"].features["eeg"]
    )


def test_a_session_is_kept_on_disk_as_it_was(tmp_path):
    session = corpus(people=1)[0]
    session.usable["eye"][3] = False
    session.values["eye"][3] = np.nan
    path = tmp_path / "features" / "1-1.npz"
    write_features(path, session)
    again = read_features(path)
    assert (again.subject, again.session, again.trials) == (
        session.subject,
        session.session,
        session.trials,
    )
    np.testing.assert_array_equal(again.end_s, session.end_s)
    for name in SIZES:
        np.testing.assert_array_equal(again.values[name], session.values[name])
        np.testing.assert_array_equal(again.usable[name], session.usable[name])
        assert again.values[name].dtype == np.float32
    assert [item.name for item in path.parent.iterdir()] == ["1-1.npz"]
    for broken in (b"", b"no archive", path.read_bytes()[:-400]):
        path.write_bytes(broken)
        with pytest.raises(RecordingError, match=r"1-1\.npz: cannot be read.*delete it"):
            read_features(path)


def test_a_session_of_which_hardly_a_step_is_usable_is_named(monkeypatch):
    monkeypatch.setattr(load, "WORTH_WORKERS_S", math.inf)

    def fake(segments, _contract):
        session = copy.deepcopy(
            replace(CORPUS[0], subject=segments[0].subject, problems={"eeg": "too small"})
        )
        session.usable["eye"][1:] = False
        session.never_used["eeg"] = {"TP9": "no samples"}
        if session.subject == "1":
            session.usable["eeg"][:] = False
        return session

    monkeypatch.setattr(load, "from_raw", fake)
    data = {"format": "simulated", "persons": 2, "simulator": {"n_trials": 2, "montage": "muse"}}
    console = Console(record=True, width=200, file=io.StringIO())
    load_sessions(with_features(training_settings(data=data), eeg="de", eye="eye"), None, console)
    n = len(CORPUS[0].end_s)
    assert console.export_text().strip().splitlines() == [
        "features: 0/0, 1/2",
        "features: 1/0, 2/2",
        f"subject 0, session 1: eye: 1 of {n} steps are usable",
        f"subject 1, session 1: eeg: 0 of {n} steps are usable: too small",
        f"subject 1, session 1: eye: 1 of {n} steps are usable",
        "subject 0, session 1: eeg: TP9: missing throughout (no samples)",
    ]


def with_features(settings, **names):
    """Settings whose modalities are made by these extractors."""
    modalities = {
        name: spec.model_copy(update={"feature": spec.feature.model_copy(update={"name": names[name]})})
        for name, spec in settings.contract.modalities.items()
    }
    return settings.model_copy(
        update={"contract": settings.contract.model_copy(update={"modalities": modalities})}
    )


def test_what_is_distributed_is_named_only_where_nobody_has_it(monkeypatch):
    """Its steps are further apart than rows are, and not every person has them."""
    monkeypatch.setattr(load, "WORTH_WORKERS_S", math.inf)
    has_eyes = ["0"]

    def fake(segments, _contract):
        session = copy.deepcopy(replace(CORPUS[0], subject=segments[0].subject))
        session.usable["eye"][session.subject in has_eyes :] = False
        return session

    monkeypatch.setattr(load, "from_raw", fake)
    data = {"format": "simulated", "persons": 2, "simulator": {"n_trials": 2, "montage": "muse"}}
    settings = with_features(training_settings(data=data), eeg="de", eye="distributed")
    progress = ["features: 0/0, 1/2", "features: 1/0, 2/2"]
    for expected in (progress, [*progress, "eye: no session has a step of it"]):
        console = Console(record=True, width=200, file=io.StringIO())
        load_sessions(settings, None, console)
        assert console.export_text().strip().splitlines() == expected
        has_eyes.clear()


def test_features_are_computed_once_and_again_when_they_would_differ(tmp_path, monkeypatch):
    """The cache's folder depends on all that features depend on, and on nothing else."""
    monkeypatch.setattr(load, "WORTH_WORKERS_S", math.inf)
    computed = []

    def fake(segments, _contract):
        computed.append((int(segments[0].subject), int(segments[0].session)))
        return replace(CORPUS[computed[-1][0]], session=segments[0].session)

    monkeypatch.setattr(load, "from_raw", fake)
    simulator = {"n_trials": 2, "montage": "muse"}
    data = {"format": "simulated", "persons": 2, "sessions": 2, "simulator": simulator}
    features = load_sessions(training_settings(data=data), tmp_path, QUIET)
    assert [(session.subject, session.session) for session in features] == [
        ("1", "0"),
        ("1", "1"),
        ("2", "0"),
        ("2", "1"),
    ]
    assert computed == [(0, 0), (0, 1), (1, 0), (1, 1)]
    again = load_sessions(training_settings(data=data, seeds=[7]), tmp_path, QUIET)
    assert len(computed) == 4
    np.testing.assert_array_equal(again[3].values["eeg"], features[3].values["eeg"])
    load_sessions(
        training_settings(data=data | {"simulator": simulator | {"effect": 2.0}}), tmp_path, QUIET
    )
    assert len(computed) == 8
    smooth = {"smoothing": {"name": "moving_average", "params": {"steps": 3}}}
    load_sessions(training_settings(eeg=smooth, data=data), tmp_path, QUIET)
    assert len(computed) == 12
    load_sessions(training_settings(eeg={"quality": {"noisy_ratio": 8.0}}, data=data), tmp_path, QUIET)
    assert len(computed) == 16
    load_sessions(training_settings(eeg={"reference": "average"}, data=data), tmp_path, QUIET)
    assert len(computed) == 20
    load_sessions(training_settings(data=data), None, QUIET)  # no cache: computed each time
    assert len(computed) == 24


CORPUS = corpus(people=2)


def test_wrong_data_are_refused_by_name(tmp_path):
    def load(**data):
        return load_sessions(training_settings(data=data | {"root": tmp_path}), None, QUIET)

    with pytest.raises(UsageError, match=r"format 'sead' is unknown.*seed"):
        load(format="sead")
    with pytest.raises(ConfigurationError, match=r"n_features: got 8, seed-iv has 310"):
        load(format="seed-iv")
