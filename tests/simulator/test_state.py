"""Trials, balance, markers' times, and the latent state."""

from __future__ import annotations

import numpy as np
import pytest

from bci_m2s.errors import ConfigurationError
from bci_m2s.simulator.noise import Seeds
from bci_m2s.simulator.settings import SimulatorSettings
from bci_m2s.simulator.state import Schedule, class_centres


def _schedule(subject: int = 0, **changes: object) -> Schedule:
    settings = SimulatorSettings(**{"n_trials": 30, **changes})  # type: ignore[arg-type]
    return Schedule(settings, Seeds(settings.seed, subject, 0))


@pytest.mark.parametrize("n_classes", [2, 3, 4, 5])
def test_balanced_classes_are_balanced_in_every_run(n_classes: int) -> None:
    """Each run of as many trials as classes holds every class once."""
    classes = tuple(f"class {k}" for k in range(n_classes))
    schedule = _schedule(classes=classes, n_trials=None, order="balanced")
    order = np.array([schedule.class_index(i) for i in range(40 * n_classes)]).reshape(40, n_classes)
    assert (np.sort(order, axis=1) == np.arange(n_classes)).all()
    assert len({tuple(row) for row in order}) > 1


def test_class_does_not_follow_from_time() -> None:
    """Over many sessions every class is as frequent at every place of the order."""
    first = np.array([[_schedule(s).class_index(i) for i in range(6)] for s in range(300)])
    for position in range(6):
        np.testing.assert_allclose(np.bincount(first[:, position], minlength=3) / 300, 1 / 3, atol=0.09)


def test_the_trials_before_do_not_tell_the_class() -> None:
    """By default each pair of classes follows each other equally often; balanced runs tell the third."""
    orders = {order: np.array([_orders(s, order) for s in range(200)]) for order in ("random", "balanced")}
    for lag in (1, 2):
        pairs = np.zeros((3, 3))
        np.add.at(pairs, (orders["random"][:, :-lag].ravel(), orders["random"][:, lag:].ravel()), 1)
        np.testing.assert_allclose(pairs / pairs.sum(), 1 / 9, atol=0.017)  # 5 standard errors
    repeats = {order: np.mean(o[:, 1:] == o[:, :-1]) for order, o in orders.items()}
    assert repeats["random"] == pytest.approx(1 / 3, abs=0.03)
    assert repeats["balanced"] < 0.2


def _orders(subject: int, order: str) -> list[int]:
    schedule = _schedule(subject, order=order)
    return [schedule.class_index(i) for i in range(30)]


def test_trials_and_classes_agree() -> None:
    schedule = _schedule(rest_s=7.0, trial_s=5.0, pause_s=1.5, n_trials=4)
    for i in range(4):
        trial = schedule.trial(i)
        assert trial.start_s == pytest.approx(7.0 + 6.5 * i)
        assert trial.stop_s - trial.start_s == pytest.approx(5.0)
        assert trial.label == schedule.settings.classes[schedule.class_index(i)]
    for wrong in (-1, 4):
        with pytest.raises(IndexError):
            schedule.trial(wrong)


def test_state_stands_near_its_class_and_at_rest_outside() -> None:
    """On average a trial's state is its class's centre; before and long after it is zero."""
    schedules = [_schedule(s, trial_s=6.0, pause_s=4.0) for s in range(20)]
    trials = [(s, s.trial(i)) for s in schedules for i in range(30)]
    middle = np.array([s.latent(np.array([t.start_s + 4.0]))[0] for s, t in trials])
    classes = np.array([s.settings.classes.index(t.label) for s, t in trials])
    for c, centre in enumerate(class_centres(("negative", "neutral", "positive"))):
        np.testing.assert_allclose(middle[classes == c].mean(axis=0), centre, atol=0.06)
        assert 0.2 < middle[classes == c].std(axis=0).mean() < 0.4  # trials of a class differ
    rest = np.array([s.latent(np.array([5.0, 16.0 + 9.5])) for s in schedules])
    assert np.abs(rest.mean(axis=0)).max() < 0.15
    assert rest.std() < 0.25


def test_state_is_continuous_even_without_pauses() -> None:
    """No jump where trials meet."""
    schedule = _schedule(pause_s=0.0, trial_s=2.0, n_trials=None)
    steps = np.diff(schedule.latent(np.arange(0.0, 60.0, 0.01)), axis=0)
    assert np.abs(steps).max() < 0.05


def test_state_of_an_endless_session_is_known_far_ahead() -> None:
    """The same bits at a late time, whether or not anything was asked before."""
    times = np.array([1e5, 1e5 + 0.5])
    fresh, used = _schedule(n_trials=None), _schedule(n_trials=None)
    used.latent(np.arange(0.0, 3000.0, 1.0))
    np.testing.assert_array_equal(fresh.latent(times), used.latent(times))


def test_a_finite_session_begins_like_an_endless_one() -> None:
    """The number of trials does not change the trials."""
    finite, endless = _schedule(n_trials=5), _schedule(n_trials=None)
    assert [finite.trial(i) for i in range(5)] == [endless.trial(i) for i in range(5)]


def test_unknown_labels_are_spread_on_a_circle() -> None:
    """Five labels stand apart; known words take their places."""
    centres = class_centres(("a", "b", "c", "d", "e"))
    distance = np.linalg.norm(centres[:, None] - centres[None], axis=2) + 9.0 * np.eye(5)
    assert distance.min() > 0.8
    assert (
        class_centres(("positive", "negative"))[0, 0] > 0.0 > class_centres(("positive", "negative"))[1, 0]
    )
    same_place = class_centres(("happy", "positive"))
    assert np.linalg.norm(same_place[0] - same_place[1]) > 1.0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("eeg_rate_hz", 10.0),
        ("eeg_rate_hz", float("nan")),
        ("eye_rate_hz", 0.0),
        ("trial_s", 1.0),
        ("pause_s", -1.0),
        ("n_trials", -3),
        ("effect", -0.1),
        ("seed", -1),
        ("classes", ()),
        ("classes", ("sad", "Sad")),
        ("order", "blocks"),
        ("montage", ("Cz", "CZ")),
        ("montage", ()),
    ],
)
def test_settings_out_of_range_are_refused(field: str, value: object) -> None:
    """The message names the field."""
    with pytest.raises(ConfigurationError, match=field):
        SimulatorSettings(**{field: value})  # type: ignore[arg-type]
