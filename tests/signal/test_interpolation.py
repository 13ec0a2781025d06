"""Channels filled by spherical splines, as MNE does it."""

import mne
import numpy as np
import pytest

from bci_m2s.signal.interpolation import FEWEST_SOURCES, Interpolation, spline_weights
from bci_m2s.simulator.montage import known_positions

LABELS = (
    "Fp1",
    "Fp2",
    "F3",
    "F4",
    "C3",
    "C4",
    "P3",
    "P4",
    "O1",
    "O2",
    "F7",
    "F8",
    "T7",
    "T8",
    "CB1",
    "Nowhere",
)
POSITIONS = known_positions(LABELS)
NONE = np.zeros(len(LABELS), dtype=bool)


def at(*labels):
    return np.isin(LABELS, labels)


def test_weights_are_those_of_mne():
    labels = LABELS[:-1]
    montage = mne.channels.make_dig_montage(
        dict(zip(labels, 0.09 * POSITIONS[:-1], strict=True)), coord_frame="head"
    )
    data = np.random.default_rng(0).standard_normal((len(labels), 50))
    raw = mne.io.RawArray(data, mne.create_info(list(labels), 100.0, "eeg"), verbose=False)
    raw.set_montage(montage)
    raw.info["bads"] = ["C3", "CB1"]
    raw.interpolate_bads(origin=(0, 0, 0), verbose=False)
    good, bad = np.flatnonzero(~at("C3", "CB1")[:-1]), [4, 14]
    ours = spline_weights(POSITIONS[good], POSITIONS[bad]) @ data[good]
    np.testing.assert_allclose(ours, raw.get_data()[bad], atol=1e-6)


def test_what_is_absent_is_filled_from_what_is_good():
    filling = Interpolation(LABELS, POSITIONS, at("CB1"), False, 0.25)
    made = filling.plan(NONE)
    assert made.filled.tolist() == [14]
    assert made.sources.tolist() == list(range(14))  # not from a channel without a position
    assert made.weights.sum() == pytest.approx(1.0)
    assert filling.plan(NONE) is made  # no matrix is made twice
    assert filling.plan(at("C3")).filled.tolist() == [14]  # C3 is a source no more, and stays bad
    assert 4 not in filling.plan(at("C3")).sources
    np.testing.assert_array_equal(made.apply(np.full((16, 3), 7.0)).round(9), np.full((1, 3), 7.0))


def test_what_is_bad_is_filled_where_that_is_asked_for_and_not_too_much():
    filling = Interpolation(LABELS, POSITIONS, NONE, True, 0.25)
    assert filling.plan(NONE) is None
    assert filling.plan(at("C3", "O1")).filled.tolist() == [4, 8]
    assert filling.plan(at("Nowhere")) is None
    assert filling.plan(at("C3", "O1", "F3", "F4")).filled.tolist() == [2, 3, 4, 8]
    assert filling.plan(at("C3", "O1", "F3", "F4", "P3")) is None
    few = Interpolation(
        LABELS[:FEWEST_SOURCES], POSITIONS[:FEWEST_SOURCES], NONE[:FEWEST_SOURCES], True, 0.5
    )
    assert few.plan(at("C3")[:FEWEST_SOURCES]) is None
