"""Windows cut from sessions: inside trials, never over a gap, scaled by training rows only."""

from dataclasses import replace

import numpy as np
import pytest
from support.small_pairs import SIZES, corpus, training_settings, trials

from bci_m2s.training.data.sessions import SessionFeatures, from_steps
from bci_m2s.training.data.split_settings import WindowSettings
from bci_m2s.training.data.windows import Names, WindowSet, cut_windows, fit_scaler, standardised
from bci_m2s.training.datasets.layout import Trial

STEPS = 4  # of a window


def windows_of(sessions, keys=None, contract=None, rows=None, **options):
    update = {"windows": WindowSettings(**options)} | ({"contract": contract} if contract else {})
    settings = training_settings().model_copy(update=update)
    keys = (
        keys
        if keys is not None
        else {session.key(trial) for session in sessions for trial in session.trials}
    )
    rows = rows if rows is not None else [session.values for session in sessions]
    return cut_windows(sessions, rows, keys, settings, Names.of(sessions))


def fast_session(n=40, gap_after=None, spans=((0.0, 10.0),), hop_s=0.25):
    """A session whose steps of 1 s come every 0.25 s; values are the row's number."""
    end_s = 1.0 + hop_s * np.arange(n)
    if gap_after is not None:
        end_s[gap_after:] += 3.1
    values = {
        name: np.repeat(np.arange(n, dtype=np.float32)[:, None], size, axis=1)
        for name, size in SIZES.items()
    }
    values["eye"] = values["eye"] + np.arange(5, dtype=np.float32) / 10
    usable = {name: np.ones(n, dtype=bool) for name in SIZES}
    marked = tuple(Trial(str(i), *span, {"emotion": i % 2}) for i, span in enumerate(spans))
    return SessionFeatures("p", "s", end_s, values, usable, marked)


def fast_contract(hop_s=0.25):
    contract = training_settings().contract
    return contract.model_copy(update={"window": contract.window.model_copy(update={"hop_s": hop_s})})


@pytest.mark.parametrize("n", [3, 4, 5, 9])
def test_a_trial_of_n_distributed_steps_gives_n_minus_t_plus_1_windows(n):
    sessions = corpus(people=2, per_session=3, steps=n)
    windows = windows_of(sessions)
    assert len(windows) == 2 * 3 * max(0, n - STEPS + 1)
    for i in range(len(windows)):
        owner = sessions[windows.subjects[i]]
        start = windows.starts[i]
        np.testing.assert_array_equal(
            windows.features["eye"][i], owner.values["eye"][start : start + STEPS]
        )
        trial = owner.trials[windows.trials[i] % 3]
        assert trial.start_s <= owner.end_s[start] - 1.0  # the first step began inside
        assert owner.end_s[start + STEPS - 1] <= trial.stop_s
        assert windows.labels["emotion"][i] == trial.labels["emotion"]


def test_straddling_as_released_loses_a_window_a_session_and_mixes_trials_of_one_class():
    group = trials(people=1, per_session=4, steps=6)
    for trial, label in zip(group, (1, 1, 0, 0), strict=True):
        trial.labels["emotion"] = label
    sessions = from_steps(group, 1.0, SIZES)
    inside, straddling = windows_of(sessions), windows_of(sessions, straddling=True)
    rows = np.repeat([1, 1, 0, 0], 6)
    starts = [i for i in range(24 - STEPS) if rows[i] == rows[i + STEPS]]
    assert straddling.starts.tolist() == starts
    assert straddling.labels["emotion"].tolist() == rows[starts].tolist()
    mixed = [i for i in starts if i // 6 != (i + STEPS - 1) // 6]
    assert mixed  # windows that hold steps of two trials
    assert inside.starts.tolist() == [i for i in range(24) if i % 6 <= 6 - STEPS]
    assert 20 not in straddling.starts  # the last window of all has no row past its end


def test_straddling_loses_the_last_window_of_each_trial_where_the_class_changes():
    sessions = corpus(people=1, per_session=3, steps=7)  # classes alternate
    windows = windows_of(sessions, straddling=True)
    assert windows.starts.tolist() == [*range(3), *range(7, 10), *range(14, 17)]  # n − T, not n − T + 1


def test_windows_of_overlapping_steps_take_every_fourth_row_and_lie_in_the_trial():
    session = fast_session(spans=((0.0, 10.0), (2.1, 8.1)))
    windows = windows_of([session], contract=fast_contract())
    first = windows.take(windows.trials == 0)
    assert first.starts.tolist() == list(range(25))  # row 36 is the last that ends in time
    np.testing.assert_array_equal(np.diff(windows.features["eeg"][:, :, 0], axis=1), 4)
    second = windows.take(windows.trials == 1)
    begins, ends = session.end_s[second.starts] - 1.0, session.end_s[second.starts + 12]
    assert begins.min() == pytest.approx(2.25)
    assert ends.max() == pytest.approx(8.0)


def test_every_hops_thins_each_trial_by_itself():
    session = fast_session(spans=((0.0, 5.0), (5.0, 10.0)))
    contract = fast_contract()
    everything = windows_of([session], contract=contract)
    thin = windows_of([session], contract=contract, every_hops=4)
    for trial in (0, 1):
        starts = everything.starts[everything.trials == trial]
        assert thin.starts[thin.trials == trial].tolist() == starts[::4].tolist()
    assert len(thin) < len(everything)


@pytest.mark.parametrize("gap_after", [1, 13, 20, 39])
def test_no_window_spans_a_gap(gap_after):
    session = fast_session(gap_after=gap_after, spans=((0.0, 20.0),))
    windows = windows_of([session], contract=fast_contract())
    last = windows.starts + 12
    assert ((last < gap_after) | (windows.starts >= gap_after)).all()
    before, after = max(0, gap_after - 12), max(0, 40 - gap_after - 12)
    assert len(windows) == before + after


def test_a_window_without_a_usable_modality_is_left_out_and_one_with_either_is_kept():
    sessions = corpus(people=1, per_session=1, steps=8)
    sessions[0].usable["eeg"][:6] = False
    sessions[0].usable["eye"][3:] = False
    sessions[0].values["eye"][0, 0] = np.nan  # one of five: within max_missing of 0.25
    windows = windows_of(sessions)
    # starts 0..4; eeg is there from row 6, so never for a window of four; eye in rows 0 to 2 only
    assert len(windows) == 0
    sessions[0].usable["eye"][:] = True
    windows = windows_of(sessions)
    assert windows.present["eye"].tolist() == [True] * 5
    assert not windows.present["eeg"].any()
    sessions[0].values["eye"][0, 1] = np.nan  # two of five are too many
    assert windows_of(sessions).present["eye"].tolist() == [True] * 4
    assert windows_of(sessions).starts.tolist() == [1, 2, 3, 4]


def test_only_the_trials_that_are_asked_for_are_cut_and_missing_labels_are_minus_one():
    sessions = corpus(people=2, per_session=2)
    sessions[1] = replace(sessions[1], trials=(Trial("1", 0.0, 8.0, {}), *sessions[1].trials[1:]))
    windows = windows_of(sessions, keys={"1/1/2", "2/1/1"})
    names = Names.of(sessions)
    assert {names.trials[i] for i in windows.trials} == {"1/1/2", "2/1/1"}
    assert set(windows.labels["emotion"][windows.subjects == 1]) == {-1}
    assert len(windows.having([], "emotion")) == len(windows) // 2
    assert len(windows_of(sessions, keys=set())) == 0
    assert windows_of(sessions, keys=set()).features["eye"].shape == (0, STEPS, 5)


def test_names_list_everything_once():
    names = Names.of(corpus(people=2, sessions=2, per_session=1))
    assert names.subjects == ("1", "2")
    assert names.sessions == ("1/1", "1/2", "2/1", "2/2")
    assert names.trials == ("1/1/1", "1/2/1", "2/1/1", "2/2/1")


def window_set(rows, present=None):
    n = len(rows)
    zeros = np.zeros(n, dtype=np.int64)
    usable = np.ones(n, dtype=bool) if present is None else np.array(present)
    return WindowSet({"eye": rows}, {"eye": usable}, {"emotion": zeros}, zeros, zeros, zeros, zeros)


def test_the_scaler_is_of_present_training_windows_and_skips_unknown_values():
    rng = np.random.default_rng(0)
    rows = rng.normal(3.0, 2.0, size=(6, STEPS, 5)).astype(np.float32)
    rows[0, 0, 1] = np.nan
    rows[:, :, 3] = 7.0
    rows[:, :, 4] = np.nan
    rows[5] = 1e6  # not present
    scaler = fit_scaler(window_set(rows, [True] * 5 + [False]), "eye", np.full(5, 9.0))
    flat = rows[:5].reshape(-1, 5).astype(float)
    np.testing.assert_allclose(scaler.mean[:3], np.nanmean(flat[:, :3], axis=0))
    np.testing.assert_allclose(scaler.std[:3], np.nanstd(flat[:, :3], axis=0))
    assert (scaler.mean[3], scaler.std[3]) == (7.0, 1.0)  # never varies
    assert (scaler.mean[4], scaler.std[4]) == (0.0, 1.0)  # never known
    np.testing.assert_array_equal(scaler.spread, 9.0)
    done = standardised(window_set(rows), {"eye": scaler})
    assert done.features["eye"][0, 0, 1] == 0.0  # unknown: the training mean
    assert done.features["eye"].dtype == np.float32
    np.testing.assert_allclose(
        done.features["eye"][1, 2, 0], (rows[1, 2, 0] - scaler.mean[0]) / scaler.std[0], rtol=1e-5
    )
