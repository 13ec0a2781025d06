"""What every extractor promises, run over each entry of EXTRACTORS."""

import time

import numpy as np
import pytest
from support.body_signals import BODY_LABELS, BODY_PARAMS, body, ecg
from support.nightly import nightly
from support.small_sessions import EYE_LABELS, EYE_PARAMS, eeg, eye

from bci_m2s.errors import ContractError
from bci_m2s.features import EXTRACTORS

EEG_LABELS = ("a", "b", "c", "d", "e")
RATES_HZ = {"de": 256.0, "covariance": 256.0, "eye": 120.0, "ecg": 250.0, "physiology": 128.0}
LABELS = {
    "de": EEG_LABELS,
    "covariance": EEG_LABELS,
    "eye": EYE_LABELS,
    "ecg": ("ECG",),
    "physiology": BODY_LABELS,
}
PARAMS = {"de": {}, "covariance": {}, "eye": EYE_PARAMS, "ecg": {}, "physiology": BODY_PARAMS}
SIGNALS = {
    "de": eeg,
    "covariance": eeg,
    "eye": eye,
    "ecg": lambda seconds: ecg(seconds, 250.0),
    "physiology": body,
}
HOP_S = 0.25
NOT_LIVE = {"distributed"}  # always refuses to be built; it has a test of its own
LIVE = [name for name in EXTRACTORS if name not in NOT_LIVE]


def make(name, step_s=1.0, **params):
    return EXTRACTORS[name]({**PARAMS[name], **params}, LABELS[name], RATES_HZ[name], step_s, HOP_S)


def push(extractor, samples, rate_hz):
    n = int(rate_hz * HOP_S)
    blocks = [samples[i : i + n].astype(np.float64) for i in range(0, len(samples) - n + 1, n)]
    return [extractor.push(block, np.isnan(block)) for block in blocks]


@pytest.mark.parametrize("step_s", [1.0, *nightly(4.0)])
@pytest.mark.parametrize("name", LIVE)
def test_a_step_comes_with_every_block_once_the_first_is_whole(name, step_s):
    extractor = make(name, step_s)
    _, samples = SIGNALS[name](20)
    steps = push(extractor, samples, RATES_HZ[name])
    before = round(step_s / HOP_S) - 1
    assert steps[:before] == [None] * before
    assert all(step is not None for step in steps[before:])
    settled = steps[before + int(np.ceil(extractor.settle_s / HOP_S)) :]
    assert settled, "settling takes longer than any live session would wait"
    for step in settled:
        assert step.values.shape == (len(extractor.names),)
        assert step.values.dtype == np.float64
        assert np.isfinite(step.values).all()
        assert step.problem == ""
    assert len(set(extractor.names)) == len(extractor.names)


@pytest.mark.parametrize("name", LIVE)
def test_it_counts_its_features_without_being_built(name):
    assert EXTRACTORS[name].count(PARAMS[name], LABELS[name]) == len(make(name).names)


@pytest.mark.parametrize("name", LIVE)
def test_reset_gives_the_same_as_new(name):
    _, samples = SIGNALS[name](12)
    used = make(name)
    push(used, samples[::-1].copy() * 2, RATES_HZ[name])
    used.reset()
    for again, fresh in zip(
        push(used, samples, RATES_HZ[name]), push(make(name), samples, RATES_HZ[name]), strict=True
    ):
        assert (again is None) == (fresh is None)
        if again is not None:
            np.testing.assert_array_equal(again.values, fresh.values)


@pytest.mark.parametrize("name", LIVE)
def test_lost_samples_make_missing_values_with_a_reason_and_heal(name):
    _, samples = SIGNALS[name](36)
    n = len(samples)
    samples[n // 4 : n // 4 + int(2 * RATES_HZ[name])] = np.nan
    steps = push(make(name), samples, RATES_HZ[name])
    lost = steps[len(steps) // 4 + 6]
    assert np.isnan(lost.values).all()
    assert lost.problem
    assert np.isfinite(steps[-1].values).all()


@pytest.mark.parametrize("name", LIVE)
def test_input_is_left_alone_and_unknown_parameters_are_refused(name):
    _, samples = SIGNALS[name](4)
    samples[100] = np.nan
    before = samples.copy()
    push(make(name), samples, RATES_HZ[name])
    np.testing.assert_array_equal(samples, before)
    with pytest.raises(ContractError, match="nonsense"):
        make(name, nonsense=1)


@pytest.mark.parametrize("name", LIVE)
def test_the_filters_checksum_is_of_the_newest_block(name):
    _, samples = SIGNALS[name](12)
    n = int(RATES_HZ[name] * HOP_S)
    changed = samples.copy()
    changed[40 * n : 41 * n] += np.linspace(0, 0.01, n)[:, None].astype(np.float32)
    plain, again, other = (
        [step.filters_crc for step in push(make(name), one, RATES_HZ[name]) if step is not None]
        for one in (samples, samples, changed)
    )
    at = 40 - (round(1.0 / HOP_S) - 1)
    assert plain == again
    assert plain[:at] == other[:at]
    assert plain[at] != other[at]
    assert len(set(plain)) > len(plain) / 2


@pytest.mark.parametrize("name", LIVE)
def test_a_push_is_much_faster_than_its_hop(name):
    extractor = make(name)
    _, samples = SIGNALS[name](10)
    push(extractor, samples, RATES_HZ[name])
    extractor.reset()
    begun = time.process_time()
    blocks = len(push(extractor, samples, RATES_HZ[name]))
    assert (time.process_time() - begun) / blocks < HOP_S / 5
