"""Sessions of step features: one form for distributed features and for raw signals."""

from dataclasses import replace

import numpy as np
import pytest
from support.nightly import nightly
from support.small_pairs import SIZES, corpus, training_settings, trials
from support.small_sessions import EEG_INFO, EYE_INFO, RATE_HZ, contract, eeg, eye

from bci_m2s.errors import ContractError, RecordingError
from bci_m2s.pipeline.modality import ModalityStage
from bci_m2s.signal.normalise import NORMALISERS
from bci_m2s.training.data.load import read_features, write_features
from bci_m2s.training.data.sessions import (
    SEGMENT_GAP_S,
    from_raw,
    from_steps,
    normalised,
    stream_steps,
    typical_spread,
)
from bci_m2s.training.datasets.layout import DistributedTrial, RawSegment, RawStream, Trial
from bci_m2s.types import Chunk, StreamInfo

TRIAL = Trial("1", 4.0, 12.0, {"emotion": 1})


def stream(info, times, samples, sizes=(500,)):
    def chunks():
        start, number = 0, 0
        while start < len(times):
            stop = start + sizes[number % len(sizes)]
            yield Chunk.of(times[start:stop], samples[start:stop])
            start, number = stop, number + 1

    return RawStream(info, chunks)


def segment(seconds=14.0, seed=0, eye_shift_s=0.0, trials=(TRIAL,), only=("eeg", "eye")):
    """Both streams on a clock that begins at 0; the eye tracker begins `eye_shift_s` later."""
    recorded = {"eeg": (EEG_INFO, *eeg(seconds, seed)), "eye": (EYE_INFO, *eye(seconds, seed))}
    streams = {
        name: stream(info, times - 1000 + (eye_shift_s if name == "eye" else 0.0), samples)
        for name, (info, times, samples) in recorded.items()
        if name in only
    }
    return RawSegment("anna", "2", streams, trials)


def test_distributed_features_come_one_row_a_step_and_trials_end_to_end():
    group = trials(people=2, sessions=2, per_session=3, steps=5)
    sessions = from_steps(group, 1.0, SIZES)
    assert [(session.subject, session.session) for session in sessions] == [
        ("1", "1"),
        ("1", "2"),
        ("2", "1"),
        ("2", "2"),
    ]
    session = sessions[1]
    np.testing.assert_array_equal(session.end_s, np.arange(1.0, 16.0))
    assert [(trial.start_s, trial.stop_s) for trial in session.trials] == [(0, 5), (5, 10), (10, 15)]
    assert session.values["eeg"].dtype == np.float32
    np.testing.assert_array_equal(session.values["eye"][5:10], group[4].steps["eye"].astype(np.float32))
    assert session.key(session.trials[0]) == "1/2/1"
    assert session.trials[2].labels == {"emotion": 1}


def test_a_modality_that_a_trial_lacks_is_unknown_there_and_a_step_without_any_value_is_not_usable():
    group = trials(people=1, per_session=2, steps=3)
    del group[0].steps["eye"]
    group[1].steps["eeg"][1] = np.nan
    group[1].steps["eeg"][2, 0] = np.nan
    (session,) = from_steps(group, 1.0, SIZES)
    assert np.isnan(session.values["eye"][:3]).all()
    assert session.usable["eye"].tolist() == [False] * 3 + [True] * 3
    assert session.usable["eeg"].tolist() == [True] * 4 + [False, True]


def test_raw_segments_give_the_steps_that_the_live_path_gives():
    spec = contract()
    session = from_raw([segment()], spec)
    stage = ModalityStage(
        "eeg",
        spec.modalities["eeg"],
        spec.window,
        EEG_INFO,
        {"scaler.mean": np.zeros(20), "scaler.std": np.ones(20), "baseline.std": np.ones(20)},
    )
    live = []
    times, samples = eeg(14.0)
    for block, step in stage._steps.push(Chunk.of(times - 1000, samples)):
        if step is not None:
            live.append((block.end_s, step.values))
    np.testing.assert_allclose(np.diff(session.end_s), 0.25, atol=1e-9)
    assert session.end_s[0] == 0.0  # the session's clock begins with the first step
    np.testing.assert_array_equal(
        session.values["eeg"], np.array([values for _, values in live], np.float32)
    )
    shift = session.trials[0].start_s - TRIAL.start_s
    np.testing.assert_allclose(session.end_s - shift, [end for end, _ in live], atol=1e-9)
    assert session.trials[0] == Trial("1", 4.0 + shift, 12.0 + shift, {"emotion": 1})
    assert session.usable["eeg"].any()


def test_steps_do_not_depend_on_how_the_file_was_read():
    spec = contract()
    times, samples = eeg(8.0)
    whole, pieces = (
        stream_steps(stream(EEG_INFO, times, samples, sizes), spec.modalities["eeg"], spec.window)
        for sizes in ((10_000,), (1, 77, 3))
    )
    for rows, other in zip(whole, pieces, strict=True):
        np.testing.assert_array_equal(rows, other)


@pytest.mark.parametrize("factor", [1.04, 1.2])
def test_a_false_rate_makes_no_step_usable_as_it_makes_no_estimate_live(factor):
    times, samples = eeg(20)
    spec = contract()
    times = times[0] + (times - times[0]) / factor  # the stream states another rate than its stamps have
    steps = stream_steps(stream(EEG_INFO, times, samples), spec.modalities["eeg"], spec.window)
    measured = np.arange(len(steps.usable)) > 16  # the rate is known after 5 s, 4 steps begin per second
    assert steps.usable[measured].any() == (factor == 1.04)
    if factor == 1.2:
        assert steps.problem == f"effective rate {1.2 * RATE_HZ:.4g} Hz, nominal {RATE_HZ:g} Hz"


def test_the_usual_amplitude_of_each_channel_is_kept(tmp_path):
    spec = contract()
    session = from_raw([segment(), segment()], spec)
    spread = eeg(14.0)[1].std(axis=0)
    low, high = np.moveaxis(session.amplitudes["eeg"], -1, 0)
    assert low.shape == (2, len(spec.modalities["eeg"].channels))
    assert (low < high).all()
    assert (low.min() < spread).all()
    assert (spread.max() / 10 < high).all()
    write_features(tmp_path / "kept.npz", session)
    kept = read_features(tmp_path / "kept.npz")
    np.testing.assert_array_equal(kept.amplitudes["eeg"], session.amplitudes["eeg"])


def test_why_hardly_any_step_is_usable_is_kept(tmp_path):
    """Two of four channels in volts that are called microvolts."""
    times, samples = eeg(8.0)
    samples = samples.copy()
    samples[:, [2, 3]] *= 1e-6
    wrong = RawSegment("anna", "2", {"eeg": stream(EEG_INFO, times - 1000, samples)}, ())
    session = from_raw([segment(8.0, only=("eeg",)), wrong], contract())
    assert "if the sender sends volts: TP9, TP10" in session.problems["eeg"]
    assert list(session.problems) == ["eeg"]
    assert session.never_used["eeg"] == {}  # of the whole session
    alone = from_raw([wrong], contract())
    assert list(alone.never_used["eeg"]) == ["TP9", "TP10"]
    write_features(tmp_path / "alone.npz", alone)
    assert read_features(tmp_path / "alone.npz").never_used == alone.never_used
    write_features(tmp_path / "kept.npz", session)
    assert read_features(tmp_path / "kept.npz").problems == session.problems


@pytest.mark.parametrize("shift_s", [-0.1, *nightly(0.0), 0.1])
def test_the_other_modality_gives_the_nearest_step_within_half_a_hop(shift_s):
    spec = contract()
    session = from_raw([segment(eye_shift_s=shift_s)], spec)
    times, samples = eye(14.0)
    ends, values, usable, *_ = stream_steps(
        stream(EYE_INFO, times - 1000 + shift_s, samples), spec.modalities["eye"], spec.window
    )
    offset = TRIAL.start_s - session.trials[0].start_s
    for end_s, row, fit in zip(
        session.end_s + offset, session.values["eye"], session.usable["eye"], strict=True
    ):
        nearest = int(np.abs(ends - end_s).argmin())
        if abs(ends[nearest] - end_s) <= spec.window.hop_s / 2 + 1e-6:
            np.testing.assert_array_equal(row, values[nearest])
            assert fit == usable[nearest]
        else:
            assert np.isnan(row).all()
            assert not fit
    assert session.usable["eye"][-20:].all()


def test_where_the_other_stream_has_a_gap_its_steps_are_unknown_and_rows_stay():
    spec = contract()
    times, samples = eye(30.0)
    kept = (times < 1010) | (times > 1014)
    streams = dict(segment(30.0).streams)
    streams["eye"] = stream(EYE_INFO, times[kept] - 1000, samples[kept])
    session = from_raw([RawSegment("anna", "1", streams, ())], spec)
    plain = from_raw([segment(30.0, trials=())], spec)
    np.testing.assert_array_equal(session.end_s, plain.end_s)
    end_s = session.end_s + 1.0  # the first step ends after a second
    assert np.isnan(session.values["eye"][(end_s > 10.3) & (end_s < 14.8)]).all()
    assert not session.usable["eye"][(end_s > 10.3) & (end_s < 14.8)].any()
    assert session.usable["eye"][(end_s > 9) & (end_s < 9.9)].all()
    assert session.usable["eye"][-9:-1].all()  # the last one may end too early
    np.testing.assert_array_equal(session.usable["eeg"], plain.usable["eeg"])


def test_segments_of_a_session_lie_far_apart_and_one_may_lack_a_modality():
    spec = contract()
    session = from_raw(
        [segment(8.0, trials=()), segment(14.0, only=("eeg",)), segment(14.0, only=("eye",))], spec
    )
    jumps = np.diff(session.end_s)
    far = np.flatnonzero(jumps > 1)
    np.testing.assert_allclose(jumps[far], SEGMENT_GAP_S)
    assert len(far) == 2
    assert not session.usable["eye"][far[0] + 1 : far[1] + 1].any()
    assert session.usable["eye"][far[1] + 1 :].any()
    assert not session.usable["eeg"][far[1] + 1 :].any()
    first, second = session.trials
    assert first.stop_s - first.start_s == pytest.approx(8.0)
    assert session.end_s[far[0] + 1] < first.start_s < first.stop_s < session.end_s[far[1]]
    assert session.end_s[far[1] + 1] < second.start_s


def test_a_session_that_is_too_short_or_does_not_fit_says_so():
    spec = contract()
    with pytest.raises(RecordingError, match="anna, session 2: no segment is long enough"):
        from_raw([segment(0.5)], spec)
    wrong = StreamInfo("cap", "EEG", "cap-1", rate_hz=RATE_HZ, labels=("Cz",) * 5, units=("uV",) * 5)
    times, samples = eeg(2.0)
    with pytest.raises(ContractError):
        from_raw([RawSegment("anna", "2", {"eeg": stream(wrong, times, samples)}, ())], spec)


def one_session(*spans):
    (session,) = from_steps(
        [DistributedTrial(1, 1, 1, {}, {"eye": np.arange(40.0).reshape(8, 5) ** 2})], 1.0, {"eye": 5}
    )
    return replace(session, trials=tuple(Trial(str(i), *span, {}) for i, span in enumerate(spans, 1)))


def test_the_typical_spread_is_that_at_rest():
    session = one_session((5.0, 8.0))
    expected = session.values["eye"][:4].std(axis=0)  # rows that end before the trial begins
    np.testing.assert_allclose(typical_spread([session], "eye", {"1/1/1"}), expected, rtol=1e-6)


@pytest.mark.parametrize("begins_s", [0.0, 3.0])  # two rows of rest are too few
def test_without_rest_the_typical_spread_is_that_of_the_training_trials(begins_s):
    session = one_session((begins_s, 6.0), (6.0, 8.0))
    expected = session.values["eye"][int(begins_s) : 6].std(axis=0)
    np.testing.assert_allclose(typical_spread([session], "eye", {"1/1/1"}), expected, rtol=1e-6)


def test_the_typical_spread_survives_columns_and_people_without_values():
    sessions = corpus(people=2, per_session=2)
    keys = {session.key(trial) for session in sessions for trial in session.trials}
    sessions[0].values["eye"][:, 2] = np.nan
    sessions[1].values["eye"][:, 2] = np.nan
    sessions[1].usable["eye"][:] = False
    spread = typical_spread(sessions, "eye", keys)
    assert spread[2] == 1.0
    assert np.isfinite(spread).all()
    np.testing.assert_array_equal(typical_spread([], "eye", keys), np.ones(0))
    np.testing.assert_array_equal(typical_spread(sessions, "eye", set()), np.ones(5))


@pytest.mark.parametrize("name", ["baseline", "rolling"])
def test_rows_are_normalised_as_the_live_normaliser_does_it(name):
    """Nothing before it is ready; from then on the very function that runs live, step by step."""
    params = {"duration_s": 6.0} if name == "baseline" else {"duration_s": 8.0, "ready_s": 6.0}
    settings = training_settings(eeg={"normaliser": {"name": name, "params": params}})
    spec, window = settings.contract.modalities["eeg"], settings.contract.window
    (session,) = corpus(people=1, per_session=3)
    session.usable["eeg"][2] = False  # not observed, so everything comes one step later
    rows = normalised(session, "eeg", spec, window, np.full(8, 2.0))
    assert np.isnan(rows[:6]).all()
    assert np.isfinite(rows[6:]).all()
    seen = np.flatnonzero(session.usable["eeg"])
    for row in (6, 11, 20):
        used = seen[seen <= row][:6] if name == "baseline" else seen[seen <= row][-8:]
        known = session.values["eeg"][used].astype(np.float64)
        # 10 s of the prior spread's weight against 1 s a row
        variance = (known.var(axis=0) * len(used) + 10 * 2.0**2) / (len(used) + 10)
        expected = (session.values["eeg"][row] - known.mean(axis=0)) / np.sqrt(variance)
        np.testing.assert_allclose(rows[row], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["baseline", "rolling"])
def test_rows_have_the_bits_of_the_live_normaliser_row_by_row(name):
    params = {"duration_s": 6.0} if name == "baseline" else {"duration_s": 8.0, "ready_s": 6.0}
    settings = training_settings(eeg={"normaliser": {"name": name, "params": params}})
    window = settings.contract.window
    (session,) = corpus(people=1, per_session=3)
    session.values["eeg"][9:12, 1] = np.nan
    session.usable["eeg"][[2, 14]] = False
    live = NORMALISERS[name](np.full(8, 2.0), window.step_s, window.hop_s, **params)
    expected = np.full(session.values["eeg"].shape, np.nan, dtype=np.float32)
    for row, values in enumerate(session.values["eeg"].astype(np.float64)):
        if session.usable["eeg"][row]:
            live.observe(values)
        if live.seconds_left == 0.0:
            expected[row] = live.apply(values[None])[0]
    rows = normalised(session, "eeg", settings.contract.modalities["eeg"], window, np.full(8, 2.0))
    assert np.isfinite(rows).any()
    assert rows.tobytes() == expected.tobytes()


def test_the_normaliser_training_leaves_rows_alone():
    settings = training_settings()
    (session,) = corpus(people=1)
    rows = normalised(
        session, "eye", settings.contract.modalities["eye"], settings.contract.window, np.ones(5)
    )
    np.testing.assert_array_equal(rows, session.values["eye"])
