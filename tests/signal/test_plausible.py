"""Values in another unit than the model's have no plausible amplitude, and the reason says in which."""

from __future__ import annotations

import numpy as np
import pytest

from bci_m2s.signal.blocks import Block
from bci_m2s.signal.plausible import amplitude_limits, learn_limits
from bci_m2s.signal.quality import ChannelQuality
from bci_m2s.signal.units import factor_between

RNG = np.random.default_rng(3)
NOISE = RNG.normal(0.0, 1.0, (64, 1))


def outside(stream_type, unit, samples, label="a"):
    limits = amplitude_limits(stream_type, (label,), (unit,))
    return bool(limits.outside(samples)[0]), limits.explain(samples, [0])


@pytest.mark.parametrize(
    ("stream_type", "unit", "usual"),
    [
        ("EEG", "microvolts", 20.0),
        ("eeg", "V", 2e-5),
        ("ECG", "mV", 0.3),
        ("EOG", "uV", 80.0),
        ("X", "uV", 20.0),
    ],
)
@pytest.mark.parametrize("poor", [0.05, 1.0, 20.0])
def test_a_signal_in_its_unit_is_plausible_however_poor(stream_type, unit, usual, poor):
    offset = 4200.0 * usual  # electrodes have offsets far above the signal
    assert not outside(stream_type, unit, NOISE * usual * poor + offset)[0]


@pytest.mark.parametrize(("factor", "sent"), [(1e-6, "volts"), (1e-3, "millivolts"), (1e3, "nanovolts")])
def test_another_unit_is_found_and_named(factor, sent):
    wrong, reason = outside("EEG", "microvolts", NOISE / NOISE.std() * 20.0 * factor)
    assert wrong
    figure = {"volts": "0.00002", "millivolts": "0.02", "nanovolts": "20000"}[sent]
    assert reason == f"amplitude {figure} µV; would be 20 µV if the sender sends {sent}"


@pytest.mark.parametrize(
    ("stated", "sent", "figure"),
    [
        ("volts", "microvolts", "20000000"),
        ("millivolts", "microvolts", "20000"),
        ("millivolts", "volts", "0.02"),
        ("volts", "nanovolts", "2e+10"),
    ],
)
def test_a_unit_that_was_converted_was_wrong_before(stated, sent, figure):
    """What the sender says is believed first; the hint is of the values that it sent."""
    factor = factor_between(stated, "microvolts")
    sent_values = NOISE / NOISE.std() * 20.0 * factor_between("microvolts", sent)
    limits = amplitude_limits("EEG", ("a",), ("microvolts",), None, np.array([factor]))
    samples = sent_values * factor
    assert limits.outside(samples)[0]
    assert limits.explain(samples, [0]) == (
        f"amplitude {figure} µV; would be 20 µV if the sender sends {sent}"
    )


def test_a_file_may_have_been_converted_before_it_was_opened():
    wrong, reason = outside("EEG", "microvolts", NOISE / NOISE.std() * 1e7)
    assert wrong
    assert reason == "amplitude 10000000 µV; would be 10 µV if what is called volts is microvolts"


def seen(*ranges):
    return np.array(ranges)[None]


def test_limits_learnt_from_data_are_far_beyond_them():
    limits = learn_limits(seen((3.0, 50.0), (5.0, 60.0), (2.0, 6.0)), ("uV", "uV", "mm"))
    assert limits == {"uV": (0.1, 1800.0), "mm": (2 / 30, 180.0)}
    assert learn_limits(seen((-0.2, 0.8)), ("normalized",)) == {"normalized": (-24.0, 24.0)}
    assert learn_limits(seen((np.nan, np.nan)), ("uV",)) == {}
    assert learn_limits(seen((0.0, 0.0)), ("",)) == {}


@pytest.mark.parametrize("scale", [0.08, 2500.0])
def test_learnt_limits_narrow_the_usual_ones(scale):
    samples = NOISE / NOISE.std() * scale
    learnt = {"uV": (0.1, 1800.0)}
    assert not amplitude_limits("EEG", ("a",), ("uV",)).outside(samples)[0]
    assert amplitude_limits("EEG", ("a",), ("uV",), learnt).outside(samples)[0]
    wide = {"uV": (1e-9, 1e9)}
    assert amplitude_limits("EEG", ("a",), ("uV",), wide).outside(samples * 1e6)[0]
    anything = amplitude_limits("Gaze", ("confidence",), ("",), {"": (0.1, 1.0)})
    assert not anything.outside(np.zeros((64, 1)))[0]


def test_nonsense_is_no_unit():
    wrong, reason = outside("EEG", "microvolts", NOISE * 1e12)
    assert wrong
    assert "if the sender" not in reason


@pytest.mark.parametrize(
    ("unit", "label", "good", "bad"),
    [
        ("normalized", "gaze_x", 0.5, 960.0),
        ("mm", "pupil_left", 3.0, 0.003),
        ("m", "pupil_left", 0.003, 3.0),
        ("microsiemens", "skin", 5.0, -3.0),
        ("celsius", "skin", 33.0, 306.0),
    ],
)
def test_other_quantities_are_judged_by_their_level(unit, label, good, bad):
    assert not outside("Gaze", unit, np.full((8, 1), good), label)[0]
    wrong, reason = outside("Gaze", unit, np.full((8, 1), bad), label)
    assert wrong
    assert reason.startswith("amplitude ")
    assert reason.endswith("cannot be")


@pytest.mark.parametrize("unit", ["", "pixels", "furlongs"])
def test_what_has_no_known_limits_is_let_pass(unit):
    assert not outside("Gaze", unit, np.full((8, 1), 1e6))[0]


def block(samples, number):
    n = len(samples)
    return Block(samples, number * n, number * n + n - 1, 0.0, 0.25, 0.0, number, 0, None)


def test_a_channel_in_volts_is_bad_and_the_others_are_not():
    events = []
    limits = amplitude_limits("EEG", ("TP9", "AF7"), ("uV", "uV"))
    quality = ChannelQuality(("TP9", "AF7"), ("uV", "uV"), 0.25, amplitudes=limits, emit=events.append)
    for number in range(8):
        samples = RNG.normal(0.0, 20.0, (64, 2)) * [1e-6, 1.0]
        missing = quality.push(block(samples, number))
        assert missing.all(axis=0).tolist() == [True, False]
    assert "would be 2" in quality.causes[0]
    (event,) = events
    assert event.message.startswith("channel TP9 implausible: amplitude 0.00002 µV; would be")
    assert event.fields["state"] == "implausible"


def test_short_hops_are_judged_together():
    """Two samples may be alike by chance; a quarter of a second of them is not."""
    limits = amplitude_limits("EEG", ("a",), ("uV",))
    quality = ChannelQuality(("a",), ("uV",), 0.05, amplitudes=limits)
    small = NOISE[:4] * 1e-5
    judged = [bool(quality.push(block(small, number)).all()) for number in range(6)]
    assert judged == [False] * 4 + [True] * 2
    assert not quality.push(block(NOISE[:4] * 20.0, 6)).any()
