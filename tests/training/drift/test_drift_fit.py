"""Limits of drift: right on people that they were not chosen on, none where there are too few."""

from dataclasses import replace

import numpy as np
import pytest
from support.small_sessions import contract

from bci_m2s.signal.drift import DriftWatch
from bci_m2s.training.drift import block
from bci_m2s.training.drift.block import FEWEST_PEOPLE, FittedDrift, fit_drift, fit_own_drift
from bci_m2s.training.drift.fit import (
    WAIT_S,
    PersonWindows,
    fit_limits,
    fit_reference,
    measured_distances,
)

F = 20
SPEC = contract().modalities["eeg"]
WINDOW = contract().window
CHANGED = 140
NAMES = tuple(f"{channel}.b{band}" for channel in SPEC.channels for band in range(5))
MIXING = np.random.default_rng(99).normal(size=(6, F))


def person(seed: int, n: int = 240, own: float = 1.0) -> PersonWindows:
    """Windows of a made-up person: a profile of their own, and a state that moves slowly."""
    rng = np.random.default_rng([7, seed])
    state = np.zeros((n, 6))
    for row in range(1, n):
        state[row] = 0.95 * state[row - 1] + 0.3 * rng.normal(size=6)
    values = state @ MIXING + 0.3 * rng.normal(size=(n, F))
    values += own * rng.normal(size=6) @ MIXING + 0.3 * rng.normal(size=F)
    begins = np.zeros(n, dtype=bool)
    begins[0] = True
    return PersonWindows(values.astype(np.float32), begins)


def people(n: int, first: int = 0, **options) -> list[PersonWindows]:
    return [person(first + number, **options) for number in range(n)]


def watch_of(fitted: FittedDrift) -> DriftWatch:
    """As a live session has it."""
    from bci_m2s.features.coupling import coupling_names
    from bci_m2s.pipeline.drift import references

    pairs = fitted.arrays.get("drift.pairs")
    couplings = () if pairs is None else coupling_names(SPEC.channels, pairs, "alpha")
    made = references(fitted.block, fitted.arrays)
    return DriftWatch(made, NAMES, SPEC.channels, 2.0, WINDOW.hop_s, couplings)


def beyond(fitted: FittedDrift, who: PersonWindows, change=None) -> np.ndarray:
    """Which windows of a person a model refuses. change : added from window CHANGED on."""
    watch = watch_of(fitted)
    found = []
    for number, values in enumerate(who.values):
        added = 0.0 if change is None or number < CHANGED else change
        found.append(watch.push(values[None] + added).is_beyond)
    return np.array(found)


@pytest.fixture(scope="module")
def fitted() -> FittedDrift:
    training, validation = people(12), people(8, first=100)
    made = fit_drift(training, [(training, validation)], SPEC, WINDOW)
    assert isinstance(made, FittedDrift)
    return made


def test_the_block_says_what_it_rests_on(fitted):
    assert set(fitted.block.views) == {"profile", "course"}
    assert (fitted.block.people, fitted.block.validation_people) == (12, 8)
    assert fitted.arrays["drift.profile.precision"].dtype == np.float32


def test_new_people_are_seldom_refused_and_a_changed_channel_soon(fitted):
    refused = [beyond(fitted, person(seed)).mean() for seed in range(200, 206)]
    assert np.mean(refused) <= 0.05
    change = np.zeros(F)
    change[5:10] = 3.0
    found = beyond(fitted, person(206), change)
    assert found[:CHANGED].mean() < 0.05
    assert found[CHANGED + 28 :].all()  # 7 s


def together(who: PersonWindows, seed: int) -> PersonWindows:
    """With how channels go together: six pairs, four channels with the mean, what all have in common."""
    rng = np.random.default_rng([8, seed])
    rows = 0.5 + 0.1 * rng.normal(size=11) + 0.1 * rng.normal(size=(len(who.values), 11))
    return replace(who, coupling=rows.astype(np.float32))


def test_how_channels_go_together_is_a_view_where_everybody_has_it():
    training = [together(one, seed) for seed, one in enumerate(people(9))]
    validation = [together(one, 50 + seed) for seed, one in enumerate(people(8, first=100))]
    made = fit_drift(training, [(training, validation)], SPEC, WINDOW)
    assert isinstance(made, FittedDrift)
    assert made.block.pairs == 6
    assert set(made.block.views) == {"profile", "course", "coupling"}
    assert made.arrays["drift.coupling.precision"].shape == (11, 11)
    one = together(person(304), 304)
    moved = one.coupling.copy()
    moved[:, -1] -= 2.0
    shares = []
    for who in (one, replace(one, coupling=moved)):
        watch = watch_of(made)
        pairs = zip(who.values[:, None], who.coupling[:, None], strict=True)
        shares.append(np.mean([watch.measure(*both)["coupling"].share > 1 for both in pairs]))
    assert shares[0] < 0.1
    assert shares[1] == 1.0
    lacking = [replace(validation[0], coupling=None), *validation[1:]]
    without = fit_drift(training, [(training, lacking)], SPEC, WINDOW)
    assert isinstance(without, FittedDrift)
    assert without.block.pairs == 0


def test_too_few_people_give_no_limit_and_the_reason():
    some = people(FEWEST_PEOPLE - 1)
    enough = people(FEWEST_PEOPLE)
    assert (
        fit_drift(enough, [(enough, some)], SPEC, WINDOW) == "got 7 validation people, expected at least 8"
    )
    assert fit_drift(some, [(some, enough)], SPEC, WINDOW) == "got 7 training people, expected at least 8"
    assert fit_drift(some, [], SPEC, WINDOW) == "got 0 validation people, expected at least 8"


def test_people_are_drawn_not_windows():
    rng = np.random.default_rng(0)
    one = [rng.gamma(2.0, size=(400, 2)) for _ in range(8)]
    several = [np.concatenate([rows] * 4) for rows in one]
    few, many = fit_limits(one, 0.25), fit_limits(several, 0.25)
    np.testing.assert_allclose(few, many, rtol=0.1)
    usual = np.quantile(np.concatenate(one), 0.98, axis=0)
    assert (few > usual).all()  # cautious: two distances, and people by chance


def test_of_fewer_people_the_limit_is_wider_and_beyond_the_furthest_of_few():
    levels = np.exp(0.3 * np.random.default_rng(1).normal(size=8))
    people_of = [np.full((200, 1), level) for level in levels]
    few, many = fit_limits(people_of, 0.25), fit_limits(people_of * 8, 0.25)
    assert few > many
    assert few > levels.max()


def test_what_few_windows_move_is_left_out_and_refuses_nobody():
    def blinking(who: PersonWindows, seed: int, share: float) -> PersonWindows:
        values = who.values.copy()
        values[:, 3] = np.random.default_rng([9, seed]).random(len(values)) < share
        return replace(who, values=values)

    training = [blinking(one, seed, 0.005) for seed, one in enumerate(people(9))]
    validation = [blinking(one, 50 + seed, 0.0) for seed, one in enumerate(people(8, first=100))]
    made = fit_drift(training, [(training, validation)], SPEC, WINDOW)
    assert isinstance(made, FittedDrift)
    for view in made.block.views:
        assert (made.arrays[f"drift.{view}.scale"] > 1e20).nonzero()[0].tolist() == [3]
    shares = [beyond(made, blinking(person(400 + n), n, 0.5)).mean() for n in range(3)]
    assert np.mean(shares) <= 0.05


def test_nobody_who_is_too_short_to_be_smoothed_counts():
    some = [person(seed, n=round(WAIT_S / WINDOW.hop_s)) for seed in range(8)]
    refused = fit_drift(people(8), [(people(8), some)], SPEC, WINDOW)
    assert refused == "got 0 validation people with windows for more than 2 s on end, expected at least 8"


def test_the_course_is_told_from_its_past_whatever_the_person_is_like():
    reference = fit_reference(people(10), "course", 20)
    watch = DriftWatch({"course": reference}, NAMES, SPEC.channels, 2.0, WINDOW.hop_s)
    found = [measured_distances(watch, person(300, own=size))["course"] for size in (1.0, 1000.0)]
    np.testing.assert_allclose(found[0], found[1], atol=1e-3)
    assert (found[0][:79] == 0).all()
    assert (found[0][79:, 0] > 0).all()


def test_own_statistics_join_those_of_people(fitted, monkeypatch):
    monkeypatch.setattr(block, "FEWEST_OWN_SESSIONS", 3)
    rng = np.random.default_rng(5)
    usual = person(1)
    sessions = [replace(usual, values=usual.values + 0.2 * rng.normal(size=F).astype(np.float32))] * 2
    refused = fit_own_drift(sessions, SPEC, WINDOW, fitted)
    assert refused == "got 2 sessions of this person, expected at least 3"
    sessions.append(replace(usual, values=usual.values + 0.2 * rng.normal(size=F).astype(np.float32)))
    made = fit_own_drift(sessions, SPEC, WINDOW, fitted)
    assert isinstance(made, FittedDrift)
    assert set(made.block.views) == {"profile", "course", "own"}
    assert (made.block.own_sessions, made.block.people) == (3, 12)
    assert set(fitted.arrays) < set(made.arrays)
    assert beyond(made, usual).mean() < 0.05
    assert beyond(made, person(2)).mean() > 0.9


@pytest.mark.nightly
def test_the_share_holds_over_many_draws_of_people():
    shares = []
    for draw in range(10):
        training, validation = people(16, first=1000 * draw), people(10, first=1000 * draw + 100)
        made = fit_drift(training, [(training, validation)], SPEC, WINDOW)
        assert isinstance(made, FittedDrift)
        shares += [beyond(made, person(1000 * draw + 500 + n)).mean() for n in range(10)]
    assert np.mean(shares) <= 0.05
